import csv
import os
from pathlib import Path

import numpy as np
import pytest

from espressivo import (
    Dataset,
    Performance,
    prepare,
    read,
)
from espressivo.codes import vocabulary
from espressivo.evaluation.memorisation import SHORTEST, Memory
from espressivo.midi.writing import write
from espressivo.music.features import windows
from played import again, played

PIECES = [(f"piece {number}", played(number)) for number in range(12)]


@pytest.fixture(scope="module")
def memory():
    return Memory.of(PIECES)


def planted(host, piece, part, *, at=150, semitones=0, tempo=1.0, jitter_s=0.0):
    """Put a part of a piece, changed a little, between two halves of another performance."""
    taken = again(piece, part=part, tempo=tempo)
    late_s = np.random.default_rng(0).uniform(-jitter_s, jitter_s, len(taken))
    onset_s = np.maximum(taken.notes["onset_s"] + late_s, 0)
    before, after = host.notes[:at], host.notes[at:].copy()
    inside = np.array(taken.notes)
    begin_s = before["onset_s"][-1] + 0.2 if at else 0.0
    inside["onset_s"], inside["offset_s"] = onset_s + begin_s, onset_s + begin_s + 0.2
    inside["pitch"] = inside["pitch"].astype(int) + semitones
    moved_s = inside["onset_s"].max() + 0.2 - after["onset_s"][0]
    after["onset_s"] += moved_s
    after["offset_s"] += moved_s
    return Performance(np.concatenate((before, inside, after))), begin_s


@pytest.mark.parametrize("number", range(12))
def test_forty_notes_transposed_and_slower_are_found_where_they_are(memory, number):
    name, piece = PIECES[number]
    begin = 17 * number
    sample, begin_s = planted(
        played(100 + number), piece, slice(begin, begin + 40), semitones=3, tempo=1.03
    )
    for each in (sample, vocabulary("maestro").quantise(sample)):
        found = memory.longest(each)
        assert found.piece == name
        assert abs(found.notes - 40) <= 2
        assert found.semitones == 3
        assert found.here_s == pytest.approx(begin_s, abs=0.5)
        assert found.there_s == pytest.approx(piece.notes["onset_s"][begin], abs=0.5)
        assert found.stretch == pytest.approx(1.03, abs=0.01)


@pytest.mark.parametrize(
    "changes",
    [{"semitones": -7}, {"tempo": 0.95}, {"tempo": 1.05}, {"jitter_s": 0.008}, {"at": 0}],
)
def test_small_changes_hide_nothing(memory, changes):
    sample, _ = planted(played(200), PIECES[3][1], slice(100, 140), **changes)
    found = memory.longest(sample)
    assert found.piece == "piece 3"
    assert abs(found.notes - 40) <= 4
    assert found.semitones == changes.get("semitones", 0)


@pytest.mark.parametrize("tempo", [0.8, 1.25])
def test_another_tempo_is_another_performance(memory, tempo):
    sample, _ = planted(played(200), PIECES[3][1], slice(100, 140), tempo=tempo)
    found = memory.longest(sample)
    assert found is None or found.notes < 20


def test_other_music_shares_only_short_runs(memory):
    for number in range(20):
        found = memory.longest(played(300 + number))
        assert found is None or found.notes <= SHORTEST + 2


def test_chords_struck_in_another_order_are_the_same():
    rng = np.random.default_rng(3)
    chords = np.stack([rng.choice(np.arange(40, 90), 4, replace=False) for _ in range(30)])
    turned = rng.permuted(chords, axis=1)
    rolled_s = np.tile(np.arange(4) * 0.01, 30) + np.repeat(np.arange(30) * 0.4, 4)

    def struck(pitch):
        return Performance.from_arrays(
            onset_s=rolled_s,
            offset_s=rolled_s + 0.3,
            pitch=pitch.ravel(),
            velocity=[60] * 120,
        )

    found = Memory.of([("chords", struck(chords))]).longest(struck(turned))
    assert (found.notes, found.here_s, found.there_s, found.semitones) == (120, 0, 0, 0)


