"""The server of the page: its protocol, and what it refuses."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import weakref
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWSTimeout, CookieJar, WSCloseCode
from hypothesis import given
from hypothesis import strategies as st

from espressivo import Performance, midi
from espressivo.codes import CONTROLS, TIME_SHIFT, vocabulary
from espressivo.codes.controls import SIZE
from espressivo.errors import ServerError
from espressivo.play.loading import load
from espressivo.play.model import Model
from espressivo.play.settings import Settings
from espressivo.play.stream import LONGEST_REST_S
from espressivo.server import app, conversation, listening, messages, session
from espressivo.server.allowance import Allowance, measured
from espressivo.server.controls import PAGE_CONTROLS, WordControl, available_controls
from espressivo.server.messages import MAX_BYTES, MAX_EVENTS
from espressivo.server.session import Models, Session
from known import Clock, Mock
from played import played

V = vocabulary("seed")
BEGIN = {"type": "begin", "run": 1, "time_s": 0, "events": [], "settings": {}, "seed": 3}
FIELDS = {"run": 7, "time_s": 0.0, "events": (), "settings": {}, "seed": 3}
CHORD = [[0.0, 144, 60, 80], [0.1, 144, 64, 70], [0.5, 128, 60, 0], [0.75, 128, 64, 0]]
BETWEEN = {"type": "between", "passages": [CHORD, CHORD], "share": 0.5}


class Swift(Model):
    """A model whose streams play as fast as they are taken."""

    def stream(self, **arguments):
        clock = Clock()
        return super().stream(clock=clock, sleep=clock.sleep, **arguments)


class Failing(Mock):
    """An engine that fails when it has read so many ids."""

    def __init__(self, v, left):
        super().__init__(v)
        self.left = left

    def run(self, ids, state, controls=None, pointers=None, *, in_place=False):
        self.left -= ids.size
        if self.left < 0:
            raise RuntimeError("out of memory\nat ids " + "x" * 1000)
        return super().run(ids, state, controls)


@pytest.fixture(autouse=True)
def _known_models(monkeypatch):
    monkeypatch.setattr(session, "load", lambda name, styles: Swift(Mock(V)))


def models():
    return Models(["one", "two"])


class Listener:
    """Keeps what a session sends; takes music only as far as it is asked to."""

    def __init__(self):
        self.sent, self.came = [], threading.Condition()
        self.wanted, self.gone = 0, False

    def __call__(self, message):
        message = json.loads(message)
        with self.came:
            if message["type"] == "events":
                self.came.wait_for(lambda: self.wanted or self.gone, timeout=30)
                if self.gone:
                    raise ConnectionError
                self.wanted -= 1
            self.sent.append(message)
            self.came.notify_all()

    def of(self, kind):
        return [m for m in self.sent if m["type"] == kind]

    def hear(self, count):
        """Take so many events; return them with the number of their run."""
        with self.came:
            begin = len(self.of("events"))
            self.wanted = count
            self.came.notify_all()
            assert self.came.wait_for(lambda: not self.wanted, timeout=30)
            return [(m["run"], *m["events"][0]) for m in self.of("events")[begin:]]

    def go(self):
        with self.came:
            self.gone = True
            self.came.notify_all()


@pytest.fixture
def listener():
    listening = Listener()
    yield listening
    listening.go()
    ended()


@pytest.fixture
def talk(listener):
    """A function that sends a session a message."""
    playing = Session(models(), listener)
    yield lambda m: playing.handle(json.dumps(m) if isinstance(m, dict) else m)
    playing.close()


def ended():
    """Wait until no run goes on."""
    for thread in threading.enumerate():
        if thread.name.startswith(("run ", "fill ")):
            thread.join(timeout=30)
            assert not thread.is_alive()


# ---- Messages


def test_events_and_performances_are_the_same_music():
    controls = np.array(
        [(0.2, 64, 127), (0.6, 64, 0)],
        Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[]).controls.dtype,
    )
    music = Performance.from_arrays(
        onset_s=[0.0, 0.1],
        offset_s=[0.5, 0.75],
        pitch=[60, 64],
        velocity=[80, 70],
        controls=controls,
    )
    listed = messages.events(music)
    assert listed == sorted(listed, key=lambda event: event[0])
    assert [e for e in listed if e[1] != 176] == [tuple(e) for e in CHORD]
    assert messages.performance(listed) == music


def test_a_performance_begins_with_its_first_event_and_ends_every_note():
    later = [(time + 100, *rest) for time, *rest in CHORD[:3]]
    made = messages.performance([(100.05, 128, 90, 0), *later])
    assert made.notes[["onset_s", "pitch"]].tolist() == [(0.0, 60), (pytest.approx(0.1), 64)]
    assert made.notes["offset_s"].tolist() == pytest.approx([0.5, 0.5])
    assert len(messages.performance([])) == 0
    struck_twice = [(0.0, 144, 60, 80), (0.0, 144, 60, 90), (0.0, 128, 60, 0), (1.0, 128, 60, 0)]
    assert messages.performance(struck_twice).notes["velocity"].tolist() == [90]


def test_the_latest_notes_come_with_the_pedal_as_it_was():
    down, up = (0.05, 176, 64, 127), (0.4, 176, 64, 0)
    chord = [tuple(event) for event in CHORD]
    assert messages.latest([down, *chord], 1) == [(0.1, *down[1:]), *chord[1:]]
    assert messages.latest([down, *chord, up], 5) == [down, *chord, up]
    assert messages.latest(chord, 2) == chord


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("", "JSON"),
        ("[" * 100_000, "JSON"),
        ("[]", "object"),
        ({}, "type must be"),
        ({"type": ["stop"]}, "type must be"),
        ({"type": "exec"}, "type must be one of begin, stop"),
        ({"type": "stop", "now": 1}, "fields"),
        ({"type": "hear", "pitch": 60}, "velocity"),
        ({"type": "hear", "pitch": 60, "velocity": 128}, r"velocity .* within 0\.\.127"),
        ({"type": "hear", "pitch": True, "velocity": 1}, "pitch"),
        ({"type": "hear", "pitch": 60.0, "velocity": 1}, "pitch"),
        ({"type": "choose_model", "name": "x" * 201}, "name"),
        ({"type": "choose_model", "name": "../../etc/passwd"}, "name must be one of one, two"),
        ({"type": "steer", "settings": []}, "settings"),
        ({"type": "steer", "settings": {"avoid_loops": False}}, "avoid_loops"),
        (
            {"type": "steer", "settings": {"onset_rate": 3}},
            "this model does not support the setting 'onset_rate': it supports temperature, ",
        ),
        ({**BETWEEN, "share": 2}, "share must be within 0..1"),
        ({**BETWEEN, "passages": {}}, "passages must be a list of two"),
        ({**BETWEEN, "passages": [CHORD]}, "two lists of events, or none"),
        ({**BETWEEN, "passages": [CHORD] * 3}, "two lists of events, or none"),
        ({**BETWEEN, "passages": [CHORD, [*CHORD, [61, 128, 60, 0]]]}, "at most 60 s"),
        (BETWEEN, "has no space of passages"),
        ({**BEGIN, "settings": {"onset_rate": 3}}, "does not support the setting 'onset_rate'"),
        ({"type": "steer", "settings": {"temperature": "1"}}, "temperature must be a number"),
        ({"type": "steer", "settings": {"temperature": float("nan")}}, "temperature"),
        ({"type": "steer", "settings": {"temperature": 99}}, "within"),
        ({"type": "steer", "settings": {"polyphony": 2.5}}, "whole number"),
        ({"type": "steer", "settings": {"temperature": None}}, "temperature"),
        ({**BEGIN, "time_s": -1}, "time_s"),
        ({**BEGIN, "time_s": float("inf")}, "time_s"),
        ({**BEGIN, "run": "1"}, "run"),
        ({**BEGIN, "seed": -1}, "seed"),
        ({**BEGIN, "settings": {"lowest_pitch": 90, "highest_pitch": 40}}, "90 is above 40"),
        ({**BEGIN, "events": {}}, "list of at most"),
        ({**BEGIN, "events": [[0, 144, 60]]}, "an event must be"),
        ({**BEGIN, "events": [[0, 200, 60, 1]]}, "status"),
        ({**BEGIN, "events": [[0, 176, 7, 1]]}, "data1"),
        ({**BEGIN, "events": [[0, 144, 128, 1]]}, "data1"),
        ({**BEGIN, "events": [[-1, 144, 60, 1]]}, "time_s of an event"),
        ({**BEGIN, "events": [[0, 144, 60, 1]] * (MAX_EVENTS + 1)}, "at most"),
        ('{"type": "stop", "now": ' + "[" * 900 + "]" * 900 + "}", "fields"),
        ({**BEGIN, "time_s": 10**400}, "time_s must be within"),
        (json.dumps(BEGIN).replace(": 0,", ": 1e400,"), "time_s must be within"),
        (json.dumps(BEGIN).replace(": 0,", f": {'9' * 5000},"), "JSON"),
        ({**BEGIN, "run": 10**400}, "run must be a whole number"),
        ({**BEGIN, "events": [[10**400, 144, 60, 1]]}, "time_s of an event"),
        ({**BEGIN, "events": [[0, 144, [[[]]], 1]]}, "data1 of an event .* not a list"),
        ({"type": "steer", "settings": {"temperature": 10**400}}, "temperature must be within"),
        ({"type": "steer", "settings": {"polyphony": -(10**400)}}, "polyphony must be within"),
        (b"", "the file: the file is empty"),
        (b"MThd", "truncated"),
    ],
)
def test_a_wrong_message_is_answered_by_what_is_wrong_with_it(
    talk, listener, message, complaint, caplog
):
    talk(message)
    assert not caplog.records  # of what nobody has foreseen
    (answer,) = listener.sent
    assert answer["type"] == "error"
    assert re.search(complaint, answer["message"])
    assert len(answer["message"]) < 400 and "\n" not in answer["message"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.sampled_from([*BEGIN, "name", "pitch"]),
)
def test_any_json_is_a_message_or_a_server_error(value, field):
    for text in (json.dumps(value), json.dumps({**BEGIN, field: value})):
        try:
            messages.parse(text)
        except ServerError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("message", "field", "taken", "refused"),
    [
        (BEGIN, "run", (0, 2**53), (-1, 2**53 + 1)),
        (BEGIN, "time_s", (0, 1e6), (np.nextafter(0, -1), np.nextafter(1e6, 2e6))),
        (BEGIN, "seed", (0, 2**32, None), (-1, 2**32 + 1)),
        ({"type": "hear", "pitch": 60, "velocity": 64}, "pitch", (0, 127), (-1, 128)),
        ({"type": "hear", "pitch": 60, "velocity": 64}, "velocity", (0, 127), (-1, 128)),
        ({"type": "choose_model", "name": "one"}, "name", ("x", "x" * 200), ("", "x" * 201)),
    ],
)
def test_each_field_ends_where_it_says(message, field, taken, refused):
    for value in taken:
        assert getattr(messages.parse(json.dumps({**message, field: value})), field) == value
    for value in refused:
        with pytest.raises(ServerError, match=field):
            messages.parse(json.dumps({**message, field: value}))


@pytest.mark.parametrize("place", range(4))
def test_each_number_of_an_event_ends_where_it_says(place):
    def parsed(value):
        given = [0, 144, 64, 1]
        given[place] = value
        return messages.parse(json.dumps({**BEGIN, "events": [given]})).events[0][place]

    least, greatest = ((0, 1e6), (128, 176), (0, 127), (0, 127))[place]
    for value in (least, greatest):
        assert parsed(value) == value
    for value in (least - 1, greatest + 1):
        with pytest.raises(ServerError):
            parsed(value)


def test_no_more_events_are_taken_than_a_message_may_hold(talk, listener, monkeypatch):
    monkeypatch.setattr(messages, "MAX_EVENTS", len(CHORD))
    file = midi_of(CHORD)
    talk(file)
    talk({**BEGIN, "events": CHORD})
    assert not listener.of("error")
    monkeypatch.setattr(messages, "MAX_EVENTS", len(CHORD) - 1)
    for message in (file, {**BEGIN, "events": CHORD}):
        talk(message)
    said = [error["message"] for error in listener.of("error")]
    assert len(said) == 2
    assert said[0] == "the file has 4 events: at most 3 can be read"
    assert said[1] == "events must be a list of at most 3 events"


def midi_of(events):
    return midi.to_bytes(messages.performance(tuple(tuple(event) for event in events)))


@pytest.mark.parametrize("control", PAGE_CONTROLS, ids=lambda control: control.name)
def test_each_control_ends_where_it_says_and_its_settings_agree(control):
    if isinstance(control, WordControl):
        for choice in control.choices:
            assert getattr(Settings(**{control.name: choice}), control.name) == choice
        return
    many = control.count > 1
    for value in (control.lowest, control.highest):
        given = [value, *[control.highest] * (control.count - 1)]
        taken = control.checked(given if many else value)
        Settings(**{control.name: taken})
    for value in (control.lowest - control.step, control.highest + control.step):
        with pytest.raises(ServerError, match=f"{control.name} must be within"):
            control.checked([value] * control.count if many else value)


# ---- Playing


def test_music_is_sent_half_a_second_ahead_and_no_more(monkeypatch):
    clock, ahead_s = Clock(), []

    class Timed(Model):
        def stream(self, **arguments):
            return super().stream(clock=clock, sleep=clock.sleep, **arguments)

    def send(message):
        told = json.loads(message)
        if told["type"] == "events":
            ahead_s.append(told["events"][0][0] - clock())
            if len(ahead_s) == 100:
                raise ConnectionError

    monkeypatch.setattr(session, "load", lambda name, styles: Timed(Mock(V)))
    Session(models(), send).handle(json.dumps(BEGIN))
    ended()
    assert len(ahead_s) == 100
    assert max(ahead_s) == pytest.approx(0.5, abs=0.011)  # within a step of 10 ms


def test_the_model_reads_the_latest_hundred_notes(talk, listener, monkeypatch):
    read = []

    def stream(self, *, primer, **arguments):
        read.append(primer.notes["pitch"].tolist())
        return iter(())

    monkeypatch.setattr(session, "load", lambda name, styles: Model(Mock(V)))
    monkeypatch.setattr(Model, "stream", stream)
    for count in (100, 101):
        pitches = [60 + n % 50 for n in range(count)]
        events = [(n, 144, pitch, 64) for n, pitch in enumerate(pitches)]
        events += [(n + 0.5, 128, pitch, 0) for n, pitch in enumerate(pitches)]
        Session(models(), listener).handle(json.dumps({**BEGIN, "events": events}))
        ended()
        assert read[-1] == pitches[-100:]


def test_the_model_goes_on_from_what_was_played(talk, listener):
    def after(events, run):
        talk({**BEGIN, "run": run, "time_s": 7.5, "events": events})
        heard = [event for number, *event in listener.hear(60) if number == run]
        assert listener.of("begun")[-1] == {"type": "begun", "run": run}
        return heard[:50]

    first, again, other = after(CHORD, 1), after(CHORD, 2), after(CHORD[:2], 3)
    assert first == again != other
    assert first[0][0] >= 7.5
    assert [event[0] for event in first] == sorted(event[0] for event in first)
    struck = set()
    for _, status, pitch, velocity in first:
        assert (status, velocity > 0) in ((144, True), (128, False))
        assert (pitch in struck) == (status == 128)
        struck.symmetric_difference_update({pitch})


def test_it_begins_with_a_sound_and_may_rest_later(talk, listener, monkeypatch):
    rest = V.first[TIME_SHIFT] + 99
    monkeypatch.setattr(session, "load", lambda name, styles: Swift(Mock(V, favour=[rest])))
    playing = Session(models(), listener)
    playing.handle(json.dumps({**BEGIN, "settings": {"polyphony": 1}}))
    events = listener.hear(20)
    assert next(event[1] for event in events if event[2] == 144) <= 0.2
    rests = [b[1] - a[1] for a, b in pairwise(events) if (a[2], b[2]) == (128, 144)]
    assert max(rests) == pytest.approx(LONGEST_REST_S)
    playing.close()


def test_runs_do_not_mix_and_nothing_comes_after_a_stop(talk, listener):
    talk(BEGIN)
    listener.hear(5)
    talk({**BEGIN, "run": 2})
    runs = [run for run, *_ in listener.hear(40)]
    assert runs.count(1) <= 1 and runs[-1] == 2  # what was under way may still come
    talk({"type": "stop"})
    with listener.came:
        listener.wanted = 2  # an event of either run may be under way
        listener.came.notify_all()
    ended()
    count = len(listener.sent)
    assert not listener.of("ended")
    talk({"type": "steer", "settings": {"temperature": 0.5}})
    talk({"type": "hear", "pitch": 60, "velocity": 64})
    assert len(listener.sent) == count


FAILURE = re.compile(r"the model failed: RuntimeError: out of memory at ids x+\.\.\.")


@pytest.mark.parametrize("left", [1, 30, 300])
def test_a_model_that_fails_ends_its_notes_and_its_run_and_can_play_again(
    listener, monkeypatch, caplog, left
):
    engine = Failing(V, left)
    monkeypatch.setattr(session, "load", lambda name, styles: Swift(engine))
    playing = Session(models(), listener)
    listener.wanted = 10_000
    playing.handle(json.dumps(BEGIN))
    ended()
    *_, error, last = listener.sent
    assert last == {"type": "ended", "run": 1}
    assert (error["type"], error["run"]) == ("error", 1)
    assert FAILURE.fullmatch(error["message"]) and len(error["message"]) == 400
    assert "Traceback" in caplog.text
    sounding, down = set(), False
    for message in listener.of("events"):
        for _, status, data, value in message["events"]:
            if status == 176:
                down = value > 0
            else:
                assert (data in sounding) == (status == 128)
                sounding.symmetric_difference_update({data})
    assert not sounding and not down
    assert (len(listener.of("events")) > 0) == (left > 1)
    playing.handle(json.dumps({"type": "hear", "pitch": 60, "velocity": 64}))
    engine.left, listener.wanted = 10**9, 0
    playing.handle(json.dumps({**BEGIN, "run": 2}))
    assert {run for run, *_ in listener.hear(20)} == {2}
    assert len(listener.of("error")) == len(listener.of("ended")) == 1
    playing.close()


def test_a_model_that_fails_while_it_reads_what_was_played_does_not_begin(listener, monkeypatch):
    engine = Failing(V, 3)
    monkeypatch.setattr(session, "load", lambda name, styles: Swift(engine))
    playing = Session(models(), listener)
    playing.handle(json.dumps({**BEGIN, "events": CHORD}))
    (error,) = listener.sent
    assert error["run"] is None and FAILURE.fullmatch(error["message"])
    engine.left = 10**9
    playing.handle(json.dumps({**BEGIN, "events": CHORD}))
    listener.hear(5)
    playing.close()


def test_a_refused_begin_leaves_the_run_as_it_is(talk, listener):
    talk(BEGIN)
    listener.hear(5)
    for settings in ({"onset_rate": 3}, {"lowest_pitch": 90, "highest_pitch": 40}):
        talk({**BEGIN, "run": 2, "settings": settings})
        assert listener.sent[-1]["type"] == "error" and listener.sent[-1]["run"] is None
    assert {run for run, *_ in listener.hear(20)} == {1}


def test_the_page_is_told_when_nothing_can_follow(listener, monkeypatch):
    monkeypatch.setattr(Model, "stream", lambda self, **arguments: iter(()))
    monkeypatch.setattr(session, "load", lambda name, styles: Model(Mock(V)))
    Session(models(), listener).handle(json.dumps(BEGIN))
    ended()
    assert listener.sent == [{"type": "begun", "run": 1}, {"type": "ended", "run": 1}]


def passage(**fields):
    """A message that asks for the passage of 2 to 4 s of a piece."""
    piece = [tuple(event) for event in messages.events(played(3, notes=60))]
    events = [event for event in piece if event[0] < 20]
    usual = {"from_s": 2, "to_s": 4, "keep": None, "amount": 1, "settings": {}, "seed": 0}
    return {"type": "fill", "run": 1, "events": events, **usual, **fields}


def outside(events, begin_s, end_s):
    """The notes of events that do not begin within a passage."""
    notes = messages.performance(events, 0.0).notes
    return np.array(notes[(notes["onset_s"] < begin_s) | (notes["onset_s"] >= end_s)].tolist())


@pytest.mark.parametrize("amount", [1, 0.3])
def test_a_passage_is_played_anew_and_nothing_else(talk, listener, amount):
    asked = passage(amount=amount)
    talk(asked)
    ended()
    (made,) = listener.of("filled")
    assert made["run"] == 1
    assert np.allclose(outside(made["events"], 2, 4), outside(asked["events"], 2, 4), atol=1e-3)
    assert made["events"] != [list(event) for event in asked["events"]]
    talk({**asked, "events": [], "from_s": 0})
    ended()
    (failed,) = listener.of("unfilled")
    assert "a gap needs a beginning" in failed["message"]


def test_a_model_plays_by_a_point_between_two_passages(talk, listener, monkeypatch):
    monkeypatch.setattr(session, "load", lambda name, styles: Swift(load().engine))
    talk({"type": "choose_model", "name": "two"})
    assert listener.of("model")[-1]["space"]
    low, high = (
        [event for n in range(40) for event in ([n / 8, 144, p, v], [n / 8 + 0.1, 128, p, 0])]
        for p, v in ((40, 30), (90, 100))
    )
    talk({"type": "between", "passages": [low, high], "share": 0})
    talk(BEGIN)
    listener.hear(60)
    talk({"type": "between", "passages": [low, high], "share": 1})
    listener.hear(100)
    talk({"type": "stop"})
    notes = [e for m in listener.of("events") for e in m["events"] if e[1] == 144 and e[3]]
    pitch, velocity = np.array(notes)[:, 2], np.array(notes)[:, 3]
    assert pitch[:20].mean() < 60 < pitch[-20:].mean()
    assert velocity[:20].mean() < 60 < velocity[-20:].mean()
    talk({**BETWEEN, "passages": [[], []]})
    assert "without notes" in listener.of("error")[-1]["message"]
    talk({**BETWEEN, "passages": []})
    assert len(listener.of("error")) == 1


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"to_s": 2}, "ends after it begins"),
        ({"to_s": 40}, "at most 30 s"),
        ({"from_s": 90, "to_s": 92}, "within 60 s of the passage"),
        ({"keep": "foot"}, "keep must be one of left, right, rhythm"),
        ({"keep": "left", "amount": 0.5}, "only with an amount of 1"),
        ({"amount": 2}, "amount must be within"),
    ],
)
def test_a_passage_that_cannot_be_is_refused(talk, listener, fields, complaint):
    talk(passage(**fields))
    assert complaint in listener.sent[-1]["message"] and listener.sent[-1]["type"] == "error"


def test_a_passage_that_nobody_waits_for_any_more_is_given_up(talk, listener, monkeypatch):
    began, given_up = threading.Event(), []

    def slow(self, piece, begin_s, end_s, *, progress, **_):
        began.set()
        try:
            while True:
                progress(0)
        finally:
            given_up.append(True)

    monkeypatch.setattr(Model, "fill", slow)
    talk(passage())
    assert began.wait(30)
    talk({"type": "stop"})
    ended()
    assert given_up and not listener.of("filled") and not listener.of("unfilled")


def test_the_page_is_told_what_comes_back(listener, monkeypatch):
    def stream(self, returned, **arguments):
        returned(3.0, -1.25, 2.0)
        yield from ()

    monkeypatch.setattr(Model, "stream", stream)
    monkeypatch.setattr(session, "load", lambda name, styles: Model(Mock(V)))
    Session(models(), listener).handle(json.dumps({**BEGIN, "time_s": 10}))
    ended()
    told = {"type": "returned", "run": 1, "at_s": 13.0, "from_s": 8.75, "seconds": 2.0}
    assert listener.sent == [{"type": "begun", "run": 1}, told, {"type": "ended", "run": 1}]


def test_steering_changes_what_is_played(talk, listener):
    talk({**BEGIN, "settings": {"highest_pitch": 60}})
    low = [pitch for _, _, status, pitch, _ in listener.hear(50) if status == 144]
    talk({"type": "steer", "settings": {"lowest_pitch": 61, "highest_pitch": 108}})
    high = [pitch for _, _, status, pitch, _ in listener.hear(60)[2:] if status == 144]
    assert max(low) <= 60 < min(high)
    assert not listener.of("error")


def test_a_person_is_heard_by_the_model(talk, listener, monkeypatch):
    played = []
    monkeypatch.setattr(session.Stream, "hear", lambda self, *key: played.append(key))
    talk({"type": "hear", "pitch": 60, "velocity": 64})
    talk(BEGIN)
    talk({"type": "hear", "pitch": 61, "velocity": 65})
    assert played == [(61, 65)]


def test_a_file_becomes_events(talk, listener):
    talk(midi_of(CHORD))
    assert listener.of("file")[0]["events"] == CHORD


def test_models_are_chosen_by_name_and_loaded_once(talk, listener, monkeypatch):
    loaded = []
    monkeypatch.setattr(session, "load", lambda name, styles: loaded.append(name) or Swift(Mock(V)))
    for name in ("two", "two", "one"):
        talk({"type": "choose_model", "name": name})
    assert [m["name"] for m in listener.of("model")] == ["two", "two", "one"]
    assert loaded == ["two"]


def test_the_page_is_told_of_the_controls_that_there_are():
    found = available_controls(Model(Mock(V)))
    assert {"temperature", "top_p", "polyphony"} <= set(found) < {c.name for c in PAGE_CONTROLS}
    steered = Mock(V)
    steered.controls, steered.reads = SIZE, CONTROLS
    assert set(available_controls(Model(steered))) - set(found) == {*CONTROLS, "guidance"}
    steered.pointers = 28
    assert set(available_controls(Model(steered))) - set(found) == {
        *CONTROLS,
        "guidance",
        "returns",
    }
    composer = next(control for control in PAGE_CONTROLS if control.name == "composer")
    assert composer.checked("Bach") == "Bach"
    assert composer.checked(None) is None
    for wrong in ("Nobody", 3, ["Bach"]):
        with pytest.raises(ServerError, match="composer must be one of Bach, "):
            composer.checked(wrong)
    weights = next(control for control in PAGE_CONTROLS if control.name == "pitch_weights")
    assert weights.checked([0.5] * 11 + [1]) == (*(0.5,) * 11, 1)
    assert weights.checked([0.5] * 12) is None
    for wrong in ([1] * 11, [2.0] * 12, 1.0, None):
        with pytest.raises(ServerError, match="pitch_weights"):
            weights.checked(wrong)


# ---- HTTP


@asynccontextmanager
async def server(**options):
    async with (
        listening.serving(app.make(models(), **options), "127.0.0.1", 0) as address,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as client,  # also of an IP address
    ):
        yield client, address.rstrip("/")


def test_only_the_files_of_the_page_are_served(tmp_path):
    sound = tmp_path / "piano.sf3"
    sound.write_bytes(b"RIFF")
    (tmp_path / "secret").write_text("secret")

    async def visit():
        async with server(soundfont=sound) as (client, url):
            for path, kind in (
                ("/", "text/html"),
                ("/main.js", "text/javascript"),
                ("/soundfont", "application/octet-stream"),
            ):
                async with client.get(url + path) as answer:
                    assert answer.status == 200 and answer.content_type == kind
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            for path in (
                "/index.html",
                "/secret",
                "/app.py",
                "/../app.py",
                "/%2e%2e/app.py",
                "/..%2fapp.py",
                "/static/main.js",
                "//etc/passwd",
                "/LICENSE",
            ):
                async with client.get(url + path) as answer:
                    assert answer.status == 404
            async with client.post(url + "/", data="x") as answer:
                assert answer.status == 405

    asyncio.run(visit())


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", ""]
)
def test_other_names_for_this_machine_are_refused(host):
    async def visit():
        async with server() as (client, url):
            for path in ("/", "/play"):
                async with client.get(url + path, headers={"Host": host}) as answer:
                    assert answer.status in (400, 403)

    asyncio.run(visit())


@pytest.mark.parametrize(
    "host", ["localhost:80", "127.0.0.1", "[::1]:80", "192.168.1.2:80", "studio:80"]
)
def test_addresses_and_the_name_given_are_answered(host):
    async def visit():
        async with (
            server(host="studio") as (client, url),
            client.get(url + "/", headers={"Host": host}) as answer,
        ):
            assert answer.status == 200

    asyncio.run(visit())


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://127.0.0.1"])
def test_only_the_page_itself_can_open_the_socket(origin):
    async def visit():
        async with server() as (client, url):
            headers = {} if origin is None else {"Origin": origin}
            async with client.get(url + "/play", headers=headers) as answer:
                assert answer.status == 403

    asyncio.run(visit())


def test_a_listener_is_greeted_plays_and_goes():
    async def visit():
        async with server(listeners=1) as (client, url):
            async with client.ws_connect(url + "/play", origin=url) as socket:
                hello, model = [await socket.receive_json() for _ in range(2)]
                assert hello["type"] == "hello" and hello["models"] == ["one", "two"]
                assert model["name"] == "one"
                assert {"steer", "hear", "file"} <= set(hello["offers"])
                about = {
                    "name",
                    "title",
                    "licence",
                    "trained_on",
                    "sha256",
                    "space",
                    "controls",
                    "type",
                }
                assert about == set(model)
                assert {
                    "name",
                    "label",
                    "hint",
                    "lowest",
                    "highest",
                    "step",
                    "default",
                    "unit",
                    "count",
                } == set(model["controls"][0])
                await socket.send_str("?")
                assert (await socket.receive_json())["type"] == "error"
                await socket.send_json(BEGIN)
                assert (await socket.receive_json()) == {"type": "begun", "run": 1}
                for _ in range(20):
                    assert (await socket.receive_json())["type"] == "events"
                async with client.ws_connect(url + "/play", origin=url) as second:
                    assert "no more can" in (await second.receive_json())["message"]
                    assert (await second.receive()).data == 1013
            async with client.ws_connect(url + "/play", origin=url) as third:
                assert (await third.receive_json())["type"] == "hello"

    asyncio.run(visit())


def test_eight_play_at_once_and_a_ninth_has_to_wait():
    async def visit():
        async with server() as (client, url), AsyncExitStack() as several:
            sockets = []
            for _ in range(9):
                connection = client.ws_connect(url + "/play", origin=url)
                sockets.append(await several.enter_async_context(connection))
            greeted = [(await socket.receive_json())["type"] for socket in sockets]
            assert greeted == ["hello"] * 8 + ["error"]
            assert (await sockets[8].receive()).data == WSCloseCode.TRY_AGAIN_LATER

    asyncio.run(visit())


def test_a_message_may_be_as_long_as_is_said():
    async def visit():
        async with (
            server() as (client, url),
            client.ws_connect(url + "/play", origin=url, max_msg_size=0) as socket,
        ):
            for _ in range(2):
                await socket.receive_json()
            await socket.send_str(" " * (MAX_BYTES - 1))
            assert "JSON" in (await socket.receive_json())["message"]

    asyncio.run(visit())


def test_a_message_that_is_too_long_ends_the_connection():
    async def visit():
        async with (
            server() as (client, url),
            client.ws_connect(url + "/play", origin=url, max_msg_size=0) as socket,
        ):
            with suppress(ConnectionError):
                await socket.send_str(" " * (MAX_BYTES + 1))
            async for message in socket:
                assert message.json()["type"] in ("hello", "model")
            assert socket.close_code in (WSCloseCode.MESSAGE_TOO_BIG, WSCloseCode.ABNORMAL_CLOSURE)

    asyncio.run(visit())


def test_a_listener_that_goes_ends_its_run_and_makes_room():
    async def visit():
        async with server(listeners=1) as (client, url):
            for _ in range(3):
                async with client.ws_connect(url + "/play", origin=url) as socket:
                    await socket.send_json(BEGIN)
                    while (await socket.receive_json())["type"] != "events":
                        pass
            await asyncio.to_thread(ended)

    asyncio.run(visit())


# ---- Others hear nothing of it


async def begun(socket):
    """Begin to play; the socket gives events from now on."""
    await socket.send_json(BEGIN)
    while (await socket.receive_json())["type"] != "begun":
        pass


async def assert_plays(socket):
    for _ in range(20):
        assert (await socket.receive_json(timeout=30))["type"] == "events"


def test_a_model_that_is_loaded_for_one_keeps_no_other_waiting(monkeypatch):
    loading, loaded = threading.Event(), threading.Event()

    def load(name, styles):
        if name == "two":
            loading.set()
            assert loaded.wait(timeout=30)
        return Swift(Mock(V))

    async def visit():
        async with server() as (client, url):
            connect = functools.partial(client.ws_connect, url + "/play", origin=url)
            async with connect() as playing, connect() as choosing:
                await begun(playing)
                await choosing.send_json({"type": "choose_model", "name": "two"})
                await asyncio.to_thread(loading.wait)
                async with connect() as late:
                    assert (await late.receive_json(timeout=30))["type"] == "hello"
                    await begun(late)
                    await assert_plays(late)
                await assert_plays(playing)
                loaded.set()
                names = [message["name"] async for message in only(choosing, "model", 2)]
                assert names == ["one", "two"]

    monkeypatch.setattr(session, "load", load)
    try:
        asyncio.run(visit())
    finally:
        loaded.set()


async def only(socket, kind, count):
    """Give so many messages of a kind."""
    while count:
        message = await socket.receive_json(timeout=30)
        if message["type"] == kind:
            count -= 1
            yield message


def test_a_listener_who_takes_nothing_is_dropped(monkeypatch):
    monkeypatch.setattr(conversation, "PATIENCE_S", 1.0)

    async def visit():
        async with server(listeners=2) as (client, url):
            connect = functools.partial(client.ws_connect, url + "/play", origin=url)
            async with connect() as playing:
                await begun(playing)
                host, port = url.removeprefix("http://").split(":")
                _, deaf = await asyncio.open_connection(host, int(port), limit=1)
                deaf.write(
                    f"GET /play HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {url}\r\n"
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
                )
                begin = json.dumps(BEGIN).encode()
                deaf.write(bytes((0x81, 0x80 | len(begin), 0, 0, 0, 0)) + begin)
                while True:  # until its place is free again
                    await assert_plays(playing)
                    async with connect() as another:
                        if (await another.receive_json(timeout=30))["type"] == "hello":
                            break
                deaf.close()

    asyncio.run(visit())


def test_who_sends_too_much_has_to_wait(monkeypatch):
    spent = []

    def spend(allowance, work_s):
        spent.append((allowance, work_s))
        return 3600 if allowance is spent[0][0] else 0

    monkeypatch.setattr(Allowance, "spend", spend)

    async def visit():
        async with server() as (client, url):
            connect = functools.partial(client.ws_connect, url + "/play", origin=url)
            hasty = ClientWSTimeout(ws_close=0.01)
            async with connect(timeout=hasty) as flooding, connect() as playing:
                for _ in range(100):
                    await flooding.send_str("?")
                await anext(only(flooding, "error", 1))
                await begun(playing)
                await assert_plays(playing)

    asyncio.run(visit())
    assert len(spent) == 2  # a message of each
    assert all(work_s >= 0 for _, work_s in spent)


def test_an_allowance_is_three_seconds_and_then_a_quarter_of_the_time():
    now = [100.0]
    allowance = Allowance(lambda: now[0])
    assert allowance.spend(2.0) == allowance.spend(0.9) == 0
    assert allowance.spend(1.0) == pytest.approx(4 * 0.906)
    now[0] += 4 * 0.906
    assert allowance.spend(0.098) == pytest.approx(0.4)
    now[0] += 1_000_000
    assert allowance.spend(2.998) == 0
    assert sum(allowance.spend(0) for _ in range(1000)) > 0  # so a flood of small ones is slow too


def test_measured_is_the_work_and_not_the_waiting():
    assert measured(lambda: threading.Event().wait(0.05)) < 0.04
    assert measured(lambda: sum(range(2_000_000))) > 0.005


def test_connections_that_ask_for_nothing_are_closed(monkeypatch):
    monkeypatch.setattr(listening, "_IDLE_S", 0.2)

    async def visit():
        async with listening.serving(app.make(models()), "127.0.0.1", 0) as address:
            port = int(address.rstrip("/").rsplit(":", 1)[1])
            for begin in (b"", b"GET / HTTP/1.1\r\nHost: 127"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(begin)
                assert await asyncio.wait_for(reader.read(), 30) == b""
                writer.close()

    asyncio.run(visit())


def test_connections_too_many_are_closed_at_once(monkeypatch):
    monkeypatch.setattr(listening, "_CONNECTIONS", 3)

    async def visit():
        async with (
            listening.serving(app.make(models()), "127.0.0.1", 0) as address,
            ClientSession() as client,
        ):
            url = address.rstrip("/")
            port = int(url.rsplit(":", 1)[1])
            async with client.ws_connect(url + "/play", origin=url) as playing:
                await begun(playing)
                held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                with suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 30) == b""
                await assert_plays(playing)
                for _, each in [*held, (reader, writer)]:
                    each.close()

    asyncio.run(visit())


def test_a_listener_who_sends_but_takes_nothing_is_dropped(monkeypatch):
    monkeypatch.setattr(conversation, "PATIENCE_S", 0.05)
    dropped = threading.Event()

    class Link:
        async def send_str(self, message):
            await asyncio.Event().wait()

    async def visit():
        transport = SimpleNamespace(abort=dropped.set)
        request = SimpleNamespace(transport=transport)
        send = conversation._sender(request, Link(), asyncio.get_running_loop())
        with pytest.raises(ConnectionError):
            await asyncio.to_thread(send, "x")
        assert await asyncio.to_thread(dropped.wait, 30)

    asyncio.run(visit())


def test_a_cancelled_message_is_a_listener_who_has_gone():
    async def visit():
        loop = asyncio.get_running_loop()

        class Link:
            async def send_str(self, message):
                raise asyncio.CancelledError

        send = conversation._sender(None, Link(), loop)
        with pytest.raises(ConnectionError):
            await asyncio.to_thread(send, "x")

    asyncio.run(visit())


def test_nobody_waits_for_a_loop_that_has_ended():
    loop = asyncio.new_event_loop()
    sent = []

    class Link:
        async def send_str(self, message):
            sent.append(message)

    def send():
        with pytest.raises(ConnectionError):
            conversation._sender(None, Link(), loop)("x")

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    sending.join(timeout=0.1)
    loop.close()
    sending.join(timeout=30)  # half of the patience
    assert not sending.is_alive()
    assert not sent


def test_a_run_keeps_nothing_of_the_piece_that_it_goes_on_from(talk, monkeypatch):
    begun = []

    def parse(text):
        begun.append(weakref.ref(made := messages.Begin(**FIELDS)))
        return made

    monkeypatch.setattr(session.messages, "parse", parse)
    talk("begin")
    assert any(thread.name == "run 7" for thread in threading.enumerate())
    assert begun[0]() is None


def test_a_run_that_was_ended_is_waited_for(listener):
    playing = Session(models(), listener)
    playing.handle(json.dumps(BEGIN))
    run = next(thread for thread in threading.enumerate() if thread.name == "run 1")
    playing.close()
    listener.go()
    playing.wait()
    assert not run.is_alive()


# ---- Other machines

SECRET = "secret"  # noqa: S105 (of this test alone)


def test_another_machine_needs_the_token(monkeypatch):
    monkeypatch.setattr(app, "loopback", lambda address: False)

    async def visit():
        async with server(token=SECRET) as (client, url):
            async with client.get(url + "/") as answer:
                assert answer.status == 403 and "token" in await answer.text()
            for wrong in ("", "secre", "secrets", "%ff"):
                async with client.get(url + "/?token=" + wrong) as answer:
                    assert answer.status == 403
            async with client.get(url + "/play", headers={"Origin": url}) as answer:
                assert answer.status == 403
            async with client.get(url + "/?token=secret") as answer:
                assert answer.status == 200 and str(answer.url) == url + "/"
            async with client.ws_connect(url + "/play", origin=url) as socket:
                assert (await socket.receive_json())["type"] == "hello"
        async with server() as (client, url):
            for query in ("", "?token=", "?token=None"):
                async with client.get(url + "/" + query) as answer:
                    assert answer.status == 403

    asyncio.run(visit())


def test_this_machine_needs_no_token():
    async def visit():
        async with server(token=SECRET) as (client, url), client.get(url + "/") as answer:
            assert answer.status == 200

    asyncio.run(visit())


def test_what_is_this_machine():
    for address in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
        assert listening.loopback(address)
    for address in ("0.0.0.0", "192.168.1.2", "::", "fe80::1%eth0", "", None, "localhost"):  # noqa: S104
        assert not listening.loopback(address)


# ---- The command


def command(*options):
    return [sys.executable, "-m", "espressivo", "serve", "--no-browser", *options]


def test_the_command_serves_until_it_is_interrupted(tmp_path):
    with subprocess.Popen(
        command("--port", "0"),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in background
    ) as process:
        try:
            address = process.stdout.readline().split()[0]
            with urllib.request.urlopen(address) as page:  # noqa: S310
                assert b"espressivo" in page.read()
            again = ("--port", address.rstrip("/").rsplit(":", 1)[1])
            for options in (again, ("--soundfont", str(tmp_path / "none.sf2"))):
                done = subprocess.run(command(*options), capture_output=True, text=True)
                assert done.returncode == 1
                assert done.stderr.startswith("espressivo: ") and done.stderr.count("\n") == 1
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def test_another_host_comes_with_a_token_and_says_what_that_means():
    open_to_all = command("--port", "0", "--host", "0.0.0.0")  # noqa: S104
    with subprocess.Popen(open_to_all, stdout=subprocess.PIPE, text=True) as process:
        try:
            address, warning = process.stdout.readline().split()[0], process.stdout.readline()
            assert re.fullmatch(r"http://[\d.]+:\d+/\?token=[\w-]{20,}", address)
            assert urllib.parse.urlsplit(address).hostname != "0.0.0.0"  # noqa: S104
            assert "not encrypted" in warning
            with urllib.request.urlopen(address.partition("?")[0]) as page:  # noqa: S310
                assert b"espressivo" in page.read()
        except urllib.error.HTTPError as error:  # by an address that is not the loopback's
            assert error.code == 403
        finally:
            process.kill()
