"""Intervals: how far a figure may be off because other pieces, or samples, could have been drawn.

All are percentile bootstraps of 95 % (Efron & Tibshirani 1993, chapter 13) with fixed seeds: the
same pieces always have the same interval. Two models on the same pieces are held against each other
piece by piece, so that what makes a piece hard for any model does not widen the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FEWEST",
    "Difference",
    "Estimate",
    "differing",
    "estimate",
    "holm",
    "quantiles",
    "ratios",
    "resamples",
    "share",
]

RESAMPLES = 4000
LEVEL = 0.05

FEWEST = 6
"""Fewer pieces show no difference: that all of five fall on one side happens by chance in 1 of 16
such fives, and a bootstrap of them does not know it."""

_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; None where there are too few pieces for one."""

    value: float
    low: float | None = None
    high: float | None = None

    def text(self, digits: int = 4, sign: str = "") -> str:
        """Return the figure with its interval; with ``sign="+"``, a difference."""
        form = f"{sign}.{digits}f"
        if self.low is None or self.high is None:
            return f"{self.value:{form}}"
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True)
class Difference(Estimate):
    """One figure less another.

    Parameters
    ----------
    p : float
        Two-sided: twice the share of bootstrap differences on the far side of 0, of those drawn
        and one more; 1 where there is no interval.
    """

    p: float = 1.0


@lru_cache(maxsize=8)
def resamples(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each of `count` pieces is in each bootstrap sample, shape (samples, count).

    Groups that were drawn apart, such as samples and people's pieces, have different seeds.
    """
    rng = np.random.default_rng([4, seed])
    drawn = rng.multinomial(count, np.full(count, 1 / max(count, 1)), size=RESAMPLES)
    drawn.flags.writeable = False
    return drawn


def ratios(amounts: _Numbers, drawn: NDArray[np.int64]) -> _Numbers:
    """Return the ratio of two sums in each bootstrap sample; not a number where the lower is 0.

    Parameters
    ----------
    amounts : float64 array, shape (pieces, 2)
        What each piece adds to the upper and to the lower sum.
    drawn : int64 array, shape (samples, pieces)
        See `resamples`.
    """
    above, below = (drawn @ amounts).T
    return np.asarray(np.divide(above, below, where=below > 0, out=np.full(len(above), np.nan)))


def quantiles(values: _Numbers, drawn: NDArray[np.int64], at: float) -> _Numbers:
    """Return a quantile, 0..1, of single values in each bootstrap sample."""
    order = np.argsort(values)
    reached = np.cumsum(drawn[:, order], axis=1) >= at * drawn.sum(axis=1, keepdims=True)
    return np.asarray(values[order][np.argmax(reached, axis=1)])


def estimate(value: float, replicates: _Numbers) -> Estimate:
    """Return a figure with the interval that its bootstrap replicates leave it in."""
    known = replicates[np.isfinite(replicates)]
    if not len(known):
        return Estimate(value)
    low, high = np.quantile(known, (LEVEL / 2, 1 - LEVEL / 2))
    return Estimate(value, float(low), float(high))


def share(numbers: _Numbers, of: _Numbers, drawn: NDArray[np.int64]) -> Estimate:
    """Estimate the ratio of two sums over pieces; both have shape (pieces,)."""
    value = float(numbers.sum() / of.sum())
    if np.count_nonzero(of) < 2:
        return Estimate(value)
    return estimate(value, ratios(np.stack((numbers, of), axis=1), drawn))


def differing(value: float, replicates: _Numbers) -> Difference:
    """Return a difference with interval and p, from replicates of it."""
    known = replicates[np.isfinite(replicates)]
    if not len(known):
        return Difference(value)
    around = estimate(value, known)
    least = min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    p = min(1.0, 2 * (least + 1) / (len(known) + 1))
    return Difference(value, around.low, around.high, p)


def holm(ps: Sequence[float]) -> list[bool]:
    """Tell which of several differences are shown, so that with 95 % none is shown that is not.

    Holm 1979: the smallest p counts if it is below 0.05 / n, then the next below 0.05 / (n - 1),
    and so on to the first that is not.
    """
    shown = [False] * len(ps)
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        if ps[index] > LEVEL / (len(ps) - rank):
            break
        shown[index] = True
    return shown
