"""Does each control move what it names? Requested against measured, over many samples.

For each value of each control, samples are generated and measured without their first seconds.

    python bench/controls.py [MODEL] [--samples 50] [--seconds 30] [--guidance 1] [--plot FILE]
        [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

import espressivo
from espressivo.controls import key

LEAD_S = 5.0  # left out, as it is still the beginning
DENSITIES = (2, 4, 6, 9, 13, 18)
LOUDNESSES = (32, 42, 52, 62, 72, 82)
KEYS = ("C major", "G major", "Eb major", "A minor", "F# minor")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model", nargs="?", default="espressivo")
    arguments.add_argument("--samples", type=int, default=50)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--guidance", type=float, default=1.0)
    arguments.add_argument("--plot", help="picture to write")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    model, began = espressivo.load(options.model), time.perf_counter()

    def measured(**asked: object) -> list[np.ndarray]:
        made = model.generate_batch(
            options.samples, seconds=options.seconds, ending="cut", seed=0, **asked
        )
        print(f"{asked}", file=sys.stderr)
        return [p.notes[p.notes["onset_s"] >= LEAD_S] for p in made]

    def density(notes: np.ndarray) -> float:
        return len(notes) / (options.seconds - LEAD_S)

    def loudness(notes: np.ndarray) -> float:
        return float(notes["velocity"].mean()) if len(notes) else np.nan

    def in_key(notes: np.ndarray, name: str) -> float:
        """Return the share of notes in the scale of a key."""
        scale = np.array(key(name)) > 0.03
        return float(scale[notes["pitch"] % 12].mean()) if len(notes) else np.nan

    guidance = {"guidance": options.guidance}
    free = measured()
    result: dict[str, object] = {
        "model": options.model,
        "samples": options.samples,
        "guidance": options.guidance,
        "nothing asked": {
            "density": spread([density(one) for one in free]),
            "loudness": spread([loudness(one) for one in free]),
        },
        "density": {
            v: spread([density(one) for one in measured(density=v, **guidance)]) for v in DENSITIES
        },
        "loudness": {
            v: spread([loudness(one) for one in measured(loudness=v, **guidance)])
            for v in LOUDNESSES
        },
        "key": {
            name: {
                "asked": spread(
                    [in_key(one, name) for one in measured(pitch_weights=key(name), **guidance)]
                ),
                "not asked": spread([in_key(one, name) for one in free]),
            }
            for name in KEYS
        },
    }
    result["took_s"] = time.perf_counter() - began
    if options.plot:
        draw(result, options.plot)
    print(json.dumps(result) if options.json else table(result))


def spread(values: list[float]) -> list[float]:
    """Return the 10th, 50th and 90th percentile."""
    return np.nanpercentile(values, (10, 50, 90)).round(3).tolist()


def table(result: dict) -> str:
    lines = ["| control | asked | measured: median (10 % .. 90 %) |", "|---|---|---|"]
    for name in ("density", "loudness"):
        rows = {**result[name], "nothing": result["nothing asked"][name]}
        lines += [
            f"| {name} | {v} | {mid:.1f} ({low:.1f} .. {high:.1f}) |"
            for v, (low, mid, high) in rows.items()
        ]
    for name, both in result["key"].items():
        lines += [
            f"| notes in the scale | {name}{suffix} | {mid:.2f} ({low:.2f} .. {high:.2f}) |"
            for suffix, (low, mid, high) in (
                ("", both["asked"]),
                (", not asked", both["not asked"]),
            )
        ]
    return "\n".join([*lines, f"{result['took_s']:.0f} s"])


def draw(result: dict, path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for ax, name, unit in zip(
        axes[:2], ("density", "loudness"), ("notes per second", "mean velocity"), strict=True
    ):
        asked = np.array(list(result[name]), float)
        low, mid, high = np.array(list(result[name].values())).T
        ax.plot(asked, asked, color="0.7", linewidth=1, label="as asked")
        ax.errorbar(asked, mid, (mid - low, high - mid), fmt="o", capsize=3, label="measured")
        ax.set(title=f"{name}, {unit}", xlabel="asked", ylabel="measured: median, 10 % to 90 %")
        ax.legend(frameon=False)
    for offset, (what, label) in zip(
        (-0.2, 0.2), (("asked", "asked"), ("not asked", "nothing asked")), strict=True
    ):
        low, mid, high = np.array([both[what] for both in result["key"].values()]).T
        place = np.arange(len(mid)) + offset
        axes[2].bar(place, mid, 0.38, yerr=(mid - low, high - mid), capsize=3, label=label)
    axes[2].set(title="share of notes in the scale of a key", ylim=(0, 1.15))
    axes[2].set_xticks(range(len(KEYS)), KEYS)
    axes[2].legend(frameon=False, ncols=2, loc="upper right")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
