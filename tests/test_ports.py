"""MIDI ports, and the command that uses them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import fake_rtmidi
from espressivo.cli import main
from espressivo.errors import PortError
from espressivo.live import ports
from espressivo.live.turns import Live
from espressivo.play import load

PORTS = ("--in", "digital", "--out", "synth one")


@pytest.fixture
def rtmidi(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmidi", fake_rtmidi)
    monkeypatch.setattr(fake_rtmidi, "PORTS", {k: list(v) for k, v in fake_rtmidi.PORTS.items()})
    return fake_rtmidi


@pytest.fixture
def run(monkeypatch, capfd):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["espressivo", "live", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capfd.readouterr()

    return run


def test_ports_are_listed(rtmidi, run):
    status, out, _ = run("--ports")
    assert status == 0
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [
        ["in", "Digital Piano 20:0"],
        ["in", "Pad"],
        ["out", "Digital Piano 20:0"],
        ["out", "Synth One"],
        ["out", "Synth Two"],
    ]
    names = json.loads(run("--ports", "--json")[1])
    assert names == {"in": rtmidi.PORTS["MidiIn"], "out": rtmidi.PORTS["MidiOut"]}
    rtmidi.PORTS["MidiIn"].clear()
    assert run("--ports")[1].splitlines()[0].split() == ["in", "none"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("synth two", "Synth Two"), ("PIANO", "Digital Piano 20:0"), ("Synth One", "Synth One")],
)
def test_a_part_of_a_name_is_enough(rtmidi, name, found):
    with ports.Output(name) as port:
        assert port.name == found


def test_a_whole_name_is_meant_before_a_part_of_others(rtmidi):
    rtmidi.PORTS["MidiOut"].append("synth")
    with ports.Output("Synth") as port:
        assert port.name == "synth"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--in", "organ", "--out", "synth one"], "no MIDI input is named 'organ': choose one of"),
        (["--in", "pia", "--out", "organ"], "Digital Piano 20:0; Synth One; Synth Two"),
        (["--in", "pia", "--out", "synth"], "several MIDI outputs match 'synth'"),
        (["--in", "pad", "--out", "synth one"], "input 'Pad' cannot be opened (busy)"),
    ],
)
def test_a_wrong_port_is_one_line_that_lists_them(rtmidi, run, arguments, words):
    status, out, err = run(*arguments)
    assert status == 1 and out == ""
    assert words in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("python", "words"),
    [((3, 12), "pip install 'espressivo[live]'"), ((3, 13), "use Python 3.12, or build it")],
)
def test_without_rtmidi_it_says_what_to_install(monkeypatch, run, python, words):
    monkeypatch.setattr("sys.version_info", python)
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    for arguments in (["--ports"], PORTS):
        status, _, err = run(*arguments)
        assert status == 1 and len(err.splitlines()) == 1
        assert words in err


@pytest.mark.parametrize(
    "arguments", [[], ["--in", "x"], [*PORTS, "--pause", "0"], [*PORTS, "--channel", "17"]]
)
def test_wrong_usage(rtmidi, run, arguments):
    assert run(*arguments)[0] == 2


def test_a_port_that_has_gone_is_noticed(rtmidi):
    with ports.Input("digital") as keys, ports.Output("synth one") as synth:
        keys.check()
        synth.check()
        with pytest.raises(PortError, match="output 'Synth One' has gone"):
            synth.send((0x90, 60, 80))
        for names in rtmidi.PORTS.values():
            names.clear()
        for port in (keys, synth):
            with pytest.raises(PortError, match="has gone: connect it"):
                port.check()


def played(messages):
    """Check that every note that began has ended; return how many began."""
    sounding, count = set(), 0
    for status, pitch, _ in messages:
        if status == 0x90:
            sounding.add(pitch)
            count += 1
        else:
            sounding.discard(pitch)
    assert not sounding
    return count


def test_it_plays_until_ctrl_c_and_says_how_well(rtmidi, run, monkeypatch, tmp_path):
    sent = []

    def send(self, message):
        sent.append(tuple(message))
        if len(sent) == 12:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(rtmidi.MidiOut, "send_message", send)
    before = signal.getsignal(signal.SIGINT)
    options = ("--pause", 0.05, "--seed", 1, "--log", tmp_path / "sent.csv")
    status, out, err = run(*PORTS, *options, "--json")
    assert status == 0 and "plays on Synth One" in err and len(err.splitlines()) == 1
    figures = json.loads(out)
    assert figures["notes"] == played(sent) > 3 and figures["turns"] == 1
    assert set(figures["late_ms"]) == {"p50", "p99", "max"}
    with (tmp_path / "sent.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["number"]), int(row["value"])) for row in rows] == [m[1:] for m in sent]
    for row in rows:
        late_ms = 1000 * (float(row["sent_s"]) - float(row["due_s"]))
        assert float(row["late_ms"]) == pytest.approx(late_ms, abs=2e-3)
    assert rows[0]["message"] == "note_on" and rows[-1]["why"] in ("stop", "music")
    assert signal.getsignal(signal.SIGINT) is before


def test_when_the_port_goes_the_log_and_figures_are_kept(rtmidi, run, tmp_path):
    status, out, err = run(*PORTS, "--pause", 0.05, "--log", tmp_path / "sent.csv")
    assert status == 1 and "0 turns, 0 notes" in out
    assert err.splitlines()[-1].startswith("espressivo: the MIDI output 'Synth One' has gone")
    assert (tmp_path / "sent.csv").read_text().startswith("due_s,sent_s,late_ms,why")


PROGRAM = """
import sys, fake_rtmidi
log = open(sys.argv.pop(1), "w")
fake_rtmidi.MidiOut.send_message = lambda self, message: print(*message, file=log, flush=True)
sys.modules["rtmidi"] = fake_rtmidi
from espressivo.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_no_note_hangs_when_the_process_is_ended(tmp_path, name):
    if not hasattr(signal, name):
        pytest.skip(f"this system has no {name}")
    log = tmp_path / "log"
    paths = [str(Path(__file__).parent), *sys.path]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, log, "live", *PORTS, "--pause", "0.05", "--seed", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    )
    end_s = time.monotonic() + 120
    while not log.exists() or len(log.read_text().splitlines()) < 20:
        assert process.poll() is None and time.monotonic() < end_s
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "1 turns" in out
    messages = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    assert played(messages) > 5


