"""Pitch spelling: whether a black key is a sharp or a flat, and how the others are written.

As in the algorithm ps13 (Meredith, "The ps13 pitch spelling algorithm", Journal of New Music
Research 35, 2006) every pitch class counts as tonic as often as it is heard around a note, and each
tonic votes for how it would spell that note. Here tonics have names, those near the key signature,
and so they vote for a place on the line of fifths: for one of the enharmonically equal keys, too.
Tonics that are far from the key signature count less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["STEPS", "spelled"]

STEPS = "CDEFGAB"
"""Names of the seven steps."""

_BEFORE, _AFTER = 5, 15  # notes around a note that vote
_FLATTEST = -3  # of the tonics, in fifths from the major tonic of the key signature
_MIDDLE, _FADE = 1.5, 0.1  # fifths from there at which a tonic counts most; less by so much a fifth
_ABOVE = np.array((0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5))
"""Fifths of a note above its tonic, by semitones: a minor second is five fifths down."""

_FLAT, _SHARP = -15, 19  # two flats of F and two sharps of B, as places on the line of fifths
_STEP_OF = np.array((0, 4, 1, 5, 2, 6, 3))  # of C, G, D, A, E, B, F


def spelled(pitch: ArrayLike, sharps: ArrayLike = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return step and alteration of each note.

    Parameters
    ----------
    pitch : int array, shape (notes,)
        MIDI pitches in the order of time.
    sharps : int or int array, shape (notes,)
        Key signature at each note, -7..7; flats are negative.

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
    chroma = np.asarray(pitch, np.int64) % 12
    count = len(chroma)
    if not count:
        return chroma, chroma
    keys = np.broadcast_to(np.asarray(sharps, np.int64), chroma.shape)[:, None]
    heard = np.zeros((count + 1, 12))
    heard[np.arange(1, count + 1), chroma] = 1
    heard = np.cumsum(heard, axis=0)
    at, tonic = np.arange(count), np.arange(12)
    votes = heard[np.minimum(at + _AFTER, count)] - heard[np.maximum(at - _BEFORE, 0)]
    named = 7 * tonic - 12 * ((7 * tonic - keys - _FLATTEST) // 12)  # (notes, tonics), in fifths
    votes = votes * np.exp(-_FADE * np.abs(named - keys - _MIDDLE))
    place = named + _ABOVE[(chroma[:, None] - tonic) % 12]
    place = np.where(place < _FLAT, place + 12, np.where(place > _SHARP, place - 12, place))
    for_each = np.zeros((count, _SHARP - _FLAT + 1))
    for one in range(12):
        for_each[at, place[:, one] - _FLAT] += votes[:, one]
    fifths = np.argmax(for_each, axis=1) + _FLAT
    return _STEP_OF[fifths % 7], (fifths + 1) // 7
