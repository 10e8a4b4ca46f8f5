"""A model that plays by itself, in made-up time."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import fake_rtmidi
from espressivo.cli import main
from espressivo.errors import GenerationError
from espressivo.live import Endless
from test_live import BEGIN_S, Room, hanging, ons, ticks


def playing(plan, until_s, **arguments):
    room = Room(plan, until_s, kind=Endless, **arguments)
    return room.play(), room


def test_it_plays_at_once_and_ends_every_note():
    messages, room = playing({}, 20)
    assert ons(messages)[0][0] < 0.2 and ons(messages)[-1][0] > 19
    assert not hanging(messages)
    assert room.live.summary()["turns"] == 1
    again, _ = playing({}, 20)
    assert again == messages
    assert playing({}, 20, seed=2)[0] != messages


def test_it_waits_for_the_clock_begins_on_a_beat_and_ends_with_it():
    tempo = 100
    messages, room = playing(ticks(tempo, begin_s=2.0, until_s=9.0), 15, follow_clock=True)
    beats = (ons(messages)[0][0] - 2.0 - 60 / tempo / 24) * tempo / 60
    assert 0 < beats < 1.1 and abs(beats - round(beats)) < 0.02
    assert 8 < ons(messages)[-1][0] < 9.05 and not hanging(messages)
    assert {sent.why for sent in room.sent} == {"music", "clock"}
    assert playing({}, 5, follow_clock=True)[0] == []


def two(second):
    """A clock that runs for 4 s, and again from 8 s on, from a message on."""
    later = ticks(100, begin_s=8.0, until_s=12.0)
    later[8.0] = (second,)
    return ticks(100, begin_s=1.0, until_s=5.0) | later


def split(messages):
    return [m for m in messages if m[0] < 6], [m for m in messages if m[0] > 6]


def test_a_start_begins_anew_and_a_clock_that_continues_goes_on():
    whole = ons(playing({}, 30)[0])
    first, second = split(playing(two(0xFA), 15, follow_clock=True)[0])
    pitches = [pitch for _, pitch in ons(first)]
    assert pitches == [pitch for _, pitch in whole[: len(pitches)]]
    again = [pitch for _, pitch in ons(second)]
    assert again[:10] == pitches[:10]
    first, second = split(playing(two(0xFB), 15, follow_clock=True)[0])
    later = [pitch for _, pitch in ons(second)]
    line = [pitch for _, pitch in whole]
    assert any(line[n : n + 10] == later[:10] for n in range(len(pitches), len(line)))
    assert not hanging(first) and not hanging(second)


def test_a_start_while_it_plays_begins_anew():
    plan = ticks(100, begin_s=1.0, until_s=12.0) | {6.001: (0xFA,)}
    messages, _ = playing(plan, 15, follow_clock=True)
    first, second = ([p for _, p in ons(part)] for part in split(messages))
    assert second[:10] == first[:10] and not hanging(messages)


def test_it_sends_a_clock():
    room = Room({}, 6, kind=Endless, send_clock=90.0)
    arrived = []
    room.send = lambda message: arrived.append((room.now_s - BEGIN_S, *message))
    room.play()
    sent_s = np.array([row[0] for row in arrived if row[1] == 0xF8])
    first_s = next(row[0] for row in arrived if row[1] & 0xF0 == 0x90)
    assert arrived[0][1] == 0xFA and arrived[-1][1] == 0xFC
    assert abs(sent_s[::24] - first_s).min() < 1e-3


def test_one_clock_is_enough():
    with pytest.raises(GenerationError, match="one clock is enough"):
        Room({}, 1, kind=Endless, follow_clock=True, send_clock=90.0)


def test_the_command_plays_on_a_port(monkeypatch, capfd, tmp_path):
    sent = []
    monkeypatch.setitem(sys.modules, "rtmidi", fake_rtmidi)
    monkeypatch.setattr(
        fake_rtmidi.MidiOut, "send_message", lambda _, message: sent.append(tuple(message))
    )
    arguments = ["--out", "synth one", "--seconds", "0.8", "--seed", "1", "--model", "seed"]
    arguments += ["--channel", "3", "--log", str(tmp_path / "sent.csv"), "--json"]
    monkeypatch.setattr("sys.argv", ["espressivo", "stream", *arguments])
    main()
    out, err = capfd.readouterr()
    figures = json.loads(out)
    assert "plays on Synth One" in err and figures["notes"] > 0
    assert {message[0] & 0x0F for message in sent} == {2}
    assert not hanging([(0.0, *message) for message in sent])
    assert len((tmp_path / "sent.csv").read_text().splitlines()) == len(sent) + 1
