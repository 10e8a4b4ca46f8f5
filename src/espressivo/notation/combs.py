"""Combs: what is struck in even steps of time before and after each onset group.

For a network that counts groups, what sounded a second ago may be three groups away or thirty. So
it is told of each group how much is struck one, two, three and four periods before and after it, of
many periods; of one that is the time of a beat or of a measure, much (Scheirer 1998). And it is
told how far the harmony of the last half second, second and two seconds is from that of the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMB_NUMBERS", "comb_numbers"]

_PERIODS_S = 0.15 * 2 ** (np.arange(26) / 5)  # to 4.8 s
_TEETH = np.array((1, 2, 3, 4, -1, -2, -3, -4))
_WEIGHTS = np.array((4.0, 3.0, 2.0, 1.0, 4.0, 3.0, 2.0, 1.0)) / 20
_GRID_S = 0.02
_WIDTHS = np.array((1, 2, 4))  # grid steps on both sides, in which a strike is on a tooth
_TOLERANCE = 0.05  # of the time to a tooth
_AROUND_S = (0.5, 1.0, 2.0)
_LONG_S = 4.0  # within which means are formed
_SILENCE_S = 20.0  # a longer one counts as this: no tooth reaches over it

COMB_NUMBERS = 2 * len(_PERIODS_S) + len(_AROUND_S)
"""How many numbers they are."""


def comb_numbers(
    time_s: NDArray[np.float64],
    loud: NDArray[np.float64],
    low: NDArray[np.float64],
    onset_s: NDArray[np.float64],
    chroma: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the combs of each group, shape (groups, COMB_NUMBERS).

    The first half of them is of how loud is what is struck, the second of what is low for its
    surroundings, or comes with another harmony. 0 is the mean of the surroundings.

    Parameters
    ----------
    time_s, loud, low : float64 array, shape (groups,)
        When each group begins; must rise. Velocities of its notes together; its lowest pitch.
    onset_s : float64 array, shape (notes,)
        In order.
    chroma : int64 array, shape (notes,)
        Pitch classes.
    """
    changes = np.stack([_change(time_s, onset_s, chroma, width) for width in _AROUND_S], 1)
    below = np.clip((_mean_around(time_s, low) - low) / 12, 0, 1.5)
    both = [_comb(time_s, strength) for strength in (loud, below + changes[:, 1])]
    return np.concatenate((*both, changes), 1)


def _comb(time_s: NDArray[np.float64], strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much is struck on the teeth of combs, (groups, periods)."""
    away = np.rint(_TEETH * _PERIODS_S[:, None] / _GRID_S).astype(int)  # (periods, teeth)
    reach = int(abs(away).max()) + int(_WIDTHS[-1]) + 1
    gaps_s = np.minimum(np.diff(time_s, prepend=time_s[:1]), _SILENCE_S)
    at = reach + np.rint(np.cumsum(gaps_s) / _GRID_S).astype(int)
    struck = np.zeros((1 + len(_WIDTHS), at[-1] + reach + 1), np.float32)
    np.maximum.at(struck[0], at, (strength / (_mean_around(time_s, strength) + 1e-6)))
    for n, step in enumerate(np.diff(_WIDTHS, prepend=0), 1):
        struck[n] = struck[n - 1]  # the loudest within the width before, moved to both sides
        struck[n, step:] = np.maximum(struck[n, step:], struck[n - 1, :-step])
        struck[n, :-step] = np.maximum(struck[n, :-step], struck[n - 1, step:])
    width = 1 + np.searchsorted(_WIDTHS[:-1], _TOLERANCE * abs(away))
    found = np.zeros((len(time_s), len(_PERIODS_S)))
    for tooth, weight in enumerate(_WEIGHTS):
        found += weight * struck[width[:, tooth], at[:, None] + away[:, tooth]]
    return np.asarray(np.minimum(found, 4)) - 0.5


def _mean_around(time_s: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means of what is within some seconds of each time."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    first, last = (np.searchsorted(time_s, time_s + s * _LONG_S) for s in (-1, 1))
    mean: NDArray[np.float64] = (sums[last] - sums[first]) / (last - first)
    return mean


def _change(
    time_s: NDArray[np.float64],
    onset_s: NDArray[np.float64],
    chroma: NDArray[np.int64],
    width_s: float,
) -> NDArray[np.float64]:
    """Return how far the pitch classes struck before each time are from those after it, 0..1."""
    sums = np.zeros((len(onset_s) + 1, 12))
    sums[np.arange(1, len(onset_s) + 1), chroma] = 1
    sums = np.cumsum(sums, axis=0)
    now = np.searchsorted(onset_s, time_s - 1e-6)
    before = sums[now] - sums[np.searchsorted(onset_s, time_s - width_s)]
    after = sums[np.searchsorted(onset_s, time_s + width_s)] - sums[now]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    change: NDArray[np.float64] = 1 - (before * after).sum(1) / np.maximum(norms, 1e-6)
    return change
