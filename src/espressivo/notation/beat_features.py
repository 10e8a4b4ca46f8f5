"""What the network for measures is told of each beat: harmony, bass, rhythm, and earlier beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.notation.onsets import Notes

__all__ = ["BEAT_NUMBERS", "beat_numbers"]

_SLOTS = 4  # of a beat; the first has the beat in its middle
_LAGS = 12  # beats back with which each is compared
_NOVELTIES = (1, 2, 4)  # beats before and after, whose harmonies are compared

_NOTHING = 64.0  # a pitch, where there is none
BEAT_NUMBERS = 12 * 4 + 3 * _SLOTS + 18 + len(_NOVELTIES) + 2 * _LAGS
"""How many numbers describe a beat."""


def beat_numbers(notes: Notes, time_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what describes each beat, shape (beats, BEAT_NUMBERS).

    They are, of each pitch class: how hard it is struck on the beat and in the quarters of the beat
    after it, for how long it is held, and whether it is the bass. Then of each of four parts of the
    beat how many notes begin, how hard, and how low; of the beat its length, that of the notes
    that begin on it, its highest and lowest pitch and how they moved, and the pedal; how far the
    harmony before it differs from that after it; and how much the rhythm and the harmony of the
    beat are those of each of the twelve before.

    Parameters
    ----------
    notes : Notes
    time_s : float64 array, shape (beats,)
        Must rise.
    """
    beats = len(time_s)
    if beats < 2 or not len(notes.onset_s):
        return np.zeros((beats, BEAT_NUMBERS), np.float32)
    whole = np.arange(beats)
    ends = np.concatenate((2 * time_s[:1] - time_s[1:2], time_s, 2 * time_s[-1:] - time_s[-2:-1]))
    places = np.concatenate(([-1], whole, [beats]))
    at = np.interp(notes.onset_s, ends, places, -9, beats + 9)
    until = np.interp(notes.onset_s + notes.length_s, ends, places, -1, beats)
    slot = np.floor(at * _SLOTS + 0.5).astype(int)
    inside = (slot >= 0) & (slot < beats * _SLOTS)
    at, until, slot = at[inside], until[inside], slot[inside]
    pitch, loud = notes.pitch[inside], notes.velocity[inside] / 127
    beat, part = np.divmod(slot, _SLOTS)
    chroma = pitch % 12
    struck, later, held, lowest_class = np.zeros((4, beats, 12))
    on = part == 0
    np.maximum.at(struck, (beat[on], chroma[on]), 0.3 + 0.7 * loud[on])
    np.maximum.at(later, (beat[~on], chroma[~on]), 0.3 + 0.7 * loud[~on])
    length = until - slot / _SLOTS
    for more in range(4):  # beats in which a note is held
        share = np.clip(until - (beat + more), 0, 1) - (part / _SLOTS if more == 0 else 0)
        some = (share > 0) & (beat + more < beats)
        np.add.at(held, (beat[some] + more, chroma[some]), share[some])
    held = np.log1p(held)
    counts, louds = np.zeros((2, beats, _SLOTS))
    lows = np.full((beats, _SLOTS), np.inf)
    np.add.at(counts, (beat, part), 1)
    np.maximum.at(louds, (beat, part), loud)
    np.minimum.at(lows, (beat, part), pitch)
    high, longest, longest_low = np.full((3, beats), -np.inf)
    np.maximum.at(high, beat, pitch)
    np.maximum.at(longest, beat[on], np.log2(np.clip(length[on], 0.1, 16)))
    low_on = on & (pitch <= lows[beat, 0] + 2)
    np.maximum.at(longest_low, beat[low_on], np.log2(np.clip(length[low_on], 0.1, 16)))
    low = lows.min(1)
    some = np.isfinite(low)
    low_of = np.zeros(beats, int)
    low_of[some] = low[some].astype(int) % 12
    lowest_class[whole[some], low_of[some]] = 1
    low, high = (np.where(np.isfinite(v), v, _NOTHING) for v in (low, high))
    low_on_beat = np.where(np.isfinite(lows[:, 0]), lows[:, 0], _NOTHING + 24)
    longest, longest_low = (np.where(np.isfinite(v), v, -4) for v in (longest, longest_low))
    lasts = np.log2(2 * np.diff(time_s, append=ends[-1:]))
    onset_s = np.sort(notes.onset_s)
    after = np.searchsorted(onset_s, time_s + 0.15 * np.exp2(lasts) / 2)
    following = onset_s[np.minimum(after, len(onset_s) - 1)] - time_s
    pedal_at = np.clip(np.searchsorted(notes.onset_s, time_s + 0.03) - 1, 0, None)
    mean_loud = _smooth(louds[:, 0], 6)
    scalars = np.stack(
        (
            lasts,
            np.diff(lasts, prepend=lasts[:1]),
            longest / 2,
            longest_low / 2,
            (high - 64) / 24,
            (low - 64) / 24,
            (low_on_beat - 64) / 24,
            (low - _smooth(low, 4)) / 12,
            (low_on_beat - _smooth(low, 4)) / 12,
            np.diff(low, prepend=low[:1]) / 12,
            np.diff(high, prepend=high[:1]) / 12,
            np.log1p(counts.sum(1)) - 1,
            (counts[:, 0] == 0) * 1.0,
            (louds[:, 0] - mean_loud) * 4,
            counts[:, 0] / (1 + _smooth(counts[:, 0], 6)),
            np.log2(np.clip(following / (np.exp2(lasts) / 2), 0.05, 16)) / 2,
            notes.pedal[pedal_at] * 1.0,
            _differs(low_of) * 1.0,
        ),
        1,
    )
    harmony = struck + later + held
    rhythm = np.concatenate((np.minimum(counts, 4), 4 * louds), 1)
    found = np.concatenate(
        (
            struck,
            later,
            held,
            lowest_class,
            np.log1p(counts),
            louds,
            np.where(np.isfinite(lows), (lows - 64) / 24, 1.0),
            scalars,
            np.stack([_novelty(harmony, width) for width in _NOVELTIES], 1),
            _likeness(rhythm),
            _likeness(harmony),
        ),
        1,
    )
    return found.astype(np.float32)


def _smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the mean of each value and of up to so many on both sides."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    at = np.arange(len(values))
    first, last = np.maximum(at - width, 0), np.minimum(at + width + 1, len(values))
    mean: NDArray[np.float64] = (sums[last] - sums[first]) / (last - first)
    return mean


def _differs(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    differs: NDArray[np.bool_] = np.diff(values, prepend=values[:1]) != 0
    return differs


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    norm: NDArray[np.float64] = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6)
    return norm


def _novelty(vectors: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return how far the sum of so many vectors before each place is from that after it, 0..1."""
    sums = np.concatenate((np.zeros((1, vectors.shape[1])), np.cumsum(vectors, 0)))
    at = np.arange(len(vectors))
    before = sums[at] - sums[np.maximum(at - width, 0)]
    after = sums[np.minimum(at + width, len(vectors))] - sums[at]
    novelty: NDArray[np.float64] = 1 - (_unit(before) * _unit(after)).sum(1)
    return novelty


def _likeness(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each vector is like each of those before it, (places, _LAGS), 0..1."""
    directions = _unit(vectors)
    found = np.zeros((len(vectors), _LAGS))
    for lag in range(1, min(_LAGS, len(vectors) - 1) + 1):
        found[lag:, lag - 1] = (directions[lag:] * directions[:-lag]).sum(1)
    return found
