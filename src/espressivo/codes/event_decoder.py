"""The decoder of event-wise vocabularies, in which each id is an event."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from espressivo.codes.codec import DEFAULT_VELOCITY
from espressivo.codes.decoder import Event, Followers, Message
from espressivo.codes.layout import (
    END,
    NOTE_OFF,
    NOTE_ON,
    START,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    Layout,
)
from espressivo.codes.limits import Limits

__all__ = ["EventDecoder"]

_PEDAL, _OFFS, _ONS = range(3)  # the order of events within a step


class EventDecoder(Followers):
    """Which events can follow, in the lists that `espressivo.codes.codec.encode` writes.

    Within a step there are first movements of the pedal that change its state (also up and at
    once down again), then note-offs of sounding notes in the order in which these began, then
    note-ons of silent pitches (ascending, where the vocabulary orders notes by pitch). A velocity
    event changes the velocity and stands before a note-on; the first note-on follows one. A
    time-shift follows another only if that was a full one. Start is the first event where the
    vocabulary has it; end comes after the last note's end.

    The rules in force narrow this further: range, polyphony, longest note and rest.

    Parameters
    ----------
    vocabulary : Layout
    limits : Limits
        They can be changed at any time by setting `limits`.
    """

    def __init__(self, vocabulary: Layout, limits: Limits) -> None:
        super().__init__(vocabulary, limits)
        v = vocabulary
        self._default_velocity = v.first[VELOCITY] + int(v.velocity_bins[DEFAULT_VELOCITY])
        self._last: int | None = None  # the event before
        self._notes: list[tuple[int, int]] = []  # begin and pitch of what sounds, oldest first
        self._silent_since = 0  # the step, if nothing sounds
        self._velocity: int | None = None  # the event in force
        self._begin_step()

    @property
    def sounding(self) -> list[int]:
        """Pitches of the notes that sound, the oldest first."""
        return [pitch for _, pitch in self._notes]

    @property
    def between(self) -> bool:
        """Whether the latest event is complete: an event is one id."""
        return True

    @property
    def ended(self) -> bool:
        """Whether the piece is over: nothing can follow its end event."""
        return self._last is not None and self._kinds[self._last] == END

    def rests_too_long(self, gap: int = 0) -> bool:
        """Tell whether so many steps from now nothing has sounded for the longest rest."""
        left = self._rest_left()
        return left is not None and left <= gap

    def _rest_left(self) -> int | None:
        """Return for how many steps more nothing may sound, or None if it does not matter."""
        if self._longest_rest is None or self._notes:
            return None
        return self._silent_since + self._longest_rest - self.now

    def _begin_step(self) -> None:
        self._part = _PEDAL  # how far the events of this step have come
        self._released = 0  # sounding notes older than the last to end in this step
        self._struck = self.vocabulary.lowest_pitch  # pitches below were struck in this step
        self._pedal_pressed = False  # in this step

    def feed(self, id_: int) -> list[Message]:
        """Take note of an event, and return what is heard of it; see `Decoder.feed`."""
        kind, value = self._kinds[id_], self._values[id_]
        self._last = id_
        if kind == NOTE_ON:
            self._part = _ONS
            self._notes.append((self.now, value))
            self._strike(value)
            if self._velocity is None:  # can only come from a primer; as the codec plays it
                self._velocity = self._default_velocity
            if self.vocabulary.order == "pitch":
                self._struck = value + 1
            return [Message(self.now, "note_on", value, self._values[self._velocity])]
        if kind == NOTE_OFF:
            self._part = max(self._part, _OFFS)
            for number, (_, pitch) in enumerate(self._notes):
                if pitch == value:
                    del self._notes[number]
                    self._released = number
                    self._silent_since = self.now
                    return [Message(self.now, "note_off", value, 0)]
        elif kind == TIME_SHIFT:
            self.now += value
            self._begin_step()
        elif kind == VELOCITY:
            self._velocity = id_
        elif kind == SUSTAIN:
            self.pedal_down = self._pedal_pressed = value == 1
            return [Message(self.now, "pedal", 0, 127 * value)]
        return []

    def begin_here(self) -> None:
        """Let what follows begin now."""
        self.begin = self.now

    def allowed(self) -> NDArray[np.bool_]:
        """Return for each id whether it can come next, shape (size,); none can after the end."""
        return np.frombuffer(self._mask(), np.bool_)

    def _mask(self) -> bytearray:
        """Return what `allowed` does, as bytes: writing to so few is slower in an array."""
        v, at, every = self.vocabulary, self._slices, self._every
        mask = bytearray(v.size)
        if self.ended:
            return mask
        before = None if self._last is None else self._kinds[self._last]
        if before is None and v.boundaries:
            mask[at[START]] = every[START]
            return mask

        polyphony, lowest = self._limits.polyphony, v.lowest_pitch
        if polyphony is None or len(self._notes) < polyphony:
            keys = bytearray(self._struck - lowest) + self._in_range[self._struck - lowest :]
            for _, pitch in self._notes:
                keys[pitch - lowest] = False
            mask[at[NOTE_ON]] = self._in_reach(keys) if len(self._chord) > 1 else keys
        can_strike = 1 in mask
        if before == VELOCITY and can_strike:  # a primer may have left none
            return mask
        if can_strike:
            mask[at[VELOCITY]] = every[VELOCITY]
        if self._velocity is None:
            mask[at[NOTE_ON]] = bytes(v.counts[NOTE_ON])
        else:
            mask[self._velocity] = False

        if self._part < _ONS:
            for _, pitch in self._notes[self._released :]:
                mask[at[NOTE_OFF].start + pitch - lowest] = pitch not in self.held
        if self._part == _PEDAL and v.counts[SUSTAIN]:
            up = v.first[SUSTAIN]
            mask[up] = self.pedal_down and not self._pedal_pressed
            mask[up + 1] = not self.pedal_down
        rested = before == TIME_SHIFT and self._last != at[TIME_SHIFT].stop - 1
        if not (rested or (can_strike and self.rests_too_long())):
            mask[at[TIME_SHIFT]] = every[TIME_SHIFT]
        if not self._notes and before != TIME_SHIFT:
            mask[at[END]] = every[END]
        if 1 not in mask:  # all that could come is held by a person, so time passes
            mask[at[TIME_SHIFT]] = every[TIME_SHIFT]
        return mask

    def completes(self, id_: int) -> bool:
        """Return True: an event is one id."""
        return True

    def gap(self, event: Event) -> int:
        """Return the grid steps that pass with an event."""
        return self._values[event[0]] if self._kinds[event[0]] == TIME_SHIFT else 0

    @property
    def due(self) -> int | None:
        """Return None: the end of a note is not known beforehand."""
        return None

    def release(self, until: int) -> list[Message]:
        """Return nothing: see `due`."""
        return []

    def struck(self, pitch: int, velocity: int, steps: int) -> list[Event]:
        """Return the events by which a person strikes a key; see `Decoder.struck`."""
        v, events = self.vocabulary, self.passing(steps)
        if pitch in self.sounding:
            events.append((self._id(NOTE_OFF, pitch - v.lowest_pitch),))
        loudness = self._id(VELOCITY, int(v.velocity_bins[velocity]))
        if loudness != self._velocity:
            events.append((loudness,))
        return [*events, (self._id(NOTE_ON, pitch - v.lowest_pitch),)]

    def lifted(self, pitch: int, steps: int) -> list[Event]:
        """Return the events by which a person lets a key go; none if it does not sound."""
        if pitch not in self.sounding:
            return []
        off = self._id(NOTE_OFF, pitch - self.vocabulary.lowest_pitch)
        return [*self.passing(steps), (off,)]

    def passing(self, steps: int) -> list[Event]:
        """Return the events with which so many steps pass."""
        whole, rest = divmod(steps, self.vocabulary.max_shift_steps)
        shifts = [self.vocabulary.max_shift_steps] * whole + [rest] * (rest > 0)
        return [(self._id(TIME_SHIFT, shift - 1),) for shift in shifts]

    def overdue(self) -> int | None:
        """Return the note-off of the oldest note if it has sounded for the longest time."""
        if not self._notes or self.now < self._notes[0][0] + self._longest_note:
            return None
        return self._id(NOTE_OFF, self._notes[0][1] - self.vocabulary.lowest_pitch)

    def cut(self, id_: int, end: int | None = None) -> int:
        """Shorten a time-shift past `end` or the end of the longest note or rest; see `Decoder`."""
        if self._kinds[id_] != TIME_SHIFT:
            return id_
        limits = [self._values[id_]]
        if end is not None:
            limits.append(end - self.now)
        if self._notes:
            limits.append(self._notes[0][0] + self._longest_note - self.now)
        left = self._rest_left()
        if left is not None and left > 0:
            limits.append(left)
        return self._id(TIME_SHIFT, min(limits) - 1)

    def standing(self) -> list[int]:
        """Return the events that set pedal and velocity as they are now."""
        pedal = [self._id(SUSTAIN, 1)] if self.pedal_down else []
        return pedal if self._velocity is None else [*pedal, self._velocity]

    @property
    def rings_until(self) -> int | None:
        """Return None: no note ends by itself."""
        return None

    def silence(self) -> list[Event]:
        """Return the events that end every note and lift the pedal."""
        return [(id_,) for id_ in self.closing()]

    def closing(self) -> list[int]:
        """Return the events after which nothing sounds: all note-offs, and the pedal up."""
        low = self.vocabulary.lowest_pitch
        offs = [self._id(NOTE_OFF, pitch - low) for pitch in self.sounding]
        return [*self.pedal(False), *offs] if self.pedal_down else offs

    def pedal(self, down: bool) -> Event:
        """Return the event that moves the pedal."""
        return (self._id(SUSTAIN, down),)

    def copy(self) -> Self:
        """Return a decoder that goes its own way from here."""
        other = self._copied()
        other._notes = self._notes.copy()
        return other
