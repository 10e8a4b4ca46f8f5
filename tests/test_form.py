from types import SimpleNamespace

import numpy as np
import pytest

import espressivo
from espressivo.codes import Pointers, vocabulary
from espressivo.codes.layout import DURATION, NOTE_ON, TIME_SHIFT, VELOCITY
from espressivo.engine import generator
from espressivo.errors import GenerationError
from espressivo.play.form import Habit, sections

NOTES = vocabulary("notes")


def note(steps, pitch):
    """The ids of a note so many steps after the one before it."""
    v = NOTES
    shift = v.first[TIME_SHIFT] + steps
    return [shift, v.first[NOTE_ON] + pitch - v.lowest_pitch, v.first[VELOCITY], v.first[DURATION]]


def expected(pointers):
    """The time and the pitch that all notes point at, None for nothing."""
    time, pitch, *_ = pointers.said
    return (time - 1, pitch - 1 + NOTES.lowest_pitch) if pitch else None


def test_pointers_lead_through_a_passage_at_its_own_pitch_and_pace():
    pointers = Pointers(NOTES)
    tune = [60, 67, 64, 72, 71]
    for pitch in [*tune, 50, 49, 45]:
        for id_ in note(20, pitch):
            pointers.feed(id_)
    pointers.lead(140, 81)  # the tune alone, from step 20 of 160 on
    assert pointers.leading
    for n, pitch in enumerate(tune):
        assert expected(pointers) == (20 if n else 0, pitch)
        chances = pointers.expects()
        assert chances[NOTES.first[NOTE_ON] + pitch - NOTES.lowest_pitch] == 1
        assert chances[NOTES.first[TIME_SHIFT] + (20 if n else 0)] == 1
        for id_ in note(20, pitch):
            pointers.feed(id_)
    assert not pointers.leading


def test_notes_left_out_added_or_late_do_not_lead_astray():
    pointers = Pointers(NOTES)
    for pitch in (60, 67, 64, 72, 71, 50):
        for id_ in note(20, pitch):
            pointers.feed(id_)
    pointers.lead(100, 81)
    for id_ in [*note(0, 60), *note(10, 40), *note(30, 64)]:  # one added, 67 left out
        pointers.feed(id_)
    assert expected(pointers) == (20, 72)
    for id_ in note(90, 41):  # 72 is overdue by now, and so is 71
        pointers.feed(id_)
    assert not pointers.leading


def test_a_copy_is_led_no_further_than_it_goes_itself():
    pointers = Pointers(NOTES)
    for pitch in (60, 67, 64):
        for id_ in note(20, pitch):
            pointers.feed(id_)
    pointers.lead(40, 41)
    copy = pointers.copy()
    for id_ in note(0, 60):
        pointers.feed(id_)
    assert expected(copy) == (0, 60)
    assert expected(pointers) == (20, 67)
    pointers.let_go()
    assert copy.leading
    assert not pointers.leading


def test_sections_share_the_time_that_is_left():
    assert sections("A B A", 36) == (("A", 0, 12), ("B", 12, 24), ("A", 24, 36))
    assert sections("A:8 B A:8", 30) == (("A", 0, 8), ("B", 8, 22), ("A", 22, 30))
    assert sections("A A") == (("A", 0, 10), ("A", 10, 20))
    assert sections("A:12 B:20.5 A:12")[-1] == ("A", 32.5, 44.5)


@pytest.mark.parametrize(
    ("form", "seconds", "words"),
    [
        ("", None, "brings nothing back"),
        ("A B C", None, "brings nothing back"),
        ("a b a", None, "capital letters"),
        ("A:x A", None, "capital letters"),
        ("A:2 A", None, "lasts 3 to 60 s"),
        ("A A:61", None, "lasts 3 to 60 s"),
        ("A B A", 17, "leave 5.67 s for each"),
        ("A B A", 61, "leave 20.3 s for each"),
        ("A:8 A:8", 17, "last 16 s and the piece 17 s"),
    ],
)
def test_other_forms_are_refused(form, seconds, words):
    with pytest.raises(GenerationError, match=words):
        sections(form, seconds)


