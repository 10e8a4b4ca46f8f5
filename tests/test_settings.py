import dataclasses
import math

import numpy as np
import pytest

from espressivo.codes import (
    KINDS,
    NOTE_OFF,
    NOTE_ON,
    TIME_SHIFT,
    VELOCITY,
    Limits,
    vocabulary,
)
from espressivo.engine.engine import State
from espressivo.engine.sampling import Sampling, generator
from espressivo.errors import GenerationError
from espressivo.music import Performance
from espressivo.music.playing import unplayable
from espressivo.play import settings
from espressivo.play.arguments import length_of
from espressivo.play.model import Model
from espressivo.play.player import Player
from espressivo.play.settings import CHORD_TEMPERATURE, Settings
from known import Mock

V = vocabulary("seed")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"duration_temperature": -1}, "duration_temperature must be at least 0"),
        ({"time_temperature": float("inf")}, "time_temperature"),
        ({"time_top_p": 0, "duration_min_p": 2}, "time_top_p must.*; duration_min_p must"),
        ({"velocity_temperature": float("nan")}, "velocity_temperature"),
        ({"temperature": -1}, "temperature"),
        ({"min_p": 2}, "min_p"),
        ({"lowest_pitch": 70, "highest_pitch": 60}, "70 is above 60"),
        ({"highest_pitch": 128}, "within 0..127"),
        ({"polyphony": 0}, "polyphony must be at least 1, not 0"),
        ({"longest_note_s": 0}, "longest_note_s must be above 0"),
        ({"longest_rest_s": float("nan")}, "longest_rest_s"),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(GenerationError, match=words):
        Settings(**settings)


@pytest.mark.parametrize("name", ["seed", "notes"])
def test_pitches_that_join_a_chord_are_drawn_at_a_temperature_of_their_own(name, monkeypatch):
    v = vocabulary(name)
    chosen, ways = Settings(temperature=1.3, chord_temperature=0.6, top_p=0.9), []
    choose = Sampling.choose_one

    def recorded(self, *arguments):
        ways.append(self)
        return choose(self, *arguments)

    monkeypatch.setattr(Sampling, "choose_one", recorded)
    player = Player(Mock(v), chosen, generator(3), np.empty(0, np.int32))
    joined = {False: 0, True: 0}
    for _ in range(200):
        event = player.decide(ending=False)
        onset, chord = player.decoder.onset, player.decoder.chord
        player.play(event)
        if player.mask.begins_note(event):
            joins = bool(chord) and player.decoder.now - onset <= 0.035 * v.steps_per_second
            joined[joins] += 1
            way = ways[-1 if name == "seed" else -len(event) + 1]
            at = NOTE_ON if name == "seed" else 0
            assert way.within[at].temperature == (0.6 if joins else 1.3)
            assert way.within[at].top_p == 0.9
    assert min(joined.values()) > 5


def test_chords_are_never_drawn_hotter_than_all_else_unless_it_is_said():
    v = vocabulary("notes")
    for temperature, expected in ((0, 0), (0.5, 0.5), (1.2, CHORD_TEMPERATURE)):
        in_chords = Settings(temperature=temperature).sampling(v, chord=True)
        assert in_chords.within[0].temperature == expected
    assert Settings(temperature=0).certain
    assert not Settings(temperature=0, chord_temperature=1).certain


