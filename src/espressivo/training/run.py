"""Training: teacher forcing over a prepared dataset, on Lightning Fabric.

A run is a folder::

    last.ckpt     everything needed to continue, as of the last checkpoint
    best.ckpt     the same, as of the best validation
    log.csv       a row for every report: update (step), events, learning rate, loss, validation
    curves.png    the same as a picture (where matplotlib is installed)
    tensorboard/  the same for TensorBoard (where it is installed)

The learning rate rises linearly, stays, and falls linearly to nothing over the last part of the
run ("warm-up, stable, decay"; Hägele et al. 2024). A run that is stopped at any moment and resumed
goes on from its last checkpoint and, on a CPU, ends with the same weights, bit for bit.
"""

from __future__ import annotations

import csv
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from espressivo.data import Batch, Dataset, batches
from espressivo.errors import TrainingError
from espressivo.files import replacing
from espressivo.networks import Network, State, adopt, build, hidden_matrices
from espressivo.progress import Progress, Silent
from espressivo.training.checkpoint import Checkpoint
from espressivo.training.config import TrainingConfig
from espressivo.training.loss import cleared, read, summed_nats, tensors, validation_nats
from espressivo.training.muon import Muon

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from espressivo.networks import Pretrained

__all__ = ["Outcome", "train"]

