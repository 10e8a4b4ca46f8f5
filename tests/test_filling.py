"""Measuring fills: what is counted, and against what."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from espressivo.errors import DataError
from espressivo.evaluation import filling as room
from espressivo.evaluation.filling import Filling, filling
from espressivo.evaluation.pieces import Piece
from espressivo.music import Performance, longest_shared
from espressivo.play import Model


def music(seed: int, notes: int = 200) -> Performance:
    rng = np.random.default_rng(seed)
    onset_s = np.cumsum(rng.choice([0.15, 0.2, 0.3], notes))
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.15,
        pitch=60 + np.cumsum(rng.integers(-2, 3, notes)) % 24,
        velocity=rng.integers(40, 90, notes),
    )


def piece(folder: Path, name: str, performance: Performance) -> Piece:
    performance.write(folder / name)
    return Piece(name, folder / name, name, name, len(performance), 0)


def test_truth_plain_chosen_and_quoted_stand_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fill(self, performance, start, end, *, candidates, seed):
        asked.append((candidates, round(end - start, 6)))
        if candidates == 1:  # nothing at all
            onset_s = performance.notes["onset_s"]
            outside = (onset_s < start) | (onset_s >= end)
            return [Performance(performance.notes[outside])]
        return [performance]  # the truth itself

    monkeypatch.setattr(Model, "fill", fill)
    pieces = [piece(tmp_path, f"{n}.mid", music(n)) for n in range(2)]
    found = filling("espressivo", "seed", pieces, 4, candidates=9)
    assert asked == [(1, 4.0), (9, 4.0), (1, 4.0)] * 4
    assert sorted(found.names) == ["0.mid", "0.mid", "1.mid", "1.mid"]
    assert found.nats.shape == (4, 4) and found.measured.shape == (4, 4, 3)
    assert (found.nats[:, 2] == found.nats[:, 0]).all()
    figures = found.figures()
    assert figures["closes"].value == pytest.approx(1)
    assert figures["S truth"].value == pytest.approx(found.nats[:, 0].sum() / found.notes.sum())
    assert all(fills == pytest.approx(1) for fills, _ in found.correlations().values())
    assert found.inside.shape == (4, 3) and (found.inside > 0).all()
    assert "closes               1.000" in "\n".join(found.lines())


def test_what_closes_is_a_share_of_the_way() -> None:
    nats = np.array([[10.0, 20.0, 14.0], [30.0, 50.0, 42.0]])
    blank = np.zeros((2, 4, 3))
    inside = np.array([[4.0, 20.0], [6.0, 40.0]])
    of = Filling(4, "x", ("a", "b"), np.array([2.0, 2.0]), nats, nats, nats[:, 0], blank, inside)
    found = of.figures()
    assert "inside, quoted" not in found and "closes, quoted" not in found
    quoted = np.hstack((nats, [[13.0], [36.0]]))
    inside = np.hstack((inside, [[18.0], [33.0]]))
    found = dataclasses.replace(of, nats=quoted, shared=quoted, inside=inside).figures()
    assert found["closes, quoted"].value == pytest.approx((7 + 14) / (10 + 20))
    assert found["S quoted"].value == pytest.approx(49 / 4)
    assert found["inside, from before"].value == pytest.approx(60 / 10)
    assert found["inside, quoted"].value == pytest.approx(51 / 10)
    assert found["inside, gained"].value == pytest.approx(9 / 10)
    assert found["closes"].value == pytest.approx((6 + 8) / (10 + 20))
    assert found["S chosen"].value == pytest.approx(56 / 4)


def test_who_fills_does_not_judge_and_short_pieces_are_named(tmp_path: Path) -> None:
    short = [piece(tmp_path, "a.mid", music(1, 40))]
    with pytest.raises(DataError, match="cannot judge its own fills"):
        filling("seed", "seed", short, 1)
    with pytest.raises(DataError, match="none of 1 pieces is long enough for gaps of 4 s"):
        filling("espressivo", "seed", short, 1)
    assert room.FILL_JUDGE == "seed"


def test_a_shared_run_is_the_same_in_any_key() -> None:
    one, other = music(3, 30), music(4, 30)
    assert longest_shared(one, one.transpose(5).stretch(2)) == 30
    planted = Performance(np.concatenate((other.notes, one.shift(60).notes[5:17])))
    assert 12 <= longest_shared(one, planted) < 16
    assert longest_shared(one, Performance(one.notes[:1])) == 0
