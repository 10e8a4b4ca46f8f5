"""A person, a model and an instrument in made-up time; then threads, ports, and the command."""

from __future__ import annotations

import itertools
import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espressivo.codes import LONGEST_NOTE_S, vocabulary
from espressivo.errors import GenerationError, PortError
from espressivo.live.clock import TICK, TICKS, Pulse
from espressivo.live.listener import REMEMBERED, Listener
from espressivo.live.sending import LEAD_S
from espressivo.live.touch import TYPICAL, Touch
from espressivo.live.turns import Live
from espressivo.music.performance import SUSTAIN, Performance
from espressivo.play.model import Model
from known import Mock

BEGIN_S = 1000.0  # what the clock shows first
PAUSE_S = 1.0
CHORD = {0.1: (0x90, 60, 80), 0.2: (0x90, 64, 70), 0.6: (0x80, 60, 0), 0.7: (0x80, 64, 0)}
OVER_S = 0.7  # when the chord has ended


class Room:
    """Time passes only while somebody sleeps or looks; then the person does what is planned."""

    def __init__(self, plan, until_s, name="pedal", engine=None, kind=Live, **arguments):
        self.now_s, self.until_s, self.plan = BEGIN_S, until_s, dict(sorted(plan.items()))
        self.arrived, self.sent, self.slow = [], [], isinstance(engine, Slow)
        model = Model(engine or Mock(vocabulary(name)))
        pause = {"pause_s": PAUSE_S} if kind is Live else {}
        arguments = {"seed": 1, "log": self.sent.append, **pause, **arguments}
        self.live = kind(model, self, clock=self.clock, sleep=self.sleep, **arguments)

    def clock(self):
        self.now_s += 1e-5
        return self.now_s

    def sleep(self, seconds):
        assert seconds > 0
        self.now_s += seconds
        for time_s in [t for t in self.plan if BEGIN_S + t <= self.now_s]:
            self.live.hear(self.plan.pop(time_s))
        while self.live.decide() and not self.slow:
            pass
        if self.now_s > BEGIN_S + self.until_s:
            self.live.stop()

    def send(self, message):
        self.arrived.append((self.now_s - BEGIN_S, *message))

    def play(self):
        self.live.play()
        self.live._write_log()
        return self.arrived


def hanging(messages):
    """Check that note-ons and note-offs take turns; return what still sounds or is down."""
    sounding = set()
    for _, status, number, value in messages:
        if status & 0xF0 == 0x90:
            assert number not in sounding and value
            sounding.add(number)
        elif status & 0xF0 == 0x80:
            sounding.remove(number)
        elif value:
            sounding.add("pedal")
        else:
            sounding.discard("pedal")
    return sounding


def ons(messages):
    return [(time_s, number) for time_s, status, number, _ in messages if status & 0xF0 == 0x90]


def test_it_waits_for_a_person():
    assert Room({}, 30).play() == []
    pedal = {1.0: (0xB0, 64, 127), 2.0: (0xB0, 64, 0), 3.0: (0xFE,), 4.0: (0xC0, 5), 5.0: (0xF8,)}
    assert Room(pedal, 30).play() == []


def test_what_the_person_plays_is_echoed_with_their_velocity_curve():
    class Echo:
        def send(self, message):
            arrived.append(tuple(message))

    arrived = []
    other = {0.3: (0x91, 67, 80), 0.4: (0x81, 67, 0), 0.5: (0xB0, 64, 127)}
    room = Room(CHORD | other, 6, echo=Echo(), channel=0, velocity_curve=0.5)
    room.play()
    felt = [round(127 * (v / 127) ** 0.5) for v in (80, 70)]
    assert arrived == [
        (0x90, 60, felt[0]),
        (0x90, 64, felt[1]),
        (0xB0, 64, 127),
        (0x80, 60, 0),
        (0x80, 64, 0),
    ]


def ticks(tempo, begin_s=0.0, until_s=15.0):
    """A clock that runs from some time to another, as a plan."""
    tick_s = 60 / tempo / 24
    count = int((until_s - begin_s) / tick_s)
    plan = {begin_s + tick_s * n: (0xF8,) for n in range(1, count)}
    return {begin_s: (0xFA,), **plan, until_s: (0xFC,)}


