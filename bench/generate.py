"""Generation on one thread: events per second, milliseconds per event, cold start, memory.

Ours includes everything: the network, the rules of the vocabulary, sampling. The peer is the same
network in eager PyTorch, with the same weights (from the checkpoint that the model file was
exported from) and plain sampling without rules. The two take turns; times are of single events
over all rounds. Ratios of processor time say more than those of the clock where other programs run
on the same core. At batch 32 a step is 32 events, one in each row, both with plain sampling;
`generate_batch`, with rules, is compared with `generate`. The cold start is the whole process
`espressivo generate --seconds 60`.

    python bench/generate.py [RUN] [--weights int8] [--events 1000] [--rounds 5] [--json]

RUN is a training run, a checkpoint or a pretrained folder. Without it the weights are random, of
the post's network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch.nn import functional

from espressivo.codes import Vocabulary, vocabulary
from espressivo.export.model_file import WEIGHTS, export
from espressivo.networks import (
    NETWORKS,
    Network,
    Recurrent,
    Stack,
)
from espressivo.networks.pretrained import load_pretrained
from espressivo.play import Model, load
from espressivo.training.checkpoint import load_network

BATCH = 32


def network_of(run: Path | None) -> tuple[Network, Vocabulary]:
    """Load a network, or make the post's with random weights."""
    if run is not None and (run / "config.json").is_file():
        saved = load_pretrained(run)
        return saved.network, saved.vocabulary
    if run is not None:
        network, checkpoint = load_network(run / "best.ckpt" if run.is_dir() else run)
        return network, checkpoint.vocabulary
    torch.manual_seed(0)
    return Recurrent(NETWORKS["gru"], 310).eval(), vocabulary("seed")


@torch.inference_mode()
def eager(network: Network, rows: int) -> Iterator[object]:
    """Generate with PyTorch as one would write it first: step, softmax, draw."""
    if isinstance(network, Stack):
        ids, state = torch.full((rows,), network.size), network.initial_state(rows)
        while True:
            logits, state = network(ids[None], state)
            ids = torch.multinomial(torch.softmax(logits[0], 1), 1)[:, 0]
            yield ids.tolist()
    rnn, output, size = network.rnn, network.output, network.size
    x, state = torch.zeros(1, rows, size), None
    while True:
        hidden, state = rnn(x, state)
        ids = torch.multinomial(torch.softmax(output(hidden)[0], 1), 1)[:, 0]
        x = functional.one_hot(ids[None], size).float()
        yield ids.tolist()


def batched(model: Model, rows: int) -> Iterator[object]:
    """Generate many rows with the engine, each row's id drawn from the softmax."""
    state, rng = model.engine.initial_state(rows), np.random.default_rng(0)
    ids = np.full((1, rows), model.vocabulary.size)
    while True:
        logits, state = model.engine.run(ids, state)
        bounds = np.exp(logits[0] - logits[0].max(axis=1, keepdims=True)).cumsum(axis=1)
        share = rng.random((rows, 1)) * bounds[:, -1:]
        ids = (bounds < share).sum(axis=1)[None]
        yield ids


def times_s(stream: Iterator[object], steps: int) -> list[float]:
    """Return the seconds that each step took, after some to warm up."""
    for _ in islice(stream, 50):
        pass
    marks = [time.perf_counter()]
    marks.extend(time.perf_counter() for _ in islice(stream, steps))
    return np.diff(marks).tolist()


def figures(seconds: list[float], rows: int) -> dict[str, float]:
    """Return events per second, and the median and 99th percentile of a step's milliseconds."""
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1000
    return {
        "events_per_second": round(rows * len(seconds) / sum(seconds), 1),
        "p50_ms": round(float(p50), 4),
        "p99_ms": round(float(p99), 4),
        "p99_over_p50": round(float(p99 / p50), 2),
    }


