"""Preparing many small files: what it costs for each, however many there are.

Makes pieces of 150 notes by code, and prepares them with one process: first all of them, then once
more with a hundredth of them new. Shown are files a second of the wall clock and of processor time
(all processes together), and the most memory that the main process has held.

    python bench/prepare.py [--files 1000 --files 10000 --files 100000] [--workers 1] [--json]

Linux and macOS only, as the memory is asked of the system.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from espressivo.codes import vocabulary
from espressivo.data import prepare, processes

NOTES, TICKS = 150, 100
NEW = 0.01
TO_MB = 1 / 1024 if sys.platform == "linux" else 1 / 1024**2


def write(folder: Path, numbers: Iterable[int]) -> None:
    """Write pieces, which are other ones for other numbers; nothing here waits for the disk."""
    for number in numbers:
        rng = np.random.default_rng(number)
        notes = np.zeros((NOTES, 8), np.uint8)  # wait, note-on, wait, note-off
        notes[:, [0, 4]] = rng.integers(1, 60, (NOTES, 2))
        notes[:, [2, 3]] = notes[:, [6, 7]] = rng.integers((30, 20), (90, 100), (NOTES, 2))
        notes[:, 1], notes[:, 5] = 0x90, 0x80
        track = notes.tobytes() + b"\0\xff\x2f\0"
        head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk"
        path = folder / f"{number // 1000}" / f"{number}.mid"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(head + struct.pack(">I", len(track)) + track)


def used() -> tuple[float, float]:
    """Return processor seconds of all processes, and the most MB of this one."""
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, others))
    return seconds, TO_MB * own.ru_maxrss


def timed(folder: Path, out: Path, workers: int) -> dict[str, float]:
    """Prepare once."""
    before, begin = used()[0], time.monotonic()
    with processes(workers) as executor:
        kept = prepare([folder], out, vocabulary=vocabulary("seed"), executor=executor).kept
    return {"kept": kept, "seconds": time.monotonic() - begin, "processor_s": used()[0] - before}


def measure(files: int, workers: int) -> dict[str, Any]:
    """Prepare so many files, and once more when some are new."""
    with tempfile.TemporaryDirectory() as root:
        folder, out = Path(root) / "corpus", Path(root) / "out"
        folder.mkdir()
        new = int(files * NEW)
        write(folder, range(files - new))
        first = timed(folder, out, workers)
        write(folder, range(files - new, files))
        again = timed(folder, out, workers)
    return {
        "files": files,
        "files_per_s": round(first["kept"] / first["seconds"], 1),
        "files_per_processor_s": round(first["kept"] / first["processor_s"], 1),
        "again_s": round(again["seconds"], 1),
        "again_processor_s": round(again["processor_s"], 1),
        "kept": again["kept"],
        "main_mb": round(used()[1], 1),
    }


def main() -> None:
    """Measure each number in a process of its own, and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, action="append")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.workers)))
        return
    results = []
    for files in arguments.files or [1000, 10_000, 100_000]:
        command = [sys.executable, __file__, "--one", str(files)]
        command += ["--workers", str(arguments.workers)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results.append(json.loads(done.stdout))
        if not arguments.json:
            print(*(f"{name} {value}" for name, value in results[-1].items()), sep="  ", flush=True)
    if arguments.json:
        print(json.dumps({"machine": f"{os.cpu_count()} cores", "runs": results}))


if __name__ == "__main__":
    main()
