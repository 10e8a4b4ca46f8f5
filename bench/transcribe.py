"""Transcribe recordings whose notes are known, and see how many come back.

Performances of MAESTRO's validation split (`$ESPRESSIVO_DATA/maestro`), an excerpt of each, are
played by the bundled piano, written as FLAC and transcribed. Notes are compared by mir_eval: an
onset counts within 50 ms at the same pitch; an offset within 50 ms or a fifth of the note, where
notes last as long as the pedal lets them. Pedal: share of the time in which sustain pedal and
transcribed sustain pedal are both down or both up.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from pathlib import Path

import mir_eval
import numpy as np

from espressivo.midi import read
from espressivo.music import PEDAL_THRESHOLD, SUSTAIN, Performance
from espressivo.transcribe import transcribe

_GRID_S = 0.01


def excerpts(count: int, seconds: float) -> list[tuple[str, Performance]]:
    """Return excerpts from the middle of performances, each of another composer where possible."""
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    with (folder / "maestro-v3.0.0.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "validation"]
    rows.sort(key=lambda row: (row["canonical_composer"], row["midi_filename"]))
    composers = dict.fromkeys(row["canonical_composer"] for row in rows)
    by_turns = sorted(
        rows,
        key=lambda row: (
            [r for r in rows if r["canonical_composer"] == row["canonical_composer"]].index(row),
            list(composers).index(row["canonical_composer"]),
        ),
    )
    chosen = []
    for row in by_turns:
        path = folder / row["midi_filename"]
        if path.exists() and len(chosen) < count:
            whole = read(path)
            begin_s = max(0.0, (whole.seconds - seconds) / 2)
            chosen.append((row["canonical_composer"], whole.slice(begin_s, begin_s + seconds)))
    return chosen


def notes(performance: Performance) -> tuple[np.ndarray, np.ndarray]:
    """Return intervals (n, 2) in seconds and frequencies (n,) in Hz, as mir_eval takes them."""
    of = performance.sustained().notes
    of = of[of["offset_s"] > of["onset_s"]]
    hz = mir_eval.util.midi_to_hz(of["pitch"].astype(float))
    return np.stack((of["onset_s"], of["offset_s"]), 1), hz


def pedal(performance: Performance, times_s: np.ndarray) -> np.ndarray:
    """Tell at which times the sustain pedal is down."""
    moves = performance.controls[performance.controls["number"] == SUSTAIN]
    at = np.searchsorted(moves["time_s"], times_s, "right")
    return np.append(False, moves["value"] >= PEDAL_THRESHOLD)[at]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each")
    parser.add_argument("--keep", type=Path, help="folder for sound and transcriptions")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for number, (composer, played) in enumerate(
            excerpts(arguments.pieces, arguments.seconds), 1
        ):
            sound = folder / f"{number}.flac"
            played.write(folder / f"{number}-played.mid")
            played.write(sound)
            began_s = time.process_time()
            heard = transcribe(sound)
            taken_s = time.process_time() - began_s
            heard.write(folder / f"{number}-heard.mid")
            (theirs, their_hz), (ours, our_hz) = notes(played), notes(heard)
            match = mir_eval.transcription.precision_recall_f1_overlap
            onset = match(theirs, their_hz, ours, our_hz, offset_ratio=None)
            both = match(theirs, their_hz, ours, our_hz)
            times_s = np.arange(0, played.seconds, _GRID_S)
            row = {
                "composer": composer,
                "seconds": round(played.seconds, 1),
                "notes": len(played),
                "heard": len(heard),
                "onset_precision": round(onset[0], 4),
                "onset_recall": round(onset[1], 4),
                "onset_f1": round(onset[2], 4),
                "offset_f1": round(both[2], 4),
                "pedal_down": round(float(pedal(played, times_s).mean()), 3),
                "pedal_agrees": round(
                    float((pedal(played, times_s) == pedal(heard, times_s)).mean()), 4
                ),
                "processor_s": round(taken_s, 1),
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    names = ("onset_precision", "onset_recall", "onset_f1", "offset_f1", "pedal_agrees")
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in names}
    print(json.dumps({"pieces": len(rows), "mean": means}))


if __name__ == "__main__":
    main()
