"""Learn how notes are spelled, from the MusicXML scores of the training pieces of ASAP.

Each note is told its key signature and what is heard around it, and a logistic regression learns at
which place on the line of fifths it stands. It takes less than a minute. Needs torch.

    python tools/spelling.py $ESPRESSIVO_DATA/asap --out src/espressivo/models/notation/spelling.npy

Measure it with ``python bench/notate.py``.
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from espressivo.data import annotated
from espressivo.notation.spelling import FLATTEST, PLACES, VOTES, votes

SEMITONES = (0, 2, 4, 5, 7, 9, 11)
FIFTHS = np.array((0, 2, 4, -1, 1, 3, 5))  # of C, D, E, ...
PENALTY = 3e-5  # of weights squared
Notes = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]
"""Pitch, sharps, onset in quarters, and place on the line of fifths."""


def read(path: Path) -> Notes:
    """Return the notes of a compressed MusicXML file; tied ones count once."""
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("xml") and "META" not in n)
        root = ElementTree.fromstring(archive.read(name))  # noqa: S314 - of the data set
    rows = []
    for part in root.iter("part"):
        now, per_quarter, sharps = 0.0, 1.0, 0
        for measure in part.iter("measure"):
            at = end = now
            for element in measure:
                lasts = float(element.findtext("duration", "0")) / per_quarter
                if element.tag == "attributes":
                    per_quarter = float(element.findtext("divisions", str(per_quarter)))
                    sharps = int(element.findtext("key/fifths", str(sharps)))
                elif element.tag in ("backup", "forward"):
                    now += lasts if element.tag == "forward" else -lasts
                elif element.tag == "note":
                    if element.find("chord") is None:
                        at, now = now, now + lasts
                    tied = any(tie.get("type") == "stop" for tie in element.iter("tie"))
                    if element.find("pitch") is not None and not tied:
                        rows.append((at, *_pitch(element), sharps))
                end = max(end, now)
            now = end
    rows.sort()
    onset, pitch, fifths, keys = np.array(rows).T
    return pitch.astype(int), keys.astype(int), onset, fifths.astype(int)


def _pitch(note: ElementTree.Element) -> tuple[int, int]:
    step = "CDEFGAB".index(note.findtext("pitch/step", "C"))
    alter = int(float(note.findtext("pitch/alter", "0")))
    octave = int(note.findtext("pitch/octave", "4"))
    return 12 * (octave + 1) + SEMITONES[step] + alter, int(FIFTHS[step] + 7 * alter)


def learned(scores: list[Notes]) -> NDArray[np.float32]:
    """Return the weights, (PLACES, VOTES), after which long scores count as their root."""
    heard = np.concatenate([votes(*notes[:3]) for notes in scores]).astype(np.float32)
    place = np.concatenate([fifths - keys - FLATTEST for _, keys, _, fifths in scores])
    counts = np.concatenate([np.full(len(n[0]), len(n[0]) ** -0.5) for n in scores])
    weights = np.zeros((PLACES, VOTES), np.float32)
    names = np.arange(PLACES) + FLATTEST
    for chroma in range(12):
        choices = np.flatnonzero((7 * names - chroma) % 12 == 0)
        some = np.isin(place, choices)
        which = np.searchsorted(choices, place[some])
        weights[choices] = _fitted(heard[some], which, counts[some], len(choices))
    return weights


def _fitted(
    heard: NDArray[np.float32], which: NDArray[np.int64], counts: NDArray[np.float64], choices: int
) -> NDArray[np.float32]:
    """Return the weights of a logistic regression, (choices, VOTES)."""
    x, target = torch.from_numpy(heard), torch.from_numpy(which)
    share = torch.from_numpy(counts / counts.sum()).float()
    weights = torch.zeros(VOTES, choices, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=40, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        each = functional.cross_entropy(x @ weights, target, reduction="none")
        total = (each * share).sum() + PENALTY * weights.square().sum()
        torch.autograd.backward(total)
        return total

    optimizer.step(loss)  # type: ignore[arg-type]  # it wants a float, and takes a tensor
    return weights.detach().numpy().T


def main() -> None:
    """Learn from the training pieces."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with metadata.csv, as ASAP has it")
    parser.add_argument("--out", type=Path, default=Path("spelling.npy"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    files = {
        take.piece: take.path.parent / "xml_score.mxl"
        for take in annotated(given.data)
        if take.split == "train"
    }
    scores = [read(path) for path in files.values() if path.exists()]
    np.save(given.out, learned(scores).astype(np.float16))
    notes = sum(len(pitch) for pitch, *_ in scores)
    print(f"{given.out}: {notes} notes of {len(scores)} scores, {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
