import numpy as np
import pytest

from espressivo.codes import (
    NOTE_OFF,
    NOTE_ON,
    TIME_SHIFT,
    vocabulary,
)
from espressivo.play.loops import LoopDetector
from espressivo.play.model import Model
from known import Mock

V = vocabulary("seed")


def after(pitches):
    detector = LoopDetector()
    for pitch in pitches:
        detector.feed(pitch)
    return detector


def melody(length, seed=0):
    return np.random.default_rng(seed).permutation(np.arange(40, 90))[:length].tolist()


@pytest.mark.parametrize("length", [5, 8, 9, 20, 32])
def test_a_loop_is_noticed_when_it_has_been_heard_four_times(length):
    loop = melody(length)
    times = max(4 * length, 32)
    notes = (loop * 10)[:times]
    assert not after(notes[:-1]).forbidden
    assert after(notes).forbidden == {loop[times % length]}
    assert not after([*notes, 1]).forbidden


def test_what_went_before_does_not_matter():
    assert after(melody(50, 1) + melody(10) * 4).forbidden == {melody(10)[0]}
    assert after(range(100)).forbidden == frozenset()


def test_repeated_notes_and_trills_are_music_for_a_while():
    assert not after([60] * 31).forbidden
    assert after([60] * 32).forbidden == {60}
    assert not after([60, 62] * 15).forbidden
    assert after([60, 62] * 16).forbidden == {60}


def test_few_pitches_in_any_order_are_noticed():
    rng = np.random.default_rng(0)
    assert after([1, *rng.permutation([60, 62, 64, 65] * 16)]).forbidden >= {60, 62, 64, 65}
    assert not after(rng.permutation([60, 62, 64, 65, 67] * 20)).forbidden


def struck(ids):
    return [int(V.values[id_]) for id_ in ids if V.kinds[id_] == NOTE_ON]


def test_the_player_breaks_loops_and_only_if_asked():
    model = Model(Mock(V, favour=[40, V.first[NOTE_OFF] + 40, V.first[TIME_SHIFT] + 9]))
    alone = {"events": 2000, "seed": 0, "polyphony": 1}
    assert after(struck(model.generate_ids(**alone))[:32]).forbidden
    detector = LoopDetector()
    for pitch in struck(model.generate_ids(**alone, avoid_loops=True)):
        assert pitch not in detector.forbidden
        detector.feed(pitch)


def test_where_there_is_no_other_pitch_the_music_goes_on():
    model = Model(Mock(V))
    one = {"lowest_pitch": 60, "highest_pitch": 60, "avoid_loops": True}
    assert len(list(model.generate_ids(events=2000, seed=0, **one))) == 2000


def test_the_detector_changes_nothing_while_there_is_no_loop():
    model = Model(Mock(V))
    plain = list(model.generate_ids(events=400, seed=0))
    assert plain == list(model.generate_ids(events=400, seed=0, avoid_loops=True))
