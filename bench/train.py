"""Events per second of training, beside a bare loop over the same layers in the same run.

The bare loop is what anyone would write with PyTorch: one-hot, nn.GRU, linear, cross-entropy,
AdamW, in 32 bits, on random ids, without data, clipping, schedule or log.

    python bench/train.py [--network gru] [--steps 8] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import espressivo
from espressivo.data.dataset import Dataset
from espressivo.data.windows import Cut
from espressivo.networks import NETWORKS
from espressivo.training.checkpoint import Checkpoint
from espressivo.training.config import TrainingConfig
from espressivo.training.run import train


def bare(kind: str, rows: int, events: int, steps: int) -> float:
    config = NETWORKS[kind]
    layer = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](310, config.hidden, config.layers)
    output = nn.Linear(config.hidden, 310)
    optimizer = torch.optim.AdamW([*layer.parameters(), *output.parameters()], 1e-3)
    ids = torch.randint(0, 310, (events + 1, rows))
    taken = []
    for _ in range(steps):
        began = time.perf_counter()
        hidden, _ = layer(functional.one_hot(ids[:-1], 310).float())
        loss = functional.cross_entropy(output(hidden).flatten(0, 1), ids[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        taken.append(time.perf_counter() - began)
    return rows * events / median(taken[1:])


def ours(kind: str, rows: int, events: int, steps: int, folder: Path, precision: str) -> float:
    v = espressivo.vocabulary("seed")
    count = rows * events * (steps + 2) // 20
    pieces = [np.random.default_rng(n).integers(0, v.size, count) for n in range(20)]
    (folder / "shards").mkdir(parents=True)
    np.concatenate(pieces).astype("<u2").tofile(folder / "shards" / "00000.ids")
    header = "path,status,split,composition,shard,start,events,notes,seconds\n"
    lines = [f"{n},kept,train,{n},00000,{n * count},{count},1,1.0\n" for n in range(20)]
    lines.append("v,kept,validation,v,00000,0,100,1,1.0\n")
    (folder / "manifest.csv").write_text(header + "".join(lines), encoding="utf-8")
    about = json.dumps({"format": 1, "vocabulary": v.to_dict()})
    (folder / "dataset.json").write_text(about, encoding="utf-8")
    config = TrainingConfig(
        network=NETWORKS[kind],
        cut=Cut(rows, events, carried=True),
        rounds=1,
        validate_every=1,  # so that the log has a row for each step
        precision=precision,
    )
    train(Dataset(folder), folder / "run", config)
    log = Checkpoint.load(folder / "run" / "last.ckpt").log
    return median(row["events_per_s"] for row in log[1:])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--network", choices=("gru", "lstm"), default="gru")
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--window", type=int, default=500)
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    size = (options.network, options.batch, options.window, options.steps)
    rates = {"bare loop, 32 bits": bare(*size)}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("32-true", "auto"):
            rates[f"espressivo train, {precision}"] = ours(
                *size, Path(folder) / precision, precision
            )
    if options.json:
        about = {**vars(options), "threads": torch.get_num_threads(), "torch": torch.__version__}
        print(json.dumps({**about, "events_per_s": rates}))
        return
    for name, rate in rates.items():
        print(f"{name:32s} {rate:8.0f} events/s  {rate / rates['bare loop, 32 bits']:5.2f}")


if __name__ == "__main__":
    main()
