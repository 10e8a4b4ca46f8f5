"""View: a score laid out for reading: onset groups, beats, hands, and rows that slide over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Score, onset_groups

__all__ = ["CELLS", "Columns", "View", "counted", "mean_within", "neighbour"]

Floats = NDArray[np.float64]
"""An array of numbers in double precision."""

Columns = dict[str, Floats]
"""Features by name, a value for each row."""

CELLS = 4
"""Parts of a beat, in each of which the pedal has one depth."""

_NEAR = 1e-6  # quarters
_GATE = 24  # parts of a quarter: a note that ends a tick or so before such a part ends at it
_GATE_TOLERANCE = 0.012  # quarters: what exports cut off the ends of notes
_SHORTEST = 1 / 96  # quarters


def neighbour(values: Floats, away: int, beyond: float = 0.0) -> Floats:
    """Return for each row the value so many rows on, or back if negative; `beyond` at the ends."""
    moved = np.full(len(values), beyond, np.float64)
    if away > 0:
        moved[:-away] = values[away:]
    elif away < 0:
        moved[-away:] = values[:away]
    else:
        moved[:] = values
    return moved


def mean_within(at: Floats, values: Floats, of: Floats, low: float, high: float) -> Floats:
    """Return the mean of what stands at ``of + low`` up to ``of + high``, that excluded, or 0."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    first = np.searchsorted(at, of + low - _NEAR)
    last = np.maximum(np.searchsorted(at, of + high - _NEAR), first)
    return np.asarray((sums[last] - sums[first]) / np.maximum(last - first, 1))


def counted(at: Floats, of: Floats, low: float, high: float) -> Floats:
    """Return how much stands at ``of + low`` up to ``of + high``, that excluded."""
    first = np.searchsorted(at, of + low - _NEAR)
    return np.asarray(np.searchsorted(at, of + high - _NEAR) - first, np.float64)


