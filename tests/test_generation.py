import math
import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from espressivo.codes import (
    END,
    LONGEST_NOTE_S,
    NOTE_OFF,
    NOTE_ON,
    START,
    TIME_SHIFT,
    VELOCITY,
    Limits,
    decoder_of,
    presets,
    vocabulary,
)
from espressivo.codes import SUSTAIN as PEDAL
from espressivo.engine.engine import Engine, State
from espressivo.engine.sampling import Sampling, generator
from espressivo.errors import CodecError, GenerationError, ModelError
from espressivo.export.model_file import export
from espressivo.midi import reading as midi
from espressivo.music import CONTROL_DTYPE, NOTE_DTYPE, SUSTAIN, Performance
from espressivo.networks import Recurrent, RecurrentConfig
from espressivo.play import Model, bundled, load, loading, pieces
from espressivo.play.endings import TOLERANCE
from espressivo.play.mask import Mask
from espressivo.play.settings import Settings
from known import CARD, Mock

EVENTS = [name for name in presets() if not vocabulary(name).notewise]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A tiny random model file for each preset."""
    folder = tmp_path_factory.mktemp("models")
    for name in presets():
        torch.manual_seed(1)
        v = vocabulary(name)
        network = Recurrent(RecurrentConfig("gru", hidden=16, layers=2), v.size)
        export(network, v, folder / f"{name}.onnx", card=CARD)
    return {name: folder / f"{name}.onnx" for name in presets()}


@pytest.fixture(scope="module")
def models(paths):
    return {name: load(path) for name, path in paths.items()}


@pytest.fixture(scope="module")
def model(models):
    return models["seed"]


def longest_shift(v):
    return v.first[TIME_SHIFT] + v.counts[TIME_SHIFT] - 1


def kinds(ids, v):
    return v.kinds[np.array(list(ids), int)].tolist()


def played(ids, v):
    """Interpret a list by itself, strictly: fail on whatever the codec would not write.

    Returns a performance whose simultaneous notes are a little apart, in the order of the list,
    and the greatest length of a note in steps.
    """
    now, velocity, sounding, notes, controls, longest = 0, None, {}, [], [], 0
    for position, id_ in enumerate(ids):
        kind, value = v.kinds[id_], int(v.values[id_])
        if kind == NOTE_ON:
            assert value not in sounding, "note-on of a sounding pitch"
            assert velocity is not None, "note before any velocity"
            sounding[value] = (now, velocity, position)
        elif kind == NOTE_OFF:
            assert value in sounding, "stray note-off"
            start, loudness, order = sounding.pop(value)
            assert now > start, "note-off in the step of its note-on"
            longest = max(longest, now - start)
            notes.append((start, now, value, loudness, order))
        elif kind == TIME_SHIFT:
            now += value
        elif kind == VELOCITY:
            velocity = value
        elif kind == PEDAL:
            controls.append((now / v.steps_per_second, SUSTAIN, 127 * value))
    for value, (start, loudness, order) in sounding.items():
        longest = max(longest, now - start)
        notes.append((start, max(now, start + 1), value, loudness, order))
    start, end, pitch, loudness, order = np.array(notes).reshape(-1, 5).T
    apart_s = order * 0.3 / v.steps_per_second / (len(ids) + 1)
    rate = v.steps_per_second
    performance = Performance.from_arrays(
        onset_s=start / rate + apart_s,
        offset_s=end / rate,
        pitch=pitch,
        velocity=loudness,
        controls=np.array(controls, CONTROL_DTYPE),
    )
    return performance, longest


def closed(ids, v):
    """Return a list with its sounding notes ended as the codec would write them."""
    ids = list(ids)
    if ids and v.kinds[ids[-1]] == VELOCITY:
        ids.pop()
    while ids and v.kinds[ids[-1]] == TIME_SHIFT:
        ids.pop()
    sounding = []
    for id_ in ids:
        if v.kinds[id_] == NOTE_ON:
            sounding.append(v.values[id_])
        elif v.kinds[id_] == NOTE_OFF:
            sounding.remove(v.values[id_])
    if sounding:
        offs = [v.first[NOTE_OFF] + pitch - v.lowest_pitch for pitch in sounding]
        ids += [v.first[TIME_SHIFT], *offs]
    if v.boundaries and v.kinds[ids[-1]] != END:
        ids.append(v.first[END])
    return ids


# --- what is generated is what the codec writes ---------------------------------------------------


@pytest.mark.parametrize("name", EVENTS)
def test_generated_lists_are_canonical(models, name):
    v = models[name].vocabulary
    seen = np.zeros(v.size, int)
    for seed in range(160):
        ids = list(islice(models[name].generate_ids(seed=seed), 100))
        seen += np.bincount(ids, minlength=v.size)
        whole = closed(ids, v)
        performance, _ = played(whole, v)
        assert v.encode(performance).tolist() == whole
        assert played(ids, v)[1] <= LONGEST_NOTE_S * v.steps_per_second
        if v.order == "pitch":  # nothing about the order is lost in decoding
            assert v.encode(v.decode(whole)).tolist() == whole
        assert v.decode(whole) == v.quantise(performance)
    assert (seen > 0).all()  # no event is ruled out for ever


@pytest.mark.parametrize("name", presets())
def test_whatever_the_codec_writes_is_allowed(name):
    v = vocabulary(name)
    rng = np.random.default_rng(5)
    for _ in range(30):
        ids = v.encode(random_performance(rng))
        decoder = decoder_of(v)
        for position, id_ in enumerate(ids):
            assert decoder.allowed()[id_], (position, v.describe(id_))
            if v.sustain == "events":  # the pedal lengthens no note beyond ten seconds
                assert decoder.overdue() is None
                assert decoder.cut(id_) == id_
            decoder.feed(id_)
        assert decoder.now == round(v.decode(ids).seconds * v.steps_per_second)


def random_performance(rng, notes=60):
    """Notes of which none overlap on one pitch, many at once, with pedal, up to 9 s long."""
    free_s = np.zeros(128)
    rows = []
    onset_s = 0.0
    for _ in range(notes):
        onset_s += rng.choice([0.0, 0.004, 0.01, 0.3, 1.0, 2.5])
        pitch = int(rng.choice(np.flatnonzero(free_s[20:110] <= onset_s))) + 20
        offset_s = onset_s + rng.choice([0.02, 0.2, 1.0, 2.0])
        free_s[pitch] = offset_s + 0.02
        rows.append((onset_s, offset_s, pitch, rng.integers(1, 128)))
    times = np.sort(rng.random(40) * onset_s).round(1)
    controls = [(t, SUSTAIN, v) for t, v in zip(times, rng.choice([0, 127], 40), strict=True)]
    return Performance(np.array(rows, NOTE_DTYPE), np.array(controls, CONTROL_DTYPE))


def test_the_rules_one_by_one():
    v = vocabulary("pedal")
    start, end, up = v.first[START], v.first[END], v.first[PEDAL]
    on, off = (lambda pitch: pitch - 21), (lambda pitch: v.first[NOTE_OFF] + pitch - 21)
    soft, loud = v.first[VELOCITY] + 5, v.first[VELOCITY] + 20
    shift, full = v.first[TIME_SHIFT], v.first[TIME_SHIFT] + 99

    def after(*ids):
        decoder = decoder_of(v)
        for id_ in ids:
            decoder.feed(id_)
        return decoder.allowed()

    assert np.flatnonzero(after()).tolist() == [start]
    begin = after(start)
    assert begin[[soft, shift, full, up + 1, end]].all()
    assert not begin[[start, on(60), off(60), up]].any()
    assert np.flatnonzero(after(start, soft)).tolist() == list(range(88))
    struck = after(start, soft, on(60))
    assert struck[[on(61), loud, shift]].all()
    assert not struck[[on(60), on(59), off(60), soft, up, up + 1, end]].any()
    later = after(start, soft, on(60), shift)
    assert later[[off(60), on(59), up + 1, loud]].all()
    assert not later[[on(60), off(59), shift, full, soft, end]].any()
    assert after(start, soft, on(60), full)[[shift, full]].all()
    chord = (start, soft, on(60), on(64), shift)
    assert not after(*chord, off(64))[[off(60), up, up + 1]].any()
    assert after(*chord, off(60))[[off(64), on(60)]].all()
    assert not after(*chord, off(60), on(60))[off(64)]
    assert after(*chord, off(60), on(60), shift)[[off(64), off(60)]].all()
    assert after(*chord, off(60), off(64))[end]
    assert not after(*chord, off(60), off(64), shift)[end]
    assert not after(start, up + 1)[[up, up + 1]].any()
    down = after(start, up + 1, shift)
    assert down[up] and not down[up + 1]
    assert after(start, up + 1, shift, up)[up + 1]
    assert not after(start, up + 1, shift, up, up + 1)[[up, up + 1]].any()
    assert not after(start, soft, on(108))[: v.first[NOTE_OFF]].any()
    assert not after(start, soft, on(108))[v.first[VELOCITY] : up].any()
    assert not after(start, end).any()


def test_pitches_of_a_chord_may_stand_in_any_order_as_played():
    v = vocabulary("seed")
    decoder = decoder_of(v)
    for id_ in (v.first[VELOCITY], 40):
        decoder.feed(id_)
    assert decoder.allowed()[:88].sum() == 87


def test_any_list_can_be_fed_and_leaves_a_way_on(models):
    rng = np.random.default_rng(2)
    for name, model in models.items():
        v = vocabulary(name)
        for seed in range(20):
            ids = rng.integers(v.size, size=200)
            if v.boundaries:
                ids = ids[ids != v.first[END]]
            more = list(model.generate_ids(primer=ids, events=50, seed=seed))
            assert whole_events(more, v) == 50
    v = vocabulary("pedal")
    stuck = [v.first[VELOCITY], 87, v.first[VELOCITY] + 1]  # no higher pitch is left in this step
    assert len(list(models["pedal"].generate_ids(primer=stuck, events=50, seed=0))) == 50


@pytest.mark.parametrize("name", presets())
def test_something_can_always_follow_but_after_the_end(name):
    v = vocabulary(name)
    rng = np.random.default_rng(3)
    for rules in ({}, {"polyphony": 1}, {"lowest_pitch": 60, "highest_pitch": 61}):
        decoder = decoder_of(v, Limits(longest_rest_s=0.02, **rules))
        assert decoder.allowed().any() and not decoder.ended
        for id_ in rng.integers(v.size, size=1000).tolist():
            decoder.feed(id_)
            assert decoder.ended == (v.kinds[id_] == END)
            assert decoder.allowed().any() != decoder.ended


def test_overlapping_notes_of_a_primer_end_one_by_one():
    v = vocabulary("seed")
    decoder = decoder_of(v)
    on, off = 39, v.first[NOTE_OFF] + 39
    for id_ in (v.first[VELOCITY], on, v.first[TIME_SHIFT], on, v.first[TIME_SHIFT], off):
        decoder.feed(id_)
    decoder.feed(v.first[TIME_SHIFT])
    assert decoder.allowed()[off] and not decoder.allowed()[on]
    decoder.feed(off)
    assert decoder.allowed()[on] and not decoder.allowed()[off]


# --- no note hangs, and every request ends --------------------------------------------------------


def test_a_note_is_ended_after_ten_seconds():
    v = vocabulary("seed")
    shift = v.first[TIME_SHIFT] + 98  # 990 ms, so that ten seconds are not a whole number of them
    model = Model(Mock(v, favour=[shift, shift + 1, 0]))
    ids = list(model.generate_ids(events=400, seed=0))
    _, longest = played(ids, v)
    assert longest == 1000
    assert (v.first[NOTE_OFF] + 0) in ids


def whole_events(ids, v):
    decoder = decoder_of(v)
    return sum(decoder.completes(id_) for id_ in ids)


@pytest.mark.parametrize("name", presets())
def test_silence_and_chatter_end_too(name):
    v = vocabulary(name)
    only_time = [longest_shift(v)]
    no_time = np.flatnonzero((v.kinds != TIME_SHIFT) & (v.kinds != END))
    for favour in (only_time, no_time):
        model = Model(Mock(v, favour))
        assert model.generate(seconds=0.2, seed=0).seconds <= 0.2 * (1 + TOLERANCE)
        assert whole_events(list(model.generate_ids(events=300, seed=0)), v) == 300
    assert len(Model(Mock(v, only_time)).generate(seconds=20, seed=0)) < 5


@pytest.mark.parametrize("seconds", [0.01, 0.29, 1, 2.345, 7.5, 30])
def test_length_in_seconds(models, seconds):
    for model in models.values():
        v = model.vocabulary
        for seed in range(5 if seconds < 10 else 2):
            ids = list(model.generate_ids(seconds=seconds, seed=seed, ending="cut"))
            steps = v.values[ids][v.kinds[ids] == TIME_SHIFT].sum()
            assert END not in kinds(ids, v)
            assert steps == math.floor(seconds * 100 + 1e-6)
            assert v.kinds[ids[-1]] == TIME_SHIFT
            performance = model.generate(seconds=seconds, seed=seed, ending="cut")
            assert performance.seconds <= seconds
            assert performance.seconds > seconds - 3  # sounding notes are closed at the end


@pytest.mark.parametrize("name", presets())
@pytest.mark.parametrize("start_s", [0.7, 1.0, 1.5])
def test_without_a_primer_music_begins_soon(name, start_s, monkeypatch):
    monkeypatch.setattr(pieces, "LONGEST_START_S", start_s)
    v = vocabulary(name)
    model = Model(Mock(v, favour=[longest_shift(v)]))
    for arguments in ({}, {"longest_rest_s": 5.0}, {"ending": "cut"}):
        notes = model.generate(seconds=20, seed=0, **arguments).notes
        assert notes["onset_s"][0] == start_s
    assert model.generate(seconds=20, seed=0, longest_rest_s=0.5).notes["onset_s"][0] == 0.5
    short = model.generate(seconds=1, seed=0, ending="cut")
    assert short.notes["onset_s"].tolist() == [0.25]
    primer = [longest_shift(v)]  # a rest that would go on
    late = model.generate(seconds=5, seed=0, primer=primer, ending="cut")
    assert late.notes["onset_s"][0] == 2.5


@pytest.mark.parametrize("name", presets())
@pytest.mark.parametrize("ending", ["natural", "cut"])
def test_a_piece_of_a_second_is_never_empty(name, ending):
    v = vocabulary(name)
    for favour in ([longest_shift(v)], None):
        model = Model(Mock(v, favour))
        for seed in range(5):
            for primer in (None, [longest_shift(v)]):
                notes = model.generate(seconds=1, seed=seed, ending=ending, primer=primer).notes
                assert len(notes) and notes["onset_s"][0] <= 0.5


def test_length_in_events(models):
    for model in models.values():
        for seed in range(5):
            ids = list(model.generate_ids(events=77, seed=seed))
            assert whole_events(ids, model.vocabulary) == 77
            assert model.vocabulary.decode(ids) == model.generate(events=77, seed=seed)


def test_length_in_notes(models):
    for model in models.values():
        for seed in range(5):
            ids = list(model.generate_ids(notes=9, seed=seed))
            assert kinds(ids, model.vocabulary).count(NOTE_ON) == 9
            notes = model.vocabulary.decode(ids).notes
            assert len(notes) == 9
            ends_s = notes["offset_s"]  # the last note rings, and is not cut at its beginning
            assert ends_s[-1] > notes["onset_s"][-1] + 0.005


def test_the_end_of_a_piece_ends_it():
    v = vocabulary("pedal")
    model = Model(Mock(v, favour=[v.first[END]]))
    first = v.encode(
        Performance.from_arrays(onset_s=[0.0], offset_s=[0.5], pitch=[60], velocity=[64])
    )[:-1]
    assert list(model.generate_ids(seed=0, primer=first)) == [v.first[END]]
    assert len(model.generate(seed=0, primer=first, ending="own")) == 0
    assert model.generate(seconds=5, seed=0, primer=first, ending="cut").seconds > 2
    begun = kinds(islice(model.generate_ids(seed=0), 40), v)
    assert NOTE_ON in begun
    assert END not in begun[: begun.index(NOTE_ON)], "there is no end before the first note"


def test_a_stream_is_lazy_and_endless(model):
    stream = model.generate_ids(seed=3)
    first = list(islice(stream, 20))
    assert first == list(model.generate_ids(seed=3, events=20))
    assert len(list(islice(stream, 500))) == 500


def test_thirty_seconds_by_default(model):
    assert model.generate(seed=4) == model.generate(seed=4, seconds=30)


# --- seeds ----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_file_and_another_another(model, paths, tmp_path):
    settings = {"seconds": 5, "temperature": 0.9, "top_k": 50, "top_p": 0.95}
    for number, loaded in enumerate((model, model, load(paths["seed"]))):
        loaded.generate(seed=11, **settings).write(tmp_path / f"{number}.mid")
    contents = [(tmp_path / f"{number}.mid").read_bytes() for number in range(3)]
    assert contents[0] == contents[1] == contents[2]
    assert len({tuple(model.generate_ids(seed=seed, events=30)) for seed in range(20)}) == 20
    assert model.generate(seconds=5) != model.generate(seconds=5)


# --- the very distribution ------------------------------------------------------------------------


@pytest.mark.parametrize("name", presets())
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_k": 20, "top_p": 0.9}])
def test_events_are_drawn_from_the_masked_distribution(name, settings):
    v = vocabulary(name)
    mock = Mock(v)
    generated = list(islice(Model(mock).generate_ids(seed=9, **settings), 300))
    # Again, with the mock's formula and the history written out.
    rng = generator(9)
    mask, mixed, drawn = Mask(v, Settings(**settings)), v.size + 1, 0
    mask.start = 10  # a note begins within 0.1 s
    for position, id_ in enumerate(generated):
        if mask.decoder.overdue() is None:
            allowed = mask.allowed(mask.decoder)
            sampling = Settings(**settings).sampling(v, chord=bool(mask.decoder.chord))
            logits = mock.logits(mixed % 1009, position + 1)
            p = sampling.distribution(logits, allowed)
            chosen = int(np.searchsorted(p.cumsum(), (1 - rng.random()) * p.cumsum()[-1]))
            assert id_ == mask.cut(mask.decoder, chosen)
            drawn += id_ == chosen
        mixed = (mixed % 1009) * 31 + id_ + 1
        mask.feed(id_)
    assert drawn > 150


def test_first_events_come_as_often_as_they_should():
    v = vocabulary("seed")
    mock, count = Mock(v), 1500
    decoder = decoder_of(v)
    first = [next(Model(mock).generate_ids(seed=seed, temperature=1)) for seed in range(count)]
    expected = Sampling().distribution(mock.logits(v.size + 1, 1), decoder.allowed())
    soonest = v.first[TIME_SHIFT] + 9  # longer ones are cut: a note begins within 0.1 s
    longer = (v.kinds == TIME_SHIFT) & (np.arange(v.size) > soonest)
    expected[soonest] += expected[longer].sum()
    expected[longer] = 0
    observed = np.bincount(first, minlength=v.size)
    common = expected * count > 5
    assert not observed[expected == 0].any()
    chi_square = ((observed - count * expected)[common] ** 2 / (count * expected[common])).sum()
    freedom = common.sum()
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


# --- primers --------------------------------------------------------------------------------------


def test_the_primer_is_fed_whole_as_ids_or_as_performance():
    model = Model(Mock(vocabulary("seed")))
    performance = Performance.from_arrays(
        onset_s=[0, 0.5], offset_s=[0.4, 1.25], pitch=[60, 64], velocity=[80, 72]
    )
    ids = model.vocabulary.encode(performance)
    plain = list(model.generate_ids(events=60, seed=1))
    primed = list(model.generate_ids(events=60, seed=1, primer=ids))
    assert primed == list(model.generate_ids(events=60, seed=1, primer=performance))
    assert primed == list(model.generate_ids(events=60, seed=1, primer=ids.tolist()))
    assert primed != plain
    assert plain == list(model.generate_ids(events=60, seed=1, primer=[]))
    assert primed != list(model.generate_ids(events=60, seed=1, primer=ids[:-1]))
    assert primed != list(model.generate_ids(events=60, seed=1, primer=ids[1:]))


def test_with_the_primer_the_result_is_one_performance(model):
    v = model.vocabulary
    primer = Performance.from_arrays(
        onset_s=[0, 0.5], offset_s=[0.4, 1.25], pitch=[60, 64], velocity=[80, 72]
    )
    whole = model.generate(seconds=3, seed=1, primer=primer, include_primer=True)
    more = list(model.generate_ids(seconds=3, seed=1, primer=primer))
    ids = v.encode(primer)
    as_ids = model.generate(seconds=3, seed=1, primer=ids, include_primer=True)
    assert as_ids == v.decode([*ids, *more])
    assert whole.notes[:2].tolist() == primer.notes.tolist()  # as it was, and not as ids keep it
    np.testing.assert_allclose(whole.notes["onset_s"], as_ids.notes["onset_s"])
    assert 4.07 < whole.seconds <= 4.43


def test_without_the_primer_time_begins_at_its_end(model):
    v = model.vocabulary
    primer = Performance.from_arrays(
        onset_s=[0, 0.5], offset_s=[0.4, 1.25], pitch=[60, 64], velocity=[80, 72]
    )
    alone = model.generate(seconds=3, seed=1, primer=primer)
    whole = model.generate(seconds=3, seed=1, primer=primer, include_primer=True)
    assert 2.82 <= alone.seconds <= 3.18
    rest = whole.notes[2:]
    np.testing.assert_allclose(alone.notes["onset_s"] + 1.25, rest["onset_s"])
    np.testing.assert_allclose(alone.notes["offset_s"] + 1.25, rest["offset_s"])
    for field in ("pitch", "velocity"):  # the loudness in force at the primer's end goes on
        np.testing.assert_array_equal(alone.notes[field], rest[field])
    assert v.quantise(alone) == alone


def test_notes_left_sounding_by_a_primer_are_ended_but_not_in_the_result():
    v = vocabulary("pedal")
    on, off = 60 - 21, v.first[NOTE_OFF] + 60 - 21
    pedal_down, loud = v.first[PEDAL] + 1, v.first[VELOCITY] + 20
    primer = [v.first[START], pedal_down, loud, on, v.first[TIME_SHIFT] + 49]
    model = Model(Mock(v, favour=[off]))
    ids = list(model.generate_ids(events=30, seed=0, primer=primer))
    assert ids[0] == off and ids.count(off) < 30
    alone = model.generate(events=30, seed=0, primer=primer)
    assert alone == v.decode([pedal_down, loud, *ids])
    assert alone.controls[0].tolist() == (0.0, SUSTAIN, 127)
    assert len(alone) == kinds(ids, v).count(NOTE_ON)
    whole = model.generate(events=30, seed=0, primer=primer, include_primer=True)
    assert whole.notes[0].tolist()[1:3] == (0.5, 60)


def test_a_primer_goes_on_past_its_end_event():
    v = vocabulary("pedal")
    model = Model(Mock(v))
    primer = Performance.from_arrays(onset_s=[0.0], offset_s=[0.5], pitch=[60], velocity=[80])
    ids = v.encode(primer)
    assert kinds(ids[-1:], v) == [END]
    assert list(model.generate_ids(events=40, seed=1, primer=primer)) == list(
        model.generate_ids(events=40, seed=1, primer=ids[:-1])
    )
    assert next(model.generate_ids(seed=1, primer=Performance(primer.notes[:0]))) != v.first[START]


def test_the_posts_primers_continue(model):
    v = model.vocabulary
    for indices in ([60, 216, 148, 62, 200, 150, 64, 236, 152, 67, 198, 155], [177, 60, 90]):
        primer = v.from_one_based(indices)
        assert len(list(model.generate_ids(primer=primer, events=100, seed=2))) == 100
        assert len(model.generate(primer=primer, seconds=5, seed=2)) > 0


# --- scores and next events -----------------------------------------------------------------------


@pytest.mark.parametrize("name", presets())
def test_scores_are_the_networks_log_likelihoods(models, paths, name):
    v = vocabulary(name)
    performance = random_performance(np.random.default_rng(3), notes=800)
    ids = v.encode(performance)
    assert len(ids) > 2048  # longer than what is read at once
    scores = models[name].score(performance)
    assert scores.dtype == np.float64 and scores.shape == ids.shape
    engine = Engine(paths[name])
    inputs = np.concatenate(([v.size], ids[:-1]))
    logits, _ = engine.run(inputs[:, None], engine.initial_state())
    expected = torch.log_softmax(torch.tensor(logits[:, 0]), dim=1)[range(len(ids)), ids]
    np.testing.assert_allclose(scores, expected, atol=1e-4, rtol=0)
    state = State(engine)
    for score, id_ in zip(scores[:50], ids, strict=False):
        assert score == pytest.approx(math.log(state.probabilities()[id_]), abs=1e-4)
        state.feed([id_])
    np.testing.assert_array_equal(models[name].score(ids), scores)
    prefix = models[name].score(ids[:1100])
    np.testing.assert_allclose(prefix, scores[:1100], atol=1e-5)


def test_the_score_of_nothing_is_empty(model):
    assert model.score([]).shape == (0,)


def test_the_likeliest_next_events(model):
    state = model.state()
    state.feed([276, 40])
    p = state.probabilities()
    likeliest = model.next_events([276, 40], top=7)
    assert [probability for _, probability in likeliest] == sorted(p.tolist(), reverse=True)[:7]
    assert all(p[id_] == probability for id_, probability in likeliest)
    assert len(model.next_events([276])) == 5
    everything = model.next_events(top=1000)
    assert len(everything) == 310
    assert sum(probability for _, probability in everything) == pytest.approx(1)


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seconds": 5, "events": 5}, "not both"),
        ({"seconds": 0}, "seconds must be at least 0.01"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": float("inf")}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"events": 0}, "events must be at least 1, not 0"),
        ({"seed": -1}, r"seed must be within 0\.\..*, not -1"),
        ({"temperature": -1}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 2}, "top_p"),
    ],
)
def test_arguments_are_checked_at_once(model, settings, words):
    for method in (model.generate, model.generate_ids):  # the latter before its first id
        with pytest.raises(GenerationError, match=words):
            method(**settings)


def test_primers_are_checked_at_once(model):
    for primer in ([310], [-1], [1.5]):
        with pytest.raises(CodecError):
            model.generate_ids(primer=primer)
    with pytest.raises(GenerationError, match="top"):
        model.next_events(top=0)


# --- whatever the settings, what comes out is whole -----------------------------------------------


def unclosed(content):
    """Return the notes of a MIDI file without a note-off, read byte by byte."""
    sounding, at = [], content.index(b"MTrk")
    while at < len(content):
        assert content[at : at + 4] == b"MTrk"
        end = at + 8 + int.from_bytes(content[at + 4 : at + 8], "big")
        at, status = at + 8, 0
        while at < end:
            while content[at] & 0x80:  # the time
                at += 1
            at += 1
            if content[at] & 0x80:
                status, at = content[at], at + 1
            if status == 0xFF:
                at += 2 + content[at + 1]
                continue
            key = (status & 0xF, content[at])
            if status >> 4 == 9 and content[at + 1] > 0:
                sounding.append(key)
            elif status >> 4 in (8, 9):
                sounding.remove(key)
            at += 1 if status >> 4 in (0xC, 0xD) else 2
        assert at == end
    return sounding


def random_settings(rng):
    low = int(rng.integers(21, 109))
    everything = {
        "temperature": rng.choice([0, 0.01, 0.5, 1, 1.5, 5, 1e6]),
        "chord_temperature": rng.choice([0, 0.5, 1, 2, 100]),
        "duration_temperature": rng.choice([0, 0.5, 1, 2, 100]),
        "time_temperature": rng.choice([0, 0.5, 1, 2, 100]),
        "velocity_temperature": rng.choice([0, 0.5, 1, 2, 100]),
        "top_k": int(rng.integers(1, 400)),
        "top_p": 1 - rng.random(),
        "min_p": rng.random(),
        "lowest_pitch": low,
        "highest_pitch": int(rng.integers(low, 128)),
        "polyphony": int(rng.integers(1, 12)),
        "longest_note_s": 10 ** rng.uniform(-2, 2),
        "longest_rest_s": 10 ** rng.uniform(-2, 2),
        "avoid_loops": True,
    }
    kept = {name: value for name, value in everything.items() if rng.random() < 0.4}
    return {"ending": str(rng.choice(["natural", "cut"])), **kept}


def check_random_settings(models, samples, seconds, path):
    rng = np.random.default_rng(11)
    heard = 0
    for seed in range(samples):
        settings = random_settings(rng)
        model = models[seed % len(models)]
        performance = model.generate(seconds=seconds, seed=seed, **settings)
        performance.write(path)
        assert unclosed(path.read_bytes()) == [], (seed, settings)
        assert midi.read(path).notes["pitch"].tolist() == performance.notes["pitch"].tolist()
        most = 1 if settings["ending"] == "cut" else 1 + TOLERANCE
        assert performance.seconds <= seconds * most + 1e-9
        heard += len(performance) > 0
    assert heard > 0.7 * samples


def test_random_settings_give_whole_files(models, tmp_path):
    check_random_settings(list(models.values()), 100, 2, tmp_path / "a.mid")


@pytest.mark.slow
def test_a_thousand_performances_with_random_settings(tmp_path):
    check_random_settings([load("seed")], 1000, 30, tmp_path / "a.mid")


# --- loading --------------------------------------------------------------------------------------


def test_models_are_loaded_by_path_or_name(paths, tmp_path, monkeypatch):
    assert load(paths["seed"]).card["name"] == load(str(paths["seed"])).card["name"] == "tiny"
    package = tmp_path / "espressivo"
    (package / "models").mkdir(parents=True)
    (package / "models" / "README.md").write_text("not a model")
    monkeypatch.setattr(loading.importlib.resources, "files", lambda _: package)
    assert bundled() == ()
    for name in ("seed", "maestro"):
        (package / "models" / f"{name}.onnx").write_bytes(Path(paths[name]).read_bytes())
    assert bundled() == ("maestro", "seed")
    assert load("maestro").vocabulary == vocabulary("maestro")
    with pytest.raises(ModelError, match=r"no model is named 'other'.*maestro, seed"):
        load("other")


def test_unknown_models(tmp_path):
    for missing in (tmp_path / "none.onnx", str(tmp_path / "none"), "none.onnx"):
        with pytest.raises(ModelError, match="no such file") as caught:
            load(missing)
        assert str(missing) in str(caught.value)


def test_bundled_models_play():
    for name in bundled():
        model = load(name)
        assert model.card["name"] and model.card["licence"] and model.card["trained_on"]
        assert len(model.generate(events=50, seed=0)) > 0


@pytest.mark.slow
@pytest.mark.skipif("ESPRESSIVO_DATA" not in os.environ, reason="needs ESPRESSIVO_DATA")
@pytest.mark.parametrize("name", presets())
def test_real_performances_are_allowed(name):
    v = vocabulary(name)
    files = sorted(Path(os.environ["ESPRESSIVO_DATA"]).rglob("*.mid*"))
    chosen = np.random.default_rng(0).permutation(len(files))[:30]
    allowed = total = 0
    for file in (files[number] for number in chosen):
        decoder = decoder_of(v)
        for id_ in v.encode(midi.read(file)).tolist():
            allowed += bool(decoder.allowed()[id_])
            total += 1
            decoder.feed(id_)
    # The rest are notes of one pitch that overlap, mostly for the length of a step.
    assert total > 100_000
    assert allowed > 0.999 * total
