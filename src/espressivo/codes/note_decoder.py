"""The decoder of note-wise vocabularies, in which a note is one event of several ids."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from espressivo.codes.codec import following
from espressivo.codes.decoder import Event, Followers, Message
from espressivo.codes.layout import (
    DURATION,
    END,
    FINE_DURATION,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    Layout,
)
from espressivo.codes.limits import Limits

__all__ = ["NoteDecoder"]

_TIME, _WHAT, _LOUDNESS, _DURATION, _FINE = range(5)  # which id of an event comes next


class NoteDecoder(Followers):
    """Which ids can follow, in the lists that a note-wise vocabulary encodes to.

    After a time-shift comes a silent key, and within one step of the grid keys ascend; or before
    them a movement of the pedal that changes its state; or, if nothing sounds, the end. A note is
    then given its loudness and its length. The longest time-shift stands alone.

    The rules in force narrow this further: range, polyphony, longest note and rest.
    Where no key can be struck, time passes until one can.

    Parameters
    ----------
    vocabulary : Layout
    limits : Limits
        They can be changed at any time by setting `limits`.
    """

    def __init__(self, vocabulary: Layout, limits: Limits) -> None:
        super().__init__(vocabulary, limits)
        v = vocabulary
        self._shortest, self._positions = (
            v.shortest_durations.tolist(),
            v.durations_in_class.tolist(),
        )
        self._completing = (following(v)[0] == 0).tolist()
        self._times = range(v.first[TIME_SHIFT], v.first[TIME_SHIFT] + v.counts[TIME_SHIFT])
        self._expected = _TIME
        self._notes: list[tuple[int, int]] = []  # end and pitch of what sounds, oldest first
        self._queued: set[int] = set()  # pitches of those whose note-off has not been returned
        self._class = 0  # class of the latest note's duration
        self._silent_from = 0  # the step, if nothing sounds
        self._struck = v.lowest_pitch  # pitches below were struck in this step of the grid
        self._pedal_pressed = False  # in this step of the grid
        self._ended = False

    @property
    def sounding(self) -> list[int]:
        """Pitches of the notes that sound, the oldest first."""
        return [pitch for _, pitch in self._notes]

    @property
    def between(self) -> bool:
        """Whether the latest step is complete."""
        return self._expected == _TIME

    @property
    def ended(self) -> bool:
        """Whether the piece is over: nothing can follow its end event."""
        return self._ended

    def rests_too_long(self, gap: int = 0) -> bool:
        """Tell whether so many steps from now nothing has sounded for the longest rest."""
        rest = self._longest_rest
        return rest is not None and self.now + gap >= self._silent_from + rest

    def feed(self, id_: int) -> list[Message]:
        """Take note of an id, and return what is heard of it; see `Decoder.feed`."""
        kind, value = self._kinds[id_], self._values[id_]
        self._expected, self._ended = _TIME, kind == END
        heard: list[Message] = []
        if kind == TIME_SHIFT:
            heard = self._pass(value)
            if id_ != self._times[-1]:
                self._expected = _WHAT
        elif kind == NOTE_ON:
            if value in self._queued:
                self._queued.remove(value)
                heard = [Message(self.now, "note_off", value, 0)]
            self._notes = [note for note in self._notes if note[1] != value]
            self._notes.append((self.now, value))
            self._end_latest(self.now + self.vocabulary.longest_note_steps)  # as the codec plays it
            self._strike(value)
            self._struck = value + 1
            self._expected = _LOUDNESS
        elif kind == VELOCITY:
            if self._notes:
                pitch = self._notes[-1][1]
                self._queued.add(pitch)
                heard = [Message(self.now, "note_on", pitch, value)]
            self._expected = _DURATION
        elif kind == DURATION:
            self._class = id_ - self.vocabulary.first[DURATION]
            self._end_latest(self.now + value)
            if self._positions[self._class] > 1:
                self._expected = _FINE
        elif kind == FINE_DURATION and self._notes:
            self._end_latest(self.now + self._shortest[self._class] + value)
        elif kind == SUSTAIN:
            self.pedal_down = self._pedal_pressed = value == 1
            heard = [Message(self.now, "pedal", 0, 127 * value)]
        return heard

    def _pass(self, steps: int) -> list[Message]:
        self.now += steps
        if not steps:
            return []
        self._struck, self._pedal_pressed = self.vocabulary.lowest_pitch, False
        heard = self.release(self.now)
        self._notes = [note for note in self._notes if note[0] > self.now]
        return heard

    def _end_latest(self, step: int) -> None:
        if self._notes:
            self._notes[-1] = step, self._notes[-1][1]
            self._silent_from = max(end for end, _ in self._notes)

    def completes(self, id_: int) -> bool:
        """Tell whether an event ends with an id."""
        return bool(self._completing[id_])

    def gap(self, event: Event) -> int:
        """Return the grid steps that pass before what an event does."""
        return sum(self._values[id_] for id_ in event if self._kinds[id_] == TIME_SHIFT)

    @property
    def due(self) -> int | None:
        """Step at which the next note ends, of those whose note-off has not been returned."""
        return min((end for end, pitch in self._notes if pitch in self._queued), default=None)

    def release(self, until: int) -> list[Message]:
        """Return the note-offs up to a step, that step included, each once, in order of time."""
        if not self._queued:
            return []
        over = sorted(n for n in self._notes if n[0] <= until and n[1] in self._queued)
        self._queued.difference_update(pitch for _, pitch in over)
        return [Message(end, "note_off", pitch, 0) for end, pitch in over]

    def struck(self, pitch: int, velocity: int, steps: int) -> list[Event]:
        """Return the events by which a person strikes a key; the last lacks its duration."""
        v = self.vocabulary
        shift = steps % v.max_shift_steps
        note = (
            self._times[shift],
            self._id(NOTE_ON, pitch - v.lowest_pitch),
            self._id(VELOCITY, int(v.velocity_bins[velocity])),
        )
        return [*self.passing(steps - shift), note]

    def lifted(self, pitch: int, steps: int) -> list[Event]:
        """Return nothing: how long the note was expected to last stays as it is."""
        return []

    def hold(self, pitch: int) -> None:
        """Leave a key to a person who holds it; see `Decoder.hold`."""
        super().hold(pitch)
        self._queued.discard(pitch)

    def silence(self) -> list[Event]:
        """Let every note end now; return the event that lifts the pedal, if it is down."""
        self._notes, self._silent_from = [], self.now
        self._queued.clear()
        closing = self.closing()
        return [tuple(closing)] if closing else []

    def begin_here(self) -> None:
        """Let what follows begin when the notes so far have ended."""
        self.begin = max([self.now, *(end for end, _ in self._notes)])

    def allowed(self) -> NDArray[np.bool_]:
        """Return for each id whether it can come next, shape (size,); none can after the end."""
        mask = bytearray(self.vocabulary.size)
        if not self._ended:
            (self._time, self._what, self._loudness, self._durations, self._fine)[self._expected](
                mask
            )
        return np.frombuffer(mask, np.bool_)

    def _time(self, mask: bytearray) -> None:
        times = self._times
        least = max(self._next_chance(), self.begin) - self.now
        if least <= 0 and self.rests_too_long():
            mask[times[0]] = True
            return
        first = min(max(least, 0), len(times) - 1)
        mask[times[first] : times[-1] + 1] = b"\1" * (len(times) - first)

    def _what(self, mask: bytearray) -> None:
        at, keys = self._slices, self._keys(self._struck)
        mask[at[NOTE_ON]] = keys
        if 1 in keys and self.rests_too_long():
            return
        first = self._struck == self.vocabulary.lowest_pitch  # no note precedes the pedal
        if (
            first
            and self.vocabulary.counts[SUSTAIN]
            and not (self.pedal_down and self._pedal_pressed)
        ):
            mask[at[SUSTAIN].start + (not self.pedal_down)] = True
        if 1 not in mask:  # the rules have changed since it was decided when
            self._time(mask)
        if not self._notes:
            mask[at[END]] = self._every[END]

    def _loudness(self, mask: bytearray) -> None:
        mask[self._slices[VELOCITY]] = self._every[VELOCITY]

    def _durations(self, mask: bytearray) -> None:
        at, left = self._slices[DURATION], self._left()
        classes = self._classes
        if left < self._longest_note:
            classes = sum(shortest <= left for shortest in self._shortest)
        mask[at.start : at.start + classes] = b"\1" * classes

    def _fine(self, mask: bytearray) -> None:
        at, number = self._slices[FINE_DURATION], self._class
        fit = min(self._positions[number], max(self._left() - self._shortest[number], 0) + 1)
        mask[at.start : at.start + fit] = b"\1" * fit

    def _left(self) -> int:
        """Return how long the latest note may last, at least 1."""
        if self.ends_by is None:
            return self._longest_note
        return max(1, min(self._longest_note, self.ends_by(self._notes[-1][1]) - self.now))

    def _keys(self, lowest: int) -> bytearray:
        """Return which keys can be struck now, from a pitch on."""
        keys, low = bytearray(self._in_range), self.vocabulary.lowest_pitch
        polyphony = self._limits.polyphony
        if polyphony is not None and len(self._notes) >= polyphony:
            return bytearray(len(keys))
        keys[: lowest - low] = bytes(lowest - low)
        for _, pitch in self._notes:
            keys[pitch - low] = 0
        for pitch in self.held:
            keys[pitch - low] = 0
        return self._in_reach(keys) if len(self._chord) > 1 else keys

    def _next_chance(self) -> int:
        """Return the first step at which a key can be struck."""
        if 1 in self._keys(self._struck):
            return self.now
        low, chance = self.vocabulary.lowest_pitch, self.now + 1
        if 1 in self._keys(low):
            return chance
        ends = sorted(end for end, _ in self._notes)
        polyphony = self._limits.polyphony
        if polyphony is not None and len(ends) >= polyphony:
            chance = max(chance, ends[len(ends) - polyphony])
        inside = [end for end, pitch in self._notes if self._in_range[pitch - low]]
        if len(inside) == sum(self._in_range):
            chance = max(chance, min(inside))
        return max(chance, self.now + self._bound_for)

    def overdue(self) -> int | None:
        """Return None: each note ends by itself."""
        return None

    def cut(self, id_: int, end: int | None = None) -> int:
        """Shorten a time-shift past `end` or the end of the longest rest; see `Decoder`."""
        if id_ not in self._times:
            return id_
        limits = [self._values[id_]]
        if end is not None:
            limits.append(end - self.now)
        if self._longest_rest is not None:
            left = self._silent_from + self._longest_rest - self.now
            if left > 0:
                limits.append(left)
        return self._times[int(min(limits))]

    @property
    def rings_until(self) -> int | None:
        """Step at which the last note has ended, if any sounds."""
        return max((end for end, _ in self._notes), default=None)

    def passing(self, steps: int) -> list[Event]:
        """Return the events with which so many steps pass; the last lacks what happens then."""
        rests, rest = divmod(steps, self.vocabulary.max_shift_steps)
        longest = self._times[self.vocabulary.max_shift_steps]
        return [*[(longest,)] * rests, *[(self._times[rest],)] * (rest > 0)]

    def standing(self) -> list[int]:
        """Return the ids that set the pedal as it is now, at a beginning of a step."""
        return [self._times[0], self._slices[SUSTAIN].start + 1] if self.pedal_down else []

    def closing(self) -> list[int]:
        """Return the ids after which the pedal is up; the notes end by themselves."""
        return list(self.pedal(False)) if self.pedal_down else []

    def pedal(self, down: bool) -> Event:
        """Return the ids that move the pedal here."""
        moved = self._id(SUSTAIN, down)
        return (moved,) if self._expected == _WHAT else (self._times[0], moved)

    def copy(self) -> Self:
        """Return a decoder that goes its own way from here."""
        other = self._copied()
        other._notes, other._queued = self._notes.copy(), self._queued.copy()
        return other