@dataclass(frozen=True, eq=False)
class View:
    """A score of n notes at m onsets in k beats, as features are measured on it.

    Parameters
    ----------
    score : Score
        With at least one note.
    velocity : array, shape (n,), optional
        Velocities that stand for the written ones.
    """

    score: Score
    velocity: Floats

    @classmethod
    def of(cls, score: Score, velocity: Floats | None = None) -> View:
        """Return the view of a score, with its own velocities unless others are given."""
        given = score.notes["velocity"] if velocity is None else velocity
        return cls(score, np.asarray(given, np.float64))

    @cached_property
    def _groups(self) -> tuple[Floats, NDArray[np.int64]]:
        return onset_groups(self.score)

    @property
    def onsets(self) -> Floats:
        """Distinct onsets in quarters, shape (m,)."""
        return self._groups[0]

    @property
    def group(self) -> NDArray[np.int64]:
        """Index of each note's onset, shape (n,)."""
        return self._groups[1]

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """Index of the first note of each onset, shape (m,)."""
        return np.asarray(np.searchsorted(self.group, np.arange(len(self.onsets))), np.int64)

    @cached_property
    def count(self) -> Floats:
        """Notes at each onset, shape (m,)."""
        return np.bincount(self.group, minlength=len(self.onsets)).astype(np.float64)

    @cached_property
    def onset(self) -> Floats:
        """Onset of each note in quarters, shape (n,)."""
        return np.asarray(self.onsets[self.group])

    @cached_property
    def pitch(self) -> Floats:
        """Pitch of each note, shape (n,)."""
        return self.score.notes["pitch"].astype(np.float64)

    @cached_property
    def duration(self) -> Floats:
        """Notated length of each note in quarters, without the gap that exports leave."""
        given = self.score.notes["duration"].astype(np.float64)
        full = np.round(given * _GATE) / _GATE
        near = (np.abs(given - full) < _GATE_TOLERANCE) & (full > 0)
        return np.where(near, full, np.maximum(given, _SHORTEST))

    @cached_property
    def end(self) -> float:
        """Where the last note ends, in quarters."""
        return float((self.onset + self.duration).max())

    @cached_property
    def top(self) -> Floats:
        """Highest pitch of each onset."""
        return np.maximum.reduceat(self.pitch, self.first)

    @cached_property
    def bass(self) -> Floats:
        """Lowest pitch of each onset."""
        return np.minimum.reduceat(self.pitch, self.first)

    @cached_property
    def interval(self) -> Floats:
        """Quarters from each onset to the next; of the last, to the end, but at least a 16th."""
        return np.append(np.diff(self.onsets), max(self.end - self.onsets[-1], 0.25))

    @cached_property
    def beat_bounds(self) -> Floats:
        """Where each beat begins, and where the last one ends, shape (k + 1,)."""
        beats = self.score.beats
        last = beats[-1] - beats[-2] if len(beats) > 1 else 1.0
        return np.append(beats, max(beats[-1] + last, self.end))

    @cached_property
    def downbeats(self) -> NDArray[np.bool_]:
        """Whether a measure begins with each beat, shape (k,)."""
        measures, beats = self.score.measures, self.beat_bounds[:-1]
        near = np.searchsorted(measures, beats - _NEAR)
        return np.asarray(np.abs(np.append(measures, np.inf)[near] - beats) < _NEAR)

    @cached_property
    def bar(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        """Of each beat the first of its measure, the measure's quarters, and its number."""
        down = self.downbeats.copy()
        down[0] = True
        begins = np.flatnonzero(down)
        number = np.cumsum(down, dtype=np.int64)
        ends = np.append(self.beat_bounds[begins[1:]], self.beat_bounds[-1])
        length = (ends - self.beat_bounds[begins])[number - 1]
        return begins[number - 1], length, number

    @cached_property
    def beat(self) -> NDArray[np.int64]:
        """Index of the beat in which each onset falls, shape (m,)."""
        within = np.searchsorted(self.beat_bounds, self.onsets + _NEAR, "right") - 1
        return np.asarray(np.clip(within, 0, len(self.beat_bounds) - 2), np.int64)

    @cached_property
    def cells(self) -> Floats:
        """Bounds of the quarters of the beats, shape (CELLS * k + 1,)."""
        bounds = self.beat_bounds
        width = np.diff(bounds)[:, None] / CELLS
        inside = bounds[:-1, None] + width * np.arange(CELLS)
        return np.append(inside.ravel(), bounds[-1])

    @cached_property
    def quarter_log(self) -> Floats:
        """Logarithm of the seconds of a quarter that are written at each onset, shape (m,)."""
        lasts = np.full(len(self.onsets), 1e-3)
        at = self.score.seconds_at(self.onsets)
        return np.asarray(np.log((self.score.seconds_at(self.onsets + lasts) - at) / lasts))

    @cached_property
    def loudness(self) -> tuple[Floats, float]:
        """Velocity of each note, standardised (0 where none is written), and its spread."""
        written = self.velocity
        known = written > 0
        if not known.any() or written[known].std() < 1e-9:
            return np.zeros(len(written)), 0.0
        spread = float(written[known].std())
        even = (written - written[known].mean()) / max(spread, 5.0)
        return np.where(known, even, 0.0), spread

    @cached_property
    def hand(self) -> NDArray[np.int64]:
        """0 right, 1 left, of each note: by its staff, or else above and below the middle."""
        staff = self.score.notes["staff"].astype(np.int64)
        middle = (
            mean_within(self.onsets, self.top, self.onsets, -8, 8)
            + mean_within(self.onsets, self.bass, self.onsets, -8, 8)
        ) / 2
        guessed = (self.pitch < middle[self.group]).astype(np.int64)
        return np.where(staff > 0, np.minimum(staff, 2) - 1, guessed)

    @cached_property
    def chroma_sums(self) -> Floats:
        """Cumulated lengths of pitch classes, at most two quarters of a note, shape (m + 1, 12)."""
        sums = np.zeros((len(self.onsets) + 1, 12))
        classes = (self.pitch % 12).astype(np.int64)
        np.add.at(sums, (self.group + 1, classes), np.minimum(self.duration, 2.0))
        return np.cumsum(sums, axis=0)

    def chroma(self, of: Floats, low: float, high: float) -> Floats:
        """Return the lengths of pitch classes that begin within, shape (len(of), 12)."""
        first = np.searchsorted(self.onsets, of + low - _NEAR)
        last = np.maximum(np.searchsorted(self.onsets, of + high - _NEAR), first)
        return np.asarray(self.chroma_sums[last] - self.chroma_sums[first])
