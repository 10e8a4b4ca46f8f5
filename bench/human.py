"""What the statistics say of human playing: ceiling, flat floor, and signs of degeneration.

Windows of the MAESTRO validation pieces; half of the compositions against the other half, and
the same windows flat against themselves as played.

    ESPRESSIVO_DATA=... python bench/human.py [--seconds 30] [--vocabulary maestro] [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

import espressivo
from espressivo.evaluation.degeneration import shares, signs
from espressivo.evaluation.statistics import (
    ceiling,
    compare,
    flat,
    windows,
)
from espressivo.music.features import measure


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--each", type=int, default=1, help="windows of each performance")
    arguments.add_argument("--vocabulary", help="quantise the windows as this one does")
    arguments.add_argument("--splits", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    seconds, rng = options.seconds, np.random.default_rng(options.seed)
    maestro = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (maestro / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "validation"]
    pieces = [f"{r['canonical_composer']} | {r['canonical_title']}" for r in rows]
    performances = [espressivo.read(maestro / row["midi_filename"]) for row in rows]
    cut = windows(performances, seconds, rng, options.each)
    if options.vocabulary:
        cut = [espressivo.codes.vocabularies(options.vocabulary).quantise(one) for one in cut]
    began_s = time.process_time()
    human = [measure(one, seconds) for one in cut]
    measured_s = (time.process_time() - began_s) / len(cut)
    floor = compare([measure(flat(one), seconds) for one in cut], human)
    began_s = time.process_time()
    top = ceiling(human, [p for p in pieces for _ in range(options.each)], rng, options.splits)
    compared_s = (time.process_time() - began_s) / options.splits
    seen = shares([signs(one, seconds) for one in cut])
    if options.json:
        figures = {
            name: {"ceiling": asdict(top[name]), "floor": asdict(floor[name])} for name in top
        }
        print(json.dumps({"windows": len(cut), "features": figures, "signs": seen}))
        return
    print(f"{len(cut)} windows of {seconds:g} s, {len(set(pieces))} compositions")
    print("| | overlap | flat | divergence | flat | pooled overlap | flat | pooled div. | flat |")
    print("|" + "---|" * 9)
    for name, one in top.items():
        mean, spread, low = one.mean, one.deviation, floor[name]
        print(
            f"| {name} | {mean.overlap:.3f} ± {spread.overlap:.3f} | {low.overlap:.3f} "
            f"| {mean.divergence:.3f} | {low.divergence:.2f} "
            f"| {mean.pooled_overlap:.3f} ± {spread.pooled_overlap:.3f} | {low.pooled_overlap:.3f} "
            f"| {mean.pooled_divergence:.3f} | {low.pooled_divergence:.2f} |"
        )
    print("signs: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in seen.items()))
    print(f"CPU: {1e3 * measured_s:.1f} ms to measure a window, {compared_s:.2f} s to compare")


if __name__ == "__main__":
    main()
