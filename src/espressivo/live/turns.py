"""Live: call and response with a person who plays a MIDI keyboard.

It is the person's turn as long as a key or the sustain pedal is down, and for a pause after that.
Then the model takes its turn, and goes on from what the person played last. As soon as the person
strikes a key, the model yields: its notes end, and what it had decided but not yet sent is dropped.

The person and the model have pedals of their own. The person's sustain pedal counts as in the
performances that the model learned from; it does not make the model yield, only a key does. The
model's pedal, in the vocabularies that have it, is lifted whenever its notes end.

With a MIDI clock, one that it follows or one that it sends, a turn begins on a beat. If the clock
that it follows becomes faster or slower, so does the music, from what is decided next; when that
clock stops, the turn ends, and there is none until it runs again.

This module knows nothing of drivers: messages come in through `Live.hear` and go out through an
`Output`. `espressivo.live.ports` has those of the system.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Unpack

import numpy as np

from espressivo.engine import MAX_SEED
from espressivo.errors import GenerationError
from espressivo.live.clock import START, STOP, TICK, TICKS, Pulse
from espressivo.live.listener import (
    CONTROL,
    NOTE_OFF,
    NOTE_ON,
    Listener,
)
from espressivo.live.touch import Touch
from espressivo.music import SUSTAIN, Performance
from espressivo.numeric import within
from espressivo.play import Model, Options, Stream, TimedEvent

__all__ = ["LEAD_S", "PAUSE_S", "Live", "Output", "SentMessage"]

PAUSE_S = 1.5
"""The model takes its turn when a person has been silent for so long, unless told otherwise."""

LEAD_S = 1.0
"""How far ahead the model decides. What is not sent yet can still be dropped."""

_NAP_S = 0.005  # the longest sleep, and so how late a new event or a stop may be noticed
_SPIN_S = 0.0015  # before an event is due: no sleep is precise enough
_CHECK_S = 1.0  # between two looks at whether the ports are still there
_CALM_S = 0.02  # with nothing due, for drivers let no other thread go while they look
_ENDLESS_S = 1e9  # a lead that no turn uses up
_PRECISE_S = 0.002  # what is later is counted


class Output(Protocol):
    """An instrument that plays."""

    def send(self, message: Sequence[int]) -> None:
        """Send a MIDI message at once; `PortError` if it cannot be sent."""


@dataclass(frozen=True)
class SentMessage:
    """A message that was sent.

    Parameters
    ----------
    due_s, sent_s : float
        When it should have been sent, and when it had been, in seconds on the clock. What ends
        the notes when a person strikes a key is due at the moment of the stroke.
    why : {"music", "yield", "clock", "stop"}
    message : tuple of int
        Status and two data bytes.
    """

    due_s: float
    sent_s: float
    why: str
    message: tuple[int, int, int]


class Live:
    """A model that answers a person.

    Each turn the model reads the person's latest notes, and none of its own, so however long it
    plays it comes back to the person's style. Its first note comes when the pause is over.

    If the model cannot keep pace (the machine is busy, or slept), its music goes on later rather
    than in a rush; that is counted in `summary`.

    Parameters
    ----------
    model : Model
    output : Output
    pause_s : float
        The person must be silent for so long, above 0; see `Listener.silent_from_s`.
    follow_clock : bool
        Whether to follow the MIDI clock among the messages that are heard.
    send_clock : float, optional
        Quarters a minute of a MIDI clock to send, 10..400; not with `follow_clock`.
    velocity_curve, learn_touch_s : float
        Curve of the velocities that are heard, and for how long it is learned; see
        `espressivo.live.touch.Touch`.
    channel : int, optional
        The only MIDI channel heard, 0..15, and the one played on. By default all are heard, and
        0 is played on.
    seed : int, optional
        The same seed, model and playing give the same answers.
    log : function, optional
        Called with each `SentMessage`, in order, on a thread that may be slow.
    clock, sleep : function
        The clock returns seconds, never less than before, to a tenth of a millisecond or better.
    **settings
        As in `Model.stream`.

    Raises
    ------
    GenerationError
        If a value is out of range.

    Examples
    --------
    ::

        with open_input("Piano") as keys, open_output("Piano") as piano:  # of espressivo.live.ports
            live = Live(load("seed"), piano, pause_s=1.0)
            keys.listen(live.hear)
            live.run()                    # until live.stop(), by a signal or another thread
    """

    def __init__(
        self,
        model: Model,
        output: Output,
        *,
        pause_s: float = PAUSE_S,
        follow_clock: bool = False,
        send_clock: float | None = None,
        velocity_curve: float = 1.0,
        learn_touch_s: float = 0.0,
        channel: int | None = None,
        seed: int | None = None,
        log: Callable[[SentMessage], object] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], object] = time.sleep,
        **settings: Unpack[Options],
    ) -> None:
        self._model, self._output, self._log = model, output, log
        self._pause_s = within("pause_s", pause_s, above=0)
        self._follows = follow_clock
        self._tempo = within("send_clock", send_clock, least=10, most=400, optional=True)
        if follow_clock and send_clock is not None:
            raise GenerationError("one clock is enough: follow one, or send one")
        self._pulse = Pulse() if follow_clock or send_clock is not None else None
        self._touch = Touch(velocity_curve, learn_touch_s)
        self._tick_s = math.inf  # when the next tick is due, of a clock that is sent
        self._channel = within("channel", channel, least=0, most=15, whole=True, optional=True)
        self._seed = within("seed", seed, least=0, most=MAX_SEED, whole=True, optional=True)
        self._clock, self._sleep, self._settings = clock, sleep, settings
        self._lock = threading.Lock()  # guards all that follows
        self._heard = Listener()
        self._turn: _Turn | None = None
        self._queue: deque[tuple[float, tuple[int, int, int]]] = deque()  # decided, and when due
        self._sounding: set[int] = set()
        self._pedal_down = False
        self._sent: deque[SentMessage] = deque()  # not yet logged
        self._stopping = False
        self._failure: Exception | None = None
        self._late_s, self._yield_s = array("d"), array("d")
        self._counts = {"turns": 0, "notes": 0, "yields": 0, "delays": 0}
        self._delayed_s = 0.0
        self._stream(None)  # refuses wrong settings now, and not in the middle of the music

    def hear(self, message: Sequence[int]) -> None:
        """Take a MIDI message that came in now; on any thread. Others than of keys are ignored."""
        now_s = self._clock()
        if self._follows and self._pulse is not None and len(message) == 1:
            self._hear_clock(self._pulse, message[0], now_s)
            return
        if self._channel is not None and message and message[0] & 0x0F != self._channel:
            return
        with self._lock:
            if len(message) == 3 and message[0] & 0xF0 == NOTE_ON and message[2]:
                message = (*message[:2], self._touch.felt(message[2], now_s))
            turn, before = self._turn, self._heard.movements
            begun = turn is not None and turn.begin_s <= now_s
            if begun:
                self._heard.rest()
            struck = self._heard.feed(message, now_s)
            if turn is None or not (struck or (not begun and before != self._heard.movements)):
                return
            self._counts["yields"] += turn.heard
            try:
                self._quiet("yield", now_s)
            except Exception as error:  # `run` raises it; the driver that calls could not
                self._fail(error)

    def _hear_clock(self, pulse: Pulse, status: int, now_s: float) -> None:
        with self._lock:
            pulse.feed(status, now_s)
            if status != STOP or self._turn is None:
                return
            try:
                self._quiet("clock", now_s)
            except Exception as error:  # as when a key is struck
                self._fail(error)

    def run(self, check: Callable[[], object] | None = None) -> None:
        """Listen and answer until `stop`; then, and whatever happens, end every note.

        Parameters
        ----------
        check : function, optional
            Called every second; what it raises ends it all, as when a port has gone.

        Raises
        ------
        EspressivoError
            That of `check`, of the output or of the model.
        """
        worker = threading.Thread(target=self._work, args=(check,), daemon=True)
        worker.start()
        try:
            self.play()
        finally:
            self._stopping = True
            worker.join()
            self._write_log()

    def stop(self) -> None:
        """End every note, and `run`. May be called by a signal, on any thread and repeatedly."""
        self._stopping = True

    def play(self) -> None:
        """Send what `decide` has decided, when it is due, until `stop`; a half of `run`."""
        try:
            with _urgent(2):
                if self._tempo is not None:
                    self._output.send([START])
                    self._tick_s = self._clock()
                while not self._stopping:
                    self._send_next()
        finally:
            with self._lock:
                self._quiet("stop", self._clock())
            if self._tempo is not None:
                self._output.send([STOP])
        if self._failure is not None:
            raise self._failure

    def decide(self) -> bool:
        """Decide an event, if it is time to; the other half of `run`, which never waits.

        Returns
        -------
        bool
            Whether there may be more to decide.
        """
        turn = self._turn or self._next_turn()
        if turn is None or turn.reached_s > self._clock() + LEAD_S:
            return False
        event = turn.next()  # takes a while, so a person may play meanwhile
        with self._lock:
            if turn is self._turn:
                slower = 1.0 if self._pulse is None else self._pulse.slower
                late_s = turn.place(event, self._clock(), slower)
                self._counts["delays"] += late_s > 0
                self._delayed_s += late_s
                self._queue.append((turn.reached_s, self._message(event)))
        return True

    def summary(self) -> dict[str, Any]:
        """Return figures of all that was sent.

        Returns
        -------
        dict
            ``turns`` and ``notes`` of the model, ``yields`` to the person; ``late_ms``, how late
            its music was sent, and ``over_2_ms``, how many of its messages were later than that;
            ``yield_ms``, how long after a key the notes ended; ``delays`` and ``delayed_s``, how
            often and for how long all the music had to wait for the model; ``velocity_curve``.
        """
        return {
            **self._counts,
            "delayed_s": round(self._delayed_s, 3),
            "velocity_curve": round(self._touch.curve, 3),
            "late_ms": _spread(self._late_s),
            "over_2_ms": sum(late_s > _PRECISE_S for late_s in self._late_s),
            "yield_ms": _spread(self._yield_s),
        }

    def _next_turn(self) -> _Turn | None:
        """Let the model read what the person played, before the pause is over."""
        with self._lock:
            movements, silent_s = self._heard.movements, self._heard.silent_from_s
            if self._clock() < silent_s + self._pause_s / 2:
                return None
            if self._pulse is not None and not self._pulse.running:
                return None
            performance = self._heard.performance()
        stream = self._stream(performance)  # takes a while, so a person may play meanwhile
        with self._lock:
            if movements == self._heard.movements:
                begin_s = max(silent_s + self._pause_s, self._clock())
                if self._pulse is not None:
                    begin_s = self._pulse.beat_s(begin_s)
                self._turn = _Turn(stream, begin_s)
            return self._turn

    def _stream(self, primer: Performance | None) -> Stream:
        """Return a stream that never waits, since time is kept here: its own stands still."""
        seed = None if self._seed is None else self._seed + self._counts["turns"]
        return self._model.stream(
            seed=seed, primer=primer, lead_s=_ENDLESS_S, clock=lambda: 0.0, **self._settings
        )

    def _work(self, check: Callable[[], object] | None) -> None:
        """Decide, write the log and check, on a thread of its own."""
        check_s = -math.inf
        try:
            with _urgent(1):
                while not self._stopping:
                    now_s = self._clock()
                    if check is not None and check_s <= now_s < self._next_due_s() - _CALM_S:
                        check()
                        check_s = now_s + _CHECK_S
                    self._write_log()
                    if not self.decide():
                        self._sleep(_NAP_S)
        except Exception as error:  # `run` raises it, once the notes have ended
            self._fail(error)

    def _write_log(self) -> None:
        while self._sent:
            sent = self._sent.popleft()
            if self._log is not None:
                self._log(sent)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stopping = True

    def _send_next(self) -> None:
        """Sleep for a while, or wait for the next message's time and send it."""
        due_s = min(self._next_due_s(), self._tick_s)
        left_s = due_s - self._clock()
        if left_s > _SPIN_S:
            self._sleep(min(left_s - _SPIN_S, _NAP_S))
            return
        while self._clock() < due_s:
            pass
        if self._tick_s <= due_s and self._tempo is not None and self._pulse is not None:
            with self._lock:  # another thread may send, too
                self._output.send([TICK])
                self._pulse.feed(TICK, self._tick_s)
            # after a sleep of the machine the clock goes on later rather than in a rush
            self._tick_s = max(self._tick_s + 60 / self._tempo / TICKS, self._clock())
            return
        with self._lock:  # a person may have played meanwhile
            if self._queue and self._queue[0][0] <= self._clock():
                self._send("music", *self._queue.popleft())

    def _next_due_s(self) -> float:
        with self._lock:
            return self._queue[0][0] if self._queue else math.inf

    def _quiet(self, why: str, due_s: float) -> None:
        """End the model's turn: drop what is not sent, and end what sounds."""
        self._turn = None
        self._queue.clear()
        channel, failure = self._channel or 0, None
        endings = [(NOTE_OFF | channel, pitch, 0) for pitch in sorted(self._sounding)]
        if self._pedal_down:
            endings.append((CONTROL | channel, SUSTAIN, 0))
        for message in endings:
            try:
                self._send(why, due_s, message)
            except Exception as error:  # the others may still get through
                failure = error
        if failure is not None:
            raise failure

    def _send(self, why: str, due_s: float, message: tuple[int, int, int]) -> None:
        status, number, value = message
        kind = status & 0xF0
        if kind == NOTE_ON:  # noted before: it may sound even if sending fails
            self._sounding.add(number)
        elif kind == CONTROL and value:
            self._pedal_down = True
        self._output.send(message)
        sent_s = self._clock()
        if kind == NOTE_OFF:
            self._sounding.discard(number)
        elif kind == CONTROL and not value:
            self._pedal_down = False
        self._sent.append(SentMessage(due_s, sent_s, why, message))
        if why == "yield":
            self._yield_s.append(sent_s - due_s)
        elif why == "music":
            self._late_s.append(sent_s - due_s)
            self._counts["notes"] += kind == NOTE_ON
            if self._turn is not None and not self._turn.heard:
                self._turn.heard = True
                self._counts["turns"] += 1

    def _message(self, event: TimedEvent) -> tuple[int, int, int]:
        channel = self._channel or 0
        if event.kind == "pedal":
            return CONTROL | channel, SUSTAIN, event.velocity
        return (NOTE_ON if event.velocity else NOTE_OFF) | channel, event.pitch, event.velocity


