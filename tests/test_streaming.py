import itertools

import numpy as np
import pytest

from espressivo.codes import (
    NOTE_OFF,
    NOTE_ON,
    TIME_SHIFT,
    VELOCITY,
    vocabulary,
)
from espressivo.errors import GenerationError
from espressivo.play import stream as streaming
from espressivo.play.model import Model
from espressivo.play.pieces import LONGEST_START_S
from espressivo.play.player import Player
from espressivo.play.stream import LONGEST_REST_S, TimedEvent
from known import Mock

V = vocabulary("seed")


class Clock:
    """Time that passes only while somebody sleeps; `at` is called on the way."""

    def __init__(self, at=None):
        self.now_s, self.at = 1000.0, at or {}

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        assert seconds > 0
        self.now_s += seconds
        for time_s in [t for t in self.at if t <= self.now_s - 1000]:
            self.at.pop(time_s)()


def opened(model, clock=None, **arguments):
    clock = clock or Clock()
    return model.stream(clock=clock, sleep=clock.sleep, **arguments)


def sounding(events):
    """Check that note-ons and note-offs take turns; return the pitches that still sound."""
    on = set()
    for event in events:
        if event.kind == "note_on":
            assert event.pitch not in on and 1 <= event.velocity <= 127
            on.add(event.pitch)
        elif event.kind == "note_off":
            on.remove(event.pitch)
    return on


def as_notes(events):
    return [(e.time_s, e.pitch, e.velocity) for e in events if e.kind == "note_on"]


@pytest.mark.parametrize("name", ["seed", "pedal", "notes"])
def test_thousands_of_events_in_order_and_ahead_of_the_clock(name):
    clock = Clock()
    stream = opened(Model(Mock(vocabulary(name))), clock, seed=1, lead_s=0.5)
    events = []
    for event in itertools.islice(stream, 3000):
        ahead_s = event.time_s - (clock.now_s - 1000)
        assert -0.03 <= ahead_s - 0.5 <= 1e-6 or event.time_s <= 0.5
        events.append(event)
    times = [event.time_s for event in events]
    assert times == sorted(times) and times[-1] > 60
    np.testing.assert_allclose(np.array(times) * 100, np.round(np.array(times) * 100), atol=1e-6)
    stream.stop()
    rest = list(stream)
    assert not sounding([*events, *rest])
    assert {event.kind for event in rest} <= {"note_off", "pedal"}
    pedals = [event.velocity for event in [*events, *rest] if event.kind == "pedal"]
    assert bool(pedals) == (name != "seed") and pedals[-1:] in ([], [0])


def test_it_plays_what_generate_writes():
    model = Model(Mock(V))
    events = list(
        itertools.islice(opened(model, seed=5, avoid_loops=False, longest_rest_s=None), 200)
    )
    written = model.generate(seed=5, seconds=events[-1].time_s, ending="cut").notes
    heard = [note for note in as_notes(events) if note[0] < events[-1].time_s]
    assert sorted(heard) == written[["onset_s", "pitch", "velocity"]].tolist()
    assert len(heard) > 30


def test_the_same_seed_plays_the_same_on_any_clock():
    model = Model(Mock(V))
    plain = list(itertools.islice(opened(model, seed=2), 300))
    assert plain == list(itertools.islice(opened(model, seed=2, lead_s=3.0), 300))
    assert plain != list(itertools.islice(opened(model, seed=3), 300))


def test_after_panic_nothing_sounds_and_nothing_comes():
    for count in range(1, 30):
        stream = opened(Model(Mock(vocabulary("pedal"))), seed=2)
        events = list(itertools.islice(stream, count))
        stream.panic()
        last = list(stream)
        assert not sounding([*events, *last])
        pedal = [event.velocity for event in [*events, *last] if event.kind == "pedal"]
        assert pedal[-1:] in ([], [0])
        assert not list(stream)


def test_stopping_while_it_waits_does_not_wait_for_the_end_of_the_shift():
    clock = Clock()
    model = Model(Mock(V, favour=[V.first[TIME_SHIFT] + 99]))
    stream = opened(model, clock, seed=0, lead_s=0.0, longest_rest_s=0.5)
    clock.at = {7.305: stream.stop}
    events = list(stream)
    assert not sounding(events)
    assert clock.now_s - 1000 < 7.35
    assert events[-1].time_s == pytest.approx(7.3, abs=0.025)


