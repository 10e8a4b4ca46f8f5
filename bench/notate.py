"""How well takes are written down, note by note against their scores.

Notes of the score are found in the take by its annotated beats, which the score has too: those of
one pitch that are within 0.15 s of where the beats put them. Of the notes so found it is counted
how many stand at the right place of their measure, on the right staff, and are as long as in the
score; and of annotated beats, at how many the key signature is right. Spelling is tried apart from
it, on the scores with their own key signatures. Intervals are by bootstrap over pieces.

    ESPRESSIVO_DATA=... python bench/notate.py [--half B] [--takes 2] [--given-beats] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from espressivo import midi
from espressivo.data import Annotated, Annotation, annotated, read_annotation
from espressivo.errors import EspressivoError
from espressivo.evaluation.intervals import resamples, share
from espressivo.music import Beats
from espressivo.notation import STEPS, beats, notate, spelled

NEAR_S, EQUAL = 0.15, 1 / 20  # seconds, and quarters
FIGURES = ("found", "place", "staff", "length", "key")


def places(beats_s: Annotation, time_s: np.ndarray) -> np.ndarray:
    """Return beats that have passed at some seconds."""
    return np.interp(time_s, beats_s.time_s, np.arange(len(beats_s.time_s)), -1, -1)


def score_notes(take: Annotated, true: Annotation) -> dict[str, np.ndarray] | None:
    """Return notes of the score: seconds in the take, pitch, place in a measure, staff, length."""
    if take.score is None:
        return None
    beside = read_annotation(take.score.with_name("midi_score_annotations.txt"))
    if len(beside.time_s) != len(true.time_s):
        return None
    score = midi.read_score(take.score)
    begin, end = score.seconds_at(score.notes["onset"]), score.seconds_at(score.end)
    staff = score.notes["staff"]
    at, until = places(beside, begin), places(beside, end)
    known = (at >= 0) & (until >= 0)
    whole = np.clip(at.astype(int), 0, len(true.time_s) - 1)
    downs = np.flatnonzero(beside.downbeat)
    bar = np.searchsorted(downs, at + 1e-3, "right") - 1
    known &= (bar >= 0) & np.isfinite(beside.quarters[whole])
    quarters = beside.quarters[whole]
    return {
        "time_s": np.interp(at, np.arange(len(true.time_s)), true.time_s)[known],
        "pitch": score.notes["pitch"][known],
        "place": ((at - downs[bar]) * quarters)[known],
        "length": ((until - at) * quarters)[known],
        "upper": (staff == 1)[known] if set(staff.tolist()) == {1, 2} else None,
    }


def judged(take: Annotated, given: bool) -> dict[str, tuple[float, float]] | None:
    """Return right notes and all notes, of each figure."""
    true = read_annotation(take.annotations)
    score = score_notes(take, true)
    if score is None:
        return None
    performance = midi.read(take.path)
    found = beats(performance)
    if given:
        quarters = np.where(np.isfinite(true.quarters), true.quarters, 1.0)
        found = Beats(true.time_s, true.downbeat, quarters)
    written = notate(performance, found)
    played = _in_order_of_playing(performance, written)
    begins = written.measures
    theirs, heard = found_in(score, performance)
    mine = played[heard]
    note = written.notes[mine]
    bar = np.searchsorted(begins, note["onset"] + 1e-6, "right") - 1
    place = abs(note["onset"] - begins[bar] - score["place"][theirs]) < EQUAL
    length = abs(note["duration"] - score["length"][theirs]) < EQUAL
    at = np.searchsorted(found.time_s, true.time_s + 0.07, "right") - 1
    known = (abs(true.sharps) <= 7) & (at >= 0)
    keys = (found.sharps[at[known]] - true.sharps[known]) % 12 == 0
    result = {
        "found": (float(len(mine)), float(len(score["pitch"]))),
        "place": (float(place.sum()), float(len(mine))),
        "length": (float(length.sum()), float(len(mine))),
        "key": (float(keys.sum()), float(len(keys))) if not given else (0.0, 0.0),
    }
    if score["upper"] is not None:
        staff = (note["staff"] == 1) == score["upper"][theirs]
        result["staff"] = (float(staff.sum()), float(len(mine)))
    return result


def found_in(score: dict[str, np.ndarray], performance: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return which notes of the score were played, and which notes of the performance they are."""
    free = np.ones(len(performance), bool)
    pitch, onset_s = performance.notes["pitch"], performance.notes["onset_s"]
    pairs = []
    for number in np.argsort(score["time_s"], kind="stable").tolist():
        near = slice(
            *np.searchsorted(onset_s, score["time_s"][number] + np.array((-1, 1)) * NEAR_S)
        )
        same = np.flatnonzero((pitch[near] == score["pitch"][number]) & free[near]) + near.start
        if len(same):
            one = int(same[np.argmin(abs(onset_s[same] - score["time_s"][number]))])
            free[one] = False
            pairs.append((number, one))
    theirs, heard = np.array(pairs, int).reshape(-1, 2).T
    return theirs, heard


