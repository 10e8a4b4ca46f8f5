"""Notation: scores read, and performances written down: beats, measures, spelling."""

from __future__ import annotations

from espressivo.notation.engraved import ENGRAVED
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
from espressivo.notation.reading import SCORES, opened_score, read_score
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
    "ENGRAVED",
    "KEY",
    "KEYS",
    "LOWEST",
    "METER",
    "NUMBERS",
    "OUTPUTS",
    "PERIOD",
    "QUARTERS",
    "SCORES",
    "UNIT",
    "BeatModel",
    "Costs",
    "Notes",
    "Onsets",
    "beats",
    "bundled_beats",
    "grouped_onsets",
    "notes_of",
    "opened_score",
    "read_score",
]
