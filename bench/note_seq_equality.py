"""Compare the preset ``magenta`` with note-seq 0.0.5, file for file.

Usage: python bench/note_seq_equality.py --data FOLDER [--limit N]

FOLDER holds ``maestro/`` with its CSV file; its validation split is compared. Each file goes
through note-seq (MIDI file, sustain applied, quantised to 10 ms, Performance with 32 velocity
bins) and through ``vocabulary("magenta").encode(midi.read(file))``. Needs note-seq.
Exits with 1 if the events of any file differ.
"""

from __future__ import annotations

import argparse
import csv
import sys
import warnings
from pathlib import Path

import numpy as np
from note_seq import midi_io, performance_lib, sequences_lib
from note_seq.performance_encoder_decoder import PerformanceOneHotEncoding
from numpy.typing import NDArray

from espressivo import midi, vocabulary

CODE = vocabulary("magenta")
ENCODING = PerformanceOneHotEncoding(num_velocity_bins=32)


def note_seq_ids(path: Path) -> NDArray[np.int64]:
    """Return the ids of a file as Magenta's pipeline makes them."""
    sequence = midi_io.midi_file_to_note_sequence(str(path))
    sustained = sequences_lib.apply_sustain_control_changes(sequence)
    quantized = sequences_lib.quantize_note_sequence_absolute(sustained, 100)
    events = performance_lib.Performance(quantized, num_velocity_bins=32)
    return np.array([ENCODING.encode_event(event) for event in events])


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
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="compare only the first N files")
    arguments = parser.parse_args()
    folder = arguments.data / "maestro"
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
