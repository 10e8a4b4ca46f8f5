"""Playing in a code of notes: its decoder, its generation and its stream."""

import functools
import itertools

import numpy as np

from espressivo.codes import (
    DURATION,
    END,
    FINE_DURATION,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    Limits,
    decoder_of,
    vocabulary,
)
from espressivo.music.performance import Performance
from espressivo.play.endings import TOLERANCE
from espressivo.play.model import Model
from known import Mock
from test_streaming import Clock, as_notes, opened, sounding

V = vocabulary("notes")
SHIFT, SOFT, UP, DOWN = (
    V.first[TIME_SHIFT],
    V.first[VELOCITY] + 5,
    V.first[SUSTAIN],
    V.first[SUSTAIN] + 1,
)
REST, ENDING = SHIFT + 100, V.first[END]


def length(steps):
    """The ids of a length."""
    number = int(np.searchsorted(V.shortest_durations, steps, "right")) - 1
    place = [V.first[FINE_DURATION] + steps - V.shortest_durations[number]]
    return [V.first[DURATION] + number, *(place if V.durations_in_class[number] > 1 else [])]


def note(after, pitch, steps):
    """The ids of a step."""
    return [SHIFT + after, pitch - 21, SOFT, *length(steps)]


def grammar_after(*ids, **rules):
    decoder = decoder_of(V, Limits(**rules))
    for id_ in np.concatenate([[]] + [np.atleast_1d(part) for part in ids]).astype(int).tolist():
        decoder.feed(id_)
    return decoder


def after(*ids, **rules):
    return grammar_after(*ids, **rules).allowed()


def these(mask):
    return set(np.flatnonzero(mask).tolist())


SHIFTS, KEYS = set(range(SHIFT, REST + 1)), set(range(88))


def test_the_rules_one_by_one():
    assert these(after()) == these(after(REST)) == SHIFTS
    assert these(after(SHIFT)) == KEYS | {DOWN, ENDING}
    assert these(after(SHIFT, 39)) == set(range(V.first[VELOCITY], V.first[VELOCITY] + 32))
    lengths = after(SHIFT, 39, SOFT, longest_note_s=0.2)
    assert these(lengths) == {V.first[DURATION] + n for n in range(18)}  # up to that of 19 steps
    assert these(after(SHIFT, 39, SOFT, length(32)[0])) == {
        V.first[FINE_DURATION],
        V.first[FINE_DURATION] + 1,
    }
    assert these(after(SHIFT, 39, SOFT, length(19)[0], longest_note_s=0.19)) == {
        V.first[FINE_DURATION]
    }
    chord = note(7, 60, 50)
    assert these(after(chord)) == SHIFTS
    assert these(after(chord, SHIFT)) == set(range(40, 88))  # neither pedal nor lower keys
    assert these(after(chord, SHIFT + 49)) == KEYS - {39} | {DOWN}
    assert these(after(chord, SHIFT + 50)) == KEYS | {DOWN, ENDING}
    assert these(after(note(0, 108, 50))) == SHIFTS - {SHIFT}  # no higher key is left
    assert UP not in these(after(SHIFT, DOWN, SHIFT))  # in one step it can go down but once
    assert these(after(SHIFT, DOWN, SHIFT + 1)) == KEYS | {UP, ENDING}
    assert these(after(SHIFT, DOWN, SHIFT + 1, UP, SHIFT)) == KEYS | {DOWN, ENDING}
    assert these(after(SHIFT + 4, ENDING)) == set()


def test_time_passes_until_a_key_is_free():
    assert these(after(note(0, 60, 30), polyphony=1)) == set(range(SHIFT + 30, REST + 1))
    assert these(after(note(0, 60, 130), polyphony=1)) == {REST}
    two = [*note(0, 60, 30), *note(0, 64, 20)]
    assert min(these(after(two, polyphony=2))) == SHIFT + 20
    assert min(these(after(two, lowest_pitch=60, highest_pitch=64))) == SHIFT + 1
    classes = tuple(n in (0, 4) for n in range(12))
    only = {"lowest_pitch": 60, "highest_pitch": 64, "pitch_classes": classes}
    assert min(these(after(two, **only))) == SHIFT + 20


def test_a_key_that_rules_have_taken_meanwhile_is_not_struck():
    mask = these(after(note(0, 60, 30), SHIFT, polyphony=1))
    assert mask == set(range(SHIFT + 30, REST + 1))
    assert these(after(note(0, 60, 30), SHIFT, highest_pitch=60)) == SHIFTS - {SHIFT}


def test_a_rest_that_is_too_long_ends_with_a_note():
    decoder = grammar_after(note(0, 60, 30), longest_rest_s=0.5)
    assert decoder.cut(SHIFT + 99) == SHIFT + 80  # half a second after its end
    assert decoder.cut(REST, end=40) == SHIFT + 40
    decoder.feed(SHIFT + 80)
    assert decoder.rests_too_long() and these(decoder.allowed()) == KEYS
    assert these(after(note(0, 60, 30), SHIFT + 79, longest_rest_s=0.5)) > KEYS


