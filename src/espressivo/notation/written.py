"""A performance written down: a `Score` of what was played, on the grid of its beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import ScoreError
from espressivo.music import (
    KEY_DTYPE,
    METRE_DTYPE,
    MOVE_DTYPE,
    PEDAL_THRESHOLD,
    SUSTAIN,
    TEMPO_DTYPE,
    Beats,
    Direction,
    Mark,
    Performance,
    Score,
    chord_starts,
    right_hand,
)
from espressivo.notation.finding import beats as find_beats
from espressivo.notation.grid import TICKS, Grid, grid_of
from espressivo.notation.lengths import Line, lengths

__all__ = ["notate"]

_GRACE_S = (
    0.11  # a note that comes so shortly before one a step away, in the same place, is a grace note
)
_STEP = 2  # semitones
_LEVELS = ("pp", "p", "mp", "mf", "f", "ff")
_BETWEEN = (38.0, 50.0, 60.0, 71.0, 84.0)  # velocities between the levels
_FIRM = 4.0  # a level changes only when it is left by so much


def notate(performance: Performance, beats: Beats | None = None) -> Score:
    """Write down a performance of piano that was played freely.

    Onsets move to the grid of the beats; notes last until the next of their hand begins, or as long
    as they are held if that is notably longer or shorter. What moves in a hand is voice 1, what is
    held beside it voice 2. Nothing is left out: two strikes of one key in one place of a hand
    become a grace note and a note.

    Parameters
    ----------
    performance : Performance
    beats : Beats, optional
        Its beats, if they are known; else `espressivo.beats` finds them.

    Returns
    -------
    Score
        Of one part on two staves, with velocities, time and key signatures, a tempo for each beat,
        dynamics, and marks of the pedal as movements.

    Raises
    ------
    ScoreError
        If there are fewer than two beats, as with fewer than two onsets.
    """
    found = find_beats(performance) if beats is None else beats
    if len(found) < 2:
        raise ScoreError("has no beats: fewer than two onsets cannot be written in measures")
    notes = performance.notes
    onset_s = notes["onset_s"].astype(np.float64)
    first = chord_starts(onset_s)
    group = np.cumsum(first) - 1
    group_s = onset_s[first]
    earlier = max(0.0, float(found.time_s[0] - group_s[0]))
    before = int(np.ceil(earlier / (found.time_s[1] - found.time_s[0]) - 0.25))
    before = max(0, before)
    grid = grid_of(found, group_s, performance.seconds, before)
    place = np.maximum(grid.nearest(grid.places(group_s)), 0)[group]
    right = right_hand(performance)
    line = Line(
        place,
        grid.places(notes["offset_s"].astype(np.float64)),
        notes["pitch"].astype(np.int64),
        _pedalled(performance),
    )
    grace = _graces(notes, place, right)
    duration, voice = np.zeros(len(notes), np.int64), np.ones(len(notes), np.int64)
    for hand in (True, False):
        mine = np.flatnonzero((right == hand) & ~grace)
        duration[mine], voice[mine] = lengths(line.at(mine), grid, _measure_of(found, before))
    duration[grace] = 1
    shifted = _before_main(place, grace)
    at = _Places(found, before)
    return Score.from_arrays(
        onset=shifted / TICKS,
        duration=np.maximum(duration, 1) / TICKS,
        pitch=notes["pitch"],
        velocity=notes["velocity"],
        staff=np.where(right, 1, 2),
        voice=voice,
        marks=np.where(grace, int(Mark.GRACE), 0),
        ticks_per_quarter=480,
        tempos=_tempos(grid),
        metres=at.metres(),
        keys=at.keys(),
        moves=_moves(performance, grid),
        directions=_dynamics(notes["velocity"].astype(float), place, at.downs()),
    )


@dataclass(frozen=True)
class _Places:
    """Where beats stand, in quarters, after so many that come before the first."""

    beats: Beats
    before: int

    def quarter(self, beat: int) -> float:
        """Return the place of a beat."""
        return float(self.before * self.beats.quarters[0] + self.beats.quarter[beat])

    def downs(self) -> list[float]:
        """Return where measures begin."""
        return [self.quarter(int(beat)) for beat in np.flatnonzero(self.beats.downbeat)]

    def metres(self) -> NDArray[np.void]:
        """Return the time signatures; a pickup has a shorter one of its own."""
        meters = self.beats.meters
        rows = [(self.quarter(beat), over, under) for beat, over, under in meters]
        first, over, under = rows[0]
        size = over * 4 / under
        if first > 0:
            whole = int(first // size + 1e-9)
            left = first - whole * size
            units = round(left * under / 4)
            if units and abs(units * 4 / under - left) < 1e-9:
                rows.insert(0, (left, over, under))
                rows.insert(0, (0.0, units, under))
            else:
                rows.insert(0, (0.0, over, under))
        return np.array(rows, METRE_DTYPE)

    def keys(self) -> NDArray[np.void]:
        """Return the key signatures, each from a downbeat on."""
        sharps = self.beats.sharps
        if sharps is None or not len(sharps):
            return np.empty(0, KEY_DTYPE)
        downs = np.flatnonzero(self.beats.downbeat)
        rows = [(0.0, int(sharps[0]), False)]
        for beat in downs.tolist():
            if int(sharps[beat]) != rows[-1][1]:
                rows.append((self.quarter(beat), int(sharps[beat]), False))
        return np.array(rows, KEY_DTYPE)


def _measure_of(beats: Beats, before: int) -> int:
    """Return how long a usual measure is, in `TICKS`."""
    over, under = beats.meter.split("/")
    return round(int(over) * 4 * TICKS / int(under))


def _pedalled(performance: Performance) -> NDArray[np.bool_]:
    """Tell of each note whether the sustain pedal is down when its key is released."""
    moves = performance.controls[performance.controls["number"] == SUSTAIN]
    value = np.concatenate(([0], moves["value"]))
    moved = np.searchsorted(moves["time_s"], performance.notes["offset_s"], "right")
    return np.asarray(value[moved] >= PEDAL_THRESHOLD)


def _graces(
    notes: NDArray[np.void], place: NDArray[np.int64], right: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which notes are grace notes: in one place and hand with a later one beside them."""
    grace = np.zeros(len(notes), bool)
    onset_s, pitch = notes["onset_s"], notes["pitch"].astype(int)
    for hand in (True, False):
        mine = np.flatnonzero(right == hand)
        starts = np.flatnonzero(np.diff(place[mine], prepend=-1))
        for here in np.split(mine, starts[1:]):
            for n, one in enumerate(here.tolist()):
                later = here[n + 1 :]
                same = pitch[later] == pitch[one]
                gap_s = onset_s[later] - onset_s[one]
                near = np.abs(pitch[later] - pitch[one]) <= _STEP
                grace[one] = bool((same | (near & (gap_s > 0.035) & (gap_s < _GRACE_S))).any())
    return grace