_REPORT_EVERY = 20  # updates between rows of the log


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    `ended` says why in words, `steps` is the number of updates, and `nats` the best validation in
    nats per event, after `step` of them.
    """

    ended: str
    steps: int
    events: int
    seconds: float
    nats: float
    step: int


def train(
    dataset: Dataset,
    out: Path,
    config: TrainingConfig,
    *,
    resume: bool = False,
    start: Pretrained | None = None,
    accelerator: str = "auto",
    devices: int | str = "auto",
    strategy: str = "auto",
    progress: Progress | None = None,
) -> Outcome:
    """Train a network until its rounds, its time or its patience are used up.

    Parameters
    ----------
    out : path
        Folder of the run; made if missing.
    resume : bool
        Resume from ``last.ckpt``. The settings of the run stay, but for ``rounds``,
        ``max_time_s``, ``patience``, ``validate_every`` and ``checkpoint_every_s``.
    start : Pretrained, optional
        A network as in ``config.network``, to fine-tune its weights instead of drawing new ones; it
        may lack pointers, which are then added.
    accelerator, devices, strategy
        As `lightning.fabric.Fabric` takes them. Without "ddp" or the like, one device is used.

    Raises
    ------
    TrainingError
        If there is a run in the folder already, or none to resume, or one with other settings,
        or Fabric refuses what is requested of it, or the network to start from was trained on
        another vocabulary.
    """
    if start is not None and start.vocabulary != dataset.vocabulary:
        raise TrainingError(
            f"{dataset.folder}: its vocabulary {dataset.vocabulary.name!r} is not that of the "
            f"network to start from, {start.vocabulary.name!r}; prepare the data in that"
        )
    if devices == "auto" and strategy == "auto":
        devices = 1
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            strategy=strategy,
            precision=_precision(config.precision, accelerator),  # type: ignore[arg-type]  # a str
        )
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"{out}: cannot be trained so on this machine: {reason}") from error
    fabric.launch()
    if progress is None or not fabric.is_global_zero:
        progress = Silent()
    return _Run(fabric, dataset, out, config, resume, start, progress).go()


class _Run:
    """A run in progress: the checkpoint is its state, the network and optimizer are live."""

    def __init__(
        self,
        fabric: Fabric,
        dataset: Dataset,
        out: Path,
        config: TrainingConfig,
        resume: bool,
        start: Pretrained | None,
        progress: Progress,
    ) -> None:
        self.fabric, self.dataset, self.out, self.progress = fabric, dataset, out, progress
        self.position: list[Any] | None = None
        self.state: State | None = None
        last = out / "last.ckpt"
        if last.exists() and not resume:
            raise TrainingError(f"{out}: holds a run already; resume it, or choose another folder")
        torch.manual_seed(config.seed)
        network = build(config.network, dataset.vocabulary)
        _train_only(network, config.only, out)
        out.mkdir(parents=True, exist_ok=True)
        optimizers = _optimizers(network, config)
        per_update = config.cut.rows * config.cut.events * fabric.world_size
        events = dataset.count_events("train", config.network.notewise)
        updates = math.ceil(config.rounds * events / per_update)
        if resume:
            saved = Checkpoint.load(last).resumed(config, dataset.vocabulary, last)
            if config.max_time_s is None:
                saved.steps = updates
            self._restore(saved, network, optimizers, last)
        else:
            saved = Checkpoint(config, dataset.vocabulary, {}, [], updates)
            if start is not None:
                adopt(network, start.network)
        self.saved, self.config = saved, config
        self.network = fabric.setup_module(network)
        self.learner = torch.compile(self.network) if config.compile else self.network
        self.average: AveragedModel | None = None
        if config.average:
            keep = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]  # torch's
            self.average = AveragedModel(network, multi_avg_fn=keep)
            if saved.average:
                self.average.module.load_state_dict(saved.average)
                self.average.n_averaged += saved.step
        made = fabric.setup_optimizers(*optimizers)
        self.optimizers = list(made) if isinstance(made, tuple) else [made]
        self.board = _tensorboard(out, saved.step) if fabric.is_global_zero else None
        self.began = time.monotonic() - saved.seconds
        self.checkpointed = time.monotonic()

    def _restore(
        self,
        saved: Checkpoint,
        network: Network,
        optimizers: list[torch.optim.Optimizer],
        path: Path,
    ) -> None:
        """Put back what a checkpoint holds of this process."""
        rank, processes = self.fabric.global_rank, len(saved.positions)
        if processes != self.fabric.world_size:
            raise TrainingError(f"{path}: {processes} processes trained it; resume with as many")
        network.load_state_dict(saved.network)
        for optimizer, kept in zip(optimizers, saved.optimizers, strict=True):
            optimizer.load_state_dict(kept)
        torch.set_rng_state(saved.rng[rank])
        self.position = saved.positions[rank]
        self.state = tuple(part.to(self.fabric.device) for part in saved.carried[rank]) or None

    def go(self) -> Outcome:
        saved, config = self.saved, self.config
        source = batches(
            self.dataset,
            config.cut,
            config.augmentation,
            seed=config.seed,
            position=self.position,
            sides=config.network.sides,
            notewise=config.network.notewise,
            part=self.fabric.global_rank,
            parts=self.fabric.world_size,
        )
        since = _Since(self.fabric.device)
        self.progress.start(saved.steps, "updates", "training")
        self.progress.advance(saved.step)
        self.network.train()
        with _stop_signals() as stop:
            ended = self._reason_to_stop(stop)
            while not ended:
                batch = next(source)
                since.add(self._update(batch), batch.events)
                self.position = batch.position
                saved.step += 1
                saved.events += batch.events * self.fabric.world_size
                saved.seconds = time.monotonic() - self.began
                ended = self._reason_to_stop(stop)
                validate = saved.step % config.validate_every == 0 or ended in (
                    "finished",
                    "time is up",
                )
                if saved.step % _REPORT_EVERY == 0 or validate or ended:
                    self._report(since, validate)
                    ended = ended or self._reason_to_stop(stop)
                else:
                    self.progress.advance()
                if validate or ended or self._checkpoint_due():
                    self._checkpoint()
        if self.board is not None:
            self.board.close()
        self.progress.close()
        return Outcome(
            ended, saved.step, saved.events, saved.seconds, saved.best_nats, saved.best_step
        )

    def _update(self, batch: Batch) -> Tensor:
        """Learn from one batch; return the summed nats."""
        rate = self.config.learning_rate_at(self.saved.step, self.saved.steps)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
        inputs, targets, sides = tensors(batch, self.fabric.device)
        state = cleared(self.state, batch, inputs.device) if self.config.cut.carried else None
        logits, state = read(self.learner, inputs, targets, state, sides)
        nats = summed_nats(logits, targets, self.dataset.vocabulary)
        self.fabric.backward(nats / batch.events)
        for optimizer in self.optimizers:
            self.fabric.clip_gradients(self.network, optimizer, max_norm=self.config.clip)
            optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network.module)
        if self.config.cut.carried:
            self.state = tuple(part.detach() for part in state)
        return nats.detach()

    def _report(self, since: _Since, validate: bool) -> None:
        saved, config = self.saved, self.config
        nats, rate = since.take()
        row = {
            "step": saved.step,
            "events": saved.events,
            "seconds": round(saved.seconds, 1),
            "events_per_s": round(rate * self.fabric.world_size),
            "learning_rate": config.learning_rate_at(saved.step - 1, saved.steps),
            "train_nats": nats,
        }
        left_s = (saved.steps - saved.step) * saved.seconds / saved.step
        note = (
            f"{nats:.3f} nats/event, {row['events_per_s']:.0f} events/s, {left_s / 60:.0f} min left"
        )
        if validate:
            measured = validation_nats(
                self.network if self.average is None else self.average.module,
                self.dataset,
                "validation",
                config.validation_events,
                self.fabric.device,
            )
            since.skip_time()
            saved.seconds = time.monotonic() - self.began
            row["validation_nats"] = measured
            self._judge(measured)
            self._plan()
            self.progress.note(f"update {saved.step}: {note}, validation {measured:.4f}")
        saved.log.append(row)
        self.progress.advance(1, note)
        if self.fabric.is_global_zero:
            self._draw(row)
            if validate:
                _write_log(self.out, saved.log)

    def _draw(self, row: dict[str, float]) -> None:
        if self.board is not None:
            for name in row.keys() - {"step", "events", "seconds"}:
                self.board.add_scalar(name, row[name], self.saved.step)

    def _judge(self, nats: float) -> None:
        saved = self.saved
        if nats < saved.best_nats:
            saved.best_nats, saved.best_step, saved.validations_since_best = nats, saved.step, 0
            return
        saved.validations_since_best += 1
        self.progress.note(
            f"warning: validation is {nats:.4f}, above its best, {saved.best_nats:.4f} at update "
            f"{saved.best_step}: the network may have begun to learn its pieces by heart"
        )

    def _plan(self) -> None:
        """Fit the number of updates to the time left, as long as the learning rate stays."""
        saved, config = self.saved, self.config
        if config.max_time_s is None or saved.step >= saved.steps * (1 - config.decay):
            return
        before = [row for row in saved.log if "validation_nats" in row][-1:]
        done, seconds = (before[0]["step"], before[0]["seconds"]) if before else (0, 0.0)
        rate = (saved.step - done) / (saved.seconds - seconds)  # since the validation before
        updates = saved.step + max(int(rate * (config.max_time_s - saved.seconds)), 1)
        saved.steps = int(self.fabric.broadcast(updates))
        self.progress.expect(saved.steps)

    def _reason_to_stop(self, stop: list[str]) -> str:
        saved, config = self.saved, self.config
        if saved.step >= saved.steps:
            return "finished"
        if config.patience is not None and saved.validations_since_best >= config.patience:
            return "validation stopped improving"
        if not self._together:
            return ""
        reason = ""
        if config.max_time_s is not None and saved.seconds >= config.max_time_s:
            reason = "time is up"
        return str(self.fabric.broadcast(stop[0] if stop else reason))

    @property
    def _together(self) -> bool:
        """Whether processes compare clocks and signals now; one by itself does at every update."""
        return self.fabric.world_size == 1 or self.saved.step % _REPORT_EVERY == 0

    def _checkpoint_due(self) -> bool:
        due = time.monotonic() - self.checkpointed >= self.config.checkpoint_every_s
        return self._together and bool(self.fabric.broadcast(due))

    def _checkpoint(self) -> None:
        saved = self.saved
        saved.network = {name: t.cpu() for name, t in self.network.state_dict().items()}
        if self.average is not None:
            averaged = self.average.module.state_dict()
            saved.average = {name: t.cpu() for name, t in averaged.items()}
        saved.optimizers = [optimizer.state_dict() for optimizer in self.optimizers]
        carried = [part.cpu() for part in self.state or ()]
        mine = (self.position, carried, torch.get_rng_state())
        every = _gathered(mine, self.fabric)
        saved.positions = [position for position, _, _ in every]
        saved.carried = [states for _, states, _ in every]
        saved.rng = [rng for _, _, rng in every]
        if self.fabric.is_global_zero:
            if saved.best_step == saved.step:
                saved.save(self.out / "best.ckpt")
            saved.save(self.out / "last.ckpt")
        self.checkpointed = time.monotonic()


class _Since:
    """Loss and speed since the last report."""

    def __init__(self, device: torch.device) -> None:
        self.nats, self.events, self.time = torch.zeros((), device=device), 0, time.monotonic()

    def add(self, nats: Tensor, events: int) -> None:
        self.nats += nats
        self.events += events

    def take(self) -> tuple[float, float]:
        """Return nats per event and events per second, and begin anew."""
        now = time.monotonic()
        result = (
            float(self.nats) / max(self.events, 1),
            self.events / max(now - self.time, 1e-9),
        )
        self.nats.zero_()
        self.events, self.time = 0, now
        return result

    def skip_time(self) -> None:
        """Leave the time until now out of the speed."""
        self.time = time.monotonic()


def _train_only(network: Network, part: str | None, out: Path) -> None:
    """Keep all weights as they are but those of a part of the network, if one is named."""
    parts = [name for name, _ in network.named_children()]
    if part is not None and part not in parts:
        raise TrainingError(f"{out}: the network has no part {part!r}: it has {', '.join(parts)}")
    for name, weight in network.named_parameters():
        weight.requires_grad_(part is None or name.startswith(f"{part}."))


def _optimizers(network: Network, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adam":
        learning = [weight for weight in network.parameters() if weight.requires_grad]
        return [torch.optim.Adam(learning, rate, fused=True)]
    optimizers: list[torch.optim.Optimizer] = []
    if config.optimizer == "muon":
        hidden = [weight for weight in hidden_matrices(network) if weight.requires_grad]
        optimizers += [Muon(hidden, rate, decay)] if hidden else []
    taken = {id(p) for optimizer in optimizers for p in optimizer.param_groups[0]["params"]}
    left = [p for p in network.parameters() if p.requires_grad and id(p) not in taken]
    groups = [
        {"params": [p for p in left if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in left if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizers.append(torch.optim.AdamW(groups, rate, fused=True))
    return optimizers


def _precision(wanted: str, accelerator: str) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    native = torch.cpu._is_avx512_bf16_supported()  # no public name asks for it
    on_cpu = accelerator == "cpu" or not torch.backends.mps.is_available()
    return "bf16-mixed" if native and on_cpu else "32-true"


def _gathered(mine: Any, fabric: Fabric) -> list[Any]:
    """Return what each process has, in the order of their ranks."""
    if fabric.world_size == 1:
        return [mine]
    every: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(every, mine)
    return every


@contextmanager
def _stop_signals() -> Iterator[list[str]]:
    """Collect interrupt and termination signals instead of dying of them during an update.

    The second one of a kind acts as usual.
    """
    received: list[str] = []
    before: dict[signal.Signals, Any] = {}

    def receive(number: int, _: object) -> None:
        name = signal.Signals(number)
        received.append(f"stopped by {name.name}")
        signal.signal(name, before[name])

    for name in (signal.SIGINT, signal.SIGTERM):
        before[name] = signal.signal(name, receive)
    try:
        yield received
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _tensorboard(out: Path, update: int) -> SummaryWriter | None:
    """Open TensorBoard's log, forgetting what lies after an update; None if it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(out / "tensorboard", purge_step=update)


def _write_log(out: Path, log: list[dict[str, float]]) -> None:
    """Write log.csv, and curves.png if matplotlib is installed."""
    columns = list(dict.fromkeys(name for row in log for name in row))
    with replacing(out / "log.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(log)
    if find_spec("matplotlib"):
        from espressivo.views import training_curves

        training_curves(log, out / "curves.png")
