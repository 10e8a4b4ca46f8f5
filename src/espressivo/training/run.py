"""Training: teacher forcing over a prepared dataset, on Lightning Fabric.

A run is a folder::

    last.ckpt     everything needed to continue, as of the last checkpoint
    best.ckpt     the same, as of the best validation
    passed-25.ckpt  the same, as of 25 % of the updates; where such are to be kept
    log.csv       a row for every report: update, events, learning rate, loss, validation
    curves.png    the same as a picture (where matplotlib is installed)
    tensorboard/  the same for TensorBoard (where it is installed)

The learning rate rises linearly, stays, and falls linearly to nothing over the last part of the
run ("warm-up, stable, decay"; Hägele et al. 2024). A run that is stopped at any moment and resumed
goes on from its last checkpoint and, on a CPU, ends with the same weights, bit for bit. Its end
can be moved then, and the learning rate made to fall from there on.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from espressivo.data import Batch, Dataset, batches
from espressivo.errors import TrainingError
from espressivo.files import locked
from espressivo.networks import Network, State, adopt, build
from espressivo.progress import Progress, Silent
from espressivo.training.checkpoint import Checkpoint
from espressivo.training.config import TrainingConfig
from espressivo.training.logs import Since, open_tensorboard, write_log
from espressivo.training.loss import cleared, in_rows, read, summed_nats, tensors
from espressivo.training.plan import Plan
from espressivo.training.setup import launched, optimizers, train_only
from espressivo.training.validation import Validation

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from espressivo.networks import Pretrained

__all__ = ["Outcome", "train"]

_REPORT_EVERY = 20  # updates between rows of the log
_MOST_SKIPPED = 20  # updates in a row before a run is given up


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    `ended` says why in words, and `nats` is the best validation in nats per event, after
    `best_update` of the updates. Of these `skipped` changed nothing, as a gradient was not finite.
    """

    ended: str
    updates: int
    skipped: int
    events: int
    seconds: float
    nats: float
    best_update: int


