import numpy as np
import pytest

from espressivo.codes import (
    END,
    NOTE_OFF,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    decoder_of,
    vocabulary,
)
from espressivo.errors import GenerationError
from espressivo.play.endings import (
    CLOSE_S,
    FADE,
    PAUSE_S,
    RING_S,
    Close,
)
from espressivo.play.model import Model
from known import Mock

V = vocabulary("seed")
ON, OFF, SHIFT, LOUD = 39, V.first[NOTE_OFF] + 39, V.first[TIME_SHIFT], V.first[VELOCITY] + 20


def fed(decoder, *ids):
    for id_ in ids:
        decoder.feed(id_)


def passed(decoder, steps):
    while steps > 0:
        decoder.feed(SHIFT + min(steps, 100) - 1)
        steps -= 100


def begun(v=V):
    """A note sounds until a second before the close of a piece of 30 s begins."""
    decoder = decoder_of(v)
    close = Close(decoder, 3000)
    fed(decoder, v.first[VELOCITY] + 20, ON)
    passed(decoder, 3000 - round(100 * CLOSE_S) - 1)
    return decoder, close


def ruled_out(close, decoder):
    close.look(decoder)
    return close.ruled_out(decoder)


def over(close, decoder):
    close.look(decoder)
    return close.closed and not decoder.sounding


def test_before_its_time_nothing_is_ruled_out():
    decoder, close = begun()
    assert ruled_out(close, decoder) == [] and not over(close, decoder)


def test_it_closes_when_nothing_sounds_or_no_note_has_begun_for_a_while():
    decoder, close = begun()
    passed(decoder, 1)
    assert {ON, LOUD} <= set(ruled_out(close, decoder))  # the note began long before
    assert not over(close, decoder)
    fed(decoder, OFF)
    assert over(close, decoder)

    decoder, close = begun()
    fed(decoder, ON + 1)
    passed(decoder, round(100 * PAUSE_S) - 1)
    assert ON not in ruled_out(close, decoder)
    passed(decoder, 1)
    assert ON in ruled_out(close, decoder)


def test_a_rest_that_began_before_the_close_does_not_end_the_piece():
    decoder, close = begun()
    fed(decoder, OFF)
    passed(decoder, 1)
    assert not over(close, decoder) and ON in set(range(V.size)) - set(ruled_out(close, decoder))
    fed(decoder, ON)
    ruled_out(close, decoder)
    fed(decoder, OFF)
    passed(decoder, round(100 * PAUSE_S))
    ruled_out(close, decoder)
    assert over(close, decoder)


def test_it_grows_softer_until_it_closes_at_last():
    decoder, close = begun()
    limits = []
    for step in range(round(100 * (CLOSE_S - RING_S))):
        passed(decoder, 1)
        decoder.feed(OFF if step % 2 else ON)
        fed(decoder, ON + 1 + step % 40)  # a note on every step, so never a pause
        without = ruled_out(close, decoder)
        assert ON not in without
        limits.append(without[0] - V.first[VELOCITY] - 1)  # the loudest that is left
    assert limits[0] == 20 and limits[-1] == round(20 * (1 - FADE))
    assert (np.diff(limits) <= 0).all()
    passed(decoder, 1)
    assert ON in ruled_out(close, decoder)


@pytest.mark.parametrize("name", ["seed", "pedal", "notes"])
@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0, 14.3])
def test_no_piece_is_longer_than_asked_and_the_last_notes_ring(name, seconds):
    v = vocabulary(name)
    model = Model(Mock(v))
    ring_s = RING_S * min(1, seconds / (2 * CLOSE_S))
    for seed in range(8):
        ids = list(model.generate_ids(seconds=seconds, seed=seed))
        p = v.decode(ids)
        assert p.seconds <= seconds + 1e-9
        if len(p):
            assert p.notes["onset_s"].max() < seconds - ring_s + 0.02
        assert model.generate(seconds=seconds, seed=seed) == p
        decoder = decoder_of(v)
        fed(decoder, *ids)
        assert not decoder.closing()  # every note has its note-off, and the pedal is up
        if v.counts[SUSTAIN] and len(p.controls):
            assert p.controls["value"][-1] == 0


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
