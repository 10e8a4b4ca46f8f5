import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from espressivo import Performance
from espressivo.codes import VELOCITY, vocabulary
from espressivo.data.augment import (
    Augmentation,
    louder,
    stretch,
    transpose,
)
from espressivo.music.performance import CONTROL_DTYPE
from played import played
from strategies import performances

V = vocabulary("seed")
PEDAL = vocabulary("pedal")
NOTES = vocabulary("notes")
FIELDS = st.floats(0.5, 1.5)


def notes_of(performance):
    """Notes by pitch and time, so that two performances can be compared note by note."""
    return np.sort(performance.notes, order=["pitch", "onset_s", "offset_s"])


@pytest.mark.parametrize("v", [V, NOTES], ids=lambda v: v.name)
@given(performance=performances(), semitones=st.integers(-24, 24))
def test_transposing_moves_every_note_alike_or_back_by_octaves(v, performance, semitones):
    ids = v.encode(performance)
    moved = transpose(ids, semitones, v)
    before, after = v.decode(ids).notes, v.decode(moved).notes
    wanted = before["pitch"].astype(int) + semitones
    if ((wanted >= v.lowest_pitch) & (wanted <= v.highest_pitch)).all():
        assert (v.kinds[moved] == v.kinds[ids]).all()
        assert (after["pitch"] == wanted).all()
        for name in ("onset_s", "offset_s", "velocity"):
            assert (before[name] == after[name]).all()
        return
    octaves = [
        next(p for k in range(9) for p in (w - 12 * k, w + 12 * k) if lowest <= p <= highest)
        for lowest, highest in [(v.lowest_pitch, v.highest_pitch)]
        for w in wanted.tolist()
    ]
    keys = set(zip(before["onset_s"], octaves, strict=True))
    assert set(zip(after["onset_s"], after["pitch"], strict=True)) == keys
    if v.notewise:
        assert v.encode(v.decode(moved)).tolist() == moved.tolist()


def test_a_note_that_leaves_the_keyboard_leaves_the_others_their_choice():
    p = Performance.from_arrays(
        onset_s=[0, 0, 1, 2],
        offset_s=[1, 1, 2, 3],
        pitch=[21, 33, 30, 40],
        velocity=[20, 90, 60, 60],
    )
    moved = NOTES.decode(transpose(NOTES.encode(p), -6, NOTES))
    # 21 would be 15, and comes back to 27; 33 is there already, and is the one that is kept.
    assert moved.notes["pitch"].tolist() == [27, 24, 34]
    assert moved.notes["velocity"].tolist() == [90, 58, 58]


def test_transposing_never_changes_its_input():
    ids = V.encode(played(0))
    kept = ids.copy()
    transpose(ids, 3, V)
    stretch(ids, 1.05, V)
    louder(ids, 1, V)
    assert (ids == kept).all()


@pytest.mark.parametrize("v", [V, NOTES], ids=lambda v: v.name)
@given(performance=performances(), bins=st.integers(-16, 16))
def test_louder_moves_every_loudness_within_the_range_and_nothing_else(v, performance, bins):
    before = v.decode(v.encode(performance)).notes
    moved = louder(v.encode(performance), bins, v)
    after = v.decode(moved).notes
    for name in ("onset_s", "offset_s", "pitch"):
        assert (after[name] == before[name]).all()
    wanted = np.clip(v.velocity_bins[before["velocity"]] + bins, 0, v.counts[VELOCITY] - 1)
    assert (v.velocity_bins[after["velocity"]] == wanted).all()
    loudness = moved[v.kinds[moved] == VELOCITY]
    assert v.notewise or np.diff(loudness).all()  # none stands twice


@given(performances(), FIELDS)
@example(performance=played(1), factor=0.5)
def test_stretching_keeps_the_order_of_events_and_every_note(performance, factor):
    for v in (V, PEDAL):
        ids = v.encode(performance)
        stretched = stretch(ids, factor, v)
        shift = v.kinds == 2
        assert (stretched[~shift[stretched]] == ids[~shift[ids]]).all()
        before, after = notes_of(v.decode(ids)), notes_of(v.decode(stretched))
        assert len(before) == len(after)
        assert (after["offset_s"] > after["onset_s"]).all()
        assert (before["pitch"] == after["pitch"]).all()


