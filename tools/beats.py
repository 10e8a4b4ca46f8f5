"""Train the networks that find beats, from performances with annotations such as ASAP.

They learn from the pieces of the split train. Networks that are done are kept in the work folder,
and a run that was stopped goes on with what is missing. Needs espressivo[train].

    python tools/beats.py $ESPRESSIVO_DATA/asap --work build/beats --out beats.onnx

Measure them on half B with ``python bench/beats.py --model beats.onnx``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from espressivo.data import annotated
from espressivo.export import export_beats
from espressivo.training.beat_windows import load_pieces
from espressivo.training.beats import BEATS, GROUPS, load_beat_network, train_beats

CARD = {
    "name": "beats",
    "licence": "CC BY-NC-SA 4.0",
    "trained_on": "ASAP (Foscarin et al. 2020; Peter et al. 2023), CC BY-NC-SA 4.0: the scores and "
    "performances of the split train, with their beats",
    "attribution": "Foscarin, McLeod, Rigaux, Jacquemard, Sakai: ASAP, a dataset of aligned scores "
    "and performances for piano transcription, ISMIR 2020",
}


def main() -> None:
    """Train and write the networks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with metadata.csv, as ASAP has it")
    parser.add_argument("--work", type=Path, default=Path("build/beats"))
    parser.add_argument("--out", type=Path, default=Path("beats.onnx"))
    parser.add_argument("--minutes", type=float, default=5, help="of the processor, each of groups")
    parser.add_argument("--measure-minutes", type=float, default=2.5, help="and for beats")
    parser.add_argument("--networks", type=int, default=2, help="of groups; their mean counts")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    every = annotated(given.data)
    pieces = load_pieces([take for take in every if take.split == "train"])
    held_out = [take for take in every if take.split == "validation" and take.half == "A"]
    checks = load_pieces(held_out)
    print(f"{sum(len(piece.takes) for piece in pieces)} performances of {len(pieces)} pieces")
    trained = []
    for name, subject, minutes, count in (
        ("groups", GROUPS, given.minutes, given.networks),
        ("beats", BEATS, given.measure_minutes, 1),
    ):
        several = []
        for seed in range(count):
            done = given.work / f"{name}-{seed}.pt"
            if not done.exists():
                part = done.with_suffix(".part")
                part.unlink(missing_ok=True)
                train_beats(subject, pieces, checks, part, seconds=60 * minutes, seed=seed)
                part.replace(done)
            several.append(load_beat_network(done))
        trained.append(several)
    export_beats(*trained, given.out, card=CARD)
    print(f"{given.out}: {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
