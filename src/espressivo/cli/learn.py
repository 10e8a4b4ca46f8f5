"""Commands of the learning half: data are prepared, networks trained; see the extra ``train``."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from espressivo import telemetry
from espressivo.cli.options import (
    JSON,
    PATH,
    PLACE,
    VOCABULARY,
    Between,
    Duration,
    Example,
    Folder,
    finite,
    given,
    need,
    weights_of,
)
from espressivo.codes import vocabulary as preset
from espressivo.errors import DataError

if TYPE_CHECKING:
    from espressivo.networks import NetworkConfig
    from espressivo.training import Outcome, TrainingConfig

__all__ = ["COMMANDS"]

_COUNT = click.IntRange(1)
_POSITIVE = Between(0, min_open=True)
_CLUSTER_S = 10.0  # so long a scheduler is waited for


@click.command(
    cls=Example,
    epilog="""
    espressivo prepare maestro --csv maestro/maestro-v3.0.0.csv --out data
    espressivo prepare recordings more-recordings --out data --vocabulary magenta
    espressivo prepare recordings --out data --scheduler tcp://192.0.2.1:8786
    """,
)
@click.argument("folders", type=PATH, nargs=-1, required=True)
@click.option(
    "--out",
    type=Folder(urls=True),
    required=True,
    help="Folder to write the dataset in, or a URL such as s3://bucket/data.",
)
@click.option(
    "--csv",
    "splits",
    type=PATH,
    help="Table that gives each file its split: MAESTRO's own, or one with columns path, split "
    "and composition. Without it, pieces are recognised and split by composition.",
)
@VOCABULARY
@click.option(
    "--program",
    "programs",
    type=click.IntRange(0, 127),
    multiple=True,
    help="Keep only tracks of this General MIDI program (repeatable). Default: all but drums.",
)
@click.option(
    "--manifest",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    help="Kind of the table of all files; parquet, by pyarrow, suits a hundred thousand and more.",
)
@click.option("--workers", type=_COUNT, help="Processes; one for each core if not given.")
@click.option(
    "--scheduler",
    help="Address of a Dask scheduler, whose workers do it instead; they must see the same folders "
    "under the same paths.",
)
@JSON
def prepare(
    folders: Sequence[Path],
    out: Path | str,
    splits: Path | None,
    vocabulary_name: str,
    programs: Sequence[int],
    manifest: str,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Make a dataset for training from FOLDERS of performances.

    MIDI files and recordings are found recursively. Exact and near duplicates are dropped; all
    performances of one composition fall into one split. A run that was stopped continues where it
    was, and a second run reuses what is there. The manifest says what became of every file. What
    is for a URL (extra `cloud`) is made first in ESPRESSIVO_CACHE or ~/.cache/espressivo.
    """
    from espressivo.data import prepare as prepare_corpus
    from espressivo.data import processes
    from espressivo.progress import Console

    if workers and scheduler:
        raise click.UsageError("--scheduler has workers of its own: leave out --workers")
    with _cluster(scheduler) if scheduler else processes(workers) as executor:
        made = prepare_corpus(
            folders,
            out,
            vocabulary=preset(vocabulary_name),
            splits=splits,
            programs=programs or None,
            manifest=manifest,
            executor=executor,
            progress=Console(sys.stderr),
        )
    click.echo(json.dumps(made.to_dict()) if as_json else "\n".join(made.lines()))


@contextlib.contextmanager
def _cluster(scheduler: str) -> Iterator[Executor]:
    """Give the workers of a Dask cluster."""
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        what = f"--scheduler needs {error.name}: pip install 'espressivo[cluster]'"
        raise DataError(what) from None
    try:
        client = Client(scheduler, timeout=_CLUSTER_S)  # type: ignore[no-untyped-call]  # Dask
    except (OSError, ValueError) as error:
        raise DataError(f"{scheduler}: no Dask scheduler answers there ({error})") from None
    with client, client.get_executor() as executor:  # type: ignore[no-untyped-call]  # Dask
        yield executor