def _before_main(place: NDArray[np.int64], grace: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return places, those of grace notes just before their main note, in the order of time."""
    shifted = place.astype(np.float64)
    count: dict[int, int] = {}
    for one in np.flatnonzero(grace)[::-1].tolist():
        before = count[int(place[one])] = count.get(int(place[one]), 0) + 1
        shifted[one] = max(0.0, place[one] - min(before, 9) * 0.1)
    return shifted


def _tempos(grid: Grid) -> NDArray[np.void]:
    quarter_s = np.diff(grid.time_s) / np.diff(grid.place) * TICKS
    return np.array(list(zip(grid.place[:-1] / TICKS, quarter_s, strict=True)), TEMPO_DTYPE)


def _moves(performance: Performance, grid: Grid) -> NDArray[np.void]:
    """Return where the sustain pedal goes down and up, on the grid; none that are down no time."""
    moves = performance.controls[performance.controls["number"] == SUSTAIN]
    down = moves["value"] >= PEDAL_THRESHOLD
    turned = np.flatnonzero(np.diff(down, prepend=False))
    at = np.maximum(grid.nearest(grid.places(moves["time_s"][turned].astype(np.float64))), 0)
    rows: list[tuple[float, int, int]] = []
    for place, is_down in zip((at / TICKS).tolist(), down[turned].tolist(), strict=True):
        if not is_down and rows and rows[-1][0] >= place:
            rows.pop()  # down and up in one place
        else:
            rows.append((place, SUSTAIN, 127 if is_down else 0))
    return np.array(rows, MOVE_DTYPE)


def _dynamics(
    velocity: NDArray[np.float64], place: NDArray[np.int64], downs: list[float]
) -> tuple[Direction, ...]:
    """Return a dynamic wherever a measure is at another level than the one before."""
    begins = np.array([-1.0, *downs]) * TICKS
    measure = np.searchsorted(begins, place, "right") - 1
    numbers, inverse = np.unique(measure, return_inverse=True)
    sums, counts = np.bincount(inverse, velocity), np.bincount(inverse)
    sums[:-1], counts[:-1] = sums[:-1] + sums[1:], counts[:-1] + counts[1:]  # with the next measure
    level: int | None = None
    found = []
    for number, loud in zip(numbers.tolist(), (sums / counts).tolist(), strict=True):
        now = int(np.searchsorted(_BETWEEN, loud))
        if level is not None and now != level:
            edge = _BETWEEN[now - 1] if now > level else _BETWEEN[now]
            if abs(loud - edge) < _FIRM:
                continue
        if now != level:
            at = max(0.0, float(begins[number]) / TICKS)
            found.append(Direction(at, at, _LEVELS[now]))
            level = now
    return tuple(found)
