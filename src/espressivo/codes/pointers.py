"""Pointers: where the music has been before, and what came next there.

Music comes back, and a network that reads it forgets. Pointers do not: each of three views of what
has been played (all notes in order, the top line, the bass) finds the longest and latest earlier
place where its last intervals were the same, whatever the transposition, and points at the note
that followed there. They belong to note-wise vocabularies.

A view has arrays of fixed size: a ring of its latest notes, and a hash table from the last 3, 4,
5, 6, 8 and 12 intervals to the latest place where they ended. What the table says is compared note
by note, so notes whose hashes collide can make it forget, but not err.
"""

from __future__ import annotations

import itertools
import mmap
import sys
from bisect import bisect
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo.codes.codec import following
from espressivo.codes.layout import DURATION, NOTE_ON, TIME_SHIFT, VELOCITY, Ids, Layout
from espressivo.codes.passages import LATE_S, Note, Passage, Pointed

__all__ = [
    "POINTER_FIELDS",
    "POINTER_NUMBERS",
    "POINTER_SIZES",
    "VIEWS",
    "Pointers",
    "lifted",
    "pointed",
]

VIEWS = ("all", "top", "bass")
"""The lines that are followed: all notes, and the highest and the lowest of each chord."""

POINTER_FIELDS = (
    "time",
    "pitch",
    "velocity",
    "duration",
    "length",
    "lag",
    "periods",
    "on_time",
    "same",
)
"""What a view says, as whole numbers; 0 stands for nothing.

The first four are the note pointed at, each as 1 + the number of its id among those of its kind:
time is that from now on, and the pitch is moved by the transposition. ``length`` counts intervals
that are the same, ``lag`` the seconds since then, ``periods`` how often in a row the line has gone
round; all three as buckets of `_LENGTHS`, `_LAGS_S`, `_PERIODS`. The last two become known within
an event: how much later it is than what is pointed at (`_LATENESS`), and whether it has that pitch
(2) or another one (1).
"""

_LENGTHS = (4, 5, 6, 8, 12, 16, 24, 32, 64)
_LAGS_S = (1, 2, 4, 8, 16, 32, 64, 128)
_PERIODS = (0.5, 1, 1.5, 2, 3, 4, 6, 8)
_LATENESS = (-15, -7, -3, -1, 0, 1, 2, 4, 8, 16)  # grid steps

POINTER_SIZES = (len(_LENGTHS) + 1, len(_LAGS_S) + 1, len(_PERIODS) + 1, len(_LATENESS) + 1, 2)
"""The greatest of each of the last five."""

POINTER_NUMBERS = len(VIEWS) * len(POINTER_FIELDS)
"""How many numbers all views say."""

_ORDERS = (3, 4, 5, 6, 8, 12)  # intervals that are looked up
_GROUP_S = 0.04  # notes that begin within so long are a chord
_REACH = 1 << 15  # notes back: an hour at nine a second
_SIZE = 2 * _REACH  # of a ring, so that the latest notes can be taken back
_SLOTS = 1 << 18
_LONGEST = 64  # intervals that are compared at once
_TIME, _PITCH, _VELOCITY, _DURATION, _, _, _, _ON_TIME, _SAME = range(len(POINTER_FIELDS))
_NO_EVENT: tuple[int, ...] = (-1, -1, -1, -1)
_SIGNS = (0, 1, -1)  # of each view: a chord's best note is the highest, or the lowest
_BESIDE = (0.8, 0.9, 1.0, 0.9, 0.8)  # of a time that is expected, those 2 steps around it


class _Found(NamedTuple):
    """Where a line has been as it is now."""

    place: int  # of the note that is like the latest
    length: int  # intervals before it that are the same


