"""Pitch spelling: whether a black key is a sharp or a flat, and how the others are written.

The places of notes on the line of fifths are told from the key signature. What is heard around a
note votes for each place at which it may stand: pitch classes, as in ps13 (Meredith, "The ps13
pitch spelling algorithm", Journal of New Music Research 35, 2006), steps up and down in its
neighbourhood, and the chord that it belongs to. How much each vote counts has been learned from
scores, by logistic regression (`tools/spelling.py`).
"""

from __future__ import annotations

import functools
import importlib.resources
import io

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FLATTEST", "PLACES", "STEPS", "VOTES", "spelled", "votes"]

STEPS = "CDEFGAB"
"""Names of the seven steps."""

FLATTEST, PLACES = -10, 25
"""Place of the flattest name, in fifths from the major tonic of the key signature, and how many
there are."""

_SPANS = ((6, 0), (0, 6), (24, 0), (0, 24), (100, 100))  # notes before and after whose classes vote
_STEPS_WITHIN, _CHORD_WITHIN = 12, 7  # notes before and after
_STEP = 2  # semitones; so far apart, notes of different times may be a step
_STEP_VOTES = 2 * _STEP + 1

VOTES = 1 + 2 * _STEP_VOTES + 12 + 12 * len(_SPANS)
"""How many numbers vote."""

_FLAT, _SHARP = -15, 19  # two flats of F and two sharps of B, as places on the line of fifths
_STEP_OF = np.array((0, 4, 1, 5, 2, 6, 3))  # of C, G, D, A, E, B, F


def spelled(
    pitch: ArrayLike, sharps: ArrayLike = 0, onset: ArrayLike | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return step and alteration of each note.

    Parameters
    ----------
    pitch : int array, shape (notes,)
        MIDI pitches in the order of time, and those of a chord from below.
    sharps : int or int array, shape (notes,)
        Key signature at each note, -7..7; flats are negative.
    onset : array, shape (notes,), optional
        When each begins, in any unit; by default one after another.

    Returns
    -------
    step : int64 array, shape (notes,)
        Index into `STEPS`.
    alter : int64 array, shape (notes,)
        Semitones above the step: 1 is a sharp, -1 a flat; within -2..2.

    Examples
    --------
    >>> step, alter = spelled([62, 66, 69, 73, 74], 2)
    >>> "".join(STEPS[n] for n in step), alter.tolist()
    ('DFACD', [0, 1, 0, 1, 0])
    """
    pitch = np.asarray(pitch, np.int64)
    if not len(pitch):
        return pitch, pitch
    keys = np.broadcast_to(np.asarray(sharps, np.int64), pitch.shape)
    at = np.arange(len(pitch)) if onset is None else np.asarray(onset, np.float64)
    fifths = keys[:, None] + np.arange(FLATTEST, FLATTEST + PLACES)  # (notes, places)
    sounds = (7 * fifths - pitch[:, None]) % 12 == 0
    writable = (fifths >= _FLAT) & (fifths <= _SHARP)
    gained = np.where(sounds & writable, votes(pitch, keys, at) @ _weights().T, -np.inf)
    chosen = fifths[np.arange(len(pitch)), np.argmax(gained, axis=1)]
    return _STEP_OF[chosen % 7], (chosen + 1) // 7


def votes(
    pitch: NDArray[np.int64],
    keys: NDArray[np.int64],
    onset: NDArray[np.float64] | NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return what is heard around each note, (notes, VOTES), each within 0..1.

    They are a 1; how near the nearest note before it is that lies two semitones below, one below,
    on it, one above and two above; the same after it; which intervals above it its chord has; and
    the shares of pitch classes, counted from the major tonic of the key signature, among the 6 and
    the 24 notes before and after, and among the 100 on both sides.
    """
    count = len(pitch)
    at = np.arange(count)
    group = np.cumsum(np.diff(onset, prepend=onset[:1] - 1) > 0)
    steps, chord = np.zeros((count, 2 * _STEP_VOTES)), np.zeros((count, 12))
    for away in range(1, min(_STEPS_WITHIN, count - 1) + 1):
        for here, there, first in (
            (at[away:], at[:-away], 0),
            (at[:-away], at[away:], _STEP_VOTES),
        ):
            interval, together = pitch[there] - pitch[here], group[there] == group[here]
            near = (np.abs(interval) <= _STEP) & ~together
            column = first + interval[near] + _STEP
            np.maximum.at(steps, (here[near], column), 1 - (away - 1) / _STEPS_WITHIN)
            if away <= _CHORD_WITHIN:
                chord[here[together], interval[together] % 12] = 1
    heard = np.zeros((count + 1, 12))
    heard[at + 1, (pitch - 7 * keys) % 12] = 1
    heard = np.cumsum(heard, axis=0)
    parts = [np.ones((count, 1)), steps, chord]
    for before, after in _SPANS:
        begin = at + 1 if before == 0 else np.maximum(at - before, 0)
        last = at if after == 0 else np.minimum(at + 1 + after, count)
        parts.append((heard[last] - heard[np.minimum(begin, last)]) / max(before, after))
    return np.concatenate(parts, axis=1)


@functools.cache
def _weights() -> NDArray[np.float32]:
    """Return how much each vote counts for each place, (PLACES, VOTES)."""
    file = importlib.resources.files("espressivo") / "models" / "notation" / "spelling.npy"
    weights: NDArray[np.float32] = np.load(io.BytesIO(file.read_bytes())).astype(np.float32)
    return weights
