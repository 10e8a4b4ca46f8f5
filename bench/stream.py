"""A stream that plays for hours, with time simulated, and whether it stays whole.

Counts notes that sound too long or are struck twice, the longest stretch in which nothing sounds
and the recoveries, and watches the memory of the process.

    python bench/stream.py [model] [--events 1000000] [--seed 0] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from itertools import islice
from pathlib import Path

import espressivo


class Clock:
    """Time that passes only while the stream sleeps."""

    now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


def megabytes() -> float:
    """Return the memory that the process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(model_name: str, events: int, seed: int) -> dict[str, object]:
    """Stream, and watch."""
    clock = Clock()
    model = espressivo.load(model_name)
    stream = model.stream(seed=seed, clock=clock, sleep=clock.sleep)
    begun: dict[int, float] = {}  # when each sounding note began
    longest_note_s = longest_silence_s = silent_since_s = drift_s = 0.0
    notes = twice = 0
    memory = []
    begin = time.perf_counter()
    for number, event in enumerate(islice(stream, events)):
        if event.kind == "note_on":
            if not begun:
                longest_silence_s = max(longest_silence_s, event.time_s - silent_since_s)
            twice += event.pitch in begun
            begun[event.pitch] = event.time_s
            notes += 1
        elif event.kind == "note_off":
            longest_note_s = max(longest_note_s, event.time_s - begun.pop(event.pitch))
            silent_since_s = event.time_s
        if event.time_s > 1:
            drift_s = max(drift_s, abs(event.time_s - clock.now_s - 0.5))
        if number % (events // 10) == events // 20:
            memory.append(round(megabytes(), 1))
    seconds = time.perf_counter() - begin
    stream.stop()
    for event in stream:
        begun.pop(event.pitch, None)
    return {
        "model": model_name,
        "events": events,
        "notes": notes,
        "hours_of_music": round(clock.now_s / 3600, 2),
        "recoveries": stream.recoveries,
        "longest_silence_s": round(longest_silence_s, 2),
        "longest_note_s": round(longest_note_s, 2),
        "struck_twice": twice,
        "hung_after_stop": len(begun),
        "greatest_difference_to_the_clock_s": round(drift_s, 4),
        "memory_megabytes": memory,
        "events_per_second": round(events / seconds),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    }


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="espressivo")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments.model, arguments.events, arguments.seed)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:36} {value}")


if __name__ == "__main__":
    main()
