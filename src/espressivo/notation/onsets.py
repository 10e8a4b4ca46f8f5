"""Onset groups: notes that begin together, and what the network for beats is told of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.music import PEDAL_THRESHOLD, SUSTAIN, Performance, chord_starts
from espressivo.notation.combs import COMB_NUMBERS, comb_numbers

__all__ = ["KEYS", "LOWEST", "NUMBERS", "Notes", "Onsets", "grouped_onsets", "notes_of"]

LOWEST, KEYS = 21, 88
"""MIDI pitch of the lowest key of a piano, and the number of keys."""

_SHORT_S, _LONG_S, _MIDDLE_S = 0.02, 8.0, 0.25  # times are told as logarithms within these
_SCALARS = 17
NUMBERS = KEYS + _SCALARS + COMB_NUMBERS
"""How many numbers describe a group."""


@dataclass(frozen=True, eq=False)
class Notes:
    """What counts of the notes of a performance, in the order of their onsets.

    Parameters
    ----------
    onset_s, length_s : float64 array, shape (notes,)
        When a key goes down, and for how long.
    pitch, velocity : int64 array, shape (notes,)
        Pitches within the keys of a piano; velocities 1..127.
    pedal : bool array, shape (notes,)
        Whether the sustain pedal is down when the note begins.
    """

    onset_s: NDArray[np.float64]
    length_s: NDArray[np.float64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    pedal: NDArray[np.bool_]

    def at(self, chosen: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Notes:
        """Return some of the notes."""
        return Notes(
            self.onset_s[chosen],
            self.length_s[chosen],
            self.pitch[chosen],
            self.velocity[chosen],
            self.pedal[chosen],
        )


@dataclass(frozen=True, eq=False)
class Onsets:
    """The onset groups of a performance.

    Parameters
    ----------
    first_s, time_s : float64 array, shape (groups,)
        When the first note of each begins, and the mean of when its notes begin.
    numbers : float32 array, shape (groups, NUMBERS)
        What the network reads.
    of : int64 array, shape (notes,)
        The group of each note.
    """

    first_s: NDArray[np.float64]
    time_s: NDArray[np.float64]
    numbers: NDArray[np.float32]
    of: NDArray[np.int64]


def notes_of(performance: Performance) -> Notes:
    """Return the notes; pitches beyond the keys of a piano are moved by octaves into them."""
    notes = performance.notes
    pitch = notes["pitch"].astype(np.int64)
    pitch = np.where(pitch < LOWEST, pitch + 12 * -((pitch - LOWEST) // 12), pitch)
    above = pitch - (LOWEST + KEYS - 1)
    pitch = np.where(above > 0, pitch - 12 * -(-above // 12), pitch)
    sustain = performance.controls[performance.controls["number"] == SUSTAIN]
    value = np.concatenate(([0], sustain["value"]))
    moved = np.searchsorted(sustain["time_s"], notes["onset_s"], "right")
    return Notes(
        notes["onset_s"].astype(np.float64),
        (notes["offset_s"] - notes["onset_s"]).astype(np.float64),
        pitch,
        notes["velocity"].astype(np.int64),
        value[moved] >= PEDAL_THRESHOLD,
    )


def grouped_onsets(notes: Notes) -> Onsets:
    """Return the onset groups of notes: chords by `chord_starts`.

    The numbers of a group are: of each key that it strikes how hard, and then logarithms of the
    time since the group before, since the one before that, until the next and the one after that;
    loudest and mean velocity; longest and shortest time that a key is held; the pedal; how many
    notes; highest and lowest pitch and how far they moved; since when no note was as low, and since
    when none as high; how much louder it is than the group before; and its combs (see
    `espressivo.notation.combs`).
    """
    starts = chord_starts(notes.onset_s)
    of = np.cumsum(starts) - 1
    begin = np.flatnonzero(starts)
    groups = len(begin)
    numbers = np.zeros((groups, NUMBERS), np.float32)
    if not groups:
        nothing = np.zeros(0)
        return Onsets(nothing, nothing, numbers, of)
    first_s = notes.onset_s[begin]
    count = np.diff(np.append(begin, len(of)))
    time_s = np.add.reduceat(notes.onset_s, begin) / count
    velocity = notes.velocity / 127
    np.maximum.at(numbers, (of, notes.pitch - LOWEST), (0.3 + 0.7 * velocity).astype(np.float32))
    high, low = (f.reduceat(notes.pitch, begin).astype(float) for f in (np.maximum, np.minimum))
    loudest = np.maximum.reduceat(velocity, begin)
    longest, shortest = (f.reduceat(notes.length_s, begin) for f in (np.maximum, np.minimum))
    padded = np.concatenate(([-np.inf, -np.inf], first_s, [np.inf, np.inf]))
    numbers[:, KEYS : KEYS + _SCALARS] = np.stack(
        (
            _log(first_s - padded[1:-3]),
            _log(first_s - padded[:-4]),
            _log(padded[3:-1] - first_s),
            _log(padded[4:] - first_s),
            loudest,
            np.add.reduceat(velocity, begin) / count,
            _log(longest),
            _log(shortest),
            notes.pedal[begin],
            np.minimum(count, 10) / 5,
            (high - 64) / 24,
            (low - 64) / 24,
            np.clip(np.diff(high, prepend=high[0]) / 12, -3, 3),
            np.clip(np.diff(low, prepend=low[0]) / 12, -3, 3),
            _log(first_s - _last_as(first_s, low)),
            _log(first_s - _last_as(first_s, -high)),
            np.diff(loudest, prepend=loudest[0]) * 2,
        ),
        1,
    )
    loud = np.add.reduceat(velocity, begin)
    numbers[:, KEYS + _SCALARS :] = comb_numbers(
        first_s, loud, low, notes.onset_s, notes.pitch % 12
    )
    return Onsets(first_s, time_s, numbers, of)


def _log(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a time as a logarithm, 0 at a quarter of a second, within about -2..2.5."""
    logarithm: NDArray[np.float64] = np.log2(np.clip(seconds, _SHORT_S, _LONG_S) / _MIDDLE_S) / 2
    return logarithm


def _last_as(time_s: NDArray[np.float64], low: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return when something last was as low as it is now, or minus infinity."""
    found = np.full(len(low), -np.inf)
    stack: list[int] = []  # indices whose values rise
    for index, value in enumerate(low.tolist()):
        while stack and low[stack[-1]] > value:
            stack.pop()
        if stack:
            found[index] = time_s[stack[-1]]
        stack.append(index)
    return found
