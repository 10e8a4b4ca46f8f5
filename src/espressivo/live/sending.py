"""Sending: what a model decides goes out on time, with a MIDI clock that is followed or sent.

One thread decides, another sends. With a clock, one that is followed or one that is sent, a turn
begins on a beat. If the clock that is followed becomes faster or slower, so does the music, from
what is decided next; when that clock stops, the turn ends, and there is none until it runs again.

This module knows nothing of drivers: messages go out through an `Output`. `espressivo.live.ports`
has those of the system, `espressivo.live.speakers` the bundled piano.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from abc import ABC, abstractmethod
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from espressivo.engine import MAX_SEED
from espressivo.errors import GenerationError
from espressivo.live.clock import START, STOP, TICK, TICKS, Pulse
from espressivo.live.listener import CONTROL, NOTE_OFF, NOTE_ON
from espressivo.music import SUSTAIN
from espressivo.numeric import within
from espressivo.play import Model, Options, Primer, Stream, TimedEvent

__all__ = ["LEAD_S", "Output", "Outputs", "Sender", "SentMessage", "Turn", "spread"]

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


class Outputs:
    """Several instruments as one.

    Parameters
    ----------
    *outputs : Output
    """

    def __init__(self, *outputs: Output) -> None:
        self._outputs = outputs

    def send(self, message: Sequence[int]) -> None:
        """Send a MIDI message to each of them."""
        for output in self._outputs:
            output.send(message)


class Sender(ABC):
    """What plays in real time; what it plays is for its subclass to say, turn by turn.

    If the model cannot keep pace (the machine is busy, or slept), its music goes on later rather
    than in a rush; that is counted in `summary`.

    Parameters
    ----------
    model : Model
    output : Output
    settings : Options
        As in `Model.stream`.
    follow_clock : bool
        Whether to follow the MIDI clock among the messages that are heard.
    send_clock : float, optional
        Quarters a minute of a MIDI clock to send, 10..400; not with `follow_clock`.
    channel : int, optional
        The MIDI channel that is played on, 0..15; by default 0.
    seed : int, optional
        Of the first turn; each later one has the next.
    log : function, optional
        Called with each `SentMessage`, in order, on a thread that may be slow.
    clock, sleep : function
        The clock returns seconds, never less than before, to a tenth of a millisecond or better.

    Raises
    ------
    GenerationError
        If a value is out of range.
    """

    def __init__(
        self,
        model: Model,
        output: Output,
        settings: Options,
        *,
        follow_clock: bool = False,
        send_clock: float | None = None,
        channel: int | None = None,
        seed: int | None = None,
        log: Callable[[SentMessage], object] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._model, self._output, self._log = model, output, log
        self._follows = follow_clock
        self._tempo = within("send_clock", send_clock, least=10, most=400, optional=True)
        if follow_clock and send_clock is not None:
            raise GenerationError("one clock is enough: follow one, or send one")
        self._pulse = Pulse() if follow_clock or send_clock is not None else None
        self._tick_s = math.inf  # when the next tick is due, of a clock that is sent
        self._channel = within("channel", channel, least=0, most=15, whole=True, optional=True)
        self._seed = within("seed", seed, least=0, most=MAX_SEED, whole=True, optional=True)
        self._clock, self._sleep, self._settings = clock, sleep, settings
        self._lock = threading.Lock()  # guards all that follows
        self._turn: Turn | None = None
        self._queue: deque[tuple[float, tuple[int, int, int]]] = deque()  # decided, and when due
        self._sounding: set[int] = set()
        self._pedal_down = False
        self._sent: deque[SentMessage] = deque()  # not yet logged
        self._stopping = False
        self._failure: Exception | None = None
        self._late_s, self._yield_s = array("d"), array("d")
        self._counts = {"turns": 0, "notes": 0, "delays": 0}
        self._delayed_s = 0.0
        self._stream(None, 0)  # refuses wrong settings now, and not in the middle of the music

    def hear(self, message: Sequence[int]) -> None:
        """Take a MIDI message that came in now, of which only the clock counts; on any thread."""
        now_s = self._clock()
        if self._follows and self._pulse is not None and len(message) == 1:
            with self._lock:
                self._hear_clock(self._pulse, message[0], now_s)

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
        event = turn.next()  # takes a while, so much may happen meanwhile
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
            ``turns`` and ``notes`` of the model; ``late_ms``, how late its music was sent, and
            ``over_2_ms``, how many of its messages were later than that; ``delays`` and
            ``delayed_s``, how often and for how long all the music had to wait for the model.
        """
        return {
            **self._counts,
            "delayed_s": round(self._delayed_s, 3),
            "late_ms": spread(self._late_s),
            "over_2_ms": sum(late_s > _PRECISE_S for late_s in self._late_s),
        }

    @abstractmethod
    def _next_turn(self) -> Turn | None:
        """Return the turn that begins next, which is kept as the present one; None if too early."""

    def _begin(self, stream: Stream, from_s: float) -> Turn:
        """Let a turn begin at some time, or on the first beat after it; the lock is held."""
        begin_s = from_s if self._pulse is None else self._pulse.beat_s(from_s)
        self._turn = Turn(stream, begin_s)
        return self._turn

    def _hear_clock(self, pulse: Pulse, status: int, now_s: float) -> None:
        """Take a message of the clock; the lock is held."""
        pulse.feed(status, now_s)
        if status == STOP and self._turn is not None:
            self._interrupt("clock", now_s)

    def _interrupt(self, why: str, now_s: float) -> None:
        """End the turn; `run` raises what goes wrong, as the driver that calls could not."""
        try:
            self._quiet(why, now_s)
        except Exception as error:
            self._fail(error)

    def _stream(self, primer: Primer | None, turn: int) -> Stream:
        """Return a stream that never waits, since time is kept here: its own stands still."""
        seed = None if self._seed is None else self._seed + turn
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
        elif kind == NOTE_OFF and number not in self._sounding:  # its note-on was dropped
            return
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


class Turn:
    """What the model plays until something ends it.

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


def spread(seconds: array[float]) -> dict[str, float] | None:
    """Return median, 99th percentile and maximum, in milliseconds."""
    if not seconds:
        return None
    p50, p99 = np.percentile(seconds, [50, 99])
    return {
        name: round(1000 * float(value), 3)
        for name, value in (("p50", p50), ("p99", p99), ("max", max(seconds)))
    }
