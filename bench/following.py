"""Following a score in a performance, without the beats that ASAP's people marked.

For takes drawn at random: the part of the score's notes that are found by `followed`, which is told
nothing; the part that `align` finds, which is told the marked beats; and the part of which both say
the same. Takes whose score has another number of marked beats are passed over. Each is a mean over
takes with its interval (95 %, bootstrap over takes) and its least; and the processor time of one.

    ESPRESSIVO_DATA=... python bench/following.py [--takes 40] [--seed 0] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from espressivo import midi
from espressivo.data import followed
from espressivo.data.alignment import align


def beats(path: Path) -> np.ndarray:
    lines = path.read_text(encoding="utf-8").splitlines()
    return np.array([float(line.split("\t")[0]) for line in lines if line.strip()])


def measured(take: Path) -> tuple[float, float, float, float] | None:
    folder = take.parent
    score = midi.read_score(folder / "midi_score.mid")
    marked_s = beats(folder / "midi_score_annotations.txt")
    played_s = beats(take.with_name(f"{take.stem}_annotations.txt"))
    if len(marked_s) != len(played_s):
        return None
    performance = midi.read(take)
    begin_s = time.process_time()
    found = followed(score, performance)
    took_s = time.process_time() - begin_s
    quarters = np.interp(marked_s, score.seconds_at(score.beats), score.beats)
    told = align(score, performance, quarters, played_s)
    return (found >= 0).mean(), (told >= 0).mean(), (found == told).mean(), took_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--takes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "asap"
    takes = sorted(path for path in folder.rglob("*.mid") if path.stem != "midi_score")
    rows: list[tuple[float, ...]] = []
    for take in rng.permutation(np.array(takes, object)).tolist():
        if len(rows) == arguments.takes:
            break
        row = measured(take)
        rows += [row] if row is not None else []
    table = np.array(rows)
    means = table[rng.integers(len(table), size=(2000, len(table)))].mean(1)
    figures = {
        name: {
            "mean": float(table[:, n].mean()),
            "interval": np.quantile(means[:, n], (0.025, 0.975)).tolist(),
            "least": float(table[:, n].min()),
        }
        for n, name in enumerate(("found", "found with beats", "the same"))
    }
    seconds = float(np.median(table[:, 3]))
    if arguments.json:
        print(json.dumps({"takes": len(table), **figures, "seconds": seconds}))
        return
    for name, figure in figures.items():
        low, high = figure["interval"]
        print(
            f"{name}: {figure['mean']:.3f} ({low:.3f} to {high:.3f}), least {figure['least']:.3f}"
        )
    print(f"{len(table)} takes, {seconds:.1f} s each (median)")


if __name__ == "__main__":
    main()
