"""Tonality: how far notes keep to a scale and to each other.

Shares are returned as two numbers, how many and of how many, so that those of several
performances can be added up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.music.features import chord_starts
from espressivo.music.harmony import Key
from espressivo.music.performance import Performance

__all__ = ["clashes", "in_scale", "likeliest_key", "pitch_class_entropy", "tonic"]

_SCALE_S = 10.0  # so long a scale is taken to last
_MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])
_SCALES = np.zeros((12, 12))
for _tonic in range(12):
    _SCALES[_tonic, (_tonic + _MAJOR) % 12] = 1
_KEYS = [Key(number, "major", "") for number in range(12)]
_KEYS += [Key(number, "minor", "") for number in range(12)]


def in_scale(performance: Performance) -> tuple[float, float]:
    """Return how many notes are in the major scale that fits best within 10 s, and how many notes.

    Each minor scale without raised notes is some major scale too.
    """
    notes = performance.notes
    spans = np.split(notes, np.flatnonzero(np.diff(notes["onset_s"] // _SCALE_S)) + 1)
    return sum(float((_SCALES @ _counts(span)).max()) for span in spans), len(notes)


def clashes(performance: Performance) -> tuple[int, int]:
    """Return how many pairs of notes of a chord lie a semitone apart, and how many pairs.

    Octaves between them do not matter: a major seventh counts as a minor second does.
    """
    notes = performance.notes
    chord = np.cumsum(chord_starts(notes["onset_s"]))
    pitch = notes["pitch"].astype(np.int64)
    found = pairs = apart = 0
    while True:  # each note with the next of its chord, then with the next but one, and so on
        apart += 1
        together = chord[apart:] == chord[:-apart]
        if not together.any():
            return found, pairs
        interval = np.abs(pitch[apart:] - pitch[:-apart])[together] % 12
        found += int(np.isin(interval, (1, 11)).sum())
        pairs += len(interval)


def pitch_class_entropy(performance: Performance) -> float:
    """Return the entropy of the pitch classes in bits, 0..3.58; not a number without notes."""
    counts = _counts(performance.notes)
    if not counts.sum():
        return float("nan")
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def tonic(performance: Performance) -> int | None:
    """Return the pitch class of the likeliest tonic, 0..11; None without two pitch classes.

    It is that of the `likeliest_key` for how often each pitch class is struck.
    """
    found = likeliest_key(_counts(performance.notes))
    return None if found is None else found.tonic


def likeliest_key(weights: ArrayLike) -> Key | None:
    """Return the key that fits weights of the 12 pitch classes best; None if all are equal.

    It is the one whose `Key.pitch_weights` (Albrecht & Shanahan 2013) correlate best with them, as
    Krumhansl and Schmuckler proposed.
    """
    found = np.asarray(weights, np.float64)
    if np.ptp(found) == 0:
        return None
    fit = [np.corrcoef(np.array(key.pitch_weights), found)[0, 1] for key in _KEYS]
    return _KEYS[int(np.argmax(fit))]


def _counts(notes: NDArray[np.void]) -> NDArray[np.float64]:
    """Return how many notes have each pitch class."""
    return np.bincount(notes["pitch"] % 12, minlength=12).astype(np.float64)
