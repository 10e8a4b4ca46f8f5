import dataclasses

import numpy as np
import pytest

from espressivo.codes import NOTE_ON, TIME_SHIFT, VELOCITY, vocabulary
from espressivo.codes.controls import (
    CONTROLS,
    SIZE,
    Controls,
    composer_of,
    controls_within,
    dropped,
    key,
    measured,
)
from espressivo.errors import GenerationError
from espressivo.music.performance import Performance
from played import played

V = vocabulary("maestro")
DENSITY, LOUDNESS, PITCHES = slice(0, 8), slice(8, 16), slice(16, 28)
PACE, COMPOSER = slice(28, 36), slice(36, 50)
PARTS = (DENSITY, LOUDNESS, PITCHES, PACE, COMPOSER)


def steady(per_second, velocity=60, pitches=(60,), seconds=30):
    """Notes at a steady pace, through some pitches in turn."""
    count = per_second * seconds
    onset = np.arange(count) / per_second
    return V.encode(
        Performance.from_arrays(
            onset_s=onset,
            offset_s=onset + 0.05,
            pitch=np.resize(pitches, count),
            velocity=np.full(count, velocity),
        )
    )


def test_what_is_measured_is_what_would_be_asked():
    ids = steady(6, velocity=61, pitches=(60, 64, 67))
    numbers = measured(ids, V)
    assert numbers.shape == (len(ids), SIZE)
    asked = Controls(
        density=6, loudness=61, pitch_weights=np.bincount([0, 4, 7], minlength=12), onset_rate=6
    )
    np.testing.assert_allclose(numbers[0], asked.numbers(), atol=0.02)
    np.testing.assert_allclose(numbers[len(ids) // 2], asked.numbers(), atol=0.02)


def test_what_follows_is_measured_and_not_what_came_before():
    soft, loud = steady(4, velocity=31, seconds=20), steady(12, velocity=93, seconds=20)
    whole = np.concatenate((soft, loud))
    numbers = measured(whole, V)
    at = len(soft)
    np.testing.assert_allclose(
        numbers[at, DENSITY], Controls(density=12).numbers()[DENSITY], atol=0.1
    )
    np.testing.assert_array_equal(numbers[at:], measured(loud, V))


def struck(steps, pitches, v=V, velocities=None):
    """Short notes at some steps of the grid, as ids."""
    onset = np.array(steps) / v.steps_per_second
    velocities = [60] * len(steps) if velocities is None else velocities
    return v.encode(
        Performance.from_arrays(
            onset_s=onset, offset_s=onset + 0.01, pitch=pitches, velocity=velocities
        )
    )


@pytest.mark.parametrize("v", [V, dataclasses.replace(V, name="coarse", steps_per_second=25)])
@pytest.mark.parametrize("begin", [0, 3])
def test_density_loudness_and_onset_rate_look_five_seconds_ahead(v, begin):
    end = begin + 5 * v.steps_per_second
    for last, count, loudness in ((end - 1, 2, 61), (end, 1, 21)):
        ids = struck([begin, last], [60, 62], v, [21, 101])
        at = np.flatnonzero(v.kinds[ids] != TIME_SHIFT)[0]  # where the first note is to begin
        expected = Controls(density=count / 5, onset_rate=count / 5, loudness=loudness).numbers()
        for part in (DENSITY, LOUDNESS, PACE):
            np.testing.assert_allclose(measured(ids, v)[at, part], expected[part], atol=1e-6)


@pytest.mark.parametrize("v", [V, dataclasses.replace(V, name="coarse", steps_per_second=25)])
@pytest.mark.parametrize("begin", [0, 3])
def test_pitches_are_those_of_the_next_ten_seconds(v, begin):
    end = begin + 10 * v.steps_per_second
    for last, weights in ((end - 1, [1, 0, 1]), (end, [1, 0, 0])):
        ids = struck([begin, last], [60, 62], v)
        at = np.flatnonzero(v.kinds[ids] != TIME_SHIFT)[0]
        expected = Controls(pitch_weights=(*weights, *[0] * 9)).numbers()[PITCHES]
        np.testing.assert_allclose(measured(ids, v)[at, PITCHES], expected)


def test_a_window_begins_with_the_event_and_not_before_it():
    ids = struck([0, 100], [60, 62])
    count = [
        (measured(ids, V)[at, DENSITY] * [0, 2, 4, 6, 9, 13, 18, 25]).sum() * 5 for at in (0, 1, 2)
    ]
    assert V.kinds[ids[:3]].tolist() == [VELOCITY, NOTE_ON, TIME_SHIFT]
    np.testing.assert_allclose(count, [2, 2, 1], atol=1e-6)


@pytest.mark.parametrize(("apart", "onsets"), [(0, 1), (3, 1), (4, 2)])
def test_notes_up_to_35_ms_apart_are_one_onset(apart, onsets):
    numbers = measured(struck([0, apart], [60, 64]), V)[0]
    expected = Controls(density=2 / 5, onset_rate=onsets / 5).numbers()
    np.testing.assert_allclose(numbers[PACE], expected[PACE], atol=1e-6)
    np.testing.assert_allclose(numbers[DENSITY], expected[DENSITY], atol=1e-6)


def test_a_window_that_begins_within_a_chord_has_its_rest_as_an_onset():
    ids = struck([0, 3, 100], [60, 64, 67])
    second = np.flatnonzero(V.kinds[ids] == NOTE_ON)[1]
    numbers = measured(ids, V)[second]
    expected = Controls(density=2 / 5, onset_rate=2 / 5).numbers()
    np.testing.assert_allclose(numbers[PACE], expected[PACE], atol=1e-6)
    np.testing.assert_allclose(numbers[DENSITY], expected[DENSITY], atol=1e-6)


def test_where_no_note_follows_there_is_neither_loudness_nor_pitch():
    numbers = measured(steady(2)[-1:], V)
    np.testing.assert_array_equal(numbers[0, DENSITY], Controls(density=0).numbers()[DENSITY])
    assert not numbers[0, LOUDNESS].any()
    assert not numbers[0, PITCHES].any()
    assert measured(np.empty(0, np.int32), V).shape == (0, SIZE)


def test_a_chord_is_one_onset():
    onset = np.repeat(np.arange(40) / 2, 3) + np.tile([0, 0.02, 0.04], 40)  # twice a second
    pitch = np.tile([60, 64, 67], 40)
    ids = V.encode(
        Performance.from_arrays(
            onset_s=onset, offset_s=onset + 0.1, pitch=pitch, velocity=np.full(120, 64)
        )
    )
    numbers = measured(ids, V)
    np.testing.assert_allclose(numbers[0, PACE], Controls(onset_rate=2).numbers()[PACE], atol=0.01)
    np.testing.assert_allclose(numbers[0, DENSITY], Controls(density=6).numbers()[DENSITY])


def test_a_code_of_notes_measures_what_a_code_of_events_does():
    pedal, notes = vocabulary("pedal"), vocabulary("notes")
    p = played(5)
    events, written = pedal.encode(p), notes.encode(p)
    # Right after a note, both codes have said as much, and the next event or step begins there.
    after = np.flatnonzero(pedal.kinds[events] == NOTE_ON) + 1
    steps = np.flatnonzero(notes.kinds[written] == TIME_SHIFT)
    struck = np.flatnonzero(notes.kinds[written] == NOTE_ON)
    following = steps[np.searchsorted(steps, struck)]
    of_events, of_notes = measured(events, pedal), measured(written, notes)
    np.testing.assert_allclose(of_notes[following], of_events[after], atol=1e-6)
    np.testing.assert_allclose(of_notes[0], of_events[0], atol=1e-6)


def test_the_composer_is_told():
    ids = steady(2)
    assert not measured(ids, V)[:, COMPOSER].any()
    told = measured(ids, V, "Chopin")
    np.testing.assert_array_equal(told[:, COMPOSER].sum(axis=1), 1)
    np.testing.assert_array_equal(
        told[0, COMPOSER], Controls(composer="chopin").numbers()[COMPOSER]
    )


@pytest.mark.parametrize(
    ("composition", "composer"),
    [
        ("Franz Schubert | Impromptu", "Schubert"),
        ("Bach | Fugue", "Bach"),
        ("Franz Schubert / Franz Liszt | Erlkönig", None),
        ("Alban Berg | Sonata", None),
        ("Bach", None),
        (" | Bach", None),
        ("", None),
    ],
)
def test_who_wrote_it(composition, composer):
    assert composer_of(composition) == composer


@pytest.mark.parametrize(
    ("asked", "part", "expected"),
    [
        ({}, slice(None), 0),
        ({"density": 0}, DENSITY, [1, 0, 0, 0, 0, 0, 0, 0]),
        ({"density": 3}, DENSITY, [0, 0.5, 0.5, 0, 0, 0, 0, 0]),
        ({"density": 1000}, DENSITY, [0, 0, 0, 0, 0, 0, 0, 1]),
        ({"loudness": 1}, LOUDNESS, [1, 0, 0, 0, 0, 0, 0, 0]),
        ({"loudness": 57}, LOUDNESS, [0, 0, 0, 0.5, 0.5, 0, 0, 0]),
        ({"pitch_weights": [2] * 12}, PITCHES, 1 / 12),
        ({"onset_rate": 5.5}, PACE, [0, 0, 0, 0, 0.5, 0.5, 0, 0]),
        ({"composer": "bach"}, COMPOSER, [1] + [0] * 13),
    ],
)
def test_numbers(asked, part, expected):
    numbers = Controls(**asked).numbers()
    np.testing.assert_allclose(numbers[part], np.broadcast_to(expected, numbers[part].shape))
    numbers[part] = 0
    assert not numbers.any()


@pytest.mark.parametrize(
    ("name", "part", "knots"),
    [
        ("density", DENSITY, [0, 2, 4, 6, 9, 13, 18, 25]),
        ("loudness", LOUDNESS, [20, 32, 42, 52, 62, 72, 82, 95]),
        ("onset_rate", PACE, [0, 1, 2, 3, 4.5, 6.5, 9, 13]),
    ],
)
def test_each_knot_has_a_number_of_its_own(name, part, knots):
    numbers = [Controls(**{name: knot}).numbers()[part] for knot in knots]
    np.testing.assert_array_equal(numbers, np.eye(8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"density": -1},
        {"density": float("nan")},
        {"loudness": 0},
        {"loudness": 128},
        {"pitch_weights": [1] * 11},
        {"pitch_weights": [0] * 12},
        {"pitch_weights": [1] * 11 + [-1]},
        {"onset_rate": -1},
        {"onset_rate": float("inf")},
        {"composer": "Nobody"},
    ],
)
def test_what_cannot_be_asked(wrong):
    with pytest.raises(GenerationError, match=next(iter(wrong))):
        Controls(**wrong)


@pytest.mark.parametrize(
    "fits",
    [
        {"density": 0},
        {"density": 1e9},
        {"loudness": 1},
        {"loudness": 127},
        {"pitch_weights": [0] * 11 + [1e-9]},
        {"onset_rate": 0},
        {"onset_rate": 1e9},
        {"composer": "RAVEL"},
    ],
)
def test_what_is_just_within_bounds_can_be_asked(fits):
    assert Controls(**fits).numbers().sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"density": np.nextafter(0, -1)},
        {"density": float("inf")},
        {"loudness": np.nextafter(1, 0)},
        {"loudness": np.nextafter(127, 128)},
        {"loudness": float("nan")},
        {"pitch_weights": [1] * 13},
        {"pitch_weights": [1] * 11 + [np.nextafter(0, -1)]},
        {"pitch_weights": [1] * 11 + [float("inf")]},
        {"pitch_weights": [1] * 11 + [float("nan")]},
        {"onset_rate": np.nextafter(0, -1)},
    ],
)
def test_what_is_just_out_of_bounds_cannot_be_asked(wrong):
    test_what_cannot_be_asked(wrong)


