"""Count how often each pitch class is played in pieces without sharps and flats.

What stands in other key signatures is moved there. Each of the training pieces of ASAP counts as
much as any other, whatever its length, by its first take. It prints the profile that stands in
`espressivo/notation/path.py`, and of how many annotated beats the key signature is right with what
stands there now.

    python tools/keys.py $ESPRESSIVO_DATA/asap
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.data import Annotated, annotated, read_annotation
from espressivo.notation.path import keys

EARLY_S = 0.02  # a note so shortly before a beat is on it


def heard(take: Annotated) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return notes of each pitch class, (beats, 12), and sharps, of beats whose key is known."""
    true = read_annotation(take.annotations)
    notes = midi.read(take.path).notes
    beat = np.searchsorted(true.time_s, notes["onset_s"] + EARLY_S, "right") - 1
    counts = np.zeros((len(true.time_s), 12))
    np.add.at(counts, (np.maximum(beat, 0), notes["pitch"] % 12), 1)
    known = abs(true.sharps) <= 7
    return counts[known], true.sharps[known]


def main() -> None:
    """Count, and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with metadata.csv, as ASAP has it")
    takes = {take.piece: take for take in reversed(annotated(parser.parse_args().data))}
    for half in ("train", "A"):
        right, profile = [], np.zeros(12)
        for take in takes.values():
            if half != ("train" if take.split == "train" else take.half):
                continue
            counts, sharps = heard(take)
            if not counts.sum():
                continue
            moved = [np.roll(row, -7 * n % 12) for row, n in zip(counts, sharps, strict=True)]
            profile += np.sum(moved, axis=0) / counts.sum()
            right.append(float(((keys(counts) - sharps) % 12 == 0).mean()))
        if half == "train":
            print(f"profile: {(100 * profile / profile.sum()).round(2).tolist()}")
        print(f"key signature right, {half}, {len(right)} pieces: {np.mean(right):.3f}")


if __name__ == "__main__":
    main()
