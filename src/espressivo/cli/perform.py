"""The command that performs a score. It needs no torch."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from espressivo import midi
from espressivo.cli.options import (
    JSON,
    MIDI,
    PATH,
    Between,
    Example,
    Output,
    performance_of,
    report,
)
from espressivo.data import take_of
from espressivo.errors import EspressivoError, GenerationError, MidiError, ScoreError
from espressivo.files import check_writable, is_stream
from espressivo.interpreter import load_interpreter
from espressivo.music import Score
from espressivo.notation import opened_score
from espressivo.play import (
    DEFAULT_FREEDOM,
    FASTEST_TEMPO,
    SLOWEST_TEMPO,
    Dials,
    Interpreter,
    Rendition,
    rendition,
)
from espressivo.progress import Console, counted
from espressivo.views import Played, tempo_curves

__all__ = ["COMMANDS"]

_MOST_TAKES = 2  # of which no more can be told apart
_LEAST_FOUND = 0.5  # of a score's notes, in what is drawn beside it


def _dial(name: str, what: str) -> Callable[..., Any]:
    return click.option(
        f"--{name}", type=Between(0, 2), default=1.0, help=f"{what}: 0 as written, 2 exaggerated."
    )


@click.command(
    cls=Example,
    epilog="""
    espressivo perform score.mid -o played.mid
    espressivo perform score.mid --timing 0.5 --tempo-map -o played.mid
    espressivo perform score.mid --picture tempo.png -o played.mid
    espressivo perform score.mid --from 2:1 --to 4:1 --count 3 -o take.mid
    """,
)
@click.argument("file", type=PATH)
@_dial("timing", "Tempo, rubato and spread of chords")
@_dial("dynamics", "Loudness")
@_dial("articulation", "How long keys are held")
@_dial("pedal", "The sustain pedal")
@click.option(
    "--freedom",
    type=Between(0, 1),
    default=DEFAULT_FREEDOM,
    help="How much is drawn of what players do differently; 0 plays the mean.",
)
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same file.")
@click.option("--keep-dynamics", is_flag=True, help="Keep the score's velocities; they shape all.")
@click.option("--keep-pedal", is_flag=True, help="Keep the score's pedal, or that it has none.")
@click.option("--keep-tempo", is_flag=True, help="Play as fast, on the whole, as tempo marks say.")
@click.option(
    "--tempo",
    type=Between(SLOWEST_TEMPO, FASTEST_TEMPO),
    help="Quarters a minute at the beginning; other tempo marks stay in proportion.",
)
@click.option(
    "--from",
    "start",
    help="Perform from here, the rest being as written: seconds of the score, or bar and beat, "
    "like 5:1.",
)
@click.option("--to", "end", help="Perform to here, likewise; or 'end'.")
@click.option(
    "--tempo-map",
    is_flag=True,
    help="Notes stay on the score's grid, and a tempo for each beat carries the timing, so that "
    "other programs still show the bars.",
)
@click.option("--model", "model_name", help="A model file, if not the one of the package.")
@click.option(
    "--picture",
    type=Output(".png", ".svg", ".pdf"),
    help="Picture of tempo and dynamics, as written and as performed.",
)
@click.option(
    "--take",
    "takes",
    type=PATH,
    multiple=True,
    help="Somebody's performance of the score, to be drawn too; at most two.",
)
@click.option("--count", type=click.IntRange(1), default=1, help="Files: out-1.mid, out-2.mid, ...")
@click.option("-o", "--output", type=Output(*MIDI), required=True, help="MIDI file to write.")
@JSON
def perform(
    file: Path,
    start: str | None,
    end: str | None,
    tempo_map: bool,
    model_name: str | None,
    count: int,
    seed: int | None,
    picture: Path | None,
    takes: tuple[Path, ...],
    output: Path,
    as_json: bool,
    **turned: Any,
) -> None:
    """Play a score as a person might.

    FILE is MIDI, or, with the extra `score`, MusicXML, MEI or kern. Every written note is played,
    once. With the first four dials at 0 it is the score, tick for tick. What else a MIDI FILE holds
    stays.
    """
    dials = Dials(**turned)
    if takes and picture is None:
        raise click.UsageError("--take is drawn in a --picture: give its name")
    if len(takes) > _MOST_TAKES:
        raise click.UsageError(f"at most {_MOST_TAKES} takes are drawn beside one another")
    if picture is not None and count > 1:
        raise click.UsageError("--picture is of one performance: leave --count out")
    outputs = _outputs(output, count)
    if count > 1 and (dials.as_written or not dials.freedom):
        raise click.UsageError("--count makes the same file each time: nothing is drawn")
    score, song = opened_score(file)
    if not len(score):
        raise ScoreError(f"{file}: there are no notes in it")
    try:
        place = midi.song_of(score) if song is None else song
        first, last = _quarter(place, start), _quarter(place, end)
    except MidiError as error:
        raise MidiError(f"{file}: {error}") from None
    theirs = [_taken(score, take) for take in takes]
    interpreter = None if dials.as_written else load_interpreter(model_name)
    seed = secrets.randbelow(2**31) if seed is None else seed
    rows, done = [], 0
    with counted(Console(sys.stderr), "notes", "perform") as tell:

        def told(more: int) -> None:
            nonlocal done
            done += more
            tell(min(done, count * len(score)), count * len(score))

        for number, path in enumerate(outputs):
            played = _played(
                file, interpreter, score, dials, song,
                start=first, end=last, seed=seed + number, progress=told,
            )  # fmt: skip
            played.write(path, tempo_map=tempo_map)
            rows.append(_row(path, played))
            if picture is not None:
                ours = Played("espressivo", played.beats_s, played.rendered.velocity)
                tempo_curves(played.score, [ours, *theirs], picture)
    if as_json:
        about = {"score": str(file), "notes": len(score), "model": played.model or None}
        about |= {"tempo_map": tempo_map or played.rendered.in_time, "dials": turned}
        report(json.dumps({**about, "performances": rows}), output)
        return
    for row in rows:
        report(
            f"{row['file']}: {len(score)} notes, {row['seconds']:.1f} s, "
            f"{row['tempo']:.0f} quarters a minute, seed {row['seed']}",
            output,
        )


def _outputs(output: Path, count: int) -> list[Path]:
    """Return the files to be written, once they are known to be writable."""
    if count == 1:
        return [output]
    if is_stream(output):
        raise click.UsageError("--count makes several files: give the name of a file")
    outputs = [output.with_name(f"{output.stem}-{n}{output.suffix}") for n in range(1, count + 1)]
    for path in outputs:
        check_writable(path)
    return outputs


def _quarter(song: midi.Song, when: str | None) -> float | None:
    """Return the quarter of a time of the score."""
    return None if when is None else song.tick(when) / song.division


def _played(
    file: Path,
    interpreter: Interpreter | None,
    score: Score,
    dials: Dials,
    song: midi.Song | None,
    **others: Any,
) -> Rendition:
    """Perform; an error names the file."""
    try:
        return rendition(interpreter, score, dials, song=song, **others)
    except GenerationError as error:
        raise EspressivoError(f"{file}: {error}") from None


def _taken(score: Score, take: Path) -> Played:
    """Return how somebody plays a score."""
    try:
        theirs = take_of(score, performance_of(take))
    except ValueError as error:
        raise ScoreError(f"{take}: {error}") from None
    if theirs.found < _LEAST_FOUND:
        raise ScoreError(
            f"{take}: {theirs.found:.0%} of the score's notes are found in it: it is of another "
            "score, or leaves most of it out"
        )
    return Played(take.stem, theirs.beats_s, theirs.velocity)


def _row(path: Path, played: Rendition) -> dict[str, Any]:
    velocity = played.rendered.velocity
    return {
        "file": str(path),
        "seed": played.seed,
        "seconds": round(played.performance.seconds, 3),
        "tempo": round(played.tempo, 2),
        "velocity": [
            int(np.min(velocity)),
            round(float(np.mean(velocity)), 1),
            int(np.max(velocity)),
        ],
        "pedal": None if played.rendered.pedal is None else len(played.rendered.pedal),
    }


COMMANDS = (perform,)
