"""The grammar of a code of notes."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from espressivo.codes.grammar_rules import Rules
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

__all__ = ["NoteGrammar"]

_TIME, _WHAT, _LOUDNESS, _LENGTH, _FINE = range(5)  # which id of a step comes next


class NoteGrammar(Rules):
    """Which ids can follow, in the lists that `espressivo.codes.encode` writes in a code of notes.

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
        self._shortest, self._places = v.shortest_durations.tolist(), v.durations_in_class.tolist()
        self._times = range(v.first[TIME_SHIFT], v.first[TIME_SHIFT] + v.counts[TIME_SHIFT])
        self.now = 0
        """Steps since the beginning."""
        self.onset: int | None = None
        """Step of the latest note-on."""
        self.begin = 0
        """The step at which what follows a primer begins: nothing happens before."""
        self._expected = _TIME
        self._notes: list[tuple[int, int]] = []  # end and pitch of what sounds, oldest first
        self._length = 0  # class of the latest note's length
        self._silent_from = 0  # the step, if nothing sounds
        self._velocity: int | None = None
        self._pedal_down = False
        self._struck = v.lowest_pitch  # pitches below were struck in this step of the grid
        self._pedal_pressed = False  # in this step of the grid
        self._ended = False

    @property
    def sounding(self) -> list[int]:
        """Pitches of the notes that sound, the oldest first."""
        return [pitch for _, pitch in self._notes]

    @property
    def releases(self) -> list[tuple[int, int]]:
        """Step at which each sounding note ends, the latest possible until known, and its pitch."""
        return self._notes

    @property
    def between(self) -> bool:
        """Whether the latest step is complete."""
        return self._expected == _TIME

    @property
    def deciding(self) -> bool:
        """Whether a note has begun whose loudness and length are not complete."""
        return self._expected > _WHAT

    @property
    def ended(self) -> bool:
        """Whether the piece is over: nothing can follow its end event."""
        return self._ended

    @property
    def velocity(self) -> int | None:
        """The velocity of the latest note, as an id."""
        return self._velocity

    @property
    def resting_too_long(self) -> bool:
        """Whether nothing has sounded for the longest rest."""
        rest = self._longest_rest
        return not self._notes and rest is not None and self.now >= self._silent_from + rest

    def feed(self, id_: int) -> None:
        """Take note of an id; any id of the vocabulary, also one that is not allowed."""
        kind, value = self._kinds[id_], self._values[id_]
        self._expected, self._ended = _TIME, kind == END
        if kind == TIME_SHIFT:
            self._pass(value)
            if id_ != self._times[-1]:
                self._expected = _WHAT
        elif kind == NOTE_ON:
            self._notes = [note for note in self._notes if note[1] != value]
            self._notes.append((self.now, value))
            self._end_latest(self.now + self.vocabulary.longest_note_steps)  # as the codec plays it
            self.onset, self._struck = self.now, value + 1
            self._expected = _LOUDNESS
        elif kind == VELOCITY:
            self._velocity = id_
            self._expected = _LENGTH
        elif kind == DURATION:
            self._length = id_ - self.vocabulary.first[DURATION]
            self._end_latest(self.now + value)
            if self._places[self._length] > 1:
                self._expected = _FINE
        elif kind == FINE_DURATION and self._notes:
            self._end_latest(self.now + self._shortest[self._length] + value)
        elif kind == SUSTAIN:
            self._pedal_down = self._pedal_pressed = value == 1

    def _pass(self, steps: int) -> None:
        self.now += steps
        if steps:
            self._struck, self._pedal_pressed = self.vocabulary.lowest_pitch, False
            self._notes = [note for note in self._notes if note[0] > self.now]

    def _end_latest(self, step: int) -> None:
        if self._notes:
            self._notes[-1] = step, self._notes[-1][1]
            self._silent_from = max(end for end, _ in self._notes)

    def silence(self) -> None:
        """Let every note end now."""
        self._notes, self._silent_from = [], self.now

    def begin_here(self) -> None:
        """Let what follows begin when the notes so far have ended."""
        self.begin = max([self.now, *(end for end, _ in self._notes)])

    def allowed(self) -> NDArray[np.bool_]:
        """Return for each id whether it can come next, shape (size,); none can after the end."""
        mask = bytearray(self.vocabulary.size)
        if not self._ended:
            (self._time, self._what, self._loudness, self._lengths, self._fine)[self._expected](
                mask
            )
        return np.frombuffer(mask, np.bool_)

    def _time(self, mask: bytearray) -> None:
        times = self._times
        least = max(self._next_chance(), self.begin) - self.now
        if least <= 0 and self.resting_too_long:
            mask[times[0]] = True
            return
        first = min(max(least, 0), len(times) - 1)
        mask[times[first] : times[-1] + 1] = b"\1" * (len(times) - first)

    def _what(self, mask: bytearray) -> None:
        at, keys = self._slices, self._keys(self._struck)
        mask[at[NOTE_ON]] = keys
        if 1 in keys and self.resting_too_long:
            return
        first = self._struck == self.vocabulary.lowest_pitch  # no note precedes the pedal
        if (
            first
            and self.vocabulary.counts[SUSTAIN]
            and not (self._pedal_down and self._pedal_pressed)
        ):
            mask[at[SUSTAIN].start + (not self._pedal_down)] = True
        if 1 not in mask:  # the rules have changed since it was decided when
            self._time(mask)
        if not self._notes:
            mask[at[END]] = self._every[END]

    def _loudness(self, mask: bytearray) -> None:
        mask[self._slices[VELOCITY]] = self._every[VELOCITY]

    def _lengths(self, mask: bytearray) -> None:
        at = self._slices[DURATION]
        fit = sum(shortest <= self._longest_note for shortest in self._shortest)
        mask[at.start : at.start + fit] = b"\1" * fit

    def _fine(self, mask: bytearray) -> None:
        at, number = self._slices[FINE_DURATION], self._length
        fit = min(self._places[number], max(self._longest_note - self._shortest[number], 0) + 1)
        mask[at.start : at.start + fit] = b"\1" * fit

    def _keys(self, lowest: int) -> bytearray:
        """Return which keys can be struck now, from a pitch on."""
        keys, low = bytearray(self._in_range), self.vocabulary.lowest_pitch
        polyphony = self._limits.polyphony
        if polyphony is not None and len(self._notes) >= polyphony:
            return bytearray(len(keys))
        keys[: lowest - low] = bytes(lowest - low)
        for _, pitch in self._notes:
            keys[pitch - low] = 0
        return keys

    def _next_chance(self) -> int:
        """Return the first step at which a key can be struck."""
        if 1 in self._keys(self._struck):
            return self.now
        low, chance = self.vocabulary.lowest_pitch, self.now + 1
        ends = sorted(end for end, _ in self._notes)
        polyphony = self._limits.polyphony
        if polyphony is not None and len(ends) >= polyphony:
            chance = max(chance, ends[len(ends) - polyphony])
        inside = [end for end, pitch in self._notes if self._in_range[pitch - low]]
        if len(inside) == sum(self._in_range):
            chance = max(chance, min(inside))
        return chance

    def overdue(self) -> int | None:
        """Return None: each note ends by itself."""
        return None

    def cut(self, id_: int, end: int | None = None) -> int:
        """Shorten a time-shift that goes past `end` or the end of the longest rest.

        Parameters
        ----------
        id_ : int
            Any id; all but time-shifts are returned as they are.
        end : int, optional
            A step later than now.
        """
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

    def ring(self, end: int | None = None) -> int | None:
        """Return a time-shift towards the end of the last note, but not past `end`.

        None if what sounds does not end by itself yet.
        """
        if self.deciding:
            return None
        last = max(step for step, _ in self._notes)
        until = last if end is None else min(last, end)
        return self._times[min(len(self._times) - 1, until - self.now)]

    def standing(self) -> list[int]:
        """Return the ids that set the pedal as it is now, at a beginning of a step."""
        return [self._times[0], self._slices[SUSTAIN].start + 1] if self._pedal_down else []

    def closing(self) -> list[int]:
        """Return the ids after which the pedal is up; the notes end by themselves."""
        if not self._pedal_down:
            return []
        up = self._slices[SUSTAIN].start
        return [up] if self._expected == _WHAT else [self._times[0], up]

    def copy(self) -> NoteGrammar:
        """Return a grammar that goes its own way from here."""
        other = copy.copy(self)
        other._notes = self._notes.copy()
        return other
