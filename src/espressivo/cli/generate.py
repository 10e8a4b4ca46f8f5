"""The command that generates. It needs no torch."""

from __future__ import annotations

import json
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.cli.options import (
    JSON,
    MIDI,
    MODEL,
    ONE_BASED,
    PATH,
    PRIMER_EVENTS,
    STYLES,
    Between,
    Change,
    Example,
    Meter,
    Numbers,
    Output,
    finite,
    given,
    performance_of,
    report,
)
from espressivo.cli.options import primer_events as events_to_begin_with
from espressivo.codes import COMPOSERS, LONGEST_KEY_S, LONGEST_NOTE_S
from espressivo.errors import GenerationError
from espressivo.files import check_writable, is_stream
from espressivo.music import Performance, is_recording, parse_key
from espressivo.notation import Fit, fit
from espressivo.notation import beats as find_beats
from espressivo.play import (
    CHORD_TEMPERATURE,
    ENDINGS,
    FOLLOW_GUIDANCE,
    FOLLOW_S,
    STRONGEST,
    Model,
    Options,
    Settings,
    arguments_of,
    bundled,
    load,
    opened,
    provenance_of,
)
from espressivo.progress import Console, counted
from espressivo.views import FORMATS, check_path, is_sound

__all__ = ["COMMANDS"]

_SIDE_BY_SIDE = 16  # takes; more are hardly faster, and the files come later
_WITH_AGAIN = {"again", "output", "primer", "model_name", "styles", "tempo_map", "as_json"}

_SHARE = Between(0, 1, min_open=True)
_SEARCH = {"beam", "stochastic", "take"}
_PRIMERS = ("primer", "primer_chords", "primer_pitches")

Arguments = dict[str, Any]
"""Those of `provenance_of`."""

Take = tuple[int, Arguments, Performance]
"""A performance, with its seed and arguments."""


