"""A gap in the making: what one candidate plays between what comes before and what comes after.

What a model reads before it plays is `Gap.context`, which ends where the gap begins; one that has
been trained on quotes reads `Gap.quote`, too, before the nearest past. What follows would then be
likely whatever is played. So such a candidate is read once more without the quote when it is to be
weighed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from espressivo.codes import (
    END,
    IN_GAP,
    KEPT,
    NOTE_OFF,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    Decoder,
    Event,
    Ids,
    Vocabulary,
)
from espressivo.engine import Engine, generator
from espressivo.music import Performance
from espressivo.play.batch import Mark, Memory, Piece, Row
from espressivo.play.endings import Close, close_steps
from espressivo.play.player import Player
from espressivo.play.quoting import Quote, Timed, beside
from espressivo.play.settings import Settings

__all__ = ["Candidate", "Gap", "Head", "heard", "onsets"]


@dataclass(frozen=True, eq=False)
class Gap:
    """What is known of a gap, in grid steps from its beginning.

    Parameters
    ----------
    context : ids
        What is read before the gap.
    earlier : ids
        What came before that; only pointers know of it.
    wait : int
        Steps from the end of the context to the gap.
    steps : int
        Length, at least 1.
    given : tuple of Timed
        What happens in the gap whatever is invented: kept notes, and the ends of what sounds.
    only_given : bool
        Whether no note begins but those.
    after : tuple of Timed
        What follows, as far as it is listened to.
    joined : bool
        Whether the gap ends where it does. Otherwise it is the beginning of a longer one.
    rings : int
        Step by which the notes of the gap have ended, at least `steps`.
    pedal : bool or None
        Whether the pedal is down where the gap ends; None if it does not matter.
    sounding : tuple of int
        Pitches that sound where the gap begins, where notes end by events of their own.
    closes : bool
        Whether the piece comes to its close in the gap.
    quote : Quote, optional
        What follows, as a model is told it that fills.
    """

    context: Ids
    earlier: Ids
    wait: int
    steps: int
    given: tuple[Timed, ...] = ()
    only_given: bool = False
    after: tuple[Timed, ...] = ()
    joined: bool = True
    rings: int = 0
    pedal: bool | None = None
    sounding: tuple[int, ...] = ()
    closes: bool = False
    quote: Quote | None = None


@dataclass(frozen=True, eq=False)
class Head:
    """The beginning of a candidate, from which others can go on.

    Parameters
    ----------
    ids : tuple of ids
        All since the context.
    items : tuple of Timed
        What was invented.
    given : int
        How many of what is given have happened.
    memory : Memory
        Of the row that has read it.
    """

    ids: Event
    items: tuple[Timed, ...]
    given: int
    memory: Memory


@dataclass(eq=False)
class Candidate:
    """One of several ways to fill a gap; `playing` plays it.

    Attributes
    ----------
    items : list of Timed
        What it invents.
    heads : list of Head
        Where others can go on from it.
    log_p : float
        Natural logarithm of the probability of `Gap.after`, given what it plays.
    scored : int
        How many ids that is.
    """

    engine: Engine
    gap: Gap
    settings: Settings
    seed: int
    head: Head | None = None
    marks: Sequence[int] = ()
    row: Row = field(default_factory=Row)
    log_p: float = 0.0
    scored: int = 0

    def __post_init__(self) -> None:
        gap, head, v = self.gap, self.head, self.engine.vocabulary
        before = gap.context if head is None else np.append(gap.context, head.ids).astype(np.int32)
        rng = generator(self.seed)
        self._player = Player(self.engine, self.settings, rng, before, self.row)
        self._asked = self.row.controls
        self._decoder = self._player.decoder
        shifts = v.kinds[gap.context] == TIME_SHIFT
        self._start = int(v.values[gap.context][shifts].sum()) + gap.wait
        self._end = self._start + gap.steps
        self._decoder.begin = self._start
        self.items = [] if head is None else list(head.items)
        self.heads: list[Head] = []
        self._ids = [] if head is None else list(head.ids)
        self._next = 0 if head is None else head.given
        self._notes_due = onsets((*gap.given, *gap.after), v)
        self._listens = False
        if v.notewise:
            self._decoder.ends_by = self._ends_by
        else:
            self._hold_again()

    def playing(self) -> Piece:
        """Play the gap; then read what follows, if no quote has told of it."""
        v, decoder = self.engine.vocabulary, self._decoder
        if not v.notewise and decoder.now < self._start:
            yield from self._read(decoder.passing(self._start - decoder.now))
        yield from self._fill()
        if not v.notewise:
            for pitch in [pitch for pitch in decoder.sounding if pitch not in decoder.held]:
                yield from self._read(decoder.lifted(pitch, self._end - decoder.now))
                self.items.append(Timed(self.gap.steps, (_off(pitch, v),)))
        if self.gap.quote is None:
            yield from self._listen()

    def again(self, row: Row) -> Piece:
        """Read the gap, as it has been played, in a row that has read no quote; then what follows.

        The row remembers what is before the gap.
        """
        self.row = self._player.state = row
        for id_ in self._ids.copy():
            row.feed(id_)
            yield ()
        yield from self._listen()

    def _listen(self) -> Piece:
        if self.gap.pedal is not None and self.gap.pedal != self._pedal_down:
            moved = self.engine.vocabulary.first[SUSTAIN] + self.gap.pedal
            yield from self._give(Timed(self.gap.steps, (moved,)))
        self.row.controls, self.row.returns = None, 1.0
        self._listens = True
        for item in self.gap.after:
            yield from self._give(item)

    def _fill(self) -> Piece:
        gap, decoder = self.gap, self._decoder
        marks = [self._start + m for m in self.marks if self._start + m > decoder.now]
        closes = gap.closes and not gap.given
        close: Close | None = None
        while True:
            if marks and decoder.now >= marks[0]:
                marks = [mark for mark in marks if mark > decoder.now]
                memory = yield Mark()
                self.heads.append(Head(tuple(self._ids), tuple(self.items), self._next, memory))
            item = gap.given[self._next] if self._next < len(gap.given) else None
            due = self._end if item is None else min(self._start + item.step, self._end)
            if due > decoder.now and not (gap.only_given and self._silent):
                if closes and decoder.now >= self._end - close_steps(decoder, self._end):
                    close = close or Close(decoder, self._end, [*gap.context.tolist(), *self._ids])
                if close is None:
                    event = yield from self._player.choices(
                        ruled_out=self._ruled_out, ending=False, until=due
                    )
                else:
                    event = yield from self._player.choices(
                        ruled_out=close.ruled_out,
                        ending=False,
                        until=due,
                        adjust=close.slower(decoder),
                    )
                    if event and close.over(decoder, event):
                        self._player.drop()
                        return
                if event:
                    yield from self._happens(event)
                    continue
            if item is None or due == self._end:
                return
            self._next += 1
            yield from self._give(item)

    def _happens(self, event: Event) -> Piece:
        """Let an event happen that was decided."""
        v, decoder = self.engine.vocabulary, self._decoder
        self._player.play(event)
        self._ids += event
        self._tell(IN_GAP)
        step = decoder.now - self._start
        kind = v.kinds[event[-1]]
        if v.notewise:
            if len(event) > 1:
                self.items.append(Timed(step, event[1:]))
        elif kind == NOTE_ON:
            self.items.append(Timed(step, (decoder.standing()[-1], event[0])))
        elif kind in (NOTE_OFF, SUSTAIN):
            self.items.append(Timed(step, event))
        yield event

    def _give(self, item: Timed) -> Piece:
        """Let something happen that is given."""
        v, decoder = self.engine.vocabulary, self._decoder
        gap = self._start + item.step - decoder.now
        if not item.ids:
            yield from self._any_note(gap)
            return
        if v.notewise:
            events = decoder.passing(gap) or [(v.first[TIME_SHIFT],)]
            if len(events[-1]) == 1 and v.values[events[-1][0]] == v.max_shift_steps:
                events.append((v.first[TIME_SHIFT],))  # a rest stands alone
            yield from self._read([*events[:-1], events[-1] + item.ids])
            return
        kind, value = v.kinds[item.ids[-1]], int(v.values[item.ids[-1]])
        if kind == NOTE_ON:
            if value in decoder.sounding and value not in decoder.held:
                self.items.append(Timed(item.step, (_off(value, v),)))
            events = decoder.struck(value, int(v.values[item.ids[0]]), gap)
            yield from self._read(events)
            decoder.hold(value)
        elif kind == NOTE_OFF:
            decoder.let_go(value)
            yield from self._read(decoder.lifted(value, gap))
        else:
            yield from self._read([*decoder.passing(gap), item.ids])

    def _any_note(self, gap: int) -> Piece:
        """Let a note begin so many steps from now, of which everything else is drawn."""
        v, decoder = self.engine.vocabulary, self._decoder
        if v.notewise:
            events = decoder.passing(gap) or [(v.first[TIME_SHIFT],)]
            if v.values[events[-1][0]] == v.max_shift_steps:
                events.append((v.first[TIME_SHIFT],))
            yield from self._read(events[:-1])
            event = yield from self._player.choices(
                ruled_out=self._no_note, ending=False, given=events[-1]
            )
            if event:
                yield from self._happens(event)
            return
        yield from self._read(decoder.passing(gap))
        begun = False
        while not begun:
            event = yield from self._player.choices(ruled_out=self._no_note, ending=False)
            if not event or v.kinds[event[0]] not in (NOTE_ON, VELOCITY):
                self._player.drop()
                return
            yield from self._happens(event)
            begun = v.kinds[event[0]] == NOTE_ON

    def _read(self, events: Sequence[Event]) -> Piece:
        """Let events happen that nobody decides, and add up how likely they were."""
        for event in events:
            for id_ in event:
                if self._listens:
                    self.scored += 1
                    x = self._player.logits().astype(np.float64)
                    highest = x.max()
                    self.log_p += float(x[id_] - highest - np.log(np.exp(x - highest).sum()))
                self._player.mask.feed(id_)
                self._player.state.feed(id_)
                self._tell(KEPT if len(event) > 1 else IN_GAP)
                yield ()
            self._ids += event

    def _tell(self, mark: int) -> None:
        """Tell the model of the event that it is about to read, and of what is left of the gap."""
        told = self.gap.quote
        if told is not None and not self._listens:
            left = self._start + told.left - self._decoder.now
            self.row.controls = beside(self.engine, self._asked, mark, left)

    @property
    def _silent(self) -> bool:
        """Whether nothing is left to decide until something is given, if no note may begin."""
        decoder = self._decoder
        return self.engine.vocabulary.notewise or decoder.held.issuperset(decoder.sounding)

    @property
    def _pedal_down(self) -> bool:
        v = self.engine.vocabulary
        return any(v.kinds[id_] == SUSTAIN for id_ in self._decoder.standing())

    def _ends_by(self, pitch: int) -> int:
        """Return the step by which a note that begins now must end."""
        due, now = self._notes_due.get(pitch, []), self._decoder.now - self._start
        following = bisect_right(due, now)
        ends = [self.gap.rings, *due[following : following + 1]]
        return self._start + max(min(ends), now + 1)

    def _ruled_out(self, _: Decoder) -> Sequence[int]:
        """Return what cannot be drawn between what is given."""
        return self._beginnings() if self.gap.only_given else ()

    def _beginnings(self) -> list[int]:
        return self._of_kinds(NOTE_ON, VELOCITY, SUSTAIN)

    def _no_note(self, _: Decoder) -> list[int]:
        """Return what begins no note, and keys that leave no room for others of this step."""
        v, gap = self.engine.vocabulary, self.gap
        step = gap.given[self._next - 1].step
        more = sum(one.step == step and not one.ids for one in gap.given[self._next :])
        keys = range(v.first[NOTE_ON], v.first[NOTE_ON] + v.counts[NOTE_ON])
        highest = list(keys)[len(keys) - more :] if v.order == "pitch" else []
        kinds = (SUSTAIN, END, NOTE_OFF) if v.notewise else (SUSTAIN, END, NOTE_OFF, TIME_SHIFT)
        return [*self._of_kinds(*kinds), *highest]

    def _of_kinds(self, *kinds: int) -> list[int]:
        v = self.engine.vocabulary
        return [
            id_ for kind in kinds for id_ in range(v.first[kind], v.first[kind] + v.counts[kind])
        ]

    def _hold_again(self) -> None:
        """Leave what sounds without having been invented to be ended as it is given."""
        v, sounding = self.engine.vocabulary, set(self.gap.sounding)
        for item in self.gap.given[: self._next]:
            if item.ids:
                value = int(v.values[item.ids[-1]])
                (sounding.add if v.kinds[item.ids[-1]] == NOTE_ON else sounding.discard)(value)
        for pitch in sounding:
            self._decoder.hold(pitch)


def heard(items: Sequence[Timed], v: Vocabulary) -> Performance:
    """Return the notes among what was invented, from the beginning of the gap; no pedal."""
    ids: list[int] = []
    now = 0
    for step, event in items:
        if v.kinds[event[0]] != SUSTAIN:
            ids += [*_passing(step - now, v), *event]
            now = step
    return v.decode([*ids, *_passing(v.longest_note_steps if v.notewise else 1, v, rest=True)])


def _passing(gap: int, v: Vocabulary, rest: bool = False) -> Iterator[int]:
    """Yield the time-shifts for so many steps, before an event or for a rest at the end."""
    longest = v.max_shift_steps
    full = v.first[TIME_SHIFT] + longest - (not v.notewise)
    yield from [full] * (gap // longest)
    if v.notewise and not rest:
        yield v.first[TIME_SHIFT] + gap % longest
    elif gap % longest and not v.notewise:
        yield v.first[TIME_SHIFT] + gap % longest - 1
    elif v.notewise:
        yield full


def onsets(items: Sequence[Timed], v: Vocabulary) -> dict[int, list[int]]:
    """Return the steps at which each pitch begins, ascending."""
    found: dict[int, list[int]] = {}
    for step, ids in items:
        for id_ in ids:
            if v.kinds[id_] == NOTE_ON:
                found.setdefault(int(v.values[id_]), []).append(step)
    return found


def _off(pitch: int, v: Vocabulary) -> int:
    return v.first[NOTE_OFF] + pitch - v.lowest_pitch