class _NetworkName(click.ParamType[Any]):
    """The name of a network, looked up where torch is at hand."""

    name = "name"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the name, or fail with the names that there are."""
        need("torch", "lightning")
        from espressivo.networks import NETWORKS

        if value not in NETWORKS:
            self.fail(f"{value!r} is not one of {', '.join(NETWORKS)}", param, ctx)
        return str(value)


@click.command(
    cls=Example,
    epilog="""
    espressivo train data --network gru --out runs/gru
    espressivo train data --out runs/gru --carry --window 128 --max-time 02:30:00
    espressivo train data --out runs/gru --resume
    """,
)
@click.argument("dataset", type=PLACE)
@click.option("--out", type=Folder(), required=True, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on with the run in that folder.")
@click.option(
    "--network",
    type=_NetworkName(),
    default="gru",
    help="gru: 2 x 512, the post's; lstm: 3 x 512, Magenta's; delta: 4 x 256, a stack, ours; "
    "notewise: the same over the notes of the vocabulary notes.",
)
@click.option("--hidden", type=_COUNT, help="Units of a layer, instead of the network's.")
@click.option("--layers", type=_COUNT, help="Layers, instead of the network's.")
@click.option(
    "--pattern",
    help="Of a stack: each layer's memory, d by the delta rule or a by attention: ddda.",
)
@click.option("--heads", type=_COUNT, help="Of a stack: heads of a layer, instead of 4.")
@click.option("--attention", type=_COUNT, help="Of a stack: events that a layer a reaches back.")
@click.option(
    "--controls/--no-controls",
    default=False,
    help="Of a stack: learn to be steered; with --carry.",
)
@click.option(
    "--pointers/--no-pointers",
    default=False,
    help="Of notewise: read where the music has been before. Can be added with --start-from.",
)
@click.option(
    "--fill/--no-fill",
    default=False,
    help="Of notewise: learn to fill gaps, knowing what follows. Can be added with --start-from.",
)
@click.option(
    "--gaps",
    type=Between(0, 1),
    default=1 / 3,
    show_default="a third",
    help="With --fill: the part of the rows that have gaps.",
)
@click.option("--only", help="Train this part of the network alone, such as pointers.")
@click.option("--dropout", type=Between(0, 1, max_open=True), default=0.0)
@click.option("--rounds", type=_POSITIVE, default=10.0, help="Passes over the training split.")
@click.option("--max-time", type=Duration(), help="Time for the whole run, as HH:MM:SS.")
@click.option("--batch", type=_COUNT, default=64, help="Windows learned from at once.")
@click.option(
    "--window",
    type=click.IntRange(2),
    default=500,
    help="Events of a window; whole ones, not ids, with notewise.",
)
@click.option("--window-seconds", type=_POSITIVE, help="Cut windows by seconds instead.")
@click.option("--carry", is_flag=True, help="Carry the state from window to window of a piece.")
@click.option(
    "--jump",
    type=Between(0, 1),
    default=0.25,
    help="With --carry: chance to go on in the middle of another piece after a window.",
)
@click.option(
    "--transpose", type=click.IntRange(0, 24), default=4, help="At random, up to so many semitones."
)
@click.option(
    "--stretch",
    type=Between(0, 0.5, max_open=True),
    default=0.05,
    help="At random, up to so much longer or shorter.",
)
@click.option(
    "--loudness",
    type=click.IntRange(0, 16),
    default=0,
    help="At random, louder or softer by up to so many steps of the code.",
)
@click.option(
    "--start-from",
    type=PATH,
    help="Folder that export wrote, or a model, by path or name: go on from its weights.",
)
@click.option("--optimizer", type=click.Choice(["adamw", "adam", "muon"]), default="adamw")
@click.option("--learning-rate", type=_POSITIVE, default=1e-3, help="The highest one.")
@click.option("--weight-decay", type=Between(0), default=0.01, help="Not with adam.")
@click.option("--clip", type=_POSITIVE, default=1.0, help="Largest norm of the gradient.")
@click.option(
    "--warmup-updates", type=click.IntRange(0), default=100, help="Updates of a rising rate."
)
@click.option(
    "--decay", type=Between(0, 1), default=0.3, help="Share of updates with falling rate."
)
@click.option(
    "--decay-now",
    is_flag=True,
    help="With --resume: let the rate fall from here to the run's end, which --max-time or "
    "--rounds may move.",
)
@click.option(
    "--accumulate",
    type=_COUNT,
    default=1,
    help="Parts in which the windows of an update are read, one by one, to save memory.",
)
@click.option(
    "--average",
    type=Between(0, 1, max_open=True),
    default=0.0,
    help="Validate and export a running average of the weights, which keeps so much of itself at "
    "each update, such as 0.999.",
)
@click.option("--validate-every", type=_COUNT, default=500, help="Updates between validations.")
@click.option("--patience", type=_COUNT, help="Stop after so many validations without a new best.")
@click.option("--checkpoint-every", type=Between(0), default=300.0, help="Seconds in between.")
@click.option(
    "--keep",
    type=click.IntRange(0, 99),
    default=0,
    help="Checkpoints that stay, at even shares of the run: 3 leaves passed-25.ckpt and so on.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of weights, order, augmentation.")
@click.option("--compile/--no-compile", default=False, help="Compile; suits delta and notewise.")
@click.option("--precision", default="auto", help="auto, 32-true, bf16-mixed, ...")
@click.option("--accelerator", default="auto", help="auto, cpu, cuda, mps.")
@click.option("--devices", default="auto", help="Number of devices, on each node.")
@click.option("--num-nodes", "nodes", type=_COUNT, default=1, help="Machines that train together.")
@click.option(
    "--strategy",
    type=click.Choice(["auto", "ddp"]),
    default="auto",
    help="ddp: several devices, whose gradients are averaged.",
)
@JSON
def train(
    dataset: Path | str,
    out: Path,
    resume: bool,
    decay_now: bool,
    accelerator: str,
    devices: str,
    nodes: int,
    strategy: str,
    start_from: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on a prepared DATASET.

    That is a folder or, with the extra `cloud`, a URL. The run's folder holds last.ckpt and
    best.ckpt, log.csv, curves.png and TensorBoard's log. A run that was stopped, however it was,
    goes on with --resume, with the settings it began with; only options about its length (--rounds,
    --max-time, --patience) may be given anew, and --decay-now.
    """
    need("torch", "lightning")
    telemetry.forbid()
    from lightning.fabric.utilities import rank_zero_only

    from espressivo.data import Dataset
    from espressivo.progress import Console
    from espressivo.training import Checkpoint, train

    # Our own lines say enough; Fabric, too, speaks through this logger.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    on_line = given(click.get_current_context())
    chosen = {name: value for name, value in options.items() if name in on_line}
    start = None
    if decay_now and not resume:
        raise click.UsageError("--decay-now goes with --resume; --decay says it beforehand")
    if resume:
        if start_from:
            raise click.UsageError("a resumed run goes on from itself: leave out --start-from")
        config = _resumed(Checkpoint.load(out / "last.ckpt").config, chosen)
    elif start_from:
        sizes = sorted(chosen.keys() & _SIZES)
        if sizes:
            listed = ", ".join("--" + name for name in sizes)
            raise click.UsageError(f"--start-from brings its own network: leave out {listed}")
        start = weights_of(start_from)
        for name in _PARTS:
            if name in chosen and not options[name]:
                raise click.UsageError(f"--start-from takes no part away: leave out --no-{name}")
        config = _configured(options, _with_parts(start.network.config, options))
    else:
        config = _configured(options, _network(options))
    outcome = train(
        Dataset(dataset),
        out,
        config,
        resume=resume,
        decay_now=decay_now,
        start=start,
        accelerator=accelerator,
        devices=int(devices) if devices.isdigit() else devices,
        nodes=nodes,
        strategy=strategy,
        progress=Console(sys.stderr),
    )
    said = json.dumps({**vars(outcome), "nats": finite(outcome.nats)})
    rank_zero_only(click.echo)(said if as_json else _summary(outcome, out))
    if outcome.ended.startswith("stopped by"):
        click.get_current_context().exit(130)


