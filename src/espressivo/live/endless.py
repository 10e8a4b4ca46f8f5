"""Endless: a model plays by itself, in real time, until it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Unpack

from espressivo.live.clock import START, Pulse
from espressivo.live.sending import Output, Sender, SentMessage, Turn
from espressivo.play import Model, Options, Primer, Stream

__all__ = ["Endless"]

_SOON_S = 0.05  # the first event has to be decided before its beat


class Endless(Sender):
    """A model that plays without end.

    With a clock that it follows, it waits for a start and ends its notes at a stop. A start begins
    the music anew, which with a seed is the same again; a clock that continues goes on with it.

    Parameters
    ----------
    model, output, follow_clock, send_clock, channel, log, clock, sleep
        As in `Sender`.
    primer : Performance, path of a MIDI file or sequence of ids, optional
        What it goes on from; it is not played itself.
    seed : int, optional
        The same seed gives the same music.
    **settings
        As in `Model.stream`.
    """

    def __init__(
        self,
        model: Model,
        output: Output,
        *,
        primer: Primer | None = None,
        follow_clock: bool = False,
        send_clock: float | None = None,
        channel: int | None = None,
        seed: int | None = None,
        log: Callable[[SentMessage], object] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], object] = time.sleep,
        **settings: Unpack[Options],
    ) -> None:
        self._primer = primer
        self._music: Stream | None = None
        super().__init__(
            model,
            output,
            settings,
            follow_clock=follow_clock,
            send_clock=send_clock,
            channel=channel,
            seed=seed,
            log=log,
            clock=clock,
            sleep=sleep,
        )

    def _next_turn(self) -> Turn | None:
        music = self._music = self._music or self._stream(self._primer, 0)  # before it has to play
        with self._lock:
            if self._pulse is not None and not (self._pulse.running and self._pulse.period_s):
                return None
            if music is self._music:
                return self._begin(music, self._clock() + _SOON_S)
            return None

    def _hear_clock(self, pulse: Pulse, status: int, now_s: float) -> None:
        super()._hear_clock(pulse, status, now_s)
        if status == START:
            if self._turn is not None:
                self._interrupt("clock", now_s)
            self._music = None