def _in_order_of_playing(performance: Any, written: Any) -> np.ndarray:
    """Return the index in the score of each note that was played: of a pitch in order of time."""
    index = np.empty(len(performance), int)
    for pitch in np.unique(performance.notes["pitch"]):
        index[performance.notes["pitch"] == pitch] = np.flatnonzero(written.notes["pitch"] == pitch)
    return index


def spelling(folders: list[Path]) -> dict[str, list[tuple[float, float]]]:
    """Return rightly spelled notes and all, of each score, by us and by partitura."""
    import partitura

    found: dict[str, list[tuple[float, float]]] = {"espressivo": [], "partitura": []}
    for folder in folders:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score = partitura.load_score(str(folder / "xml_score.mxl"))
            notes = score.note_array(include_pitch_spelling=True, include_key_signature=True)
            notes = notes[np.lexsort((notes["pitch"], notes["onset_div"]))]
            theirs = partitura.musicanalysis.estimate_spelling(notes)
        step, alter = spelled(notes["pitch"], notes["ks_fifths"], notes["onset_div"])
        true = np.array([STEPS.index(name) for name in notes["step"]])
        other = np.array([STEPS.index(name) for name in theirs["step"]])
        count = float(len(notes))
        found["espressivo"].append(
            (float(((step == true) & (alter == notes["alter"])).sum()), count)
        )
        found["partitura"].append((float((other == true).sum()), count))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--half", default="B", choices=("A", "B"))
    parser.add_argument("--takes", type=int, default=2, help="at most so many of a piece")
    parser.add_argument("--given-beats", action="store_true", help="on the annotated beats")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "asap"
    takes = [t for t in annotated(folder) if t.split == "validation" and t.half == options.half]
    pieces: dict[str, list[Annotated]] = {}
    for take in takes:
        pieces.setdefault(take.piece, []).append(take)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in FIGURES}
    count = 0
    for several in pieces.values():
        sums = {name: np.zeros(2) for name in FIGURES}
        for take in several[: options.takes]:
            try:
                result = judged(take, options.given_beats)
            except EspressivoError as error:
                print(error)
                continue
            count += result is not None
            for name, pair in (result or {}).items():
                sums[name] += pair
        for name, pair in sums.items():
            if pair[1]:
                rows[name].append((float(pair[0]), float(pair[1])))
    report: dict[str, Any] = {"half": options.half, "takes": count, "pieces": len(pieces)}
    folders = sorted({take.path.parent for take in takes})
    by = spelling([f for f in folders if (f / "xml_score.mxl").exists()])
    for name, several in {**rows, **{f"spelling by {n}": r for n, r in by.items()}}.items():
        if several:
            right, every = np.array(several).T
            report[name] = share(right, every, resamples(len(right))).text(3)
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
