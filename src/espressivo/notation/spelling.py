"""Pitch spelling: whether a black key is a sharp or a flat, and how the others are written.

The algorithm is ps13s1 (Meredith, "The ps13 pitch spelling algorithm", Journal of New Music
Research 35, 2006): every pitch class counts as tonic as often as it is heard around a note, a note
is spelled as a tonic would spell it, and the tonics vote. It leaves open in which of the
enharmonically equal keys the whole stands, which a key signature says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["STEPS", "spelled"]

STEPS = "CDEFGAB"
"""Names of the seven steps."""

_BEFORE, _AFTER = 10, 42  # notes around a note that vote; published as good for any music
_STEP_OF = np.array((0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6))  # above a tonic, by semitones
_FIRST = np.array((0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6))  # C C# D Eb E F F# G G# A Bb B
_NATURAL = np.array((0, 2, 4, 5, 7, 9, 11))  # semitones of the steps
_FIFTHS = np.array((0, 2, 4, -1, 1, 3, 5))  # of the steps, from C


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
    """
    chroma = np.asarray(pitch, np.int64) % 12
    if not len(chroma):
        return chroma, chroma
    keys = np.broadcast_to(np.asarray(sharps, np.int64), chroma.shape)
    heard = np.zeros((len(chroma) + 1, 12))
    heard[np.arange(1, len(chroma) + 1), chroma] = 1
    heard = np.cumsum(heard, axis=0)
    at = np.arange(len(chroma))
    votes = heard[np.minimum(at + _AFTER, len(chroma))] - heard[np.maximum(at - _BEFORE, 0)]
    tonic = np.arange(12)
    first = int(_FIRST[chroma[0]])
    tonic_step = (first - _STEP_OF[(chroma[0] - tonic) % 12]) % 7
    named = (_STEP_OF[(chroma[:, None] - tonic) % 12] + tonic_step) % 7  # (notes, tonics)
    strength = np.zeros((len(chroma), 7))
    for step in range(7):
        strength[:, step] = (votes * (named == step)).sum(axis=1)
    step = np.argmax(strength, axis=1)
    fifths = _fifths(step, chroma)
    return _settled(fifths, chroma, keys)


def _fifths(step: NDArray[np.int64], chroma: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return places on the line of fifths, on which C is 0 and a sharp is seven further."""
    alter = (chroma - _NATURAL[step] + 6) % 12 - 6
    return np.asarray(_FIFTHS[step] + 7 * alter)


def _settled(
    fifths: NDArray[np.int64], chroma: NDArray[np.int64], keys: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Move spellings by twelve fifths to where the key signature is, in passages as one."""
    middle = keys + 2  # D in C major: as many sharps as flats are near it
    weights = np.ones(64)
    away = (
        np.convolve(fifths - middle, weights, "same")
        / np.convolve(np.ones(len(fifths)), weights, "same")
        if len(fifths) >= len(weights)
        else np.full(len(fifths), (fifths - middle).mean())
    )
    moved = fifths - 12 * np.rint(away / 12).astype(np.int64)
    far = np.abs(moved - middle) > 12
    moved = np.where(far, moved - 12 * np.rint((moved - middle) / 12).astype(np.int64), moved)
    moved = np.clip(moved, -15, 19)  # two flats of F to two sharps of B
    wrong = (7 * moved - chroma) % 12 != 0
    moved = np.where(wrong, (7 * chroma + 5) % 12 - 5, moved)
    step = np.array([3, 0, 4, 1, 5, 2, 6])[(moved + 1) % 7]
    alter = np.asarray((moved + 1) // 7)
    return step.astype(np.int64), alter.astype(np.int64)