def test_generated_lists_are_canonical():
    seen = np.zeros(V.size, int)
    for seed in range(150):
        ids = list(itertools.islice(Model(Mock(V)).generate_ids(seed=seed, longest_note_s=30), 100))
        seen += np.bincount(ids, minlength=V.size)
        if not grammar_after(ids).between or V.kinds[ids[-1]] == END:
            ids = ids[: np.flatnonzero(V.kinds[ids] == TIME_SHIFT)[-1]]
        ids += until_the_end(ids)
        assert V.encode(V.decode(ids)).tolist() == ids
    assert (seen[V.kinds != FINE_DURATION] > 0).all() and (
        seen[V.first[FINE_DURATION] :] > 0
    ).sum() > 100


def until_the_end(ids):
    """The ids that end a list when its last note does."""
    begun = int(V.values[ids][V.kinds[ids] == TIME_SHIFT].sum())
    ends_s = V.decode([*ids, *[REST] * 40]).notes["offset_s"]
    left = round(100 * np.max(ends_s, initial=begun / 100)) - begun
    return [*[REST] * (left // 100), SHIFT + left % 100, ENDING]


PRIMER = Performance.from_arrays(
    onset_s=[0, 0.5, 0.5], offset_s=[0.4, 1.25, 0.9], pitch=[60, 64, 67], velocity=[80, 72, 70]
)


def test_after_a_primer_music_begins_when_its_last_note_has_ended():
    model = Model(Mock(V))
    ids = V.encode(PRIMER)
    for seed in range(20):
        more = list(model.generate_ids(seconds=3, seed=seed, primer=PRIMER))
        assert more == list(model.generate_ids(seconds=3, seed=seed, primer=ids))
        alone = model.generate(seconds=3, seed=seed, primer=PRIMER)
        whole = model.generate(seconds=3, seed=seed, primer=PRIMER, include_primer=True)
        assert len(whole) == 3 + len(alone)
        assert whole.notes["offset_s"][:3].tolist() == PRIMER.notes["offset_s"].tolist()
        np.testing.assert_allclose(alone.notes["onset_s"] + 1.25, whole.notes["onset_s"][3:])
        np.testing.assert_allclose(alone.notes["offset_s"] + 1.25, whole.notes["offset_s"][3:])
        assert alone.seconds <= 3 * (1 + TOLERANCE) and V.quantise(alone) == alone


def test_a_step_that_a_primer_leaves_open_is_left_out():
    model, ids = Model(Mock(V)), V.encode(PRIMER).tolist()
    for whole in (0, 5, 10):
        for length in range(whole + 1, whole + 5):
            for settings in ({"seconds": 2}, {"events": 20}, {"ending": "own"}):
                made = model.generate(primer=ids[:length], seed=length, **settings)
                assert made == model.generate(primer=ids[:whole], seed=length, **settings)
    assert model.next_events(ids[:2], top=1) != model.next_events(ids[:1], top=1)


def test_any_list_of_ids_can_be_a_primer():
    rng = np.random.default_rng(1)
    for seed in range(40):
        primer = rng.integers(V.size, size=12)
        made = Model(Mock(V)).generate(primer=primer, seed=seed, seconds=1, longest_note_s=0.1)
        assert made.seconds <= 1 + TOLERANCE and V.quantise(made) == made


def test_a_piece_closes_with_its_notes_ringing_and_the_pedal_up():
    for seed in range(10):
        ids = list(Model(Mock(V)).generate_ids(seconds=10, seed=seed))
        performance = V.decode(ids)
        full = V.decode([*ids, *[REST] * 40])
        early = full.notes["offset_s"] > performance.notes["offset_s"]
        assert (performance.notes["offset_s"][early] == performance.seconds).all()
        assert performance.controls["value"][-1] == 0


def test_a_stream_plays_what_generate_writes():
    events = list(
        itertools.islice(
            opened(Model(Mock(V)), seed=5, avoid_loops=False, longest_rest_s=None), 400
        )
    )
    end_s = events[-1].time_s
    written = Model(Mock(V)).generate(seed=5, seconds=end_s, ending="cut").notes
    heard = [note for note in as_notes(events) if note[0] < end_s]
    assert sorted(heard) == written[["onset_s", "pitch", "velocity"]].tolist() and len(heard) > 50
    offs = sorted((e.time_s, e.pitch) for e in events if e.kind == "note_off" and e.time_s < end_s)
    ends = sorted((n["offset_s"], n["pitch"]) for n in written if n["offset_s"] < end_s)
    np.testing.assert_allclose(offs, ends)


def test_note_offs_come_at_their_time_also_within_a_long_rest():
    clock = Clock()
    times = {}
    for event in itertools.islice(
        opened(Model(Mock(V, favour=[REST])), clock, seed=1, lead_s=0.1), 200
    ):
        times.setdefault(event.kind, []).append(event.time_s - (clock.now_s - 1000))
    assert -0.03 < min(times["note_off"]) and max(times["note_off"]) <= 0.1 + 1e-6


def test_a_person_is_heard_with_the_duration_that_the_model_expects():
    clock = Clock()
    stream = opened(Model(Mock(V)), clock, seed=1, lead_s=0.25)
    clock.at = {3.0: lambda: stream.hear(60, 100), 4.0: lambda: stream.release(60)}
    events = list(itertools.takewhile(lambda event: event.time_s < 6, stream))
    happened = list(stream._remembered)
    step = np.cumsum([stream._decoder.gap(event) for event in happened])
    (struck,) = [e for e, s in zip(happened, step, strict=True) if 39 in e and 320 <= s <= 330]
    assert struck[1:3] == (39, V.first[VELOCITY] + V.velocity_bins[100])
    assert [V.kinds[struck[n]] for n in (0, 3)] == [TIME_SHIFT, DURATION]
    assert not [e for e in events if e.pitch == 60 and 3.25 < e.time_s < 4.2]
    assert len(events) > 15


def test_hard_playing_and_stopping_at_any_moment_leave_nothing_sounding():
    for count in range(1, 40):
        clock = Clock()
        stream = opened(Model(Mock(V)), clock, seed=count)
        for n in range(12):
            pressed = 60 + n % 5, 90 * (n % 2)
            clock.at[0.1 + 0.09 * n] = functools.partial(stream.hear, *pressed)
        events = list(itertools.islice(stream, count))
        if count % 2:
            stream.stop()
            last = list(stream)
        else:
            stream.panic()
            last = list(stream)
        assert not sounding([*events, *last])
        assert [e.time_s for e in [*events, *last]] == sorted(e.time_s for e in [*events, *last])
        pedals = [event.velocity for event in [*events, *last] if event.kind == "pedal"]
        assert pedals[-1:] in ([], [0])


def test_panic_amid_note_offs_of_one_moment_ends_them_all():
    found = 0
    for seed in range(8):
        events = list(itertools.islice(opened(Model(Mock(V)), seed=seed), 400))
        for count, (one, two) in enumerate(itertools.pairwise(events), 1):
            if one.kind == two.kind == "note_off" and one.time_s == two.time_s:
                stream = opened(Model(Mock(V)), seed=seed)
                begin = list(itertools.islice(stream, count))
                stream.panic()
                assert not sounding([*begin, *stream])
                found += 1
    assert found


def test_a_key_let_go_does_not_disturb_the_music():
    plain = list(itertools.islice(opened(Model(Mock(V)), seed=1), 100))
    clock = Clock()
    stream = opened(Model(Mock(V)), clock, seed=1)
    clock.at = {0.1 * n: functools.partial(stream.release, 60) for n in range(1, 50)}
    assert list(itertools.islice(stream, 100)) == plain


def test_a_stream_does_not_end_when_a_person_holds_every_key():
    model = Model(Mock(V, favour=[ENDING, DOWN, UP, SHIFT]))
    stream = opened(model, seed=1, lowest_pitch=60, highest_pitch=60, longest_rest_s=None)
    stream.hear(60, 80)
    assert len(list(itertools.islice(stream, 50))) == 50


def test_a_restarted_model_reads_whole_steps(monkeypatch):
    from espressivo.play import stream as streaming
    from espressivo.play.player import Player

    monkeypatch.setattr(streaming, "_REMEMBERED", 64)
    monkeypatch.setattr(streaming, "_PHRASE", 16)
    fed, restart = [], Player.restart

    def recorded(player, ids):
        fed.append(ids.tolist())
        restart(player, ids)

    monkeypatch.setattr(Player, "restart", recorded)
    stream = opened(Model(Mock(V, favour=[REST])), seed=0, longest_note_s=1.0)
    list(itertools.islice(stream, 200))
    assert len(fed) == 1 + stream.recoveries["restarts"] > 1
    for phrase in fed[1:]:
        assert V.kinds[phrase[0]] == TIME_SHIFT and grammar_after(phrase).between
        assert NOTE_ON in V.kinds[phrase]


def test_an_empty_piece_ends_where_it_begins():
    nothing = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    assert V.encode(nothing).tolist() == [SHIFT, V.first[END]]


def test_a_key_that_a_person_holds_is_not_let_go_by_the_model():
    decoder = grammar_after(note(0, 60, 30))
    decoder.hold(60)
    assert decoder.due is None
    assert decoder.release(decoder.now + 100) == []
