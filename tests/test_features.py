import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espressivo import Performance
from espressivo.music.features import (
    FEATURES,
    chord_starts,
    measure,
    window,
)
from espressivo.music.performance import CONTROL_DTYPE, SOFT, SUSTAIN
from played import played
from strategies import performances

EMPTY = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])


def pedalled(*moves, notes=EMPTY):
    controls = np.array([(time_s, SUSTAIN, value) for time_s, value in moves], CONTROL_DTYPE)
    return Performance(notes.notes, controls)


def steady(period_s, onsets=80, late_s=None):
    """One note after another, each late by its own time."""
    onset_s = 0.2 + np.arange(onsets) * period_s + (0 if late_s is None else late_s)
    return Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.05, pitch=[60] * onsets, velocity=[64] * onsets
    )


@given(performances(), st.sampled_from([0.3, 1.0, 4.0, 30.0]))
def test_any_performance_gives_finite_values_within_what_is_possible(performance, seconds):
    features = measure(performance, seconds)
    assert list(features.values) == list(FEATURES)
    for name, values in features.values.items():
        assert values.ndim == 1
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert name == "melody" or (values >= 0).all(), name
        assert features.counts[name].sum() == len(values)
        assert not FEATURES[name].single or len(values) <= 1
    assert (features.values["pedal_down"] <= 1).all()


def test_a_silent_window_has_no_notes_but_its_silence():
    values = measure(EMPTY, 3.0).values
    assert values["density"].tolist() == [0, 0, 0]
    assert values["polyphony"].tolist() == [0] * 30
    assert values["pedal_down"].tolist() == values["pedal_changes"].tolist() == [0]
    for name in set(FEATURES) - {"density", "polyphony", "pedal_down", "pedal_changes"}:
        assert not len(values[name]), name


def test_a_window_of_one_note_has_neither_intervals_nor_a_range():
    values = measure(
        Performance.from_arrays(onset_s=[1.0], offset_s=[2.5], pitch=[61], velocity=[70]), 3.0
    ).values
    for name in ("inter_onset", "chord_spread", "beat_deviation", "dynamic_range", "melody"):
        assert not len(values[name]), name
    assert values["pitch_class"].tolist() == [1]
    assert values["duration"].tolist() == [1.5]
    assert values["velocity"].tolist() == [70]
    assert values["density"].tolist() == [0, 1, 0]
    assert values["polyphony"].sum() == 15


def test_notes_sound_as_long_as_the_pedal_holds_them_but_not_beyond_the_window():
    notes = Performance.from_arrays(
        onset_s=[0.0, 1.0], offset_s=[0.5, 1.5], pitch=[60, 62], velocity=[70, 70]
    )
    values = measure(pedalled((0.25, 127), (1.25, 0), notes=notes), 1.375).values
    assert values["duration"].tolist() == [1.25, 0.375]
    assert values["pedal_down"].tolist() == [1 / 1.375]
    assert values["pedal_changes"].tolist() == [2 / 1.375]


def test_only_crossing_the_threshold_changes_the_pedal():
    values = measure(pedalled((0, 63), (1, 64), (2, 100), (3, 63)), 4.0).values
    assert values["pedal_down"].tolist() == [0.5]
    assert values["pedal_changes"].tolist() == [0.5]


