"""Recall: whether melodies come back, in the same performance or in another.

The *top line* is the highest note of every chord (`CHORD_GAP_S`). A *pattern* is a number of
successive notes of it, as intervals: so it is the same in any key. Patterns that stay on one note
do not count, and patterns that overlap are not held against each other.

Shares are returned as two numbers, how many and of how many, so that those of several
performances can be added up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from espressivo.music.features import chord_starts, in_order
from espressivo.music.performance import Performance

__all__ = ["longest_loop", "longest_shared", "recalled", "shared_patterns", "top_line"]

_LOOPS = range(3, 25)  # notes of a loop

_Times = NDArray[np.float64]
_Pitches = NDArray[np.int64]


def top_line(performance: Performance) -> tuple[_Times, _Pitches]:
    """Return when each chord begins, in seconds, and its highest pitch."""
    notes = performance.notes
    first = np.flatnonzero(chord_starts(notes["onset_s"]))
    if not len(first):
        return np.empty(0), np.empty(0, np.int64)
    return notes["onset_s"][first], np.maximum.reduceat(notes["pitch"], first).astype(np.int64)


def recalled(
    performance: Performance, notes: int, least_s: float = 0.0, most_s: float = np.inf
) -> tuple[int, int]:
    """Return how many patterns of so many notes have come before, and how many there are.

    Parameters
    ----------
    least_s, most_s : float
        Only patterns whose lag is within ``least_s <= lag < most_s``: seconds from the beginning
        of the latest occurrence to that of the pattern.
    """
    lags_s = list(_lags_s(performance, notes))
    within = sum(lag_s is not None and least_s <= lag_s < most_s for lag_s in lags_s)
    return within, len(lags_s)


def longest_loop(performance: Performance) -> float:
    """Return the longest stretch in which the top line repeats itself, in periods.

    For each period of 3 to 24 notes: the longest run of intervals that equal those a period
    before, divided by the period; the greatest of these. A figure that is played three times in
    all has repeated itself for two periods.
    """
    intervals = np.diff(top_line(performance)[1])
    longest = 0.0
    for period in _LOOPS:
        same = intervals[period:] == intervals[:-period]
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        longest = max(longest, float((edges[1::2] - edges[::2]).max(initial=0)) / period)
    return longest


def shared_patterns(
    performance: Performance, source: Performance, notes: int = 6
) -> tuple[int, int]:
    """Return how many patterns of a performance are in another one, and how many it has.

    With 5 notes, a primer and its continuation: how much goes on with what was given. With 6, two
    sections of a piece: how alike their melodies are.
    """
    known = {pattern for _, pattern in _patterns(source, notes)}
    found = [pattern in known for _, pattern in _patterns(performance, notes)]
    return sum(found), len(found)


def _lags_s(performance: Performance, notes: int) -> Iterator[float | None]:
    """Yield for each pattern the seconds since it last came, or None if it never has."""
    time_s, _ = top_line(performance)
    seen: dict[bytes, list[int]] = defaultdict(list)
    for place, pattern in _patterns(performance, notes):
        before = [earlier for earlier in seen[pattern][-notes:] if earlier <= place - notes]
        yield float(time_s[place] - time_s[before[-1]]) if before else None
        seen[pattern].append(place)


def _patterns(performance: Performance, notes: int) -> Iterator[tuple[int, bytes]]:
    """Yield the place of each pattern in the top line, and what it is."""
    intervals = np.diff(top_line(performance)[1])
    if len(intervals) < notes - 1:
        return
    windows = np.lib.stride_tricks.sliding_window_view(intervals, notes - 1)
    for place in np.flatnonzero(windows.any(axis=1)).tolist():
        yield place, windows[place].tobytes()


def longest_shared(performance: Performance, source: Performance) -> int:
    """Return how many successive notes a performance shares with another one at most.

    The notes of each chord (`CHORD_GAP_S`) are put in the order of pitch first. A run is the same
    up to one transposition; times do not matter. Two notes are a run of one interval.
    """
    one, other = (
        np.diff(in_order(p.notes["onset_s"], p.notes["pitch"])[1].astype(np.int64))
        for p in (performance, source)
    )
    longest, runs = 0, np.zeros(len(other) + 1, np.int64)  # that end at each place of the other
    for interval in one:
        runs[1:] = np.where(other == interval, runs[:-1] + 1, 0)
        longest = max(longest, int(runs.max()))
    return longest + 1 if longest else 0