class _View:
    """The notes of a line in the order in which they came, and where its turns were last."""

    def __init__(self) -> None:
        self.length = 0  # notes so far, of which the latest are kept
        *self._notes, self._latest, self._replaced = _zeros(
            *(_SIZE for _ in Note._fields),
            _SLOTS,  # place + 1 of the turn with each hash
            _SIZE * len(_ORDERS),  # what each note has replaced in it
        )
        self._pitch = self._notes[1]

    def copy(self, length: int) -> _View:
        """Return a view of its own, as it was after so many notes."""
        other, used = _View(), min(self.length, _SIZE)
        for array, copied in zip(self._notes, other._notes, strict=True):
            copied[:used] = array[:used]
        other._latest[:] = self._latest
        other._replaced[: used * len(_ORDERS)] = self._replaced[: used * len(_ORDERS)]
        for place in reversed(range(length, self.length)):
            other.length = place
            slots, first = other._slots(other._pitch[place % _SIZE]), place % _SIZE * len(_ORDERS)
            for number in reversed(range(len(slots))):
                other._latest[slots[number]] = other._replaced[first + number]
        return other

    def append(self, note: Note) -> None:
        place = self.length
        slots = self._slots(note.pitch)
        for array, value in zip(self._notes, note, strict=True):
            array[place % _SIZE] = value
        latest, first = self._latest, place % _SIZE * len(_ORDERS)
        for number, slot in enumerate(slots):
            self._replaced[first + number] = latest[slot]
            latest[slot] = place + 1
        self.length = place + 1

    def note(self, place: int) -> Note:
        return Note(*[array[place % _SIZE] for array in self._notes])

    def find(self, pitch: int, before: _Found | None) -> _Found | None:
        """Find where the line was before as it is with one note more, of a pitch.

        `before` is what has been found for the note before that one.
        """
        slots = self._slots(pitch)
        for number in reversed(range(len(slots))):
            place = self._latest[slots[number]] - 1
            if place < 0 or self.length - place >= _REACH:
                continue
            count = self._alike(pitch, place, before)
            if count >= _ORDERS[number]:
                return _Found(place, count)
        return None

    def _alike(self, pitch: int, place: int, before: _Found | None) -> int:
        """Count the intervals that are the same up to a place and up to a new note of a pitch."""
        pitches, length = self._pitch, self.length
        moved = pitch - pitches[place % _SIZE]
        if before is not None and before.place == place - 1:
            goes_on = pitches[(length - 1) % _SIZE] - pitches[before.place % _SIZE] == moved
            return before.length + 1 if goes_on else 0
        behind, at = length - place, place - 1
        least = max(place - _LONGEST, length - _REACH, 0)
        while at >= least and pitches[(at + behind) % _SIZE] - pitches[at % _SIZE] == moved:
            at -= 1
        return place - 1 - at

    def _slots(self, pitch: int) -> list[int]:
        """Return where the table has the turns that end with one note more, of a pitch.

        By FNV-1a (Fowler, Noll and Vo 1991), from the latest interval back.
        """
        slots, hash_, later = [], 2166136261, pitch
        for back in range(1, min(self.length, _ORDERS[-1]) + 1):
            earlier = self._pitch[(self.length - back) % _SIZE]
            hash_ = ((hash_ ^ (later - earlier) & 255) * 16777619) & 0xFFFFFFFF
            later = earlier
            if back in _ORDERS:
                slots.append((hash_ ^ hash_ >> 15) % _SLOTS)
        return slots


