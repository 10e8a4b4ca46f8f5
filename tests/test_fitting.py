"""How well beats fit a tempo and a time signature."""

from __future__ import annotations

import numpy as np
import pytest

from espressivo.music import Beats
from espressivo.notation import Fit, fit


def steady(tempo: float, per_measure: int = 3, beats: int = 31) -> Beats:
    count = np.arange(beats)
    return Beats(count * 60 / tempo, count % per_measure == 0, np.ones(beats))


@pytest.mark.parametrize(
    ("tempo", "meter", "share"),
    [
        (96, "3/4", 1.0),
        (92, "3/4", 1.0),
        (80, "3/4", 0.0),
        (None, "3/4", 1.0),
        (96, None, 1.0),
        (96, "4/4", 0.0),
        (48, "3/4", 0.0),
    ],
)
def test_beats_fit_if_both_are_theirs(tempo: float | None, meter: str | None, share: float) -> None:
    assert fit(steady(96), tempo=tempo, meter=meter).share == share


def test_only_the_beats_that_have_the_tempo_fit() -> None:
    first, second = steady(96, 3, 16), steady(60, 3, 15)
    time_s = np.concatenate((first.time_s, first.time_s[-1] + 1 + second.time_s))
    beats = Beats(time_s, np.arange(31) % 3 == 0, np.ones(31))
    assert 0.4 < fit(beats, tempo=96).share < 0.6
    assert 0.4 < fit(beats, tempo=60, meter="3/4").share < 0.6


def test_the_nearer_tempo_fits_better_where_no_beat_has_it() -> None:
    nearer, farther = fit(steady(120), tempo=96), fit(steady(180), tempo=96)
    assert nearer.share == farther.share == 0
    assert farther < nearer
    assert max([farther, nearer]) == nearer


def test_too_few_beats_fit_nothing() -> None:
    nothing = fit(Beats(np.zeros(0), np.zeros(0, bool), np.zeros(0)), tempo=96)
    assert nothing.share == 0
    assert nothing < Fit(0.0, 3.0, 60.0, "4/4")
