"""How well gaps are filled: S, what choosing closes, runs shared, and processor seconds.

Gaps at random places of the pieces of one half of MAESTRO's validation split, one in each piece;
settings are chosen on half A. See `espressivo.evaluation.filling`.

    ESPRESSIVO_DATA=... python bench/fill.py [--half A] [--gaps 20] [--seconds 4] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

from espressivo.evaluation.filling import filling
from espressivo.evaluation.pieces import collect
from espressivo.play import CANDIDATES, DEFAULT_MODEL, load
from espressivo.progress import Console


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--judge", default="seed")
    parser.add_argument("--half", default="A")
    parser.add_argument("--gaps", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    maestro = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    pieces = collect(
        [maestro],
        load(options.model).vocabulary,
        csv=maestro / "maestro-v3.0.0.csv",
        split="validation",
        half=options.half,
    )
    found = filling(
        options.model,
        options.judge,
        pieces.found,
        options.gaps,
        seconds=options.seconds,
        candidates=options.candidates,
        seed=options.seed,
        progress=Console(sys.stderr),
    )
    if options.json:
        figures = {name: dataclasses.asdict(one) for name, one in found.figures().items()}
        print(json.dumps({**figures, "correlations": found.correlations()}))
    else:
        print("\n".join(found.lines()))


if __name__ == "__main__":
    main()
