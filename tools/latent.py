"""Train the space of passages, beside the default model, and write its model file.

First the lift alone says what comes, which is quick, then with the model that plays; then
directions, nearness and mixture are fitted. Steps that are done are kept in the work folder, and
are not done again. Needs espressivo[train].

    python tools/latent.py $ESPRESSIVO_DATA --work build/latent --out passages.onnx

Measure it with ``bench/latent.py``.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from espressivo import load, midi
from espressivo.codes import Ids, Vocabulary, steps
from espressivo.data import annotated, halves, read_annotation, sketch
from espressivo.export import export_latent, read_back
from espressivo.networks import Notewise, build
from espressivo.training.latent import load_latent, set_beside, train_latent
from espressivo.training.space import TakePlaces, fitted

CARD = {
    "name": "passages",
    "licence": "CC BY-NC-SA 4.0",
    "trained_on": "MAESTRO v3.0.0 train split and ASAP, 1304 performances (see docs/morph.md)",
    "attribution": "Hawthorne et al.: MAESTRO, ICLR 2019; Foscarin, McLeod, Rigaux, Jacquemard, "
    "Sakai: ASAP, ISMIR 2020",
}
SHARE = 0.5  # of a lift that was trained alone; chosen on half A
TAKES = 4  # of a piece, of which nearness is learned
READ = 192  # events that the model that plays reads in a row


def main() -> None:
    """Train and write the model file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with manifest.csv and those it names")
    parser.add_argument("--work", type=Path, default=Path("build/latent"))
    parser.add_argument("--out", type=Path, default=Path("passages.onnx"))
    parser.add_argument("--alone-s", type=float, default=190, help="of the processor's time")
    parser.add_argument("--beside-s", type=float, default=330, help="of the processor's time")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    player = load()
    v = player.vocabulary
    train, held_out = corpus(given.data, v)
    alone, beside, part = (given.work / name for name in ("alone.pt", "beside.pt", "part.pt"))
    if not alone.exists():
        train_latent(train, held_out, part, vocabulary=v, seconds=given.alone_s, tell=say)
        part.replace(alone)
    if not beside.exists():
        set_beside(load_latent(alone, v), train, v, SHARE, part)
        train_latent(
            train, held_out, part, vocabulary=v, player=reading(player.engine, v),
            seconds=given.beside_s, rate=1.5e-3, tell=say,
        )  # fmt: skip
        part.replace(beside)
    network = load_latent(beside, v).eval()
    found = fitted(network, train, takes(given.data / "asap", v), v)
    export_latent(network, v, given.out, described_by=found, card=CARD)
    say(f"{given.out}: {given.out.stat().st_size:,} bytes")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def reading(engine: object, v: Vocabulary) -> Notewise:
    """Return the network of a model that plays, which is not trained."""
    network = read_back(engine).network  # type: ignore[arg-type]
    short = build(dataclasses.replace(network.config, window=READ), v)
    short.load_state_dict(network.state_dict())
    return short.eval().requires_grad_(False)


def corpus(data: Path, v: Vocabulary) -> tuple[list[Ids], list[Ids]]:
    """Return the events of the pieces to train on, and of half A of those held out."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            row
            for row in csv.DictReader(lines)
            if row["core"] == "1" and row["dataset"] in ("maestro", "asap")
        ]
    train, held_out = [], []
    for row in rows:
        played = midi.read(data / row["path"])
        if row["split"] == "train":
            train.append(laid(v, played))
        else:
            held_out.append((row["composition"], sketch(played), laid(v, played)))
    of = halves([name for name, _, _ in held_out], [drawn for _, drawn, _ in held_out])
    return train, [events for (_, _, events), half in zip(held_out, of, strict=True) if half == "A"]


def laid(v: Vocabulary, played: object) -> Ids:
    """Return the events of a performance, in 16 bits."""
    return steps(v.encode(played), v).astype(np.int16)  # type: ignore[arg-type]


def takes(folder: Path, v: Vocabulary) -> list[TakePlaces]:
    """Return the takes of ASAP's split train whose beats are marked."""
    found = []
    seen: Counter[str] = Counter()
    for take in annotated(folder):
        if take.split != "train" or not take.path.exists() or seen[take.piece] == TAKES:
            continue
        seen[take.piece] += 1
        events = laid(v, midi.read(take.path))[:-1]
        beats = read_annotation(take.annotations).time_s
        at_s = np.cumsum(v.values[events[:, 0]]) / v.steps_per_second
        beat = np.interp(at_s, beats, np.arange(len(beats)), left=np.nan, right=np.nan)
        # Takes with repeats and without have other beats: they count as other pieces.
        found.append(TakePlaces(f"{take.path.parent}|{len(beats)}", events, beat))
    return found


if __name__ == "__main__":
    main()