# Of each setting the last value on either side that is taken, and the first that is not.
BOUNDS = [
    ("temperature", (0, 1e300), (np.nextafter(0, -1), math.inf, -math.inf, math.nan)),
    ("chord_temperature", (0, 1e300), (np.nextafter(0, -1), math.inf, -math.inf, math.nan)),
    ("time_temperature", (0, 1e300), (np.nextafter(0, -1), math.inf, -math.inf, math.nan)),
    ("duration_temperature", (0, 1e300), (np.nextafter(0, -1), math.inf, -math.inf, math.nan)),
    ("velocity_temperature", (0, 1e300), (np.nextafter(0, -1), math.inf, -math.inf, math.nan)),
    ("top_k", (1, 10**9), (0,)),
    ("top_p", (np.nextafter(0, 1), 1), (0, np.nextafter(1, 2), math.nan)),
    ("min_p", (0, 1), (np.nextafter(0, -1), np.nextafter(1, 2), math.nan)),
    ("time_top_p", (np.nextafter(0, 1), 1), (0, np.nextafter(1, 2), math.nan)),
    ("time_min_p", (0, 1), (np.nextafter(0, -1), np.nextafter(1, 2), math.nan)),
    ("duration_top_p", (np.nextafter(0, 1), 1), (0, np.nextafter(1, 2), math.nan)),
    ("duration_min_p", (0, 1), (np.nextafter(0, -1), np.nextafter(1, 2), math.nan)),
    ("lowest_pitch", (0, 127), (-1, 128)),
    ("highest_pitch", (0, 127), (-1, 128)),
    ("polyphony", (1, 10**9), (0,)),
    ("longest_note_s", (np.nextafter(0, 1), 1e300), (0, math.inf, math.nan)),
    ("longest_rest_s", (np.nextafter(0, 1), 1e300), (0, math.inf, math.nan)),
    ("density", (0, 1e300), (np.nextafter(0, -1), math.inf, math.nan)),
    ("loudness", (1, 127), (np.nextafter(1, 0), np.nextafter(127, 128), math.nan)),
    ("onset_rate", (0, 1e300), (np.nextafter(0, -1), math.inf, math.nan)),
    ("guidance", (0, 1000), (np.nextafter(0, -1), np.nextafter(1000, 1001), math.nan)),
    ("returns", (0, 1000), (np.nextafter(0, -1), np.nextafter(1000, 1001), math.nan)),
]


