import pickle

import numpy as np
import pytest
from hypothesis import given

from espressivo import Performance
from espressivo.music.performance import (
    CONTROL_DTYPE,
    NOTE_DTYPE,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
)
from strategies import performances


def notes(*rows):
    """Rows of onset_s, offset_s, pitch, velocity."""
    return np.array(list(rows), NOTE_DTYPE)


def pedals(*rows):
    """Rows of time_s and value of the sustain pedal."""
    return np.array([(time_s, SUSTAIN, value) for time_s, value in rows], CONTROL_DTYPE)


def ends(performance):
    return performance.notes["offset_s"].tolist()


@pytest.mark.parametrize(
    "row",
    [
        (-0.1, 1, 60, 64),
        (2, 1, 60, 64),
        (np.nan, 1, 60, 64),
        (0, np.nan, 60, 64),
        (0, np.inf, 60, 64),
        (0, 1, 128, 64),
        (0, 1, 60, 0),
        (0, 1, 60, 128),
    ],
)
def test_notes_out_of_range_are_refused(row):
    good = (0, 1, 60, 64)
    for rows in ([row], [good, row], [row, good]):
        with pytest.raises(ValueError, match="must be"):
            Performance(notes(*rows))


@pytest.mark.parametrize(
    "row",
    [(-1, 64, 0), (np.nan, 64, 0), (np.inf, 64, 0), (0, 128, 0), (0, 64, 128)],
)
def test_controls_out_of_range_are_refused(row):
    good = (0, 64, 0)
    for rows in ([row], [good, row], [row, good]):
        with pytest.raises(ValueError, match="must be"):
            Performance(notes(), np.array(rows, CONTROL_DTYPE))


@pytest.mark.parametrize("field", ["pitch", "velocity"])
@pytest.mark.parametrize("value", [-1, 128, 256 + 60])
def test_values_that_would_wrap_around_are_refused(field, value):
    fields = {"onset_s": [0], "offset_s": [1], "pitch": [60], "velocity": [64], field: [value]}
    with pytest.raises(ValueError, match="must be"):
        Performance.from_arrays(**fields)


def test_bounds_are_inclusive():
    rows = [(0.0, 0.0, 0, 1), (0.0, 5.0, 127, 127)]
    performance = Performance(notes(*rows), np.array([(0, 0, 0), (9, 127, 127)], CONTROL_DTYPE))
    assert performance.notes.tolist() == rows
    assert performance.seconds == 9


def test_notes_are_sorted_by_onset_then_pitch_and_equal_ones_keep_their_order():
    rows = [(1, 2, 60, 1), (0, 3, 70, 2), (1, 4, 50, 3), (0, 1, 70, 4), (0, 2, 40, 5)]
    performance = Performance(notes(*rows))
    assert performance.notes["velocity"].tolist() == [5, 2, 4, 3, 1]
    chord = Performance(notes((0, 1, 64, 1), (0, 1, 60, 2), (1, 2, 50, 3)))
    assert chord.notes["velocity"].tolist() == [2, 1, 3]


def test_controls_are_sorted_by_time_and_simultaneous_ones_keep_their_order():
    rows = [(1, SOFT, 1), (0, SUSTAIN, 2), (1, SUSTAIN, 3), (0, SOSTENUTO, 4)]
    performance = Performance(notes(), np.array(rows, CONTROL_DTYPE))
    assert performance.controls["value"].tolist() == [2, 4, 1, 3]


@given(performances())
def test_the_order_of_construction_does_not_matter_for_distinct_notes(performance):
    shuffled = np.random.default_rng(0).permutation(len(performance))
    again = Performance(performance.notes[shuffled], performance.controls)
    key = ["onset_s", "pitch"]
    assert (again.notes[key] == performance.notes[key]).all()
    assert sorted(again.notes.tolist()) == sorted(performance.notes.tolist())


def test_arrays_are_copies_and_read_only():
    given_notes, given_controls = notes((0, 1, 60, 64)), pedals((0, 127))
    performance = Performance(given_notes, given_controls)
    given_notes["pitch"] = 61
    given_controls["value"] = 0
    assert performance.notes["pitch"].tolist() == [60]
    assert performance.controls["value"].tolist() == [127]
    for array in (performance.notes, performance.controls, Performance(notes()).notes):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = array
    with pytest.raises(AttributeError):
        performance.notes = given_notes


