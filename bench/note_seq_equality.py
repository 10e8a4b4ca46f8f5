"""Compare the preset ``magenta`` with note-seq 0.0.5, file for file.

    ESPRESSIVO_DATA=... python bench/note_seq_equality.py [--limit N]
    python bench/note_seq_equality.py --golden tests/data/note_seq_events.json

The validation split of MAESTRO is compared. Each file goes through note-seq (MIDI file, sustain
applied, quantised to 10 ms, Performance with 32 velocity bins) and through
``vocabulary("magenta").encode(midi.read(file))``. Exits with 1 if the events of any file differ.
With ``--golden``, random performances and note-seq's events of them are written for the tests.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from note_seq import midi_io, performance_lib, sequences_lib
from note_seq.performance_encoder_decoder import PerformanceOneHotEncoding
from note_seq.protobuf import music_pb2
from numpy.typing import NDArray

from espressivo.codes import vocabulary
from espressivo.midi import reading as midi

CODE = vocabulary("magenta")
ENCODING = PerformanceOneHotEncoding(num_velocity_bins=32)


def note_seq_ids(path: Path) -> NDArray[np.int64]:
    """Return the ids of a file as Magenta's pipeline makes them."""
    return events_of(midi_io.midi_file_to_note_sequence(str(path)))


def events_of(sequence: music_pb2.NoteSequence) -> NDArray[np.int64]:
    """Return the ids of a note sequence, its pedal still apart."""
    sustained = sequences_lib.apply_sustain_control_changes(sequence)
    quantized = sequences_lib.quantize_note_sequence_absolute(sustained, 100)
    events = performance_lib.Performance(quantized, num_velocity_bins=32)
    return np.array([ENCODING.encode_event(event) for event in events])


def golden() -> list[dict[str, Any]]:
    """Make random performances in which much happens at once, with note-seq's events."""
    cases = []
    for seed, (length_s, count, pitches) in enumerate(
        [(1.0, 40, 4), (3.0, 60, 12), (8.0, 60, 128), (60.0, 40, 128), (0.3, 30, 2)]
    ):
        rng = np.random.default_rng(seed)
        onset_s = rng.choice([rng.random(count) * length_s, rng.integers(0, 60, count) / 200])
        duration_s = rng.choice([rng.random(count), rng.integers(1, 100, count) / 200])
        pitch = (60 + rng.integers(-(pitches // 2), pitches - pitches // 2, count)) % 128
        moves = np.sort(rng.random(count // 2) * length_s)
        notes = [
            (float(on), float(on + length), int(p), int(v))
            for on, length, p, v in zip(
                onset_s, duration_s, pitch, rng.integers(1, 128, count), strict=True
            )
        ]
        controls = [
            (float(t), 64, int(value))
            for t, value in zip(moves, rng.integers(0, 128, len(moves)), strict=True)
        ]
        sequence = music_pb2.NoteSequence()
        for onset, offset, number, velocity in sorted(notes, key=lambda n: (n[0], n[2])):
            sequence.notes.add(start_time=onset, end_time=offset, pitch=number, velocity=velocity)
            sequence.total_time = max(sequence.total_time, offset)
        for time_s, number, value in controls:
            sequence.control_changes.add(time=time_s, control_number=number, control_value=value)
        cases.append(
            {
                "name": f"seed {seed}",
                "notes": notes,
                "controls": controls,
                "events": events_of(sequence).tolist(),
            }
        )
    return cases


def difference(ours: NDArray[np.int32], theirs: NDArray[np.int64]) -> str:
    """Say where two lists of ids part, or nothing if they are equal."""
    shared = min(len(ours), len(theirs))
    unequal = np.flatnonzero(ours[:shared] != theirs[:shared])
    if not len(unequal) and len(ours) == len(theirs):
        return ""
    at = int(unequal[0]) if len(unequal) else shared
    mine, other = (
        ", ".join(CODE.describe(int(one)) for one in ids[at : at + 4]) for ids in (ours, theirs)
    )
    return f"event {at} of {len(ours)}/{len(theirs)}: ours {mine}; note-seq {other}"


def main() -> int:
    """Compare the files and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--golden", type=Path, help="file to write; nothing is compared")
    parser.add_argument("--limit", type=int, help="compare only the first N files")
    arguments = parser.parse_args()
    if arguments.golden:
        arguments.golden.write_text(json.dumps(golden()) + "\n", encoding="utf-8")
        return 0
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (folder / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        paths = sorted(
            folder / row["midi_filename"]
            for row in csv.DictReader(file)
            if row["split"] == "validation"
        )[: arguments.limit]
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="pretty_midi")
    differ = events = 0
    for path in paths:
        ours = CODE.encode(midi.read(path))
        events += len(ours)
        if found := difference(ours, note_seq_ids(path)):
            differ += 1
            print(f"{path.name}: {found}")
    print(f"{len(paths)} files compared, {events} events; {differ} files differ")
    return 1 if differ or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
