"""Sampling: from the scores of all ids to one id. Knows ids only, and nothing of music."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import GenerationError
from espressivo.numeric import Range, fields_within, within

__all__ = ["MAX_SEED", "Sampling", "generator"]

MAX_SEED = (1 << 64) - 1
"""Greatest seed of a `generator`."""

_TINY = 1e-9  # temperatures below it may divide to infinity
_LEAST = 1e-290  # less than this may be the remains of an underflow

_RANGES: dict[str, Range] = {
    "temperature": {"least": 0},
    "top_k": {"least": 1, "whole": True, "optional": True},
    "top_p": {"above": 0, "most": 1, "optional": True},
    "min_p": {"least": 0, "most": 1, "optional": True},
}

_Floats = NDArray[np.float64]


def generator(seed: int | None, stream: int = 0) -> np.random.Generator:
    """Return a generator of random numbers, another one each time if there is no seed.

    It is Philox-4x64 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3") with the
    seed as its key and a counter from 0, and each decision takes one number of it. So the n-th
    decision of a piece depends on the seed and n alone, in whatever order pieces are played. The
    same seed gives other numbers for each `stream`, which begins at its own place of the counter.

    Raises
    ------
    GenerationError
        If the seed is not within 0..`MAX_SEED`.
    """
    if seed is None:
        return np.random.Generator(np.random.Philox())
    key = within("seed", seed, least=0, most=MAX_SEED, whole=True)
    return np.random.Generator(np.random.Philox(counter=[0, 0, 0, stream], key=key))


@dataclass(frozen=True)
class Sampling:
    """How an id is drawn. The cuts are made after the temperature; an id must pass all of them.

    Ids are of several kinds, as pitches or velocities are. First it is decided how likely each kind
    is, then which of its ids: what is ruled out leaves its probability to the rest of its kind, as
    long as something of it can be drawn.

    Parameters
    ----------
    temperature : float
        Finite, at least 0. Logits are divided by it: below 1 the likely become likelier, above 1
        all become more alike. 0 is the limit: the likeliest kind, and in it the likeliest id; of
        equals, the lowest id.
    top_k : int, optional
        Only the so many likeliest ids can be drawn, at least 1; of equals, the lower ids stay.
    top_p : float, optional
        Only the likeliest ids that together have at least this part of what `top_k` left can be
        drawn, ``0 < top_p <= 1`` (nucleus sampling, Holtzman et al. 2020).
    min_p : float, optional
        Only ids can be drawn that have at least this part of the likeliest id's probability,
        ``0 <= min_p <= 1`` (Nguyen et al. 2024).
    kinds : tuple of int
        How many ids each kind has, in the order of the ids; by default all are of one kind.
    within : tuple of (Sampling or None)
        For each kind how one of its ids is drawn, where it has a way of its own: by that
        temperature, and with those cuts among its own ids. How likely the kind is as a whole is
        decided by `temperature`.

    Raises
    ------
    GenerationError
        If a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.log([0.5, 0.25, 0.25])
    >>> Sampling(top_k=1).distribution(logits).tolist()
    [1.0, 0.0, 0.0]
    >>> allowed = np.array([True, False, True])
    >>> Sampling(kinds=(2, 1)).distribution(logits, allowed).round(3).tolist()
    [0.75, 0.0, 0.25]
    >>> Sampling(kinds=(1, 2), within=(None, Sampling(0))).distribution(logits).round(3).tolist()
    [0.5, 0.5, 0.0]
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    kinds: tuple[int, ...] = ()
    within: tuple[Sampling | None, ...] = ()

    def __post_init__(self) -> None:
        if problems := fields_within(self, _RANGES):
            raise GenerationError("; ".join(problems))

    def distribution(
        self, logits: NDArray[np.floating], allowed: NDArray[np.bool_] | None = None
    ) -> _Floats:
        """Return the probability with which each id is drawn.

        Parameters
        ----------
        logits : float array, shape (..., size)
            Logarithms of probabilities up to a constant. ``-inf`` is impossible.
        allowed : bool array, shape (..., size), optional
            Ids that can be drawn at all; what the others had goes to the rest of their kinds.

        Returns
        -------
        float64 array, shape (..., size)
            Its sums over ids are 1.

        Raises
        ------
        GenerationError
            If no id is possible, or a logit is not a number or infinite.
        """
        p = self._weights(logits, allowed)
        p /= p.sum(axis=-1, keepdims=True)
        return p

    def draw(
        self,
        logits: NDArray[np.floating],
        rng: np.random.Generator,
        allowed: NDArray[np.bool_] | None = None,
    ) -> int:
        """Draw an id from `distribution`; takes one number from the generator."""
        return self.choose_one(logits, rng.random(), allowed)

    def choose(
        self,
        logits: NDArray[np.floating],
        shares: NDArray[np.float64] | float,
        allowed: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.intp]:
        """Return the ids that random numbers stand for in the `distribution`.

        Parameters
        ----------
        logits, allowed
            As in `distribution`.
        shares : float array, shape (...), or float
            Random numbers within 0 (included) and 1 (excluded), one for each id.

        Returns
        -------
        int array, shape (...)
            The same for each row, whatever the others are.
        """
        bounds = self._weights(logits, allowed).cumsum(axis=-1)
        # From (0, 1], so the first bound at or above it always belongs to a possible id.
        reached = (1.0 - np.asarray(shares)) * bounds[..., -1]
        return np.asarray((bounds < reached[..., None]).sum(axis=-1))

    def choose_one(
        self,
        logits: NDArray[np.floating],
        share: float,
        allowed: NDArray[np.bool_] | None = None,
    ) -> int:
        """Return the id that `choose` returns for a single row, in a fraction of the time."""
        id_ = None
        if allowed is not None and self._by_kind:
            id_ = self._quick_one(logits.astype(np.float64), share, allowed)
        return int(self.choose(logits, share, allowed)) if id_ is None else id_

    def _quick_one(self, x: _Floats, share: float, allowed: NDArray[np.bool_]) -> int | None:
        """Find a kind, then an id of it, where exponentials serve; None if they would underflow."""
        if not math.isfinite(x.dot(x)):  # something is not, so a kind may be impossible
            return None
        x -= x[x.argmax()]  # faster than max() for so few
        p = self._exponentials(x, self.temperature)
        drawable, before, ways = allowed.tobytes(), 0.0, []
        wholes = np.add.reduceat(p, self._layout[0]).tolist()
        for whole, kind in zip(wholes, self._spans):  # noqa: B905 (this runs for every id)
            if whole > _LEAST and 1 in drawable[kind[0] : kind[1]]:
                ways.append((before, whole, kind))
                before += whole
        reached = (1.0 - share) * before  # above 0, so also above what is before its kind
        for before, whole, (begin, end, temperature) in reversed(ways):
            if before < reached:
                own = p[begin:end]
                if temperature != self.temperature:
                    own = self._exponentials(x[begin:end], temperature)
                if 0 in drawable[begin:end]:
                    own = own * allowed[begin:end]
                within = own.cumsum()
                total = float(within[-1])
                if total <= _LEAST:
                    return None
                part = min(1.0, float(reached - before) / whole)
                found: int = begin + int(within.searchsorted(part * total))
                return found
        return None

    def _weights(self, logits: NDArray[np.floating], allowed: NDArray[np.bool_] | None) -> _Floats:
        """Return numbers in proportion to which ids are drawn; the greatest is above 0."""
        x = logits.astype(np.float64)
        if allowed is None:
            allowed = np.ones(x.shape[-1:], bool)
        p = None
        if not self._singular:
            p = self._quick(x, allowed)
        if p is None:
            p = self._careful(x, np.broadcast_to(allowed, x.shape))
        for _, begin, end, own in self._own_cuts:
            for row in p.reshape(-1, p.shape[-1])[:, begin:end]:
                whole = row.sum()
                if whole > 0:
                    row[own._cut(row)] = 0.0
                    row *= whole / row.sum()
        if self._cuts:
            for row in p.reshape(-1, p.shape[-1]):
                row[self._cut(row)] = 0.0
        return p

    def _quick(self, x: _Floats, allowed: NDArray[np.bool_]) -> _Floats | None:
        """Return weights where exponentials serve, and None where they would underflow."""
        largest = x.max(axis=-1, keepdims=True)
        if not np.isfinite(largest).all():
            return None
        away = x - largest
        p = self._exponentials(away, self.temperature)
        if not self.kinds:
            p *= allowed
            return p if p.max(axis=-1).min() > _LEAST else None
        first, kind = self._layout
        whole = np.add.reduceat(p, first, axis=-1)
        for _, begin, end, temperature in self._own_temperatures:
            p[..., begin:end] = self._exponentials(away[..., begin:end], temperature)
        p *= allowed
        rest = np.add.reduceat(p, first, axis=-1)
        drawable = np.logical_or.reduceat(allowed, first, axis=-1)
        scale = np.where((whole > _LEAST) & (rest > _LEAST), whole / np.maximum(rest, _LEAST), 0.0)
        lost = (rest <= _LEAST) & drawable & (whole > _LEAST)
        if lost.any() or not scale.any(axis=-1).all():
            return None
        p *= np.take(scale, kind, axis=-1)
        return p

    def _careful(self, x: _Floats, allowed: NDArray[np.bool_]) -> _Floats:
        """Return weights at any temperature, 0 included, and with temperatures of kinds."""
        first, kind = self._layout if self.kinds else ([0], np.zeros(x.shape[-1], np.intp))
        left = np.where(allowed, x, -np.inf)
        highest = np.maximum.reduceat(x, first, axis=-1)  # of each kind, what is ruled out included
        best = np.maximum.reduceat(left, first, axis=-1)
        drawable = best > -np.inf
        if not drawable.any(axis=-1).all() or not (highest < np.inf).all():  # also refuses NaN
            raise GenerationError(
                "no id can be drawn: none is allowed, or the model gave no numbers"
            )
        share = np.where(drawable, highest, -np.inf)
        share -= share.max(axis=-1, keepdims=True)
        if self.temperature == 0:
            share = _first_of_the_largest(share)
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                each = np.exp((x - np.take(highest, kind, axis=-1)) / self.temperature)
                share = np.exp(share / self.temperature)
            share *= np.add.reduceat(np.nan_to_num(each), first, axis=-1)
        within = left - np.take(np.where(drawable, best, 0.0), kind, axis=-1)
        begins = [*np.asarray(first).tolist(), x.shape[-1]]
        ways = self.within or (None,) * (len(begins) - 1)
        for begin, end, own in zip(begins, begins[1:], ways, strict=False):
            chosen = self.temperature if own is None else own.temperature
            if chosen == 0:
                within[..., begin:end] = _first_of_the_largest(within[..., begin:end])
            else:
                with np.errstate(over="ignore"):
                    within[..., begin:end] = np.exp(within[..., begin:end] / chosen)
        total = np.add.reduceat(within, first, axis=-1)
        scale = np.where(drawable, share / np.where(total > 0, total, 1.0), 0.0)
        return np.asarray(within * np.take(scale, kind, axis=-1))

    @staticmethod
    def _exponentials(x: _Floats, temperature: float) -> _Floats:
        if temperature == 1:
            p: _Floats = np.exp(x)
        elif temperature > _TINY:
            p = np.exp(x / temperature)
        else:
            with np.errstate(over="ignore"):  # to -inf; saying so takes as long as all the rest
                p = np.exp(x / temperature)
        return p

    @cached_property
    def _singular(self) -> bool:
        """Whether a temperature is 0."""
        return self.temperature == 0 or any(own and own.temperature == 0 for own in self.within)

    @cached_property
    def _cuts(self) -> bool:
        """Whether anything is cut off."""
        return not (self.top_k is None and self.top_p is None and self.min_p is None)

    @cached_property
    def _by_kind(self) -> bool:
        """Whether there are kinds, and nothing but temperatures."""
        return bool(self.kinds) and not (self._singular or self._cuts or self._own_cuts)

    @cached_property
    def _spans(self) -> list[tuple[int, int, float]]:
        """Of each kind the first id, one past its last, and the temperature within it."""
        ends = np.cumsum(self.kinds).tolist()
        own = itertools.chain(self.within, itertools.repeat(None))
        return [
            (end - count, end, self.temperature if way is None else way.temperature)
            for count, end, way in zip(self.kinds, ends, own, strict=False)
        ]

    @cached_property
    def _ways(self) -> list[tuple[int, int, int, Sampling]]:
        """The kinds with a way of their own: which, its first id, one past its last, and how."""
        ends = np.cumsum(self.kinds).tolist()
        spans = zip(itertools.count(), self.kinds, ends, self.within, strict=False)
        return [(n, end - count, end, own) for n, count, end, own in spans if own is not None]

    @cached_property
    def _own_temperatures(self) -> list[tuple[int, int, int, float]]:
        """The kinds with temperatures of their own."""
        return [
            (number, begin, end, own.temperature)
            for number, begin, end, own in self._ways
            if own.temperature != self.temperature
        ]

    @cached_property
    def _own_cuts(self) -> list[tuple[int, int, int, Sampling]]:
        """The kinds with cuts of their own."""
        return [way for way in self._ways if way[3]._cuts]

    @cached_property
    def _layout(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The first id of each kind, and the kind of each id."""
        counts = np.array(self.kinds)
        return np.cumsum(counts) - counts, np.repeat(np.arange(len(counts)), counts)

    def _cut(self, p: _Floats) -> NDArray[np.intp]:
        """Return the ids that are cut off: all after some position in the order of likelihood."""
        order = np.argsort(-p, kind="stable")
        kept = len(p) if self.top_k is None else min(self.top_k, len(p))
        if self.top_p is not None:
            reached = p[order[:kept]].cumsum()
            kept = min(kept, int(np.searchsorted(reached, self.top_p * reached[-1])) + 1)
        if self.min_p is not None:
            kept = min(kept, int((p >= self.min_p * p[order[0]]).sum()))
        return order[kept:]


def _first_of_the_largest(x: _Floats) -> _Floats:
    """Return 1 for the greatest of each row, the first of several, and 0 for all others."""
    p = np.zeros(x.shape)
    np.put_along_axis(p, x.argmax(axis=-1)[..., None], 1.0, axis=-1)
    return p