def test_each_control_is_dropped_by_itself_and_all_of_them_half_of_the_time():
    numbers = np.ones((3, SIZE), np.float32)
    rng = np.random.default_rng(0)
    kept = [
        tuple(bool(some[:, part].all()) for part in PARTS)
        for some in (dropped(numbers, rng) for _ in range(4000))
    ]
    assert (numbers == 1).all()
    none = kept.count((False,) * len(PARTS)) / len(kept)
    assert abs(none - (0.5 + 0.5 / 2 ** len(PARTS))) < 0.03
    for place in range(len(PARTS)):
        assert abs(np.mean([each[place] for each in kept]) - 0.25) < 0.03


@pytest.mark.parametrize(
    ("name", "tonic", "third", "outside"),
    [("C major", 0, 4, 3), ("f# Minor", 6, 9, 10), ("Bb major", 10, 2, 1), ("Cb major", 11, 3, 2)],
)
def test_keys(name, tonic, third, outside):
    weights = key(name)
    assert len(weights) == 12
    assert weights[tonic] == max(weights)
    assert weights[third] > 10 * weights[outside] or name == "f# Minor"
    assert sum(weights) == pytest.approx(1, abs=0.01)
    Controls(pitch_weights=weights)


@pytest.mark.parametrize("name", ["", "H major", "c", "C dorian", "C## major", "major C"])
def test_what_is_not_a_key(name):
    with pytest.raises(GenerationError, match="not a key"):
        key(name)


def test_earlier_models_read_the_controls_that_there_were():
    assert controls_within(0) == () and controls_within(SIZE) == CONTROLS
    assert controls_within(36) == CONTROLS[:4]  # without the composers
    for size in (-1, 1, 37, SIZE + 1):
        with pytest.raises(ValueError, match=f"{size} controls"):
            controls_within(size)
