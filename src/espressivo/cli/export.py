"""The command that writes a trained network as a model file, or as a folder of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from espressivo.cli.options import PATH, Example, finite, given, need, weights_of
from espressivo.codes import CONTROLS
from espressivo.errors import TrainingError
from espressivo.files import check_writable
from espressivo.play import MODEL_FILE

__all__ = ["COMMANDS"]


@click.command(
    cls=Example,
    epilog="""
    espressivo export runs/gru -o gru.onnx
    espressivo export runs/gru -o gru-pretrained
    espressivo export gru-pretrained -o gru.onnx --weights fp16
    espressivo export runs/gru -o mean.onnx --mean-with gru.onnx --share 0.5
    """,
)
@click.argument("run", type=PATH)
@click.option(
    "-o", "--output", type=PATH, required=True, help="Model file (.onnx) or folder to write."
)
@click.option("--name", help="Name of the model; the output's if not given.")
@click.option("--licence", help="Licence of the weights.")
@click.option("--trained-on", help="What it was trained on.")
@click.option(
    "--not-learned",
    type=click.Choice(CONTROLS),
    multiple=True,
    help="A control that the network was shown and does not follow: it is not offered.",
)
@click.option(
    "--mean-with",
    "other",
    metavar="MODEL",
    type=PATH,
    help="Write the mean of its weights and those of the model that it went on from.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.5,
    help="With --mean-with: how much of the mean is that model's.",
)
@click.option(
    "--weights",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="int8",
    help="How a model file stores them. int8 is the smallest and fastest; fp32 is exact.",
)
def export(
    run: Path,
    output: Path,
    name: str | None,
    licence: str | None,
    trained_on: str | None,
    not_learned: tuple[str, ...],
    other: Path | None,
    share: float,
    weights: str,
) -> None:
    """Write the network of a RUN as a file that plays without torch.

    RUN is the folder of a training run, whose best checkpoint is taken, or a checkpoint, or a
    folder or model file that this command wrote. An output that does not end in .onnx is such a
    folder, laid out as on Hugging Face's hub: model.safetensors and config.json to learn from,
    model.onnx to play, and README.md, a card to complete, which is left alone if there is one.
    """
    if output.suffix != ".onnx":
        if output.suffix.lstrip(".").isalpha():
            raise click.UsageError(f"{output}: end the name in .onnx, or name a folder")
        if output.exists() and not output.is_dir():
            raise click.ClickException(f"{output}: is no folder: end the name of a file in .onnx")
    else:
        check_writable(output)
    need("torch", "onnx", "safetensors")
    from espressivo.export import export as write_model
    from espressivo.networks import averaged, save_pretrained
    from espressivo.training import load_network

    card: dict[str, Any] = {"licence": "unspecified", "trained_on": "unspecified"}
    if run.suffix == ".onnx" or (run / "config.json").is_file():
        saved = weights_of(run)
        network, vocabulary = saved.network, saved.vocabulary
        card |= saved.card
    else:
        network, checkpoint = load_network(run / "best.ckpt" if run.is_dir() else run)
        vocabulary = checkpoint.vocabulary
        card |= {
            "steps": checkpoint.step,
            "passed": round(checkpoint.step / max(checkpoint.steps, 1), 4),
            "events": checkpoint.events,
            "seconds": round(checkpoint.seconds),
            "validation_nats_per_event": finite(checkpoint.best_nats),
            "training": checkpoint.config.to_dict(),
        }
    if not_learned and not getattr(network.config, "controls", 0):
        raise click.UsageError("--not-learned: the network was shown no controls")
    if other is not None:
        second = weights_of(other)
        if second.vocabulary != vocabulary:
            raise click.ClickException(f"{other}: has another vocabulary than {run}")
        try:
            network = averaged(network, second.network, share, vocabulary)
        except TrainingError as error:
            raise click.ClickException(f"{other}: {error}") from None
        card["mean_with"] = {"model": second.card.get("name", other.name), "share": share}
    elif "share" in given(click.get_current_context()):
        raise click.UsageError("--share goes with --mean-with")
    said = {
        "name": name or output.stem,
        "licence": licence,
        "trained_on": trained_on,
        "not_learned": list(not_learned) or None,
    }
    card |= {key: value for key, value in said.items() if value is not None}
    if output.suffix != ".onnx":
        save_pretrained(network, vocabulary, output, card=card)
        write_model(network, vocabulary, output / MODEL_FILE, card=card, weights=weights)
        click.echo(f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}")
        return
    write_model(network, vocabulary, output, card=card, weights=weights)
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


COMMANDS = (export,)
