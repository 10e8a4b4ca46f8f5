"""The judge tells what differs and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from espressivo.errors import EspressivoError
from espressivo.evaluation.judge import described, judge
from played import played


@pytest.fixture(autouse=True)
def _fewer_trees(monkeypatch):
    monkeypatch.setattr("espressivo.evaluation.judge._TREES", 60)


def clips(seed, mean=0.0, pieces=20, each=3):
    """Numbers of clips: one that differs by `mean`, and five that are chance."""
    rng = np.random.default_rng(seed)
    made = [
        {"odd": rng.normal(mean), **{f"chance {n}": rng.normal() for n in range(5)}}
        for _ in range(pieces * each)
    ]
    return made, [str(n // each) for n in range(pieces * each)]


def test_what_differs_is_told_and_named():
    pytest.importorskip("sklearn")
    (model, samples), (people, pieces) = clips(0, 2.0), clips(1)
    found = judge(model, people, (samples, pieces))
    assert found.auc.value > 0.8 and found.auc.low > 0.6
    assert found.gives_away[0][0] == "odd"
    assert found.clips == (60, 60)


def test_people_are_not_told_from_people():
    pytest.importorskip("sklearn")
    (model, samples), (people, pieces) = clips(0), clips(1)
    found = judge(model, people, (samples, pieces))
    assert abs(found.auc.value - 0.5) < 0.15
    assert found.auc.low < found.auc.value < found.auc.high < 0.8


def test_it_is_not_taught_on_what_it_judges():
    """Clips of a piece are all alike: who knew one of them would know the others."""
    pytest.importorskip("sklearn")
    sides = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        of_piece = rng.normal(size=(20, 6))
        names = [str(n // 4) for n in range(80)]
        sides.append(
            ([dict(zip("abcdef", of_piece[n // 4], strict=True)) for n in range(80)], names)
        )
    (model, samples), (people, pieces) = sides
    assert judge(model, people, (samples, pieces)).auc.value < 0.75


def test_too_few_are_refused():
    pytest.importorskip("sklearn")
    (model, samples), (people, pieces) = clips(0, pieces=4), clips(1)
    with pytest.raises(EspressivoError, match="at least 5 samples and 5 pieces"):
        judge(model, people, (samples, pieces))


def test_a_clip_is_described_by_finite_numbers():
    found = described(played(0), 10.0)
    assert all(np.isfinite(value) for value in found.values())
    assert "first_note" not in found and "in_scale" in found and "velocity mean" in found
