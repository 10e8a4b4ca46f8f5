"""The piano that sounds at once, and the system's sound, which is made up here."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time

import numpy as np
import pytest

import fake_rtmidi
import fake_sounddevice
from espressivo.cli import main
from espressivo.errors import AudioError
from espressivo.live import speakers
from espressivo.live.speakers import Speakers
from espressivo.music import Performance
from espressivo.views import instrument, render, sound
from espressivo.views.instrument import BLOCK, Instrument
from espressivo.views.sound import CEILING, SAMPLE_RATE

A, B = 60, 61
LOUD = 100


@pytest.fixture(scope="module")
def samples():
    """Two keys, loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instrument, "KEYS", (A, B))
        told = []
        loaded = Instrument(lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]
    return loaded._samples


@pytest.fixture
def piano(samples, monkeypatch):
    class Loaded:
        """Gives what was loaded before."""

        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def sample(self, pitch, velocity, seconds):
            touch = sound.TOUCHES.index(velocity)
            return samples[pitch, touch] / np.float32(32767)

    monkeypatch.setattr(instrument, "KEYS", (A, B))
    monkeypatch.setattr(instrument, "PianoApart", Loaded)
    return Instrument()


@pytest.fixture
def driver(piano, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice)
    monkeypatch.setattr(fake_sounddevice, "OPENED", [])
    monkeypatch.setattr(fake_sounddevice, "DEVICES", list(fake_sounddevice.DEVICES))
    return fake_sounddevice


def played(piano, blocks):
    return np.concatenate([piano.block() for _ in range(blocks)], axis=1)


def level(samples):
    return float(np.sqrt((samples**2).mean()))


def test_a_key_sounds_as_it_is_rendered(piano):
    player = piano.player()
    player.send((0x90, A, LOUD))
    held = played(piano, 40)
    player.send((0x80, A, 0))
    heard = np.concatenate((held, played(piano, 60)), axis=1)
    one = Performance.from_arrays(
        onset_s=[0.0], offset_s=[40 * BLOCK / SAMPLE_RATE], pitch=[A], velocity=[LOUD]
    )
    expected = render(one).samples[:, : heard.shape[1]]
    assert abs(heard - expected).max() < 0.01 * abs(expected).max()


def test_the_pedal_holds_what_is_released_and_each_player_has_one(piano):
    one, other = piano.player(), piano.player()
    one.send((0xB0, 64, 127))
    for player in (one, other):
        player.send((0x90, A, LOUD))
        player.send((0x90, A, 0))
    played(piano, 2)
    assert [string.released >= 0 for string in piano._strings] == [False, True]
    one.send((0x91, B, LOUD))
    one.send((0xB0, 64, 0))
    piano.block()
    assert {s.pitch: s.released >= 0 for s in piano._strings if s.player is one} == {
        A: True,
        B: False,
    }


def test_a_key_that_is_struck_again_sounds_once(piano):
    player = piano.player()
    for _ in range(3):
        player.send((0x90, A, LOUD))
        piano.block()
    assert sum(string.released < 0 for string in piano._strings) == 1


@pytest.mark.parametrize("controller", [120, 123])
def test_all_notes_off(piano, controller):
    player = piano.player()
    player.send((0xB0, 64, 127))
    player.send((0x90, A, LOUD))
    player.send((0xB0, controller, 0))
    piano.block()
    assert all(string.released >= 0 for string in piano._strings)


def test_nothing_is_too_loud_and_strings_do_not_pile_up(piano, monkeypatch):
    monkeypatch.setattr(instrument, "_MOST", 30)
    for _ in range(50):
        player = piano.player()
        player.send((0x90, A, 127))
        player.send((0x90, B, 127))
    loud = played(piano, 20)
    assert len(piano._strings) == 30
    assert abs(loud).max() <= np.float32(CEILING) and np.isfinite(loud).all()
    assert level(loud) > 0.1


def test_other_messages_and_keys_make_no_sound(piano):
    player = piano.player()
    for message in [(0xF8,), (0xC0, 5), (0x90, 20, 90), (0x80, 20, 0), (0xE0, 0, 64)]:
        player.send(message)
    assert not played(piano, 3).any()


def test_all_dies_away_at_the_end(piano):
    piano.player().send((0x90, A, LOUD))
    played(piano, 10)
    piano.end()
    assert not piano.ended
    last = played(piano, 52)
    assert piano.ended and level(last[:, :BLOCK]) > 0.01
    assert not played(piano, 2).any()


def ending(driver):
    """Let the driver ask for sound while the block of ``with`` ends."""
    stream = driver.OPENED[0]

    def sound():
        while not stream.closed:
            stream.turn()

    thread = threading.Thread(target=sound)
    thread.start()
    return thread


def test_speakers_play_and_count_underruns(driver):
    with Speakers() as opened:
        stream = driver.OPENED[0]
        opened.instrument.player().send((0x90, A, LOUD))
        assert stream.turn().any() and stream.extra_settings is None
        stream.turn(underflow=True)
        opened.check()
        assert (opened.name, opened.underruns, opened.delay_ms) == ("Built-in", 1, 12.5)
        thread = ending(driver)
    thread.join()
    assert stream.closed and opened.instrument.ended


