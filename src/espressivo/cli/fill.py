"""The commands that change a passage of a MIDI file. They need no torch."""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from espressivo import midi
from espressivo.cli.options import (
    JSON,
    MIDI,
    MODEL,
    PATH,
    Between,
    Example,
    Output,
    performance_of,
    report,
)
from espressivo.errors import MidiError
from espressivo.files import check_writable, is_stream
from espressivo.music import Performance, is_recording
from espressivo.play import CANDIDATES, Keep, Model, load
from espressivo.progress import Console, counted
from espressivo.version import __version__

__all__ = ["COMMANDS"]

_TRACK = re.compile(r"track\s+(\d+)")
_Command = TypeVar("_Command", bound=Callable[..., Any])

_SHARED = (
    click.argument("file", type=PATH),
    click.option(
        "--from",
        "start",
        required=True,
        help="Where the passage begins: seconds, or bar and beat by the file's own tempo map, "
        "like 5:1.",
    ),
    click.option("--to", "end", required=True, help="Where it ends, likewise; or 'end'."),
    MODEL,
    click.option(
        "--track",
        "tracks",
        type=click.IntRange(1),
        multiple=True,
        help="Track of the piano, counted from 1, if there are several; can be given twice.",
    ),
    click.option("--channel", type=click.IntRange(1, 16), help="Channel of the piano."),
    click.option(
        "--candidates",
        type=click.IntRange(1),
        default=CANDIDATES,
        help="How many are played and weighed by how well what follows goes on from them.",
    ),
    click.option(
        "--temperature", type=Between(0), default=0.9, help="Of pitches: lower plays safer."
    ),
    click.option("--density", type=Between(0), help="Ask for so many notes a second."),
    click.option("--loudness", type=Between(1, 127), help="Ask for this mean velocity."),
    click.option("--key", help="Ask for the pitches of a key, like 'F# minor' or 'Bb'."),
    click.option("--seed", type=click.IntRange(0), help="The same seed gives the same file."),
    click.option(
        "--count", type=click.IntRange(1), default=1, help="Files: out-1.mid, out-2.mid, ..."
    ),
    click.option("-o", "--output", type=Output(*MIDI), required=True, help="MIDI file to write."),
    JSON,
)


def _shared(command: _Command) -> _Command:
    """Give a command the options that both have."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


@click.command(
    cls=Example,
    epilog="""
    espressivo fill mine.mid --from 1.5 --to 3.5 -o filled.mid
    espressivo fill mine.mid --from 1:2 --to 2:1 --keep left --count 3 -o new.mid
    espressivo fill mine.mid --from 1.5 --to 2.5 --seconds 4 --key Am -o new.mid
    """,
)
@_shared
@click.option(
    "--keep",
    help="What stays note for note: left or right (a hand), 'below C4', 'above C4', 'track 2', or "
    "rhythm (when notes begin).",
)
@click.option(
    "--seconds",
    type=Between(0, min_open=True),
    help="Length of the new passage, if not that of the old; what follows moves.",
)
def fill(
    file: Path,
    start: str,
    end: str,
    tracks: tuple[int, ...],
    channel: int | None,
    keep: str | None,
    seconds: float | None,
    **others: Any,
) -> None:
    """Invent a passage of a MIDI FILE anew, to fit what it is in.

    Nothing else in the file changes: no message outside the passage, and of the passage only the
    notes and the sustain pedal of the piano.
    """
    _check_differ(others["temperature"] == 0, others["count"])
    kept_track = None if keep is None else _TRACK.fullmatch(keep.strip())
    if kept_track is not None and tracks:
        tracks = (*tracks, int(kept_track[1]))
    passage = _opened(file, start, end, tracks, channel)
    asked: Keep | None = keep
    if kept_track is not None:
        asked = passage.on_track(int(kept_track[1]))
    length_s = seconds
    if seconds is None and passage.end_s != passage.until_s:
        length_s = passage.end_s - passage.start_s

    def play(model: Model, **arguments: Any) -> list[Performance]:
        return model.fill(
            passage.performance,
            passage.start_s,
            passage.until_s,
            keep=asked,
            seconds=length_s,
            **arguments,
        )

    _write(passage, play, seconds, "Filled", **others)


@click.command(
    cls=Example,
    epilog="espressivo vary mine.mid --from 1.5 --to 3.5 --amount 0.3 -o varied.mid",
)
@_shared
@click.option(
    "--amount",
    type=Between(0, 1),
    default=0.3,
    help="The part of the notes that go: 0 leaves the passage as it is, 1 fills it.",
)
def vary(
    file: Path,
    start: str,
    end: str,
    tracks: tuple[int, ...],
    channel: int | None,
    amount: float,
    **others: Any,
) -> None:
    """Change a passage of a MIDI FILE a little.

    Most of its notes stay note for note, and so does all the rest of the file; see `fill`.
    """
    _check_differ(amount == 0 or (amount == 1 and others["temperature"] == 0), others["count"])
    passage = _opened(file, start, end, tracks, channel)

    def play(model: Model, **arguments: Any) -> list[Performance]:
        return model.vary(
            passage.performance, passage.start_s, passage.until_s, amount=amount, **arguments
        )

    _write(passage, play, None, "Varied", **others)


def _check_differ(certain: bool, count: int) -> None:
    """Refuse several files that would be the same."""
    if certain and count > 1:
        raise click.UsageError("--count makes the same file each time: nothing is drawn")


@dataclass(frozen=True)
class _Passage:
    """A passage of a file: in ticks, and in seconds; the piano's ends no later than it plays."""

    file: Path
    song: midi.Song
    parts: Sequence[midi.Part]
    performance: Performance
    start: int
    end: int

    @property
    def start_s(self) -> float:
        return self.song.seconds(self.start)

    @property
    def end_s(self) -> float:
        return self.song.seconds(self.end)

    @property
    def until_s(self) -> float:
        return min(self.end_s, self.performance.seconds)

    def on_track(self, number: int) -> Any:
        """Tell which notes are on a track."""
        its = [part for part in self.parts if part.track == number]
        if not its:
            raise MidiError(f"{self.file}: the piano has no notes on track {number}")
        there = {tuple(note) for note in midi.part_performance(self.song, its).notes.tolist()}
        return np.array([tuple(note) in there for note in self.performance.notes.tolist()], bool)


