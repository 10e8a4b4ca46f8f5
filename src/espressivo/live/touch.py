"""Touch: velocities of a person's keyboard, as those of the pianos that the models learned from."""

from __future__ import annotations

import math

import numpy as np

from espressivo.numeric import within

__all__ = ["TYPICAL", "Touch"]

TYPICAL = 69
"""Median velocity of held-out performances of ASAP, on Disklaviers."""

_FEW = 20  # notes from which nothing is learned
_FLATTEST, _STEEPEST = 0.25, 4.0


class Touch:
    """A curve of velocities, given or learned.

    A velocity v becomes 127 (v / 127) ** curve: below 1 a soft keyboard sounds louder, above 1 a
    loud one softer; 1 and 127 stay.

    Parameters
    ----------
    curve : float
        0.25..4.
    learn_s : float
        For so many seconds from the first note velocities are gathered. Then the curve is the one
        that makes their median `TYPICAL`; with fewer than 20 notes it stays.
    """

    def __init__(self, curve: float = 1.0, learn_s: float = 0.0) -> None:
        self.curve: float = within("velocity_curve", curve, least=_FLATTEST, most=_STEEPEST)
        self._learn_s: float = within("learn_touch", learn_s, least=0)
        self._begun_s: float | None = None
        self._gathered: list[int] = []
        self.learning = learn_s > 0
        """Whether it still gathers."""

    def felt(self, velocity: int, now_s: float) -> int:
        """Return what a velocity of 1..127, struck now, counts as: 1..127."""
        if self.learning:
            self._learn(velocity, now_s)
        return max(1, round(127 * math.pow(velocity / 127, self.curve)))

    def _learn(self, velocity: int, now_s: float) -> None:
        if self._begun_s is None:
            self._begun_s = now_s
        if now_s <= self._begun_s + self._learn_s:
            self._gathered.append(velocity)
            return
        self.learning = False
        if len(self._gathered) >= _FEW:
            median = min(max(float(np.median(self._gathered)), 2.0), 126.0)
            curve = math.log(TYPICAL / 127) / math.log(median / 127)
            self.curve = min(max(curve, _FLATTEST), _STEEPEST)
