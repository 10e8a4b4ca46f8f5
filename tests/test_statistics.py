import csv
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from espressivo import Performance, read
from espressivo.evaluation.references import FLAT_VELOCITY, GRID_S, flat
from espressivo.evaluation.statistics import ceiling, compare
from espressivo.music.features import FEATURES, measure, windows
from played import played
from strategies import performances

SECONDS = 10.0
EXPRESSION = ("inter_onset", "velocity", "chord_spread", "beat_deviation", "dynamic_range")


@pytest.fixture(scope="module")
def human():
    pieces = [played(piece, notes=300) for piece in range(24)]
    return windows(pieces, SECONDS, np.random.default_rng(0))


def measured(performances):
    return [measure(performance, SECONDS) for performance in performances]


def test_windows_are_of_equal_length_from_every_piece_and_reproduce():
    pieces = [played(piece) for piece in range(3)]
    cut = windows(pieces, SECONDS, np.random.default_rng(7), each=4)
    assert len(cut) == 12
    assert all(one.seconds <= SECONDS and len(one) for one in cut)
    assert cut == windows(pieces, SECONDS, np.random.default_rng(7), each=4)
    assert cut != windows(pieces, SECONDS, np.random.default_rng(8), each=4)
    for number, one in enumerate(cut):
        ours = np.round(np.diff(one.notes["onset_s"]), 9).tobytes()
        assert ours in np.round(np.diff(pieces[number // 4].notes["onset_s"]), 9).tobytes()


def test_a_piece_shorter_than_a_window_is_taken_whole():
    short = Performance.from_arrays(
        onset_s=[0.0, 1.0], offset_s=[0.5, 2.0], pitch=[60, 62], velocity=[64, 64]
    )
    assert windows([short], SECONDS, np.random.default_rng(0), each=2) == [short, short]


@given(performances())
def test_what_is_flat_lies_on_the_grid_without_expression(performance):
    one = flat(performance)
    notes = one.notes
    assert set(notes["pitch"]) == set(performance.notes["pitch"])
    assert not len(one.controls)
    assert (notes["velocity"] == FLAT_VELOCITY).all()
    assert (notes["onset_s"] % GRID_S == 0).all()
    assert (notes["offset_s"] % GRID_S == 0).all()
    assert (notes["offset_s"] >= notes["onset_s"] + GRID_S).all()
    assert len(np.unique(np.stack((notes["onset_s"], notes["pitch"])), axis=1).T) == len(notes)
    assert flat(one) == one


def test_of_equal_notes_on_the_grid_the_longest_remains():
    twice = Performance.from_arrays(
        onset_s=[0.0, 0.02, 0.03], offset_s=[0.25, 1.5, 0.5], pitch=[60] * 3, velocity=[80] * 3
    )
    assert flat(twice) == Performance.from_arrays(
        onset_s=[0.0], offset_s=[1.5], pitch=[60], velocity=[FLAT_VELOCITY]
    )


def test_the_same_set_is_at_the_top_of_every_scale(human):
    features = measured(human)
    for name, one in compare(features, features).items():
        assert one.pooled_overlap == pytest.approx(1), name
        assert one.pooled_divergence == pytest.approx(0), name
        assert one.overlap > 0.94, name  # the distances from each window to itself are 0
        assert one.divergence < 0.05, name


def test_flat_playing_is_far_below_the_ceiling_in_expression_and_at_it_in_pitch(human):
    features = measured(human)
    pieces = [str(number) for number in range(len(human))]
    top = ceiling(features, pieces, np.random.default_rng(0), splits=10)
    floor = compare(measured(map(flat, human)), features)
    for name in EXPRESSION:
        assert top[name].mean.overlap > 0.8, name
        assert floor[name].overlap < 0.5, name
        assert top[name].mean.pooled_overlap > floor[name].pooled_overlap + 0.3, name
        assert top[name].mean.divergence < floor[name].divergence, name
        assert top[name].mean.pooled_divergence < floor[name].pooled_divergence, name
    assert floor["pitch"].overlap > 0.9


def test_one_piece_never_stands_in_both_halves(human):
    # Two pieces, each twelve times the same window: any half is one of them, whole.
    features = measured([human[0]] * 12 + [human[1]] * 12)
    apart = ceiling(features, ["a"] * 12 + ["b"] * 12, np.random.default_rng(0), splits=4)
    assert apart["velocity"].mean.overlap < 0.01
    mixed = ceiling(features, list(map(str, range(24))), np.random.default_rng(0), splits=4)
    assert mixed["velocity"].mean.overlap > 0.5


@pytest.mark.parametrize("name", ["velocity", "dynamic_range"])
def test_figures_are_those_of_the_paper_by_scipy(human, name):
    stats, integrate = pytest.importorskip("scipy.stats"), pytest.importorskip("scipy.integrate")
    ours, theirs = measured(human[:10]), measured(human[10:])

    def point(one):
        return (
            one.values[name] if FEATURES[name].single else one.counts[name] / len(one.values[name])
        )

    inter = [np.linalg.norm(point(a) - point(b)) for a in ours for b in theirs]
    intra = [np.linalg.norm(point(a) - point(b)) for a, b in combinations(theirs, 2)]
    between, within = stats.gaussian_kde(inter), stats.gaussian_kde(intra)
    span = (-2 * max(inter + intra), 3 * max(inter + intra))
    overlap, _ = integrate.quad(lambda x: min(between(x)[0], within(x)[0]), *span, limit=200)
    x = np.linspace(*span, 4000)
    divergence = stats.entropy(within(x) + 1e-12, between(x) + 1e-12)
    found = compare(ours, theirs)[name]
    assert found.overlap == pytest.approx(overlap, abs=2e-3)
    assert found.divergence == pytest.approx(divergence, abs=2e-3)


def test_silence_and_single_notes_are_compared_with_finite_figures(human):
    silent = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    single = [
        Performance.from_arrays(onset_s=[t], offset_s=[t + 1], pitch=[60], velocity=[64])
        for t in (0.0, 1.0, 12.0)
    ]
    sets = [measured(one) for one in ([], [silent], [silent] * 3, single, [silent, *human[:3]])]
    for ours in sets:
        for theirs in sets:
            found = compare(ours, theirs)
            assert not found or (ours and len(theirs) >= 3)
            for one in found.values():
                assert 0 <= one.overlap < 1 + 1e-9
                assert 0 <= one.pooled_overlap < 1 + 1e-9
                assert 0 <= one.divergence < 25
                assert 0 <= one.pooled_divergence < 25
    assert compare(sets[2], sets[2]).keys() == {"density", "polyphony"}


def test_the_pedal_counts_only_where_one_side_has_it(human):
    features, without = measured(human), measured([one.sustained() for one in human])
    assert "pedal_down" in compare(features, features)
    assert compare(without, features)["pedal_down"].pooled_overlap < 0.5
    assert not {"pedal_down", "pedal_changes"} & compare(without, without).keys()


@pytest.mark.slow
def test_human_playing_reaches_the_ceiling_and_the_flat_one_does_not():
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (folder / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "validation"]
    pieces = [f"{row['canonical_composer']} | {row['canonical_title']}" for row in rows]
    performances = [read(folder / row["midi_filename"]) for row in rows]
    cut = windows(performances, 30.0, np.random.default_rng(0))
    human = [measure(one, 30.0) for one in cut]
    top = ceiling(human, pieces, np.random.default_rng(0), splits=20)
    floor = compare([measure(flat(one), 30.0) for one in cut], human)
    assert top.keys() == FEATURES.keys()
    for name in FEATURES:
        assert top[name].mean.overlap > 0.93, name
        assert top[name].mean.divergence < 0.03, name
    for name in (*EXPRESSION, "duration", "melody"):
        assert floor[name].overlap < 0.5, name
        assert floor[name].pooled_overlap < 0.4, name
