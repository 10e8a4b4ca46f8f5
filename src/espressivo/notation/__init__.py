"""Notation: scores out of files, of whatever kind they are."""

from __future__ import annotations

from espressivo.notation.engraved import ENGRAVED
from espressivo.notation.reading import SCORES, opened_score, read_score

__all__ = ["ENGRAVED", "SCORES", "opened_score", "read_score"]
