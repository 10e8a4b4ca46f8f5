"""Evaluation: how good a model is, in figures that reproduce.

``pieces`` finds what is measured on, ``likelihood`` measures how well each event is predicted,
``music`` compares what a model plays with what people play, ``report`` puts the figures together,
``page`` draws them for a reader, and ``comparison`` puts several reports side by side.
"""

from __future__ import annotations

from espressivo.evaluation.comparison import compare
from espressivo.evaluation.intervals import (
    FEWEST,
    Difference,
    Estimate,
    differing,
    ratios,
    resamples,
    share,
)
from espressivo.evaluation.likelihood import predicted
from espressivo.evaluation.page import write_comparison, write_page
from espressivo.evaluation.performing import Performing, performing
from espressivo.evaluation.report import evaluate

__all__ = [
    "FEWEST",
    "Difference",
    "Estimate",
    "Performing",
    "compare",
    "differing",
    "evaluate",
    "performing",
    "predicted",
    "ratios",
    "resamples",
    "share",
    "write_comparison",
    "write_page",
]
