"""Decoder: follows a list of ids, one by one, and says what is heard and what may follow.

Each tokenisation has a decoder of its own (`EventDecoder`, `NoteDecoder`), and all that plays needs
nothing else of it: a decoder turns ids into timed messages, keeps note-offs that are known
beforehand in a queue, and tells which ids can come next, so that what is generated is what the
codec would write.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from espressivo.codes.layout import Layout
from espressivo.codes.limits import Limits
from espressivo.music import CHORD_GAP_S, within_reach

__all__ = ["Decoder", "Event", "Followers", "Message"]

Event = tuple[int, ...]
"""The ids of one event: an id in an event-wise vocabulary; in a note-wise one a time-shift and what
happens after it, such as a note with its velocity and duration."""


class Message(NamedTuple):
    """Something that is heard.

    Parameters
    ----------
    step : int
        Grid steps since the beginning of the list.
    kind : {"note_on", "note_off", "pedal"}
    pitch : int
        MIDI pitch of a note; 0 for the sustain pedal.
    velocity : int
        MIDI velocity of a note-on, 0 of a note-off; 127 for the pedal down, 0 for up.
    """

    step: int
    kind: str
    pitch: int
    velocity: int


class Decoder(Protocol):
    """What the decoders of all tokenisations have in common.

    Attributes
    ----------
    now : int
        Grid steps since the beginning.
    begin : int
        The step at which what follows a primer begins: nothing happens before it.
    onset : int or None
        Step of the latest note-on.
    held : set of int
        Pitches of keys that a person holds; see `hold`.
    pedal_down : bool
        Whether the sustain pedal is down.
    ends_by : function, optional
        Given a pitch that is struck now, the step by which the note must end. It counts where a
        note is given its length as it begins. Can be set at any time.
    """

    vocabulary: Layout
    now: int
    begin: int
    onset: int | None
    held: set[int]
    pedal_down: bool
    ends_by: Callable[[int], int] | None

    @property
    def limits(self) -> Limits:
        """The limits in force. Can be set at any time; GenerationError if no key is left."""

    @limits.setter
    def limits(self, limits: Limits) -> None: ...

    @property
    def sounding(self) -> list[int]:
        """Pitches of the notes that sound, the oldest first."""

    @property
    def between(self) -> bool:
        """Whether the latest event is complete."""

    @property
    def ended(self) -> bool:
        """Whether the piece is over: nothing can follow its end event."""

    @property
    def chord(self) -> tuple[int, ...]:
        """Pitches of the chord to which a note struck now would belong, ascending."""

    @property
    def chord_left(self) -> int:
        """Grid steps, this one included, in which a note still belongs to the latest chord."""

    def rests_too_long(self, gap: int = 0) -> bool:
        """Tell whether so many steps from now nothing has sounded for the longest rest."""

    def feed(self, id_: int) -> list[Message]:
        """Take note of an id, and return what is heard of it.

        Any id of the vocabulary is taken, also one that is not allowed.
        """

    def allowed(self) -> NDArray[np.bool_]:
        """Return for each id whether it can come next, shape (size,); none can after the end."""

    def completes(self, id_: int) -> bool:
        """Tell whether an event ends with an id."""

    def gap(self, event: Event) -> int:
        """Return the grid steps that pass before what an event does."""

    def overdue(self) -> int | None:
        """Return the id that must come now, as a note has sounded for the longest time, or None."""

    def cut(self, id_: int, end: int | None = None) -> int:
        """Shorten a time-shift that goes past `end`, or past what the limits allow.

        Parameters
        ----------
        id_ : int
            Any id; all but time-shifts are returned as they are.
        end : int, optional
            A step later than now.
        """

    @property
    def due(self) -> int | None:
        """Step of the first note-off in the queue, or None."""

    def release(self, until: int) -> list[Message]:
        """Take the note-offs up to a step, that step included, out of the queue."""

    def struck(self, pitch: int, velocity: int, steps: int) -> list[Event]:
        """Return the events by which a person strikes a key so many steps from now.

        The last one may lack ids at its end, for a model to decide; see `between`.

        Parameters
        ----------
        pitch : int
            Within the vocabulary.
        velocity : int
            MIDI velocity, 1..127.
        steps : int
            At least 0.
        """

    def lifted(self, pitch: int, steps: int) -> list[Event]:
        """Return the events by which a person lets a key go so many steps from now."""

    def hold(self, pitch: int) -> None:
        """Leave a key to a person who holds it: no id strikes or ends it until `let_go`."""

    def let_go(self, pitch: int) -> None:
        """Say that a person no longer holds a key."""

    def silence(self) -> list[Event]:
        """Let what ends by itself end now; return the events that end the rest and lift the pedal.

        They are to be fed next.
        """

    def closing(self) -> list[int]:
        """Return the ids with which a piece closes here."""

    def pedal(self, down: bool) -> Event:
        """Return the ids that move the pedal here."""

    def standing(self) -> list[int]:
        """Return the ids that set pedal and velocity as they are now."""

    def passing(self, steps: int) -> list[Event]:
        """Return the events with which time passes; the last may lack what then happens."""

    @property
    def rings_until(self) -> int | None:
        """Step at which the last note has ended by itself, or None if none does."""

    def begin_here(self) -> None:
        """Let what follows begin here, or where it first can."""

    def copy(self) -> Self:
        """Return a decoder that goes its own way from here."""


@lru_cache(maxsize=1024)
def _reach(chord: tuple[int, ...], lowest: int, highest: int) -> int:
    """Return `within_reach` of some keys as a number of a byte for each, the lowest first."""
    return int.from_bytes(within_reach(chord)[lowest : highest + 1], "little")


class Followers:
    """What all decoders are built on: kinds and limits of a vocabulary, ready to be looked up.

    Parameters
    ----------
    vocabulary : Layout
    limits : Limits
        Range, polyphony, longest note and rest.
    """

    def __init__(self, vocabulary: Layout, limits: Limits) -> None:
        v = self.vocabulary = vocabulary
        self._kinds, self._values = v.kinds.tolist(), v.values.tolist()
        spans = zip(v.first, v.counts, strict=True)
        self._slices = [slice(first, first + count) for first, count in spans]
        self._every = [b"\1" * count for count in v.counts]  # all ids of a kind
        self.now = 0
        self.begin = 0
        self.onset: int | None = None
        self._chord: tuple[int, ...] = ()  # pitches of the latest, ascending
        self._chord_gap = math.floor(CHORD_GAP_S * v.steps_per_second)
        self.pedal_down = False
        self.held: set[int] = set()
        self.ends_by: Callable[[int], int] | None = None
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        v = self.vocabulary
        self._in_range = limits.keys(v)  # may refuse them, so it comes first
        self._longest_note = limits.longest_note(v)
        self._longest_rest = limits.longest_rest(v)
        self._classes = int((v.shortest_durations <= self._longest_note).sum())  # that fit
        self._limits = limits

    def _strike(self, pitch: int) -> None:
        """Take note of what is struck now, in the latest chord or as the first of a new one."""
        joins = self.onset is not None and self.now <= self.onset + self._chord_gap
        self._chord = tuple(sorted({*self._chord, pitch})) if joins else (pitch,)
        self.onset = self.now

    @property
    def chord(self) -> tuple[int, ...]:
        """Pitches of the chord to which a note struck now would belong, ascending."""
        return self._chord if self.chord_left else ()

    @property
    def chord_left(self) -> int:
        """Grid steps, this one included, in which a note still belongs to the latest chord."""
        if self.onset is None:
            return 0
        left = self.onset + self._chord_gap + 1 - self.now
        return left if left > 0 else 0

    @property
    def _bound_for(self) -> int:
        """Grid steps, this one included, in which hands are bound by the latest chord."""
        return self.chord_left if self._limits.two_hands and len(self._chord) > 1 else 0

    def _in_reach(self, keys: bytearray) -> bytearray:
        """Leave out of some keys those that no two hands could take with the latest chord."""
        if not self._bound_for:
            return keys
        chord = self._chord
        if self.held:
            chord = tuple(pitch for pitch in chord if pitch not in self.held)
        reach = _reach(chord, self.vocabulary.lowest_pitch, self.vocabulary.highest_pitch)
        both = int.from_bytes(keys, "little") & reach
        return bytearray(both.to_bytes(len(keys), "little"))

    def hold(self, pitch: int) -> None:
        """Leave a key to a person who holds it; see `Decoder.hold`."""
        self.held.add(pitch)

    def let_go(self, pitch: int) -> None:
        """Say that a person no longer holds a key."""
        self.held.discard(pitch)

    def _id(self, kind: int, number: int) -> int:
        return self.vocabulary.first[kind] + number

    def _copied(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)  # a tenth of the time of copy.copy
        other.held = self.held.copy()
        return other