def test_equality_is_exact():
    one = Performance(notes((0, 1, 60, 64)), pedals((0, 127)))
    assert one == Performance(notes((0, 1, 60, 64)), pedals((0, 127)))
    assert one != Performance(notes((0, np.nextafter(1, 2), 60, 64)), pedals((0, 127)))
    assert one != Performance(notes((0, 1, 60, 65)), pedals((0, 127)))
    assert one != Performance(notes((0, 1, 60, 64)), pedals((0, 126)))
    assert one != Performance(notes((0, 1, 60, 64)))
    assert one != Performance(notes((0, 1, 60, 64), (2, 3, 60, 64)), pedals((0, 127)))
    assert one != "a performance"


def test_length_and_seconds():
    assert (len(Performance(notes())), Performance(notes()).seconds) == (0, 0.0)
    assert Performance(notes((0, 9, 60, 64), (1, 2, 60, 64))).seconds == 9
    assert Performance(notes((0, 1, 60, 64)), pedals((4, 0))).seconds == 4


@pytest.mark.parametrize(
    ("rows", "moves", "expected"),
    [
        ([], [], "0 notes, 0.00 s"),
        ([], [(4, 0)], "0 notes, 4.00 s, 1 pedal movement"),
        ([(0, 1, 60, 64)], [], "1 note, 1.00 s, C4..C4, velocity 64..64"),
        (
            [(0, 1, 21, 104), (0, 30.018, 108, 12), (1, 2, 0, 50)],
            [(1, 127), (2, 0)],
            "3 notes, 30.02 s, C-1..C8, velocity 12..104, 2 pedal movements",
        ),
        ([(0, 1, 21, 1), (0, 1, 127, 127)], [], "2 notes, 1.00 s, A0..G9, velocity 1..127"),
    ],
)
def test_repr_sums_up(rows, moves, expected):
    assert repr(Performance(notes(*rows), pedals(*moves))) == f"Performance({expected})"


def test_what_is_compared_by_value_has_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Performance(notes()))


@given(performances())
def test_pickling_keeps_a_performance(performance):
    assert pickle.loads(pickle.dumps(performance)) == performance  # noqa: S301 (made here)


# Cutting, moving and joining


def test_a_slice_has_what_begins_in_it_and_the_positions_of_the_pedals():
    performance = Performance(
        notes((0.5, 3, 60, 1), (1, 1.5, 61, 2), (2, 9, 62, 3), (2.5, 3, 63, 4), (3, 4, 64, 5)),
        np.array(
            [(0.5, 64, 90), (0.75, 64, 10), (0.8, 67, 127), (1, 66, 5), (2, 64, 70), (3, 64, 0)],
            CONTROL_DTYPE,
        ),
    )
    cut = performance.slice(1, 3)
    assert cut.notes.tolist() == [(0, 0.5, 61, 2), (1, 2, 62, 3), (1.5, 2, 63, 4)]
    assert cut.controls.tolist() == [(0, 64, 10), (0, 66, 5), (0, 67, 127), (1, 64, 70)]
    assert performance.slice(0, 9.5) == performance
    assert performance.slice(8, 10).notes.tolist() == []


@pytest.mark.parametrize(
    "bounds", [(-0.1, 1), (1, 1), (2, 1), (0, np.inf), (np.nan, 1), (0, np.nan), (-np.inf, 1)]
)
def test_a_slice_needs_a_start_before_its_end(bounds):
    with pytest.raises(ValueError, match="0 <= start_s < end_s"):
        Performance(notes((0, 1, 60, 64))).slice(*bounds)


def test_transpose_moves_every_pitch_and_nothing_else():
    performance = Performance(notes((0, 1, 2, 64), (0, 2, 125, 80)), pedals((0, 127)))
    for semitones, moved in ((2, [4, 127]), (-2, [0, 123]), (np.int64(0), [2, 125])):
        other = performance.transpose(semitones)
        assert other.notes["pitch"].tolist() == moved
        assert other.transpose(-semitones) == performance
    assert Performance(notes()).transpose(500) == Performance(notes())


@pytest.mark.parametrize("semitones", [3, -3, 200, -131])
def test_transpose_says_what_would_leave_the_range(semitones):
    performance = Performance(notes((0, 1, 2, 64), (0, 1, 60, 64), (0, 2, 125, 80)))
    many = "1" if abs(semitones) == 3 else "3"
    with pytest.raises(ValueError, match=rf"{many} of 3 notes .* 0\.\.127; from -2 to 2 semitones"):
        performance.transpose(semitones)


def test_transpose_refuses_parts_of_semitones():
    with pytest.raises(TypeError):
        Performance(notes((0, 1, 60, 64))).transpose(1.5)


