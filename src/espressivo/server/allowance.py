"""Allowance: how much work a listener may ask for, so that the others hear nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Allowance", "measured"]

_SHARE = 0.25  # of the time may go into a listener's messages
_MOST_S = 3.0  # of work may come at once, such as ten pieces that begin
_MESSAGE_S = 0.002  # of work goes into a message beside what is measured


class Allowance:
    """Seconds of work, which come back with time.

    Parameters
    ----------
    clock : function
        Returns seconds, never less than before.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._then_s, self._left_s = clock, clock(), _MOST_S

    def spend(self, work_s: float) -> float:
        """Take the work of one message; return the seconds until the next may be read."""
        now_s = self._clock()
        self._left_s = min(_MOST_S, self._left_s + _SHARE * (now_s - self._then_s))
        self._then_s = now_s
        self._left_s -= work_s + _MESSAGE_S
        return max(0.0, -self._left_s / _SHARE)


def measured(work: Callable[[], object]) -> float:
    """Do some work; return the seconds of processor time that this thread spent on it."""
    begin_s = time.thread_time()
    work()
    return time.thread_time() - begin_s
