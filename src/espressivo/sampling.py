"""Sampling: from the scores of all ids to one id. Knows ids only, and nothing of music."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import GenerationError

__all__ = ["Sampling"]


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
        The first id of each kind of ids, ascending from 0. What is ruled out leaves its
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
        x = logits.astype(np.float64)
        left = x if allowed is None else np.where(allowed, x, -np.inf)
        if not math.isfinite(left.max()):
            raise GenerationError(
                "no id can be drawn: none is allowed, or the model gave no numbers"
            )
        temperature = self.temperature or 1.0
        p = _softmax(x if self.kinds else left, temperature)
        if self.kinds and allowed is not None:
            p = self._within_kinds(p, allowed)
            if not p.any():  # nothing is left of the kinds that are possible at all
                p = _softmax(left, temperature)
        if self.temperature == 0:
            p = np.eye(1, len(p), int(p.argmax()))[0]
        for first, end, own in self.groups:
            if p[first:end].any():
                p[first:end] = p[first:end].sum() * _softmax(left[first:end], own)
        if not (self.top_k is None and self.top_p is None and self.min_p is None):
            p[self._cut(p)] = 0.0
            p /= p.sum()
        return p

    def draw(
        self,
        logits: NDArray[np.floating],
        rng: np.random.Generator,
        allowed: NDArray[np.bool_] | None = None,
    ) -> int:
        """Draw an id from `distribution`; takes one number from the generator."""
        bounds = self.distribution(logits, allowed).cumsum()
        # From (0, 1], so the first bound at or above it always belongs to a possible id.
        share = 1.0 - rng.random()
        return int(np.searchsorted(bounds, share * bounds[-1]))

    def _within_kinds(
        self, p: NDArray[np.float64], allowed: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Rule ids out, leaving their probability to the rest of their kind, if there is any."""
        whole = np.add.reduceat(p, self.kinds)
        p = p * allowed
        rest = np.add.reduceat(p, self.kinds)
        share = np.divide(whole, rest, out=np.zeros_like(rest), where=rest > 0)
        p *= np.repeat(share, np.diff((*self.kinds, len(p))))
        total: float = p.sum()
        return p / total if total else p

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


def _softmax(x: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return probabilities in proportion to ``exp(x / temperature)``; one `x` must be finite."""
    if temperature == 0:
        p = np.zeros(len(x))
        p[x.argmax()] = 1.0
        return p
    x = x - x.max()
    if temperature != 1:
        with np.errstate(over="ignore"):  # to -inf, for a tiny temperature
            x /= temperature
    p = np.exp(x)
    p /= p.sum()
    return p
