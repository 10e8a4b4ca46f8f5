"""The space of passages: each few seconds of playing are a point in it, and near points are alike.

What reads passages and tells how they go on is a model file of its own, beside a model that plays.
"""

from __future__ import annotations

from espressivo.latent.measures import (
    DIRECTIONS,
    SUMMARY,
    measured_passages,
    named_numbers,
    requests,
    summarised,
)
from espressivo.latent.model import KIND, Latent, bundled_latent
from espressivo.latent.passages import CHORD_STEPS, Passages, cuts, passages_of
from espressivo.latent.paths import spherical

__all__ = [
    "CHORD_STEPS",
    "DIRECTIONS",
    "KIND",
    "SUMMARY",
    "Latent",
    "Passages",
    "bundled_latent",
    "cuts",
    "measured_passages",
    "named_numbers",
    "passages_of",
    "requests",
    "spherical",
    "summarised",
]
