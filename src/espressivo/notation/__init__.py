"""Notation: scores read, and performances written down: beats, measures, spelling."""

from __future__ import annotations

from espressivo.notation.beat_features import BEAT_NUMBERS, beat_numbers
from espressivo.notation.drawing import WRITTEN, draw, pages, write_score
from espressivo.notation.engraved import ENGRAVED
from espressivo.notation.finding import beats
from espressivo.notation.fitting import Fit, fit
from espressivo.notation.musicxml import musicxml
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
    BEAT_OUTPUTS,
    BEGINS,
    COUNTS,
    DOWNBEAT,
    METER,
    OUTPUTS,
    PERIOD,
    QUARTERS,
    UNIT,
)
from espressivo.notation.spelling import STEPS, spelled
from espressivo.notation.written import notate

__all__ = [
    "BEAT",
    "BEAT_NUMBERS",
    "BEAT_OUTPUTS",
    "BEGINS",
    "COUNTS",
    "DOWNBEAT",
    "ENGRAVED",
    "KEYS",
    "LOWEST",
    "METER",
    "NUMBERS",
    "OUTPUTS",
    "PERIOD",
    "QUARTERS",
    "SCORES",
    "STEPS",
    "UNIT",
    "WRITTEN",
    "BeatModel",
    "Costs",
    "Fit",
    "Notes",
    "Onsets",
    "beat_numbers",
    "beats",
    "bundled_beats",
    "draw",
    "fit",
    "grouped_onsets",
    "musicxml",
    "notate",
    "notes_of",
    "opened_score",
    "pages",
    "read_score",
    "spelled",
    "write_score",
]
