"""Learning: the network of a model goes on learning from recordings.

They are prepared, learned from until what is held out is no longer predicted better, and what has
come of it is measured on that, and written only if it is better.

All work is done in a folder beside the output, with a dataset and a run in it, from which a second
call goes on where the first was stopped. It is removed when the work is done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from espressivo.codes import Vocabulary
from espressivo.data import Augmentation, Cut, Dataset, find_files, prepare
from espressivo.engine import Engine, Style, write_style
from espressivo.errors import DataError, ModelError, TrainingError
from espressivo.export import export, read_back, shifts_of
from espressivo.files import check_writable, replacing
from espressivo.learn.figures import Gain, compared
from espressivo.networks import Network, NetworkConfig, Stack, StackConfig
from espressivo.play import DEFAULT_MODEL, load
from espressivo.progress import Progress, Silent
from espressivo.training import Outcome, TrainingConfig, load_network, train

__all__ = ["WAYS", "Learned", "Way", "learn"]

Way = Literal["style", "lora", "all"]
"""What of a model learns; see `learn`."""

WAYS: tuple[Way, ...] = ("style", "lora", "all")

_STYLE = ".style"
_ALL_FROM_S = 30 * 60.0  # of playing, all weights learn if nothing else is said
_RANK = 8
_INHERITED = ("licence", "trained_on", "not_learned")  # of what the card of a model says
_PIANO = range(8)  # programs
_LEAST_S, _LEAST_NOTES = 60.0, 200  # of all pieces together
_FRACTIONS = (0.85, 0.15, 0.0)
_FEW_FILES = 64  # that are read faster than processes start


@dataclass(frozen=True)
class Learned:
    """What was learned, and how well.

    Parameters
    ----------
    way : {"style", "lora", "all"}
        What of the model has learned.
    pieces : int
        Files that were learned from, or whose ends were held out.
    minutes : float
        Of playing, all together.
    updates : int
        Of the weights that were kept.
    ended : str
        Why learning ended; ``stopped by ...`` if it was interrupted, and can go on.
    held_out : Gain or None
        Figures before and after; None if it was interrupted. What was held out has also decided
        when to stop, so that they may be slightly too good.
    """

    way: Way
    pieces: int
    minutes: float
    updates: int
    ended: str
    held_out: Gain | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {**asdict(self), "held_out": self.held_out and self.held_out.to_dict()}


def learn(
    sources: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    way: Way | None = None,
    name: str | None = None,
    max_time_s: float | None = None,
    rounds: float = 30.0,
    seed: int = 0,
    accelerator: str = "auto",
    progress: Progress | None = None,
) -> Learned:
    """Make a model that plays like some recordings.

    Parameters
    ----------
    sources : sequence of paths
        MIDI files and recordings, and folders of such. Only notes for piano (programs 0 to 7) are
        learned from. Whole compositions are held out, or of a single one the last fifth.
    output : path
        What to write: a model file, or where the name ends in ``.style`` a style. Work is done in
        the folder beside it with ``.learning`` after its name, which stays if the work is stopped:
        the same call then goes on.
    model : str or path
        The model to begin from: one that comes with the package, or a model file.
    way : {"style", "lora", "all"}, optional
        What learns. "style": what memories hold at first, and what is added to biases and other
        vectors of the model, which stays as it is. "lora": matrices of rank 8 that are added to
        those of the model. "all": all weights. By default a style where `output` is one, else all
        weights from half an hour of playing on, and "lora" with less, if the model has blocks.
    name : str, optional
        Of the new model; the output's by default.
    max_time_s : float, optional
        Seconds that learning may take, with what was done before it was stopped.
    rounds : float
        Passes over the pieces at most, if no time is given.
    seed : int
    accelerator : str
        As `lightning.fabric.Fabric` takes it.
    progress : Progress, optional

    Returns
    -------
    Learned

    Raises
    ------
    DataError
        If there is no file, or less than a minute of playing or 200 notes.
    ModelError
        If the model to begin from cannot be used, or has no blocks for this way.
    TrainingError
        If the way and the name of the output do not agree.
        If nothing was gained: then nothing is written. Or if the folder holds work on other pieces
        or from another model.
    OSError
        If something cannot be written. What was learned until then stays in the folder.
    """
    progress = progress or Silent()
    output = Path(output)
    check_writable(output)
    folder = output.with_name(f"{output.name}.learning")
    began_as = load(model).engine
    start = read_back(began_as)
    if way is not None and way not in WAYS:
        raise TrainingError(f"{output}: the way must be one of {', '.join(WAYS)}, not {way!r}")
    if way is not None and (way == "style") != (output.suffix == _STYLE):
        ending = _STYLE if way == "style" else ".onnx"
        raise TrainingError(f"{output}: this way makes a file that ends in {ending}: name one")
    if output.suffix == _STYLE:
        way = "style"
    pattern = getattr(start.network.config, "pattern", "")
    if (way == "style" and "d" not in pattern) or (way == "lora" and not pattern):
        raise ModelError(
            f"model {began_as.card['name']!r} has no blocks that could learn so: name an output "
            "that ends in .onnx, and let all weights learn"
        )
    try:
        dataset = _prepared(sources, folder / "dataset", start.vocabulary, progress)
    except DataError:
        if not (folder / "run").exists():
            _clear(folder)
        raise
    seconds = sum(piece.seconds for piece in dataset.pieces)
    way = way or ("lora" if pattern and seconds < _ALL_FROM_S else "all")
    begun = {"model": began_as.sha256, "dataset": dataset.sha256, "seed": seed, "way": way}
    _begin(folder, begun)
    outcome = train(
        dataset,
        folder / "run",
        _config(start.network.config, way, rounds, max_time_s, seed),
        resume=(folder / "run" / "last.ckpt").exists(),
        start=start,
        accelerator=accelerator,
        devices=1,
        progress=progress,
    )
    learned = _learned(way, dataset, outcome)
    if outcome.ended.startswith("stopped by"):
        return learned
    network, _ = load_network(folder / "run" / "best.ckpt")
    card = {key: began_as.card[key] for key in _INHERITED if key in began_as.card}
    card["name"] = name or output.stem
    gain = compared(began_as, _write(network, began_as, card, folder, way), dataset, progress)
    if gain.gain.value <= 0:
        _clear(folder)
        raise TrainingError(
            f"{output}: is not written, as nothing was gained: {gain.before.value:.3f} nats a note "
            f"before and {gain.after.value:.3f} after, on what was held out: give more playing"
        )
    learned = dataclasses.replace(learned, held_out=gain)
    said = f"{card['trained_on']}; then {learned.pieces} pieces by whoever made this model"
    card |= {"trained_on": said, "began_as": began_as.card["name"], "learned": learned.to_dict()}
    _write(network, began_as, card, folder, way, output)
    _clear(folder)
    return learned


def _clear(folder: Path) -> None:
    """Remove what was made in a folder, and the folder if there is nothing else in it."""
    for name in ("dataset", "run"):
        if (folder / name).exists():
            shutil.rmtree(folder / name)
    for name in ("begun.json", "tried.onnx"):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _write(
    network: Network,
    began_as: Engine,
    card: dict[str, Any],
    folder: Path,
    way: Way,
    output: Path | None = None,
) -> Engine:
    """Write what was learned, to be tried in the folder if no output is given; return it loaded."""
    if way != "style":
        path = output or folder / "tried.onnx"
        export(network, began_as.vocabulary, path, card=card)
        return Engine(path)
    if not isinstance(network, Stack):
        raise TypeError(f"a style of {type(network).__name__}")
    memories = network.style.memories.detach().cpu().numpy()
    made_from = began_as.card["name"], began_as.sha256
    style = Style(card["name"], *made_from, card, memories, shifts_of(network)).rounded()
    if output is not None:
        write_style(style, output)
    return began_as.styled([(style, 1.0)])


def _prepared(
    sources: Sequence[str | os.PathLike[str]], out: Path, v: Vocabulary, progress: Progress
) -> Dataset:
    """Prepare the recordings; `DataError` if they are too few to learn from."""
    named = ", ".join(map(str, sources))
    few = len(find_files(sources, recordings=True)) <= _FEW_FILES
    executor = ThreadPoolExecutor(1) if few else None
    manifest = prepare(
        sources,
        out,
        vocabulary=v,
        fractions=_FRACTIONS,
        programs=_PIANO,
        executor=executor,
        progress=progress,
    )
    if not manifest.kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in manifest.dropped.items())
        raise DataError(f"{named}: there is nothing for piano to learn from ({reasons})")
    dataset = Dataset(out)
    seconds = sum(piece.seconds for piece in dataset.pieces)
    notes = sum(piece.notes for piece in dataset.pieces)
    if seconds < _LEAST_S or notes < _LEAST_NOTES:
        raise DataError(
            f"{named}: {seconds:.0f} seconds of piano with {notes} notes are too little to learn "
            "from: give a minute at least, better ten"
        )
    if not manifest.splits["validation"].pieces:
        raise DataError(
            f"{named}: short files of one composition leave nothing to hold out: give other pieces "
            "too, or a file of half a minute"
        )
    return dataset


def _begin(folder: Path, begun: dict[str, Any]) -> None:
    """Note what a run is of; `TrainingError` if there is one of something else."""
    path = folder / "begun.json"
    content = json.dumps(begun)
    if not (folder / "run").exists():
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != content:
        raise TrainingError(
            f"{folder}: holds work on other pieces, from another model or with another seed: "
            "remove it to begin anew, or name another output"
        )


_RATES: dict[Way, float] = {"style": 2e-2, "lora": 2e-3, "all": 2e-4}


def _config(
    network: NetworkConfig, way: Way, rounds: float, max_time_s: float | None, seed: int
) -> TrainingConfig:
    if way != "style":
        network = dataclasses.replace(network, dropout=0.1)
    if way != "all" and isinstance(network, StackConfig):
        style = way == "style"
        network = dataclasses.replace(network, style=style, rank=0 if style else _RANK)
    return TrainingConfig(
        network=network,
        cut=Cut(8, 128 if network.notewise else 512, carried=True, jump=0.25),
        augmentation=Augmentation(2, 0.025, 1),
        rounds=rounds,
        max_time_s=max_time_s,
        learning_rate=_RATES[way],
        weight_decay=0.0 if way == "style" else 0.01,
        only={"style": "style", "lora": "rank", "all": None}[way],
        warmup_updates=10,
        validate_every=25,
        validation_share=0.5,
        patience=4,
        checkpoint_every_s=60,
        seed=seed,
    )


def _learned(way: Way, dataset: Dataset, outcome: Outcome) -> Learned:
    seconds = sum(piece.seconds for piece in dataset.pieces)
    pieces = len({piece.path for piece in dataset.pieces})
    return Learned(way, pieces, seconds / 60, outcome.best_update, outcome.ended, None)
