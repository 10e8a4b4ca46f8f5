"""Grid: where notes that were played freely stand within the beats.

Every beat is divided in one way, the same for all voices. All are chosen at once, by dynamic
programming: what counts is how far onsets are from the places of the division, that simple
divisions are usual, and that a division usually goes on in the next beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Beats

__all__ = ["TICKS", "Grid", "grid_of"]

TICKS = 48
"""Places of a quarter note: all divisions below are whole numbers of them."""

_Array = NDArray[np.float64]

_SIMPLE = {1: 0.0, 2: 0.4, 4: 1.0, 3: 2.2, 8: 3.5, 6: 3.2, 12: 5.0}
_COMPOUND = {1: 0.0, 3: 0.3, 6: 1.0, 12: 3.0}
_UNEVEN, _UNEVEN_S = 0.06, 0.012  # how far people are off, in parts of a beat and in seconds
_SWITCH, _OTHER_KIND = 0.7, 1.0  # costs of another division, and of twos after threes
_COLLISION = 2.5  # cost of two onsets in one place
_TOGETHER_S = 0.07  # unless they are so close


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells, beats or parts of beats, each divided in one way.

    Parameters
    ----------
    time_s : float64 array, shape (cells + 1,)
        Where cells begin, and where the last ends.
    place : int64 array, shape (cells + 1,)
        The same in `TICKS`, from 0.
    division : int64 array, shape (cells,)
        Into how many parts each is divided.
    """

    time_s: _Array
    place: NDArray[np.int64]
    division: NDArray[np.int64]

    def places(self, time_s: _Array) -> _Array:
        """Return the places of seconds, not rounded; beyond the ends at the tempo there."""
        inside = np.clip(
            np.searchsorted(self.time_s, time_s, "right") - 1, 0, len(self.division) - 1
        )
        begin, size = self.place[inside], np.diff(self.place)[inside]
        passed = (time_s - self.time_s[inside]) / np.diff(self.time_s)[inside]
        return np.asarray(begin + passed * size)

    def nearest(self, places: _Array) -> NDArray[np.int64]:
        """Return the nearest places of the divisions."""
        inside = np.clip(
            np.searchsorted(self.place, places, "right") - 1, 0, len(self.division) - 1
        )
        part = np.diff(self.place)[inside] / self.division[inside]
        begin = self.place[inside]
        return np.asarray(begin + np.rint((places - begin) / part) * part).astype(np.int64)

    def step(self, place: int) -> int:
        """Return the size of the parts of the cell that a place is in."""
        cell = int(
            np.clip(np.searchsorted(self.place, place, "right") - 1, 0, len(self.division) - 1)
        )
        return int((self.place[cell + 1] - self.place[cell]) // self.division[cell])

    def _cell(self, begins: NDArray[Any], at: Any) -> Any:
        """Return the cell that each of some times, or places, is in."""
        return np.clip(np.searchsorted(begins, at, "right") - 1, 0, len(self.division) - 1)


def grid_of(beats: Beats, onset_s: _Array, end_s: float, before: int = 0) -> Grid:
    """Return the grid of the onsets of a performance.

    Parameters
    ----------
    beats : Beats
        At least two.
    onset_s : float64 array
        Of onset groups, rising.
    end_s : float
        When the last sound ends; the grid goes as far.
    before : int
        Beats that the grid has before the first of `beats`.
    """
    times, lasts = _extended(beats, end_s, before)
    time_s, sizes = _cells(times, lasts)
    division = _divisions(time_s, sizes, onset_s)
    return Grid(time_s, np.concatenate(([0], np.cumsum(sizes))), division)


def _extended(beats: Beats, end_s: float, before: int) -> tuple[_Array, _Array]:
    """Return times of beats, with some before and after, and their quarters but for the last."""
    times, lasts = beats.time_s, beats.quarters
    first_s, last_s = times[1] - times[0], times[-1] - times[-2]
    after = max(0, int(np.ceil((end_s - times[-1]) / last_s)))
    earlier = times[0] - first_s * np.arange(before, 0, -1)
    later = times[-1] + last_s * np.arange(1, after + 1)
    quarters = np.concatenate(
        (np.full(before, lasts[0]), lasts[: len(lasts) - 1], np.full(after, lasts[-1]))
    )
    return np.concatenate((earlier, times, later)), quarters


def _cells(times: _Array, lasts: _Array) -> tuple[_Array, NDArray[np.int64]]:
    """Split beats longer than a quarter, but for three eighths, into quarters."""
    time_s: list[float] = []
    sizes: list[int] = []
    for begin, end, quarters in zip(times[:-1], times[1:], lasts, strict=True):
        parts = {2.0: 2, 3.0: 3}.get(float(quarters), 1)
        time_s += np.linspace(begin, end, parts, endpoint=False).tolist()
        sizes += [round(quarters * TICKS / parts)] * parts
    return np.array([*time_s, times[-1]]), np.array(sizes, np.int64)


def _divisions(time_s: _Array, sizes: NDArray[np.int64], onset_s: _Array) -> NDArray[np.int64]:
    """Choose how each cell is divided."""
    choices = np.array(sorted(_SIMPLE.keys() | _COMPOUND.keys()))
    lasts_s = np.diff(time_s)
    cell = np.clip(np.searchsorted(time_s, onset_s + 1e-6, "right") - 1, 0, len(sizes) - 1)
    costs = np.full((len(sizes), len(choices)), np.inf)
    for column, division in enumerate(choices.tolist()):
        for size in np.unique(sizes).tolist():
            usual = _COMPOUND if size % 36 == 0 else _SIMPLE
            if division in usual and size % division == 0:
                costs[sizes == size, column] = usual[division]
    within = (onset_s - time_s[cell]) / lasts_s[cell]  # 0..1
    spread = _UNEVEN**2 + (_UNEVEN_S / lasts_s[cell]) ** 2
    at = cell[:, None]
    places = np.rint(within[:, None] * choices)
    off = (within[:, None] - places / choices) ** 2 / (2 * spread[:, None])
    np.add.at(costs, cell, off)
    same = (at[1:] == at[:-1]) & (places[1:] == places[:-1])
    apart = np.diff(onset_s) > _TOGETHER_S
    np.add.at(costs, cell[1:], _COLLISION * (same & apart[:, None]))
    return choices[_cheapest(costs, _switches(choices))]


def _switches(choices: NDArray[np.int64]) -> _Array:
    threes = choices % 3 == 0
    other = choices[:, None] != choices
    costs = _SWITCH * other + _OTHER_KIND * (threes[:, None] != threes)
    costs[choices == 1] *= 0.3  # a beat without parts says little of the next
    return np.asarray(costs)


def _cheapest(costs: _Array, switches: _Array) -> NDArray[np.int64]:
    """Return the cheapest column of each row, where going from column to column costs too."""
    origin = np.zeros(costs.shape, int)
    total = costs[0]
    for row in range(1, len(costs)):
        arriving = total[:, None] + switches
        origin[row] = np.argmin(arriving, axis=0)
        total = arriving[origin[row], np.arange(costs.shape[1])] + costs[row]
    chosen = np.zeros(len(costs), int)
    chosen[-1] = int(np.argmin(total))
    for row in range(len(costs) - 1, 0, -1):
        chosen[row - 1] = origin[row, chosen[row]]
    return chosen
