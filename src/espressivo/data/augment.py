"""Augmentation: the same performance in another key, at another speed, louder or softer, on ids.

Performance RNN was trained on pieces stretched by up to 5 % and transposed by up to a major third
(Simon & Oore 2017). All is done here on ids, keeping the order of events, so nothing but the
original is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from espressivo.codes import (
    NOTE_OFF,
    NOTE_ON,
    TIME_SHIFT,
    VELOCITY,
    Ids,
    Vocabulary,
    grid_steps,
    insert_shifts,
)
from espressivo.music import Performance

__all__ = ["Augmentation", "louder", "stretch", "transpose"]


def transpose(ids: Ids, semitones: int, vocabulary: Vocabulary) -> Ids:
    """Move every note by a number of semitones.

    A list that would leave the vocabulary's range of pitches is moved only as far as it fits.
    """
    v = vocabulary
    notes = (v.kinds[ids] == NOTE_ON) | (v.kinds[ids] == NOTE_OFF)
    if not notes.any():
        return ids.copy()
    pitches = v.values[ids[notes]]
    down, up = v.lowest_pitch - int(pitches.min()), v.highest_pitch - int(pitches.max())
    moved = ids.copy()
    moved[notes] += min(max(semitones, down), up)
    return moved


def stretch(ids: Ids, factor: float, vocabulary: Vocabulary) -> Ids:
    """Make a list last `factor` times as long; above 1 is slower.

    Times are scaled from the beginning of the list and rounded to the grid. Events that stood in
    different grid steps stay in different ones, so no note vanishes; time after the last event
    that is not a time-shift is dropped. In a note-wise vocabulary, whose notes cannot vanish,
    onsets and ends are just rounded.
    """
    v = vocabulary
    if v.notewise:
        return _stretch_notes(ids, factor, v)
    event = np.flatnonzero(v.kinds[ids] != TIME_SHIFT)
    if not len(event):
        return ids[:0].copy()
    step = grid_steps(ids, v)[event]
    new_step = step > np.concatenate(([0], step[:-1]))
    group = np.cumsum(new_step)  # 0 for events at the very beginning
    wanted = np.floor(step * factor + 0.5).astype(np.int64)
    # Strictly increasing from group to group: never below the group before plus one grid step.
    scaled = np.maximum.accumulate(np.maximum(wanted, 0) - group) + group
    gap = np.diff(scaled, prepend=0)
    return insert_shifts(ids[event], gap, v)


def _stretch_notes(ids: Ids, factor: float, v: Vocabulary) -> Ids:
    played = v.decode(ids)
    notes, controls = played.notes.copy(), played.controls.copy()
    for times in (notes["onset_s"], notes["offset_s"], controls["time_s"]):
        times *= factor
    return v.encode(Performance(notes, controls))


def louder(ids: Ids, bins: int, vocabulary: Vocabulary) -> Ids:
    """Play every note louder by a number of the vocabulary's loudnesses; below 0 is softer.

    A list that would leave the range of loudnesses is moved only as far as it fits.
    """
    v = vocabulary
    changes = v.kinds[ids] == VELOCITY
    if not changes.any():
        return ids.copy()
    first = v.first[VELOCITY]
    down = first - int(ids[changes].min())
    up = first + v.counts[VELOCITY] - 1 - int(ids[changes].max())
    moved = ids.copy()
    moved[changes] += min(max(bins, down), up)
    return moved


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which a transposition, a stretch and a loudness are drawn, uniformly.

    Parameters
    ----------
    semitones : int
        Transpose by a whole number of semitones within ``-semitones .. semitones``.
    stretch : float
        Stretch by a factor within ``1 - stretch .. 1 + stretch``, drawn from five evenly spaced as
        Magenta's pipeline does ({0.95, 0.975, 1, 1.025, 1.05} for 0.05).
    loudness : int
        Play louder by a whole number of the vocabulary's loudnesses within
        ``-loudness .. loudness``.
    """

    semitones: int = 4
    stretch: float = 0.05
    loudness: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.semitones <= 24:
            raise ValueError("semitones must be within 0..24")
        if not 0 <= self.stretch < 0.5:
            raise ValueError("stretch must be at least 0 and less than 0.5")
        if not 0 <= self.loudness <= 16:
            raise ValueError("loudness must be within 0..16")

    def __call__(self, ids: Ids, vocabulary: Vocabulary, rng: np.random.Generator) -> Ids:
        """Return a randomly augmented list; the generator is advanced by three draws."""
        semitones = int(rng.integers(-self.semitones, self.semitones + 1))
        factor = 1 + self.stretch * int(rng.integers(-2, 3)) / 2
        bins = int(rng.integers(-self.loudness, self.loudness + 1))
        if factor != 1:
            ids = stretch(ids, factor, vocabulary)
        if bins:
            ids = louder(ids, bins, vocabulary)
        return transpose(ids, semitones, vocabulary) if semitones else ids
