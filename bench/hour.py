"""Does a stream stay music? Statistics of its minutes 1, 10 and 60 beside human minutes.

Streams are generated for an hour each, with the loop detector on as in `stream`, and never
restarted. A window's value of a feature is its mean over the window; a minute of the streams lies
within the human spread if its median over the streams is between the 5th and 95th percentile of
human minutes.

    ESPRESSIVO_DATA=... python bench/hour.py [MODEL] [--streams 20] [--minutes 60] [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path

import numpy as np

import espressivo
from espressivo.music.features import FEATURES, measure, window, windows

MINUTE_S = 60.0


def means(performances: list[espressivo.Performance]) -> dict[str, np.ndarray]:
    """Return the mean of every feature in each window of a minute."""
    measured = [measure(one, MINUTE_S) for one in performances]
    return {
        name: np.array(
            [one.values[name].mean() if len(one.values[name]) else np.nan for one in measured]
        )
        for name in FEATURES
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model", nargs="?", default="espressivo")
    arguments.add_argument("--streams", type=int, default=20)
    arguments.add_argument("--minutes", type=int, default=60)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    maestro = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (maestro / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        names = [r["midi_filename"] for r in csv.DictReader(file) if r["split"] == "validation"]
    played = [espressivo.read(maestro / name) for name in names]
    human = means(windows(played, MINUTE_S, np.random.default_rng(0)))

    model, began = espressivo.load(options.model), time.perf_counter()
    streams = model.generate_batch(
        options.streams,
        seconds=options.minutes * MINUTE_S,
        ending="cut",
        seed=0,
        avoid_loops=True,
        longest_rest_s=3.0,
    )
    took_s = time.perf_counter() - began
    chosen = [minute for minute in (1, 10, 60) if minute <= options.minutes]
    ours = {
        minute: means([window(one, (minute - 1) * MINUTE_S, MINUTE_S) for one in streams])
        for minute in chosen
    }
    result = {
        "model": options.model,
        "streams": options.streams,
        "took_s": took_s,
        "features": {
            name: {
                "human": np.nanpercentile(human[name], (5, 50, 95)).tolist(),
                **{
                    f"minute {m}": {
                        "median": float(np.nanmedian(ours[m][name])),
                        "streams within": float(
                            np.mean(
                                (ours[m][name] >= np.nanpercentile(human[name], 5))
                                & (ours[m][name] <= np.nanpercentile(human[name], 95))
                            )
                        ),
                    }
                    for m in chosen
                },
            }
            for name in FEATURES
        },
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{options.streams} streams of {options.minutes} minutes, generated in {took_s:.0f} s")
    print("| | human 5 % .. 50 % .. 95 % |" + "".join(f" minute {m} |" for m in chosen))
    print("|" + "---|" * (2 + len(chosen)))
    for name, row in result["features"].items():
        low, mid, high = row["human"]
        cells = ""
        for m in chosen:
            one = row[f"minute {m}"]
            outside = "" if low <= one["median"] <= high else " OUTSIDE"
            cells += (
                f" {one['median']:.3g} ({one['streams within']:.0%} of streams within){outside} |"
            )
        print(f"| {FEATURES[name].title} | {low:.3g} .. {mid:.3g} .. {high:.3g} |{cells}")


if __name__ == "__main__":
    main()
