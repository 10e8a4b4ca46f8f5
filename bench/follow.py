"""How soon the music follows when what is requested changes on the way.

Pieces are played with one request and, from a second on, another. What is requested is measured in
windows of 1 s and averaged over the pieces. Time to follow: from the change to the end of the first
window that has come four fifths of the way from the 5 s before the change to the last 4 s that are
played without guidance. Intervals of 95 %: bootstrap over pieces.

    python bench/follow.py [MODEL] [--samples 32] [--guidance 1] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

import espressivo
from espressivo.codes.controls import key

CHANGE_S, AFTER_S = 10.0, 12.0
BEFORE_S, SETTLED_S = 5.0, 4.0
WINDOW_S, HOP_S = 1.0, 0.25
ENOUGH = 0.8
CHANGES = (
    ("density", 4, 12),
    ("density", 12, 4),
    ("loudness", 42, 72),
    ("loudness", 72, 42),
    ("key", "C major", "F# major"),
)


def main() -> None:
    """Measure without guidance, with one that is given, and by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="espressivo")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--guidance", type=float, help="another one to try all the time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model, rows = espressivo.load(options.model), []
    for name, before, after in CHANGES:

        def curves(guidance: float | None, change=(name, before, after)) -> np.ndarray:
            name, before, after = change
            print(f"{change}, guidance {guidance}", file=sys.stderr)
            begun = time.process_time()
            played = model.generate_batch(
                options.samples,
                seconds=CHANGE_S + AFTER_S,
                ending="cut",
                seed=0,
                changes={CHANGE_S: {name: after}},
                guidance=guidance,
                **{name: before},
            )
            print(f"{time.process_time() - begun:.0f} s", file=sys.stderr)
            return np.array([curve(one, name, after) for one in played])

        plain = curves(1.0)
        other = [None] if options.guidance is None else [None, options.guidance]
        for guidance, found in [(1.0, plain), *((g, curves(g)) for g in other)]:
            rows.append((name, before, after, guidance, *followed(found, plain)))
    if options.json:
        print(json.dumps(rows))
        return
    print("| change | guidance | time to follow, s | at last, beside the same |\n|---|---|---|---|")
    for name, before, after, guidance, (mid, low, high), (last, settled) in rows:
        kind = "default" if guidance is None else f"{guidance:g}"
        print(
            f"| {name} {before} to {after} | {kind} | {mid:.2f} ({low:.2f} to {high:.2f}) "
            f"| {last:.2f}, {settled:.2f} |"
        )


def starts() -> np.ndarray:
    """Return when the windows begin, counted from the change."""
    return np.arange(-BEFORE_S, AFTER_S - WINDOW_S + HOP_S / 2, HOP_S)


def curve(sample: espressivo.Performance, name: str, after: object) -> np.ndarray:
    """Return how much and of how much in each window, shape (windows, 2)."""
    notes, found = sample.notes, []
    scale = np.array(key(after)) > 0.03 if isinstance(after, str) else None
    for start_s in (CHANGE_S + starts()).tolist():
        inside = notes[(notes["onset_s"] >= start_s) & (notes["onset_s"] < start_s + WINDOW_S)]
        if scale is not None:
            found.append((scale[inside["pitch"] % 12].sum(), len(inside)))
        elif name == "density":
            found.append((len(inside), WINDOW_S))
        else:
            found.append((inside["velocity"].sum(), len(inside)))
    return np.array(found, float)


def followed(found: np.ndarray, plain: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the time to follow with its interval, and the last seconds of both."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(found), size=len(found)) for _ in range(1000)]
    times = [time_of(found[some], plain[some])[0] for some in drawn]
    mid, last, settled = time_of(found, plain)
    return [mid, *np.quantile(times, (0.025, 0.975)).tolist()], [last, settled]


def time_of(found: np.ndarray, plain: np.ndarray) -> tuple[float, float, float]:
    """Return the time to follow, and the level in the last seconds of both."""
    at = starts()

    def level(curves: np.ndarray, part: np.ndarray) -> float:
        above, below = curves[:, part].sum(axis=(0, 1))
        return float(above / max(below, 1e-9))

    late = at >= AFTER_S - SETTLED_S
    first, settled = level(found, at <= -WINDOW_S), level(plain, late)
    above, below = found.sum(axis=0).T
    way = (above / np.maximum(below, 1e-9) - first) / (settled - first)
    there = np.flatnonzero((way >= ENOUGH) & (at >= 0))
    arrived = at[there[0]] + WINDOW_S if len(there) else AFTER_S
    return float(arrived), level(found, late), settled


if __name__ == "__main__":
    main()
