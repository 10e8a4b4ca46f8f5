"""Measure how well a model predicts recordings: python evaluate.py FOLDER."""

import sys
from pathlib import Path

from espressivo.evaluation import evaluate

if __name__ == "__main__":  # evaluation may use several processes
    report = evaluate("espressivo", [Path(sys.argv[1])], first_events=200)
    print(
        report.likelihood.per_note.text(3),
        "nats a note (and its 95 % interval, if there are enough pieces)",
    )
