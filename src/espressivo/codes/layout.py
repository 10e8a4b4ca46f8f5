"""Layout: which id means what, in any of the vocabularies.

Everything that knows ids stands on it: codec, decoders, controls. `Vocabulary` is a layout with a
name that can also encode and decode.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.errors import CodecError

__all__ = [
    "DURATION",
    "END",
    "FINE_DURATION",
    "KINDS",
    "NOTE_OFF",
    "NOTE_ON",
    "START",
    "SUSTAIN",
    "TIME_SHIFT",
    "VELOCITY",
    "Ids",
    "Layout",
]

Ids = NDArray[np.int32]
"""Ids of a piece, one after another, shape (n,)."""

NOTE_ON, NOTE_OFF, TIME_SHIFT, VELOCITY, SUSTAIN, START, END, DURATION, FINE_DURATION = range(9)
"""A kind of event, as a number; `KINDS` names them."""

KINDS = (
    "note_on",
    "note_off",
    "time_shift",
    "velocity",
    "sustain",
    "start",
    "end",
    "duration",
    "fine_duration",
)
"""The kinds of events; an event's kind is an index into this tuple."""

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class Layout:
    """The events of one code, and the rules by which a performance becomes a list of them.

    The ids are 0-based and run through the kinds in a fixed order: note-ons and note-offs by
    ascending pitch, time-shifts of 1 step to ``max_shift_steps``, velocity bins ascending, then,
    where the code has them, sustain up, sustain down, start, end, classes of lengths ascending,
    and places in them. A note-wise vocabulary has no note-offs, no start, and a time-shift of 0
    steps.

    Parameters
    ----------
    name : str
        Name of the preset, or one of your own.
    lowest_pitch, highest_pitch : int
        Range of MIDI pitches, both inclusive. Notes outside it are dropped when encoding.
    steps_per_second : int
        Resolution of time; a step of the presets is 10 ms.
    max_shift_steps : int
        Longest single time-shift. Longer gaps are full shifts followed by the rest.
    velocity_floors : tuple of int
        The lowest velocity of each bin, ascending, the first being 1.
    velocity_values : tuple of int
        The velocity to which each bin decodes; it lies within the bin.
    sustain : {"fold", "events"}
        Whether the sustain pedal is folded into the ends of the notes, or written as events
        of its own beside the releases of the keys.
    order : {"played", "pitch"}
        Order of notes that begin in one step: as played (by onset before rounding, then pitch;
        note-seq's rule), or by pitch. Events of one step are sorted by their notes' place in this
        order, pedal movements first; a note's end stands before the notes that begin after it.
    boundaries : bool
        Whether a list begins with a start event and ends with an end event.
    longest_note_steps : int
        0 where a note's end is an event of its own; else notes have lengths of at most so many
        steps, and longer ones end early. It is 16 times a power of 2.
    """

    name: str
    lowest_pitch: int = 21
    highest_pitch: int = 108
    steps_per_second: int = 100
    max_shift_steps: int = 100
    velocity_floors: tuple[int, ...] = tuple(range(1, 128, 4))
    velocity_values: tuple[int, ...] = tuple(range(1, 128, 4))
    sustain: str = "fold"
    order: str = "played"
    boundaries: bool = False
    longest_note_steps: int = 0

    def __post_init__(self) -> None:
        for name in ("velocity_floors", "velocity_values"):  # lists, when read from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        ceilings = (*(floor - 1 for floor in self.velocity_floors[1:]), 127)
        problems = [
            text
            for text, wrong in (
                (
                    "pitches must be within 0..127",
                    not 0 <= self.lowest_pitch <= self.highest_pitch < 128,
                ),
                ("steps must be at least 1", min(self.steps_per_second, self.max_shift_steps) < 1),
                ("velocity_floors must begin with 1", self.velocity_floors[:1] != (1,)),
                (
                    "each velocity value must lie in its bin",
                    len(self.velocity_values) != len(ceilings)
                    or any(
                        not low <= value <= high
                        for low, value, high in zip(
                            self.velocity_floors, self.velocity_values, ceilings, strict=True
                        )
                    ),
                ),
                ("sustain must be 'fold' or 'events'", self.sustain not in ("fold", "events")),
                ("order must be 'played' or 'pitch'", self.order not in ("played", "pitch")),
                (
                    "longest_note_steps must be 0 or 16 times a power of 2",
                    self.longest_note_steps not in (0, *(16 << n for n in range(16))),
                ),
                (
                    "notes with lengths need order 'pitch' and boundaries",
                    self.notewise and (self.order != "pitch" or not self.boundaries),
                ),
            )
            if wrong
        ]
        if problems:
            raise CodecError(f"vocabulary {self.name!r}: {'; '.join(problems)}")

    @property
    def notewise(self) -> bool:
        """Whether notes are written with their durations."""
        return self.longest_note_steps > 0

    @cached_property
    def shortest_durations(self) -> NDArray[np.int32]:
        """The least duration of each class, in steps, ascending; none without durations."""
        octaves = (self.longest_note_steps // 16).bit_length()  # those of 1 step each are the first
        parts = [np.arange(0), np.arange(16), *((8 + np.arange(8)) << n for n in range(1, octaves))]
        return 1 + np.concatenate(parts[: 1 + octaves]).astype(np.int32)

    @cached_property
    def durations_in_class(self) -> NDArray[np.int32]:
        """Number of lengths in each class."""
        return np.diff(self.shortest_durations, append=np.int32(self.longest_note_steps + 1))

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of ids of each kind, in the order of `KINDS`."""
        pitches = self.highest_pitch - self.lowest_pitch + 1
        pedal, edges = 2 * (self.sustain == "events"), int(self.boundaries)
        velocities, shifts = len(self.velocity_floors), self.max_shift_steps
        if not self.notewise:
            return (pitches, pitches, shifts, velocities, pedal, edges, edges, 0, 0)
        lengths, finest = len(self.shortest_durations), self.longest_note_steps // 16
        return (pitches, 0, shifts + 1, velocities, pedal, 0, edges, lengths, finest)

    @cached_property
    def first(self) -> tuple[int, ...]:
        """The first id of each kind, in the order of `KINDS`."""
        return tuple(int(n) for n in np.cumsum((0, *self.counts[:-1])))

    @cached_property
    def size(self) -> int:
        """Number of ids; they are ``0 .. size - 1``."""
        return sum(self.counts)

    def __len__(self) -> int:
        return self.size

    @cached_property
    def kinds(self) -> NDArray[np.int8]:
        """Kind of each id, shape (size,): an index into `KINDS`."""
        return np.repeat(np.arange(len(KINDS), dtype=np.int8), self.counts)

    @cached_property
    def values(self) -> NDArray[np.int32]:
        """Value of each id, shape (size,).

        MIDI pitch of notes, steps of time-shifts, MIDI velocity of bins, 0 or 1 for the sustain
        pedal going up or down, 0 for start and end, the least length in steps of a class of
        lengths, and the steps by which a length is greater.
        """
        pitches = range(self.lowest_pitch, self.highest_pitch + 1)
        parts: Sequence[Iterable[int]] = (
            pitches,
            pitches[: self.counts[NOTE_OFF]],
            range(0 if self.notewise else 1, self.max_shift_steps + 1),
            self.velocity_values,
            range(self.counts[SUSTAIN]),
            range(self.counts[START]),
            range(self.counts[END]),
            self.shortest_durations,
            range(self.counts[FINE_DURATION]),
        )
        return np.array([value for part in parts for value in part], np.int32)

    @cached_property
    def velocity_bins(self) -> NDArray[np.int32]:
        """Bin (0-based) of each MIDI velocity, shape (128,); velocity 0 falls in the first bin."""
        bins = np.searchsorted(np.array(self.velocity_floors), np.arange(128), "right") - 1
        return np.maximum(bins, 0).astype(np.int32)

    def check(self, ids: ArrayLike) -> Ids:
        """Return ids as an array, or raise `CodecError` for the first that is not an id."""
        array = np.asarray(ids)
        if array.size == 0:
            return np.empty(0, np.int32)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise CodecError("ids must be a flat list of whole numbers")
        wrong = np.flatnonzero((array < 0) | (array >= self.size))
        if len(wrong):
            raise CodecError(
                f"id {array[wrong[0]]} at position {wrong[0]} is not in vocabulary "
                f"{self.name!r}: allowed are 0..{self.size - 1}"
            )
        return array.astype(np.int32)

    def to_one_based(self, ids: ArrayLike) -> Ids:
        """Return the 1-based indices, as the post and the Wolfram Language write them."""
        return self.check(ids) + 1

    def from_one_based(self, indices: ArrayLike) -> Ids:
        """Return the ids of 1-based indices; `CodecError` names the first out of range."""
        array = np.asarray(indices)
        if array.size and array.dtype.kind in "iu":
            wrong = np.flatnonzero((array < 1) | (array > self.size))
            if len(wrong):
                raise CodecError(
                    f"index {array[wrong[0]]} at position {wrong[0]} is not in vocabulary "
                    f"{self.name!r}: allowed are 1..{self.size}"
                )
            array = array - 1
        return self.check(array)

    def describe(self, id_: int) -> str:
        """Say in words what an id means.

        >>> vocabulary("seed").describe(59)
        'note on 80 (G#5)'
        """
        (checked,) = self.check([id_])
        kind, value = int(self.kinds[checked]), int(self.values[checked])
        if kind in (NOTE_ON, NOTE_OFF):
            word = "on" if kind == NOTE_ON else "off"
            return f"note {word} {value} ({_NAMES[value % 12]}{value // 12 - 1})"
        if kind == TIME_SHIFT:
            return f"shift {value * 1000 / self.steps_per_second:g} ms"
        if kind == VELOCITY:
            number = int(checked) - self.first[VELOCITY]
            ceiling = (*self.velocity_floors[1:], 128)[number] - 1
            return f"velocity {self.velocity_floors[number]}..{ceiling}"
        if kind == SUSTAIN:
            return f"sustain {'down' if value else 'up'}"
        if kind == DURATION:
            number = int(checked) - self.first[DURATION]
            last = value + int(self.durations_in_class[number]) - 1
            step_ms = 1000 / self.steps_per_second
            return f"duration {value * step_ms:g}..{last * step_ms:g} ms"
        if kind == FINE_DURATION:
            return f"duration + {value * 1000 / self.steps_per_second:g} ms"
        return KINDS[kind]

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain values, for JSON; ``Vocabulary(**d)`` reads them."""
        return dataclasses.asdict(self)
