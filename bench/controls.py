"""Does each control move what it names? Requested against measured, over many samples.

For each value of each control, samples are generated and measured without their first seconds.
With a prepared dataset that names composers, what is made in the manner of each is shown to a
judge: a linear classifier of the measured features (`espressivo.music`) of windows as long, of
the training pieces. How often it knows people's own playing of validation pieces is told beside.

    python bench/controls.py [MODEL] [--samples 50] [--seconds 30] [--guidance 1]
        [--dataset FOLDER] [--plot FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

import espressivo
from espressivo.codes.controls import COMPOSERS, composer_of, key
from espressivo.data.dataset import Dataset
from espressivo.music.features import (
    FEATURES,
    chord_starts,
    measure,
    window,
)

LEAD_S = 5.0  # left out, as it is still the beginning
ASKED = {
    "density": (2, 4, 6, 9, 13, 18),
    "onset_rate": (1, 2, 3, 4.5, 6.5, 9),
    "loudness": (32, 42, 52, 62, 72, 82),
}
UNITS = {
    "density": "notes per second",
    "onset_rate": "onsets per second",
    "loudness": "mean velocity",
}
KEYS = ("C major", "G major", "Eb major", "A minor", "F# minor")
WINDOWS = 150  # of each composer, for the judge to learn from


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model", nargs="?", default="espressivo")
    arguments.add_argument("--samples", type=int, default=50)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--guidance", type=float, default=1.0)
    arguments.add_argument("--dataset", type=Path, help="prepared, to judge composers by")
    arguments.add_argument("--plot", help="picture to write")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    model, began = espressivo.load(options.model), time.perf_counter()
    model.engine.card.pop("not_learned", None)  # that is what is to be found out
    heard_s = options.seconds - LEAD_S

    def made(**asked: object) -> list[espressivo.Performance]:
        guidance = {"guidance": options.guidance} if asked else {}
        print(f"{asked}", file=sys.stderr)
        samples = model.generate_batch(
            options.samples, seconds=options.seconds, ending="cut", seed=0, **asked, **guidance
        )
        return [window(sample, LEAD_S, heard_s) for sample in samples]

    def of(control: str, sample: espressivo.Performance) -> float:
        notes = sample.notes
        if control == "loudness":
            return float(notes["velocity"].mean()) if len(notes) else np.nan
        starts = chord_starts(notes["onset_s"]) if control == "onset_rate" else np.ones(len(notes))
        return float(starts.sum()) / heard_s

    def in_key(sample: espressivo.Performance, name: str) -> float:
        """Return the share of notes in the scale of a key."""
        scale = np.array(key(name)) > 0.03
        return float(scale[sample.notes["pitch"] % 12].mean()) if len(sample) else np.nan

    free = made()
    result: dict[str, object] = {
        "model": options.model,
        "samples": options.samples,
        "guidance": options.guidance,
    }
    for control, values in ASKED.items():
        asked = {v: [of(control, one) for one in made(**{control: v})] for v in values}
        asked["nothing"] = [of(control, one) for one in free]
        result[control] = {v: spread(measured) for v, measured in asked.items()}
    result["key"] = {
        name: {
            "asked": spread([in_key(one, name) for one in made(pitch_weights=key(name))]),
            "not asked": spread([in_key(one, name) for one in free]),
        }
        for name in KEYS
    }
    if options.dataset:
        judge = Judge(Dataset(options.dataset), heard_s)
        people = judge.people("validation")
        result["composer"] = {
            name: {
                "asked": judge.share(made(composer=name), name),
                "not asked": judge.share(free, name),
                "people": judge.share(people[name], name) if people[name] else None,
            }
            for name in COMPOSERS
        }
    result["took_s"] = time.perf_counter() - began
    if options.plot:
        draw(result, options.plot)
    print(json.dumps(result) if options.json else table(result))


class Judge:
    """Tells composers apart by the histograms of what is measured in a window."""

    def __init__(self, dataset: Dataset, seconds: float) -> None:
        self.dataset, self.seconds = dataset, seconds
        people = self.people("train")
        seen = [(self.look(one), n) for n, name in enumerate(COMPOSERS) for one in people[name]]
        x, y = np.stack([x for x, _ in seen]), np.eye(len(COMPOSERS))[[n for _, n in seen]]
        self.mean, weight = x.mean(axis=0), 1 / y.sum(axis=0)[y.argmax(axis=1)]
        x = (x - self.mean) * weight[:, None] ** 0.5
        ridge = 0.1 * np.trace(x.T @ x) / x.shape[1] * np.eye(x.shape[1])
        shares = (y - 1 / len(COMPOSERS)) * weight[:, None] ** 0.5
        self.weights = np.linalg.solve(x.T @ x + ridge, x.T @ shares)

    def people(self, split: str) -> dict[str, list[espressivo.Performance]]:
        """Return windows of people's playing, at most `WINDOWS` of each composer."""
        rng, v = np.random.default_rng(0), self.dataset.vocabulary
        found: dict[str, list[espressivo.Performance]] = {}
        for name in COMPOSERS:
            pieces = [p for p in self.dataset.split(split) if composer_of(p.composition) == name]
            pieces = [p for p in pieces if p.seconds > self.seconds]
            each = -(-WINDOWS // max(len(pieces), 1))
            windows = [
                window(played, rng.uniform(0, piece.seconds - self.seconds), self.seconds)
                for piece in pieces
                for played in [v.decode(self.dataset.ids(piece))]
                for _ in range(each)
            ]
            found[name] = [w for w in windows if len(w) >= 10][:WINDOWS]
        return found

    def look(self, sample: espressivo.Performance) -> np.ndarray:
        """Return what the judge sees of a window: square roots of shares, bin by bin."""
        counts = measure(sample, self.seconds).counts
        return np.sqrt(np.concatenate([counts[n] / max(counts[n].sum(), 1) for n in FEATURES]))

    def share(self, samples: list[espressivo.Performance], name: str) -> float:
        """Return the share of samples in which the judge hears a composer."""
        scores = np.stack([(self.look(one) - self.mean) @ self.weights for one in samples])
        return float((scores.argmax(axis=1) == COMPOSERS.index(name)).mean())


def spread(values: list[float]) -> list[float]:
    """Return the 10th, 50th and 90th percentile."""
    return np.nanpercentile(values, (10, 50, 90)).round(3).tolist()


def table(result: dict) -> str:
    lines = ["| control | asked | measured: median (10 % .. 90 %) |", "|---|---|---|"]
    for name in ASKED:
        lines += [
            f"| {name}, {UNITS[name]} | {v} | {mid:.1f} ({low:.1f} .. {high:.1f}) |"
            for v, (low, mid, high) in result[name].items()
        ]
    for name, both in result["key"].items():
        lines += [
            f"| notes in the scale | {name}{suffix} | {mid:.2f} ({low:.2f} .. {high:.2f}) |"
            for suffix, (low, mid, high) in (
                ("", both["asked"]),
                (", not asked", both["not asked"]),
            )
        ]
    if "composer" in result:
        lines += ["", "| composer | heard if asked | not asked | people |", "|---|---|---|---|"]
        for name, row in result["composer"].items():
            people = "-" if row["people"] is None else f"{row['people']:.2f}"
            lines += [f"| {name} | {row['asked']:.2f} | {row['not asked']:.2f} | {people} |"]
    return "\n".join([*lines, f"{result['took_s']:.0f} s"])


def draw(result: dict, path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for ax, name in zip(axes, ASKED, strict=False):
        values = {v: found for v, found in result[name].items() if v != "nothing"}
        asked, (low, mid, high) = np.array(list(values), float), np.array(list(values.values())).T
        ax.plot(asked, asked, color="0.7", linewidth=1, label="as asked")
        ax.errorbar(asked, mid, (mid - low, high - mid), fmt="o", capsize=3, label="measured")
        unit = UNITS[name]
        ax.set(title=f"{name}, {unit}", xlabel="asked", ylabel="measured: median, 10 % to 90 %")
        ax.legend(frameon=False)
    for ax in axes[3:]:
        ax.remove()
    composers = "composer" in result
    bars(
        figure.add_subplot(2, 3, 4 if composers else (4, 6)),
        "share of notes in the scale of a key",
        list(KEYS),
        {
            "asked": np.array([both["asked"] for both in result["key"].values()]),
            "nothing asked": np.array([both["not asked"] for both in result["key"].values()]),
        },
    )
    if composers:
        rows = result["composer"].values()
        shares = {
            "asked": np.array([[row["asked"]] * 3 for row in rows]),
            "nothing asked": np.array([[row["not asked"]] * 3 for row in rows]),
            "people": np.array([[row["people"] or np.nan] * 3 for row in rows]),
        }
        wide = figure.add_subplot(2, 3, (5, 6))
        bars(wide, "share of samples heard as the composer's", list(COMPOSERS), shares)
        wide.tick_params(axis="x", rotation=40)
    figure.savefig(path, dpi=110)


def bars(ax: object, title: str, names: list[str], groups: dict[str, np.ndarray]) -> None:
    """Draw groups of bars; each row of a group is its 10th, 50th and 90th percentile."""
    wide = 0.8 / len(groups)
    for number, (label, rows) in enumerate(groups.items()):
        low, mid, high = rows.T
        place = np.arange(len(names)) + (number - (len(groups) - 1) / 2) * wide
        error = None if (low == high)[~np.isnan(mid)].all() else (mid - low, high - mid)
        ax.bar(place, mid, 0.95 * wide, yerr=error, capsize=3, label=label)
    ax.set(title=title, ylim=(0, 1.15))
    ax.set_xticks(range(len(names)), names)
    ax.legend(frameon=False, ncols=len(groups), loc="upper right")


if __name__ == "__main__":
    main()
