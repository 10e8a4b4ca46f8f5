"""Likelihood of a model on the MAESTRO validation pieces, by the protocol of the benchmarks page.

Whole pieces, no augmentation, each event scored once, given every event before it in its piece
(the first, given nothing). The weights are those of the model file, computed in 32 bits.

    ESPRESSIVO_DATA=... python bench/likelihood.py [MODEL] [--first-events N] [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

import espressivo
from espressivo.vocabulary import KINDS

ROWS, CHUNK = 16, 512


def scores(model: espressivo.Model, pieces: list[np.ndarray]) -> list[np.ndarray]:
    """Return nats of each event of several pieces, read side by side."""
    v, length = model.vocabulary, max(map(len, pieces))
    ids = np.full((length, len(pieces)), v.size, np.int64)
    for row, piece in enumerate(pieces):
        ids[: len(piece), row] = piece
    inputs = np.concatenate((np.full((1, len(pieces)), v.size), ids[:-1]))
    targets = np.minimum(ids, v.size - 1)
    nats = np.empty(ids.shape)
    state = model.engine.initial_state(len(pieces))
    for start in range(0, length, CHUNK):
        part = slice(start, start + CHUNK)
        logits, state = model.engine.run(inputs[part], state)
        x = logits.astype(np.float64)
        x -= x.max(axis=-1, keepdims=True)
        target = np.take_along_axis(x, targets[part][..., None], axis=-1)[..., 0]
        nats[part] = np.log(np.exp(x).sum(axis=-1)) - target
    return [nats[: len(piece), row] for row, piece in enumerate(pieces)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model", nargs="?", default="seed")
    arguments.add_argument("--first-events", type=int, help="score only so many of each piece")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    maestro = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (maestro / "maestro-v3.0.0.csv").open(encoding="utf-8") as file:
        names = [r["midi_filename"] for r in csv.DictReader(file) if r["split"] == "validation"]
    model = espressivo.load(options.model)
    v = model.vocabulary
    began = time.perf_counter()
    pieces = [v.encode(espressivo.read(maestro / name))[: options.first_events] for name in names]
    pieces.sort(key=len)
    nats: list[np.ndarray] = []
    for start in range(0, len(pieces), ROWS):
        nats += scores(model, pieces[start : start + ROWS])
        print(f"{len(nats)} of {len(pieces)} pieces", file=sys.stderr)
    every, ids = np.concatenate(nats), np.concatenate(pieces)
    notes = int((v.kinds[ids] == 0).sum())
    seconds = float(v.values[ids[v.kinds[ids] == 2]].sum() / v.steps_per_second)
    result = {
        "model": options.model,
        "vocabulary": v.name,
        "pieces": len(pieces),
        "events": len(ids),
        "nats_per_event": float(every.mean()),
        "nats_per_note": float(every.sum() / notes),
        "nats_per_second": float(every.sum() / seconds),
        "nats_per_event_by_kind": {
            name: float(every[v.kinds[ids] == kind].mean())
            for kind, name in enumerate(KINDS)
            if (v.kinds[ids] == kind).any()
        },
        "nats_per_event_first_2000": float(np.concatenate([n[:2000] for n in nats]).mean()),
        "took_s": time.perf_counter() - began,
    }
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:26s} {value}")


if __name__ == "__main__":
    main()