@click.command(
    cls=Example,
    epilog="""
    espressivo generate --seconds 30 --temperature 1.0 --seed 7 -o out.mid
    espressivo generate --key "A minor" --notes 200 -o minor.mid
    espressivo generate --primer mine.mid --seconds 60 --include-primer -o all.mid
    espressivo generate --primer-events "60,216,148" --model seed -o out.mid
    espressivo generate --primer-chords "C Am F G" --seconds 60 -o song.mid
    espressivo generate --form "A B A C A" --seconds 60 -o rondo.mid
    espressivo generate --events 200 --beam 8 -o likeliest.mid
    espressivo generate --count 10 --seed 1 -o take.mid
    espressivo generate --again take-3.mid -o same.mid
    espressivo generate --seconds 60 --tempo-map -o for-my-daw.mid
    espressivo generate --tempo 96 --meter 3/4 --seed 5 -o waltz.mid
    espressivo generate --seconds 30 -o out.wav
    """,
)
@MODEL
@STYLES
@click.option("--seconds", type=Between(0, min_open=True), help="Length; 30 if none is given.")
@click.option("--events", type=click.IntRange(1), help="Length in events instead.")
@click.option("--notes", type=click.IntRange(1), help="Length in notes instead.")
@click.option(
    "--ending",
    type=click.Choice(ENDINGS),
    help="natural, the default: broaden into a last chord that rings, at --seconds or up to 6 % "
    "before or after; cut: stop after exactly --seconds; own: until the model ends the piece, "
    "within --seconds.",
)
@click.option(
    "--form",
    help="What comes back: 'A B A', or with seconds 'A:12 B:20 A:12'; how literally, by --returns. "
    "Beyond 30 s short passages come back by themselves; not if it is 'free'.",
)
@click.option(
    "--temperature",
    type=Between(0),
    default=Settings.temperature,
    help="Of pitches: lower plays safer, higher wilder; 0 always takes the likeliest, also of "
    "time and touch.",
)
@click.option("--top-k", type=click.IntRange(1), help="Choose among the k likeliest pitches.")
@click.option("--top-p", type=_SHARE, help="Choose among the likeliest pitches, p in all.")
@click.option(
    "--min-p",
    type=Between(0, 1),
    help="Choose among pitches at least this part as likely as the likeliest.",
)
@click.option(
    "--chord-temperature",
    type=Between(0),
    help=f"Of pitches that join a chord: --temperature, but {CHORD_TEMPERATURE:g} at most.",
)
@click.option("--time-temperature", type=Between(0), help="Of when events come.")
@click.option("--time-top-p", type=_SHARE, help="As --top-p, of when events come.")
@click.option("--time-min-p", type=Between(0, 1), help="As --min-p, of the same.")
@click.option("--duration-temperature", type=Between(0), help="Of how long notes last.")
@click.option("--duration-top-p", type=_SHARE, help="As --top-p, of how long notes last.")
@click.option("--duration-min-p", type=Between(0, 1), help="As --min-p, of the same.")
@click.option("--velocity-temperature", type=Between(0), help="Of loudness.")
@click.option("--lowest-pitch", type=click.IntRange(0, 127), default=0, help="MIDI pitch.")
@click.option("--highest-pitch", type=click.IntRange(0, 127), default=127, help="MIDI pitch.")
@click.option("--polyphony", type=click.IntRange(1), help="Most notes that sound at once.")
@click.option(
    "--longest-note",
    "longest_note_s",
    type=Between(0, min_open=True),
    help=f"Seconds after which a note is ended, instead of {LONGEST_NOTE_S:g}, or "
    f"{LONGEST_KEY_S:g} where the model plays the pedal.",
)
@click.option(
    "--longest-rest",
    "longest_rest_s",
    type=Between(0, min_open=True),
    help="Seconds of silence after which a note is struck.",
)
@click.option("--avoid-loops/--no-avoid-loops", default=False, help="Break loops of notes.")
@click.option(
    "--two-hands/--no-two-hands",
    default=True,
    help="Keep each chord within the reach of two hands.",
)
@click.option("--density", type=Between(0), help="Ask for so many notes a second.")
@click.option(
    "--onset-rate",
    type=Between(0),
    help="Ask for so many onsets a second, a chord being one.",
)
@click.option("--loudness", type=Between(1, 127), help="Ask for this mean velocity.")
@click.option("--key", help="Ask for the pitches of a key, like 'F# minor' or 'Bb'.")
@click.option(
    "--pitch-weights",
    type=Numbers(),
    help="Ask for pitch classes by 12 shares, from C upwards; 0 rules one out.",
)
@click.option(
    "--composer",
    type=click.Choice(COMPOSERS, case_sensitive=False),
    hidden=True,  # no bundled model has learned it
    help="Ask for the manner of a composer.",
)
@click.option(
    "--guidance",
    type=Between(0, STRONGEST),
    help="How strongly what is asked counts: 1 as learned, 2 or 3 for more. By default 1, and "
    f"{FOLLOW_GUIDANCE:g} for {FOLLOW_S:g} s after a change by --at.",
)
@click.option(
    "--returns",
    type=Between(0, STRONGEST),
    default=1.0,
    help="How strongly music comes back that was there before: 1 as learned, 0 hardly.",
)
@click.option(
    "--at",
    "changes",
    type=Change(),
    multiple=True,
    help="Change a control, guidance, returns or temperature: '20:density=12', '40:key=C major'.",
)
@click.option(
    "--beam", type=click.IntRange(1), help="Search the likeliest --events, following so many lists."
)
@click.option("--stochastic", is_flag=True, help="With --beam, draw different lists by chance.")
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same file.")
@click.option("--primer", type=PATH, help="MIDI file or recording to continue.")
@PRIMER_EVENTS
@click.option("--primer-pitches", type=Numbers(), help="A chord to begin with, like '60,64,67'.")
@click.option("--primer-chords", help="Chords to begin with, a second each, like 'C Am F G7'.")
@ONE_BASED
@click.option(
    "--include-primer/--no-include-primer", default=False, help="Write the primer too, or not."
)
@click.option("--count", type=click.IntRange(1), default=1, help="Files: out-1.mid, out-2.mid, ...")
@click.option(
    "--again",
    type=PATH,
    help="MIDI file of this command, to make the same once more; a primer of it by --primer.",
)
@click.option(
    "-o",
    "--output",
    type=Output(*MIDI, *FORMATS),
    help="File to write: MIDI (.mid, .midi, .kar) or sound (.wav, .flac, .ogg, .mp3); with --again "
    "by default its name and -again.",
)
@click.option(
    "--tempo-map",
    is_flag=True,
    help="Find the beats and write them into the MIDI file: bars fall on them, and every note "
    "stays at its time.",
)
@click.option(
    "--tempo",
    type=Between(10, 400),
    help="Play --candidates and keep the one that has so many beats a minute the most.",
)
@click.option("--meter", type=Meter(), help="The same of a time signature, like 3/4.")
@click.option(
    "--candidates",
    type=click.IntRange(2),
    default=16,
    help="How many --tempo and --meter choose from; their seeds follow each other.",
)
@JSON
def generate(
    model_name: str,
    styles: tuple[str, ...],
    again: Path | None,
    output: Path | None,
    as_json: bool,
    count: int,
    seed: int | None,
    primer: Path | None,
    primer_events: list[int] | None,
    one_based: bool,
    changes: tuple[tuple[float, Options], ...],
    tempo_map: bool,
    tempo: float | None,
    meter: str | None,
    candidates: int,
    **arguments: Any,
) -> None:
    """Generate a performance, from nothing or to continue a file.

    With --count, take number n is played with the seed plus n - 1, or is the n-th that --beam
    found. Without --seed one is drawn. A MIDI file says how it was made: `espressivo info` shows
    it, and --again makes the same once more.
    """
    ctx = click.get_current_context()
    on_line = given(ctx)
    if again is not None:
        others = [p.opts[0] for p in ctx.command.params if p.name in on_line - _WITH_AGAIN]
        if others:
            raise click.UsageError(f"--again says all by itself: leave out {', '.join(others)}")
        if output is None:
            output = again.with_name(f"{again.stem}-again.mid")
            check_writable(output)
    elif output is None:
        raise click.MissingParameter(param=_option(ctx, "output"))
    if is_sound(output):
        if tempo_map:
            raise click.UsageError("--tempo-map goes with MIDI, and sound has none")
        check_path(output)  # before the work, not after it
    if tempo_map and arguments["include_primer"] and primer is not None:
        raise click.UsageError("--include-primer keeps the tempos of the primer: no --tempo-map")
    outputs = [output]
    if count > 1:
        if is_stream(output):
            raise click.UsageError("--count makes several files: give the name of a file")
        suffix = output.suffix
        outputs = [output.with_name(f"{output.stem}-{n}{suffix}") for n in range(1, count + 1)]
        for path in outputs:
            check_writable(path)
    takes: Iterable[Take]
    fits: list[Fit] = []
    rows, unit = [], "takes"
    wants = tempo is not None or meter is not None
    played = candidates if wants else count
    if wants and count > candidates:
        raise click.UsageError("--count is at most --candidates")
    if played == 1:
        unit = next((name for name in ("events", "notes") if arguments[name]), "seconds")
    with counted(Console(sys.stderr), unit, "generate") as tell:
        if again is not None:
            model, takes = _again(
                again, model_name if "model_name" in on_line else None, styles, primer
            )
        else:
            model = load(model_name, styles)
            _check(arguments, changes, played, on_line)
            if primer is not None and primer_events is not None:
                raise click.UsageError("give one of --primer and --primer-events")
            ids = events_to_begin_with(primer_events, model.vocabulary, one_based)
            arguments["primer"] = ids if primer is None else performance_of(primer)
            seed = secrets.randbelow(2**31) if seed is None else seed
            takes = _takes(model, played, seed, arguments, tell)
            if wants:
                takes, fits = _best(takes, count, tempo, meter)
        for path, take in zip(outputs, takes, strict=False):  # a search may find fewer
            rows.append(_write(path, model, take, primer, tempo_map))
    for row, found in zip(rows, fits, strict=False):
        row |= {"tempo": finite(found.tempo), "meter": found.meter, "fits": round(found.share, 3)}
    if as_json:
        report(json.dumps({"model": model.card["name"], "takes": rows}), output)
        return
    for row in rows:
        line = "{file}: {notes} notes, {seconds:.1f} s, seed {seed}"
        if fits and row["tempo"] is None:
            line += "; no beats were found in it"
        elif fits:
            line += "; {tempo:.0f} beats a minute, {meter}; {fits:.0%} of the beats fit"
        report(line.format(**row), output)


