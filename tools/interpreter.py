"""Train the model that plays scores, from scores with performances such as ASAP.

Trees and networks learn from the pieces of the split train; how they are weighed is chosen on half
A of the validation pieces. Parts that are done are kept in the work folder, and a run that was
stopped goes on with the next. Needs espressivo[train], and espressivo[score] to learn from the
marks of MusicXML as well.

    python tools/interpreter.py $ESPRESSIVO_DATA/asap --work build/interpreter --out pianist.onnx

Measure it on half B with ``espressivo evaluate --perform``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from espressivo.data import engraved, read_pairs
from espressivo.progress import Console
from espressivo.training import Boosting, InterpreterConfig, Reading, train_interpreter

CARD = {
    "name": "pianist",
    "licence": "CC BY-NC-SA 4.0",
    "trained_on": "ASAP (Foscarin et al. 2020; Peter et al. 2023), CC BY-NC-SA 4.0: the scores and "
    "performances of the split train",
    "attribution": "Foscarin, McLeod, Rigaux, Jacquemard, Sakai: ASAP, a dataset of aligned scores "
    "and performances for piano transcription, ISMIR 2020",
}


def main() -> None:
    """Train and write the model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with metadata.csv, as ASAP has it")
    parser.add_argument("--work", type=Path, default=Path("build/interpreter"))
    parser.add_argument("--out", type=Path, default=Path("pianist.onnx"))
    parser.add_argument("--trees", type=int, default=Boosting.trees, help="of each field")
    parser.add_argument("--readers", type=int, default=InterpreterConfig.readers)
    parser.add_argument("--updates", type=int, default=Reading.updates, help="of each network")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    console = Console(sys.stderr)
    pairs = read_pairs(given.data, cache=given.work / "alignments", progress=console)
    print(pairs.line(), flush=True)
    found = [engraved(piece, given.data) for piece in pairs.of("train")]
    editions = [piece for piece in found if piece is not None]
    print(f"{len(editions)} of them engraved, with their marks", flush=True)
    config = InterpreterConfig(
        Boosting(trees=given.trees, threads=given.threads),
        Reading(updates=given.updates),
        given.readers,
    )
    train_interpreter(
        pairs,
        given.work,
        given.out,
        card=CARD,
        editions=editions,
        config=config,
        progress=console,
        say=lambda line: print(line, flush=True),
    )
    print(f"{given.out}: {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
