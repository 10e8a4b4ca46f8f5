"""How notes are written down by us and by others, on the same takes with the same beats.

Each take, or its beginning, is written as a MIDI file whose bars fall on its beats: those that were
annotated, or those that we find. music21 and partitura read that file as a score, with quantisers
of their own (music21 to sixteenths and triplets of quavers, as it does by default, and partitura to
the twelfth of a quarter, which has both); we write the take down with the same beats. Notes of the
score are found in the take as in ``bench/notate.py``, and it is counted how many stand at the right
place of their measure, are as long as in the score, and are on the right staff. Notes that a reader
has lost are not right. Neither of the two tells hands apart. Intervals: bootstrap over pieces.

    ESPRESSIVO_DATA=... python bench/quantisers.py [--half B] [--seconds 60] [--found] [--json]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from espressivo import midi
from espressivo.data import Annotated, annotated, read_annotation
from espressivo.evaluation.intervals import resamples, share
from espressivo.music import Beats
from espressivo.notation import beats, notate
from notate import EQUAL, found_in, score_notes

Read = dict[str, np.ndarray]
"""Of each note: pitch, quarters since the file began, place in its measure, length, staff or 0."""
LOST = 0.5  # quarters: a note is no farther from where it was played


def by_music21(path: Path) -> Read:
    import music21

    read = music21.converter.parse(str(path), format="midi", forceSource=True)
    rows = []
    for part in read.parts:
        for measure in part.stripTies().getElementsByClass(music21.stream.Measure):
            for note in measure.flatten().notes:
                for pitch in note.pitches:
                    at = measure.offset + note.offset
                    rows.append((pitch.midi, at, note.offset, note.quarterLength, 0))
    return _columns(rows)


def by_partitura(path: Path) -> Read:
    import partitura

    rows = []
    for part in partitura.load_score_midi(str(path), quantization_unit=_ticks(path) // 12).parts:
        notes = part.note_array(include_metrical_position=True)
        each = part.quarter_duration_map(0)
        for note in notes:
            place = note["rel_onset_div"] / each
            row = (note["pitch"], note["onset_quarter"], place, note["duration_quarter"], 0)
            rows.append(row)
    return _columns(rows)


def _ticks(path: Path) -> int:
    """Return the ticks of a quarter in a MIDI file."""
    return int.from_bytes(path.read_bytes()[12:14], "big")


def _columns(rows: list[Any]) -> Read:
    names = ("pitch", "at", "place", "length", "staff")
    return dict(zip(names, np.array(rows, float).T, strict=True))


READERS: dict[str, Callable[[Path], Read]] = {"music21": by_music21, "partitura": by_partitura}


def played_at(path: Path, pitch: np.ndarray) -> np.ndarray:
    """Return quarters in a file at which each played note begins; of a pitch they are in order."""
    import symusic

    score = symusic.Score(path)
    notes = sorted((note.time, note.pitch) for track in score.tracks for note in track.notes)
    at, theirs = np.array(notes, float).T
    quarters = np.empty(len(pitch))
    for one in np.unique(pitch):
        quarters[pitch == one] = at[theirs == one] / score.ticks_per_quarter
    return quarters


def judged(take: Annotated, seconds: float, of_us: bool, readers: list[str]) -> dict[str, Any]:
    """Return right notes and all, of each figure and reader."""
    true = read_annotation(take.annotations)
    score = score_notes(take, true)
    if score is None:
        return {}
    performance = midi.read(take.path).slice(0, seconds)
    early = score["time_s"] < seconds - 1
    score = {name: None if one is None else one[early] for name, one in score.items()}
    if of_us:
        found = beats(performance)
    else:
        quarters = np.where(np.isfinite(true.quarters), true.quarters, 1.0)
        kept = true.time_s < seconds
        found = Beats(true.time_s[kept], true.downbeat[kept], quarters[kept])
    theirs, mine = found_in(score, performance)
    result = {}
    written = notate(performance, found)
    bar = np.searchsorted(written.measures, written.notes["onset"] + 1e-6, "right") - 1
    ours = {
        "pitch": written.notes["pitch"],
        "place": written.notes["onset"] - written.measures[bar],
        "length": written.notes["duration"],
        "staff": written.notes["staff"],
    }
    order = np.empty(len(performance), int)
    pitch = performance.notes["pitch"]
    for one in np.unique(pitch):
        order[pitch == one] = np.flatnonzero(ours["pitch"] == one)
    result["espressivo"] = _right(score, theirs, ours, order[mine])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "take.mid"
        midi.write(performance, path, beats=found)
        at = played_at(path, pitch)[mine]
        for name in readers:
            read = READERS[name](path)
            chosen = np.full(len(mine), -1)
            free = np.ones(len(read["pitch"]), bool)
            for n, (one, quarter) in enumerate(zip(pitch[mine], at, strict=True)):
                apart = np.where((read["pitch"] == one) & free, abs(read["at"] - quarter), np.inf)
                if len(apart) and apart.min() < LOST:
                    chosen[n] = int(apart.argmin())
                    free[chosen[n]] = False
            result[name] = _right(score, theirs, read, chosen)
    return result


def _right(score: Any, theirs: np.ndarray, read: Read, chosen: np.ndarray) -> dict[str, Any]:
    there, count = chosen >= 0, float(len(chosen))
    result = {}
    for name in ("place", "length"):
        right = there & (abs(read[name][chosen] - score[name][theirs]) < EQUAL)
        result[name] = (float(right.sum()), count)
    if score["upper"] is not None and read["staff"].any():
        right = there & ((read["staff"][chosen] == 1) == score["upper"][theirs])
        result["staff"] = (float(right.sum()), count)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--half", default="B", choices=("A", "B"))
    parser.add_argument("--seconds", type=float, default=60, help="from the beginning of a take")
    parser.add_argument("--found", action="store_true", help="on beats as we find them")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    readers = [name for name in READERS if importlib.util.find_spec(name) is not None]
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "asap"
    first: dict[str, Annotated] = {}
    for take in annotated(folder):
        if take.split == "validation" and take.half == options.half:
            first.setdefault(take.piece, take)
    rows: dict[str, dict[str, list[tuple[float, float]]]] = {}
    count = 0
    for take in first.values():
        result = judged(take, options.seconds, options.found, readers)
        count += bool(result)
        for reader, figures in result.items():
            for name, pair in figures.items():
                if pair[1]:
                    rows.setdefault(reader, {}).setdefault(name, []).append(pair)
    report: dict[str, Any] = {"half": options.half, "takes": count}
    for reader, figures in rows.items():
        for name, several in figures.items():
            right, every = np.array(several).T
            report[f"{reader}: {name}"] = share(right, every, resamples(len(right))).text(3)
    if options.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