def shared(passage, other):
    """The part of a passage's runs of four notes that another has, whatever their times."""
    runs, others = (
        [tuple(pitches[n : n + 4]) for n in range(len(pitches) - 3)] for pitches in (passage, other)
    )
    return np.mean([run in others for run in runs])


def test_a_section_comes_back_and_its_touch_is_new():
    model = espressivo.load()
    piece = model.generate(form="A:6 B:6 A:6", seed=4, ending="cut")
    assert piece.seconds == pytest.approx(18, abs=0.05)
    notes = [piece.slice(begin, begin + 6).notes for begin in (0, 6, 12)]
    first, second, third = (part["pitch"].tolist() for part in notes)
    assert shared(third, first) > 0.3
    assert shared(third, first) > 10 * shared(third, second)
    velocities = notes[0]["velocity"].tolist(), notes[2]["velocity"].tolist()
    assert velocities[0] != velocities[1]
    again = model.generate_batch(1, form="A:6 B:6 A:6", seed=4, ending="cut")
    assert again == [piece]


def test_what_cannot_have_a_form_is_refused():
    with pytest.raises(GenerationError, match="does not support a form"):
        espressivo.load("seed").generate(form="A B A")
    model = espressivo.load()
    with pytest.raises(GenerationError, match="a length in seconds"):
        model.generate(form="A B A", notes=30)
    with pytest.raises(GenerationError, match="nothing comes back"):
        model.generate(form="A B A", returns=0)


class Recorded:
    """What a habit needs of a player; it keeps what it is led to."""

    def __init__(self):
        self.decoder, self.led, self.leads = SimpleNamespace(now=0), False, []

    def lead(self, back, length):
        self.led = True
        self.leads.append((self.decoder.now, back, length))

    def let_go(self):
        self.led = False


def test_short_passages_come_back_as_often_as_with_people():
    player, begin = Recorded(), 500
    habit = Habit(generator(3), begin, 100)
    for now in range(begin, begin + 6000 * 100, 20):  # 100 minutes
        player.decoder.now = now
        habit.look(player)
    times, lags, lengths = np.array(player.leads).T
    assert (times >= begin).all()
    assert (times >= lags).all()
    assert (lengths <= lags).all()
    assert 4 < len(times) / 100 < 7
    shares = np.histogram(lags / 100, [2, 4, 8, 16, 32, 60])[0] / len(lags)
    assert np.abs(shares - [0.31, 0.24, 0.21, 0.18, 0.06]).max() < 0.06
    assert lengths.min() >= 100
    assert lengths.max() <= 600


def test_it_is_told_what_comes_back():
    player, told, begin = Recorded(), [], 500
    habit = Habit(generator(3), begin, 100, lambda *seconds: told.append(seconds))
    for now in range(begin, begin + 60 * 100, 20):
        player.decoder.now = now
        habit.look(player)
    expected = [
        ((now - begin) / 100, (now - back - begin) / 100, length / 100)
        for now, back, length in player.leads
    ]
    assert told == expected != []


def test_what_a_primer_had_comes_back_as_well():
    since = []
    for seed in range(20):
        player, primed = Recorded(), 2000
        habit = Habit(generator(seed), primed, 100)
        for now in range(primed, 2 * primed, 20):
            player.decoder.now = now
            habit.look(player)
        since += [now - back for now, back, _ in player.leads]
    assert min(since) >= 0
    assert sum(step < primed for step in since) > len(since) / 4


def test_long_pieces_have_the_habit_and_free_ones_do_not(monkeypatch):
    monkeypatch.setattr("espressivo.play.arguments.RETURNS_FROM_S", 8)
    monkeypatch.setattr("espressivo.play.form._WAIT_S", 1)
    model = espressivo.load()
    short = [model.generate(seconds=5, seed=9, form=form) for form in (None, "free")]
    assert short[0] == short[1]
    long = [model.generate(seconds=9, seed=9, form=form) for form in (None, "free")]
    assert long[0] != long[1]
    assert model.generate_batch(1, seconds=9, seed=9) == [long[0]]
