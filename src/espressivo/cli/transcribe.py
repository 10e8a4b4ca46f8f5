"""The command that makes MIDI of recordings."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from espressivo.cli.options import JSON, MIDI, PATH, Example, Folder, Output, report
from espressivo.data import find_files
from espressivo.errors import AudioError, DataError
from espressivo.files import printable
from espressivo.music import SUSTAIN, is_recording
from espressivo.progress import Console

__all__ = ["COMMANDS"]


@click.command(
    cls=Example,
    epilog="""
    espressivo transcribe recording.m4a -o take.mid
    espressivo transcribe my-recordings --out takes
    """,
)
@click.argument("sources", type=PATH, nargs=-1, required=True)
@click.option("-o", "--output", type=Output(*MIDI), help="MIDI file to write, of one recording.")
@click.option(
    "--out",
    type=Folder(),
    help="Folder for the MIDI files of many. Those that are there are not made again.",
)
@JSON
def transcribe(
    sources: Sequence[Path], output: Path | None, out: Path | None, as_json: bool
) -> None:
    """Transcribe recordings of a piano: notes, touch and pedals.

    SOURCES are sound (wav, flac, mp3, m4a, ogg and others), films, and folders of such. The extra
    `transcribe` is needed. On one core it takes about one and a half times as long as the
    recording lasts; an hour needs no more memory than a minute. All is heard as a piano: another
    instrument becomes what a piano would have to play.
    """
    if (output is None) == (out is None):
        raise click.UsageError("give either -o, for one recording, or --out")
    if output is not None:
        if len(sources) > 1 or sources[0].is_dir():
            raise click.UsageError("-o goes with one recording: for several give a folder by --out")
        rows, failed = [_written(sources[0], output)], 0
    else:
        rows, failed = _all(sources, out or Path())
    if as_json:
        report(json.dumps({"takes": rows}), output or Path())
    else:
        for row in rows:
            line = "{file}: {notes} notes, the sustain pedal {pedal} times, {seconds:.1f} s"
            report(line.format(**row), output or Path())
    if failed:
        raise click.ClickException(f"{failed} of {failed + len(rows)} could not be transcribed")


def _all(sources: Sequence[Path], out: Path) -> tuple[list[dict[str, Any]], int]:
    """Transcribe all that is not there yet; return what was written, and how many failed."""
    found = [(n, p) for n, p in find_files(sources, recordings=True) if is_recording(p)]
    if not found:
        raise DataError(f"{', '.join(map(str, sources))}: no sound without MIDI beside it")
    outputs: dict[Path, str] = {}
    for name, _ in found:
        output = out / Path(name).with_suffix(".mid")
        if output in outputs:
            raise DataError(f"{name} and {outputs[output]}: both would become {output}: rename one")
        outputs[output] = name
    rows, failed = [], 0
    for number, ((name, path), output) in enumerate(zip(found, outputs, strict=True), 1):
        if output.exists():
            click.echo(printable(f"{output}: is there already"), err=True)
            continue
        click.echo(printable(f"{name}: {number} of {len(found)}"), err=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            rows.append(_written(path, output))
        except AudioError as error:
            click.echo(printable(f"espressivo: {error}"), err=True)
            failed += 1
    return rows, failed


def _written(source: Path, output: Path) -> dict[str, Any]:
    """Transcribe a recording, and return what is said of it."""
    from espressivo.transcribe import transcribe

    heard = transcribe(source, progress=Console(sys.stderr))
    heard.write(output)
    moves = heard.controls
    return {
        "file": str(output),
        "notes": len(heard),
        "pedal": int(((moves["number"] == SUSTAIN) & (moves["value"] > 0)).sum()),
        "seconds": round(heard.seconds, 3),
    }


COMMANDS = (transcribe,)
