"""Damaged MIDI files and soundfonts: each is read, or refused in one line.

Mutants are made of sound files by changing, taking out, putting in and repeating bytes; in half of
the MIDI files the lengths of chunks are then put right, so that the damage within is met. Each is
tried in a process of its own, forked from one that has everything loaded, with a limit of 10 s (a
soundfont: 60 s) and of 4 GB of address space. A fault is a traceback (any error that is not the
package's own), an error of several lines, a crash or a hang.

    python bench/bad_music.py [--midi 100000] [--soundfonts 2000] [--seed 0] [--json]

Linux and macOS only, as `fork` is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from espressivo import Performance, midi
from espressivo.errors import EspressivoError
from espressivo.music import CONTROL_DTYPE, PEDALS
from espressivo.views import sound

MEMORY = 4 << 30
MIDI_S, SOUNDFONT_S = 10, 60
FINE = ("read", "refused")
PLAYED = Performance.from_arrays(
    onset_s=[0.0, 0.1], offset_s=[0.3, 0.4], pitch=[60, 72], velocity=[30, 100]
)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Damage bytes the way transfers and careless writers do."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 10, 40))):
        at = chance.randrange(len(data) + 1)
        # Half of the damage is where the structure stands: at the beginning and at the end.
        if chance.random() < 0.5:
            near = min(len(data), 2000)
            at = chance.choice((chance.randrange(near + 1), len(data) - chance.randrange(near + 1)))
        way = chance.randrange(6)
        if way == 0:
            data[at : at + 1] = bytes((chance.randrange(256),))
        elif way == 1:
            data[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
        elif way == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif way == 3:
            del data[at : at + chance.choice((1, 2, 8, 200))]
        elif way == 4:
            begin = chance.randrange(len(data) + 1)
            data[at:at] = data[begin : begin + chance.randrange(200)]
        else:
            data[at:at] = chance.choice((b"\x9f\x80\x40", b"\xf4", b"\xff\x51\0", b"\xff\x2f\0"))
    return bytes(data)


def midi_files() -> list[bytes]:
    """Return sound MIDI files of several kinds."""
    rng = np.random.default_rng(0)
    onset_s = np.sort(rng.random(60)) * 9
    moves = [(n / 5, PEDALS[n % 3], int(rng.integers(128))) for n in range(40)]
    performance = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.3,
        pitch=rng.integers(30, 90, 60),
        velocity=rng.integers(1, 128, 60),
        controls=np.array(moves, CONTROL_DTYPE),
    )
    written = midi.to_bytes(performance, key_signature=(2, True))
    tracks = written.split(b"MTrk")
    channels = b"".join(
        bytes((0, 0x90 | c, 60, 9, 0, 0xB0 | c, 64, 99, 5, 0x80 | c, 60, 0)) for c in range(16)
    )
    one = b"MThd\0\0\0\6\0\0\0\1\1\xe0" + _track(channels + b"\0\xff\x2f\0")
    patterns = b"MThd\0\0\0\6\0\2\0\4\1\xe0" + b"".join(_track(tracks[n][4:]) for n in (1, 2, 1, 2))
    return [written, one, patterns]


def _track(events: bytes) -> bytes:
    return b"MTrk" + len(events).to_bytes(4, "big") + events


def midi_mutants(count: int, seed: int) -> Iterator[bytes]:
    """Give damaged MIDI files; of every second one the lengths of its chunks are right."""
    chance, whole = random.Random(seed), midi_files()  # noqa: S311
    for number in range(count):
        data = damaged(chance.choice(whole), chance)
        if number % 2:
            head, *tracks = data.split(b"MTrk")
            data = head + b"".join(_track(track[4:]) for track in tracks)
        yield data


def soundfont_mutants(count: int, seed: int) -> Iterator[bytes]:
    """Give damaged copies of the bundled soundfont."""
    chance, whole = random.Random(seed), sound.bundled().read_bytes()  # noqa: S311
    for _ in range(count):
        yield damaged(whole, chance)


def read_midi(data: bytes, folder: Path) -> None:
    """Read a MIDI file and list what it holds."""
    path = folder / "mutant.mid"
    path.write_bytes(data)
    midi.read(path)
    "\n".join(midi.describe(path).lines())


def play_soundfont(data: bytes, folder: Path) -> None:
    """Play two keys by a soundfont."""
    path = folder / "mutant.sf3"
    path.write_bytes(data)
    sound.render(PLAYED, soundfont=path)


def forked(work: Callable[[], Any], seconds: int) -> str:
    """Return what comes of some work in a process of its own: one of `FINE`, or the fault."""
    said, say = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            work()
            outcome = "read"
        except EspressivoError as error:
            outcome = "several lines" if "\n" in str(error) else "refused"
        except BaseException as error:
            outcome = f"traceback: {type(error).__name__}: {str(error)[:200]}"
        os.write(say, outcome.encode("utf-8", "replace"))
        os._exit(0)
    os.close(say)
    with os.fdopen(said, "rb") as pipe:
        outcome = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if outcome:
        return outcome
    code = os.waitstatus_to_exitcode(status)
    return "hang" if code == -signal.SIGALRM else f"crash: status {code}"


def tried(
    mutants: Iterator[bytes], use: Callable[[bytes, Path], None], seconds: int
) -> dict[str, Any]:
    """Try each mutant; return how often each outcome came, the first faults and the slowest."""
    outcomes, faults, slowest_s = Counter[str](), list[str](), 0.0
    with tempfile.TemporaryDirectory() as name:
        for number, data in enumerate(mutants):
            begin_s = time.monotonic()
            outcome = forked(lambda data=data: use(data, Path(name)), seconds)
            slowest_s = max(slowest_s, time.monotonic() - begin_s)
            outcomes[outcome.partition(":")[0]] += 1
            if outcome not in FINE and len(faults) < 10:
                faults.append(f"mutant {number}: {outcome}")
    return {"outcomes": dict(outcomes), "faults": faults, "slowest_s": round(slowest_s, 2)}


def main() -> int:
    """Try them and show what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--midi", type=int, default=100_000)
    parser.add_argument("--soundfonts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    midi.from_bytes(midi_files()[0])  # so that everything is loaded
    sound.render(PLAYED)
    result = {
        "midi": tried(midi_mutants(arguments.midi, arguments.seed), read_midi, MIDI_S),
        "soundfonts": tried(
            soundfont_mutants(arguments.soundfonts, arguments.seed), play_soundfont, SOUNDFONT_S
        ),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, about in result.items():
            print(f"{name:12} {about['outcomes']}, slowest {about['slowest_s']} s")
            print(*about["faults"], sep="\n", end="\n" if about["faults"] else "")
    return 1 if any(about["faults"] for about in result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
