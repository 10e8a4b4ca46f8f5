"""Commands that let a performance be heard and seen."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import click

from espressivo.cli.options import JSON, PATH, Example, Output, performance_of, report
from espressivo.progress import Console, counted
from espressivo.views import FORMATS, SAMPLE_RATE, check_path, render

__all__ = ["COMMANDS"]

_SOUND = click.option(
    "-o", "--output", type=Output(*FORMATS), required=True, help="Sound: wav, flac, ogg or mp3."
)
_PICTURE = click.option(
    "-o",
    "--output",
    type=Output(".png", ".svg", ".pdf"),
    required=True,
    help="Picture to write: png, svg, pdf.",
)


@click.command(
    "render",
    cls=Example,
    epilog="""
    espressivo render performance.mid -o performance.wav
    espressivo render performance.mid --soundfont steinway.sf2 -o out.flac
    espressivo render performance.mid --sample-rate 48000 -o out.wav
    """,
)
@click.argument("file", type=PATH)
@_SOUND
@click.option("--soundfont", type=PATH, help="SF2 or SF3 file instead of the bundled piano.")
@click.option("--sample-rate", type=int, default=SAMPLE_RATE, help="Samples a second.")
@JSON
def render_(
    file: Path, output: Path, soundfont: Path | None, sample_rate: int, as_json: bool
) -> None:
    """Play a MIDI FILE on a sampled piano, and write the sound."""
    check_path(output)
    performance = performance_of(file)
    with counted(Console(sys.stderr), "notes", "render") as tell:
        audio = render(performance, sample_rate=sample_rate, soundfont=soundfont, progress=tell)
    audio.write(output)
    peak_db = round(20 * math.log10(audio.peak), 1)
    if as_json:
        about = {"file": str(output), "seconds": round(audio.seconds, 3), "peak_db": peak_db}
        report(json.dumps({**about, "sample_rate": sample_rate}), output)
        return
    report(f"{output}: {audio.seconds:.1f} s, peak {peak_db} dB", output)


@click.command(
    cls=Example,
    epilog="""
    espressivo plot performance.mid -o roll.png
    espressivo plot performance.mid another.mid -o both.svg
    espressivo plot performance.mid --curves -o curves.png
    espressivo plot runs/gru -o loss.png
    """,
)
@click.argument("file", type=PATH)
@click.argument("other", type=PATH, required=False)
@click.option("--curves", is_flag=True, help="Pace and dynamics over time instead of the roll.")
@_PICTURE
def plot(file: Path, other: Path | None, curves: bool, output: Path) -> None:
    """Draw the piano roll of a MIDI FILE, with loudness as colour.

    With an OTHER file both are drawn, one over the other. Of the folder of a training run the loss
    is drawn.
    """
    from espressivo import views as plots

    if file.is_dir():
        if curves or other is not None:
            raise click.UsageError(f"{file} is a folder: neither --curves nor OTHER goes with it")
        plots.training_curves(plots.training_log(file), output)
    else:
        draw = plots.playing_curves if curves else plots.piano_roll
        second = None if other is None else performance_of(other)
        draw(performance_of(file), output, other=second)
    report(str(output), output)


COMMANDS = (render_, plot)