def _option(ctx: click.Context, name: str) -> click.Parameter:
    return next(parameter for parameter in ctx.command.params if parameter.name == name)


def _check(
    arguments: Arguments,
    changes: tuple[tuple[float, Options], ...],
    count: int,
    on_line: set[str],
) -> None:
    """Put the changes among the arguments, and refuse what would make no difference."""
    beam, stochastic = arguments["beam"], arguments["stochastic"]
    arguments["changes"] = {}
    for second, change in changes:
        at = arguments["changes"].setdefault(second, {})
        if twice := at.keys() & change:
            raise click.UsageError(f"--at gives {min(twice)} at {second:g} s twice")
        at.update(change)
    if stochastic and beam is None:
        raise click.UsageError("--stochastic goes with --beam")
    if beam is not None:
        for name in ("seconds", "notes", "ending", "form", "at", "tempo", "meter"):
            if {"at": "changes"}.get(name, name) in on_line:
                raise click.UsageError(f"--{name} does not go with --beam")
        if arguments["events"] is None or count > beam:
            raise click.UsageError("--beam goes with --events, and --count is at most --beam")
        if "seed" in on_line and not stochastic:
            raise click.UsageError("--seed goes with --beam only if it is --stochastic")
    elif count > 1:
        options = {name: arguments[name] for name in Options.__annotations__ if name in arguments}
        settings = Settings().changed(**options)
        if all(s.certain for s in (settings, *(settings.changed(**c) for _, c in changes))):
            raise click.UsageError("this makes the same take each time: nothing is drawn")


