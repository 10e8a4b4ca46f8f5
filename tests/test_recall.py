"""What comes back is found, in any key, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from espressivo import Performance, read
from espressivo.codes import NOTE_ON, presets, vocabulary
from espressivo.data import COPIES, PAST_S, copies, halves, past, sketch
from espressivo.evaluation.references import shuffled
from espressivo.music import longest_loop, recalled, shared_patterns, top_line
from played import again, played
from strategies import performances

THEME = [60, 62, 65, 64, 69, 67, 71, 72, 68, 65]


def line(pitch, every_s=0.3):
    """Notes one after another, with a bass below each that moves on its own."""
    onset_s = np.arange(len(pitch)) * every_s
    bass = 30 + np.arange(len(pitch)) % 7
    return Performance.from_arrays(
        onset_s=np.concatenate((onset_s, onset_s + 0.01)),
        offset_s=np.concatenate((onset_s, onset_s)) + every_s,
        pitch=np.concatenate((pitch, bass)),
        velocity=np.full(2 * len(pitch), 64),
    )


def other(notes, seed=0):
    """A melody of which no three intervals come twice."""
    return (
        60 + np.cumsum(np.random.default_rng(seed).permutation(np.arange(-12, 13)))[:notes]
    ).tolist()


def test_the_top_line_is_the_highest_note_of_each_chord():
    time_s, pitch = top_line(line(THEME))
    assert pitch.tolist() == THEME
    assert time_s == pytest.approx(np.arange(10) * 0.3)


@pytest.mark.parametrize("semitones", [0, 2, -7])
def test_a_theme_that_comes_back_in_any_key_is_recalled(semitones):
    there = line([*THEME, *other(20), *(note + semitones for note in THEME)])
    assert recalled(there, 6) == (5, 35)  # the 5 patterns of the second theme, of 35 in all
    assert recalled(there, 8) == (3, 33)
    assert recalled(line([*THEME, *other(20)]), 6) == (0, 25)


def test_the_lag_goes_back_to_the_latest_time():
    thrice = line([*THEME, *other(20), *THEME, *THEME])
    assert recalled(thrice, 6, 0, 4)[0] == 5  # 10 notes of 0.3 s before
    assert recalled(thrice, 6, 8)[0] == 5  # 30 notes before
    assert recalled(thrice, 6)[0] == 10


def test_one_note_again_and_again_is_no_pattern_and_nothing_overlaps_with_itself():
    assert recalled(line([60] * 40), 4) == (0, 0)
    assert recalled(line([60, 62, 64, 66, 68]), 4) == (0, 2)  # the same intervals, one note later


def test_a_loop_lasts_for_as_many_periods_as_it_repeats_itself():
    phrase = THEME[:5]
    assert longest_loop(line(phrase * 4)) == pytest.approx(3 - 1 / 5)  # an interval less than notes
    assert longest_loop(line([*other(20), *phrase * 7, *other(20, 1)])) >= 6 - 1 / 5
    assert longest_loop(line(other(25))) < 1


def test_shared_patterns_are_those_of_the_source():
    assert shared_patterns(line(THEME), line([note + 3 for note in THEME]), 5) == (6, 6)
    assert shared_patterns(line(THEME), line(other(20)), 5) == (0, 6)
    half = line([*THEME, *other(20)])
    assert shared_patterns(half, line(THEME)) == (5, 25)


@given(performances())
def test_any_performance_can_be_looked_at(performance):
    assert 0 <= recalled(performance, 4)[0] <= recalled(performance, 4)[1]
    assert longest_loop(performance) >= 0
    found, patterns = shared_patterns(performance, performance)
    assert found == patterns


@pytest.mark.slow
def test_people_recall_and_shuffled_people_do_not():
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro" / "2018"
    pieces = [read(path).slice(30, 90) for path in sorted(folder.iterdir())[:20]]
    for side, low, high in ((pieces, 0.08, 0.4), (map(shuffled, pieces), 0, 0.005)):
        found, patterns = np.sum([recalled(piece, 6) for piece in side], axis=0)
        assert low <= found / patterns <= high


# --- probes ---------------------------------------------------------------------------------------

PIECES = [played(piece, notes=400) for piece in range(4)]


@pytest.mark.parametrize("name", presets())
def test_a_passage_is_the_same_after_whatever_was_read(name):
    v = vocabulary(name)
    for probes in (past(PIECES, v), copies(PIECES, v)):
        columns = list(probes.values())
        assert len(columns) == 5 and all(len(column) == 4 for column in columns)
        for passages in zip(*columns, strict=True):
            alone = passages[0]
            begins = [int((v.kinds[one.ids[: one.begin]] == NOTE_ON).sum()) for one in passages]
            assert begins[0] == 0 and begins != [0] * 5
            assert (v.kinds[alone.ids] == NOTE_ON).sum() == alone.notes
            pitches = [
                v.values[ids[v.kinds[ids] == NOTE_ON]].tolist()
                for ids in (one.ids[one.begin :] for one in passages)
            ]
            # Where two notes of one pitch meet at the border, one may be lost.
            assert all(sorted(pitch) == sorted(pitches[0]) for pitch in pitches[1:3])
            assert all(abs(one.notes - alone.notes) <= 1 for one in passages)


def test_passages_are_read_after_what_is_said():
    v = vocabulary("maestro")
    by_past = past(PIECES, v)
    assert list(by_past) == list(PAST_S)
    for seconds, probes in by_past.items():
        for probe in probes:
            before_s = v.decode(probe.ids[: probe.begin]).seconds if probe.begin else 0.0
            assert before_s <= seconds + 1  # until the first note of the passage
            assert before_s > seconds - 3 or seconds > 20
    by_copy = copies(PIECES, v)
    assert tuple(by_copy) == COPIES
    for after_itself, higher in zip(*(by_copy[name] for name in COPIES[1:3]), strict=True):
        pitches = []
        for probe in (after_itself, higher):
            before = v.decode(probe.ids[: probe.begin]).notes["pitch"].astype(int)
            pitches.append(np.sort(before))
        assert (pitches[0] - pitches[1] == 2).all()


def test_passages_are_drawn_once_and_short_pieces_have_none():
    v = vocabulary("maestro")
    one, other_ = past(PIECES, v), past(PIECES, v)
    for seconds in PAST_S:
        for mine, theirs in zip(one[seconds], other_[seconds], strict=True):
            assert mine.ids.tobytes() == theirs.ids.tobytes()
    assert past(PIECES, v, seed=1)[0.0][0].ids.tobytes() != one[0.0][0].ids.tobytes()
    short = played(0, notes=20)
    nothing = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    assert not any(past([short, nothing], v).values())
    assert not any(copies([*PIECES[:1], short], v).values())


# --- halves ---------------------------------------------------------------------------------------


def test_a_composition_is_in_one_half_however_it_is_spelled_or_played():
    names = [f"Piece {number}" for number in range(16)]
    sketches = [sketch(played(number, notes=400)) for number in range(16)]
    found = halves(names, sketches)
    assert 4 < found.count("A") < 12
    alone = [halves([name], [one])[0] for name, one in zip(names, sketches, strict=True)]
    assert alone == found  # the others do not matter
    elsewhere = again(played(3, player=1, notes=400), semitones=2)
    assert halves([*names, "Zwischenspiel"], [*sketches, sketch(elsewhere)])[16] == found[3]
    assert halves([*names, "PIECE 3!"], [*sketches, sketch(played(99))])[16] == found[3]