def test_shift_moves_notes_and_pedals():
    performance = Performance(notes((1, 2, 60, 64)), pedals((0.5, 127), (3, 0)))
    later = performance.shift(1.5)
    assert later == Performance(notes((2.5, 3.5, 60, 64)), pedals((2, 127), (4.5, 0)))
    assert later.shift(-1.5) == performance
    assert performance.shift(-0.5).controls["time_s"].tolist() == [0, 2.5]
    assert Performance(notes((1, 2, 60, 64))).shift(-1).notes["offset_s"].tolist() == [1]
    assert Performance(notes()).shift(-1) == Performance(notes())


@pytest.mark.parametrize("seconds", [-0.75, np.nan, np.inf, -np.inf])
def test_nothing_is_shifted_before_the_beginning(seconds):
    for performance in (
        Performance(notes((0.5, 2, 60, 64)), pedals((1, 0))),
        Performance(notes((1, 2, 60, 64)), pedals((0.5, 0))),
    ):
        with pytest.raises(ValueError, match="cannot be shifted"):
            performance.shift(seconds)


def test_stretch_multiplies_all_times():
    performance = Performance(notes((1, 2, 60, 64)), pedals((0.5, 127), (3, 0)))
    slower = Performance(notes((2, 4, 60, 64)), pedals((1, 127), (6, 0)))
    assert performance.stretch(2) == slower
    assert slower.stretch(0.5) == performance
    for factor in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="above 0 and finite"):
            performance.stretch(factor)


def test_parts_follow_each_other_after_their_last_event():
    one = Performance(notes((0, 1, 60, 64)), pedals((2, 0)))
    two = Performance(notes((0.5, 1, 70, 64)), pedals((0.25, 127)))
    both = Performance(notes((0, 1, 60, 64), (2.5, 3, 70, 64)), pedals((2, 0), (2.25, 127)))
    assert one + two == both == Performance.join(iter([one, two]))
    assert Performance.join([one, two], gap_s=1.5).notes["onset_s"].tolist() == [0, 4]
    empty = Performance(notes())
    assert Performance.join([]) == empty
    assert Performance.join([two]) == two  # the pedal at the very end stays down
    assert Performance.join([empty, one, empty], gap_s=1) == one.shift(1)
    with pytest.raises(TypeError):
        one + "two"
    for gap_s in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="gap_s"):
            Performance.join([one], gap_s=gap_s)


def test_pedals_are_lifted_between_parts():
    moves = [(0, SUSTAIN, 0), (0.004, SUSTAIN, 100), (0.01, SOFT, 30), (1, SOSTENUTO, 64)]
    part = Performance(notes((0, 2, 60, 64)), np.array(moves, CONTROL_DTYPE))
    lifts = [(2, SUSTAIN, 0), (2, SOSTENUTO, 0), (2, SOFT, 0)]
    begun = [(2.01, SUSTAIN, 100), (2.01, SOFT, 30), (3, SOSTENUTO, 64)]
    assert (part + part).controls.tolist() == [*moves, *lifts, *begun]
    apart = Performance.join([part, part], gap_s=0.25).controls.tolist()
    assert apart == [*moves, *lifts, *((t + 2.25, *rest) for t, *rest in moves)]


def test_the_chord_before_a_joint_is_not_caught_by_the_pedal_after_it():
    part = Performance(notes((0, 1, 60, 64), (0.5, 2, 64, 64)), pedals((0, 127)))
    joined = (part + part).sustained()
    assert ends(joined) == [2, 2, 4, 4]


@given(performances(max_notes=20, max_controls=20), performances(max_notes=20, max_controls=20))
def test_joined_parts_sound_as_each_does_alone(one, two):
    parts = []
    for p in (one, two):
        controls = p.controls[p.controls["number"] == SUSTAIN]
        controls["time_s"] += 0.0017  # at no note's end: which comes first is left to rounding
        # Nothing within the first 20 ms: there the second part's pedal may be put off.
        parts.append(Performance(p.notes, controls).shift(0.02))
    one, two = parts
    joined = Performance.join([one, two], gap_s=0.01).sustained().notes
    alone = one.sustained(), two.sustained().shift(one.seconds + 0.01)
    # At the very end of a part, notes without duration are struck as its pedals are lifted.
    sounding = [p.notes[p.notes["offset_s"] > p.notes["onset_s"]] for p in alone]
    expected = np.concatenate(sounding)
    joined = joined[joined["offset_s"] > joined["onset_s"]]
    for field in NOTE_DTYPE.names:
        np.testing.assert_allclose(joined[field], expected[field], atol=1e-12)


# Sustained


def test_without_a_pedal_the_keys_decide():
    performance = Performance(notes((0, 1, 60, 64)), np.array([(0, SOFT, 127)], CONTROL_DTYPE))
    assert performance.sustained() == Performance(notes((0, 1, 60, 64)))