@pytest.mark.parametrize("tempo", [67.0, 120.0])
def test_a_turn_begins_on_a_beat_of_the_clock_and_ends_when_it_stops(tempo):
    room = Room(CHORD | ticks(tempo, until_s=9.0), 15, follow_clock=True)
    messages = room.play()
    first_s = ons(messages)[0][0]
    beats = (first_s - 60 / tempo / 24) * tempo / 60  # the first tick is a beat
    assert first_s >= OVER_S + PAUSE_S
    assert abs(beats - round(beats)) < 0.02
    assert max(time_s for time_s, *_ in messages) < 9.05 and not hanging(messages)
    assert {sent.why for sent in room.sent} == {"music", "clock"}


def test_without_a_clock_to_follow_there_is_no_turn():
    assert Room(CHORD, 15, follow_clock=True).play() == []
    stopped = {**{s + 0.01: m for s, m in ticks(120, until_s=1.0).items()}, **CHORD}
    assert Room(stopped, 15, follow_clock=True).play() == []


def test_the_music_goes_slower_with_the_clock():
    plan = {**CHORD, **ticks(120, until_s=3.0)}
    plain = ons(Room(CHORD | ticks(120, until_s=30), 30, follow_clock=True).play())
    del plan[3.0]
    slower = {3 + 60 / 60 / 24 * n: (0xF8,) for n in range(600)}
    slow = ons(Room(plan | slower, 28, follow_clock=True).play())
    assert [pitch for _, pitch in plain[:30]] == [pitch for _, pitch in slow[:30]]
    assert 1.9 < (slow[30][0] - slow[20][0]) / (plain[30][0] - plain[20][0]) < 2.1


def test_a_clock_is_sent_and_a_turn_begins_on_its_beats():
    room = Room(CHORD, 8, send_clock=90.0)
    arrived = []
    room.send = lambda message: arrived.append((room.now_s - BEGIN_S, *message))
    room.play()
    assert arrived[0][1] == 0xFA and arrived[-1][1] == 0xFC
    sent_s = np.array([row[0] for row in arrived if row[1] == 0xF8])
    assert np.abs(np.diff(sent_s) - 60 / 90 / 24).max() < 1e-3
    assert len(sent_s) >= 8 * 90 / 60 * 24 - 1
    first_s = next(row[0] for row in arrived if row[1] & 0xF0 == 0x90)
    assert first_s >= OVER_S + PAUSE_S
    assert np.abs(sent_s[::24] - first_s).min() < 1e-3


def test_the_slowest_clock_that_can_be_sent_has_beats():
    pulse = Pulse()
    for n in range(48):
        pulse.feed(TICK, BEGIN_S + (60 / 10 / TICKS + 1e-9) * n)
    assert pulse.period_s == pytest.approx(6)


def test_after_a_sleep_of_the_machine_the_clock_goes_on_without_a_rush():
    room = Room({}, 4, send_clock=90.0)
    arrived = []

    def send(message):
        if len(arrived) == 24:
            room.now_s += 1
        arrived.append(room.now_s)

    room.send = send
    room.play()
    apart = np.sort(np.diff(arrived[1:-1]))  # without start and stop
    assert apart[1] > 60 / 90 / 24 - 1e-3 and apart[-1] > 0.9  # the next tick comes at once


def test_one_clock_is_enough():
    with pytest.raises(GenerationError, match="one clock is enough"):
        Room({}, 1, follow_clock=True, send_clock=90.0)
    with pytest.raises(GenerationError, match="send_clock"):
        Room({}, 1, send_clock=5.0)


def test_a_velocity_curve_is_learned_from_a_while_of_playing():
    touch = Touch(learn_s=30.0)
    random = np.random.default_rng(0)
    soft = random.integers(15, 45, 60).tolist()
    assert [touch.felt(v, BEGIN_S + 0.5 * n) for n, v in enumerate(soft)] == soft
    after = [touch.felt(v, BEGIN_S + 31) for v in soft]
    assert not touch.learning and touch.curve < 0.6
    assert abs(np.median(after) - TYPICAL) <= 1.5
    assert sorted(after) == [v for _, v in sorted(zip(soft, after, strict=True))]
    assert touch.felt(127, BEGIN_S + 32) == 127


def test_a_curve_of_few_notes_stays():
    touch = Touch(0.8, learn_s=10.0)
    for second in range(12):
        touch.felt(30, BEGIN_S + second)
    assert touch.curve == 0.8 and not touch.learning


