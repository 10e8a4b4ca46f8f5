import numpy as np
import pytest

from espressivo.codes import (
    DURATION,
    END,
    NOTE_OFF,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    decoder_of,
    presets,
    vocabulary,
)
from espressivo.errors import GenerationError
from espressivo.music import chord_starts, likeliest_key, parse_key, sustained_notes
from espressivo.play import endings
from espressivo.play.endings import CLOSE_S, TOLERANCE, Close, Homeward, close_steps
from espressivo.play.model import Model
from espressivo.play.settings import Settings
from known import Mock

V, NOTES = vocabulary("seed"), vocabulary("notes")
C, E, F, G = 27, 31, 32, 34  # keys, from C3 on, counted from the lowest of 88


def begun(v, now, end=3000):
    """The close of a piece in C major, in which a chord sounds until `now`."""
    decoder = decoder_of(v)
    for event in decoder.passing(end - close_steps(decoder, end)):
        for id_ in event:
            decoder.feed(id_)
    close = Close(decoder, end, [], parse_key("C major").pitch_weights)
    for event in decoder.passing(now - decoder.now):
        for id_ in event:
            decoder.feed(id_)
    return decoder, close


def strike(decoder, *keys):
    v = decoder.vocabulary
    for key in keys:
        for id_ in [v.first[TIME_SHIFT], key, v.first[VELOCITY] + 9, v.first[DURATION] + 1]:
            if v.notewise or id_ < v.first[TIME_SHIFT]:
                decoder.feed(id_)


def free(close, decoder, kind, v):
    """The ids of a kind that are not ruled out, counted from the first."""
    named = set(close.ruled_out(decoder))
    return {n for n in range(v.counts[kind]) if v.first[kind] + n not in named}


@pytest.mark.parametrize("v", [V, NOTES])
def test_before_its_time_nothing_is_ruled_out(v):
    decoder, close = begun(v, 2500)
    strike(decoder, C, F)
    assert not close.ruled_out(decoder) and not close.arrived(decoder)


@pytest.mark.parametrize("v", [V, NOTES])
def test_a_chord_over_the_tonic_is_the_last(v):
    decoder, close = begun(v, 2551)
    strike(decoder, C)
    assert close.arrived(decoder)
    assert {(key - C) % 12 for key in free(close, decoder, NOTE_ON, v)} == {0, 4, 7}
    assert min(free(close, decoder, NOTE_ON, v)) == C
    shifts = v.values[v.first[TIME_SHIFT] :][list(free(close, decoder, TIME_SHIFT, v))]
    assert shifts.max() < 4  # another note is to come, in the same chord
    assert not free(close, decoder, SUSTAIN, v)
    strike(decoder, E, G)
    assert len(free(close, decoder, TIME_SHIFT, v)) == v.counts[TIME_SHIFT]
    if v.notewise:
        assert v.shortest_durations[list(free(close, decoder, DURATION, v))].min() >= 300
    shift = v.first[TIME_SHIFT] + (3 if v.notewise else 2)  # of 3 steps
    assert not close.over(decoder, (shift,)) and close.over(decoder, (shift + 1,))


@pytest.mark.parametrize("v", [V, NOTES])
def test_another_chord_is_not_the_last_and_none_comes_late(v):
    decoder, close = begun(v, 2699)
    strike(decoder, E, G, C + 12)
    assert not close.arrived(decoder) and not close.ruled_out(decoder)
    for event in decoder.passing(1):
        decoder.feed(*event)
    assert not free(close, decoder, NOTE_ON, v)  # the tonic would join that chord
    for event in decoder.passing(3):
        decoder.feed(*event)
    assert free(close, decoder, NOTE_ON, v) == {C - 24, C - 12, C}