@pytest.mark.parametrize("name", ["seed", "pedal", "notes"])
def test_it_begins_with_a_note(name):
    v = vocabulary(name)
    rest = [v.first[TIME_SHIFT] + v.max_shift_steps - (not v.notewise)]
    for primer in (None, rest):
        stream = opened(Model(Mock(v, favour=rest)), seed=0, primer=primer)
        first = next(event for event in stream if event.kind == "note_on")
        assert first.time_s == pytest.approx(LONGEST_START_S)


def test_it_can_be_steered_while_it_plays():
    stream = opened(Model(Mock(V)), seed=1, highest_pitch=60)
    low = list(itertools.islice(stream, 200))
    stream.steer(lowest_pitch=61, highest_pitch=108)
    assert stream.settings.lowest_pitch == 61 and stream.settings.avoid_loops
    high = list(itertools.islice(stream, 200))
    assert max(pitch for _, pitch, _ in as_notes(low)) <= 60
    assert min(pitch for _, pitch, _ in as_notes(high)) > 60
    with pytest.raises(GenerationError, match="temperature"):
        stream.steer(temperature=-1)
    with pytest.raises(GenerationError, match="no pitch"):
        stream.steer(lowest_pitch=0, highest_pitch=3)
    stream.steer(lowest_pitch=21)
    assert len(list(itertools.islice(stream, 100))) == 100


def test_a_person_is_heard_at_the_time_and_is_not_played_back():
    heard = []

    class Recorded(Mock):
        def run(self, ids, state):
            heard.extend(ids[:, 0].tolist())
            return super().run(ids, state)

    clock = Clock()
    stream = opened(Model(Recorded(V)), clock, seed=1, lead_s=0.25)
    on, off = 60 - 21, V.first[NOTE_OFF] + 60 - 21
    clock.at = {3.0: lambda: stream.hear(60, 100), 4.0: lambda: stream.release(60)}
    events = []
    for event in stream:
        events.append(event)
        if event.time_s > 6:
            stream.stop()
    steps = np.cumsum(
        [V.values[i] if i < V.size and V.kinds[i] == TIME_SHIFT else 0 for i in heard]
    )
    times = [steps[n] for n, id_ in enumerate(heard) if id_ == on]
    (struck,) = [step for step in times if 323 <= step <= 329]
    place = next(n for n, id_ in enumerate(heard) if id_ == on and steps[n] == struck)
    assert heard[place - 1] == V.first[VELOCITY] + V.velocity_bins[100]
    released = [steps[n] for n, id_ in enumerate(heard) if id_ == off and steps[n] > struck]
    assert 423 <= released[0] <= 429
    for event in events:
        assert event.pitch != 60 or not struck / 100 < event.time_s < released[0] / 100
    assert not sounding(events)
    assert len(heard) > 30


def test_what_a_person_plays_changes_what_follows():
    def with_notes(*pitches):
        clock = Clock()
        stream = opened(Model(Mock(V)), clock, seed=1)
        clock.at = {1.0 + n: (lambda p=p: stream.hear(p, 80)) for n, p in enumerate(pitches)}
        return list(itertools.islice(stream, 300))

    assert with_notes() != with_notes(60) != with_notes(62)
    assert with_notes(10) == with_notes()  # not in the vocabulary
    stream = opened(Model(Mock(V)))
    for pitch, velocity in ((60, 128), (128, 60), (-1, 60), (60, -1)):
        with pytest.raises(GenerationError, match=r"within 0\.\.127"):
            stream.hear(pitch, velocity)


def longest_silence_s(events):
    on, since, longest = set(), 0.0, 0.0
    for event in events:
        if event.kind == "note_on":
            if not on:
                longest = max(longest, event.time_s - since)
            on.add(event.pitch)
        elif event.kind == "note_off":
            on.discard(event.pitch)
            since = event.time_s
    return longest


def test_it_recovers_from_silence():
    stream = opened(Model(Mock(V, favour=[V.first[TIME_SHIFT] + 99])), seed=0, longest_note_s=1.0)
    events = list(itertools.islice(stream, 600))
    assert longest_silence_s(events) == pytest.approx(LONGEST_REST_S)
    assert stream.recoveries["rests"] > 50
    assert stream.recoveries["restarts"] > 5


