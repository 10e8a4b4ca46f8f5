"""Generation at batch 1 on one thread: events per second and milliseconds per event.

Ours includes everything: the network, the rules of the vocabulary, sampling. The peer is the same
network in eager PyTorch, with weights of the same sizes and sampling but no rules. The two take
turns; times are of single events over all rounds.

    python bench/generate.py model.onnx [--events 1000] [--rounds 5] [--json]

Without a model file, one with random weights and the sizes of the post's network is made.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch.nn import functional

from espressivo import vocabulary
from espressivo.export import export
from espressivo.generation import Model, load
from espressivo.networks import NETWORKS, Recurrent, RecurrentConfig


def random_model(folder: str) -> Path:
    """Write a model file with random weights: two layers of 512, 310 ids."""
    torch.manual_seed(0)
    path, v = Path(folder) / "random.onnx", vocabulary("seed")
    card = {"name": "random", "licence": "none", "trained_on": "nothing"}
    export(Recurrent(NETWORKS["gru"], v.size), v, path, card=card)
    return path


def sizes(model: Model) -> RecurrentConfig:
    """Return the sizes of a model's network, which its state shows."""
    hidden_states = model.engine.initial_state()
    layers, _, hidden = hidden_states[0].shape
    return RecurrentConfig(("gru", "lstm")[len(hidden_states) - 1], hidden, layers)


@torch.inference_mode()
def eager(network: Recurrent) -> Iterator[int]:
    """Generate with PyTorch as one would write it first: step, softmax, draw."""
    rnn, output, size = network.rnn, network.output, network.size
    x, state = torch.zeros(1, 1, size), None
    while True:
        hidden, state = rnn(x, state)
        id_ = int(torch.multinomial(torch.softmax(output(hidden)[0, 0], 0), 1))
        x = functional.one_hot(torch.tensor([[id_]]), size).float()
        yield id_


def times_s(stream: Iterator[int], events: int) -> list[float]:
    """Return the seconds that each event took, after some to warm up."""
    for _ in islice(stream, 50):
        pass
    marks = [time.perf_counter()]
    marks.extend(time.perf_counter() for _ in islice(stream, events))
    return np.diff(marks).tolist()


def figures(seconds: list[float]) -> dict[str, float]:
    """Return the rate, and the median and 99th percentile of an event's milliseconds."""
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1000
    return {
        "events_per_second": round(len(seconds) / sum(seconds), 1),
        "p50_ms": round(float(p50), 4),
        "p99_ms": round(float(p99), 4),
    }


def measure(path: Path, events: int, rounds: int) -> dict[str, object]:
    """Time loading, generating and scoring with a model file, and generating with the peer."""
    begin = time.perf_counter()
    model = load(path)
    load_s = time.perf_counter() - begin
    torch.set_num_threads(1)
    network = Recurrent(sizes(model), model.vocabulary.size).eval()
    ours: list[float] = []
    peer: list[float] = []
    for seed in range(rounds):
        ours += times_s(model.stream(seed=seed), events)
        peer += times_s(eager(network), events)
    ids = np.random.default_rng(0).integers(model.vocabulary.size, size=20_000)
    begin = time.perf_counter()
    model.score(ids)
    return {
        "network": str(network.config),
        "model_megabytes": round(path.stat().st_size / 1e6, 2),
        "load_seconds": round(load_s, 3),
        "espressivo": figures(ours),
        "pytorch eager": figures(peer),
        "times_as_fast": round(float(np.median(peer) / np.median(ours)), 2),
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
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model or random_model(folder)
        result = measure(path, arguments.events, arguments.rounds)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