def test_no_velocity_comes_that_no_note_of_the_last_chord_can_follow():
    decoder, close = begun(V, 2400)
    decoder.feed(V.first[VELOCITY] + 9)
    for key in (C - 24, C - 12, C):
        decoder.feed(key)
    for event in decoder.passing(320):
        decoder.feed(*event)
    assert not free(close, decoder, VELOCITY, V)
    decoder.feed(V.first[NOTE_OFF] + C)
    assert free(close, decoder, VELOCITY, V)


def test_a_piece_grows_slower():
    lengths = []
    for now in (2390, 2400, 2500, 2600, 2850):
        decoder, close = begun(V, now)
        adjust = close.slower(decoder)
        lengths.append(V.values[adjust(V.first[TIME_SHIFT] + 29)])
    assert lengths[:2] == [30, 30] and lengths[-1] == 54
    assert (np.diff(lengths[1:]) > 0).all()


@pytest.mark.parametrize("name", presets())
@pytest.mark.parametrize("seconds", [0.5, 5.0, 14.3, 30.0])
def test_a_piece_is_about_as_long_as_requested(name, seconds):
    v = vocabulary(name)
    model = Model(Mock(v))
    for seed in range(4):
        ids = list(model.generate_ids(seconds=seconds, seed=seed))
        p = v.decode(ids)
        assert abs(p.seconds / seconds - 1) <= TOLERANCE + 1e-9
        assert model.generate(seconds=seconds, seed=seed) == p
        decoder = decoder_of(v)
        for id_ in ids:
            decoder.feed(id_)
        shifts = v.kinds[ids] == TIME_SHIFT
        partial = shifts & (v.values[ids] < v.max_shift_steps)
        assert not (partial[:-1] & shifts[1:]).any()  # as the codec would write them
        assert not decoder.closing()  # every note has its note-off, and the pedal is up
        if v.counts[SUSTAIN]:
            assert p.controls["value"][-2:].tolist() == [127, 0]
            assert p.controls["time_s"][-1] == p.seconds


@pytest.mark.parametrize("name", presets())
def test_the_last_chord_is_the_triad_of_the_tonic_and_rings(name, monkeypatch):
    monkeypatch.setattr(endings, "likeliest_key", lambda _: parse_key("A minor"))
    v = vocabulary(name)
    for seed in range(4):
        p = Model(Mock(v)).generate(seconds=20, seed=seed, polyphony=8)  # so that keys are free
        notes = sustained_notes(p)
        last = notes[np.flatnonzero(chord_starts(notes["onset_s"]))[-1] :]
        assert last["pitch"].min() % 12 == 9 and last["pitch"].min() <= 55
        after_bass = last["onset_s"] > last["onset_s"][last["pitch"].argmin()]
        assert set(last["pitch"][after_bass] % 12) <= {9, 0, 4} and len(last) >= 3
        assert (last["offset_s"] == p.seconds).all()
        assert 2.5 < p.seconds - last["onset_s"][0] < 3.5
        before = notes[: -len(last)]
        dampened_s = last["onset_s"][-1] + 0.11
        sounding = before[before["offset_s"] > dampened_s]
        assert v.notewise or not len(sounding)


def test_the_last_chord_keeps_to_the_limits():
    for v in (V, NOTES):
        limits = {"lowest_pitch": 60, "highest_pitch": 70, "longest_note_s": 0.2, "polyphony": 2}
        p = Model(Mock(v)).generate(seconds=12, seed=1, **limits)
        assert p.notes["pitch"].min() >= 60 and p.notes["pitch"].max() <= 70
        assert (p.notes["offset_s"] - p.notes["onset_s"]).max() < 0.2 + 1e-9
        assert abs(p.seconds / 12 - 1) <= TOLERANCE + 1e-9


def test_the_key_is_that_of_the_last_seconds():
    early = [V.first[VELOCITY] + 9, *[key for key in (3, 5, 7, 10) for _ in range(9)]]
    rests = [V.first[TIME_SHIFT] + 99] * 16
    late = [C, E, G, C, F, C, E, G, C]
    decoder = decoder_of(V)
    for id_ in [*early, *rests, *late]:
        decoder.feed(id_)
    found = endings._key_of(decoder, [*early, *rests, *late])
    assert (found.tonic, found.mode) == ((C + 21) % 12, "major")
    assert likeliest_key(np.ones(12)) is None


