"""Scores: the noun, and what is read of a MIDI file."""

from __future__ import annotations

import numpy as np
import pytest

import midi_bytes as mb
from espressivo import midi, vocabulary
from espressivo.errors import ScoreError
from espressivo.music import METRE_DTYPE, MOVE_DTYPE, TEMPO_DTYPE, Score
from played import played


def two_staves(division: int = 480) -> bytes:
    """A pickup of a quarter, a bar of 3/4 in two staves, a violin and drums."""
    half = division // 2
    conductor = mb.track(
        [
            (0, mb.meta(0x58, bytes((1, 2, 24, 8)))),
            (0, mb.meta(0x59, b"\xfe\x01")),
            (0, mb.tempo(600_000)),
            (division, mb.meta(0x58, bytes((3, 2, 24, 8)))),
            (division, mb.tempo(400_000)),
        ]
    )
    right = mb.track(
        [
            (0, mb.on(72, 80)), (half, mb.off(72)), (0, mb.on(74, 90)), (half, mb.off(74)),
            (0, mb.control(64, 127)), (0, mb.on(76, 90)), (3 * division, mb.off(76)),
            (0, mb.control(64, 0)),
        ]
    )  # fmt: skip
    left = mb.track([(division, mb.on(48, 70)), (division, mb.off(48))])
    violin = mb.track([(0, mb.program(40, 2)), (0, mb.on(84, 60, 2)), (240, mb.off(84, 2))])
    drums = mb.track([(0, mb.on(36, 60, 9)), (240, mb.off(36, 9))])
    return mb.midi_file(conductor, right, left, violin, drums, division=division)


def test_a_midi_score_is_read_in_quarters() -> None:
    score = midi.score_from_bytes(two_staves())
    rows = [
        tuple(note)[:6] for note in score.notes.tolist()
    ]  # onset, duration, pitch, velocity, part, staff
    assert rows == [
        (0.0, 0.5, 72, 80, 0, 1),
        (0.0, 0.5, 84, 60, 1, 0),
        (0.5, 0.5, 74, 90, 0, 1),
        (1.0, 1.0, 48, 70, 0, 2),
        (1.0, 3.0, 76, 90, 0, 1),
    ]
    assert score.tempos.tolist() == [(0.0, 0.6), (2.0, 0.4)]
    assert score.metres.tolist() == [(0.0, 1, 4), (1.0, 3, 4)]
    assert score.keys.tolist() == [(0.0, -2, True)]
    assert score.moves.tolist() == [(1.0, 64, 127), (4.0, 64, 0)]
    assert [part.program for part in score.parts] == [0, 40]
    assert score.measures.tolist() == [0, 1]
    assert score.beats.tolist() == [0, 1, 2, 3]
    assert score.has_dynamics
    assert score.quarters == 4


def test_a_machine_plays_a_score_as_the_file_is_read() -> None:
    data = two_staves()
    assert midi.score_from_bytes(data).performance() == midi.from_bytes(data)


@pytest.mark.parametrize("division", [1, 24, 96, 480, 1000, 1023, 15360])
def test_ticks_come_back(division: int) -> None:
    rng = np.random.default_rng(division)
    start, length = rng.integers(0, 1 << 20, 99), rng.integers(1, 1 << 12, 99)
    score = Score.from_arrays(
        onset=start / division,
        duration=length / division,
        pitch=np.full(99, 60),
        ticks_per_quarter=division,
    )
    order = np.argsort(start, kind="stable")
    assert score.ticks(score.notes["onset"]).tolist() == start[order].tolist()
    assert score.ticks(score.end).tolist() == (start + length)[order].tolist()


def test_beats_follow_the_metre_and_bars_begin_anew_where_it_changes() -> None:
    metres = np.array([(0, 6, 8), (4, 2, 2), (8, 5, 8)], METRE_DTYPE)
    score = Score.from_arrays(onset=[0], duration=[10.5], pitch=[60], metres=metres)
    assert score.measures.tolist() == [0, 3, 4, 8, 10.5][:4]
    assert score.beats.tolist() == [0, 1.5, 3, 4, 6, 8, 8.5, 9, 9.5, 10]


def test_seconds_follow_the_tempos() -> None:
    tempos = np.array([(2, 1.0), (4, 0.25), (4, 2.0)], TEMPO_DTYPE)
    score = Score.from_arrays(onset=[0], duration=[6], pitch=[60], tempos=tempos)
    assert score.seconds_at(np.array([0, 2, 3, 4, 6])).tolist() == [0, 1, 2, 3, 7]
    assert score.at_tempo(120).seconds_at([6]).tolist() == [3]


@pytest.mark.parametrize(
    "fault",
    [
        {"onset": [-1.0]},
        {"onset": [np.nan]},
        {"duration": [0.0]},
        {"pitch": [128]},
        {"pitch": [-1]},
        {"part": [1]},
        {"ticks_per_quarter": 0},
        {"tempos": np.array([(0, 0)], TEMPO_DTYPE)},
        {"moves": np.array([(0, 64, 128)], MOVE_DTYPE)},
    ],
)
def test_what_is_no_score_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|is of part"):
        Score.from_arrays(**{"onset": [0.0], "duration": [1.0], "pitch": [60], **fault})


def test_a_performance_is_not_a_score() -> None:
    rng = np.random.default_rng(0)
    events = [(int(rng.integers(1, 300)), m) for p in range(40, 80) for m in (mb.on(p), mb.off(p))]
    with pytest.raises(ScoreError, match=r"^x\.mid: this is a performance, .*quantise"):
        midi.score_from_bytes(mb.one_track(*events), "x.mid")


@pytest.mark.parametrize("name", ["notes", "magenta"])
def test_steps_of_10_ms_are_no_grid(name: str) -> None:
    """Two thirds of them begin near a 16th or 24th of a quarter, as our files count ticks."""
    performance = vocabulary(name).quantise(played(1))
    with pytest.raises(ScoreError, match="no more than by chance"):
        midi.score_from_bytes(midi.to_bytes(performance))
    few = midi.to_bytes(performance.slice(0, 1))
    assert len(midi.score_from_bytes(few)) < 16


def test_a_coarse_grid_is_a_grid() -> None:
    eighths = [(240, m) for p in range(40, 80) for m in (mb.on(p), mb.off(p))]
    score = midi.score_from_bytes(mb.one_track(*eighths))
    assert (score.on_grid, score.on_grid_by_chance) == (1, 1)
    human = [(n * 7 % 31 + 200, m) for n, (_, m) in enumerate(eighths)]
    with pytest.raises(ScoreError, match="a performance"):
        midi.score_from_bytes(mb.one_track(*human))


def test_frames_have_no_beats() -> None:
    with pytest.raises(ScoreError, match="has no beats"):
        midi.score_from_bytes(mb.one_track((0, mb.on(60)), division=mb.smpte(25, 40)))


def test_an_empty_file_is_an_empty_score() -> None:
    score = midi.score_from_bytes(mb.one_track())
    assert (len(score), score.quarters, score.beats.tolist()) == (0, 0, [0])
