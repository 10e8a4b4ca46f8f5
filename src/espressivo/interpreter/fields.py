"""Fields: what is predicted of a performance, measured on takes of a score.

========== ===== ==========================================================================
field      rows  value
========== ===== ==========================================================================
beat       beats logarithm of the seconds that a quarter lasts in the beat
interval   onset logarithm of the seconds of a quarter from the onset to the next
inside     onset interval less beat, within -1.5..1.5
velocity   notes 1..127
articulate notes logarithm of how long the key is held over the notated length as played, -3..2
offset     notes seconds after the mean of the chord; of chords of two and more, within 0.15 s
pedal      cells depth 0..127, averaged over a quarter of a beat
========== ===== ==========================================================================

What was not played, or cannot be known, is not a number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.interpreter.view import Floats, View
from espressivo.music import SUSTAIN, Performance

__all__ = ["ARTICULATE", "FIELDS", "ROWS", "Fields", "field_values", "warped"]

FIELDS = ("beat", "interval", "inside", "velocity", "articulate", "offset", "pedal")
"""How a score is played, aspect by aspect; `ROWS` says of what each has a value."""

ROWS = {
    "beat": "beats",
    "interval": "onsets",
    "inside": "onsets",
    "velocity": "notes",
    "articulate": "notes",
    "offset": "notes",
    "pedal": "cells",
}
"""What each field has a value for."""

Fields = dict[str, Floats]
"""Values by the name of their field."""

_INSIDE = 1.5
ARTICULATE = (-3.0, 2.0)
"""Bounds of the articulation."""

_LATEST_S = 0.15
_APART_S = 0.004  # onsets in order that are nearer are one
_SLOPE_OF = 8


def warped(at: Floats, known: Floats, values: Floats) -> Floats:
    """Interpolate linearly; beyond the ends the mean slope of the nearest 8 places goes on."""
    span = min(_SLOPE_OF, len(known) - 1)
    begin = (values[span] - values[0]) / (known[span] - known[0])
    end = (values[-1] - values[-1 - span]) / (known[-1] - known[-1 - span])
    inside = np.interp(at, known, values)
    inside = np.where(at < known[0], values[0] + (at - known[0]) * begin, inside)
    return np.where(at > known[-1], values[-1] + (at - known[-1]) * end, inside)


@dataclass(frozen=True)
class _Time:
    """When the onsets of a score are played, as far as they are in order."""

    kept: NDArray[np.int64]
    quarters: Floats
    seconds: Floats

    def at(self, quarters: Floats) -> Floats:
        return warped(quarters, self.quarters, self.seconds)


def field_values(view: View, performance: Performance, match: NDArray[np.int64]) -> Fields | None:
    """Return the fields of a take, or None if fewer than two onsets are played.

    Parameters
    ----------
    view : View
    performance : Performance
    match : array of int64, shape (n,)
        Index of the note played for each note of the score, or -1.
    """
    hit = match >= 0
    played = {name: np.full(len(match), np.nan) for name in ("onset_s", "offset_s", "velocity")}
    for name, values in played.items():
        values[hit] = performance.notes[name][match[hit]]
    m, group = len(view.onsets), view.group
    known = np.bincount(group[hit], minlength=m)
    sums = np.bincount(group[hit], played["onset_s"][hit], m)
    chord_s = np.where(known > 0, sums / np.maximum(known, 1), np.nan)
    time = _in_order(view.onsets, chord_s)
    if time is None:
        return None
    interval, beat = _interval(view, time), _beat(view, time)
    held_s = played["offset_s"] - played["onset_s"]
    notated_s = time.at(view.onset + view.duration) - time.at(view.onset)
    ratio = np.maximum(held_s, 0.01) / np.maximum(notated_s, 0.02)
    kept_s = np.full(m, np.nan)
    kept_s[time.kept] = time.seconds
    offset = np.where(known[group] > 1, played["onset_s"] - kept_s[group], np.nan)
    return {
        "beat": beat,
        "interval": interval,
        "inside": np.clip(interval - beat[view.beat], -_INSIDE, _INSIDE),
        "velocity": played["velocity"],
        "articulate": np.clip(np.log(ratio), *ARTICULATE),
        "offset": np.where(np.abs(offset) <= _LATEST_S, offset, np.nan),
        "pedal": _pedal(view, time, performance),
    }


def _in_order(onsets: Floats, chord_s: Floats) -> _Time | None:
    """Keep the onsets that are after all before them and before all after them."""
    known = np.flatnonzero(np.isfinite(chord_s))
    if len(known) < 2:
        return None
    seconds = chord_s[known]
    latest = np.maximum.accumulate(seconds)
    earliest = np.minimum.accumulate(seconds[::-1])[::-1]
    good = (seconds >= latest - 1e-9) & (seconds <= earliest + 1e-9)
    good &= np.append(True, np.diff(seconds) > _APART_S)
    kept = known[good]
    return _Time(kept, onsets[kept], chord_s[kept]) if len(kept) > 1 else None


def _interval(view: View, time: _Time) -> Floats:
    """Return the interval field; only between onsets that follow each other in the score."""
    interval = np.full(len(view.onsets), np.nan)
    next_to = np.diff(time.kept) == 1
    rate = np.diff(time.seconds) / np.diff(time.quarters)
    interval[time.kept[:-1][next_to]] = np.log(rate[next_to])
    return interval


def _beat(view: View, time: _Time) -> Floats:
    """Return the beat field, of beats in which something is played."""
    bounds = view.beat_bounds
    lasts_s = np.maximum(np.diff(time.at(bounds)), 1e-3)
    first = np.searchsorted(time.quarters, bounds[:-1] - 1e-3)
    last = np.searchsorted(time.quarters, bounds[1:] + 1e-3)
    known = (last > first) & (bounds[:-1] >= time.quarters[0] - 1e-3)
    known &= bounds[1:] <= time.quarters[-1] + 1e-3
    return np.where(known, np.log(lasts_s / np.diff(bounds)), np.nan)


def _pedal(view: View, time: _Time, performance: Performance) -> Floats:
    cells_s = time.at(view.cells)
    controls = performance.controls[performance.controls["number"] == SUSTAIN]
    if not len(controls):
        return np.full(len(cells_s) - 1, np.nan)
    at = np.concatenate(([min(float(cells_s[0]), 0.0) - 1], controls["time_s"]))
    depth = np.concatenate(([0.0], controls["value"].astype(np.float64)))
    sums = np.concatenate(([0.0], np.cumsum(np.diff(at) * depth[:-1])))
    inside = np.searchsorted(at, cells_s, "right") - 1
    until = sums[inside] + (cells_s - at[inside]) * depth[inside]
    return np.asarray(np.diff(until) / np.maximum(np.diff(cells_s), 1e-3))
