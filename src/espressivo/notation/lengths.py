"""Lengths and voices of the notes of one hand, whose onsets stand on the grid."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from espressivo.notation.grid import TICKS, Grid

__all__ = ["Line", "lengths"]

_LEGATO = 0.5  # held so much of the time to the next onset, a note lasts until it
_HELD = 1.4  # held so much of that time, it lasts longer
_SHORT = TICKS // 2  # times to the next onset up to this are filled in any case
_USUAL = tuple(TICKS * n // 2 for n in (1, 2, 4, 6, 8))


@dataclass(frozen=True, eq=False)
class Line:
    """Notes: places of onsets on the grid, places where keys go up, pitches, pedal.

    `pedalled` says whether the pedal is down when the key goes up.
    """

    onset: NDArray[np.int64]
    release: NDArray[np.float64]
    pitch: NDArray[np.int64]
    pedalled: NDArray[np.bool_]

    def at(self, chosen: NDArray[np.int64]) -> Line:
        """Return some of the notes."""
        return Line(
            self.onset[chosen], self.release[chosen], self.pitch[chosen], self.pedalled[chosen]
        )


def lengths(line: Line, grid: Grid, measure: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the length of each note in places, at least 1, and its voice, 1 or 2.

    Notes of one place and voice have the same length, and notes of a voice do not overlap.

    Parameters
    ----------
    line : Line
        Of one hand, in the order of time.
    grid : Grid
    measure : int
        Places of a usual measure: a note that the pedal holds is written no longer than that.
    """
    count = len(line.onset)
    length, voice = np.ones(count, np.int64), np.ones(count, np.int64)
    if not count:
        return length, voice
    slots = np.unique(line.onset)
    last = max(
        int(slots[-1]) + grid.step(int(slots[-1])), int(grid.nearest(line.release.max()[None])[0])
    )
    following = np.append(slots[1:], last)
    slot = np.searchsorted(slots, line.onset)
    gap = np.maximum(following[slot] - line.onset, 1)
    held = np.maximum(line.release - line.onset, 0)
    longer = (held > _HELD * gap) & (held - gap > TICKS / 4) & (slot < len(slots) - 1)
    for number, place in enumerate(slots.tolist()):
        here = np.flatnonzero(slot == number)
        moving = here[~longer[here]]
        if not len(moving):  # all are held: they move, unless that would hide what comes
            moving = here
            longer[here] = False
        length[moving] = _moving(line, grid, moving, int(gap[moving[0]]), measure)
        staying = here[longer[here]]
        if len(staying):
            until = _nearest_end(float(np.median(line.release[staying])), slots, grid)
            length[staying] = max(until - place, int(gap[staying[0]]))
            voice[staying] = 2
    begins = np.unique(line.onset[voice == 2])
    for begin, end in pairwise(begins):  # voice 2 does not overlap itself
        here = (voice == 2) & (line.onset == begin)
        length[here] = np.minimum(length[here], end - begin)
    return np.maximum(length, 1), voice


def _moving(line: Line, grid: Grid, notes: NDArray[np.int64], gap: int, measure: int) -> int:
    """Return the length of a chord that moves on: to the next onset, or shorter, before a rest."""
    place = int(line.onset[notes[0]])
    held = float(np.median(line.release[notes] - place))
    if gap <= _SHORT or held >= _LEGATO * gap or (line.pedalled[notes].any() and gap <= measure):
        return min(gap, measure * 2)
    step = max(grid.step(place), TICKS // 4)
    wanted = max(held * 1.2, step)
    usual = [
        n for n in (TICKS // 2, TICKS, 2 * TICKS, 3 * TICKS, 4 * TICKS) if n % step == 0 or step > n
    ]
    usual = [n for n in {step, *usual} if n <= gap]
    if not usual:
        return gap
    return min(usual, key=lambda n: abs(np.log(n / wanted)))


def _nearest_end(release: float, slots: NDArray[np.int64], grid: Grid) -> int:
    """Return the onset, or the beginning of a cell, that is nearest to a release."""
    candidates = []
    for places in (slots, grid.place):
        at = (
            int(np.clip(np.searchsorted(places, release), 1, len(places) - 1))
            if len(places) > 1
            else 0
        )
        candidates += places[max(0, at - 1) : at + 1].tolist()
    return int(min(candidates, key=lambda place: abs(place - release)))
