"""Each measure finds what it is for, and what should not move it does not."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from espressivo import Performance, read
from espressivo.evaluation.references import drone, flat, loop, shuffled
from espressivo.music import (
    CONTROL_DTYPE,
    MEASURES,
    SUSTAIN,
    Take,
    in_scale,
    measured,
    pitch_class_entropy,
    tonic,
)
from espressivo.music.metre import METRE_S, PULSE_S, regularity
from espressivo.music.playing import ends_on_tonic, pedal_with_bass, ring_s, thinning, unplayable
from strategies import performances

SECONDS = 60.0
BAR_S = 2.0


def piece(*, detuned=0, late_s=0.0, pedalled=True, bars=30, scale=(0, 2, 4, 5, 7, 9, 11)):
    """A made-up piece in C: a bass and broken chords in a steady metre, pedalled by the bar.

    Parameters
    ----------
    detuned : int
        So many of 6 notes are raised by a semitone.
    late_s : float
        Notes come so much earlier or later, at random.
    """
    rng = np.random.default_rng(0)
    onset_s, pitch = [], []
    for bar in range(bars):
        root = int(rng.integers(7))
        onset_s.append(bar * BAR_S)
        pitch.append(36 + scale[root])
        for beat in range(6):
            degree = root + int(rng.choice((0, 2, 4, 5))) + 7 * int(rng.integers(2))
            onset_s.append(bar * BAR_S + beat * BAR_S / 6)
            raised = beat < detuned
            pitch.append(60 + scale[degree % 7] + 12 * (degree // 7) + int(raised))
    onset_s = np.array(onset_s) + rng.uniform(0, late_s, len(onset_s))
    times_s = np.arange(bars) * BAR_S
    moves = [(time_s + 0.1, SUSTAIN, 127) for time_s in times_s]
    moves += [(time_s, SUSTAIN, 0) for time_s in times_s[1:]]
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.25,
        pitch=pitch,
        velocity=np.full(len(pitch), 64),
        controls=np.array(moves if pedalled else [], CONTROL_DTYPE),
    )


def values(performance):
    amounts = measured(Take(performance, SECONDS, requested_s=SECONDS))
    return {name: above / below for name, (above, below) in amounts.items() if below}


PLAIN = values(piece())


def moved(performance, least=0.1):
    """Names of the measures that are not as in the plain piece, and by how much."""
    found = values(performance)
    return {
        name: found.get(name, np.nan) - PLAIN[name]
        for name in PLAIN
        if not abs(found.get(name, np.nan) - PLAIN[name]) <= least
    }


def test_the_same_piece_scores_the_same():
    assert moved(piece()) == {}
    assert set(PLAIN) == set(MEASURES)


def test_a_transposed_piece_scores_the_same():
    assert moved(piece().transpose(3)) == {}


def test_a_detuned_scale_moves_harmony_alone():
    found = moved(piece(detuned=3))
    assert found["in_scale"] < -0.1 and found["pitch_class_entropy"] > 0.2
    assert found["clashes"] > 0.1
    assert set(found) == {"in_scale", "clashes", "pitch_class_entropy"}


def test_a_missing_pedal_moves_the_pedal_alone():
    found = moved(piece(pedalled=False))
    assert found["pedal_down"] == pytest.approx(-1, abs=0.1)
    assert np.isnan(found["pedal_with_bass"])
    assert set(found) == {"pedal_down", "pedal_with_bass"}


def test_uneven_time_moves_metre_and_what_the_pedal_goes_with():
    found = moved(piece(late_s=0.4))
    assert found["pulse"] < -0.3 and found["metre"] < -0.3
    assert set(found) == {"pulse", "metre", "pedal_with_bass"}


@pytest.mark.parametrize("semitones", [0, 2, 5])
def test_a_transposed_copy_is_recalled_and_moves_nothing_else(semitones):
    whole = piece()
    half = whole.slice(0, SECONDS / 2)
    copy = half.transpose(semitones).shift(SECONDS / 2)
    found = moved(Performance(np.concatenate((half.notes, copy.notes)), whole.controls))
    assert set(found) == {"patterns_4", "patterns_6", "patterns_8", "old"}
    assert min(found.values()) > 0.4  # of all patterns, those of the copy


def test_a_loop_is_found_by_what_is_for_it_and_moves_no_scale_and_no_metre():
    found = moved(loop(piece(), SECONDS))
    assert found["longest_loop"] > 10 and found["patterns_6"] > 0.3 and found["loops"] == 1
    recalled = {"patterns_4", "patterns_6", "patterns_8", "recent", "longest_loop", "loops"}
    # One bar has fewer pitches, one bass and another last note.
    assert set(found) == recalled | {"pitch_class_entropy", "pedal_with_bass", "ends_on_tonic"}


def test_a_drone_hangs_and_is_stuck():
    found = values(drone(piece(), SECONDS))
    assert found["hung"] == 1 and values(piece())["hung"] == 0
    stuck = piece().notes.copy()
    stuck["pitch"] = 60
    assert values(Performance(stuck))["stuck"] == 1


def test_shuffling_leaves_which_notes_there_are_and_when():
    ours, theirs = values(shuffled(piece())), PLAIN
    for name in ("pitch_class_entropy", "pulse", "metre", "pedal_down"):
        assert ours[name] == pytest.approx(theirs[name], abs=0.02)


def test_what_is_flat_keeps_the_notes_and_loses_the_pedal():
    found = values(flat(piece()))
    assert found["in_scale"] == pytest.approx(PLAIN["in_scale"])
    assert found["pedal_down"] == 0


# --- one by one -----------------------------------------------------------------------------------


def chord(*pitches, at_s=0.0, for_s=0.5):
    return [(at_s, at_s + for_s, pitch, 64) for pitch in pitches]


def of(*chords):
    onset_s, offset_s, pitch, velocity = np.array([note for each in chords for note in each]).T
    return Performance.from_arrays(
        onset_s=onset_s, offset_s=offset_s, pitch=pitch, velocity=velocity
    )


def test_minor_and_major_scales_fit_and_a_chromatic_one_does_not():
    for start in range(12):
        major = of(*(chord(60 + start + step, at_s=step / 2) for step in (0, 2, 4, 5, 7, 9, 11)))
        assert in_scale(major) == (7, 7)
    chromatic = of(*(chord(60 + step, at_s=step / 2) for step in range(12)))
    assert in_scale(chromatic) == (7, 12)
    assert pitch_class_entropy(chromatic) == pytest.approx(np.log2(12))
    modulating = of(
        *(chord(60 + step, at_s=step / 2) for step in (0, 2, 4, 5, 7, 9, 11)),
        *(chord(66 + step, at_s=10 + step / 2) for step in (0, 2, 4, 5, 7, 9, 11)),
    )
    assert in_scale(modulating) == (14, 14)  # a scale lasts for 10 s


@pytest.mark.parametrize(
    ("pitches", "expected"),
    [
        ((60, 64, 67), (0, 3)),
        ((60, 61), (1, 1)),
        ((60, 64, 67, 71), (1, 6)),
        ((48, 61, 73), (2, 3)),
        ((60,), (0, 0)),
    ],
)
def test_clashes_are_pairs_a_semitone_apart_in_any_octave(pitches, expected):
    found = measured(Take(of(chord(*pitches)), 10.0))["clashes"]
    assert found == expected


@pytest.mark.parametrize(
    ("pitches", "hands"),
    [
        ((36, 48, 52, 60, 72), True),
        ((36, 53, 70), False),
        ((30, 46, 50, 66), True),
        (tuple(range(60, 70)), True),
        (tuple(range(60, 71)), False),  # eleven notes for ten fingers
    ],
)
def test_two_hands_take_five_notes_each_within_sixteen_semitones(pitches, hands):
    assert unplayable(of(chord(*pitches))) == (int(not hands), 1)
    assert unplayable(of(chord(60))) == (0, 0)


def test_a_steady_beat_is_a_pulse():
    onset_s = np.arange(60) * 0.5
    steady = of(*(chord(60, at_s=time_s, for_s=0.2) for time_s in onset_s))
    assert regularity(steady, 30.0, PULSE_S) > 0.9
    random_s = np.sort(np.random.default_rng(0).uniform(0, 30, 60))
    random = of(*(chord(60, at_s=time_s, for_s=0.2) for time_s in random_s))
    assert regularity(random, 30.0, PULSE_S) < 0.4
    assert regularity(random, 30.0, METRE_S) < 0.4
    silence = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    assert np.isnan(regularity(silence, 30.0, PULSE_S))


def test_the_pedal_goes_with_the_bass_above_chance():
    changes_s = np.arange(2, 60, 2.0)
    notes = of(*(chord(36 + number % 5, at_s=time_s) for number, time_s in enumerate(changes_s)))

    def lifted(at_s):
        moves = [(time_s - 0.5, SUSTAIN, 127) for time_s in at_s]
        moves += [(time_s, SUSTAIN, 0) for time_s in at_s]
        controls = np.array(moves, CONTROL_DTYPE)
        above, lifts = pedal_with_bass(Performance(notes.notes, controls), 60.0)
        return above / lifts

    assert lifted(changes_s + 0.05) == pytest.approx(0.8, abs=0.03)  # all, less 0.4 of 2 s
    assert lifted(changes_s + 1.0) == pytest.approx(-0.2, abs=0.03)  # none, less as much
    spread_s = np.sort(np.random.default_rng(0).uniform(2, 60, 400))
    assert abs(lifted(spread_s)) < 0.06


def test_endings():
    body = [chord(60 + step % 8, 48, at_s=step / 4, for_s=0.2) for step in range(80)]
    home = [chord(60, 64, 67, 36, at_s=22.0, for_s=4.0)]
    assert tonic(of(*(chord(*pitches, at_s=1) for pitches in ((60, 64, 67, 60, 72, 65, 62),)))) == 0
    ended = of(*body, *home)
    assert ring_s(ended) == pytest.approx(4.0)
    assert thinning(ended) < 0.8
    broken = of(*body)
    assert ring_s(broken) == pytest.approx(0.2)
    assert thinning(broken) == pytest.approx(1.0, abs=0.1)
    c_major = [
        chord(60 + step, at_s=n / 2) for n, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12, 7, 4))
    ]
    assert ends_on_tonic(of(*c_major, chord(48, 52, 55, at_s=6.0))) == 1
    assert ends_on_tonic(of(*c_major, chord(47, 50, 55, at_s=6.0))) == 0


def test_length_is_held_against_what_was_requested():
    assert measured(Take(of(chord(60, for_s=15.0)), 10.0, requested_s=30.0))["length"] == (0.5, 1.0)
    assert measured(Take(of(chord(60, at_s=2.0)), 10.0))["first_note"] == (2.0, 1.0)


@given(performances())
def test_any_performance_can_be_measured(performance):
    for name, (above, below) in measured(Take(performance, 3.0)).items():
        assert np.isfinite(above) and np.isfinite(below) and below >= 0, name


@pytest.mark.slow
def test_people_score_as_people_do():
    """The values that were measured on other pieces, to some tenths."""
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (folder / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "validation"]
    pieces = [read(folder / row["midi_filename"]) for row in rows[:60]]
    amounts = [measured(Take(one, SECONDS, min(30.0, one.seconds / 3))) for one in pieces]
    expected = {
        "patterns_4": 0.31,
        "patterns_6": 0.17,
        "patterns_8": 0.11,
        "in_scale": 0.877,
        "pitch_class_entropy": 3.14,
        "pulse": 0.398,
        "metre": 0.274,
        "pedal_down": 0.65,
        "pedal_with_bass": 0.179,
        "ring": 3.6,
        "ends_on_tonic": 0.63,
    }
    for name, value in expected.items():
        above, below = np.sum([one[name] for one in amounts], axis=0)
        assert above / below == pytest.approx(value, rel=0.3), name
