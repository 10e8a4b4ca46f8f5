"""Training of the networks for beats, on performances with annotations.

One reads onset groups and is taught where beats fall, the other reads beats and is taught where
measures begin, how long they are and what a beat counts as. They are trained apart
from each other: the second on true beats, changed as beats are wrong that are found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from espressivo.networks import BeatNetwork, BeatNetworkConfig
from espressivo.notation import (
    BEAT,
    BEAT_NUMBERS,
    BEAT_OUTPUTS,
    BEGINS,
    DOWNBEAT,
    METER,
    NUMBERS,
    OUTPUTS,
    PERIOD,
    UNIT,
)
from espressivo.training.beat_windows import Piece, beat_window, group_window
from espressivo.training.muon import Muon

__all__ = ["BEATS", "GROUPS", "Subject", "load_beat_network", "train_beats"]

_FALL = 0.8  # of the time, at the end, in which the rate of learning falls
_MEMORY = 0.99  # of the mean of the weights, which is what is kept
_DECAY = 0.1  # of weights, times the rate of learning
_HIDDEN = 0.1  # of the numbers are hidden, each through a whole window
_CHECKS = 8  # batches of held-out pieces
_TELL_S = 60.0


@dataclass(frozen=True)
class Subject:
    """What a network for beats learns: of groups, or of beats.

    Parameters
    ----------
    config : BeatNetworkConfig
    window : function
        Draws numbers and targets of a piece.
    losses : function
        Means over what is known.
    shares : dict of str to float
        Of each loss in the whole.
    rows, length : int
        Windows in a batch, and groups or beats in a window.
    """

    config: BeatNetworkConfig
    window: Callable[[Piece, int, np.random.Generator], tuple[Any, NamedTuple]]
    losses: Callable[[Tensor, dict[str, Tensor]], dict[str, Tensor]]
    shares: dict[str, float]
    rows: int
    length: int

    def batch(
        self, pieces: Sequence[Piece], random: np.random.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return numbers, (rows, length, inputs), and targets, each (rows, length)."""
        numbers = np.zeros((self.rows, self.length, self.config.inputs), np.float32)
        drawn = []
        for row in numbers:
            found, true = self.window(
                pieces[int(random.integers(len(pieces)))], self.length, random
            )
            row[: len(found)] = found
            drawn.append(true._asdict())
        padded = {}
        for name, first in drawn[0].items():
            nothing = -1 if first.dtype == np.int64 else 0
            whole = np.full((self.rows, self.length), nothing, first.dtype)
            for row, values in zip(whole, drawn, strict=True):
                row[: len(values[name])] = values[name]
            padded[name] = torch.from_numpy(whole)
        return torch.from_numpy(numbers), padded


def _group_losses(said: Tensor, true: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        "beat": _onset(said[..., BEAT], true["beat"], true["known"]),
        "downbeat": _onset(said[..., DOWNBEAT], true["downbeat"], true["known"]),
        "period": _mean((said[..., PERIOD] - true["period"]).abs(), true["known"]),
    }


