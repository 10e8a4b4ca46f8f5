"""Levels: how fast, loud, legato and pedalled a whole take is, and how much each of it varies.

Fields are predicted standardised within a take. Their means and spreads are regressed, linearly, on
what a score is like as a whole; what people differ in beyond that is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from espressivo.interpreter.view import Floats, View

__all__ = ["LEVELS", "LOGARITHMIC", "Levels", "summary"]

LEVELS = tuple(
    f"{field}_{kind}"
    for field in ("interval", "velocity", "articulate", "offset", "pedal")
    for kind in ("mean", "spread")
)
"""Of each drawn field the mean and the spread; spreads of `LOGARITHMIC` are logarithms."""

LOGARITHMIC = ("interval", "offset")
"""Fields whose spread is told as a logarithm."""


def summary(view: View) -> Floats:
    """Return what a score is like as a whole, shape (features,); the first is 1."""
    tempo = view.quarter_log
    lasts = view.interval
    total = float(lasts.sum())
    mean_tempo = float((tempo * lasts).sum() / total)
    _, loud_spread = view.loudness
    known = view.velocity > 0
    loudness = float(view.velocity[known].mean()) if known.any() else 64.0
    step = float(np.log(total / len(view.onsets)))
    length = np.log(view.duration)
    legato = np.log(np.maximum.reduceat(view.duration, view.first)) - np.log(
        np.maximum(lasts, 0.01)
    )
    return np.array(
        [
            1.0,
            mean_tempo,
            float(abs(mean_tempo + np.log(2)) < 0.01),  # 120 a minute, or nothing written
            step,
            mean_tempo + step,
            float(tempo.std()),
            float(np.log(view.count.mean())),
            float(length.mean()),
            float(length.std()),
            float(np.clip(legato, -3, 3).mean()),
            float(view.pitch.mean() - 64) / 12,
            float((view.top - view.bass).mean()) / 12,
            (loudness - 70) / 20 if loud_spread else 0.0,
            min(loud_spread, 30.0) / 10,
            float(np.log(view.end)),
            float(np.diff(view.beat_bounds).mean()),
            float(np.std(np.log(lasts))),
        ]
    )


@dataclass(frozen=True)
class Levels:
    """A regression of `LEVELS` on `summary`.

    Parameters
    ----------
    centre, scale : array, shape (features,)
        Summaries are clipped to three scales around the centre.
    weights : array, shape (features, levels)
    residual : array, shape (levels,)
        Standard deviation of what people differ in beyond it.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    residual: Floats

    def of(self, view: View, away: Floats) -> Mapping[str, float]:
        """Return the levels for a score, so many residuals `away` from what is expected."""
        even = np.clip((summary(view) - self.centre) / self.scale, -3, 3)
        even[0] = 1.0
        values = even @ self.weights + away * self.residual
        return dict(zip(LEVELS, values.tolist(), strict=True))