_PARTS = ("pointers", "fill")  # that a network may be given later

# Options that decide what network is made.
_SIZES = {"network", "hidden", "layers", "pattern", "heads", "controls", "dropout"}


def _summary(outcome: Outcome, out: Path) -> str:
    skipped = f" ({outcome.skipped} skipped: gradient not finite)" if outcome.skipped else ""
    return (
        f"{outcome.ended} after {outcome.updates} updates{skipped}, {outcome.events} events, "
        f"{outcome.seconds / 60:.1f} minutes; best validation {outcome.nats:.4f} nats/event at "
        f"update {outcome.best_update}: {out / 'best.ckpt'}"
    )


def _configured(options: dict[str, Any], network: NetworkConfig) -> TrainingConfig:
    """Make the settings of a run from the options of `train`."""
    from espressivo.data import Augmentation, Cut
    from espressivo.networks import RecurrentConfig
    from espressivo.training import TrainingConfig

    if options["window_seconds"] and options["carry"]:
        raise click.UsageError("--carry needs windows of events: leave --window-seconds out")
    if (network.sides or network.notewise) and not options["carry"]:
        raise click.UsageError("a network over notes or with controls needs --carry")
    if options["optimizer"] == "muon" and isinstance(network, RecurrentConfig):
        raise click.UsageError("--optimizer muon needs --network delta or notewise")
    return TrainingConfig(
        network=network,
        cut=Cut(
            options["batch"],
            options["window"],
            options["window_seconds"],
            options["carry"],
            options["jump"] if options["carry"] else 0.0,
            options["gaps"] if "fill" in network.sides else 0.0,
        ),
        augmentation=Augmentation(options["transpose"], options["stretch"], options["loudness"]),
        rounds=options["rounds"],
        max_time_s=options["max_time"],
        checkpoint_every_s=options["checkpoint_every"],
        **{
            name: options[name]
            for name in (
                "optimizer",
                "learning_rate",
                "weight_decay",
                "clip",
                "warmup_updates",
                "decay",
                "accumulate",
                "average",
                "validate_every",
                "patience",
                "keep",
                "only",
                "seed",
                "compile",
                "precision",
            )
        },
    )


