"""Intervals and what they show: as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest

from espressivo.evaluation.intervals import (
    differing,
    estimate,
    holm,
    quantiles,
    ratios,
    resamples,
    share,
)
from espressivo.evaluation.table import (
    MODEL,
    PEOPLE,
    beside_people,
    farther_from_people,
    figures,
    verdicts,
)


def amounts(values):
    return np.stack((values, np.ones(len(values))), axis=1)


def test_the_same_pieces_have_the_same_interval_and_other_groups_are_drawn_apart():
    assert (resamples(20) == resamples(20)).all()
    assert (resamples(20, 1) != resamples(20, 2)).any()
    assert (resamples(20).sum(axis=1) == 20).all()


def test_a_quantile_is_that_of_the_drawn_values():
    values = np.array([5.0, 1.0, 3.0])
    drawn = np.array([[1, 1, 1], [3, 0, 0], [0, 2, 1]])
    assert quantiles(values, drawn, 0.5).tolist() == [3.0, 5.0, 1.0]
    assert quantiles(values, drawn, 0.9).tolist() == [5.0, 5.0, 3.0]


def test_what_has_nothing_counts_for_nothing():
    none = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    drawn = np.array([[1, 1, 1], [2, 0, 1], [0, 3, 0]])
    assert ratios(none, drawn)[[0, 2]].tolist() == [0.5, 0.5]
    assert np.isnan(ratios(none, drawn)[1])
    assert share(none[:, 0], none[:, 1], drawn).low is None
    assert estimate(1.0, np.array([np.nan])).high is None


def test_p_is_small_where_the_interval_excludes_zero():
    rng = np.random.default_rng(0)
    far, near = rng.normal(1, 0.2, 4000), rng.normal(0.1, 0.2, 4000)
    assert differing(1.0, far).p < 0.001 and differing(1.0, far).low > 0
    assert differing(0.1, near).p > 0.3 and differing(0.1, near).low < 0
    assert differing(0.0, np.zeros(4000)).p == 1


def test_holm_asks_more_of_many():
    assert holm([0.04]) == [True]
    assert holm([0.04, 0.5]) == [False, False]
    assert holm([0.04, 0.02]) == [True, True]
    assert holm([0.5, 0.001, 0.02, 0.03]) == [False, True, False, False]
    assert holm([]) == []


def test_people_against_people_show_nothing_and_a_planted_difference_is_shown():
    rng = np.random.default_rng(0)
    shown = {"near": 0, "far": 0}
    for _ in range(100):
        people = {"ring": amounts(rng.normal(3, 1, 60)), "pulse": amounts(rng.normal(0.4, 0.1, 60))}
        theirs = figures(people, PEOPLE)
        for name, more in (("near", 0.0), ("far", 1.0)):
            model = {
                "ring": amounts(rng.normal(3 + more, 1, 32)),
                "pulse": amounts(rng.normal(0.4, 0.1, 32)),
            }
            said = verdicts(beside_people(figures(model, MODEL), theirs), "less", "more")
            shown[name] += said["ring"] == "more"
            assert said["ring"] != "less" or name == "near"
    assert shown["near"] <= 6
    assert shown["far"] >= 90


@pytest.mark.parametrize(("clips", "said"), [(5, "no difference shown"), (6, "more")])
def test_a_handful_of_clips_shows_nothing(clips, said):
    rng = np.random.default_rng(2)
    people = figures({"ring": amounts(rng.normal(3, 0.1, 60))}, PEOPLE)
    model = figures({"ring": amounts(rng.normal(9, 0.1, clips))}, MODEL)
    assert model["ring"][0].low is not None
    assert verdicts(beside_people(model, people), "less", "more") == {"ring": said}


def test_the_nearer_of_two_models_is_told():
    rng = np.random.default_rng(1)
    people = figures({"ring": amounts(rng.normal(3, 1, 60))}, PEOPLE)
    near, far, below = (
        figures({"ring": amounts(rng.normal(mean, 1, 32))}) for mean in (3.0, 5.0, 1.0)
    )
    for other in (far, below):
        said = verdicts(farther_from_people((other, people), (near, people)), "nearer", "farther")
        assert said == {"ring": "farther"}
    said = verdicts(farther_from_people((far, people), (below, people)), "nearer", "farther")
    assert said == {"ring": "no difference shown"}


def test_a_quantile_has_a_row_of_its_own():
    values = amounts(np.arange(100.0))
    estimated, _ = figures({"longest_loop": values}, PEOPLE)["longest_loop"]
    assert estimated.value == 89 and estimated.low < 89 < estimated.high
    assert figures({"ring": values[:1]})["ring"][0].low is None
    assert figures({"ring": np.zeros((5, 2))}) == {}


@pytest.mark.parametrize(("digits", "sign", "text"), [(2, "", "0.50 (0.25 to 0.75)")])
def test_a_figure_says_its_interval(digits, sign, text):
    drawn = np.array([0.25] * 500 + [0.5] * 500 + [0.75] * 500)
    assert estimate(0.5, drawn).text(digits, sign) == text
    assert estimate(0.5, np.array([])).text(1, "+") == "+0.5"
