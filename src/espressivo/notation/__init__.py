"""Notation: beats and measures of a performance, and how it is written down."""

from __future__ import annotations

from espressivo.notation.finding import beats
from espressivo.notation.network import BeatModel, bundled_beats
from espressivo.notation.onsets import (
    KEYS,
    LOWEST,
    NUMBERS,
    Notes,
    Onsets,
    grouped_onsets,
    notes_of,
)
from espressivo.notation.path import Costs
from espressivo.notation.said import (
    BEAT,
    COUNTS,
    DOWNBEAT,
    KEY,
    METER,
    OUTPUTS,
    PERIOD,
    QUARTERS,
    UNIT,
)

__all__ = [
    "BEAT",
    "COUNTS",
    "DOWNBEAT",
    "KEY",
    "KEYS",
    "LOWEST",
    "METER",
    "NUMBERS",
    "OUTPUTS",
    "PERIOD",
    "QUARTERS",
    "UNIT",
    "BeatModel",
    "Costs",
    "Notes",
    "Onsets",
    "beats",
    "bundled_beats",
    "grouped_onsets",
    "notes_of",
]