def compared(
    model: Model, network: Network, steps: int, rounds: int, rows: int
) -> dict[str, object]:
    """Time both, taking turns; over notes there is no plain step to compare with."""
    if network.config.notewise:
        stream = batched(model, rows) if rows > 1 else model.generate_ids(seed=0)
        return {"espressivo": figures(times_s(stream, rounds * steps), rows)}
    ours: list[float] = []
    peer: list[float] = []
    ratios = []
    for seed in range(rounds):
        begin = time.process_time()
        ours += times_s(model.generate_ids(seed=seed) if rows == 1 else batched(model, rows), steps)
        between = time.process_time()
        peer += times_s(eager(network, rows), steps)
        ratios.append((time.process_time() - between) / (between - begin))
    return {
        "espressivo": figures(ours, rows),
        "pytorch eager": figures(peer, rows),
        "times_as_fast": round(sum(peer) / sum(ours), 2),
        "times_as_fast_by_median": round(float(np.median(peer) / np.median(ours)), 2),
        "by_processor_time_each_round": [round(ratio, 2) for ratio in ratios],
    }


def together(model: Model, seconds: float) -> dict[str, object]:
    """Time pieces made side by side, and the same ones one after another."""
    begin = time.process_time()
    batch = model.generate_batch(BATCH, seed=0, seconds=seconds)
    between = time.process_time()
    alone = [model.generate(seed=seed, seconds=seconds) for seed in range(BATCH)]
    end = time.process_time()
    return {
        "times_as_fast_as_alone": round((end - between) / (between - begin), 2),
        "equal_pieces": sum(a == b for a, b in zip(batch, alone, strict=True)),
    }


def cold_start(path: Path, rounds: int) -> dict[str, float]:
    """Time the whole process that writes 60 s of music, and the peak of its memory."""
    generate = [sys.executable, "-m", "espressivo", "generate", "--model", str(path)]
    generate += ["--seconds", "60", "--seed", "1", "-o", str(path.with_suffix(".mid"))]
    # Started from a small process, since Linux counts the memory of the one that starts another.
    script = f"""
import resource, subprocess, time
begin = time.perf_counter()
subprocess.run({generate!r}, check=True, capture_output=True)
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    seconds, peaks = [], []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
        took_s, peak_kib = done.stdout.split()
        seconds.append(float(took_s))
        peaks.append(int(peak_kib))
    return {
        "seconds_best": round(min(seconds), 3),
        "seconds_median": round(float(np.median(seconds)), 3),
        "peak_memory_megabytes": round(max(peaks) * 1024 / 1e6, 1),
    }


def measure(
    run: Path | None, weights: str, events: int, rounds: int, folder: Path
) -> dict[str, object]:
    """Measure everything."""
    network, v = network_of(run)
    path = folder / "model.onnx"
    card = {"name": "bench", "licence": "none", "trained_on": "nothing"}
    export(network, v, path, card=card, weights=weights)
    cold = cold_start(path, rounds)
    begin = time.perf_counter()
    model = load(path)
    load_s = time.perf_counter() - begin
    torch.set_num_threads(1)
    result: dict[str, object] = {
        "network": str(network.config),
        "weights": weights,
        "model_megabytes": round(path.stat().st_size / 1e6, 2),
        "load_seconds": round(load_s, 3),
        "batch 1": compared(model, network, events, rounds, 1),
        f"batch {BATCH}": compared(model, network, max(events // 5, 1), rounds, BATCH),
        f"generate_batch of {BATCH}": together(model, 10.0),
        "generate 60 s, whole process": cold,
    }
    ids = np.random.default_rng(0).integers(v.size, size=20_000)
    begin = time.perf_counter()
    model.score(ids)
    return {
        **result,
        "score_20000_events_seconds": round(time.perf_counter() - begin, 2),
        "events_timed": rounds * events,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "torch": torch.__version__,
        },
    }


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--weights", choices=WEIGHTS, default="int8")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options.run, options.weights, options.events, options.rounds, Path(folder))
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        if isinstance(value, dict):
            print(name)
            for key, figure in value.items():
                print(f"  {key:26} {figure}")
        else:
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
