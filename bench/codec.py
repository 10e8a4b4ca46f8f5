"""Files per second: reading and encoding MIDI, beside the parser alone and other packages.

All read the same 200 ASAP performances on one core, each file from disk, several times over; the
best of the rounds counts. Peers that are not installed are left out (``pip install
'espressivo[peers]'``).

    ESPRESSIVO_DATA=... python bench/codec.py [--json]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from symusic import Score

import espressivo


def parser_alone() -> Callable[[Path], object]:
    """symusic, as PEERS' figure was taken: the path to a Score."""
    return Score


def ours() -> Callable[[Path], object]:
    v = espressivo.codes.vocabularies("magenta")
    return lambda path: v.encode(espressivo.read(path))


def miditok() -> Callable[[Path], object]:
    from miditok import MIDILike, TokenizerConfig

    tokenizer = MIDILike(TokenizerConfig(num_velocities=32, use_programs=False))
    return lambda path: tokenizer(Score(path))


def note_seq() -> Callable[[Path], object]:
    from note_seq import midi_io, performance_lib, sequences_lib

    def encode(path: Path) -> object:
        sequence = midi_io.midi_file_to_note_sequence(str(path))
        sequence = sequences_lib.apply_sustain_control_changes(sequence)
        sequence = sequences_lib.quantize_note_sequence_absolute(sequence, 100)
        return performance_lib.Performance(sequence, num_velocity_bins=32)

    return encode


READERS = {
    "symusic, parse alone": ("symusic", parser_alone, 9),
    "espressivo, read and encode": ("espressivo", ours, 9),
    "MidiTok MIDILike": ("miditok", miditok, 2),
    "note-seq performance": ("note_seq", note_seq, 1),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    data = Path(os.environ["ESPRESSIVO_DATA"]) / "asap"
    files = sorted(p for p in data.rglob("*.mid") if p.name != "midi_score.mid")
    files = files[:: len(files) // 200][:200]  # of all composers
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    readers = {
        name: (make(), rounds)
        for name, (module, make, rounds) in READERS.items()
        if find_spec(module)
    }
    best = {name: float("inf") for name in readers}
    for number in range(max(rounds for _, rounds in readers.values())):  # in turn: drift hits all
        for name, (read, rounds) in readers.items():
            if number < rounds:
                began = time.perf_counter()
                for file in files:
                    read(file)
                best[name] = min(best[name], time.perf_counter() - began)
    rates = {name: len(files) / seconds for name, seconds in best.items()}
    alone = rates["symusic, parse alone"]
    if options.json:
        versions = {
            name: importlib.metadata.version(name)
            for name in ("symusic", "numpy", "miditok", "note-seq")
            if find_spec(name.replace("-", "_"))
        }
        print(
            json.dumps(
                {
                    "files": len(files),
                    "bytes": sum(file.stat().st_size for file in files),
                    "files_per_s": rates,
                    "versions": versions,
                    "machine": platform.processor() or platform.machine(),
                }
            )
        )
        return
    for name, rate in rates.items():
        print(f"{name:30s} {rate:8.1f} files/s  {rate / alone:6.3f} of the parser alone")


if __name__ == "__main__":
    main()