@pytest.mark.parametrize("change", ["wrong", "missing", "more", "transposed"])
def test_a_note_that_differs_ends_the_run(change):
    # Ascending far enough apart that nothing of it recurs, in any transposition.
    pitch = np.cumsum(np.random.default_rng(0).integers(1, 4, 50)) % 80 + 25
    onset_s = np.arange(50) * 0.2
    original = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.1, pitch=pitch, velocity=[60] * 50
    )
    if change == "wrong":
        pitch = np.where(np.arange(50) == 30, pitch + 6, pitch)
    elif change == "transposed":  # from there on
        pitch = pitch + 5 * (np.arange(50) >= 30)
    elif change == "missing":
        onset_s, pitch = np.delete(onset_s, 30), np.delete(pitch, 30)
    else:
        onset_s, pitch = np.insert(onset_s, 30, 5.9), np.insert(pitch, 30, 24)
    sample = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.1, pitch=pitch, velocity=[60] * len(pitch)
    )
    assert Memory.of([("original", original)]).longest(sample).notes == 30


def test_no_run_goes_from_one_piece_into_the_next():
    whole = played(0)
    halves = [("first", Performance(whole.notes[:200])), ("second", Performance(whole.notes[200:]))]
    assert Memory.of(halves).longest(whole).notes == 200


def test_music_that_repeats_itself_is_searched_in_bounded_memory():
    onset_s = np.arange(1200) * 0.1
    same = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.1, pitch=[60] * 1200, velocity=[60] * 1200
    )
    assert Memory.of([("same", same)]).longest(same).notes == 1200


@pytest.mark.parametrize("notes", [0, 1, SHORTEST - 1])
def test_what_is_too_short_shares_nothing(memory, notes):
    short = Performance(played(0).notes[:notes])
    assert memory.longest(short) is None
    assert Memory.of([("short", short)]).longest(played(0)) is None
    assert Memory.of([]).longest(played(0)) is None
    assert Memory.of([("short", short), *PIECES]).longest(played(5)).piece == "piece 5"


def test_a_prepared_dataset_is_indexed_under_the_paths_of_its_pieces(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(3):
        write(played(number), folder / f"{number}.mid")
    prepare(
        [folder], tmp_path / "data", vocabulary=vocabulary("maestro"), fractions=(1.0, 0.0, 0.0)
    )
    found = Memory.of_dataset(Dataset(tmp_path / "data")).longest(played(1))
    assert found.piece == "music/1.mid"
    assert found.notes == 400


@pytest.mark.slow
def test_copies_from_maestro_are_found_and_human_playing_shares_little_with_it():
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (folder / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["midi_filename"], row["split"]) for row in csv.DictReader(file)]
    train, held_out = (
        [(name, read(folder / name)) for name, split in rows if split == wanted]
        for wanted in ("train", "validation")
    )
    memory = Memory.of(train)
    cut = windows([performance for _, performance in held_out], 30.0, np.random.default_rng(0))
    lengths = [found.notes if (found := memory.longest(one)) else 0 for one in cut]
    assert np.median(lengths) < 12
    assert np.percentile(lengths, 95) < 25
    quantise = vocabulary("maestro").quantise
    rng = np.random.default_rng(1)
    for host in cut[:40]:
        _, piece = train[rng.integers(len(train))]
        begin = int(rng.integers(len(piece) - 40))
        sample, begin_s = planted(
            host, piece, slice(begin, begin + 40), at=len(host) // 2, semitones=1, tempo=1.03
        )
        found = memory.longest(quantise(sample))
        assert found.notes >= 32
        # From that piece, unless the same notes stand in a sequence or another player's piece.
        assert found.here_s == pytest.approx(begin_s, abs=2.0)
