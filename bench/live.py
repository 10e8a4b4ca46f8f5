"""Call and response in real time: how late messages are sent, and whether a note hangs.

A made-up person plays a phrase, listens to the answer, and interrupts it with the next phrase.
Between them are the real threads and clock; with --virtual also python-rtmidi with virtual ports
(ALSA, JACK or CoreMIDI), and then messages are also timed where they arrive.

    python bench/live.py [model] [--rounds 10] [--listen 6] [--virtual] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

import espressivo
from espressivo.live import Live, SentMessage

PAUSE_S = 1.0
PHRASE_S = 4.0

Message = Sequence[int]
Send = Callable[[Message], object]


class Instrument:
    """Remembers what arrives, and when."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, tuple[int, ...]]] = []

    def send(self, message: Message) -> None:
        """Take a message."""
        self.arrived.append((time.perf_counter(), tuple(message)))

    def hanging(self) -> int:
        """Return how many notes were never ended."""
        sounding: set[int] = set()
        for _, (status, pitch, velocity) in self.arrived:
            if status & 0xF0 == 0x90 and velocity:
                sounding.add(pitch)
            elif status & 0xF0 in (0x80, 0x90):
                sounding.discard(pitch)
        return len(sounding)


class Person:
    """Plays phrases in real time; `ended_s` is when each of them was over."""

    def __init__(self, model: espressivo.Model, rounds: int, listen_s: float, send: Send) -> None:
        self._send, self._listen_s = send, listen_s
        self._phrases = [model.generate(seconds=PHRASE_S, seed=n).notes for n in range(rounds)]
        self.ended_s: list[float] = []

    def play(self, stop: Callable[[], object]) -> None:
        """Play every phrase and listen to each answer; then stop."""
        for notes in self._phrases:
            ons = [(n["onset_s"], 1, (0x90, int(n["pitch"]), int(n["velocity"]))) for n in notes]
            offs = [(n["offset_s"], 0, (0x80, int(n["pitch"]), 0)) for n in notes]
            begin_s = time.perf_counter()
            for time_s, _, message in sorted(ons + offs):
                time.sleep(max(0.0, begin_s + time_s - time.perf_counter()))
                self._send(message)
            self.ended_s.append(time.perf_counter())
            time.sleep(PAUSE_S + self._listen_s)
        stop()


@contextlib.contextmanager
def virtual(instrument: Instrument) -> Iterator[tuple[Send, Callable[[Live], None], object]]:
    """Give a virtual keyboard's send, a function that lets `Live` hear it, and its output."""
    import rtmidi

    from espressivo.live.ports import Input, Output

    for system in rtmidi.get_compiled_api():
        with contextlib.suppress(rtmidi.RtMidiError):
            keys = rtmidi.MidiOut(system, "bench keys")
            synth = rtmidi.MidiIn(system, "bench synth")
            break
    else:
        raise SystemExit("no MIDI system runs here")
    keys.open_virtual_port("bench-keys")
    synth.open_virtual_port("bench-synth")
    synth.set_callback(lambda event, _: instrument.send(event[0]))
    with Input("bench-keys") as heard, Output("bench-synth") as output:
        yield keys.send_message, lambda live: heard.listen(live.hear), output


def measure(
    model_name: str, rounds: int, listen_s: float, through_ports: bool
) -> dict[str, object]:
    """Play, and watch."""
    model, instrument, sent = espressivo.load(model_name), Instrument(), []
    with contextlib.ExitStack() as stack:
        plain = (lambda message: live.hear(message), lambda _: None, instrument)
        chosen = stack.enter_context(virtual(instrument)) if through_ports else plain
        send, listen, output = chosen
        live = Live(model, output, pause_s=PAUSE_S, seed=0, log=sent.append)
        listen(live)
        person = Person(model, rounds, listen_s, send)
        thread = threading.Thread(target=person.play, args=(live.stop,))
        thread.start()
        live.run()
        thread.join()
        time.sleep(0.2)  # for what is still on its way
    return {
        "model": model_name,
        "through_ports": through_ports,
        **live.summary(),
        "answer_after_pause_ms": answers(person.ended_s, sent),
        "arrived_after_due_ms": arrivals(instrument, sent),
        "messages_lost": len(sent) - len(instrument.arrived),
        "hanging_notes": instrument.hanging(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    }


def answers(ended_s: list[float], sent: list[SentMessage]) -> list[float]:
    """Return how long after each pause the first note of the answer came."""
    music = np.array([event.sent_s for event in sent if event.why == "music"])
    first = [music[music > end_s][0] for end_s in ended_s if (music > end_s).any()]
    return [round(1000 * float(a - b - PAUSE_S), 1) for a, b in zip(first, ended_s, strict=False)]


def arrivals(instrument: Instrument, sent: list[SentMessage]) -> dict[str, float]:
    """Return how long after it was due each message arrived."""
    pairs = zip(instrument.arrived, sent, strict=False)
    late_ms = [1000 * (time_s - event.due_s) for (time_s, _), event in pairs]
    p50, p99, most = np.percentile(late_ms, [50, 99, 100]).round(3).tolist()
    return {"p50": p50, "p99": p99, "max": most}


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="espressivo")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--listen", type=float, default=6.0)
    parser.add_argument("--virtual", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments.model, arguments.rounds, arguments.listen, arguments.virtual)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
