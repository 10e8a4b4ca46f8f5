"""How well beats are found: mir_eval's figures on held-out takes of ASAP, by composer too.

A figure is the mean over takes; its interval is by bootstrap over pieces, whose takes go together.
Beats that the annotators call a guess, and what is found beside them, are left out. Nothing is
trimmed from the beginning. Costs of the path are chosen on half A.

    ESPRESSIVO_DATA=... python bench/beats.py [--half B] [--model beats.onnx] [--partitura] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import mir_eval
import numpy as np

from espressivo import midi
from espressivo.data import Annotated, Annotation, annotated, read_annotation
from espressivo.evaluation.intervals import Estimate, resamples, share
from espressivo.music import Beats, Performance
from espressivo.notation import BeatModel, beats

FIGURES = ("beat F", "downbeat F", "CMLc", "CMLt", "AMLc", "AMLt")


def judged(found: Beats, true: Annotation) -> dict[str, float]:
    """Return the figures of one take."""
    kept = ~true.free
    free = true.time_s[true.free]
    step = float(np.median(np.diff(true.time_s)))
    clear = np.array(
        [not len(free) or abs(free - at_s).min() > step for at_s in found.time_s], bool
    )
    times, down = found.time_s[clear], found.time_s[clear & found.downbeat]
    reference, reference_down = true.time_s[kept], true.time_s[kept & true.downbeat]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        continuity = mir_eval.beat.continuity(reference, times)
        scores = (
            mir_eval.beat.f_measure(reference, times),
            mir_eval.beat.f_measure(reference_down, down),
            *continuity,
        )
    return dict(zip(FIGURES, map(float, scores), strict=True))


def by_piece(takes: list[Annotated], scores: list[dict[str, float]], name: str) -> Estimate:
    """Return the mean over takes; bootstrap by piece."""
    pieces = sorted({take.piece for take in takes})
    values = {piece: [] for piece in pieces}
    for take, score in zip(takes, scores, strict=True):
        values[take.piece].append(score[name])
    sums = np.array([sum(values[piece]) for piece in pieces])
    counts = np.array([float(len(values[piece])) for piece in pieces])
    return share(sums, counts, resamples(len(pieces)))


def by_partitura(performance: Performance) -> Beats:
    """Return what partitura finds."""
    import partitura

    array = midi.to_note_array(performance)
    found = partitura.musicanalysis.estimate_time(array)
    times = np.unique(np.asarray(found["beats"], float))
    meter = int(found["meter_numerator"])
    return Beats(times, np.arange(len(times)) % meter == 0, np.ones(len(times)))


def table(
    takes: list[Annotated], finds: Callable[[Performance], Beats]
) -> tuple[dict[str, Estimate], dict[str, dict[str, float]], dict[str, float]]:
    """Return figures over all takes, by composer, and the shares of time with right signatures."""
    scores, right = [], {"key": [], "meter": []}
    for take in takes:
        true = read_annotation(take.annotations)
        found = finds(midi.read(take.path))
        scores.append(judged(found, true))
        at = np.searchsorted(found.time_s, true.time_s + 0.07, "right") - 1
        known = (abs(true.sharps) <= 7) & (at >= 0)
        if known.any() and found.sharps is not None:
            differs = (found.sharps[at[known]] - true.sharps[known]) % 12
            right["key"].append(float((differs == 0).mean()))
    figures = {name: by_piece(takes, scores, name) for name in FIGURES}
    composers = {
        composer: {
            "takes": float(len(of)),
            **{name: round(float(np.mean([scores[n][name] for n in of])), 3) for name in FIGURES},
        }
        for composer in sorted({take.composer for take in takes})
        for of in [[n for n, take in enumerate(takes) if take.composer == composer]]
    }
    return figures, composers, {k: round(float(np.mean(v)), 3) for k, v in right.items() if v}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--half", default="B", choices=("A", "B"))
    parser.add_argument("--model", type=Path, help="another than the one of the package")
    parser.add_argument("--partitura", action="store_true", help="beside it partitura's estimate")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "asap"
    takes = [t for t in annotated(folder) if t.split == "validation" and t.half == options.half]
    model = BeatModel(options.model) if options.model else None
    ways: dict[str, Callable[[Performance], Beats]] = {
        "espressivo": lambda performance: beats(performance, model=model)
    }
    if options.partitura:
        ways["partitura"] = by_partitura
    report = {}
    for way, finds in ways.items():
        figures, composers, right = table(takes, finds)
        report[way] = {
            **{name: figure.text(3) for name, figure in figures.items()},
            **right,
            "composers": composers,
        }
    if options.json:
        print(json.dumps(report))
        return
    for way, found in report.items():
        pieces = len({take.piece for take in takes})
        print(f"{way}: half {options.half}, {len(takes)} takes of {pieces} pieces")
        for name, value in found.items():
            if name != "composers":
                print(f"  {name:11} {value}")
        for composer, row in found["composers"].items():
            print(f"  {composer:13}", *(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