def test_until_the_close_it_is_the_piece_that_is_cut():
    model = Model(Mock(V))
    for seed in range(5):
        natural = list(model.generate_ids(seconds=30, seed=seed))
        cut = list(model.generate_ids(seconds=30, seed=seed, ending="cut"))
        steps = np.cumsum(np.where(V.kinds[natural] == TIME_SHIFT, V.values[natural], 0))
        before = int((steps < 100 * (30 - CLOSE_S)).sum())
        assert natural[:before] == cut[:before] and natural != cut


def test_a_piece_may_end_by_itself():
    pedal = vocabulary("pedal")
    model = Model(Mock(pedal))
    brief = {"polyphony": 1, "longest_note_s": 0.05, "ending": "own"}  # often nothing sounds
    pieces = [list(model.generate_ids(seed=seed, **brief)) for seed in range(10)]
    assert {ids[-1] for ids in pieces} == {pedal.first[END]}
    assert len({len(ids) for ids in pieces}) > 5
    never = Model(Mock(pedal, favour=np.flatnonzero(pedal.kinds == NOTE_ON)))
    assert never.generate(ending="own", seconds=1.5, seed=0).seconds <= 1.5
    with pytest.raises(GenerationError, match="'seed' has no end event"):
        Model(Mock(V)).generate(ending="own")
    with pytest.raises(GenerationError, match="one of natural, cut, own, not 'abrupt'"):
        model.generate(ending="abrupt")


def played_in(v, keys, steps):
    """Ids of notes one after another, as many steps apart, and a decoder that has been fed them."""
    decoder, ids = decoder_of(v), []
    for key in keys:
        event = [v.first[TIME_SHIFT] + steps, v.first[NOTE_ON] + key]
        event += [v.first[VELOCITY] + 9, v.first[DURATION] + 1]
        for id_ in event[: 4 if v.notewise else 2]:
            decoder.feed(id_)
            ids.append(id_)
    return decoder, ids


def test_on_its_way_to_the_close_a_piece_returns_home_and_calms_down():
    a_minor, f_major = [24, 26, 27, 29, 31, 32, 36, 24, 24], [32, 34, 36, 37, 39, 41, 44]
    keys = 9 * a_minor + f_major  # from C3 on; the end is in another key than the whole
    decoder, ids = played_in(NOTES, keys, 50)  # two a second
    end = decoder.now + 1200
    home = Homeward(decoder, end, ("density", "pitch_weights"))
    usual = Settings()
    asked = home.look(decoder, ids, usual)
    assert asked.pitch_weights == parse_key("A minor").pitch_weights
    assert (asked.density, asked.guidance) == (None, 1)
    assert home.look(decoder, ids, asked) is asked
    for event in decoder.passing(500):
        for id_ in event:
            decoder.feed(id_)
    calm = home.look(decoder, ids, asked)
    assert calm.pitch_weights == asked.pitch_weights
    assert calm.density == pytest.approx(0.4 * 21 / 15)  # as 5 of the 15 s were silent


def test_what_is_requested_of_the_close_stays_and_what_is_not_supported_is_not_asked():
    decoder, ids = played_in(NOTES, [24, 26, 27, 29] * 9, 50)
    given = Settings(pitch_weights=parse_key("F major").pitch_weights, onset_rate=3, guidance=2)
    for settings in (given, Settings(pitch_weights=given.pitch_weights, density=9)):
        home = Homeward(decoder, decoder.now, ("density", "pitch_weights", "onset_rate"))
        assert home.look(decoder, ids, settings) is settings
    usual = Settings()
    assert Homeward(decoder, decoder.now, ()).look(decoder, ids, usual) is usual
