import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from espressivo import Performance, read
from espressivo.evaluation.references import drone, loop
from espressivo.music.features import window, windows
from espressivo.music.measures import MEASURES, Take, measured
from espressivo.music.performance import CONTROL_DTYPE, SUSTAIN
from played import played
from strategies import performances

SIGNS = [name for name, measure in MEASURES.items() if measure.group == "going astray"]
SECONDS = 30.0


def shown(performance, seconds=SECONDS):
    found = measured(Take(performance, seconds))
    return {name for name in SIGNS if found[name][0]}


def music(seconds=SECONDS):
    return window(played(0), 1.0, seconds)


def struck(pitch, every_s=0.2, length_s=0.2):
    onset_s = np.arange(len(pitch)) * every_s
    return Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + length_s, pitch=pitch, velocity=[64] * len(pitch)
    )


def with_notes(*notes):
    """Music with more notes, given as onset, offset and pitch."""
    base = music()
    onset_s, offset_s, pitch = np.array(notes).T
    more = Performance.from_arrays(
        onset_s=onset_s, offset_s=offset_s, pitch=pitch, velocity=[64] * len(notes)
    )
    return Performance(np.concatenate((base.notes, more.notes)))


@pytest.mark.parametrize("piece", range(20))
def test_music_shows_no_sign(piece):
    assert shown(window(played(piece), 1.0, SECONDS).sustained()) - {"hung"} == set()
    assert shown(music()) == set()


def test_the_same_notes_again_and_again_are_a_loop():
    phrase = [60, 64, 67, 72, 71, 67, 65, 62]
    assert shown(struck(phrase * 4), 6.4) == {"loops"}
    assert shown(struck(phrase * 3, every_s=0.3), 7.2) == set()  # three times are not enough
    assert shown(struck(phrase * 4, every_s=0.1), 3.2) == set()  # nor are three seconds
    assert shown(struck([*range(30, 94)] * 4, every_s=0.1), 25.6) == {"loops"}  # 64 notes
    assert shown(struck([*range(30, 95)] * 4, every_s=0.1), 26.0) == set()  # one more
    assert shown(struck([*range(40, 60), *phrase * 4, *range(60, 80)]), 14.4) == {"loops"}


def test_a_loop_of_chords_is_one_in_whatever_order_they_are_struck():
    rng = np.random.default_rng(0)
    chords = np.array([(48, 60, 64, 67), (45, 57, 60, 64), (41, 53, 57, 60), (43, 55, 59, 62)] * 4)
    onset_s = np.repeat(np.arange(16) * 0.5, 4) + np.tile(np.arange(4) * 0.01, 16)
    pitch = rng.permuted(chords, axis=1).ravel()
    sample = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.4, pitch=pitch, velocity=[64] * 64
    )
    assert shown(sample, 8.0) == {"loops"}


def test_the_pedal_sounds_on_and_can_hang_a_note():
    notes = Performance.from_arrays(onset_s=[0.0], offset_s=[0.5], pitch=[60], velocity=[64]).notes
    pedal = np.array([(0.1, SUSTAIN, 127), (10.2, SUSTAIN, 0)], CONTROL_DTYPE)
    assert shown(Performance(notes, pedal), 12.0) == {"hung"}
    assert shown(Performance(notes), 12.0) == set()


def test_a_note_hangs_after_ten_seconds_and_not_beyond_the_end():
    assert shown(with_notes((3.0, 13.1, 100))) == {"hung"}
    assert shown(with_notes((3.0, 12.9, 100))) == set()
    for onset_s in np.arange(300, 400) / 100:  # a note that was ended after exactly that time
        assert shown(with_notes((onset_s, round(onset_s + 10, 2), 100))) == {"hung"}
    assert shown(with_notes((21.0, 99.0, 100))) == set()


def test_one_pitch_struck_sixteen_times_is_stuck():
    lead = [60, 64, 67, 59]
    assert shown(struck(lead + [72] * 16 + lead), 4.8) == {"stuck"}
    assert shown(struck(lead + [72] * 15 + lead), 4.6) == set()
    assert shown(struck(lead + [72] * 30 + lead), 7.6) == {"stuck", "loops"}


@given(performances())
def test_any_performance_is_looked_at(performance):
    assert "hung" not in shown(performance, 3.0)  # nothing can sound for 10 s within 3 s


def test_nothing_at_all_shows_no_sign():
    nothing = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    assert shown(nothing) == set()


def test_each_sign_tells_music_from_a_loop_or_a_drone():
    clips = [window(played(piece), 1.0, SECONDS) for piece in range(8)]
    told = set()
    for made in (loop, drone):
        others = [shown(made(clip, SECONDS)) for clip in clips]
        told |= {name for name in SIGNS if all(name in signs for signs in others)}
    assert told == set(SIGNS)
    assert not set.union(*map(shown, clips)) & set(SIGNS)


@pytest.mark.slow
def test_signs_are_seldom_in_human_playing():
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (folder / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "validation"]
    pieces = [read(folder / row["midi_filename"]) for row in rows]
    cut = windows(pieces, SECONDS, np.random.default_rng(0), each=2)
    share = {name: np.mean([name in shown(one) for one in cut]) for name in SIGNS}
    assert share["stuck"] == 0
    assert share["loops"] < 0.03
    assert share["hung"] < 0.08