def test_a_released_note_sounds_until_the_pedal_goes_up():
    performance = Performance(notes((0, 1, 60, 64), (0, 4, 62, 64)), pedals((0.5, 64), (3, 63)))
    assert ends(performance.sustained()) == [3, 4]
    assert len(performance.sustained().controls) == 0


def test_a_released_note_sounds_until_it_is_struck_again():
    performance = Performance(notes((0, 1, 60, 64), (2, 2.5, 60, 64)), pedals((0, 127), (3, 0)))
    assert ends(performance.sustained()) == [2, 3]


def test_a_held_key_struck_again_under_the_pedal_ends_there():
    overlapping = notes((0, 5, 60, 64), (2, 3, 60, 64))
    assert ends(Performance(overlapping, pedals((1, 127), (4, 0))).sustained()) == [2, 4]
    assert ends(Performance(overlapping, pedals((2.5, 127), (4, 0))).sustained()) == [5, 4]


def test_of_two_simultaneous_notes_of_a_pitch_one_stays_under_the_pedal():
    performance = Performance(notes((0, 1, 60, 1), (0, 2, 60, 2)), pedals((0, 127), (3, 0)))
    assert performance.sustained().notes.tolist() == [(0, 3, 60, 2)]


def test_what_is_never_released_ends_with_the_last_event():
    performance = Performance(notes((0, 1, 60, 64), (3, 7, 64, 64)), pedals((0, 127)))
    assert ends(performance.sustained()) == [7, 7]


def test_simultaneous_events_come_as_down_up_on_off():
    # Released as the pedal goes down: held. Released as it goes up: not held.
    assert ends(Performance(notes((0, 1, 60, 64)), pedals((1, 127), (2, 0))).sustained()) == [2]
    assert ends(Performance(notes((0, 1, 60, 64)), pedals((0, 127), (1, 0))).sustained()) == [1]
    # Down and up at once, in whatever order they are given: up.
    for order in (((1, 127), (1, 0)), ((1, 0), (1, 127))):
        assert ends(Performance(notes((0, 1, 60, 64)), pedals(*order, (2, 0))).sustained()) == [1]


def step_by_step(performance):
    """Fold the sustain pedal event by event, as the docstring of `sustained` says."""
    events = []
    for time_s, number, value in performance.controls.tolist():
        if number == SUSTAIN:
            events.append((time_s, 0 if value >= 64 else 1, None))
    for index, (onset_s, offset_s, _, _) in enumerate(performance.notes.tolist()):
        events += [(onset_s, 2, index), (offset_s, 3, index)]
    events.sort(key=lambda event: event[:2])
    rows = performance.notes.tolist()
    sounding, released, dropped, end_s, down = [], set(), set(), {}, False

    def stop(which, time_s):
        for index in which:
            end_s[index] = time_s
            sounding.remove(index)

    for time_s, kind, index in events:
        if kind == 0:
            down = True
        elif kind == 1:
            down = False
            stop([i for i in sounding if i in released], time_s)
        elif kind == 2:
            if down:
                struck = [i for i in sounding if rows[i][2] == rows[index][2]]
                dropped.update(i for i in struck if rows[i][0] == time_s)
                stop(struck, time_s)
            sounding.append(index)
        elif index in sounding:
            released.add(index)
            if not down:
                stop([index], time_s)
    if events:
        stop(list(sounding), events[-1][0])
    folded = [
        (onset_s, end_s[index], pitch, velocity)
        for index, (onset_s, _, pitch, velocity) in enumerate(rows)
        if index not in dropped
    ]
    return Performance(notes(*folded))


@given(performances(max_notes=25, max_controls=25))
def test_sustained_does_what_its_rule_says(performance):
    assert performance.sustained() == step_by_step(performance)


@given(performances(max_notes=25, max_controls=25))
def test_sustained_leaves_what_it_was_given_and_changes_nothing_twice(performance):
    before = Performance(performance.notes, performance.controls)
    folded = performance.sustained()
    assert performance == before
    assert folded.sustained() == folded


def test_a_pedal_at_the_end_of_a_hundred_thousand_held_notes():
    n = 100_000  # each beside each other would be ten thousand million pairs
    held = Performance.from_arrays(
        onset_s=np.arange(n) * 0.001,
        offset_s=np.full(n, 200.0),
        pitch=np.full(n, 60),
        velocity=np.full(n, 60),
        controls=np.array([(99.9985, SUSTAIN, 127)], CONTROL_DTYPE),
    )
    ends_s = held.sustained().notes["offset_s"]
    assert ends_s[-1] == 200.0
    assert (ends_s[:-1] == held.notes["onset_s"][-1]).all()
