"""Sampling: from the scores of all ids to one id. Knows ids only, and nothing of music."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import GenerationError

__all__ = ["Sampling"]

_LEAST = 1e-290  # of the likeliest id's: a kind of which less is left gives way to the others


@dataclass(frozen=True)
class Sampling:
    """How an id is drawn. The cuts are made after the temperatures; an id must pass all of them.

    Parameters
    ----------
    temperature : float
        Finite, at least 0. Logits are divided by it: below 1 the likely become likelier, above 1
        all become more alike. 0 takes the likeliest, the lowest id of several.
    top_k : int, optional
        Only the so many likeliest ids can be drawn, at least 1; of equals, the lower ids stay.
    top_p : float, optional
        Only the likeliest ids that together have at least this part of what `top_k` left can be
        drawn, ``0 < top_p <= 1`` (nucleus sampling, Holtzman et al. 2020).
    min_p : float, optional
        Only ids can be drawn that have at least this part of the likeliest id's probability,
        ``0 <= min_p <= 1`` (Nguyen et al. 2024).
    groups : tuple of (first, end, temperature)
        Ranges of ids, ``first <= id < end``, that have a temperature of their own. How likely a
        group is as a whole is decided by `temperature`, which of its ids by the group's.
    kinds : tuple of int
        How many ids each kind has, in the order of the ids. What is ruled out leaves its
        probability to the rest of its kind; without kinds, to all that is left.

    Raises
    ------
    GenerationError
        If a value is out of range; it is a `ValueError`.

    Examples
    --------
    >>> logits = np.log([0.5, 0.3, 0.2])
    >>> Sampling(top_k=2).distribution(logits).round(3).tolist()
    [0.625, 0.375, 0.0]
    >>> Sampling(groups=((1, 3, 0.0),)).distribution(logits).round(3).tolist()
    [0.5, 0.5, 0.0]
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    groups: tuple[tuple[int, int, float], ...] = ()
    kinds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        for temperature in (self.temperature, *(group[2] for group in self.groups)):
            if not (math.isfinite(temperature) and temperature >= 0):
                problems.append(f"temperature must be at least 0 and finite, not {temperature}")
        if self.top_k is not None and self.top_k < 1:
            problems.append(f"top_k must be at least 1, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            problems.append(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            problems.append(f"min_p must be within 0..1, not {self.min_p}")
        if problems:
            raise GenerationError("; ".join(problems))

    def distribution(
        self, logits: NDArray[np.floating], allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Return the probability with which each id is drawn.

        Parameters
        ----------
        logits : float array, shape (size,)
            Logarithms of probabilities up to a constant. ``-inf`` is impossible.
        allowed : bool array, shape (size,), optional
            Ids that can be drawn at all; what the others had goes to these, see `kinds`.

        Returns
        -------
        float64 array, shape (size,)
            Its sum is 1.

        Raises
        ------
        GenerationError
            If no id is possible, or a logit is not a number or infinite.
        """
        p = self._weights(logits, allowed)
        p /= p.sum()
        return p

    def draw(
        self,
        logits: NDArray[np.floating],
        rng: np.random.Generator,
        allowed: NDArray[np.bool_] | None = None,
    ) -> int:
        """Draw an id from `distribution`; takes one number from the generator."""
        bounds = self._weights(logits, allowed).cumsum()
        # From (0, 1], so the first bound at or above it always belongs to a possible id.
        share = 1.0 - rng.random()
        return int(bounds.searchsorted(share * bounds[-1]))

    def _weights(
        self, logits: NDArray[np.floating], allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.float64]:
        """Return numbers in proportion to which ids are drawn; the greatest is above 0."""
        x, temperature, p = logits.astype(np.float64), self.temperature or 1.0, None
        if self.kinds and allowed is not None:
            p = self._within_kinds(_exponentials(x, temperature), allowed)
        if allowed is not None and (p is None or self.groups):
            x[~allowed] = -np.inf
        if p is None:
            p = _exponentials(x, temperature)
        if self.temperature == 0:
            p = _likeliest(p)
        for first, end, own in self.groups:
            if p[first:end].any():
                within = _exponentials(x[first:end], own)
                p[first:end] = p[first:end].sum() * within / within.sum()
        if not (self.top_k is None and self.top_p is None and self.min_p is None):
            p[self._cut(p)] = 0.0
        return p

    def _within_kinds(
        self, p: NDArray[np.float64], allowed: NDArray[np.bool_]
    ) -> NDArray[np.float64] | None:
        """Rule ids out, leaving their share to the rest of their kind; None if nothing is left."""
        first, kind = self._places
        whole = np.add.reduceat(p, first)
        p *= allowed
        rest = np.add.reduceat(p, first)
        if _largest(rest) < _LEAST:
            return None
        p *= (whole / np.maximum(rest, _LEAST))[kind]
        return p

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The first id of each kind, and the kind of each id."""
        counts = np.array(self.kinds)
        return np.cumsum(counts) - counts, np.repeat(np.arange(len(counts)), counts)

    def _cut(self, p: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the ids that are cut off: all after some place in the order of likelihood."""
        order = np.argsort(-p, kind="stable")
        kept = len(p) if self.top_k is None else min(self.top_k, len(p))
        if self.top_p is not None:
            reached = p[order[:kept]].cumsum()
            kept = min(kept, int(np.searchsorted(reached, self.top_p * reached[-1])) + 1)
        if self.min_p is not None:
            kept = min(kept, int((p >= self.min_p * p[order[0]]).sum()))
        return order[kept:]


def _exponentials(x: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return ``exp(x / temperature)``, scaled so that the greatest is 1.

    `GenerationError` if there is no greatest.
    """
    largest = _largest(x)
    if not math.isfinite(largest):
        raise GenerationError("no id can be drawn: none is allowed, or the model gave no numbers")
    if temperature == 0:
        return _likeliest(x)
    p: NDArray[np.float64] = x - largest
    if temperature != 1:
        with np.errstate(over="ignore"):  # to -inf, for a tiny temperature
            p /= temperature
    np.exp(p, out=p)
    return p


def _likeliest(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 for the greatest, the first of several, and 0 for all others."""
    p = np.zeros(len(x))
    p[x.argmax()] = 1.0
    return p


def _largest(x: NDArray[np.float64]) -> float:
    """Return what ``x.max()`` does; for so few numbers `argmax` finds it in a fifth of the time."""
    return float(x[x.argmax()])