def _beat_losses(said: Tensor, true: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {"begins": _onset(said[..., BEGINS], true["begins"], true["known"])}
    for name, part in (("meter", METER), ("unit", UNIT)):
        index = true[name].flatten()
        total = functional.cross_entropy(
            said[..., part].flatten(0, 1), index, ignore_index=-1, reduction="sum"
        )
        found[name] = total / (index >= 0).sum().clamp_min(1)
    return found


def _onset(said: Tensor, true: Tensor, known: Tensor) -> Tensor:
    return _mean(functional.binary_cross_entropy_with_logits(said, true, reduction="none"), known)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum() / known.sum().clamp_min(1)


GROUPS = Subject(
    BeatNetworkConfig(NUMBERS, OUTPUTS, 96, (1, 2, 4, 8, 16, 32, 64, 1)),
    group_window,
    _group_losses,
    {"beat": 1.0, "downbeat": 1.0, "period": 0.3},
    rows=8,
    length=384,
)
BEATS = Subject(
    BeatNetworkConfig(BEAT_NUMBERS, BEAT_OUTPUTS, 64, (1, 2, 3, 4, 6, 8, 12, 16, 1, 2)),
    beat_window,
    _beat_losses,
    {"begins": 1.0, "meter": 0.4, "unit": 0.15},
    rows=16,
    length=192,
)


def train_beats(
    subject: Subject,
    pieces: Sequence[Piece],
    held_out: Sequence[Piece],
    out: Path,
    *,
    seconds: float,
    rate: float = 4e-3,
    seed: int = 0,
    tell: Callable[[str], None] = print,
) -> BeatNetwork:
    """Train a network for so long; its weights are written to `out` now and then.

    Parameters
    ----------
    subject : Subject
        `GROUPS` or `BEATS`.
    pieces, held_out : sequence of Piece
        To learn from, and to report the loss of.
    out : path
        Replaced every now and then and at the end: a dict of `config` and `weights`. If it is there
        at the beginning, its weights are what training goes on from.
    seconds : float
        Of the processor's time; the rate falls to nothing over the last of it.
    rate : float
        Highest rate of learning, of Muon; that of AdamW, for what is no matrix between layers, is
        half of it.
    seed : int
    tell : function
        Takes a line of progress.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = load_beat_network(out) if out.exists() else BeatNetwork(subject.config)
    mean = BeatNetwork(network.config)
    mean.load_state_dict(network.state_dict())
    probe = np.random.default_rng(seed + 1)
    checks = [subject.batch(held_out, probe) for _ in range(_CHECKS)]
    matrices, others = _split(network)
    optimizers = (
        Muon(matrices, rate, weight_decay=_DECAY),
        torch.optim.AdamW(others, rate / 2, weight_decay=_DECAY),
    )
    begun = saved = time.process_time()
    update = 0
    recent: list[float] = []
    while (share := (time.process_time() - begun) / seconds) < 1:
        now = min(1.0, (update + 1) / 100) * min(1.0, (1 - share) / _FALL)
        for optimizer, highest in zip(optimizers, (rate, rate / 2), strict=True):
            optimizer.param_groups[0]["lr"] = highest * now
        numbers, true = subject.batch(pieces, random)
        shown = torch.rand(len(numbers), 1, numbers.shape[-1]) >= _HIDDEN
        parts = subject.losses(network(numbers * shown), true)
        loss = torch.stack([subject.shares[name] * part for name, part in parts.items()]).sum()
        network.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            for kept, new in zip(mean.parameters(), network.parameters(), strict=True):
                kept.lerp_(new, 1 - min(_MEMORY, update / (update + 10)))
        recent.append(float(loss.detach()))
        update += 1
        if time.process_time() - saved > _TELL_S:
            saved = time.process_time()
            _save(mean, out)
            found = _check(subject, mean, checks)
            tell(f"{update} {saved - begun:.0f} s {np.mean(recent):.3f} {found}")
            recent = []
    _save(mean, out)
    tell(f"{update} at the end {_check(subject, mean, checks)}")
    return mean


def load_beat_network(path: Path) -> BeatNetwork:
    """Read a network that training has written."""
    read = torch.load(path, weights_only=True)
    network = BeatNetwork(BeatNetworkConfig(**read["config"]))
    network.load_state_dict(read["weights"])
    return network


def _split(network: BeatNetwork) -> tuple[list[Tensor], list[Tensor]]:
    """Return the matrices between layers, and everything else."""
    between = {
        f"blocks.{n}.{name}.weight" for n in range(len(network.blocks)) for name in ("read", "mix")
    }
    named = dict(network.named_parameters())
    return [named[n] for n in named if n in between], [named[n] for n in named if n not in between]


def _check(
    subject: Subject, network: BeatNetwork, batches: Sequence[tuple[Tensor, dict[str, Tensor]]]
) -> str:
    with torch.no_grad():
        found = [subject.losses(network(numbers), true) for numbers, true in batches]
    return " ".join(
        f"{name} {np.mean([float(parts[name]) for parts in found]):.3f}" for name in found[0]
    )


def _save(network: BeatNetwork, out: Path) -> None:
    temporary = out.with_suffix(".new")
    torch.save({"config": asdict(network.config), "weights": network.state_dict()}, temporary)
    temporary.replace(out)
