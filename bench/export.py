"""Does a model file compute what its network does? Logits and likelihoods by kind of weights.

Largest difference of a logit from the network's own, in PyTorch and 32 bits, over the first 2000
events of a validation piece; and nats per event on the first events of 20 validation pieces.

    ESPRESSIVO_DATA=... python bench/export.py RUN... [--pieces 20] [--events 4000] [--json]

A RUN is a training run, a checkpoint or a pretrained folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

import espressivo
from espressivo.codes import TIME_SHIFT, Vocabulary
from espressivo.codes.codec import NO_ID, steps
from espressivo.engine.engine import Engine
from espressivo.export.model_file import WEIGHTS, export
from espressivo.networks import Network
from espressivo.networks.notewise import NEVER
from generate import network_of

CARD = {"name": "bench", "licence": "unspecified", "trained_on": "unspecified"}
LOGITS = 2000


def validation_ids(vocabulary: Vocabulary, pieces: int, events: int) -> np.ndarray:
    """Return the first events of pieces that are long enough, shape (events, pieces)."""
    maestro = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (maestro / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        names = [r["midi_filename"] for r in csv.DictReader(file) if r["split"] == "validation"]
    taken: list[np.ndarray] = []
    for name in names:
        ids = vocabulary.encode(espressivo.read(maestro / name))
        if len(ids) >= events:
            taken.append(ids[:events])
        if len(taken) == pieces:
            break
    return np.stack(taken, 1).astype(np.int64)


def nats(logits: np.ndarray, ids: np.ndarray) -> float:
    x = logits.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    own = np.take_along_axis(x, ids[..., None], -1)[..., 0]
    return float((np.log(np.exp(x).sum(-1)) - own).mean())


def own_logits(network: Network, v: Vocabulary, ids: np.ndarray) -> np.ndarray:
    """Return the network's own logits of each id of a piece, shape (ids, size)."""
    if network.config.notewise:
        laid = torch.from_numpy(steps(ids, v).astype(np.int64))[:, None]
        before = torch.cat((torch.full_like(laid[:1], NO_ID), laid[:-1]))
        before[0, 0, 0] = v.size
        logits, _ = network(before, None, None, laid)
        return logits[np.cumsum(v.kinds[ids] == TIME_SHIFT) - 1, 0].numpy()
    logits, _ = network(torch.from_numpy(np.concatenate(([v.size], ids[:-1])))[:, None])
    return logits[:, 0].numpy()


@torch.inference_mode()
def measured(run: Path, pieces: int, events: int) -> dict[str, object]:
    network, vocabulary = network_of(run)
    ids = validation_ids(vocabulary, pieces, events)
    inputs = np.concatenate((np.full((1, ids.shape[1]), vocabulary.size), ids[:-1]))
    expected = own_logits(network, vocabulary, ids[:LOGITS, 0])
    result: dict[str, object] = {"run": str(run), "pieces": ids.shape[1], "events": ids.size}
    with tempfile.TemporaryDirectory() as folder:
        for weights in WEIGHTS:
            path = Path(folder) / f"{weights}.onnx"
            export(network, vocabulary, path, card=CARD, weights=weights)
            engine = Engine(path)
            logits, _ = engine.run(inputs, engine.initial_state(ids.shape[1]))
            away = np.abs(logits[:LOGITS, 0] - expected)[logits[:LOGITS, 0] > NEVER]
            result[weights] = {
                "largest_difference": float(away.max()),
                "nats_per_event": nats(logits, ids),
                "megabytes": path.stat().st_size / 1e6,
            }
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("runs", nargs="+", type=Path)
    arguments.add_argument("--pieces", type=int, default=20)
    arguments.add_argument("--events", type=int, default=4000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    results = [measured(run, options.pieces, options.events) for run in options.runs]
    if options.json:
        print(json.dumps(results))
        return
    print("| run | weights | MB | largest difference of a logit | nats per event |")
    print("|---|---|---|---|---|")
    for result in results:
        for weights in WEIGHTS:
            one = result[weights]
            print(
                f"| {result['run']} | {weights} | {one['megabytes']:.1f} "
                f"| {one['largest_difference']:.2g} | {one['nats_per_event']:.4f} |"
            )


if __name__ == "__main__":
    main()
