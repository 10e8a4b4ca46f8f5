"""How well the beats of a performance fit a tempo and a time signature that somebody wants."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Beats

__all__ = ["Fit", "fit"]

_NEAR = 0.1  # of the tempo: so far from it a beat still has it
_AROUND = 4  # beats whose mean is the tempo at one


@dataclass(frozen=True)
class Fit:
    """How well beats fit; better fits are greater.

    Parameters
    ----------
    share : float
        Of the beats, those that have the tempo and stand in a measure of the time signature, 0..1.
    away : float
        Octaves between the tempo as a whole and the one that is wanted; 0 if none is.
    tempo : float
        Beats a minute, on the whole; nan below two beats.
    meter : str
        The time signature that holds for most beats.
    """

    share: float
    away: float
    tempo: float
    meter: str

    def __lt__(self, other: Fit) -> bool:
        """Return whether this one fits less well: fewer beats, or else a tempo farther away."""
        return (self.share, -self.away) < (other.share, -other.away)


def fit(beats: Beats, *, tempo: float | None = None, meter: str | None = None) -> Fit:
    """Return how well beats fit a tempo, a time signature or both.

    A beat has the tempo if the mean of the four around it is within a tenth of it.

    Parameters
    ----------
    beats : Beats
    tempo : float, optional
        Beats a minute, above 0. A beat is that of the time signature: a dotted quarter in 6/8.
    meter : str, optional
        Such as ``3/4``, written as in `Beats.meter`.
    """
    count = len(beats)
    if count < 2:
        return Fit(0.0, math.inf, math.nan, "")
    away = 0.0 if tempo is None else abs(math.log2(beats.tempo / tempo))
    right = np.ones(count, bool)
    if tempo is not None:
        first = np.clip(np.arange(count) - _AROUND // 2, 0, max(0, count - 1 - _AROUND))
        last = np.minimum(first + _AROUND, count - 1)
        local = 60 * (last - first) / (beats.time_s[last] - beats.time_s[first])
        right &= abs(local / tempo - 1) <= _NEAR
    if meter is not None:
        right &= _meters(beats) == meter
    return Fit(float(right.mean()), away, beats.tempo, beats.meter)


def _meters(beats: Beats) -> NDArray[np.str_]:
    """Return the time signature at each beat; what comes before the first has that of the first."""
    found = np.full(len(beats), "", dtype="U16")
    for begin, over, under in beats.meters:
        found[0 if begin == beats.meters[0][0] else begin :] = f"{over}/{under}"
    return found