@given(st.floats(0.25, 4), st.integers(1, 127))
def test_velocities_stay_velocities(curve, velocity):
    assert 1 <= Touch(curve).felt(velocity, 0.0) <= 127
    assert Touch(1.0).felt(velocity, 0.0) == velocity


def test_a_model_hears_velocities_by_the_curve():
    heard = []
    room = Room(CHORD, 3, velocity_curve=0.5)
    feed = room.live._heard.feed
    room.live._heard.feed = lambda message, now_s: heard.append(message) or feed(message, now_s)
    room.play()
    assert [m[2] for m in heard if m[0] == 0x90] == [101, 94]
    assert room.live.summary()["velocity_curve"] == 0.5
    with pytest.raises(GenerationError, match="velocity_curve"):
        Room({}, 1, velocity_curve=9.0)


@pytest.mark.parametrize("name", ["seed", "pedal"])
@pytest.mark.parametrize("pause_s", [0.2, 1.0, 4.0])
def test_it_takes_over_with_a_note_when_the_pause_is_over(name, pause_s):
    room = Room(CHORD, 15, name, pause_s=pause_s)
    messages = room.play()
    first_s, _ = ons(messages)[0]
    assert OVER_S + pause_s <= first_s < OVER_S + pause_s + 0.01
    assert len(ons(messages)) > 20 and not hanging(messages)
    assert room.live.summary()["turns"] == 1 and room.live.summary()["yields"] == 0


def test_what_is_sent_is_what_the_stream_plays_and_when():
    room = Room(CHORD, 12, "seed")
    messages = room.play()
    heard = Performance.from_arrays(
        onset_s=[0, 0.1], offset_s=[0.5, 0.6], pitch=[60, 64], velocity=[80, 70]
    )
    model = Model(Mock(vocabulary("seed")))
    stream = model.stream(primer=heard, seed=1, lead_s=1e9, clock=lambda: 0.0)
    expected = list(itertools.islice((e for e in stream if e.kind == "note_on"), 20))
    played = ons(messages)[:20]
    assert [pitch for _, pitch in played] == [event.pitch for event in expected]
    due_s = np.array([event.time_s for event in expected])
    late_s = np.array([time_s for time_s, _ in played]) - due_s
    assert np.ptp(late_s) < 0.001  # only the first note waits for the end of the pause


def test_it_yields_at_once_and_answers_again():
    for strike_s in np.arange(2.0, 9.0, 0.37):
        again = {strike_s: (0x90, 72, 90), strike_s + 0.3: (0x90, 72, 0)}
        room = Room(CHORD | again, 14)
        messages = room.play()
        quiet_s = [time_s for time_s, *_ in messages if strike_s <= time_s < strike_s + 1.29]
        assert not quiet_s or max(quiet_s) < strike_s + 0.006
        assert not hanging([m for m in messages if m[0] < strike_s + 1.0])
        assert any(time_s > strike_s + 1.3 for time_s, _ in ons(messages))
        assert not hanging(messages)
        summary = room.live.summary()
        assert summary["turns"] == 2 and summary["yields"] == 1


def test_nothing_hangs_whenever_it_is_stopped():
    for until_s in np.arange(1.5, 6, 0.11):
        room = Room(CHORD, until_s)
        assert not hanging(room.play())
        before = len(room.arrived)
        room.live.hear((0x90, 60, 80))
        while room.live.decide():
            pass
        assert len(room.arrived) == before


def test_its_own_pedal_is_lifted_when_it_yields_and_when_it_stops():
    messages = Room(CHORD, 30, seed=3).play()
    pressed_s = [time_s for time_s, *message in messages if message == [0xB0, 64, 127]]
    for later_s in (0.02, 0.5, 5.0):
        strike_s = pressed_s[0] + later_s
        for plan, until_s in (({strike_s: (0x90, 50, 50)}, strike_s + 0.5), ({}, strike_s)):
            assert not hanging(Room(CHORD | plan, until_s, seed=3).play())


def test_the_model_reads_a_person_without_the_time_of_its_own_turns():
    room = Room(CHORD | {9.0: (0x90, 70, 60), 9.5: (0x80, 70, 0)}, 12, "seed")
    room.play()
    read = room.live._heard.performance()
    assert len(read) == 3 and read.notes["onset_s"][2] == pytest.approx(OVER_S - 0.1 + 1, abs=0.01)


class Interrupted(Mock):
    """Is interrupted by a person while it decides."""

    strike = None

    def step(self, id_, state, controls=None, pointers=None):
        if self.strike is not None:
            self.strike()
        return super().step(id_, state)


