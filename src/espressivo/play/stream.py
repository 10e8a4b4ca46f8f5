"""Streaming: music that is decided while it plays, without end."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from espressivo.codes import Event, Message
from espressivo.numeric import within
from espressivo.play.form import Habit
from espressivo.play.player import Leaning, Player
from espressivo.play.settings import Options, Settings

__all__ = ["LONGEST_REST_S", "Stream", "TimedEvent"]

LONGEST_REST_S = 3.0
"""A stream is never silent for longer, unless told otherwise."""

_NAP_S = 0.02  # how long it sleeps at once, and so how late it notices a command
_TINY_S = 1e-6  # less than this may be too little for a clock to show
_REMEMBERED = 1024  # ids, about half a minute
_PHRASE = 256  # the oldest of these, from which a restarted model goes on
_LATE_S = 1.0  # an event due for longer is not caught up with
_PATIENCE, _PATIENCE_S = 4, 30.0  # so many recoveries within so many seconds, and it is restarted
_BEGIN_S = 0.5  # so soon after a restart or a jump a note begins


@dataclass(frozen=True)
class TimedEvent:
    """Something to be sent to an instrument.

    Parameters
    ----------
    time_s : float
        Seconds since the stream began, a multiple of the vocabulary's grid step.
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


class Stream(Iterator[TimedEvent]):
    """Plays for ever; `Model.stream` makes it.

    Events come out in order of time, at most `lead_s` before their time on the clock, which
    starts with the first one asked for; asking for one waits until then. Times are counted in
    whole grid steps, so they never drift. Its memory does not grow.

    It recovers by itself, and counts it in `recoveries`: a loop (see `LoopDetector`) is broken by
    another pitch ("loops"), a rest that lasts too long by a note ("rests"), and when that has been
    needed 4 times within 30 s, the notes end and the model starts afresh from what it played half a
    minute before ("restarts"). If an event is due for more than a second (the machine slept,
    nobody asked, or the model cannot keep up), the notes end and the music goes on where the
    clock is, as after a pause ("jumps").

    All methods may be called from any thread at any moment: what they want is put into a queue,
    which whoever asks for events reads between two events. Every note that has come out ends, once,
    also if the model fails: its error is raised after the last note-off.

    Parameters
    ----------
    player : Player
        Its time so far becomes the time 0 of the stream.
    habit : Habit, optional
        What brings something back now and then.
    lead_s : float
        At least 0. The longer, the safer from gaps; the shorter, the sooner it can be steered.
    clock : function
        Returns seconds, never less than before.
    sleep : function
        Waits for a number of seconds.
    """

    def __init__(
        self,
        player: Player,
        habit: Habit | None = None,
        *,
        lead_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._lead_s: float = within("lead_s", lead_s, least=0)
        self._player, self._clock, self._sleep = player, clock, sleep
        self._habit = habit
        self._decoder, self._rate = player.decoder, player.vocabulary.steps_per_second
        self._steering = threading.Lock()
        self._settings = player.settings  # as last requested
        self._commands: deque[Callable[[], None]] = deque()
        # What follows belongs to the thread that asks for events.
        self._consuming = threading.Lock()
        self._origin = self._decoder.begin  # its step at time 0
        self._begin_s: float | None = None  # what the clock showed then
        self._event: Event | None = None  # decided, and not yet due
        self._latest = 0  # step of what came out last
        self._ready: deque[TimedEvent] = deque()
        self._sounding: set[int] = set()  # pitches of the notes that have come out
        self._pedal_down = False
        self._stopped = False
        self._failure: Exception | None = None
        self._remembered: deque[Event] = deque()
        self._remembered_ids = 0
        self._troubles: deque[int] = deque(maxlen=_PATIENCE)  # steps of the latest recoveries
        self._looping = False
        self.recoveries = {"loops": 0, "rests": 0, "restarts": 0, "jumps": 0}

    @property
    def settings(self) -> Settings:
        """How it plays, as last requested."""
        return self._settings

    def steer(self, **changes: Unpack[Options]) -> None:
        """Change some of the settings, as in ``steer(temperature=1.2)``, from the next event on.

        Raises
        ------
        GenerationError
            If they are out of range, or the model does not support them; then nothing changes.
        """
        with self._steering:
            settings = self._settings.changed(**changes)
            self._player.check(settings)
            self._settings = settings
            self._ask(lambda: self._adopt(settings))

    def lean(self, lean: Leaning | None) -> None:
        """Let something make some ids likelier from the next event on, or nothing any more."""
        self._ask(lambda: self._lean(lean))

    def hear(self, pitch: int, velocity: int) -> None:
        """Let the model hear that a person strikes a key now; 1..127, velocity 0 is `release`.

        It hears it at the grid step that it has come to, which is `lead_s` later, and goes on from
        there. Such notes do not come out again. A pitch outside the vocabulary is not heard. A
        model of notes must know a duration to go on, so it hears the one that it expects.
        """
        pitch = within("pitch", pitch, least=0, most=127, whole=True)
        velocity = within("velocity", velocity, least=0, most=127, whole=True)
        v = self._player.vocabulary
        if v.lowest_pitch <= pitch <= v.highest_pitch:
            if velocity:
                self._ask(lambda: self._strike(pitch, velocity))
            else:
                self._ask(lambda: self._lift(pitch))

    def release(self, pitch: int) -> None:
        """Let the model hear that a person lets a key go."""
        self.hear(pitch, 0)

    def stop(self) -> None:
        """End every sounding note; after these note-offs no more events come."""
        self._ask(self._end)

    def panic(self) -> None:
        """Do as `stop` does, and drop what has been decided and has not come out."""
        self._ask(self._drop_and_end)

    def __next__(self) -> TimedEvent:
        with self._consuming:
            while True:
                self._obey()
                if self._ready:
                    return self._ready.popleft()
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                if self._stopped:
                    raise StopIteration
                try:
                    self._advance()
                except Exception as error:  # it is raised when the notes have ended
                    self._failure = error
                    self._end()

    def _ask(self, command: Callable[[], None]) -> None:
        """Put a command into the queue, unless nobody will read it."""
        if not self._stopped:
            self._commands.append(command)

    def _obey(self) -> None:
        """Do what has been asked for from anywhere."""
        while self._commands and not self._stopped:
            try:
                self._commands.popleft()()
            except Exception as error:
                self._failure = error
                self._end()

    def _advance(self) -> None:
        """Decide an event, and let time pass until it, a note-off or a command comes."""
        if self._begin_s is None:
            self._begin_s = self._clock()
        if self._event is None:
            self._notice_loops()
            if self._habit is not None:
                self._habit.look(self._player)
            self._event = self._player.decide(ending=False)
            if self._event is None:  # nothing can follow
                self._end()
            else:
                self._notice_rests(self._event)
            if self._event is None or self._ready:  # not to be kept back while time passes
                return
        while not self._commands:
            reached = self._reached()
            at = self._decoder.now - self._origin + self._decoder.gap(self._event)
            due = self._decoder.due
            first = at if due is None else min(at, due - self._origin)
            if reached - first > (self._lead_s + _LATE_S) * self._rate:
                self._jump(reached)
            elif first > reached:
                ahead_s = first / self._rate - (self._clock() - self._begin_s + self._lead_s)
                self._sleep(min(max(ahead_s, _TINY_S), _NAP_S))
                continue
            elif due is not None and due - self._origin == first:
                self._give(self._decoder.release(due))
            else:
                event, self._event = self._event, None
                self._give(self._happen(event))
            return

    def _reached(self) -> int:
        """Return the step, counted from time 0, that the clock and the lead have come to."""
        begin_s = self._clock() if self._begin_s is None else self._begin_s
        return math.floor((self._clock() - begin_s + self._lead_s + _TINY_S) * self._rate)

    def _passed(self) -> int:
        """Return the steps that have passed since the latest event, no more than to the next."""
        now = self._decoder.now - self._origin
        gap = 0 if self._event is None else self._decoder.gap(self._event)
        return max(0, min(self._reached() - now, gap))

    def _give(self, messages: Iterable[Message]) -> None:
        """Hand messages out: each note-on, its note-off once, and the pedal as it moves."""
        for message in messages:
            step = self._latest = max(self._latest, message.step - self._origin)
            again = message.pitch in self._sounding
            if message.kind == "note_on" and again:
                self._ready.append(TimedEvent(step / self._rate, "note_off", message.pitch, 0))
            if message.kind == "note_off" and not again:
                continue
            if message.kind == "note_on":
                self._sounding.add(message.pitch)
            elif message.kind == "note_off":
                self._sounding.remove(message.pitch)
            else:
                self._pedal_down = message.velocity > 0
            event = TimedEvent(step / self._rate, message.kind, message.pitch, message.velocity)
            self._ready.append(event)

    def _happen(self, event: Event) -> list[Message]:
        """Let an event happen, and remember it."""
        messages = self._player.play(event)
        self._remembered.append(event)
        self._remembered_ids += len(event)
        while self._remembered_ids > _REMEMBERED:
            self._remembered_ids -= len(self._remembered.popleft())
        return messages

    def _silence(self) -> None:
        """End every note and lift the pedal, here and in what the model hears."""
        self._forget()
        for event in self._decoder.silence():
            self._give(self._happen(event))
        self._close()

    def _close(self) -> None:
        """Hand out what ends all that has come out."""
        step = self._origin + self._latest
        self._give([Message(step, "note_off", pitch, 0) for pitch in sorted(self._sounding)])
        if self._pedal_down:
            self._give([Message(step, "pedal", 0, 0)])

    def _forget(self) -> None:
        """Drop what has been decided and is not yet due."""
        self._player.drop()
        self._event = None

    # What is asked for.

    def _adopt(self, settings: Settings) -> None:
        self._player.settings = settings  # an event that has been decided still comes

    def _lean(self, lean: Leaning | None) -> None:
        self._player.lean = lean

    def _strike(self, pitch: int, velocity: int) -> None:
        """Let the model read that a person strikes a key; it is not handed out."""
        passed = self._passed()
        self._forget()
        for event in self._decoder.struck(pitch, velocity, passed):
            whole = self._player.decide(given=event)
            self._give(
                message
                for message in self._happen(event if whole is None else whole)
                if (message.kind, message.pitch) != ("note_on", pitch)
            )
        self._decoder.hold(pitch)

    def _lift(self, pitch: int) -> None:
        """Let the model read that a person lets a key go; its note-off is not handed out."""
        if pitch not in self._decoder.held:
            return
        self._decoder.let_go(pitch)
        events = self._decoder.lifted(pitch, self._passed())
        if events:
            self._forget()
        for event in events:
            self._give(self._happen(event))

    def _end(self) -> None:
        """End all that sounds, and then the stream."""
        self._latest = max(self._latest, self._decoder.now - self._origin + self._passed())
        self._event = None
        self._close()
        self._stopped = True

    def _drop_and_end(self) -> None:
        """Drop what has not come out, and end all that has."""
        dropped = list(self._ready)
        self._ready.clear()
        for event in reversed(dropped):  # as it was before them
            if event.kind == "note_on":
                self._sounding.discard(event.pitch)
            elif event.kind == "note_off":
                self._sounding.add(event.pitch)
            else:
                self._pedal_down = event.velocity == 0
        self._end()

    # What it does by itself.

    def _jump(self, step: int) -> None:
        """End what sounds, and let the step that it has come to be another one."""
        self.recoveries["jumps"] += 1
        self._silence()
        self._origin = self._decoder.now - step
        self._begin_soon()

    def _notice_loops(self) -> None:
        """Count a loop that begins to be avoided."""
        forbidden = self._player.mask.loop_detector.forbidden
        looping = self._player.settings.avoid_loops and bool(forbidden)
        if looping and not self._looping:
            self.recoveries["loops"] += 1
            self._trouble()
        self._looping = looping

    def _notice_rests(self, event: Event) -> None:
        """Count a note that comes since a rest has lasted too long."""
        decoder = self._decoder
        rests = decoder.rests_too_long(decoder.gap(event)) and not decoder.held
        if rests and self._player.mask.begins_note(event):
            self.recoveries["rests"] += 1
            self._trouble()

    def _trouble(self) -> None:
        """Start afresh if there has been trouble too often lately."""
        now = self._decoder.now
        self._troubles.append(now)
        patience = _PATIENCE_S * self._rate
        if len(self._troubles) == _PATIENCE and now - self._troubles[0] < patience:
            self._troubles.clear()
            self.recoveries["restarts"] += 1
            self._silence()
            self._player.restart(np.array(self._phrase(), np.int32))
            self._begin_soon()

    def _begin_soon(self) -> None:
        self._player.start_by(self._decoder.now + round(_BEGIN_S * self._rate))

    def _phrase(self) -> list[int]:
        """Return the oldest ids that are remembered, from which a restarted model goes on."""
        phrase: list[int] = []
        for event in self._remembered:
            if len(phrase) + len(event) > _PHRASE:
                break
            phrase += event
        return phrase
