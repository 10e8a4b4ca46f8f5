"""MIDI clock: 24 ticks a quarter note, with start, continue and stop, sent or followed."""

from __future__ import annotations

from collections import deque

__all__ = ["CONTINUE", "START", "STOP", "TICK", "TICKS", "Pulse"]

TICK, START, CONTINUE, STOP = 0xF8, 0xFA, 0xFB, 0xFC
"""Status bytes of the messages, which have no data."""

TICKS = 24
"""Ticks in a quarter note."""

_LONGEST_S = 0.5  # between two ticks, at 5 quarters a minute: after more, the clock begins anew


class Pulse:
    """Where the beats of a MIDI clock are, and how fast it goes.

    A clock that ticks runs, be it that it has been stopped; so those that send no start can be
    followed too.
    """

    def __init__(self) -> None:
        self._ticks_s: deque[float] = deque(maxlen=TICKS + 1)  # times of the latest
        self._count = -1  # ticks since a beat that counts as the first
        self._stopped = False
        self.first_period_s: float | None = None
        """Seconds of a quarter when a whole one was first heard; what later ones compare with."""

    def feed(self, status: int, now_s: float) -> None:
        """Take a message that came now; others than of the clock are ignored.

        The tick after a start is a beat, and then every 24th. Without one the first tick is.
        """
        if status == START:
            self._count, self._stopped = -1, False
            self._ticks_s.clear()
        elif status == CONTINUE:
            self._stopped = False
            self._ticks_s.clear()
        elif status == STOP:
            self._stopped = True
        elif status == TICK:
            if self._ticks_s and not 0 < now_s - self._ticks_s[-1] <= _LONGEST_S:
                self._ticks_s.clear()
            self._ticks_s.append(now_s)
            if not self._stopped:  # some go on ticking
                self._count += 1
            if self.first_period_s is None and len(self._ticks_s) > TICKS:
                self.first_period_s = self.period_s

    @property
    def running(self) -> bool:
        """Whether it has ticked, and was not stopped since."""
        return self._count >= 0 and not self._stopped

    @property
    def period_s(self) -> float | None:
        """Seconds of a quarter note by the latest ticks, up to 24; None before the second."""
        if len(self._ticks_s) < 2:
            return None
        return TICKS * (self._ticks_s[-1] - self._ticks_s[0]) / (len(self._ticks_s) - 1)

    @property
    def slower(self) -> float:
        """How many times longer a quarter is now than the first was; 1 while that is not known."""
        period_s = self.period_s
        if period_s is None or self.first_period_s is None:
            return 1.0
        return period_s / self.first_period_s

    def beat_s(self, from_s: float) -> float:
        """Return when the first beat at or after some time comes, if the tempo stays."""
        period_s = self.period_s
        if period_s is None:
            return from_s
        beat_s = self._ticks_s[-1] - period_s * (self._count % TICKS) / TICKS
        late = (from_s - beat_s) / period_s
        return beat_s + period_s * max(0, -int(-(late - 1e-9) // 1))