def test_what_is_being_decided_while_a_person_plays_is_dropped():
    engine = Interrupted(vocabulary("seed"))
    room = Room(CHORD, 12, engine=engine)

    strikes_s = []

    def strike():
        if room.now_s > BEGIN_S + 4 and not strikes_s:
            strikes_s.append(room.now_s - BEGIN_S)
            room.live.hear((0x90, 70, 60))

    engine.strike = strike
    messages = room.play()
    assert len(ons(messages)) > 3 and not hanging(messages)
    assert max(time_s for time_s, *_ in messages) < strikes_s[0] + 0.001


@pytest.mark.parametrize("held", [(0x90, 40, 50), (0xB0, 64, 127)])
def test_it_is_the_persons_turn_while_a_key_or_the_pedal_is_down(held):
    lifted = (0x80, 40, 0) if held[0] == 0x90 else (0xB0, 64, 0)
    messages = Room(CHORD | {0.5: held, 6.0: lifted}, 9).play()
    assert 6.0 + PAUSE_S <= ons(messages)[0][0] < 6.01 + PAUSE_S


def test_a_key_whose_release_was_lost_counts_for_so_long_and_no_longer():
    messages = Room(CHORD | {0.5: (0x90, 40, 50)}, 15).play()
    expected_s = OVER_S + LONGEST_NOTE_S + PAUSE_S
    assert expected_s <= ons(messages)[0][0] < expected_s + 0.01


def test_a_person_who_plays_during_the_pause_begins_it_anew():
    messages = Room(CHORD | {1.6: (0x90, 60, 80), 1.65: (0x80, 60, 0)}, 4).play()
    assert 1.65 + PAUSE_S <= ons(messages)[0][0] < 1.66 + PAUSE_S
    messages = Room(CHORD | {1.6: (0xB0, 64, 90), 2.6: (0xB0, 64, 20)}, 5).play()
    assert 2.6 + PAUSE_S <= ons(messages)[0][0] < 2.61 + PAUSE_S


def test_the_pedal_alone_does_not_make_it_yield():
    moves = {4.0: (0xB0, 64, 127), 4.5: (0xB0, 64, 0), 5.0: (0xB0, 64, 127)}
    room = Room(CHORD | moves, 8)
    pitches = [pitch for _, pitch in ons(room.play())]
    assert pitches == [pitch for _, pitch in ons(Room(CHORD, 8).play())]
    assert room.live.summary()["yields"] == 0


def test_only_the_chosen_channel_is_heard_and_played_on():
    assert Room(CHORD, 10, channel=2).play() == []
    on_2 = {time_s: (status | 2, *data) for time_s, (status, *data) in CHORD.items()}
    messages = Room(on_2, 10, channel=2).play()
    assert messages and {status & 0x0F for _, status, *_ in messages} == {2}
    assert {status & 0x0F for _, status, *_ in Room(on_2, 10).play()} == {0}


def test_the_same_seed_and_playing_give_the_same_answers():
    assert Room(CHORD, 6).play() == Room(CHORD, 6).play()
    assert Room(CHORD, 6).play() != Room(CHORD, 6, seed=2).play()


class Slow(Mock):
    """Takes a while for each event, once it has been told how long."""

    room, seconds = None, 0.0

    def step(self, id_, state, controls=None, pointers=None):
        if self.room is not None:
            self.room.now_s += self.seconds
        return super().step(id_, state)


def test_a_model_that_cannot_keep_pace_plays_later_and_does_not_rush():
    engine = Slow(vocabulary("seed"))
    room = Room(CHORD, 30, engine=engine)
    engine.room, engine.seconds = room, 0.08
    assert not hanging(room.play())
    summary = room.live.summary()
    assert summary["delays"] > 3 and summary["delayed_s"] > 0.5
    other = Room(CHORD, 30, "seed")
    other.play()
    due = [
        (late, early)
        for late, early in zip(room.sent, other.sent, strict=False)
        if late.why == early.why == "music"
    ]
    assert len(due) > 40 and all(late.message == early.message for late, early in due)
    later_s = np.array([late.due_s - early.due_s for late, early in due])
    assert (np.diff(later_s) > -1e-6).all() and later_s[-1] > 1


class Gone:
    """An output that is lost at some message, for a while or for good."""

    def __init__(self, room, first, count):
        self.room, self.failing, self.number = room, range(first, first + count), 0

    def send(self, message):
        self.number += 1
        if self.number in self.failing:
            raise PortError("the MIDI output 'x' has gone")
        self.room.send(message)


