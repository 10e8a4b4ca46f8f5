"""Memory: time of the index, copies planted into other music, and what human playing shares.

From each of some training pieces 40 notes are taken, transposed by 3 semitones, played 3 % slower
and put into the middle of a validation window, then quantised. The base rate
is what windows of the validation pieces share with the training pieces as they are. Times are of
the processor.

    python bench/memory.py DATASET [--plants 200] [--json]

DATASET is a folder made by ``espressivo prepare`` with both splits.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from espressivo import Dataset, Performance
from espressivo.evaluation.memorisation import Memory
from espressivo.music.features import windows

NOTES, SEMITONES, TEMPO = 40, 3, 1.03


def planted(host: Performance, piece: Performance, begin: int) -> tuple[Performance, float]:
    """Put notes of a piece between two halves of a window; returns also when they begin."""
    half = len(host) // 2
    before, after = host.notes[:half], host.notes[half:].copy()
    inside = piece.notes[begin : begin + NOTES].copy()
    begin_s = host.notes["onset_s"][half] if len(host) else 0.0
    shift_s = (inside["onset_s"][-1] - inside["onset_s"][0]) * TEMPO + 0.2
    for name in ("onset_s", "offset_s"):
        inside[name] = (inside[name] - piece.notes["onset_s"][begin]) * TEMPO + begin_s
        after[name] += shift_s
    inside["pitch"] += SEMITONES
    return Performance(np.concatenate((before, inside, after))), float(begin_s)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("dataset", type=Path)
    arguments.add_argument("--plants", type=int, default=200)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    dataset = Dataset(options.dataset)
    v, rng = dataset.vocabulary, np.random.default_rng(0)
    began_s = time.process_time()
    memory = Memory.of_dataset(dataset)
    memory.longest(Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[]))
    times_s = {"build": time.process_time() - began_s}

    held_out = [v.decode(dataset.ids(piece)) for piece in dataset.split("validation")]
    base: dict[str, dict[str, float]] = {}
    for seconds in (30.0, 60.0):
        cut = windows(held_out, seconds, rng, each=3)
        began_s = time.process_time()
        found = [memory.longest(one) for one in cut]
        times_s[f"query of {seconds:g} s"] = (time.process_time() - began_s) / len(cut)
        lengths = np.array([run.notes if run else 0 for run in found])
        marks = np.percentile(lengths, (50, 90, 95, 99, 100)).tolist()
        base[f"{seconds:g} s"] = {
            "windows": len(cut),
            **dict(zip(("median", "90 %", "95 %", "99 %", "longest"), marks, strict=True)),
            "share over 32 notes": float((lengths > 32).mean()),
        }

    hosts = windows(held_out, 30.0, rng, each=-(-options.plants // len(held_out)))
    train = dataset.split("train")
    lengths, right = [], 0
    for host in hosts[: options.plants]:
        piece = train[int(rng.integers(len(train)))]
        performance = v.decode(dataset.ids(piece))
        begin = int(rng.integers(len(performance) - NOTES))
        sample, begin_s = planted(host, performance, begin)
        run = memory.longest(v.quantise(sample))
        lengths.append(run.notes if run and abs(run.here_s - begin_s) < 2 else 0)
        right += run is not None and (run.piece, run.semitones) == (piece.path, SEMITONES)
    plants = {
        "planted": len(lengths),
        "found": int(np.count_nonzero(np.array(lengths) >= 32)),
        "in the piece they are from": right,
        "shortest": int(min(lengths)),
        "median": float(np.median(lengths)),
        "longest": int(max(lengths)),
    }
    about = {
        "pieces": len(memory.names),
        "notes": len(memory.pitch),
        "cpu_s": times_s,
        "base rate": base,
        "copies": plants,
    }
    print(json.dumps(about, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
