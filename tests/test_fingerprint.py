import csv
import os
from pathlib import Path

import numpy as np
import pytest

from espressivo import Performance, read
from espressivo.data import fingerprint
from espressivo.data.fingerprint import (
    groups,
    same_composition,
    same_performance,
    sketch,
)
from played import again, played


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"later_s": 7.3},
        {"tempo": 1.13},
        {"tempo": 0.8, "grid_s": 1 / 192},
        {"louder": 9},
        {"part": slice(120, 900)},
        {"part": slice(500, 1000), "later_s": 2.0, "tempo": 1.02},
        {"semitones": -5},
        {"semitones": 1, "part": slice(120, 900), "tempo": 1.13},
    ],
)
@pytest.mark.parametrize("piece", range(5))
def test_the_same_playing_exported_anew_is_the_same_performance(piece, changes):
    original = played(piece, notes=1200)
    one, other = sketch(original), sketch(again(original, **changes))
    assert same_composition([one, other]) == [(0, 1)]
    assert same_performance(one, other)
    assert same_performance(other, one)


@pytest.mark.parametrize("piece", range(5))
def test_two_players_share_the_composition_but_not_the_performance(piece):
    one, other = (sketch(played(piece, player, notes=1200)) for player in (0, 1))
    assert same_composition([one, other]) == [(0, 1)]
    assert not same_performance(one, other)


def test_a_repeat_in_the_music_hides_no_copy():
    first, again_s = played(0, notes=600), played(0, player=1, notes=600)
    notes = np.concatenate((first.notes, again_s.notes))
    notes["onset_s"][600:] += first.seconds
    notes["offset_s"][600:] += first.seconds
    whole = Performance(notes)
    repeat = again(whole, part=slice(600, 1200))
    assert same_performance(sketch(whole), sketch(repeat))
    assert not same_performance(sketch(first), sketch(repeat))


def test_other_pieces_share_nothing():
    sketches = [sketch(played(piece)) for piece in range(20)]
    assert same_composition(sketches) == []
    assert not same_performance(sketches[0], sketches[1])


def test_chords_struck_in_another_order_are_the_same_composition():
    rng = np.random.default_rng(3)
    chords = np.stack([rng.choice(np.arange(40, 90), 4, replace=False) for _ in range(300)])
    rolled = np.tile(np.arange(4) * 0.01, 300) + np.repeat(np.arange(300) * 0.5, 4)

    # Every other chord upside down.
    turned = np.where(np.arange(300)[:, None] % 2, chords[:, ::-1], chords)

    def strike(pitch):
        return sketch(
            Performance.from_arrays(
                onset_s=rolled, offset_s=rolled + 0.3, pitch=pitch.ravel(), velocity=[60] * 1200
            )
        )

    assert same_composition([strike(chords), strike(turned)]) == [(0, 1)]


@pytest.mark.parametrize("notes", [0, 1, 9, 10, 30])
def test_short_pieces_have_few_landmarks_and_are_never_called_the_same(notes):
    one = sketch(
        played(0, notes=notes)
        if notes
        else Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    )
    assert one.shape[1] == 3
    assert same_composition([one, one]) in ([], [(0, 1)])
    assert not same_performance(one[:2], one[:2])


def test_endless_repetition_is_compared_in_bounded_time_and_memory():
    cycle = np.tile(np.random.default_rng(0).integers(40, 90, 48), 4000)
    onset_s = np.arange(len(cycle)) * 0.01
    loop = sketch(
        Performance.from_arrays(
            onset_s=onset_s, offset_s=onset_s + 0.01, pitch=cycle, velocity=np.full(len(cycle), 9)
        )
    )
    assert len(loop) > 4000
    assert same_performance(loop, loop)


def test_no_files_give_no_pairs():
    assert same_composition([]) == []
    assert not groups(0, [])


def test_groups_are_named_by_their_lowest_index():
    assert list(groups(7, [(1, 4), (2, 5), (4, 5)])) == [0, 1, 1, 3, 1, 1, 6]


@pytest.mark.slow
def test_every_known_copy_in_maestro_and_asap_is_found_and_nothing_else():
    folder = Path(os.environ["ESPRESSIVO_DATA"])
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    index = {row["path"]: number for number, row in enumerate(rows)}
    sketches = [sketch(read(folder / row["path"])) for row in rows]
    known = {
        tuple(sorted((number, index[row["same_performance_as"]])))
        for number, row in enumerate(rows)
        if row["same_performance_as"]
    }
    related = same_composition(sketches)
    found = {(a, b) for a, b in related if same_performance(sketches[a], sketches[b])}
    assert len(known) == 538
    assert found == known
    # Nor does it see one composition on both sides of the official splits.
    assert all(rows[a]["split"] == rows[b]["split"] for a, b in related)


def test_landmarks_that_are_compared_in_parts_find_the_same(monkeypatch):
    sketches = [sketch(played(number // 2, notes=600)) for number in range(8)]
    at_once = same_composition(sketches)
    assert at_once == [(0, 1), (2, 3), (4, 5), (6, 7)]
    monkeypatch.setattr(fingerprint, "_AT_ONCE", 50)
    assert same_composition(sketches) == at_once