@pytest.mark.parametrize("first", [1, 5, 20, 33])
@pytest.mark.parametrize("count", [1, 10**6])
def test_what_can_be_ended_is_ended_when_the_port_fails(first, count):
    room = Room(CHORD, 20)
    room.live._output = Gone(room, first, count)
    with pytest.raises(PortError, match="has gone"):
        room.play()
    assert count > 1 or not hanging_but_unsent(room.arrived)


def hanging_but_unsent(messages):
    """What still sounds; a note may be ended that was never heard to begin."""
    sounding = set()
    for _, status, number, _ in messages:
        {0x90: sounding.add, 0x80: sounding.discard}.get(status & 0xF0, bool)(number)
    return sounding


def test_a_note_that_cannot_be_ended_does_not_keep_the_others():
    room = Room(CHORD, 7.0)
    refused = []

    class Refusing:
        def send(self, message):
            if room.live._stopping and not refused:
                refused.append(message[1])
                raise PortError("busy")
            room.send(message)

    room.live._output = Refusing()
    with pytest.raises(PortError, match="busy"):
        room.play()
    assert len(refused) == 1 and hanging_but_unsent(room.arrived) == set(refused)
    assert room.arrived[-1][0] > 7.0  # others did sound


def test_a_port_that_fails_while_it_yields_ends_the_run():
    room = Room(CHORD | {5.0: (0x90, 70, 70)}, 20)
    gone = Gone(room, 0, 0)
    room.live._output = gone
    room.live.hear, hear = lambda message: lose(message), room.live.hear

    def lose(message):
        gone.failing = range(10**6 if message[1] != 70 else gone.number, 10**6)
        hear(message)

    with pytest.raises(PortError):
        room.play()
    assert room.now_s - BEGIN_S < 5.1


def test_figures_say_how_late_messages_were():
    room = Room(CHORD | {6.0: (0x90, 70, 70)}, 6.1)
    room.play()
    summary = room.live.summary()
    assert summary["late_ms"]["p50"] <= summary["late_ms"]["p99"] <= summary["late_ms"]["max"] < 2
    late_ms = [1000 * (s.sent_s - s.due_s) for s in room.sent if s.why == "music"]
    assert summary["late_ms"]["max"] == pytest.approx(max(late_ms), abs=1e-3)
    assert summary["over_2_ms"] == 0 and summary["notes"] == len(ons(room.arrived))
    assert [tuple(m[1:]) for m in room.arrived] == [sent.message for sent in room.sent]
    assert {sent.why for sent in room.sent} >= {"music", "yield"}
    assert Room({}, 1).live.summary()["late_ms"] is None


def test_nothing_is_decided_further_ahead_than_the_lead():
    room = Room(CHORD, 10)
    beyond = []
    decide = room.live.decide

    def watched():
        going = decide()
        with_due = room.live._queue
        beyond.append(with_due[-2][0] - room.now_s if len(with_due) > 1 else 0.0)
        return going

    room.live.decide = watched
    room.play()
    assert 0.5 < max(beyond) <= LEAD_S


@pytest.mark.parametrize(
    "wrong", [{"pause_s": 0.0}, {"pause_s": math.nan}, {"channel": 16}, {"temperature": -1.0}]
)
def test_wrong_settings_are_refused_before_anything_plays(wrong):
    with pytest.raises(GenerationError, match=next(iter(wrong))):
        Room({}, 1, **wrong)


# What a person is heard to play.


def heard(*messages):
    heard = Listener()
    for time_s, *message in messages:
        heard.feed(message, 50.0 + time_s)
    return heard


def test_what_was_played_is_heard_with_its_pedal():
    played = heard(
        (0, 0x90, 60, 80),
        (0.5, 0xB0, 64, 100),
        (0.6, 0xB0, 64, 120),
        (1, 0x80, 60, 33),
        (2, 0x91, 62, 90),
        (2.5, 0xB0, 64, 63),
        (3, 0x91, 62, 0),
    ).performance()
    assert played.notes.tolist() == [(0.0, 1.0, 60, 80), (2.0, 3.0, 62, 90)]
    assert played.controls.tolist()[:2] == [(0.5, SUSTAIN, 127), (2.5, SUSTAIN, 0)]
    assert played.sustained().notes["offset_s"].tolist() == [2.5, 3.0]


