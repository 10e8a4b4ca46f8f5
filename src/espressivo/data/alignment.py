"""Alignment: which note of a performance is which note of its score.

Beats that were marked in both tell roughly when each note of the score is due. Of each pitch, the
notes of the score are then assigned to those of the performance in their order, so that the
seconds by which they are off are as few as possible in all; a note may be left out for a fixed
price. What was found shifts the expectation, and the assignment is done once more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.interpreter import warped
from espressivo.music import Performance, Score, onset_groups

__all__ = ["align", "same_notes"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_LEFT_OUT_S = (0.25, 0.2)  # price of a note that is left out, at first and when done once more
_LEFT_OUT_QUARTERS = 0.13  # likewise, of another edition
_SMOOTHED = 5  # onsets whose median shifts the expectation
_FEWEST = 8  # notes assigned, below which nothing is shifted


def align(score: Score, performance: Performance, beats: Floats, beats_s: Floats) -> Indices:
    """Return the index of the note played for each note of a score, or -1.

    Parameters
    ----------
    score : Score
    performance : Performance
    beats, beats_s : array, shape (k,)
        Quarters of the score, and seconds of the performance, that belong together; k is at
        least 2. Where either does not rise, the later is not used.

    Returns
    -------
    array of int64, shape (notes of the score,)
    """
    beats, beats_s = _rising(beats, beats_s)
    onset, played = score.notes["onset"], performance.notes
    due_s = warped(onset, beats, beats_s)
    found = _by_pitch(score.notes["pitch"], due_s, played, _LEFT_OUT_S[0])
    hit = found >= 0
    if np.count_nonzero(hit) < _FEWEST:
        return found
    _, group = onset_groups(score)
    late_s = played["onset_s"][found[hit]] - due_s[hit]
    groups, first, count = np.unique(group[hit], return_index=True, return_counts=True)
    late_s = late_s[np.lexsort((late_s, group[hit]))]
    medians = (late_s[first + (count - 1) // 2] + late_s[first + count // 2]) / 2
    padded = np.pad(medians, _SMOOTHED // 2, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, _SMOOTHED), axis=1)
    due_s = due_s + np.interp(group, groups, smooth)
    return _by_pitch(score.notes["pitch"], due_s, played, _LEFT_OUT_S[1])


def same_notes(score: Score, other: Score) -> Indices:
    """Return the index of the same note in another edition of a score, or -1, for each note.

    Both have the same repeats written out; grace notes may stand in different places.
    """
    onset = np.round(other.notes["onset"], 6)
    order = np.lexsort((other.notes["pitch"], onset))
    as_played = np.empty(len(other), [("onset_s", "f8"), ("pitch", "u1")])
    as_played["onset_s"], as_played["pitch"] = onset[order], other.notes["pitch"][order]
    found = _by_pitch(score.notes["pitch"], score.notes["onset"], as_played, _LEFT_OUT_QUARTERS)
    return np.where(found >= 0, order[np.maximum(found, 0)], -1)


def _rising(beats: Floats, beats_s: Floats) -> tuple[Floats, Floats]:
    kept = [0]
    for index in range(1, len(beats)):
        if beats[index] > beats[kept[-1]] + 1e-6 and beats_s[index] > beats_s[kept[-1]] + 1e-6:
            kept.append(index)
    return beats[kept], beats_s[kept]


def _by_pitch(
    pitch: NDArray[np.uint8], due_s: Floats, played: NDArray[np.void], left_out_s: float
) -> Indices:
    found = np.full(len(pitch), -1, np.int64)
    for one in np.unique(pitch):
        written = np.flatnonzero(pitch == one)
        written = written[np.argsort(due_s[written], kind="stable")]
        heard = np.flatnonzero(played["pitch"] == one)
        assigned = _assigned(due_s[written], played["onset_s"][heard], left_out_s)
        hit = assigned >= 0
        found[written[hit]] = heard[assigned[hit]]
    return found


def _assigned(due_s: Floats, onset_s: Floats, left_out_s: float) -> Indices:
    """Return for each of some rising times the index of another, in order, or -1.

    Times further apart than the price of leaving out both are never assigned to each other: what
    lies between such gaps is done by itself.
    """
    found = np.full(len(due_s), -1, np.int64)
    every = np.sort(np.concatenate((due_s, onset_s)))
    cuts = every[1:][np.diff(every) > 2 * left_out_s]
    of_due, of_onset = (np.searchsorted(cuts, times, "right") for times in (due_s, onset_s))
    rows = np.searchsorted(of_due, np.arange(len(cuts) + 2))
    columns = np.searchsorted(of_onset, np.arange(len(cuts) + 2))
    for row, next_row, column, next_column in zip(
        rows.tolist(), rows[1:].tolist(), columns.tolist(), columns[1:].tolist(), strict=False
    ):
        if next_row == row or next_column == column:
            continue
        if next_row == row + 1 and next_column == column + 1:
            found[row] = column
            continue
        part = _together(due_s[row:next_row], onset_s[column:next_column], left_out_s)
        found[row:next_row] = np.where(part >= 0, part + column, -1)
    return found


def _together(due_s: Floats, onset_s: Floats, left_out_s: float) -> Indices:
    """Return what `_assigned` does, by dynamic programming over all of both."""
    found = np.full(len(due_s), -1, np.int64)
    skipped = np.arange(len(onset_s) + 1) * left_out_s
    costs = np.empty((len(due_s) + 1, len(onset_s) + 1))
    costs[0] = skipped
    for row, due in enumerate(due_s):
        reached = costs[row] + left_out_s
        np.minimum(reached[1:], costs[row, :-1] + np.abs(onset_s - due), out=reached[1:])
        costs[row + 1] = np.minimum.accumulate(reached - skipped) + skipped
    row, column = len(due_s), len(onset_s)
    while row and column:
        cost = costs[row, column]
        off = abs(float(onset_s[column - 1] - due_s[row - 1]))
        if abs(cost - costs[row - 1, column - 1] - off) < 1e-9:
            row, column = row - 1, column - 1
            found[row] = column
        elif abs(cost - costs[row - 1, column] - left_out_s) < 1e-9:
            row -= 1
        else:
            column -= 1
    return found