def _takes(
    model: Model, count: int, seed: int, arguments: Arguments, tell: Callable[[float, float], None]
) -> Iterator[Take]:
    """Play takes, some of them side by side; or search them."""
    if arguments["beam"] is not None:
        for number, performance in enumerate(_search(model, seed, arguments)[:count], 1):
            yield seed, {**arguments, "take": number}, performance
        return
    piece = {name: value for name, value in arguments.items() if name not in _SEARCH}
    if count == 1:
        yield seed, arguments, model.generate(seed=seed, progress=tell, **piece)
        return
    tell(0, count)
    for first in range(0, count, _SIDE_BY_SIDE):
        size = min(_SIDE_BY_SIDE, count - first)
        batch = model.generate_batch(size, seed=seed + first, **piece)
        tell(first + size, count)
        for number, performance in enumerate(batch, seed + first):
            yield number, arguments, performance


def _best(
    takes: Iterable[Take], count: int, tempo: float | None, meter: str | None
) -> tuple[list[Take], list[Fit]]:
    """Return the takes whose beats fit best, the best first, and how well they do."""
    rated = [(fit(find_beats(take[2]), tempo=tempo, meter=meter), take) for take in takes]
    rated.sort(key=lambda pair: pair[0], reverse=True)
    return [take for _, take in rated[:count]], [found for found, _ in rated[:count]]


def _search(model: Model, seed: int, arguments: Arguments) -> list[Performance]:
    """Return what a beam search finds, the best first."""
    names = {*Options.__annotations__, *_PRIMERS, "events", "stochastic"}
    search = {name: value for name, value in arguments.items() if name in names}
    found = model.beam_search(width=arguments["beam"], seed=seed, **search)
    begin = opened(*(arguments.get(name) for name in _PRIMERS))
    include = arguments.get("include_primer", False)
    if include and begin is None:
        raise GenerationError("there is no primer to include: give one")
    return [model.decode(result.ids, begin, include) for result in found]


def _again(
    file: Path, model_name: str | None, styles: Sequence[str], primer: Path | None
) -> tuple[Model, list[Take]]:
    """Play again what a file says of itself."""
    provenance = midi.read_provenance(file)
    if provenance is None:
        raise click.UsageError(f"{file}: does not say how it was made")
    if model_name is None and provenance.model not in bundled():
        raise click.UsageError(
            f"{file}: give the file of its model {provenance.model!r} by --model"
        )
    model = load(model_name or provenance.model, styles)
    begin = None if primer is None else performance_of(primer)
    try:
        arguments = arguments_of(provenance, model, begin)
        if "beam" in arguments:
            performance = _search(model, provenance.seed, arguments)[arguments["take"] - 1]
        else:
            performance = model.generate(seed=provenance.seed, **arguments)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # a stranger wrote it
        raise click.UsageError(f"{file}: cannot be made again: {error}") from None
    return model, [(provenance.seed, arguments, performance)]


def _write(
    path: Path, model: Model, take: Take, primer: Path | None, tempo_map: bool
) -> dict[str, Any]:
    """Write a take, and return what is said of it; of the file of the primer nothing changes."""
    seed, arguments, performance = take
    begin = opened(*(arguments.get(name) for name in _PRIMERS))
    included = arguments.get("include_primer", False)
    if is_sound(path):
        performance.write(path)
    else:
        key = None if arguments.get("key") is None else parse_key(arguments["key"])
        signature = None if key is None else (key.sharps, key.mode == "minor")
        provenance = provenance_of(model, seed, arguments)
        edited = primer if included and primer and not is_recording(primer) else None
        if edited is not None and isinstance(begin, Performance):
            song = midi.parsed_song(midi.load(edited), str(edited))
            new = _new(performance.notes, begin.notes), _new(performance.controls, begin.controls)
            part = midi.main_part(song)
            midi.appended(song, part, *new, provenance=provenance, key_signature=signature).write(
                path
            )
        else:
            beats = find_beats(performance) if tempo_map else None
            performance.write(path, provenance=provenance, key_signature=signature, beats=beats)
    ended_s = performance.seconds
    if included and isinstance(begin, Performance):
        ended_s -= begin.seconds
    for second in arguments.get("changes", {}):
        if second >= ended_s:
            click.echo(
                f"espressivo: {path}: its last sound is before the change at {second:g} s", err=True
            )
    seconds = round(performance.seconds, 3)
    return {"file": str(path), "seed": seed, "notes": len(performance), "seconds": seconds}


def _new(whole: NDArray[np.void], part: NDArray[np.void]) -> NDArray[np.void]:
    """Return what a whole has beside a part of it."""
    left = Counter(map(tuple, part.tolist()))
    new = []
    for row in map(tuple, whole.tolist()):
        new.append(left[row] == 0)
        left[row] -= left[row] > 0
    return np.asarray(whole[np.array(new, bool)])


COMMANDS = (generate,)
