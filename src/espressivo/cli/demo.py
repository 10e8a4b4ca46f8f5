"""The command that shows what there is to hear and see. It needs no torch."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from espressivo.cli.options import JSON, Between, Example, Folder
from espressivo.files import check_writable
from espressivo.play import load, provenance_of
from espressivo.progress import Console, counted
from espressivo.views import piano_roll, render

__all__ = ["COMMANDS"]


@click.command(
    cls=Example,
    epilog="""
    espressivo demo
    espressivo demo --seconds 60 --seed 3 --out another
    """,
)
@click.option("--out", type=Folder(), default="demo", help="Folder to write into.")
@click.option("--seconds", type=Between(0, min_open=True), default=30.0, help="Length.")
@click.option("--seed", type=click.IntRange(0), default=7, help="Another seed: another piece.")
@JSON
def demo(out: Path, seconds: float, seed: int, as_json: bool) -> None:
    """Play a piece by the bundled model, as MIDI, sound and picture.

    The folder gets performance.mid, as `espressivo generate` writes it, performance.wav and, with
    the extra `plot`, performance.png.
    """
    midi, sound, picture = (out / f"performance{ending}" for ending in (".mid", ".wav", ".png"))
    out.mkdir(parents=True, exist_ok=True)
    drawn = find_spec("matplotlib") is not None
    made = [midi, sound, *([picture] if drawn else [])]
    for path in made:
        check_writable(path)
    model = load()
    with counted(Console(sys.stderr), "seconds", "generate") as tell:
        performance = model.generate(seconds=seconds, seed=seed, progress=tell)
    performance.write(midi, provenance=provenance_of(model, seed, {"seconds": seconds}))
    with counted(Console(sys.stderr), "notes", "render") as tell:
        audio = render(performance, progress=tell)
    audio.write(sound)
    if drawn:
        piano_roll(performance, picture)
    if as_json:
        about = {"seed": seed, "notes": len(performance), "seconds": round(performance.seconds, 3)}
        click.echo(json.dumps({"files": [str(path) for path in made], **about}))
    else:
        for path in made:
            click.echo(str(path))
    if not drawn:
        why = "no picture: it needs matplotlib: pip install 'espressivo[plot]'"
        click.echo(f"espressivo: {why}", err=True)


COMMANDS = (demo,)