def train(
    dataset: Dataset,
    out: Path,
    config: TrainingConfig,
    *,
    resume: bool = False,
    decay_now: bool = False,
    start: Pretrained | None = None,
    accelerator: str = "auto",
    devices: int | str = "auto",
    nodes: int = 1,
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
        ``max_time_s``, ``patience``, ``validate_every`` and ``checkpoint_every_s``. Other
        ``rounds`` or another ``max_time_s`` move the run's end; the learning rate, if it was
        falling, is then the highest again until ``decay`` of the run is left.
    decay_now : bool
        Of a run that is resumed: let the learning rate fall from here to the run's end.
    start : Pretrained, optional
        A network as in ``config.network``, to fine-tune its weights instead of drawing new ones; it
        may lack pointers, which are then added.
    accelerator, devices
        As `lightning.fabric.Fabric` takes them.
    nodes : int
        Machines that train together, each with so many devices.
    strategy : {"auto", "ddp"}
        One device; or several with the same weights and rows of their own, whose gradients are
        averaged. Several nodes always do that.

    Raises
    ------
    TrainingError
        If there is a run in the folder already, or none to resume, or one with other settings or
        on another dataset, or another process trains in it, or no updates left for the learning
        rate to fall in, or Fabric refuses what is requested of it, or the network to start from was
        trained on another vocabulary, or the gradients of many updates in a row are not finite.
    """
    if start is not None and start.vocabulary != dataset.vocabulary:
        raise TrainingError(
            f"{dataset.folder}: its vocabulary {dataset.vocabulary.name!r} is not that of the "
            f"network to start from, {start.vocabulary.name!r}; prepare the data in that"
        )
    fabric = launched(out, config.precision, accelerator, devices, nodes, strategy)
    if progress is None or not fabric.is_global_zero:
        progress = Silent()
    torch.manual_seed(config.seed)
    network = build(config.network, dataset.vocabulary)
    train_only(network, config.only, out)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, TrainingError) if fabric.is_global_zero else nullcontext():
        return _Run(fabric, network, dataset, out, config, resume, decay_now, start, progress).go()


class _Run:
    """A run in progress: the checkpoint is its state, the network and optimizer are live."""

    def __init__(
        self,
        fabric: Fabric,
        network: Network,
        dataset: Dataset,
        out: Path,
        config: TrainingConfig,
        resume: bool,
        decay_now: bool,
        start: Pretrained | None,
        progress: Progress,
    ) -> None:
        self.fabric, self.dataset, self.out, self.progress = fabric, dataset, out, progress
        self.position: list[Any] | None = None
        self.state: State | None = None
        last = out / "last.ckpt"
        if last.exists() and not resume:
            raise TrainingError(f"{out}: holds a run already; resume it, or choose another folder")
        per_update = config.cut.rows * config.cut.events * fabric.world_size
        events = dataset.count_events("train", config.network.notewise)
        updates = math.ceil(config.rounds * events / per_update)
        if resume:
            saved = _resumed(Checkpoint.load(last), config, updates, decay_now, dataset, last)
            network.load_state_dict(saved.network)
        else:
            saved = Checkpoint(config, dataset.vocabulary, {}, [], updates, dataset=dataset.sha256)
            if start is not None:
                adopt(network, start.network)
        self.saved, self.config = saved, config
        self.network, self.initial_state = fabric.setup_module(network), network.initial_state
        made = optimizers(network, config)  # now that the weights are on their device
        if resume:
            self._restore(made, last)
        put = fabric.setup_optimizers(*made)
        self.optimizers = list(put) if isinstance(put, tuple) else [put]
        self.learner = torch.compile(self.network) if config.compile else self.network
        self.average: AveragedModel | None = None
        if config.average:
            keep = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]  # torch's
            self.average = AveragedModel(network, multi_avg_fn=keep)
            if saved.average:
                self.average.module.load_state_dict(saved.average)
                self.average.n_averaged += saved.step
        self.board = open_tensorboard(out, saved.step) if fabric.is_global_zero else None
        self.validation = Validation(dataset, config, fabric)
        self.plan, self.skipped_in_a_row = Plan(config.validate_every), 0
        self.began = time.monotonic() - saved.seconds
        self.checkpointed = time.monotonic()
        self.part = self.saved.step * (config.keep + 1) // max(self.saved.steps, 1)

    def _restore(self, made: list[torch.optim.Optimizer], path: Path) -> None:
        """Put back what a checkpoint holds of this process."""
        saved, rank, processes = self.saved, self.fabric.global_rank, len(self.saved.positions)
        if processes != self.fabric.world_size:
            raise TrainingError(f"{path}: {processes} processes trained it; resume with as many")
        for optimizer, kept in zip(made, saved.optimizers, strict=True):
            optimizer.load_state_dict(kept)
        rng = saved.rng[rank]
        torch.set_rng_state(rng if isinstance(rng, Tensor) else rng[0])
        if self.fabric.device.type == "cuda" and len(rng) == 2:
            torch.cuda.set_rng_state(rng[1], self.fabric.device)
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
        since = Since(self.fabric)
        self.progress.start(saved.steps, "updates", "training")
        self.progress.advance(saved.step)
        self.network.train()
        with _stop_signals() as stop:
            ended = self._reason_to_stop(stop)
            while not ended:
                batch = next(source)
                nats = self._update(batch)
                if nats is not None:
                    since.add(nats, batch.events)
                self.position = batch.position
                saved.step += 1
                saved.events += batch.events * self.fabric.world_size
                self.plan.learned(self._passed())
                self._plan()
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
                part = saved.step * (config.keep + 1) // saved.steps
                passed, self.part = self.part < part <= config.keep, max(self.part, part)
                if validate or ended or passed or self._checkpoint_due():
                    self._checkpoint(passed)
        if self.board is not None:
            self.board.close()
        self.progress.close()
        return Outcome(
            ended,
            saved.step,
            saved.skipped,
            saved.events,
            saved.seconds,
            saved.best_nats,
            saved.best_step,
        )

    def _passed(self) -> float:
        """Bring the run's clock up to now; return the seconds since it was last."""
        before, self.saved.seconds = self.saved.seconds, time.monotonic() - self.began
        return self.saved.seconds - before

    def _update(self, batch: Batch) -> Tensor | None:
        """Learn from one batch; return the summed nats, or None if its gradient is not finite."""
        rate = self._rate_at(self.saved.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
        nats, state = self._gradients(batch)
        norms = [
            self.fabric.clip_gradients(
                self.network, optimizer, max_norm=self.config.clip, error_if_nonfinite=False
            )
            for optimizer in self.optimizers
        ]
        if not all(norm is not None and bool(norm.isfinite()) for norm in norms):
            self._skip()
            return None
        self.skipped_in_a_row = 0
        for optimizer in self.optimizers:
            optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network.module)
        if self.config.cut.carried:
            self.state = state
        return nats

    def _gradients(self, batch: Batch) -> tuple[Tensor, State]:
        """Let the network read a batch, part by part; return the summed nats and its state."""
        read_of = tensors(batch, self.fabric.device)
        parts, before = self.config.accumulate, self._before(batch)
        every_nats, states = [], []
        for number, rows in enumerate(in_rows(*read_of, before, parts)):
            waits = number < parts - 1 and self.fabric.world_size > 1
            with self.fabric.no_backward_sync(self.network) if waits else nullcontext():
                logits, state = read(self.learner, *rows)
                nats = summed_nats(logits, rows[1], self.dataset.vocabulary)
                self.fabric.backward(nats / batch.events)
            every_nats.append(nats.detach())
            states.append([part.detach() for part in state])
        if parts == 1:
            return every_nats[0], tuple(states[0])
        joined = (torch.cat(same, 1) for same in zip(*states, strict=True))
        return torch.stack(every_nats).sum(), tuple(joined)

    def _before(self, batch: Batch) -> State | None:
        """Return what each row remembers; where it begins anew, that may be learned too."""
        style = self.config.network.style
        first = self.initial_state(self.config.cut.rows) if style else None
        return cleared(self.state, batch, self.fabric.device, first)

    def _skip(self) -> None:
        """Count an update whose gradient is not finite, and forget what its rows remember."""
        self.saved.skipped += 1
        self.skipped_in_a_row += 1
        self.state = None
        if self.skipped_in_a_row >= _MOST_SKIPPED:
            raise TrainingError(
                f"{self.out}: the gradients of {_MOST_SKIPPED} updates in a row are not finite: "
                "begin anew with a lower --learning-rate"
            )

    def _rate_at(self, update: int) -> float:
        return self.config.learning_rate_at(update, self.saved.steps, self.saved.falls_from)

    def _report(self, since: Since, validate: bool) -> None:
        saved = self.saved
        nats, rate = since.take()
        row = {
            "update": saved.step,
            "events": saved.events,
            "seconds": round(saved.seconds, 1),
            "events_per_s": round(rate),
            "learning_rate": self._rate_at(saved.step - 1),
            "train_nats": nats,
            "skipped": saved.skipped,
        }
        left_s = (saved.steps - saved.step) * saved.seconds / saved.step
        note = (
            f"{nats:.3f} nats/event, {row['events_per_s']:.0f} events/s, {left_s / 60:.0f} min left"
        )
        if validate:
            averaged = None if self.average is None else self.average.module
            row |= self.validation.measure(averaged or self.network.module)
            measured = row["validation_nats"]
            since.skip_time()
            took_s = self._passed()
            self.plan.validated(took_s)
            row |= {"seconds": round(saved.seconds, 1), "validation_s": round(took_s, 1)}
            self._judge(measured)
            self._plan()
            self.progress.note(f"update {saved.step}: {note}, validation {measured:.4f}")
        saved.log.append(row)
        self.progress.advance(1, note)
        if self.fabric.is_global_zero:
            self._draw(row)
            if validate:
                write_log(self.out, saved.log)

    def _draw(self, row: dict[str, float]) -> None:
        if self.board is not None:
            for name in row.keys() - {"update", "events", "seconds"}:
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
        """Fit the number of updates to the time left, and note where the rate begins to fall."""
        saved, config = self.saved, self.config
        if config.max_time_s is None or not self._together or saved.step >= saved.steps:
            return
        left = self.fabric.broadcast(self.plan.updates_within(config.max_time_s - saved.seconds))
        if left is not None:
            saved.steps = saved.step + left
            self.progress.expect(saved.steps)
        if saved.falls_from is None and saved.step >= config.falls_from(saved.steps):
            saved.falls_from = saved.step

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
        early = self.saved.step < _REPORT_EVERY
        return self.fabric.world_size == 1 or early or self.saved.step % _REPORT_EVERY == 0

    def _checkpoint_due(self) -> bool:
        due = time.monotonic() - self.checkpointed >= self.config.checkpoint_every_s
        return self._together and bool(self.fabric.broadcast(due))

    def _checkpoint(self, passed: bool) -> None:
        saved = self.saved
        saved.network = {name: t.cpu() for name, t in self.network.state_dict().items()}
        if self.average is not None:
            averaged = self.average.module.state_dict()
            saved.average = {name: t.cpu() for name, t in averaged.items()}
        saved.optimizers = [optimizer.state_dict() for optimizer in self.optimizers]
        carried = [part.cpu() for part in self.state or ()]
        rng = [torch.get_rng_state()]
        if self.fabric.device.type == "cuda":
            rng.append(torch.cuda.get_rng_state(self.fabric.device))
        every = _gathered((self.position, carried, rng), self.fabric)
        saved.positions = [position for position, _, _ in every]
        saved.carried = [states for _, states, _ in every]
        saved.rng = [states for _, _, states in every]
        if self.fabric.is_global_zero:
            if saved.best_step == saved.step:
                saved.save(self.out / "best.ckpt")
            if passed:
                percent = 100 * self.part / (self.config.keep + 1)
                saved.save(self.out / f"passed-{percent:.0f}.ckpt")
            saved.save(self.out / "last.ckpt")
        self.checkpointed = time.monotonic()


def _resumed(
    saved: Checkpoint,
    config: TrainingConfig,
    updates: int,
    decay_now: bool,
    dataset: Dataset,
    path: Path,
) -> Checkpoint:
    """Return a checkpoint to go on from, with the run's end where it is wanted now.

    `updates` is how many the rounds come to.
    """
    moved = (saved.config.rounds, saved.config.max_time_s) != (config.rounds, config.max_time_s)
    saved = saved.resumed(config, dataset, path)
    if moved:
        saved.steps, saved.falls_from = updates, None
        if config.max_time_s is not None:
            left_s = max(config.max_time_s - saved.seconds, 0)
            saved.steps = saved.step + int(left_s * saved.step / max(saved.seconds, 1e-9))
    if decay_now and saved.steps <= saved.step:
        raise TrainingError(
            f"{path}: the run is at its end, so the learning rate cannot fall any more: move the "
            "end with --max-time or --rounds"
        )
    if decay_now and saved.falls_from is None:
        saved.falls_from = saved.step
    for row in saved.log:  # as rows were named once
        if "step" in row:
            row["update"] = row.pop("step")
    return saved


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