class _Turn:
    """What the model plays until the person does.

    Parameters
    ----------
    stream : Stream
    begin_s : float
        When its first note is due. A rest before it is left out.
    """

    def __init__(self, stream: Stream, begin_s: float) -> None:
        self.begin_s = self.reached_s = begin_s
        """`reached_s` is when the latest event is due."""
        self.heard = False
        """Whether anything of it has been sent."""
        self._stream = stream
        self._event_s: float | None = None  # time of its latest event, once a note has begun

    def next(self) -> TimedEvent:
        """Return the next event."""
        return next(self._stream)

    def place(self, event: TimedEvent, now_s: float, slower: float = 1.0) -> float:
        """Say in `reached_s` when an event is due; return for how long that must be put off."""
        if self._event_s is not None:
            self.reached_s += (event.time_s - self._event_s) * slower
        late_s = max(0.0, now_s - self.reached_s)
        self.reached_s += late_s
        if self._event_s is not None or event.kind == "note_on":
            self._event_s = event.time_s
        return late_s


@contextlib.contextmanager
def _urgent(priority: int) -> Iterator[None]:
    """Let this thread go before others where the system can and may (Linux with `rtprio`)."""
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    except (AttributeError, OSError):
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def _spread(seconds: array[float]) -> dict[str, float] | None:
    """Return median, 99th percentile and maximum, in milliseconds."""
    if not seconds:
        return None
    p50, p99 = np.percentile(seconds, [50, 99])
    return {
        name: round(1000 * float(value), 3)
        for name, value in (("p50", p50), ("p99", p99), ("max", max(seconds)))
    }