def test_a_rest_after_a_turn_is_short_to_the_model():
    listener = heard((0, 0x90, 60, 80), (1, 0x80, 60, 0))
    listener.rest()
    for time_s, *message in ((31, 0xB0, 64, 127), (60, 0x90, 62, 80), (61, 0x80, 62, 0)):
        listener.feed(message, 50.0 + time_s)
    played = listener.performance()
    assert played.notes["onset_s"].tolist() == [0.0, 2.0]
    assert (2.0, SUSTAIN, 127) in played.controls.tolist()


@pytest.mark.parametrize("number", [120, 123])
def test_all_notes_off_releases_every_key_of_the_channel(number):
    listener = heard((0, 0x90, 60, 80), (0, 0x90, 61, 80), (0, 0xB0, 64, 127), (1, 0xB0, number, 0))
    assert listener.silent_from_s == 51.0
    assert listener.performance().notes["offset_s"].tolist() == [1.0, 1.0]
    other = heard((0, 0x91, 60, 80), (1, 0xB0, number, 0))
    assert other.silent_from_s == 50.0 + LONGEST_NOTE_S


def test_only_the_latest_notes_are_kept():
    many = [m for n in range(3 * REMEMBERED) for m in ((n, 0x90, 60, 80), (n + 0.5, 0x80, 60, 0))]
    played = heard(*many).performance()
    assert len(played) == REMEMBERED and played.notes["onset_s"].tolist()[:2] == [0.0, 1.0]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 2),
            st.sampled_from([0x80, 0x90, 0x91, 0xB0, 0xE0]),
            st.sampled_from([0, 60, 61, 64, 66, 120, 121, 123, 127]),
            st.integers(0, 127),
        )
    ),
    st.sets(st.integers(0, 20)),
)
def test_whatever_is_played_can_be_read_by_any_model(steps, rests):
    listener, now_s = Listener(), 3.0
    for number, (gap_s, *message) in enumerate(steps):
        now_s += gap_s
        if number in rests:
            listener.rest()
        listener.feed(message, now_s)
        played = listener.performance()
        assert played.seconds <= now_s + 1e-9
        for name in ("seed", "pedal"):
            v = vocabulary(name)
            v.check(v.encode(played))


# Threads.

BRISK = {"longest_rest_s": 0.05, "longest_note_s": 0.05}


def until(true, limit_s=60.0):
    end_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.002)


class Instrument:
    def __init__(self):
        self.arrived = []

    def send(self, message):
        self.arrived.append((0, *message))


def answered(live, instrument):
    live.hear((0x90, 60, 80))
    live.hear((0x80, 60, 0))
    before = len(instrument.arrived)
    until(lambda: len(instrument.arrived) > before + 3)


def test_threads_answer_yield_and_stop():
    instrument, sent = Instrument(), []
    live = Live(
        Model(Mock(vocabulary("pedal"))), instrument, pause_s=0.05, log=sent.append, **BRISK
    )
    thread = threading.Thread(target=live.run)
    thread.start()
    for _ in range(3):
        answered(live, instrument)
    live.stop()
    thread.join(60)
    assert not thread.is_alive() and not hanging(instrument.arrived)
    assert live.summary()["turns"] == 3 and live.summary()["yields"] == 2
    assert len(sent) == len(instrument.arrived)


def test_a_port_that_has_gone_ends_the_run_and_the_notes():
    instrument = Instrument()
    live = Live(Model(Mock(vocabulary("seed"))), instrument, pause_s=0.05, **BRISK)

    def check():
        if len(instrument.arrived) > 5:
            raise PortError("the MIDI input 'keys' has gone")

    live.hear((0x90, 60, 80))
    live.hear((0x80, 60, 0))
    with pytest.raises(PortError, match="keys"):
        live.run(check)
    assert instrument.arrived and not hanging(instrument.arrived)


def test_an_interrupt_ends_the_notes():
    class Interrupting(Instrument):
        def send(self, message):
            super().send(message)
            if len(self.arrived) == 10:
                raise KeyboardInterrupt

    instrument = Interrupting()
    live = Live(Model(Mock(vocabulary("seed"))), instrument, pause_s=0.05, **BRISK)
    live.hear((0x90, 60, 80))
    live.hear((0x80, 60, 0))
    with pytest.raises(KeyboardInterrupt):
        live.run()
    assert not hanging_but_unsent(instrument.arrived)
