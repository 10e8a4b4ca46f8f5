"""Training of the latent space: first the lift alone says what comes, then with a model that plays.

What is lowered is, for each passage, the nats of its events given its point, and those by which the
point tells more than `FREE_NATS` of it (Kingma et al. 2016, "free bits").
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from espressivo.codes import COARSE, FIELDS, NO_ID, NOTE_ON, TIME_SHIFT, Ids, Vocabulary
from espressivo.latent import CHORD_STEPS, summarised
from espressivo.networks import LatentConfig, LatentNetwork, Notewise, lifted_spans

__all__ = ["FREE_NATS", "Passages", "load_latent", "set_beside", "train_latent"]

FREE_NATS = 60.0
"""What a point may tell of a passage without being charged for it."""

_SEMITONES = 5  # by which passages are transposed at most
_SHORT = 0.15  # share of passages of any length, however short
_IN_A_ROW = 4  # passages that a model that plays reads in a row, in every other batch
_TIMES = (
    5  # updates for each batch that a model that plays reads, one with it and some with earlier
)
_KEPT = 500  # batches that a model has read, to learn from again
_WARM_UP = 100  # updates
_CLOSE, _MOST_APART = 0.15, 400.0  # how near the first numbers of a summary are to come
_FALL = 0.5  # share of the time over which the rate falls
_MEMORY = 0.995  # of the mean of weights that is kept


class Batch(NamedTuple):
    """Passages, and which of them are read in a row.

    Parameters
    ----------
    events : int64 array, (passages, length, FIELDS)
        `NO_ID` for what is not there.
    in_a_row : int
        The first so many passages are successive, and so are the next.
    """

    events: NDArray[np.int64]
    in_a_row: int


class Passages:
    """Passages at random places of pieces.

    Parameters
    ----------
    pieces : sequence of int arrays, (events, FIELDS)
        As `espressivo.codes.steps` lays them out.
    length : int
    vocabulary : Vocabulary
    seed : int
    """

    def __init__(self, pieces: Sequence[Ids], length: int, vocabulary: Vocabulary, seed: int):
        pieces = [piece for piece in pieces if len(piece) >= (_IN_A_ROW + 1) * length]
        self._events = np.concatenate(pieces)
        self._length, self._v = length, vocabulary
        self._random = np.random.default_rng(seed)
        ends = np.cumsum([len(piece) for piece in pieces])
        shift = self._events[:, 0] - vocabulary.first[TIME_SHIFT]
        begins = shift >= CHORD_STEPS
        begins[np.concatenate(([0], ends[:-1]))] = True
        self._until = np.repeat(ends, [len(piece) for piece in pieces])
        self._begins = np.flatnonzero(begins)
        self._last = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))

    def alone(self, count: int) -> Batch:
        """Return passages of different places."""
        length, random = self._length, self._random
        begin = random.choice(self._begins, count)
        begin = np.minimum(begin, self._until[begin] - 1)
        end = np.minimum(begin + length, self._until[begin])
        cut = self._last[np.minimum(end, len(self._last) - 1)]
        end = np.where((cut > begin + length // 2) & (end == begin + length), cut, end)
        short = random.random(count) < _SHORT
        end = np.where(short, np.minimum(end, begin + random.integers(3, length + 1, count)), end)
        at = begin[:, None] + np.arange(length)
        inside = at < end[:, None]
        events = self._events[np.minimum(at, len(self._events) - 1)].astype(np.int64)
        events[~inside] = NO_ID
        return Batch(self._moved(events), 1)

    def in_a_row(self, rows: int) -> Batch:
        """Return passages of which `_IN_A_ROW` follow upon one another."""
        span = _IN_A_ROW * self._length
        begin = self._random.choice(self._begins, rows)
        begin = np.minimum(begin, self._until[begin] - span)
        events = self._events[begin[:, None] + np.arange(span)].astype(np.int64)
        moved = self._moved(events)
        return Batch(moved.reshape(-1, self._length, events.shape[-1]), _IN_A_ROW)

    def _moved(self, events: NDArray[np.int64]) -> NDArray[np.int64]:
        """Transpose rows where all of their notes stay on the keys."""
        first = self._v.first[NOTE_ON]
        end = first + self._v.counts[NOTE_ON]
        note = (events[..., 1] >= first) & (events[..., 1] < end)
        by = self._random.integers(-_SEMITONES, _SEMITONES + 1, len(events))
        highest = np.where(note, events[..., 1], first).max(1) + by
        lowest = np.where(note, events[..., 1], end - 1).min(1) + by
        by = np.where((lowest >= first) & (highest < end), by, 0)
        events[..., 1] += np.where(note, by[:, None], 0)
        return events


class _Loss:
    """Nats of the events of passages."""

    def __init__(self, v: Vocabulary) -> None:
        self._sizes = [sum(v.counts[kind] for kind in kinds) for kinds in FIELDS[:COARSE]]
        self.columns = torch.cat([torch.arange(lo, hi) for lo, hi in lifted_spans(v)])
        index = torch.full((v.size + 1,), -100)
        begin = 0
        for size in self._sizes:
            index[self.columns[begin : begin + size]] = torch.arange(size)
            begin += size
        self._index = index

    def __call__(self, logits: Tensor, events: Tensor) -> Tensor:
        """Return nats by passage and field, (B, COARSE), of logits of what is lifted, (B, T, n)."""
        parts = []
        true = self._index[events[..., :COARSE]]  # NO_ID reads the last, which is not counted
        for field, said in enumerate(torch.split(logits, self._sizes, -1)):
            nats = functional.cross_entropy(
                said.flatten(0, 1), true[..., field].flatten(), ignore_index=-100, reduction="none"
            )
            parts.append(nats.view(len(events), -1).sum(1))
        return torch.stack(parts, 1)


def _base(player: Notewise, batch: Batch, columns: Tensor) -> Tensor:
    """Return what a model says of passages without a lift, (passages, length, ids lifted)."""
    events = torch.from_numpy(batch.events)
    count, length, fields = events.shape
    rows = events.view(count // batch.in_a_row, -1, fields).transpose(0, 1)  # (T, rows, fields)
    begin = torch.full((1, rows.shape[1], fields), NO_ID)
    begin[..., 0] = player.size
    with torch.no_grad():
        logits, _ = player(torch.cat((begin, rows[:-1])), None, None, rows)
    said: Tensor = logits[..., columns].transpose(0, 1).reshape(count, length, -1)
    return said


def _posterior(latent: LatentNetwork, events: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a point drawn for each passage, its mean, and the nats that it tells."""
    mean, spread = latent.encode(events[..., :COARSE])
    nats = (mean.square() + spread.square() - 1).sum(-1) / 2 - spread.log().sum(-1)
    return mean + spread * torch.randn_like(mean), mean, nats


