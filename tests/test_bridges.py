import sys

import numpy as np
import pytest
import symusic
from hypothesis import given

from espressivo import Performance, midi
from espressivo.errors import MidiError
from espressivo.midi.bridges import (
    NOTE_ARRAY_DTYPE,
    from_note_array,
    from_pretty_midi,
    from_symusic,
    to_note_array,
    to_pretty_midi,
    to_symusic,
)
from espressivo.music import CONTROL_DTYPE, NOTE_DTYPE, SOFT, SUSTAIN
from played import played
from strategies import performances

EMPTY = Performance(np.empty(0, NOTE_DTYPE))
# Pedals, and a chord whose notes end at different times.
PIECE = Performance(
    np.array([(0.5, 1.25, 60, 64), (0.5, 1, 64, 80), (2, 2.75, 60, 127)], NOTE_DTYPE),
    np.array([(0.25, SUSTAIN, 100), (1.5, SOFT, 1), (3, SUSTAIN, 0)], CONTROL_DTYPE),
)


# --- partitura ------------------------------------------------------------------------------------


def test_a_note_array_is_as_partitura_has_it():
    array = to_note_array(PIECE)
    assert array.dtype == NOTE_ARRAY_DTYPE
    assert array.tolist() == [
        (0.5, 0.75, 60, 64, 0, 0, "n0"),
        (0.5, 0.5, 64, 80, 0, 0, "n1"),
        (2.0, 0.75, 60, 127, 0, 0, "n2"),
    ]
    assert to_note_array(PIECE.sustained())["duration_sec"].tolist() == [1.5, 2.5, 1]
    assert from_note_array(array) == Performance(PIECE.notes)
    assert from_note_array(to_note_array(EMPTY)) == EMPTY
    array[0]["onset_sec"], array[0]["duration_sec"] = 600, 2**-20
    assert 600 + 2**-20 in from_note_array(array).notes["offset_s"]


@given(performances())
def test_a_note_array_is_right_in_single_precision(performance):
    there = from_note_array(to_note_array(performance))
    assert sorted(there.notes["pitch"]) == sorted(performance.notes["pitch"])
    for field in ("onset_s", "offset_s"):
        times = [np.sort(p.notes[field]) for p in (there, performance)]
        np.testing.assert_allclose(*times, atol=1e-6)


def test_a_note_array_of_a_score_or_with_impossible_notes_is_refused():
    array = to_note_array(PIECE)
    with pytest.raises(ValueError, match="needs the fields duration_sec, velocity"):
        from_note_array(array[["onset_sec", "pitch"]])
    for field, value in (("duration_sec", -1), ("velocity", 0), ("velocity", 300), ("pitch", -1)):
        wrong = array.copy()
        wrong[field] = value
        with pytest.raises(ValueError, match="must be"):
            from_note_array(wrong)


# --- pretty_midi ----------------------------------------------------------------------------------


def test_pretty_midi_gets_every_note_and_movement():
    pytest.importorskip("pretty_midi")
    [piano] = to_pretty_midi(PIECE).instruments
    assert (piano.program, piano.is_drum) == (0, False)
    assert [(n.start, n.end, n.pitch, n.velocity) for n in piano.notes] == PIECE.notes.tolist()
    moves = [(c.time, c.number, c.value) for c in piano.control_changes]
    assert moves == PIECE.controls.tolist()


@given(performances())
def test_nothing_is_lost_on_the_way_through_pretty_midi(performance):
    pytest.importorskip("pretty_midi")
    assert from_pretty_midi(to_pretty_midi(performance)) == performance


def test_pretty_midi_reads_and_writes_files_like_ours(tmp_path):
    pretty_midi = pytest.importorskip("pretty_midi")
    midi.write(PIECE, tmp_path / "ours.mid")
    assert from_pretty_midi(pretty_midi.PrettyMIDI(str(tmp_path / "ours.mid"))) == PIECE
    long = played(1)
    to_pretty_midi(long).write(str(tmp_path / "theirs.mid"))
    assert midi.read(tmp_path / "theirs.mid") == midi.from_bytes(midi.to_bytes(long))


def test_instruments_become_one_without_drums_and_with_the_deepest_pedal():
    pretty_midi = pytest.importorskip("pretty_midi")

    def instrument(notes, moves, is_drum=False):
        one = pretty_midi.Instrument(program=0, is_drum=is_drum)
        one.notes = [pretty_midi.Note(64, pitch, start, start + 1) for start, pitch in notes]
        one.control_changes = [pretty_midi.ControlChange(*move) for move in moves]
        return one

    pm = pretty_midi.PrettyMIDI()
    pm.instruments = [
        instrument([(1, 62)], [(64, 0, 3), (64, 100, 1), (7, 90, 0)]),  # volume is no pedal
        instrument([(0, 60)], [(64, 50, 2), (67, 9, 2)]),
        instrument([], [(64, 127, 0)]),  # plays nothing
        instrument([(0, 40)], [(64, 127, 0)], is_drum=True),
    ]
    merged = from_pretty_midi(pm)
    assert merged.notes.tolist() == [(0, 1, 60, 64), (1, 2, 62, 64)]
    assert merged.controls.tolist() == [(1, 64, 100), (2, 64, 100), (2, 67, 9), (3, 64, 50)]
    first, *_ = pm.instruments
    pm.instruments = pm.instruments[2:]
    assert from_pretty_midi(pm).controls.tolist() == [(0, 64, 127)]
    pm.instruments = [first]
    assert from_pretty_midi(pm).controls.tolist() == [(1, 64, 100), (3, 64, 0)]
    pm.instruments = []
    assert from_pretty_midi(pm) == EMPTY


def test_a_library_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pretty_midi", None)
    with pytest.raises(MidiError, match=r"^pretty_midi cannot be imported .*: pip install pretty_"):
        to_pretty_midi(PIECE)


# --- symusic --------------------------------------------------------------------------------------


def test_symusic_gets_what_a_file_of_ours_holds():
    score = to_symusic(PIECE)
    [track] = score.tracks
    assert isinstance(score, symusic.core.ScoreTick)
    assert (track.program, track.is_drum) == (0, False)
    seconds = score.to("second").tracks[0].notes
    rows = [(n.time, n.time + n.duration, n.pitch, n.velocity) for n in seconds]
    assert sorted(rows) == sorted(PIECE.notes.tolist())


@pytest.mark.parametrize("performance", [PIECE, EMPTY, played(1)], ids=["piece", "empty", "played"])
def test_a_score_of_symusic_becomes_what_reading_its_file_would(performance, tmp_path):
    midi.write(performance, tmp_path / "a.mid")
    expected = midi.read(tmp_path / "a.mid")
    assert from_symusic(symusic.Score(tmp_path / "a.mid")) == expected
    assert from_symusic(to_symusic(performance)) == expected


@pytest.mark.parametrize("unit", ["second", "quarter"])
def test_scores_in_other_units_are_rounded_to_their_ticks(unit):
    assert from_symusic(to_symusic(PIECE).to(unit)) == PIECE
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, 60))
    score.tempos.append(symusic.Tempo(480, 120))
    drums, piano = symusic.Track(is_drum=True), symusic.Track()
    drums.notes.append(symusic.Note(0, 480, 40, 64))
    piano.notes.append(symusic.Note(240, 480, 60, 64))
    score.tracks.extend([drums, piano])
    assert from_symusic(score.to(unit)).notes.tolist() == [(0.5, 1.25, 60, 64)]