def _with_parts(network: NetworkConfig, options: dict[str, Any]) -> NetworkConfig:
    """Return the sizes of a network, with the parts that are asked for."""
    import dataclasses

    from espressivo.networks import StackConfig

    wanted: dict[str, Any] = {name: True for name in _PARTS if options[name]}
    if not wanted:
        return network
    if not isinstance(network, StackConfig) or not network.notewise:
        listed = " and ".join(f"--{name}" for name in wanted)
        raise click.UsageError(f"{listed} needs a network over notes, --network notewise")
    return dataclasses.replace(network, **wanted)


def _network(options: dict[str, Any]) -> NetworkConfig:
    """Make the sizes of a network from the options of `train`."""
    import dataclasses

    from espressivo.codes import SIZE
    from espressivo.networks import NETWORKS, StackConfig

    config = NETWORKS[options["network"]]
    if isinstance(config, StackConfig):
        pattern = options["pattern"] or "d" * (options["layers"] or len(config.pattern))
        controls = SIZE if options["controls"] else 0
        sizes = {
            "pattern": pattern,
            "width": options["hidden"],
            "heads": options["heads"],
            "window": options["attention"],
            "controls": controls,
            "pointers": options["pointers"],
            "fill": options["fill"],
        }
        if options["layers"] not in (None, len(pattern)):
            raise click.UsageError("--layers and --pattern do not agree: leave --layers out")
    else:
        sizes = {name: options[name] for name in ("hidden", "layers")}
        of_stacks = ("pattern", "heads", "attention", "controls", "pointers", "fill")
        if any(options[name] for name in of_stacks):
            listed = ", ".join(f"--{name}" for name in of_stacks)
            raise click.UsageError(f"{listed} need --network delta or notewise")
    given = {name: size for name, size in sizes.items() if size is not None}
    try:
        return dataclasses.replace(config, dropout=options["dropout"], **given)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _resumed(config: TrainingConfig, given: dict[str, Any]) -> TrainingConfig:
    """Return the settings of a run to resume, with the options about its length given anew."""
    import dataclasses

    names = {
        "rounds": "rounds",
        "max_time": "max_time_s",
        "patience": "patience",
        "validate_every": "validate_every",
        "checkpoint_every": "checkpoint_every_s",
        "keep": "keep",
    }
    others = sorted(set(given) - set(names))
    if others:
        listed = ", ".join("--" + name.replace("_", "-") for name in others)
        raise click.UsageError(f"a resumed run keeps its settings: leave out {listed}")
    return dataclasses.replace(config, **{names[name]: value for name, value in given.items()})


COMMANDS = (prepare, train)
