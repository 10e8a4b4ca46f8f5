"""Streaming: music that is decided while it plays, without end."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from espressivo.codes import (
    NOTE_OFF,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    NoteGrammar,
)
from espressivo.errors import GenerationError
from espressivo.play.player import Player
from espressivo.play.settings import Settings

__all__ = ["LONGEST_REST_S", "Stream", "TimedEvent"]

LONGEST_REST_S = 3.0
"""A stream is never silent for longer, unless told otherwise."""

_NAP_S = 0.02  # how long it sleeps at once, and so how late it notices what a person does
_TINY_S = 1e-6  # less than this may be too little for a clock to show
_REMEMBERED = 1024  # ids, about half a minute
_PHRASE = 256  # the oldest of these, from which a restarted model goes on
_LATE_S = 1.0  # an event due for longer is not caught up with
_PATIENCE, _PATIENCE_S = 4, 30.0  # so many recoveries within so many seconds, and it is restarted


@dataclass(frozen=True)
class TimedEvent:
    """Something to be sent to an instrument.

    Parameters
    ----------
    time_s : float
        Seconds since the stream began, a multiple of the vocabulary's step.
    kind : {"note_on", "note_off", "pedal"}
    pitch : int
        MIDI pitch of a note; 0 for the sustain pedal.
    velocity : int
        MIDI velocity of a note-on, 0 of a note-off; 127 for the pedal down, 0 for up.
    """

    time_s: float
    kind: str
    pitch: int
    velocity: int


def stream_of(player: Player, **options: Any) -> Stream:
    """Return the stream of a player, whatever its code; options are those of `Stream`."""
    return (NoteStream if player.vocabulary.notewise else Stream)(player, **options)


class Stream(Iterator[TimedEvent]):
    """Plays for ever; `Model.stream` makes it.

    Events come out in order of time, at most `lead_s` before their time on the clock, which
    starts with the first one asked for; asking for one waits until then. Times are counted in
    whole steps, so they never drift. Its memory does not grow.

    It recovers by itself, and counts it in `recoveries`: a loop (see `LoopDetector`) is broken by
    another pitch ("loops"), a rest that lasts too long by a note ("rests"), and when that has been
    needed 4 times within 30 s, the notes end and the model starts afresh from what it played half a
    minute before ("restarts"). If an event is due for more than a second (the machine slept,
    nobody asked, or the model cannot keep pace), the notes end and the music goes on where the
    clock is, as after a pause ("jumps").

    All methods may be called while another thread waits for an event.

    Parameters
    ----------
    player : Player
        Its time so far becomes the time 0 of the stream.
    lead_s : float
        At least 0. The longer, the safer from gaps; the shorter, the sooner it can be steered.
    clock : function
        Returns seconds, never less than before.
    sleep : function
        Waits for a number of seconds.
    """

    _HELD = NOTE_OFF  # what does not come of a key that a person holds

    def __init__(
        self,
        player: Player,
        *,
        lead_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not (math.isfinite(lead_s) and lead_s >= 0):
            raise GenerationError(f"lead_s must be at least 0 and finite, not {lead_s}")
        self._player, self._lead_s, self._clock, self._sleep = player, lead_s, clock, sleep
        self._v = player.vocabulary
        self._origin = player.grammar.begin  # its step at time 0
        self._begin_s: float | None = None  # what the clock showed then
        self._ready: deque[TimedEvent] = deque()
        self._played: deque[tuple[int, int]] = deque()  # pitch and velocity, by a person
        self._held: set[int] = set()  # pitches that a person holds
        self._stopping = self._stopped = False
        self._shift: int | None = None  # the rest of a time-shift within which a note ended
        self._remembered: deque[int] = deque(maxlen=_REMEMBERED)
        self._troubles: deque[int] = deque(maxlen=_PATIENCE)  # steps of the latest recoveries
        self._looping = False
        self.recoveries = {"loops": 0, "rests": 0, "restarts": 0, "jumps": 0}

    @property
    def settings(self) -> Settings:
        """How it plays now."""
        return self._player.settings

    def steer(self, **changes: Any) -> None:
        """Change some of the settings, as in ``steer(temperature=1.2)``, from the next event on."""
        self._player.settings = dataclasses.replace(self.settings, **changes)

    def play(self, pitch: int, velocity: int) -> None:
        """Let the model hear that a person strikes a key now; 1..127, velocity 0 is `release`.

        It hears it at the step that it has come to, which is `lead_s` later, and goes on from
        there. Such notes do not come out again. A pitch outside the vocabulary is not heard. A
        model of notes must know a length to go on, so it hears the one that it expects.
        """
        if not (0 <= pitch <= 127 and 0 <= velocity <= 127):
            raise GenerationError(
                f"pitch and velocity must be within 0..127, not {pitch} and {velocity}"
            )
        if self._v.lowest_pitch <= pitch <= self._v.highest_pitch:
            self._played.append((pitch, velocity))

    def release(self, pitch: int) -> None:
        """Let the model hear that a person lets a key go."""
        self.play(pitch, 0)

    def stop(self) -> None:
        """End every sounding note; after these note-offs no more events come."""
        self._stopping = True

    def panic(self) -> list[TimedEvent]:
        """End the stream at once, and return what ends every sounding note and lifts the pedal."""
        self._stopping = self._stopped = True
        unheard: set[int] = set()  # pitches struck in what is dropped
        ends = []
        for event in [*self._ready, *self._closing()]:
            if event.kind == "note_on":
                unheard.add(event.pitch)
            elif event.kind == "note_off" and event.pitch in unheard:
                unheard.remove(event.pitch)
            elif event.velocity == 0:
                ends.append(event)
        self._ready.clear()
        return ends

    def _closing(self) -> list[TimedEvent]:
        """Return what ends every note and lifts the pedal."""
        return [event for id_ in self._player.grammar.closing() for event in self._outcome(id_)]

    def __next__(self) -> TimedEvent:
        while not self._ready:
            if self._stopped:
                raise StopIteration
            self._advance()
        return self._ready.popleft()

    def _advance(self) -> None:
        """Let one event happen, or what a person played, or the end."""
        id_, self._shift = self._shift, None
        if id_ is None:
            while self._played:
                self._hear(*self._played.popleft())
            if self._stopping:
                self._silence()
                self._stopped = True
                return
            self._recover()
            if self._ready:  # not to be kept back while time passes
                return
            # A person's keys are theirs to release, and a stream has no end of its own.
            without = [self._id(self._HELD, pitch) for pitch in self._held]
            id_ = self._player.decide(without=without, ending=False)
        if id_ is not None and self._v.kinds[id_] == TIME_SHIFT:
            id_ = self._wait(id_)
        if id_ is not None:
            self._happen([id_])

    def _wait(self, shift: int) -> int | None:
        """Wait until time has come to the end of a shift, less the lead.

        Returns the shift, or a shorter one if a person plays meanwhile, or None if time has not
        come further at all, or has run away, or a note has ended on the way.
        """
        now, rate = self._player.grammar.now - self._origin, self._v.steps_per_second
        if self._begin_s is None:
            self._begin_s = self._clock()
        steps = int(self._v.values[shift])
        due = self._due(now + steps)
        until = now + steps if due is None else due
        while True:
            reached_s = self._clock() - self._begin_s + self._lead_s
            ahead_s = until / rate - reached_s
            if ahead_s < -self._lead_s - _LATE_S:
                self._jump(math.floor(reached_s * rate))
                return None
            if ahead_s < _TINY_S and due is not None:
                self._release_due(due)
                self._shift = shift
                return None
            if ahead_s < _TINY_S:
                return shift
            if self._stopping or self._interrupted():
                passed = min(steps, math.floor(reached_s * rate) - now)
                return shift - steps + passed if passed > 0 else None
            self._sleep(min(ahead_s, _NAP_S))

    def _interrupted(self) -> bool:
        """Tell whether a person has done what cannot wait until a time-shift is over."""
        return bool(self._played)

    def _due(self, until: int) -> int | None:
        """Return when the next note ends by itself, if by a step; none does in a code of events."""
        return None

    def _release_due(self, step: int) -> None:
        """Hand out the note-offs of what ends by itself in a step."""

    def _silence(self) -> None:
        """End every note."""
        self._happen(self._player.grammar.closing())

    def _jump(self, step: int) -> None:
        """End what sounds, and let the step that it has come to be another one."""
        self.recoveries["jumps"] += 1
        self._silence()
        self._origin = self._player.grammar.now - step

    def _happen(self, ids: list[int]) -> None:
        """Let events happen, and hand out those that are to be heard."""
        for id_ in ids:
            self._ready.extend(self._outcome(id_))
            if self._v.kinds[id_] == NOTE_OFF:
                self._held.discard(int(self._v.values[id_]))
            self._player.feed(id_)
            self._remembered.append(id_)

    def _outcome(self, id_: int) -> list[TimedEvent]:
        """Return what is heard of an event that happens now."""
        grammar, kind, value = self._player.grammar, self._v.kinds[id_], int(self._v.values[id_])
        time_s = (grammar.now - self._origin) / self._v.steps_per_second
        if kind == NOTE_ON:
            loudness = grammar.velocity
            return [TimedEvent(time_s, "note_on", value, int(self._v.values[loudness]))]
        if kind == NOTE_OFF and value not in self._held:
            return [TimedEvent(time_s, "note_off", value, 0)]
        if kind == SUSTAIN:
            return [TimedEvent(time_s, "pedal", 0, 127 * value)]
        return []

    def _hear(self, pitch: int, velocity: int) -> None:
        """Let the model read what a person did; their notes are not handed out."""
        if velocity == 0:
            if pitch in self._held:
                self._happen([self._id(NOTE_OFF, pitch)])
            return
        if pitch in self._player.grammar.sounding:
            self._happen([self._id(NOTE_OFF, pitch)])
        loudness = self._v.first[VELOCITY] + int(self._v.velocity_bins[velocity])
        if loudness != self._player.grammar.velocity:
            self._happen([loudness])
        self._held.add(pitch)
        note = self._id(NOTE_ON, pitch)
        self._player.feed(note)
        self._remembered.append(note)

    def _recover(self) -> None:
        """Count loops and long rests, and restart if there have been too many."""
        grammar, now = self._player.grammar, self._player.grammar.now
        looping = self.settings.avoid_loops and bool(self._player.loop_detector.forbidden)
        if looping and not self._looping:
            self.recoveries["loops"] += 1
            self._troubles.append(now)
        self._looping = looping
        resting = grammar.resting_too_long and not self._held
        if resting and now not in self._troubles:
            self.recoveries["rests"] += 1
            self._troubles.append(now)
        patience = _PATIENCE_S * self._v.steps_per_second
        often = len(self._troubles) == _PATIENCE and now - self._troubles[0] < patience
        if often and grammar.between:
            self._troubles.clear()
            self.recoveries["restarts"] += 1
            self._silence()
            self._player.restart(np.array(self._phrase(), np.int32))

    def _phrase(self) -> list[int]:
        """Return the oldest ids that are remembered, from which a restarted model goes on."""
        return list(self._remembered)[:_PHRASE]

    def _id(self, kind: int, pitch: int) -> int:
        return self._v.first[kind] + pitch - self._v.lowest_pitch


class NoteStream(Stream):
    """A stream of a model of notes: their ends, known when they begin, are handed out in time."""

    _HELD = NOTE_ON

    def __init__(self, player: Player, **options: Any) -> None:
        super().__init__(player, **options)
        self._sounding: set[int] = set()  # pitches whose note-on has been handed out
        self._latest = 0  # step of what was handed out last

    @property
    def _grammar(self) -> NoteGrammar:
        return cast("NoteGrammar", self._player.grammar)

    def _due(self, until: int) -> int | None:
        ends = [end for end, pitch in self._grammar.releases if pitch in self._sounding]
        first = min(ends, default=math.inf) - self._origin
        return int(first) if first <= until else None

    def _release_due(self, step: int) -> None:
        ends = dict((pitch, end) for end, pitch in self._grammar.releases)
        over = [p for p in self._sounding if ends[p] <= step + self._origin]
        self._latest = max(self._latest, step)
        self._ready.extend(self._offs(over))

    def _offs(self, pitches: Iterable[int]) -> list[TimedEvent]:
        """Return note-offs, no earlier than anything that was handed out."""
        step = max(self._latest, self._grammar.now - self._origin)
        ended = sorted(pitches)
        self._sounding -= set(ended)
        return [
            TimedEvent(step / self._v.steps_per_second, "note_off", pitch, 0) for pitch in ended
        ]

    def _silence(self) -> None:
        self._ready.extend(self._offs(self._sounding))
        self._grammar.silence()
        super()._silence()

    def _closing(self) -> list[TimedEvent]:
        return [*super()._closing(), *self._offs(self._sounding)]

    def _interrupted(self) -> bool:
        while self._played and self._played[0][1] == 0:  # nothing of it is read, so time goes on
            self._hear(*self._played.popleft())
        return super()._interrupted()

    def _outcome(self, id_: int) -> list[TimedEvent]:
        kind, value = self._v.kinds[id_], int(self._v.values[id_])
        step = max(self._latest, self._grammar.now - self._origin)
        time_s = step / self._v.steps_per_second
        if kind == VELOCITY:
            pitch = self._grammar.sounding[-1]
            self._sounding.add(pitch)
            return [TimedEvent(time_s, "note_on", pitch, value)]
        if kind == SUSTAIN:
            return [TimedEvent(time_s, "pedal", 0, 127 * value)]
        return []

    def _hear(self, pitch: int, velocity: int) -> None:
        if velocity == 0:  # how long the note was expected to last stays as it is
            self._held.discard(pitch)
            return
        while self._grammar.deciding:
            self._decide_on(self._happen)
        self._ready.extend(self._offs({pitch} & self._sounding))
        time = [self._v.first[TIME_SHIFT]] if self._grammar.between else []
        loudness = self._v.first[VELOCITY] + int(self._v.velocity_bins[velocity])
        self._read([*time, self._id(NOTE_ON, pitch), loudness])
        while self._grammar.deciding:
            self._decide_on(self._read)
        self._held.add(pitch)

    def _decide_on(self, happen: Callable[[list[int]], None]) -> None:
        """Let what the model expects next of a note happen."""
        id_ = self._player.decide()
        happen([] if id_ is None else [id_])

    def _read(self, ids: list[int]) -> None:
        """Let ids happen that are not to be heard."""
        for id_ in ids:
            self._player.feed(id_)
            self._remembered.append(id_)

    def _phrase(self) -> list[int]:
        ids = list(self._remembered)
        begins = [place for place, id_ in enumerate(ids) if self._v.kinds[id_] == TIME_SHIFT]
        return (
            ids[begins[0] : [place for place in begins if place <= _PHRASE][-1]] if begins else []
        )