def test_chords_and_their_melody():
    onset_s = [0.0, 0.01, 0.02, 1.0, 2.0, 2.03, 2.06]
    pitch = [60, 72, 64, 60, 60, 64, 67]
    velocity = [50, 90, 60, 99, 40, 60, 65]
    p = Performance.from_arrays(
        onset_s=onset_s, offset_s=np.add(onset_s, 0.3), pitch=pitch, velocity=velocity
    )
    assert chord_starts(p.notes["onset_s"]).tolist() == [
        True,
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    values = measure(p, 3.0).values
    np.testing.assert_allclose(values["chord_spread"], [20, 60])
    np.testing.assert_allclose(values["melody"], [90 - 55, 65 - 50])
    np.testing.assert_allclose(values["inter_onset"], [0.01, 0.01, 0.98, 1.0, 0.03, 0.03])


@pytest.mark.parametrize("period_s", [0.125, 0.2, 0.31, 0.473])
def test_an_even_pulse_has_no_deviation_and_a_loose_one_has_its_own(period_s):
    assert measure(steady(period_s), 30.0).values["beat_deviation"].max() < 5
    late_s = np.random.default_rng(0).normal(0, 0.02, 80)
    loose = measure(steady(period_s, late_s=late_s), 30.0).values["beat_deviation"]
    assert 8 < np.mean(loose) < 16.5  # 16 would be the mean distance from the true beat


def test_the_pulse_is_local():
    onset_s = np.concatenate([3 * n + np.arange(0.1, 2.9, 0.19 + 0.03 * n) for n in range(8)])
    freely = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s,
        pitch=np.full(len(onset_s), 60),
        velocity=[64] * len(onset_s),
    )
    assert measure(freely, 24.0).values["beat_deviation"].max() < 5


def test_a_window_has_what_begins_in_it_and_the_state_of_the_pedals():
    performance = Performance(
        played(0).notes,
        np.array(
            [(0.5, SUSTAIN, 90), (1.0, SUSTAIN, 10), (1.5, SOFT, 127), (4.0, SUSTAIN, 70)],
            CONTROL_DTYPE,
        ),
    )
    cut = window(performance, 2.0, 3.0)
    onset_s = performance.notes["onset_s"]
    inside = performance.notes[(onset_s >= 2) & (onset_s < 5)]
    np.testing.assert_allclose(cut.notes["onset_s"], inside["onset_s"] - 2)
    np.testing.assert_allclose(cut.notes["offset_s"], np.minimum(inside["offset_s"], 5) - 2)
    assert cut.controls.tolist() == [(0.0, SUSTAIN, 10), (0.0, SOFT, 127), (2.0, SUSTAIN, 70)]
    assert len(window(performance, performance.seconds + 1, 3.0)) == 0


def test_values_beyond_the_edges_count_in_the_outer_bins():
    counts = FEATURES["inter_onset"].count(np.array([0.0, 1e9]))
    assert counts[0] == counts[-1] == 1
    assert FEATURES["pitch"].count(np.array([21.0, 108.0, 127.0]))[[0, -1]].tolist() == [1, 2]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_pitch_classes_and_polyphony_are_those_of_muspy():
    muspy = pytest.importorskip("muspy", reason="a peer: pip install 'espressivo[peers]'")
    rng = np.random.default_rng(0)
    rows = []  # onset and duration in tenths of a second, pitch; one pitch never overlaps itself
    for pitch in rng.choice(np.arange(30, 100), 25, replace=False):
        starts = np.cumsum(rng.integers(3, 40, 20))
        lengths = rng.integers(1, np.diff(starts, append=starts[-1] + 9) + 1)
        rows += [(int(t), int(d), int(pitch)) for t, d in zip(starts, lengths, strict=True)]
    theirs = muspy.Music(
        resolution=10, tracks=[muspy.Track(notes=[muspy.Note(t, p, d) for t, d, p in rows])]
    )
    start, length, pitch = np.array(rows).T
    ours = Performance.from_arrays(
        onset_s=start / 10, offset_s=(start + length) / 10, pitch=pitch, velocity=[64] * len(rows)
    )
    values = measure(ours, ours.seconds).values
    assert len(np.unique(values["pitch"])) == muspy.n_pitches_used(theirs)
    assert len(np.unique(values["pitch_class"])) == muspy.n_pitch_classes_used(theirs)
    assert np.ptp(values["pitch"]) == muspy.pitch_range(theirs)
    shares = np.bincount(values["pitch_class"].astype(int)) / len(rows)
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    assert entropy == pytest.approx(muspy.pitch_class_entropy(theirs))
    polyphony = values["polyphony"]
    assert polyphony[polyphony > 0].mean() == pytest.approx(muspy.polyphony(theirs))
