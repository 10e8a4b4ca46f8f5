"""Pairs: scores and performances are aligned note by note."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import Run
from espressivo import midi
from espressivo.data import half_of, read_pairs
from espressivo.data.alignment import align, same_notes
from espressivo.errors import DataError
from espressivo.music import Performance, Score

COLUMNS = (
    "composer,title,folder,midi_score,midi_performance,performance_annotations,"
    "midi_score_annotations,split"
)


def score(notes: int = 200) -> Score:
    rng = np.random.default_rng(0)
    onset = np.sort(rng.integers(0, notes, notes)) / 4
    return Score.from_arrays(
        onset=onset, duration=np.full(notes, 0.25), pitch=rng.integers(40, 88, notes)
    )


def take(one: Score, rate: float = 0.7) -> tuple[Performance, np.ndarray, np.ndarray]:
    """A performance that leaves out every 20th note and adds others; beats, and their seconds."""
    rng = np.random.default_rng(1)
    kept = np.arange(len(one)) % 20 != 7
    onset_s = (1 + rate * one.notes["onset"] + rng.normal(0, 0.01, len(one)))[kept]
    added_s = rng.uniform(1, onset_s.max(), 8)
    onset_s = np.concatenate((onset_s, added_s))
    pitch = np.concatenate((one.notes["pitch"][kept], np.full(8, 90)))
    performance = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.1, pitch=pitch, velocity=np.full(len(pitch), 70)
    )
    beats = np.arange(0, one.quarters, 1.0)
    return performance, beats, 1 + rate * beats


def distinct(one: Score) -> np.ndarray:
    """Which notes share pitch and onset with no other."""
    keys = [(n["onset"], n["pitch"]) for n in one.notes]
    return np.array([keys.count(key) == 1 for key in keys])


def test_notes_are_found_and_those_left_out_are_not() -> None:
    one = score()
    performance, beats, beats_s = take(one)
    match = align(one, performance, beats, beats_s)
    sure = distinct(one)
    left_out = np.arange(len(one)) % 20 == 7
    assert (match[sure & ~left_out] >= 0).mean() > 0.98
    hit = match >= 0
    assert len(set(match[hit])) == hit.sum()  # no note is two
    assert (performance.notes["pitch"][match[hit]] == one.notes["pitch"][hit]).all()
    off_s = performance.notes["onset_s"][match[hit]] - 1 - 0.7 * one.notes["onset"][hit]
    assert np.abs(off_s).max() < 0.5


def test_beats_that_go_back_are_not_used() -> None:
    one = score()
    performance, beats, beats_s = take(one)
    worse = np.insert(beats_s, 10, 0.0), np.insert(beats, 10, 40.0)
    found = align(one, performance, worse[1], worse[0])
    assert (found >= 0).mean() > 0.9


def test_notes_of_another_edition_are_the_same_notes() -> None:
    one = score()
    kept = np.arange(len(one)) % 9 != 4
    moved = one.notes["onset"][kept] + np.where(np.arange(kept.sum()) % 7, 0.0, 0.05)
    other = Score.from_arrays(
        onset=moved, duration=np.full(len(moved), 0.5), pitch=one.notes["pitch"][kept]
    )
    same = same_notes(one, other)
    sure = distinct(one)
    assert (same[sure & kept] >= 0).all() and (same[sure & ~kept] < 0).all()
    hit = same >= 0
    assert (other.notes["pitch"][same[hit]] == one.notes["pitch"][hit]).all()
    assert np.abs(other.notes["onset"][same[hit]] - one.notes["onset"][hit]).max() < 0.06


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    one = score()
    rows = [COLUMNS]
    for piece, split in (("a", "train"), ("b", "validation"), ("c", "validation")):
        (tmp_path / piece).mkdir()
        midi.song_of(one).write(tmp_path / piece / "midi_score.mid")
        performance, beats, beats_s = take(one)
        written_s = one.seconds_at(beats)
        for number, times in enumerate((beats_s, beats_s[:-1])):  # the second take does not fit
            stem = f"{piece}/take{number}"
            midi.write(performance, tmp_path / f"{stem}.mid")
            lines = "".join(f"{t:.6f}\t{t:.6f}\tb\n" for t in times)
            (tmp_path / f"{stem}_annotations.txt").write_text(lines)
            rows.append(
                f"X,{piece},{piece},{piece}/midi_score.mid,{stem}.mid,{stem}_annotations.txt,"
                f"{piece}/midi_score_annotations.txt,{split}"
            )
        lines = "".join(f"{t:.6f}\t{t:.6f}\tb\n" for t in written_s)
        (tmp_path / piece / "midi_score_annotations.txt").write_text(lines)
    rows.append(rows[-1].replace("take1", "missing"))
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_a_folder_is_read_and_what_does_not_fit_is_counted(folder: Path, tmp_path: Path) -> None:
    found = read_pairs(folder, cache=tmp_path / "kept")
    assert [piece.folder for piece in found.pieces] == ["a", "b", "c"]
    assert [len(piece.takes) for piece in found.pieces] == [1, 1, 1]
    assert found.left_out == {"annotated differently from its score": 3, "not there": 1}
    assert "3 scores, 3 takes" in found.line()
    assert [piece.folder for piece in found.of("train")] == ["a"]
    again = read_pairs(folder, cache=tmp_path / "kept")
    for one, other in zip(found.pieces, again.pieces, strict=True):
        assert (one.takes[0].match == other.takes[0].match).all()
    assert len(list((tmp_path / "kept").iterdir())) == 1  # all three are the same
    assert len(read_pairs(folder, split="validation").pieces) == 2


def test_each_piece_is_in_one_half(folder: Path) -> None:
    pieces = read_pairs(folder).of("validation")
    halves = [half_of(pieces, half) for half in ("A", "B")]
    assert sorted(piece.folder for half in halves for piece in half) == ["b", "c"]


def test_the_command_measures_what_is_held_out(folder: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "report"
    status, printed, _ = run("evaluate", "pianist", folder, "--perform", "--out", out, "--json")
    assert status == 0
    found = json.loads(printed)
    assert found == json.loads((out / "performing.json").read_text())
    assert found["pieces"] == ["b", "c"] and found["takes"] == [1, 1]
    assert found["figures"]["default"]["r velocity"] == [None, None, None]  # all are as loud
    assert -1 <= found["figures"]["default"]["r onset"][0] <= 1
    status, printed, errors = run("evaluate", "pianist", tmp_path / "none", "--perform")
    assert status == 1 and "metadata.csv" in errors and not printed


def test_a_table_that_is_not_there_or_lacks_a_column_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metadata\.csv"):
        read_pairs(tmp_path)
    (tmp_path / "metadata.csv").write_text("composer,title\nX,a\n")
    with pytest.raises(DataError, match="has no column 'folder'"):
        read_pairs(tmp_path)
