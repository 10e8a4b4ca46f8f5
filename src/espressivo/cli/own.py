"""The command that makes a model from one's own playing."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from espressivo import telemetry
from espressivo.cli.options import JSON, MODEL, PATH, Duration, Example, Output, need
from espressivo.files import is_stream

if TYPE_CHECKING:
    from espressivo.learn import Learned, Way

__all__ = ["COMMANDS"]


@click.command(
    cls=Example,
    epilog="""
    espressivo learn my-playing -o mine.onnx
    espressivo learn my-playing take.mid -o mine.onnx --max-time 01:00:00
    espressivo learn my-playing -o mine.onnx --way all
    espressivo learn my-playing -o mine.style
    """,
)
@click.argument("sources", type=PATH, nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=Output(".onnx", ".style"),
    required=True,
    help="File to write: a model (.onnx), or a style of --model (.style).",
)
@MODEL
@click.option(
    "--way",
    type=click.Choice(("style", "lora", "all")),
    help="What learns: a style, low ranks beside the weights (lora), or all weights. By default a "
    "style for .style, else all from half an hour of playing on, and lora with less.",
)
@click.option("--name", help="Name of the new model; the output's if not given.")
@click.option(
    "--max-time", "max_time_s", type=Duration(), default="00:20:00", help="Time for learning."
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the order of what is learned.")
@click.option("--accelerator", default="auto", help="auto, cpu, cuda, mps.")
@JSON
def learn(
    sources: Sequence[Path],
    output: Path,
    model_name: str,
    way: Way | None,
    name: str | None,
    max_time_s: float,
    seed: int,
    accelerator: str,
    as_json: bool,
) -> None:
    """Make a model that plays like you from SOURCES of your playing.

    They are MIDI files or, with the extra `transcribe`, recordings, and folders of such. Ten
    minutes of playing are enough to begin with, and more are better. The weights of --model go on
    learning until what was held out, whole compositions or the end of the only one, is no longer
    predicted better, or the time is up. The new model says how much better it predicts that than
    before; if it does not, nothing is written.

    A style is 0.2 MB instead of a whole model, for --style of generate, live and serve: it changes
    what the model remembers at first, and biases and the like, but none of its matrices.

    A call that was stopped, by Ctrl-C or otherwise, goes on when it is made again.
    """
    need("torch", "lightning", "onnx", "safetensors")
    if way is not None and (way == "style") != (output.suffix == ".style"):
        ending = ".style" if way == "style" else ".onnx"
        raise click.UsageError(f"{output}: --way {way} makes a file that ends in {ending}")
    if is_stream(output):
        raise click.UsageError(f"{output}: name a file, as work is kept beside it")
    telemetry.forbid()
    from espressivo.learn import learn as learn_from
    from espressivo.progress import Console

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # our lines say enough
    learned = learn_from(
        sources,
        output,
        model=model_name,
        way=way,
        name=name,
        max_time_s=max_time_s,
        seed=seed,
        accelerator=accelerator,
        progress=Console(sys.stderr),
    )
    click.echo(json.dumps(learned.to_dict()) if as_json else "\n".join(_lines(learned, output)))
    if learned.held_out is None:
        click.get_current_context().exit(130)


def _lines(learned: Learned, output: Path) -> list[str]:
    """Say what was learned."""
    gain = learned.held_out
    if gain is None:
        return [f"{learned.ended}: the same command goes on; {output} is not written yet"]
    lines = [
        f"{output}: {output.stat().st_size / 1e6:.1f} MB, learned from {learned.pieces} pieces, "
        f"{learned.minutes:.0f} minutes, in {learned.updates} updates ({learned.ended}), way "
        f"{learned.way}",
        f"held out: {gain.notes} notes, {gain.before.text(3)} nats a note before, "
        f"{gain.after.text(3)} after; gained {gain.gain.text(3)}",
        f"intervals of 95 % over {gain.over} of what was held out",
    ]
    if not gain.shown:
        lines.append("this gain may be chance: give more playing")
    return lines


COMMANDS = (learn,)