class Pointers:
    """What the views say of the note to come, after each id of a piece.

    It is small and can be copied at no cost: copies share their views until two of them go
    different ways.

    Parameters
    ----------
    vocabulary : Layout
        A note-wise one.

    Attributes
    ----------
    said : list of int
        `POINTER_NUMBERS` of them, those of one view after those of another.
    """

    def __init__(self, vocabulary: Layout) -> None:
        v = vocabulary
        columns = {TIME_SHIFT: _TIME, NOTE_ON: _PITCH, VELOCITY: _VELOCITY, DURATION: _DURATION}
        self._columns = [columns.get(kind) for kind in v.kinds.tolist()]
        self._numbers = (np.arange(v.size) - np.array(v.first)[v.kinds]).tolist()
        self._completing = (following(v)[0] == 0).tolist()
        self._longest_shift, self._keys = v.max_shift_steps, v.counts[NOTE_ON]
        self._first_shift, self._first_key = v.first[TIME_SHIFT], v.first[NOTE_ON]
        self._rate, self._group = v.steps_per_second, round(_GROUP_S * v.steps_per_second)
        self._now = 0
        self._event = _NO_EVENT  # its time-shift, pitch, velocity and duration so far
        self._lines = [_Line(_View(), sign) for sign in _SIGNS]
        self._passages: list[Passage] | None = None  # of each line, while it is led through one
        self.said: list[int] = [0] * POINTER_NUMBERS

    def lead(self, back: int, length: int) -> None:
        """Point at a passage that began so many steps ago, as if it came again from now on.

        Each view points at its next note, at its own pitch, whatever is played; notes that are
        left out, added or played at other times are allowed for. It ends with the passage's last
        note, with `let_go`, or when the passage is over by time.

        Parameters
        ----------
        back, length : int
            Steps, at most `back` of them. Without a note in it nothing happens.
        """
        begin, end = self._now - back, self._now - back + length
        passages = []
        for line in self._lines:
            every = [line.view.note(at) for at in range(max(line.length - _REACH, 0), line.length)]
            every += [] if line.open is None else [line.open]
            notes = tuple(note for note in every if begin <= note.step < end)
            passages.append(Passage(notes, len(every), self._now - begin))
        self._passages = passages if passages[0].notes else None
        self._say()

    def let_go(self) -> None:
        """Point at what each view finds, and no longer at a passage."""
        self._passages = None
        self._say()

    def expects(self) -> NDArray[np.float32]:
        """Return how much each id is what is pointed at by all notes, 0..1, shape (size,).

        That is 1 for the pitch and for the time; times up to 2 steps beside it have a part of it.
        """
        expected = np.zeros(len(self._columns), np.float32)
        time, pitch, *_ = self.said
        if pitch:
            expected[self._first_key + pitch - 1] = 1
        if time:
            at = np.arange(time - 3, time + 2)
            near = (at >= 0) & (at <= self._longest_shift)
            expected[self._first_shift + at[near]] = np.array(_BESIDE, np.float32)[near]
        return expected

    @property
    def leading(self) -> bool:
        """Whether it points at a passage."""
        return self._passages is not None

    def feed(self, id_: int) -> None:
        """Take note of an id."""
        self.read(id_)
        if self._completing[id_]:
            self.complete()

    def read(self, id_: int) -> None:
        """Take note of an id of an event that is not complete yet."""
        column = self._columns[id_]
        if column is not None:
            self._read(column, self._numbers[id_])

    def complete(self) -> None:
        """Take note that the event is complete, and say what comes after it."""
        if self._event[_PITCH] >= 0:
            self._add(Note(self._now, *self._event[1:]))
        self._event = _NO_EVENT
        self._say()

    def numbers(self, strength: float = 1.0) -> NDArray[np.float32]:
        """Return what is said, and how strongly it counts, as a model reads it."""
        return np.array([*self.said, strength], np.float32)

    def copy(self) -> Pointers:
        """Return pointers that go their own way from here."""
        other = Pointers.__new__(Pointers)
        other.__dict__.update(self.__dict__)  # nothing in it is ever written to
        return other

    @property
    def memory(self) -> NDArray[np.float32]:
        """All that is remembered, shape (notes + 1, 4); setting it brings that moment back.

        But not a passage that it is led through: `lead` has to be called again.

        A row for each note: its step, counted from now, and the numbers of its ids of pitch,
        velocity and duration. The last one holds those of the event so far, -1 for none yet.
        """
        every = self._lines[0]
        notes = [every.view.note(at) for at in range(max(every.length - _REACH, 0), every.length)]
        notes += [] if every.open is None else [every.open]
        rows = [note._replace(step=note.step - self._now) for note in notes]
        return np.array([*rows, self._event], np.float32)

    @memory.setter
    def memory(self, memory: NDArray[np.float32]) -> None:
        *notes, event = memory.astype(int).tolist()
        self._now, self._event = -max(event[_TIME], 0), _NO_EVENT
        self._lines, self._passages = [_Line(_View(), sign) for sign in _SIGNS], None
        for note in notes:
            self._add(Note(*note))
        self._say()
        for column, number in enumerate(event):
            if number >= 0:
                self._read(column, number)

    def _read(self, column: int, number: int) -> None:
        """Take note of what an event has in a column of `POINTER_FIELDS`."""
        event = list(self._event)
        event[column] = number
        self._event = tuple(event)
        if column == _TIME:
            self._now += number
        if column in (_TIME, _PITCH):
            self.said = self.said.copy()
            for view in range(0, POINTER_NUMBERS, len(POINTER_FIELDS)):
                later = number + 1 - self.said[view + column]
                if not self.said[view + column]:
                    continue
                if column == _TIME:
                    self.said[view + _ON_TIME] = 1 + bisect(_LATENESS, later)
                else:
                    self.said[view + _SAME] = 1 + (later == 0)

    def _add(self, note: Note) -> None:
        self._lines = [line.after(note, self._group) for line in self._lines]
        if self._passages is not None:
            late = round(LATE_S * self._rate)
            self._passages = [passage.after(note, late) for passage in self._passages]
            if not self._passages[0].notes:
                self._passages = None

    def _say(self) -> None:
        expected = [
            line.pointed() if self._passages is None else passage.pointed()
            for line, passage in zip(self._lines, self._passages or _NO_PASSAGES, strict=True)
        ]
        self.said = [number for at in expected for number in self._says(at)]

    def _says(self, at: Pointed | None) -> tuple[int, ...]:
        """Return what a view says, in the order of `POINTER_FIELDS`."""
        if at is None:
            return _NOTHING
        note, back_steps, back_notes, length = at
        if not 0 <= note.pitch < self._keys:
            return _NOTHING
        return (
            1 + min(max(note.step - self._now, 0), self._longest_shift),
            1 + note.pitch,
            1 + note.velocity,
            1 + note.duration,
            1 + bisect(_LENGTHS, length),
            1 + bisect(_LAGS_S, back_steps / self._rate),
            1 + bisect(_PERIODS, length / back_notes),
            0,
            0,
        )


