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
    assert repr(Performance(notes((0, 1, 60, 64)))) == (
        "Performance(1 notes, 0 pedal movements, 1.00 s)"
    )


@given(performances())
def test_pickling_keeps_a_performance(performance):
    assert pickle.loads(pickle.dumps(performance)) == performance  # noqa: S301 (made here)


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
