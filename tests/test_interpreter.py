"""The interpreter: features, fields, draws, and the model file that plays scores."""

from __future__ import annotations

import numpy as np
import pytest

from espressivo.engine import Engine
from espressivo.errors import ModelError
from espressivo.interpreter import (
    CELLS,
    DRAWN,
    FIELDS,
    LEVELS,
    ROWS,
    Draw,
    Interpreter,
    View,
    alike,
    field_values,
    load_interpreter,
    mixed,
    noise,
    summary,
    tables,
)
from espressivo.music import METRE_DTYPE, Interpretation, Performance, Score

DRAW = Draw(0.6, 0.3, 0.1, ((0.4, 0.5), (0.2, 8.0)), tuple(np.linspace(-2, 3, 11)))


def score(bars: int = 8, seed: int = 0) -> Score:
    """Sixteenths above quarters that make chords of two and three, in 3/4."""
    rng = np.random.default_rng(seed)
    upper = np.arange(0, 3 * bars, 0.25)
    lower = np.repeat(np.arange(3.0 * bars), 2)
    onset = np.concatenate((upper, lower))
    duration = np.concatenate((np.full(len(upper), 0.25), np.ones(len(lower))))
    pitch = np.concatenate((rng.integers(64, 84, len(upper)), np.tile([40, 47], len(lower) // 2)))
    return Score.from_arrays(
        onset=onset,
        duration=duration,
        pitch=pitch,
        velocity=rng.integers(40, 90, len(onset)),
        staff=np.repeat([1, 2], [len(upper), len(lower)]),
        metres=np.array([(0.0, 3, 4)], METRE_DTYPE),
    )


def performed(one: Score) -> tuple[Performance, np.ndarray, np.ndarray]:
    """A performance, which of its notes is which, and the seconds of a quarter by onset."""
    view = View.of(one)
    quarter_s = np.exp(0.2 * np.sin(view.onsets))
    onset_s = np.concatenate(([0.0], np.cumsum(quarter_s * view.interval)))
    start_s = onset_s[view.group] + 0.01 * (view.pitch > 60)
    end_s = start_s + 0.5 * view.duration
    performance = Performance.from_arrays(
        onset_s=start_s, offset_s=end_s, pitch=one.notes["pitch"], velocity=one.notes["velocity"]
    )
    match = np.empty(len(one), np.int64)
    match[np.lexsort((one.notes["pitch"], start_s))] = np.arange(len(one))
    return performance, match, quarter_s


def test_features_have_a_finite_row_for_each_note_onset_beat_and_quarter_of_a_beat() -> None:
    one = score()
    view = View.of(one)
    found = tables(view)
    rows = {"notes": len(one), "onsets": 96, "beats": 24, "cells": 24 * CELLS}
    for name, table in found.items():
        assert table.values.shape == (rows[name], len(table.names)), name
        assert np.isfinite(table.values).all(), name
    assert view.downbeats.tolist() == [True, False, False] * 8


@pytest.mark.parametrize("notes", [1, 2, 3])
def test_features_of_the_shortest_scores(notes: int) -> None:
    one = Score.from_arrays(onset=np.arange(notes), duration=np.ones(notes), pitch=[60] * notes)
    assert all(np.isfinite(table.values).all() for table in tables(View.of(one)).values())
    assert np.isfinite(summary(View.of(one))).all()


def test_features_do_not_know_where_the_file_counts_from() -> None:
    """A transposed score has the same rhythm; a score without velocities is flat."""
    one = score()
    names = tables(View.of(one))["notes"].names
    flat = tables(View.of(one, np.zeros(len(one))))["notes"].values
    assert not flat[:, [names.index("loud"), names.index("onset_loud_spread")]].any()


def test_fields_of_a_performance_are_what_was_played() -> None:
    one = score()
    performance, match, quarter_s = performed(one)
    view = View.of(one)
    fields = field_values(view, performance, match)
    assert fields is not None and set(fields) == set(FIELDS)
    shift = 0.01 * np.bincount(view.group, view.pitch > 60) / view.count
    expected = np.log(quarter_s[:-1] + np.diff(shift) / view.interval[:-1])
    assert fields["interval"][:-1] == pytest.approx(expected, abs=1e-6)
    assert fields["velocity"] == pytest.approx(one.notes["velocity"])
    chord = view.count[view.group] > 1
    assert np.isnan(fields["offset"][~chord]).all()
    assert fields["offset"][chord & (view.pitch > 60)] == pytest.approx(0.01 * 2 / 3, abs=1e-6)
    assert np.isnan(fields["pedal"]).all()  # there is none


def test_fields_of_notes_that_were_not_played_are_not_known() -> None:
    one = score()
    performance, match, _ = performed(one)
    match[10] = -1
    fields = field_values(View.of(one), performance, match)
    assert fields is not None
    assert np.isnan(fields["velocity"][10]) and np.isnan(fields["articulate"][10])
    assert field_values(View.of(one), performance, np.full(len(one), -1)) is None


def test_noise_has_unit_variance_and_fades() -> None:
    at = np.arange(40_000) / 4
    drawn = noise(DRAW, at, np.arange(len(at)), np.random.default_rng(0))
    assert drawn.std() == pytest.approx(1, abs=0.03)
    near, far = (np.corrcoef(drawn[lag:], drawn[:-lag])[0, 1] for lag in (1, 16))
    expected = [0.4 * np.exp(-q / 0.5) + 0.2 * np.exp(-q / 8) for q in (0.25, 4)]
    assert [near, far] == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("freedom", [0.0, 0.25, 0.5, 1.0])
def test_draws_are_as_alike_as_freedom_says(freedom: float) -> None:
    rng = np.random.default_rng(0)
    mean, kept = rng.standard_normal(20_000), alike(DRAW, freedom)
    quantiles = np.linspace(-1, 1, 5)
    one, other = (mixed(mean, rng.standard_normal(20_000), kept, quantiles, 1) for _ in range(2))
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(kept, abs=0.04)
    assert np.quantile(one, [0, 0.25, 0.5, 1]) == pytest.approx([-1, -0.5, 0, 1], abs=0.01)


def test_a_mixture_is_moved_as_far_to_peoples_values_as_it_is_to_be() -> None:
    rng = np.random.default_rng(0)
    mean, drawn = 5 * rng.exponential(size=20_000), rng.standard_normal(20_000)
    quantiles = np.linspace(-1, 1, 5)
    own, half, people = (mixed(mean, drawn, 0.8, quantiles, share) for share in (0, 0.5, 1))
    even = (mean - mean.mean()) / mean.std()
    assert own == pytest.approx(np.sqrt(0.8) * even + np.sqrt(0.2) * drawn)
    assert half == pytest.approx((own + people) / 2)
    assert own.max() > 2 > 1.0001 > people.max()


def test_freedom_goes_from_one_playing_to_what_people_differ_by() -> None:
    assert [alike(DRAW, freedom) for freedom in (0, 0.5, 1)] == pytest.approx([1, 0.72, 0.6])


@pytest.fixture(scope="module")
def bundled() -> Interpreter:
    return load_interpreter()


def test_the_bundled_model_plays_every_note_the_same_for_the_same_seed(
    bundled: Interpreter,
) -> None:
    one = score()
    played = [bundled.interpret(one, freedom=0.5, seed=seed) for seed in (1, 1, 2)]
    assert all(isinstance(each, Interpretation) and each.fits(one) for each in played)
    assert (played[0].quarter_s == played[1].quarter_s).all()
    assert (played[0].velocity == played[1].velocity).all()
    assert (played[0].velocity != played[2].velocity).any()
    assert bundled.card["licence"] == "CC BY-NC-SA 4.0"


def test_without_freedom_the_seed_does_not_matter(bundled: Interpreter) -> None:
    one, other = (bundled.interpret(score(), freedom=0, seed=seed) for seed in (1, 2))
    for name in ("quarter_s", "offset_s", "velocity", "articulation", "pedal"):
        assert (getattr(one, name) == getattr(other, name)).all(), name


def test_kept_velocities_are_kept_and_shape_the_rest(bundled: Interpreter) -> None:
    one = score()
    kept = np.linspace(20, 110, len(one))
    played = bundled.interpret(one, freedom=0, seed=0, velocity=kept)
    assert (played.velocity == kept).all()
    assert (played.quarter_s != bundled.interpret(one, freedom=0, seed=0).quarter_s).any()


def test_it_refuses_what_it_cannot_play(bundled: Interpreter) -> None:
    empty = Score.from_arrays(onset=[], duration=[], pitch=[])
    with pytest.raises(ValueError, match="needs notes"):
        bundled.interpret(empty, freedom=0, seed=0)
    with pytest.raises(ValueError, match="freedom"):
        bundled.interpret(score(), freedom=2, seed=0)


def test_other_files_are_refused(tmp_path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"a\.onnx"):
        load_interpreter(tmp_path / "a.onnx")
    import importlib.resources

    seed = importlib.resources.files("espressivo") / "models" / "seed.onnx"
    with pytest.raises(ModelError, match="plays no scores"):
        Interpreter(seed.read_bytes(), "seed")
    pianist = importlib.resources.files("espressivo") / "models" / "score" / "pianist.onnx"
    with pytest.raises(ModelError, match="plays scores and nothing else"):
        Engine(pianist.read_bytes())


def test_draws_and_levels_are_of_fields() -> None:
    assert set(DRAWN) <= set(FIELDS) == set(ROWS)
    assert len(LEVELS) == 2 * len(DRAWN)