def _opened(
    file: Path, start: str, end: str, tracks: Sequence[int], channel: int | None
) -> _Passage:
    """Read a file and find a passage in it."""
    heard = midi.to_bytes(performance_of(file)) if is_recording(file) else None
    song = midi.parsed_song(heard or midi.load(file), str(file))
    try:
        parts = midi.piano(song, tracks, channel)
        first, last = song.tick(start), song.tick(end)
    except MidiError as error:
        raise MidiError(f"{file}: {error}") from None
    passage = _Passage(file, song, parts, midi.part_performance(song, parts), first, last)
    if first >= last:
        raise click.UsageError(f"--from must come before --to: {start} does not before {end}")
    if last > song.end:
        raise click.UsageError(
            f"--to {end} is beyond the piece, which ends at {song.seconds(song.end):.6g} s"
        )
    if passage.until_s <= passage.start_s:
        raise click.UsageError(
            f"the piano ends at {passage.performance.seconds:.6g} s, before --from {start}: "
            "to go on from there, use generate --primer"
        )
    return passage


def _write(
    passage: _Passage,
    play: Callable[..., list[Performance]],
    seconds: float | None,
    what: str,
    *,
    model_name: str,
    output: Path,
    count: int,
    seed: int | None,
    as_json: bool,
    candidates: int,
    **settings: Any,
) -> None:
    """Play, and write a file for each."""
    outputs = [output]
    if count > 1:
        if is_stream(output):
            raise click.UsageError("--count makes several files: give the name of a file")
        outputs = [
            output.with_name(f"{output.stem}-{n}{output.suffix}") for n in range(1, count + 1)
        ]
        for path in outputs:
            check_writable(path)
    model = load(model_name)
    label = click.get_current_context().info_name or what
    seed = secrets.randbelow(2**31) if seed is None else seed
    with counted(Console(sys.stderr), "candidates", label) as tell:
        played = play(
            model, count=count, seed=seed, candidates=candidates, progress=tell, **settings
        )
    old = {tuple(note) for note in passage.performance.notes.tolist()}
    rows = []
    for number, (path, performance) in enumerate(zip(outputs, played, strict=True)):
        line = (
            f"{what} with espressivo {__version__}; model {model.card['name']}; "
            f"seed {seed + number}; licence {model.card['licence']}"
        )
        midi.replaced(
            passage.song,
            passage.parts,
            passage.start,
            passage.end,
            performance,
            seconds=seconds,
            texts=[(midi.TEXT, line.encode())],
        ).write(path)
        onset_s = performance.notes["onset_s"]
        end_s = passage.end_s if seconds is None else passage.start_s + seconds
        inside = performance.notes[(onset_s >= passage.start_s) & (onset_s < end_s)]
        kept = sum(tuple(note) in old for note in inside.tolist())
        rows.append({"file": str(path), "notes": len(inside), "kept": kept, "seed": seed + number})
    if as_json:
        about = {"model": model.card["name"], "from_s": passage.start_s, "to_s": passage.end_s}
        report(json.dumps({**about, "fills": rows}), output)
        return
    for row in rows:
        report(
            "{file}: {notes} notes in the passage, {kept} kept, seed {seed}".format(**row), output
        )


COMMANDS = (fill, vary)
