"""What the command line makes of 200 bad MIDI files: one clear line each, within 2 s.

What is sound in a file is read, with status 0 and one line that says what was odd; a file of which
nothing can be believed is refused with status 1 and one line that says why.

The files are made here: truncations, flipped and random bytes, huge lengths, wrong heads and
divisions, empty files, folders, missing files and files without permission (which do not count
when run as root, whom nothing is forbidden). Each is given to ``espressivo events`` as a process
of its own.

    python bench/bad_inputs.py [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from espressivo import Performance
from espressivo.midi import reading as midi


def good() -> bytes:
    rng = np.random.default_rng(0)
    onset_s = np.sort(rng.random(40)) * 8
    pitch, velocity = rng.integers(30, 90, 40), rng.integers(1, 128, 40)
    return midi.to_bytes(
        Performance.from_arrays(
            onset_s=onset_s, offset_s=onset_s + 0.3, pitch=pitch, velocity=velocity
        )
    )


def head(length: int = 6, kind: int = 1, tracks: int = 1, division: int = 480) -> bytes:
    numbers = (kind.to_bytes(2, "big"), tracks.to_bytes(2, "big"), division.to_bytes(2, "big"))
    return b"MThd" + length.to_bytes(4, "big") + b"".join(numbers)


def track(events: bytes, length: int | None = None) -> bytes:
    size = len(events) if length is None else length
    return b"MTrk" + size.to_bytes(4, "big") + events


def make(folder: Path) -> list[Path]:
    """Write the bad files; returns the paths to try."""
    whole = good()
    on, end = b"\x00\x90\x3c\x40", b"\x00\xff\x2f\x00"
    broken = {
        "empty": b"",
        "text": b"this is not music",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "zip": b"PK\x03\x04" + bytes(100),
        "wrong magic": b"MThx" + whole[4:],
        "wrong track magic": whole.replace(b"MTrk", b"MTrx"),
        "zero division": whole[:12] + b"\0\0" + whole[14:],
        "smpte of 1 frame": whole[:12] + b"\xff\x04" + whole[14:],
        "smpte of 0 ticks": whole[:12] + b"\xe8\x00" + whole[14:],
        "type 3": whole[:8] + b"\0\3" + whole[10:],
        "type 65535": whole[:8] + b"\xff\xff" + whole[10:],
        "no tracks": head(tracks=0),
        "65535 tracks": whole[:10] + b"\xff\xff" + whole[12:],
        "header of 0": head(length=0) + track(end),
        "header of 4 GB": head(length=0xFFFFFFFF) + track(end),
        "track of 4 GB": head() + track(on + end, 0xFFFFFFFF),
        "track of 2 GB": head() + track(on + end, 0x7FFFFFFF),
        "track a byte too long": head() + track(on + end, len(on + end) + 1),
        "data without status": head() + track(b"\x00\x40\x40" + end),
        "undefined status": head() + track(b"\x00\xf4" + end),
        "pitch 200": head() + track(b"\x00\x9f\xc8\x40" + end),
        "velocity 200": head() + track(b"\x00\x90\x40\xc8" + end),
        "endless number": head() + track(b"\xff\xff\xff\xff\xff\x7f" + on + end),
        "tempo 0": head() + track(b"\x00\xff\x51\x03\0\0\0" + on + end),
        "tempo of 1 byte": head() + track(b"\x00\xff\x51\x01\x07" + on + end),
        "meta past the end": head() + track(b"\x00\xff\x01\x7fab" + end),
        "sysex past the end": head() + track(b"\x00\xf0\xff\xff\x7fab"),
        "ticks past 32 bits": head() + track((b"\xff\xff\xff\x7f" + on[1:]) * 20 + end),
        "a week": head(division=1) + track(on + b"\xbf\xff\xff\x7f\x80\x3c\x00" + end),
        "riff without data": b"RIFF\x04\0\0\0RMID",
        "riff cut": b"RIFF\xff\0\0\0RMIDdata\xf0\0\0\0" + whole,
        "17 MB": bytes(17 << 20),
    }
    for size in np.unique(np.linspace(1, len(whole) - 1, 80).astype(int)):
        broken[f"cut at {size}"] = whole[:size]
    rng = np.random.default_rng(1)
    for number in range(40):
        broken[f"random {number}"] = rng.bytes(int(rng.integers(1, 5000)))
    for number in range(44):
        broken[f"random track {number}"] = head() + track(b"\x00\xf4" + rng.bytes(200))
    paths = []
    for name, content in broken.items():
        paths.append(folder / f"{name}.mid")
        paths[-1].write_bytes(content)
    (folder / "a folder.mid").mkdir()
    (folder / "a link to nothing.mid").symlink_to("nowhere")
    paths += [folder / "a folder.mid", folder / "a link to nothing.mid", folder / "missing.mid"]
    paths.append(folder / "missing folder" / "a.mid")
    if os.name == "posix" and os.geteuid() != 0:
        (folder / "forbidden.mid").write_bytes(whole)
        (folder / "forbidden.mid").chmod(0)
        paths.append(folder / "forbidden.mid")
    return paths


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    failures, slowest, refused = [], 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        paths = make(Path(name))
        for path in paths:
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "espressivo", "events", str(path)],
                capture_output=True,
                text=True,
                check=False,
            )
            slowest = max(slowest, time.perf_counter() - began)
            line = done.stderr.removesuffix("\n")
            refused += done.returncode == 1
            said = path.name in line and "\n" not in line and bool(done.stdout) != done.returncode
            if done.returncode not in (0, 1) or not said:
                failures.append(f"{path.name}: status {done.returncode}: {done.stderr[:200]}")
            elif not options.json and not path.name.startswith(("cut", "random")):
                print(line.replace(f"{name}/", ""))
    if options.json:
        about = {"files": len(paths), "refused": refused, "failures": failures}
        about["slowest_s"] = slowest
        print(json.dumps(about))
    else:
        print(*failures, sep="\n")
        print(
            f"{len(paths)} bad files: {refused} refused, the others read; "
            f"{len(failures)} failures, slowest {slowest:.2f} s"
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
