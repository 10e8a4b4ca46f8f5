"""Following: where in a score a performance is, found without anything being marked in it.

Onsets of the score and of the performance are walked through together (dynamic time warping), at
the least cost: two onsets that belong together share their pitches, and one that has no partner has
a price. What comes out is rough, and enough for `espressivo.data.align`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo.data.alignment import align
from espressivo.music import CHORD_GAP_S, Performance, Score, onset_groups

__all__ = ["MOST_CELLS", "Take", "followed", "take_of"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

MOST_CELLS = 1 << 28
"""Onsets of the score times those of the performance: more are not followed."""

_ALONE = 0.6  # price of an onset that has no partner; of two that share no pitch it is 1
_LONGEST_GAP = 8.0  # quarters without a note that was found, over which nothing is guessed
_TOGETHER, _SCORE_ALONE, _PLAYED_ALONE = range(3)


class Take(NamedTuple):
    """What a person made of a score.

    Parameters
    ----------
    beats_s : array, shape (beats + 1,)
        Seconds at which each of the score's beats comes, and its end; not a number where nothing
        near was found.
    velocity : array of int64, shape (notes of the score,)
        1..127, or 0 for a note that was not found.
    found : float
        The part of the score's notes that were found, 0..1.
    """

    beats_s: Floats
    velocity: Indices
    found: float


def take_of(score: Score, performance: Performance) -> Take:
    """Return what a performance of a score says of its beats and notes; see `followed`."""
    index = followed(score, performance)
    hit = index >= 0
    velocity = np.zeros(len(score), np.int64)
    velocity[hit] = performance.notes["velocity"][index[hit]]
    beats = np.append(score.beats, score.quarters)
    beats_s = np.full(len(beats), np.nan)
    onsets, group = onset_groups(score)
    sums = np.bincount(group[hit], performance.notes["onset_s"][index[hit]], len(onsets))
    counts = np.bincount(group[hit], minlength=len(onsets))
    at, time_s = onsets[counts > 0], sums[counts > 0] / counts[counts > 0]
    if len(at):
        rising = np.append(True, time_s[1:] > np.maximum.accumulate(time_s)[:-1])
        at, time_s = at[rising], time_s[rising]
    if len(at) > 1:
        beats_s = np.interp(beats, at, time_s, np.nan, np.nan)
        after = np.clip(np.searchsorted(at, beats), 1, len(at) - 1)
        beats_s[at[after] - at[after - 1] > _LONGEST_GAP] = np.nan
    return Take(beats_s, velocity, float(hit.mean()) if len(score) else 0.0)


def followed(score: Score, performance: Performance) -> Indices:
    """Return the index of the note played for each note of a score, or -1.

    Parameters
    ----------
    score : Score
        Repeats as they are played.
    performance : Performance

    Returns
    -------
    array of int64, shape (notes of the score,)
        All -1 if next to nothing matches.

    Raises
    ------
    ValueError
        If they are too long: see `MOST_CELLS`.
    """
    nothing = np.full(len(score), -1)
    if not (len(score) and len(performance)):
        return nothing
    onsets, group = onset_groups(score)
    played_s = performance.notes["onset_s"]
    begins = np.append(True, np.diff(played_s) > CHORD_GAP_S)
    chord = np.cumsum(begins) - 1
    chords_s = played_s[begins]
    if len(onsets) * len(chords_s) > MOST_CELLS:
        raise ValueError("the score and the performance are too long to be followed")
    written = _pitches(group, score.notes["pitch"], len(onsets))
    heard = _pitches(chord, performance.notes["pitch"], len(chords_s))
    pairs = _walked(written, heard)
    if len(pairs) < 2:
        return nothing
    one, other = pairs.T
    return align(score, performance, onsets[one], chords_s[other])


def _pitches(group: Indices, pitch: NDArray[np.uint8], count: int) -> NDArray[np.float32]:
    """Return which pitches each group has, shape (groups, 128)."""
    has = np.zeros((count, 128), np.float32)
    has[group, pitch] = 1
    return has


def _walked(written: NDArray[np.float32], heard: NDArray[np.float32]) -> Indices:
    """Return the pairs of onsets that belong together and share a pitch, rising in both."""
    m, n = len(written), len(heard)
    sizes, others = written.sum(1), heard.sum(1)
    came = np.zeros((m + 1, n + 1), np.uint8)
    came[0, 1:], came[1:, 0] = _PLAYED_ALONE, _SCORE_ALONE
    # Cells of an anti-diagonal do not depend on each other: row i, column d - i.
    before = np.full(m + 1, np.inf)
    last = np.full(m + 1, np.inf)
    before[0] = 0.0
    last[:2] = _ALONE
    for d in range(2, m + n + 1):
        low, high = max(0, d - n), min(m, d)
        cost = np.full(m + 1, np.inf)
        if low == 0:
            cost[0] = d * _ALONE
        if high == d:
            cost[d] = d * _ALONE
        rows = np.arange(max(1, low), min(m, d - 1) + 1)
        if len(rows):
            columns = d - rows
            shared = np.einsum("ij,ij->i", written[rows - 1], heard[columns - 1])
            apart = 1 - shared / np.minimum(sizes[rows - 1], others[columns - 1])
            choices = np.stack(
                (before[rows - 1] + apart, last[rows - 1] + _ALONE, last[rows] + _ALONE)
            )
            best = choices.argmin(0)
            came[rows, columns] = best
            cost[rows] = choices[best, np.arange(len(rows))]
        before, last = last, cost
    pairs = []
    i, j = m, n
    while i and j:
        step = came[i, j]
        if step == _TOGETHER:
            if written[i - 1] @ heard[j - 1]:
                pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif step == _SCORE_ALONE:
            i -= 1
        else:
            j -= 1
    return np.array(pairs[::-1], np.int64).reshape(-1, 2)