@given(performances(), FIELDS)
@example(performance=played(1), factor=0.5)
def test_stretching_a_code_of_notes_rounds_and_loses_no_note(performance, factor):
    ids = NOTES.encode(performance)
    before = notes_of(NOTES.decode(ids))
    after = notes_of(NOTES.decode(stretch(ids, factor, NOTES)))
    assert (before["pitch"] == after["pitch"]).all()
    assert sorted(before["velocity"]) == sorted(after["velocity"])
    error = {name: np.abs(after[name] - before[name] * factor) for name in ("onset_s", "offset_s")}
    assert error["onset_s"].max(initial=0) < 0.005 + 1e-9
    shortest = after["offset_s"] - after["onset_s"] < 0.015
    assert (shortest | (error["offset_s"] < 0.005 + 1e-9)).all()


def test_stretching_a_code_of_notes_moves_the_pedal():
    controls = np.array([(0.1, 64, 127), (1.5, 64, 0)], CONTROL_DTYPE)
    p = Performance.from_arrays(
        onset_s=[0.0], offset_s=[30.0], pitch=[60], velocity=[64], controls=controls
    )
    slower = NOTES.decode(stretch(NOTES.encode(p), 1.05, NOTES))
    assert slower.controls["time_s"].tolist() == [0.11, 1.58]
    assert slower.notes["offset_s"].tolist() == [20.48]  # the longest, as before


@given(st.integers(0, 50), st.sampled_from([0.95, 0.975, 1.025, 1.05]))
def test_times_scale_from_the_beginning_and_never_drift(piece, factor):
    ids = V.encode(played(piece))
    before, after = V.decode(ids), V.decode(stretch(ids, factor, V))
    # Rounding costs half a step; keeping successive steps apart, a few more where notes crowd.
    assert np.abs(after.notes["onset_s"] - before.notes["onset_s"] * factor).max() <= 0.03
    assert after.seconds == pytest.approx(before.seconds * factor, abs=0.03)


@given(performances())
def test_a_factor_of_one_changes_nothing(performance):
    for v in (V, PEDAL, NOTES):
        ids = v.encode(performance)
        assert stretch(ids, 1.0, v).tolist() == ids.tolist()


@pytest.mark.parametrize("v", [V, NOTES], ids=lambda v: v.name)
def test_the_phase_decides_where_grid_steps_are_gained(v):
    onset_s = np.arange(40) / 100
    p = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.01, pitch=40 + np.arange(40), velocity=np.full(40, 60)
    )
    gained = set()
    for phase in (0.0, 0.3, 0.6, 0.99):
        step = np.round(v.decode(stretch(v.encode(p), 1.05, v, phase)).notes["onset_s"] * 100)
        assert (step == np.floor(np.arange(40) * 1.05 + phase + 1e-9)).all()
        gained.add(tuple(np.flatnonzero(np.diff(step) == 2)))
    assert len(gained) == 4


def test_lists_without_notes():
    nothing = np.empty(0, np.int32)
    only_time = np.array([V.first[2] + 99], np.int32)
    assert len(transpose(nothing, 3, V)) == len(stretch(nothing, 1.05, V)) == 0
    assert (transpose(only_time, 3, V) == only_time).all()
    assert len(stretch(only_time, 1.05, V)) == 0


def test_an_augmentation_draws_every_transposition_and_five_stretches():
    performance = played(2, notes=60)
    ids = V.encode(performance)
    lowest, last_s = int(performance.notes["pitch"].min()), V.decode(ids).seconds
    augmentation = Augmentation(semitones=4, stretch=0.05)
    drawn = [V.decode(augmentation(ids, V, np.random.default_rng(n))) for n in range(300)]
    assert {int(p.notes["pitch"].min()) - lowest for p in drawn} == set(range(-4, 5))
    assert {round(40 * (p.seconds / last_s - 1)) for p in drawn} == {-2, -1, 0, 1, 2}


def test_an_augmentation_draws_every_loudness():
    ids = V.encode(played(2, notes=60))
    loudness = V.kinds[ids] == VELOCITY
    augmentation = Augmentation(semitones=0, stretch=0.0, loudness=2)
    drawn = [augmentation(ids, V, np.random.default_rng(n)) for n in range(100)]
    assert {int((d - ids)[loudness][0]) for d in drawn} == {-2, -1, 0, 1, 2}


def test_the_generator_alone_decides():
    ids = V.encode(played(3))
    augmentation = Augmentation()
    one, same, other = (augmentation(ids, V, np.random.default_rng(n)) for n in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()


def test_no_augmentation_changes_nothing():
    ids = V.encode(played(4))
    unchanged = Augmentation(semitones=0, stretch=0.0, loudness=0)(ids, V, np.random.default_rng(0))
    assert (unchanged == ids).all()


@pytest.mark.parametrize(
    "wrong", [{"semitones": -1}, {"semitones": 25}, {"stretch": 0.5}, {"loudness": -1}]
)
def test_ranges_are_checked(wrong):
    with pytest.raises(ValueError, match="must be"):
        Augmentation(**wrong)