def test_a_device_that_has_gone_is_noticed(driver):
    with Speakers("built") as opened:
        driver.OPENED[0].active = False
        with pytest.raises(AudioError, match="'Built-in' has gone: connect it"):
            opened.check()


def test_an_error_while_sounding_is_raised_by_check_and_not_in_the_driver(driver):
    with Speakers() as opened:
        opened.instrument.block = lambda: 1 / 0
        assert not driver.OPENED[0].turn().any()
        with pytest.raises(ZeroDivisionError):
            opened.check()
        driver.OPENED[0].active = False


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("organ", "no sound device is named 'organ': choose one of: Built-in; Headphones"),
        ("H", "cannot be opened .Device unavailable"),
        ("i", "several sound devices match|no sound device"),
        ("Microphone", "no sound device is named 'Microphone'"),
    ],
)
def test_a_wrong_device_is_one_line_that_lists_them(driver, name, words):
    driver.DEVICES.append({"name": "HDMI", "max_output_channels": 2, "hostapi": 0})
    name = {"H": "headphones"}.get(name, name)
    with pytest.raises(AudioError, match=words) as error:
        Speakers(name)
    assert "\n" not in str(error.value)


def test_without_a_device_it_says_so(driver):
    driver.DEVICES[:] = driver.DEVICES[:1]
    with pytest.raises(AudioError, match="the system's default: choose one of: none"):
        Speakers()


def test_windows_plays_through_wasapi(driver):
    driver.DEVICES.append({"name": "Built-in", "max_output_channels": 2, "hostapi": 1})
    for name in (None, "built"):
        driver.OPENED.clear()
        with Speakers(name):
            assert driver.OPENED[0].extra_settings.auto_convert
            driver.OPENED[0].active = False


@pytest.fixture
def run(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "rtmidi", fake_rtmidi)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["espressivo", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capfd.readouterr()

    return run


def test_without_sounddevice_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for command in (["live", "--in", "digital"], ["stream"]):
        status, _, err = run(*command, "--sound")
        assert status == 1 and len(err.splitlines()) == 1
        assert "pip install 'espressivo[live]'" in err


def test_without_portaudio_it_says_what_to_install(run, monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    status, _, err = run("stream", "--sound")
    assert status == 1 and "apt install libportaudio2" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["live", "--in", "digital"],
        ["live", "--in", "digital", "--out", "synth one", "--sound-device", "x"],
        ["live", "--in", "digital", "--out", "synth one", "--mute-keys"],
        ["live", "--in", "digital", "--sound", "--send-clock", "90"],
        ["stream"],
        ["stream", "--sound", "--in", "digital"],
        ["stream", "--sound", "--follow-clock"],
        ["stream", "--out", "synth one", "--in", "digital", "--follow-clock", "--send-clock", "90"],
        ["stream", "--sound", "--seconds", "0"],
    ],
)
def test_wrong_usage(run, arguments):
    assert run(*arguments)[0] == 2


@pytest.fixture
def heard(driver, monkeypatch):
    """What the piano is sent, and by whom, while the driver asks for sound."""
    messages = []

    class Watched(Instrument):
        def _obey(self, player, message):
            messages.append((player, message))
            super()._obey(player, message)

    monkeypatch.setattr(speakers, "Instrument", Watched)

    def start(self):
        self.active = True
        self.thread = threading.Thread(target=self.play, daemon=True)
        self.thread.start()

    def play(self):
        while self.active:
            self.turn()

    monkeypatch.setattr(driver.OutputStream, "start", start)
    monkeypatch.setattr(driver.OutputStream, "play", play, raising=False)
    return messages


@pytest.mark.parametrize("muted", [False, True])
def test_live_sounds_for_both(heard, run, muted):
    def interrupt():
        while len(heard) < 12:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    options = ["--pause", 0.05, "--seed", 1, "--model", "seed", *["--mute-keys"] * muted]
    status, out, err = run("live", "--in", "digital", "--sound", *options, "--json")
    assert status == 0, err
    figures = json.loads(out)
    assert len({id(player) for player, _ in heard}) == 1 + (not muted)
    assert figures["underruns"] == 0 and figures["delay_ms"] == 12.5
    assert figures["notes"] > 3


def test_stream_sounds_until_its_time_is_over(heard, run):
    status, out, err = run("stream", "--sound", "--seconds", 0.6, "--seed", 1, "--model", "seed")
    assert status == 0, err
    assert "plays on Built-in" in err and "1 turns" in out
    assert "0 times the system had no sound to play" in out
    sounding = set()
    for _, (status, number, value) in heard:
        if status & 0xF0 == 0x90 and value:
            sounding.add(number)
        elif status & 0xF0 in (0x80, 0x90):
            sounding.discard(number)
    assert heard and not sounding