@pytest.mark.slow
def test_real_ports_carry_call_and_response():
    rtmidi = pytest.importorskip("rtmidi", reason="needs python-rtmidi")
    arrived, clients = [], []
    with ports.silenced():
        for system in rtmidi.get_compiled_api():
            try:
                clients = [kind(system, "test") for kind in (rtmidi.MidiOut, rtmidi.MidiIn)]
                clients[0].open_virtual_port("espressivo-test-keys")
                clients[1].open_virtual_port("espressivo-test-synth")
                break
            except (rtmidi.RtMidiError, NotImplementedError):
                clients = []
    if not clients:
        pytest.skip("no MIDI system with virtual ports runs here (ALSA sequencer, JACK, CoreMIDI)")
    keys, synth = clients
    synth.set_callback(lambda event, _: arrived.append(tuple(event[0])))

    def until(count):
        end_s = time.monotonic() + 60
        while len(arrived) < count:
            assert time.monotonic() < end_s
            time.sleep(0.01)

    def listen_then_stop():
        for _ in range(3):
            keys.send_message([0x90, 60, 80])
            keys.send_message([0x90, 60, 0])
            until(len(arrived) + 15)
        live.stop()

    with (
        ports.Input("espressivo-test-keys") as heard,
        ports.Output("espressivo-test-synth") as output,
    ):
        live = Live(load("seed"), output, pause_s=0.2, seed=1)
        heard.listen(live.hear)
        thread = threading.Thread(target=listen_then_stop)
        thread.start()
        live.run()
        thread.join()
        heard.check()
        output.check()
    time.sleep(0.5)  # for what is still on its way
    assert played(arrived) > 10 and live.summary()["turns"] == 3
