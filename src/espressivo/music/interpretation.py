"""Interpretation: how somebody plays a score, field by field, apart from any file or second."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from espressivo.music.score import Score

__all__ = ["Interpretation", "onset_groups"]

_Array = NDArray[np.float64]


def _none() -> _Array:
    return np.empty(0)


def onset_groups(score: Score) -> tuple[_Array, NDArray[np.int64]]:
    """Return the distinct onsets of a score, and for each note the index of its own.

    Returns
    -------
    onsets : array, shape (m,)
        Quarters, rising. Notes of one tick are of one onset.
    group : array, shape (notes,)
        0..m-1, rising.
    """
    ticks = score.ticks(score.notes["onset"])
    distinct, group = np.unique(ticks, return_inverse=True)
    return distinct / score.ticks_per_quarter, np.asarray(group, np.int64)


@dataclass(frozen=True, eq=False)
class Interpretation:
    """What a player does with a score of n notes, which begin at m distinct onsets.

    The time of an onset is the sum of the intervals before it; a note begins `offset_s` after the
    time of its onset.

    Parameters
    ----------
    quarter_s : array, shape (m,)
        Seconds that a quarter lasts, from each of the `onset_groups` to the next; after the last
        one, until all ends. Above 0: the beat period and the timing inside the beat, in one.
    offset_s : array, shape (n,)
        Seconds by which each note begins after its chord, or before it if negative.
    velocity : array, shape (n,)
        1..127, not rounded.
    articulation : array, shape (n,)
        Logarithm of how long the key is held, in terms of the notated length at the tempo there:
        0 is legato without overlap.
    pedal_at : array, shape (k,), optional
        Quarters, rising: where `pedal` is given, such as each quarter of a beat.
    pedal : array, shape (k,), optional
        Depth of the sustain pedal from there on, 0..127.

    Raises
    ------
    ValueError
        If a value is not finite, the arrays do not fit each other, or a quarter lasts no time.
    """

    quarter_s: _Array
    offset_s: _Array
    velocity: _Array
    articulation: _Array
    pedal_at: _Array = field(default_factory=_none)
    pedal: _Array = field(default_factory=_none)

    def __post_init__(self) -> None:
        for one in fields(self):
            array = np.array(getattr(self, one.name), np.float64)
            if array.ndim != 1 or not np.isfinite(array).all():
                raise ValueError(f"{one.name} must be a row of finite numbers")
            array.flags.writeable = False
            object.__setattr__(self, one.name, array)
        if not len(self.offset_s) == len(self.velocity) == len(self.articulation):
            raise ValueError("offset_s, velocity and articulation must have a value for each note")
        if len(self.pedal_at) != len(self.pedal) or (np.diff(self.pedal_at) <= 0).any():
            raise ValueError("pedal needs as many places as values, and they must rise")
        if (self.quarter_s <= 0).any():
            raise ValueError("a quarter must last longer than 0 s")

    def fits(self, score: Score) -> bool:
        """Tell whether it has a value for each note and each distinct onset of a score."""
        onsets, _ = onset_groups(score)
        return len(self.offset_s) == len(score) and len(self.quarter_s) == len(onsets)