@pytest.mark.parametrize(("name", "taken", "refused"), BOUNDS, ids=[name for name, *_ in BOUNDS])
def test_each_setting_ends_where_it_says(name, taken, refused):
    for value in taken:
        assert getattr(Settings(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(GenerationError, match=name):
            Settings(**{name: value})


def test_every_setting_that_has_an_end_is_tried_there():
    words = {
        "avoid_loops",
        "two_hands",
        "pitch_weights",
        "composer",
    }  # the last two: test_controls.py
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert fields - words == {name for name, *_ in BOUNDS}


def test_limits_are_checked_by_themselves_too():
    with pytest.raises(GenerationError, match="polyphony must be at least 1"):
        Limits(polyphony=0)
    with pytest.raises(GenerationError, match=r"within 0\.\.127"):
        Limits(lowest_pitch=-1)


def test_a_range_may_be_a_single_pitch():
    assert Settings(lowest_pitch=60, highest_pitch=60).limits.highest_pitch == 60
    with pytest.raises(GenerationError, match="61 is above 60"):
        Settings(lowest_pitch=61, highest_pitch=60)


def test_a_range_without_pitches_of_the_vocabulary_is_refused():
    with pytest.raises(GenerationError, match=r"no pitch within 0\.\.20 .* 21\.\.108"):
        Model(Mock(V)).generate_ids(highest_pitch=20)


def test_each_kind_has_its_own_temperature():
    logits = State(Mock(V)).logits()
    plain = Settings(temperature=1.0).sampling(V).distribution(logits)
    changed = Settings(temperature=2.0, time_temperature=0.0).sampling(V).distribution(logits)
    for kind, name in enumerate(KINDS):
        mine, theirs = changed[V.kinds == kind], plain[V.kinds == kind]
        assert mine.sum() == pytest.approx(theirs.sum()), name
        if kind in (VELOCITY, NOTE_OFF):
            np.testing.assert_allclose(mine, theirs)
        elif kind == TIME_SHIFT:
            assert np.count_nonzero(mine) == 1 and mine.argmax() == theirs.argmax()
        elif len(mine):
            np.testing.assert_allclose(mine / mine.sum(), np.sqrt(theirs) / np.sqrt(theirs).sum())


def heard(seed, name="seed", seconds=20, favour=None, **settings):
    """Generate and return the steps at which each note begins and ends, and its pitch."""
    v = vocabulary(name)
    model = Model(Mock(v, favour))
    p = model.generate(seconds=seconds, seed=seed, ending="cut", **settings)
    rate = v.steps_per_second
    return np.round(p.notes["onset_s"] * rate), np.round(p.notes["offset_s"] * rate), p.notes


@pytest.mark.parametrize("name", ["seed", "pedal"])
def test_the_rules_are_kept(name):
    count = 0
    for seed in range(5):  # in `pedal` a piece may end early
        onset, offset, notes = heard(
            seed, name, lowest_pitch=50, highest_pitch=70, polyphony=3, longest_note_s=0.5
        )
        count += len(notes)
        assert ((notes["pitch"] >= 50) & (notes["pitch"] <= 70)).all()
        assert (offset - onset <= 50).all()
        assert all(((onset <= step) & (step < offset)).sum() <= 3 for step in onset)
    assert count > 50
    assert any((heard(seed, name)[2]["pitch"] > 70).any() for seed in range(5))


def test_a_range_and_one_voice():
    onset, offset, notes = heard(1, polyphony=1, lowest_pitch=60, highest_pitch=60)
    assert set(notes["pitch"].tolist()) == {60}
    assert (onset[1:] >= offset[:-1]).all()


@pytest.mark.parametrize("name", ["seed", "pedal", "notes"])
def test_two_hands_can_take_every_chord(name):
    v = vocabulary(name)
    at_once = [v.first[TIME_SHIFT]] if v.notewise else np.flatnonzero(v.kinds == NOTE_ON)
    model = Model(Mock(v, favour=at_once))
    # The primer breaks the rule: no two hands take these at once.
    wide = [21, 40, 60, 80, 100]
    primer = Performance.from_arrays(
        onset_s=[0.0] * 5, offset_s=[0.05] * 5, pitch=wide, velocity=[64] * 5
    )
    for begin in (None, primer):
        found = {}
        for two_hands in (True, False):
            pieces = [
                model.generate(notes=40, seed=seed, primer=begin, two_hands=two_hands)
                for seed in range(3)
            ]
            found[two_hands] = sum(unplayable(piece)[0] for piece in pieces)
            assert all(len(piece) == 40 for piece in pieces)
            assert sum(unplayable(piece)[1] for piece in pieces) > 2
        assert found[True] == 0 < found[False]


@pytest.mark.parametrize("rest_s", [0.5, 2.34])
def test_the_longest_rest(rest_s):
    quiet = [V.first[TIME_SHIFT] + 99]
    onset, offset, _ = heard(0, favour=quiet, longest_rest_s=rest_s, longest_note_s=1.0, seconds=60)
    ends = np.maximum.accumulate(np.concatenate(([0], offset)))
    rests = onset - ends[: len(onset)]
    assert rests.max() == round(rest_s * 100)
    assert len(heard(0, favour=quiet, seconds=60)[2]) < 5


def test_no_rest_and_no_note_is_shorter_than_a_step_of_the_grid():
    limits = Limits(longest_rest_s=1e-9, longest_note_s=1e-9)
    assert limits.longest_rest(V) == 1
    assert limits.longest_note(V) == 1


def test_rules_do_not_change_what_they_do_not_touch():
    loose = {"lowest_pitch": 21, "highest_pitch": 108, "polyphony": 88, "longest_rest_s": 1000.0}
    model = Model(Mock(V))
    assert list(model.generate_ids(events=300, seed=1, **loose)) == list(
        model.generate_ids(events=300, seed=1)
    )
    drawn = list(model.generate_ids(events=300, seed=1, min_p=0.0, time_temperature=1.0))
    assert V.kinds[drawn[0]] != NOTE_ON  # still after a velocity


@pytest.mark.parametrize("name", [*settings._REAL, *settings._WHOLE])
def test_what_is_no_number_is_refused_in_one_line(name):
    wrong = ("1", [1], True, np.True_, np.array([1.0, 2.0]), 1j, "x\n" * 99, 10**400, -(10**400))
    for value in (*wrong, math.nan, math.inf, -math.inf, np.float32("nan"), float("1e400")):
        with pytest.raises(GenerationError) as caught:
            Settings(**{name: value})
        assert name in str(caught.value)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("name", [*settings._REAL, *settings._WHOLE])
def test_numbers_of_numpy_are_numbers(name):
    for value in (
        np.float32(1),
        np.float64(1),
        np.int64(1),
        np.uint8(1),
        np.array(1),
        np.array([1]),
    ):
        fitted = getattr(Settings(**{name: value}), name)
        assert fitted == 1 and type(fitted) in (int, float)
    with pytest.raises(GenerationError, match="whole number"):
        Settings(polyphony=2.5)


def test_what_always_holds_cannot_be_none():
    for name in ("temperature", "returns", "lowest_pitch", "highest_pitch"):
        with pytest.raises(GenerationError, match=f"{name} must be a number, not None"):
            Settings(**{name: None})


def test_lengths_are_numbers_too():
    assert length_of(np.float32(2), None, None, None)["seconds"] == 2
    assert length_of(None, np.int64(2), None, None)["events"] == 2
    for length in (
        ("1", None, None),
        (None, 1.5, None),
        (None, None, math.nan),
        (None, 10**400, None),
    ):
        with pytest.raises(GenerationError, match="must be a"):
            length_of(*length, None)
