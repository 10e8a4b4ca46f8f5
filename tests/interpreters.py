"""A stand-in for a trained interpreter, which plays any score by rules and a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Interpretation, Score, onset_groups


class Rules:
    """Plays slower than written, in waves, with rolled chords and a pedal on each beat."""

    card: Mapping[str, Any] = {"name": "rules", "licence": "MIT"}

    def interpret(
        self,
        score: Score,
        *,
        freedom: float,
        seed: int,
        velocity: NDArray[np.float64] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Interpretation:
        onsets, group = onset_groups(score)
        rng = np.random.default_rng(seed)
        noise = freedom * rng.normal(size=(3, len(score)))
        drawn = freedom * rng.normal(size=len(onsets))
        pitch = score.notes["pitch"].astype(float)
        played = 64 + (pitch - 60) / 2 + 8 * np.sin(onsets / 3)[group] + 4 * noise[0]
        grid = (score.beats[:, None] + np.array([0.0, 0.25])).ravel()
        grid = np.unique(grid)
        if progress is not None:
            progress(len(score))
        return Interpretation(
            0.6 * np.exp(0.2 * np.sin(onsets / 5) + 0.05 * drawn),
            0.01 * (pitch - pitch.mean()) / 12 + 0.003 * noise[1],
            np.clip(played if velocity is None else velocity, 1, 127),
            -0.3 + 0.1 * noise[2],
            grid,
            np.where(np.arange(len(grid)) % 2, 100.0, 20.0),
        )
