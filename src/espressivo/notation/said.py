"""What the network for beats says of each onset group, and in what order."""

from __future__ import annotations

import numpy as np

__all__ = ["BEAT", "COUNTS", "DOWNBEAT", "KEY", "METER", "OUTPUTS", "PERIOD", "QUARTERS", "UNIT"]

BEAT, DOWNBEAT, PERIOD = 0, 1, 2
"""Logits of a beat and of a downbeat; logarithm to base 2 of twice the seconds of a beat."""

KEY = slice(3, 15)
"""Logits of the key signature: number of sharps modulo 12, from 0 to 11."""

QUARTERS = np.array((0.5, 0.75, 1.0, 1.5, 2.0, 3.0))
"""Quarters that a beat may last."""

UNIT = slice(15, 15 + len(QUARTERS))
"""Logits of how many quarters a beat lasts, one of `QUARTERS`."""

COUNTS = 12
"""The most beats that a measure may have."""

METER = slice(UNIT.stop, UNIT.stop + COUNTS)
"""Logits of how many beats a measure has, from 1 to `COUNTS`."""

OUTPUTS = METER.stop
"""Numbers that the network says of a group."""