def test_it_recovers_from_loops_and_starts_afresh():
    favour = [40, V.first[NOTE_OFF] + 40, V.first[TIME_SHIFT] + 9]
    stream = opened(Model(Mock(V, favour)), seed=0, polyphony=1)
    events = list(itertools.islice(stream, 3000))
    assert stream.recoveries["loops"] > 3
    pitches = [pitch for _, pitch, _ in as_notes(events)]
    same = max(len(list(run)) for _, run in itertools.groupby(pitches))
    assert same <= 32
    calm = opened(Model(Mock(V)), seed=0)
    assert len(list(itertools.islice(calm, 2000))) == 2000
    assert calm.recoveries == {"loops": 0, "rests": 0, "restarts": 0, "jumps": 0}


@pytest.mark.parametrize("name", ["seed", "pedal", "notes"])
@pytest.mark.parametrize("asleep", [True, False])
def test_when_the_clock_has_run_away_the_notes_end_and_the_music_goes_on_from_there(name, asleep):
    clock = Clock()
    stream = opened(Model(Mock(vocabulary(name))), clock, seed=1, lead_s=0.25)

    def leap():
        clock.now_s += 600

    if asleep:  # the machine, while the stream waits
        clock.at = {5.0: leap}
    events = []
    for event in stream:
        events.append(event)
        if not asleep and clock.now_s >= 1005 and clock.now_s < 1600:
            leap()  # nobody asks for ten minutes
        if event.time_s > 620:
            stream.stop()
    before = [event for event in events if event.time_s < 300]
    after = events[len(before) :]
    assert stream.recoveries["jumps"] == 1
    assert before[-1].time_s == pytest.approx(5.25, abs=1.0)
    assert not sounding(before) and not sounding(after)
    pedals = [event.velocity for event in before if event.kind == "pedal"]
    assert pedals[-1:] in ([], [0])
    assert 605.25 <= after[0].time_s <= 606.5  # half a second after the jump at most
    assert len(as_notes(after)) > 20
    assert max(np.diff([event.time_s for event in after])) < 2


def test_it_does_not_jump_for_a_hiccup():
    clock = Clock()
    stream = opened(Model(Mock(V)), clock, seed=1, lead_s=0.25)
    calm = list(itertools.islice(opened(Model(Mock(V)), seed=1), 300))

    def hiccup():
        clock.now_s += 0.9

    clock.at = {2.0: hiccup, 4.0: hiccup}
    assert list(itertools.islice(stream, 300)) == calm
    assert stream.recoveries["jumps"] == 0


def test_a_restarted_model_reads_what_was_played_before(monkeypatch):
    monkeypatch.setattr(streaming, "_REMEMBERED", 64)
    monkeypatch.setattr(streaming, "_PHRASE", 16)
    fed = []

    restart = Player.restart

    def recorded(player, ids):
        fed.append(ids.tolist())
        restart(player, ids)

    monkeypatch.setattr(Player, "restart", recorded)
    model = Model(Mock(V, favour=[V.first[TIME_SHIFT] + 99]))
    stream = opened(model, seed=0, longest_note_s=1.0)
    list(itertools.islice(stream, 200))
    begun, *fed = fed
    assert begun == []
    assert len(fed) == stream.recoveries["restarts"] > 0
    assert any(len(phrase) == 16 for phrase in fed)
    assert any(V.kinds[phrase[n]] == NOTE_ON for phrase in fed for n in range(len(phrase)))


def test_nothing_in_it_grows():
    import pickle

    def size(stream):
        parts = (stream._ready, stream._sounding, stream._remembered, stream._troubles)
        decoder = {k: v for k, v in vars(stream._player.decoder).items() if k != "vocabulary"}
        return len(pickle.dumps((parts, decoder, vars(stream._player.mask.loop_detector))))

    stream = opened(Model(Mock(V)), seed=0)
    sizes = []
    for _ in range(4):
        list(itertools.islice(stream, 700))
        sizes.append(size(stream))
    assert sizes[3] < 1.1 * sizes[1]


def test_leads_are_checked():
    for lead_s in (-1, float("nan")):
        with pytest.raises(GenerationError, match="lead_s"):
            Model(Mock(V)).stream(lead_s=lead_s)
    assert TimedEvent(0.0, "note_on", 60, 64) == TimedEvent(0.0, "note_on", 60, 64)


def test_notes_end_without_a_velocity():
    stream = opened(Model(Mock(V)), seed=2)
    events = list(itertools.islice(stream, 40))
    stream.stop()
    events += list(stream)
    assert {event.velocity for event in events if event.kind == "note_off"} == {0}


@pytest.mark.parametrize("pitch", [0, 127])
def test_any_midi_pitch_may_be_heard(pitch):
    opened(Model(Mock(V))).hear(pitch, 127)
