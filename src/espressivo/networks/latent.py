"""Latent: a passage becomes a point in a space, and a point says how a passage is to go on.

The *reader* reads a passage of up to `LatentConfig.length` events both ways and gives the mean and
the spread of a point (Kingma & Welling 2014; Roberts et al. 2018, "A Hierarchical Latent Vector
Model", whose bars are quantised where ours are played). The *lift* makes of a point, for each place
in the passage, how many nats every id is to be likelier or less likely there than it is otherwise.
A model that plays adds these to its own scores, so that it goes on as it always does, and yet the
way that the point says.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from espressivo.codes import COARSE, FIELDS, NO_ID, NOTE_ON, Vocabulary
from espressivo.numeric import Range, fields_within

__all__ = ["LatentConfig", "LatentNetwork", "lifted_spans"]

_RANGES: dict[str, Range] = {
    name: {"least": 1, "whole": True}
    for name in ("size", "length", "width", "hidden", "inner", "anchors", "anchor", "summary")
}
_SMOOTH = 8  # places between the least and the greatest id of a kind, at which embeddings begin
_LEAST_LOG, _MOST_LOG = -8.0, 4.0  # of a variance


@dataclass(frozen=True)
class LatentConfig:
    """Sizes of a `LatentNetwork`.

    Parameters
    ----------
    size : int
        Dimensions of the space.
    length : int
        Events of the longest passage.
    width : int
        Numbers that stand for an event when it is read.
    hidden : int
        Units of the reader in each direction.
    inner : int
        Units of the layers around the point.
    anchors, anchor : int
        The lift is made at so many places of a passage, of so many numbers each, between which it
        lies on straight lines.
    summary : int
        Numbers that sum a passage up, as `espressivo.latent` measures them; the last twelve are
        shares.
    """

    size: int = 64
    length: int = 48
    width: int = 96
    hidden: int = 128
    inner: int = 256
    anchors: int = 12
    anchor: int = 64
    summary: int = 16

    def __post_init__(self) -> None:
        if problems := fields_within(self, _RANGES):
            raise ValueError("; ".join(problems))


class LatentNetwork(nn.Module):
    """Reader and lift; see the module.

    Parameters
    ----------
    config : LatentConfig
    vocabulary : Vocabulary
        A note-wise one.
    """

    between: Tensor

    def __init__(self, config: LatentConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        if not vocabulary.notewise:
            raise ValueError(f"a passage needs a note-wise vocabulary, not {vocabulary.name!r}")
        self.config, v = config, vocabulary
        c = config
        self.embedding = nn.Embedding(v.size, c.width)
        with torch.no_grad():
            self.embedding.weight.copy_(_smooth(v, c.width))
        self.read = nn.GRU(c.width, c.hidden, batch_first=True, bidirectional=True)
        self.gather = nn.Linear(2 * c.width + 4 * c.hidden, c.inner)
        self.point = nn.Linear(c.inner, 2 * c.size)
        self.spread_out = nn.Linear(c.size, c.inner)
        self.place = nn.Linear(c.inner, c.anchors * c.anchor)
        self.enter = nn.Linear(c.anchor, c.inner)
        self.sum_in = nn.Linear(c.size, c.inner)
        self.sum_out = nn.Linear(c.inner, c.summary)
        self.leave = nn.Linear(c.inner, sum(hi - lo for lo, hi in lifted_spans(v)))
        nn.init.normal_(self.leave.weight, std=0.02)
        nn.init.zeros_(self.leave.bias)
        self.register_buffer("between", _between(c.length, c.anchors))

    def encode(self, events: Tensor) -> tuple[Tensor, Tensor]:
        """Read passages.

        Parameters
        ----------
        events : int64 tensor, (B, length, COARSE)
            Ids of each event; `NO_ID` for those that it lacks, and for all after the last event.

        Returns
        -------
        mean, spread : tensors, (B, size)
            The spread is a standard deviation.
        """
        there = (events != NO_ID).float()[..., None]  # (B, T, fields, 1)
        x = (self.embedding(events.clamp(min=0)) * there).sum(2)  # (B, T, width)
        real = there.amax(2)  # (B, T, 1)
        count = real.sum(1).clamp(min=1)
        outputs, ends = self.read(x)  # (B, T, 2 hidden), (2, B, hidden)
        mean_x = x.sum(1) / count
        apart = ((x - mean_x[:, None]) * real).square().sum(1) / count
        everything = (mean_x, (apart + 1e-4).sqrt(), (outputs * real).sum(1) / count, *ends)
        hidden = functional.silu(self.gather(torch.cat(everything, -1)))
        mean, log_variance = self.point(hidden).chunk(2, -1)
        return mean, (log_variance.clamp(_LEAST_LOG, _MOST_LOG) / 2).exp()

    def summary(self, point: Tensor) -> Tensor:
        """Return what sums passages up, (B, summary), of points, (B, size).

        The last twelve are scores, whose softmax are the shares of the pitch classes.
        """
        found: Tensor = self.sum_out(functional.silu(self.sum_in(point)))
        return found

    def lift(self, point: Tensor) -> Tensor:
        """Return the lift at each place, (B, length, ids), of points, (B, size).

        The ids are those of the first `COARSE` fields, field after field.
        """
        c = self.config
        anchors = self.place(functional.silu(self.spread_out(point))).view(-1, c.anchors, c.anchor)
        lift: Tensor = self.leave(functional.silu(self.enter(self.between @ anchors)))
        return lift


def lifted_spans(v: Vocabulary) -> list[tuple[int, int]]:
    """Return the first id and one past the last of each kind that is lifted, in their order."""
    return [
        (v.first[kind], v.first[kind] + v.counts[kind])
        for kinds in FIELDS[:COARSE]
        for kind in kinds
    ]


def _between(length: int, anchors: int) -> Tensor:
    """Return by how much each anchor counts at each place, (length, anchors): straight lines."""
    at = torch.linspace(0, anchors - 1, length)[:, None]
    return (1 - (at - torch.arange(anchors)).abs()).clamp(min=0)


def _smooth(v: Vocabulary, width: int) -> Tensor:
    """Return embeddings in which ids of neighbouring values are alike, and octaves a little."""
    weight = torch.zeros(v.size, width)
    for kinds in FIELDS:
        for kind in kinds:
            first, count = v.first[kind], v.counts[kind]
            if not count:
                continue
            value = torch.arange(count).float()
            value = torch.log1p(value) if kind not in (NOTE_ON,) and count > 64 else value
            at = value / value.max().clamp(min=1) * (_SMOOTH - 1)
            hats = (1 - (at[:, None] - torch.arange(_SMOOTH)).abs()).clamp(min=0)
            weight[first : first + count] = hats @ torch.randn(_SMOOTH, width)
            if kind == NOTE_ON:
                names = torch.arange(count) + v.lowest_pitch
                weight[first : first + count] += torch.randn(12, width)[names % 12]
    return weight * 0.7