_NOTHING = (0,) * len(POINTER_FIELDS)


_NO_PASSAGES = (Passage(),) * len(VIEWS)


class _Line(NamedTuple):
    """A view as one of the `Pointers` that share it has come to know it.

    The latest note is not in the view yet, as a chord may still bring a better one.
    """

    view: _View
    sign: int
    length: int = 0  # notes of the view, of which others may have added more
    open: Note | None = None  # the best of the latest chord, at the time of its first note
    now: _Found | None = None  # where the line was as it is with that note
    before: _Found | None = None  # and as it was before it

    def after(self, note: Note, group: int) -> _Line:
        """Return the line after a note; notes within `group` steps are one chord."""
        view, sign, length, latest, now, before = self
        passed = latest
        if latest is not None and sign and note.step - latest.step <= group:
            if (note.pitch - latest.pitch) * sign <= 0:
                return self
            note, passed = note._replace(step=latest.step), None
        if view.length != length:
            view = view.copy(length)
        if passed is not None:
            view.append(passed)
            before = now
        return _Line(view, sign, view.length, note, view.find(note.pitch, before), before)

    def pointed(self) -> Pointed | None:
        """Return what is expected next; None if the line has not been so before.

        Until the chord has a note as high (or low) as was expected of it, that is still expected,
        unless with the best that it has the line goes on as it did for longer elsewhere.
        """
        latest, now, before = self.open, self.now, self.before
        if latest is None:
            return None
        if before is not None and self.sign and (now is None or now.length < before.length):
            expected = self._moved(before, self.view.note(self.length - 1), self.length - 1)
            if (latest.pitch - expected.note.pitch) * self.sign < 0:
                return expected
        return None if now is None else self._moved(now, latest, self.length)

    def _moved(self, found: _Found, note: Note, at: int) -> Pointed:
        """Return what followed a place, moved as far as a note, at another place, is from it."""
        like, place = self.view.note(found.place), found.place + 1
        latest = self.open if place == self.length else None
        next_ = latest or self.view.note(place)
        moved = next_._replace(
            step=note.step + next_.step - like.step, pitch=note.pitch + next_.pitch - like.pitch
        )
        return Pointed(moved, note.step - like.step, at - found.place, found.length)


def lifted(
    logits: NDArray[np.float32], pointers: Pointers | None, lift: float
) -> NDArray[np.float32]:
    """Return scores in which ids are raised by so much that pointers lead to, if they lead."""
    if not lift or pointers is None or not pointers.leading:
        return logits
    return logits + np.float32(lift) * pointers.expects()


def pointed(ids: Ids, vocabulary: Layout) -> NDArray[np.int16]:
    """Return what pointers say of each event of a piece, given all before it.

    Returns
    -------
    int16 array, shape (events, `VIEWS`, `POINTER_FIELDS`)
        As it is when the event is complete, ``on_time`` and ``same`` included.
    """
    pointers, completing = Pointers(vocabulary), following(vocabulary)[0] == 0
    rows = []
    for id_, completes in zip(ids.tolist(), completing[ids].tolist(), strict=True):
        pointers.read(id_)
        if completes:
            rows.append(pointers.said)
            pointers.complete()
    if len(ids) and not completes:  # the last event is not whole
        rows.append(pointers.said)
    return np.array(rows, np.int16).reshape(-1, len(VIEWS), len(POINTER_FIELDS))


def _zeros(*sizes: int) -> list[memoryview]:
    """Return arrays of zeros, which take memory only where they are set.

    They are faster to read than those of numpy, and of memory that goes back to the system with the
    last of them: taken from the heap, it would leave holes there when a stream ends.
    """
    length = 4 * sum(sizes)
    if sys.platform == "win32":
        memory = mmap.mmap(-1, length)
    else:
        memory = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    numbers, ends = memoryview(memory).cast("i"), list(itertools.accumulate(sizes))
    return [numbers[end - size : end] for size, end in zip(sizes, ends, strict=True)]