def train_latent(
    pieces: Sequence[Ids],
    held_out: Sequence[Ids],
    out: Path,
    *,
    vocabulary: Vocabulary,
    player: Notewise | None = None,
    config: LatentConfig | None = None,
    seconds: float,
    rows: int = 64,
    rate: float = 2e-3,
    seed: int = 0,
    tell: Callable[[str], None] = print,
) -> LatentNetwork:
    """Train a latent space for so long; its weights are written to `out` now and then.

    Parameters
    ----------
    pieces, held_out : sequence of int arrays, (events, FIELDS)
        To learn from, and to report the loss of, as `espressivo.codes.steps` lays them out.
    out : path
        Replaced every now and then and at the end. If it is there at the beginning, its weights are
        what training goes on from.
    vocabulary : Vocabulary
    player : Notewise, optional
        A model that plays, which stays as it is. Half of the batches are passages that it reads
        without a past, the other half passages in a row. Without one the lift alone says what
        comes.
    config : LatentConfig, optional
    seconds : float
        Of the processor's time; the rate falls to nothing over the last of it.
    rows : int
        Passages in a batch.
    rate : float
        Highest rate of learning, of AdamW.
    seed : int
    tell : function
        Takes a line of progress.
    """
    torch.manual_seed(seed)
    latent = LatentNetwork(config or LatentConfig(), vocabulary)
    if out.exists():
        latent = load_latent(out, vocabulary)
    loss_of = _Loss(vocabulary)
    checks = list(_batches(Passages(held_out, latent.config.length, vocabulary, 1), rows, 4))
    bases = [None if player is None else _base(player, b, loss_of.columns) for b in checks]
    short = Passages(pieces, latent.config.length, vocabulary, seed + 1)
    batches = _batches(Passages(pieces, latent.config.length, vocabulary, seed), rows, None)
    mean = LatentNetwork(latent.config, vocabulary)
    mean.load_state_dict(latent.state_dict())
    optimizer = torch.optim.AdamW(latent.parameters(), rate, weight_decay=0.01)
    read: deque[tuple[Batch, Tensor]] = deque(maxlen=_KEPT)
    random = np.random.default_rng(seed)
    begun = saved = time.process_time()
    update = 0
    while (share := (time.process_time() - begun) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (update + 1) / _WARM_UP, (1 - share) / _FALL)
        if player is None:
            batch, said = next(batches), None
        else:
            if update % _TIMES == 0:
                batch = next(batches)
                read.append((batch, _base(player, batch, loss_of.columns).half()))
            batch, said = read[-1 if update % _TIMES == 0 else int(random.integers(len(read)))]
        nats, told = _nats(latent, loss_of, batch, said)
        fresh = batch if player is None else short.alone(rows)
        summed = _summary_nats(latent, fresh, vocabulary).mean()
        loss = (nats.sum(1).mean() + summed + functional.relu(told.mean() - FREE_NATS)) / 48
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(latent.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for kept, now in zip(mean.parameters(), latent.parameters(), strict=True):
                kept.lerp_(now, 1 - min(_MEMORY, update / (update + 10)))
        update += 1
        if time.process_time() - saved > 45:
            saved = time.process_time()
            _save(mean, out)
            tell(
                f"{update} {saved - begun:.0f} s {_check(mean, loss_of, checks, bases, vocabulary)}"
            )
    _save(mean, out)
    tell(f"{update} at the end {_check(mean, loss_of, checks, bases, vocabulary)}")
    return mean


def set_beside(
    latent: LatentNetwork, pieces: Sequence[Ids], v: Vocabulary, share: float, out: Path
) -> None:
    """Make of a lift that was trained alone one that is to be added to what a model says.

    What alone it says of every passage, since ids are as frequent as they are, the model says
    itself. Of the rest it keeps a share, as the model knows some of it too. It is written to `out`,
    as `train_latent` writes it.
    """
    count = torch.zeros(v.size) + 1
    for piece in pieces:
        there = piece[piece != NO_ID].astype(np.int64)
        count += torch.from_numpy(np.bincount(there, minlength=v.size))
    parts = []
    for kinds in FIELDS[:COARSE]:
        of_field = torch.cat(
            [count[v.first[kind] : v.first[kind] + v.counts[kind]] for kind in kinds]
        )
        parts.append((of_field / of_field.sum()).log())
    with torch.no_grad():
        latent.leave.bias.sub_(torch.cat(parts)).mul_(share)
        latent.leave.weight.mul_(share)
    _save(latent, out)


def load_latent(path: Path, vocabulary: Vocabulary) -> LatentNetwork:
    """Read what `train_latent` wrote."""
    stored = torch.load(path, weights_only=True)
    latent = LatentNetwork(LatentConfig(**stored["config"]), vocabulary)
    latent.load_state_dict(stored["weights"])
    return latent


def _batches(passages: Passages, rows: int, count: int | None) -> Iterator[Batch]:
    number = 0
    while count is None or number < count:
        yield passages.in_a_row(rows // _IN_A_ROW) if number % 2 else passages.alone(rows)
        number += 1


def _nats(
    latent: LatentNetwork, loss_of: _Loss, batch: Batch, said: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return nats by passage and field, and what each point tells."""
    events = torch.from_numpy(batch.events)
    point, _, told = _posterior(latent, events)
    lift = latent.lift(point)
    return loss_of(lift if said is None else lift + said, events), told


def _summary_nats(latent: LatentNetwork, batch: Batch, v: Vocabulary) -> Tensor:
    """Return for each passage the nats of what sums it up, given its point."""
    true, count = (torch.from_numpy(part) for part in summarised(batch.events, v))
    point, _, _ = _posterior(latent, torch.from_numpy(batch.events))
    said = latent.summary(point)
    apart = ((said[:, :4] - true[:, :4]) / _CLOSE).square().clamp(max=_MOST_APART).sum(1) / 2
    shares = -(true[:, 4:] * said[:, 4:].log_softmax(-1)).sum(1) * count
    return torch.where(count > 1, apart + shares, 0)


def _check(
    latent: LatentNetwork,
    loss_of: _Loss,
    checks: Sequence[Batch],
    bases: Sequence[Tensor | None],
    vocabulary: Vocabulary,
) -> str:
    """Return nats an event: of each field, of all, with another's point and without one.

    Then the nats that points tell, and those of what sums passages up, each a passage.
    """
    rows = []
    with torch.no_grad():
        for batch, said in zip(checks, bases, strict=True):
            events = torch.from_numpy(batch.events)
            count = int((events[..., 0] != NO_ID).sum())
            point, _, told = _posterior(latent, events)
            lift, other = latent.lift(point), latent.lift(point.roll(len(point) // 2, 0))
            own = loss_of(lift if said is None else lift + said, events).sum(0) / count
            wrong = loss_of(other if said is None else other + said, events).sum() / count
            without = wrong * 0 if said is None else loss_of(said, events).sum() / count
            summed = float(_summary_nats(latent, batch, vocabulary).mean())
            rows.append([*own.tolist(), float(own.sum()), float(wrong), float(without),
                         float(told.mean()), summed])  # fmt: skip
    return " ".join(f"{value:.3f}" for value in np.mean(rows, 0))


def _save(latent: LatentNetwork, out: Path) -> None:
    temporary = out.with_suffix(".new")
    torch.save({"config": asdict(latent.config), "weights": latent.state_dict()}, temporary)
    temporary.replace(out)
