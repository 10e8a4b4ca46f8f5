"""What the networks for beats say of each onset group and of each beat, and in what order."""

from __future__ import annotations

import numpy as np

__all__ = [
    "BEAT",
    "BEAT_OUTPUTS",
    "BEGINS",
    "COUNTS",
    "DOWNBEAT",
    "METER",
    "OUTPUTS",
    "PERIOD",
    "QUARTERS",
    "UNIT",
]

BEAT, DOWNBEAT, PERIOD = 0, 1, 2
"""Of a group: logits of a beat and of a downbeat; logarithm to base 2 of twice the seconds of a
beat."""

OUTPUTS = 3
"""Numbers that are said of a group."""

BEGINS = 0
"""Of a beat: logit that a measure begins."""

COUNTS = 12
"""The most beats that a measure may have."""

METER = slice(1, 1 + COUNTS)
"""Logits of how many beats the measure has, from 1 to `COUNTS`."""

QUARTERS = np.array((0.5, 0.75, 1.0, 1.5, 2.0, 3.0))
"""Quarters that a beat may last."""

UNIT = slice(METER.stop, METER.stop + len(QUARTERS))
"""Logits of how many quarters the beat lasts, one of `QUARTERS`."""

BEAT_OUTPUTS = UNIT.stop
"""Numbers that are said of a beat."""
