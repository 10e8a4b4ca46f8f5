"""Augmentation: the same performance in another key, at another speed, louder or softer, on ids.

Performance RNN was trained on pieces stretched by up to 5 % and transposed by up to a major third
(Simon & Oore 2017). All is done here on ids, keeping the order of events, so nothing but the
original is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
from espressivo.numeric import Range, fields_within

__all__ = ["Augmentation", "louder", "stretch", "transpose"]


def transpose(ids: Ids, semitones: int, vocabulary: Vocabulary) -> Ids:
    """Move every note by a number of semitones.

    A note that would leave the vocabulary's range of pitches comes back by octaves, or stays if no
    octave brings it back. In a note-wise
    vocabulary, where it then begins together with the same key, the other of the two is kept.
    """
    v = vocabulary
    notes = (v.kinds[ids] == NOTE_ON) | (v.kinds[ids] == NOTE_OFF)
    before = v.values[ids[notes]]
    after = _folded(before + semitones, semitones, v)
    if not v.notewise or (after == before + semitones).all():
        moved = ids.copy()
        moved[notes] += after - before
        return moved
    played = v.decode(ids)  # notes that begin together are written in the order of pitch
    wanted = played.notes["pitch"].astype(np.int64) + semitones
    folded = played.notes.copy()
    folded["pitch"] = _folded(wanted, semitones, v)
    folded = folded[np.argsort(folded["pitch"] != wanted, kind="stable")]
    _, kept = np.unique(folded[["onset_s", "pitch"]], return_index=True)
    return v.encode(Performance(folded[kept], played.controls))


def _folded(wanted: NDArray[np.int64], semitones: int, v: Vocabulary) -> NDArray[np.int64]:
    """Bring pitches, moved by so much, back by octaves into the range of a vocabulary."""
    above = np.maximum(wanted - v.highest_pitch + 11, 0) // 12
    below = np.maximum(v.lowest_pitch - wanted + 11, 0) // 12
    folded = wanted + 12 * (below - above)
    inside = (folded >= v.lowest_pitch) & (folded <= v.highest_pitch)
    return np.where(inside, folded, wanted - semitones)  # a range may be less than an octave


def stretch(ids: Ids, factor: float, vocabulary: Vocabulary, phase: float = 0.5) -> Ids:
    """Make a list last `factor` times as long; above 1 is slower.

    Times are scaled from the beginning of the list and rounded to the grid: up where what is left
    of a grid step is at least ``1 - phase``, with a phase within 0..1. Events that stood in
    different grid steps stay in different ones, so no note vanishes; time after the last event
    that is not a time-shift is dropped. In a note-wise vocabulary, whose notes cannot vanish,
    onsets and ends are just rounded.
    """
    v = vocabulary
    if v.notewise:
        return _stretch_notes(ids, factor, v, phase)
    event = np.flatnonzero(v.kinds[ids] != TIME_SHIFT)
    if not len(event):
        return ids[:0].copy()
    step = grid_steps(ids, v)[event]
    new_step = step > np.concatenate(([0], step[:-1]))
    group = np.cumsum(new_step)  # 0 for events at the very beginning
    wanted = np.floor(step * factor + phase).astype(np.int64)
    # Strictly increasing from group to group: never below the group before plus one grid step.
    scaled = np.maximum.accumulate(np.maximum(wanted, 0) - group) + group
    gap = np.diff(scaled, prepend=0)
    return insert_shifts(ids[event], gap, v)


def _stretch_notes(ids: Ids, factor: float, v: Vocabulary, phase: float) -> Ids:
    played = v.decode(ids)
    notes, controls = played.notes.copy(), played.controls.copy()
    later_s = (phase - 0.5) / v.steps_per_second  # encoding rounds to the nearest grid step
    for times in (notes["onset_s"], notes["offset_s"], controls["time_s"]):
        times[:] = np.maximum(times * factor + later_s, 0)
    return v.encode(Performance(notes, controls))


def louder(ids: Ids, bins: int, vocabulary: Vocabulary) -> Ids:
    """Play every note louder by a number of the vocabulary's loudnesses; below 0 is softer.

    A note that would leave the range of loudnesses gets the last one in it.
    """
    v = vocabulary
    changes = np.flatnonzero(v.kinds[ids] == VELOCITY)
    first = v.first[VELOCITY]
    moved = ids.copy()
    moved[changes] = np.clip(ids[changes] + bins, first, first + v.counts[VELOCITY] - 1)
    if v.notewise:
        return moved
    return np.delete(moved, changes[np.diff(moved[changes], prepend=-1) == 0])  # it is in force


_RANGES: dict[str, Range] = {
    "semitones": {"least": 0, "most": 24, "whole": True},
    "stretch": {"least": 0, "below": 0.5},
    "loudness": {"least": 0, "most": 16, "whole": True},
}


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which a transposition, a stretch and a loudness are drawn, uniformly.

    Parameters
    ----------
    semitones : int
        Transpose by a whole number of semitones within ``-semitones .. semitones``.
    stretch : float
        Stretch by a factor within ``1 - stretch .. 1 + stretch``, drawn from five evenly spaced as
        Magenta's pipeline does ({0.95, 0.975, 1, 1.025, 1.05} for 0.05), and round with a phase
        drawn from 0..1, so that grid steps are not gained or lost at the same places each time.
    loudness : int
        Play louder by a whole number of the vocabulary's loudnesses within
        ``-loudness .. loudness``.
    """

    semitones: int = 4
    stretch: float = 0.05
    loudness: int = 0

    def __post_init__(self) -> None:
        if problems := fields_within(self, _RANGES):
            raise ValueError("; ".join(problems))

    def __call__(self, ids: Ids, vocabulary: Vocabulary, rng: np.random.Generator) -> Ids:
        """Return a randomly augmented list; the generator is advanced by four draws."""
        semitones = int(rng.integers(-self.semitones, self.semitones + 1))
        factor = 1 + self.stretch * int(rng.integers(-2, 3)) / 2
        bins = int(rng.integers(-self.loudness, self.loudness + 1))
        phase = rng.random()
        if factor != 1:
            ids = stretch(ids, factor, vocabulary, phase)
        if bins:
            ids = louder(ids, bins, vocabulary)
        return transpose(ids, semitones, vocabulary) if semitones else ids
