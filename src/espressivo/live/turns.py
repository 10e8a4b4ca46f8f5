"""Live: call and response with a person who plays a MIDI keyboard.

It is the person's turn as long as a key or the sustain pedal is down, and for a pause after that.
Then the model takes its turn, and goes on from what the person played last. As soon as the person
strikes a key, the model yields: its notes end, and what it had decided but not yet sent is dropped.

The person and the model have pedals of their own. The person's sustain pedal counts as in the
performances that the model learned from; it does not make the model yield, only a key does. The
model's pedal, in the vocabularies that have it, is lifted whenever its notes end.

Messages come in through `Live.hear`. They go out as `espressivo.live.sending` says, which has the
MIDI clock too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Unpack

from espressivo.live.listener import NOTE_ON, Listener
from espressivo.live.sending import Output, Sender, SentMessage, Turn, spread
from espressivo.live.touch import Touch
from espressivo.numeric import within
from espressivo.play import Model, Options

__all__ = ["PAUSE_S", "Live"]

PAUSE_S = 1.5
"""The model takes its turn when a person has been silent for so long, unless told otherwise."""


class Live(Sender):
    """A model that answers a person.

    Each turn the model reads the person's latest notes, and none of its own, so however long it
    plays it comes back to the person's style. Its first note comes when the pause is over.

    Parameters
    ----------
    model, output, follow_clock, send_clock, seed, log, clock, sleep
        As in `Sender`. The same seed, model and playing give the same answers.
    pause_s : float
        The person must be silent for so long, above 0; see `Listener.silent_from_s`.
    echo : Output, optional
        Where what the person plays sounds, for a keyboard without a sound of its own.
    velocity_curve, learn_touch_s : float
        Curve of the velocities that are heard, and for how long it is learned; see
        `espressivo.live.touch.Touch`.
    channel : int, optional
        The only MIDI channel heard, 0..15, and the one played on. By default all are heard, and
        0 is played on.
    **settings
        As in `Model.stream`.

    Raises
    ------
    GenerationError
        If a value is out of range.

    Examples
    --------
    ::

        with Input("Piano") as keys, Output("Piano") as piano:  # of espressivo.live.ports
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
        echo: Output | None = None,
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
        self._pause_s = within("pause_s", pause_s, above=0)
        self._touch = Touch(velocity_curve, learn_touch_s)
        self._echo, self._heard = echo, Listener()
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
        self._counts["yields"] = 0

    def hear(self, message: Sequence[int]) -> None:
        """Take a MIDI message that came in now; on any thread. Others than of keys are ignored."""
        now_s = self._clock()
        if self._follows and len(message) == 1:
            super().hear(message)
            return
        if self._channel is not None and message and message[0] & 0x0F != self._channel:
            return
        with self._lock:
            if len(message) == 3 and message[0] & 0xF0 == NOTE_ON and message[2]:
                message = (*message[:2], self._touch.felt(message[2], now_s))
            if self._echo is not None:
                self._echo.send(message)
            turn, before = self._turn, self._heard.movements
            begun = turn is not None and turn.begin_s <= now_s
            if begun:
                self._heard.rest()
            struck = self._heard.feed(message, now_s)
            if turn is None or not (struck or (not begun and before != self._heard.movements)):
                return
            self._counts["yields"] += turn.heard
            self._interrupt("yield", now_s)

    def summary(self) -> dict[str, Any]:
        """Return figures of all that was sent: as of `Sender`, and of the person.

        Returns
        -------
        dict
            Also ``yields`` to the person; ``yield_ms``, how long after a key the notes ended;
            ``velocity_curve``.
        """
        return {
            **super().summary(),
            "velocity_curve": round(self._touch.curve, 3),
            "yield_ms": spread(self._yield_s),
        }

    def _next_turn(self) -> Turn | None:
        """Let the model read what the person played, before the pause is over."""
        with self._lock:
            movements, silent_s = self._heard.movements, self._heard.silent_from_s
            if self._clock() < silent_s + self._pause_s / 2:
                return None
            if self._pulse is not None and not self._pulse.running:
                return None
            performance = self._heard.performance()
        # This takes a while, so a person may play meanwhile.
        stream = self._stream(performance, self._counts["turns"])
        with self._lock:
            if movements == self._heard.movements:
                return self._begin(stream, max(silent_s + self._pause_s, self._clock()))
            return self._turn
