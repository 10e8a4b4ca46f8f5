"""Files with a tempo map, read by others: every note at its time, and bars where the beats are.

Beats are found in stretches of ASAP's takes and written as tempo map. Each reader that is installed
says when notes begin, and when measures do; of each it is told how far that is from what we wrote,
at most.

    ESPRESSIVO_DATA=... python bench/tempo_maps.py [--files 20] [--json]
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from espressivo import midi
from espressivo.notation import beats
from pages import of_people

Read = tuple[np.ndarray, np.ndarray]
"""Seconds at which notes begin, and at which measures begin."""


def by_mido(path: Path) -> Read:
    import mido

    file = mido.MidiFile(path)
    now_s, tick, onsets, signatures, points = 0.0, 0, [], [], [(0, 0.0)]
    tempo = 500000
    for message in mido.merge_tracks(file.tracks):
        now_s += mido.tick2second(message.time, file.ticks_per_beat, tempo)
        tick += message.time
        points.append((tick, now_s))
        if message.type == "set_tempo":
            tempo = message.tempo
        elif message.type == "time_signature":
            bar = 4 * file.ticks_per_beat * message.numerator // message.denominator
            signatures.append((tick, bar))
        elif message.type == "note_on" and message.velocity:
            onsets.append(now_s)
    ticks, seconds = np.array(points).T
    bars = bars_of(signatures, int(ticks[-1]))
    return np.array(onsets), np.interp(bars, ticks, seconds)


def by_pretty_midi(path: Path) -> Read:
    import pretty_midi

    file = pretty_midi.PrettyMIDI(str(path))
    onsets = [note.start for track in file.instruments for note in track.notes]
    return np.array(onsets), np.array(file.get_downbeats())


def by_symusic(path: Path) -> Read:
    import symusic

    ticks = symusic.Score(path)
    seconds = ticks.to("second")
    onsets = [note.time for track in seconds.tracks for note in track.notes]
    signatures = [
        (s.time, 4 * ticks.ticks_per_quarter * s.numerator // s.denominator)
        for s in ticks.time_signatures
    ]
    return np.array(onsets), seconds_of(bars_of(signatures, ticks.end()), ticks)


def by_music21(path: Path) -> Read:
    """Give its notes and tempos as it reads them, and where time signatures are.

    Its streams would not do: they put notes that begin within a sixteenth of a quarter and end
    together into a chord, at the first one's onset, and where a note is longer than its measure,
    all that follows is later.
    """
    import music21

    file, translate = music21.midi.MidiFile(), music21.midi.translate
    file.open(str(path))
    file.read()
    file.close()
    ticks, tempos, signatures = [], [], []
    for track in file.tracks:
        events = translate.getTimeForEvents(track)
        ticks += [note.onTime for note in translate.getNotesFromEvents(events)]
        for tick, found in translate.getMetaEvents(events):
            if isinstance(found, music21.tempo.MetronomeMark):
                tempos.append((tick, found.secondsPerQuarter()))
            elif isinstance(found, music21.meter.TimeSignature):
                signatures.append(tick)
    at, each = np.array(tempos).T
    each = each / file.ticksPerQuarterNote
    return passed_s(np.array(ticks), at, each), passed_s(np.array(signatures), at, each)


def by_partitura(path: Path) -> Read:
    import partitura

    read = partitura.load_performance_midi(str(path))
    return read.note_array()["onset_sec"].astype(float), np.zeros(0)


def bars_of(signatures: list[tuple[int, int]], end: int) -> np.ndarray:
    """Return the ticks at which measures begin."""
    bars: list[int] = []
    ends = [tick for tick, _ in signatures[1:]] + [end]
    for (tick, bar), until in zip(signatures, ends, strict=True):
        bars += range(tick, max(until, tick + 1), bar)
    return np.array(bars, float)


def farthest(times_s: np.ndarray, others_s: np.ndarray) -> float:
    """Return how far a time is at most from the nearest of others."""
    return float(max(abs(others_s - time_s).min() for time_s in times_s))


def seconds_of(bars: np.ndarray, ticks: object) -> np.ndarray:
    """Return seconds of ticks by the tempos of a symusic score."""
    tempos = sorted((t.time, t.qpm) for t in ticks.tempos)  # type: ignore[attr-defined]
    at = np.array([tick for tick, _ in tempos], float)
    each = np.array([60 / qpm / ticks.ticks_per_quarter for _, qpm in tempos])  # type: ignore[attr-defined]
    return passed_s(bars, at, each)


def passed_s(ticks: np.ndarray, at: np.ndarray, each: np.ndarray) -> np.ndarray:
    """Return seconds of ticks, of which each lasts so long from some ticks on."""
    passed = np.concatenate(([0.0], np.cumsum(np.diff(at) * each[:-1])))
    now = np.clip(np.searchsorted(at, ticks, "right") - 1, 0, None)
    return passed[now] + (ticks - at[now]) * each[now]


READERS: dict[str, Callable[[Path], Read]] = {
    "mido": by_mido,
    "pretty_midi": by_pretty_midi,
    "symusic": by_symusic,
    "music21": by_music21,
    "partitura": by_partitura,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chance = random.Random(options.seed)  # noqa: S311 - no secret
    worst: dict[str, dict[str, float]] = {}
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, performance in enumerate(of_people(options.files, chance)):
            found = beats(performance)
            path = Path(folder) / f"{number}.mid"
            midi.write(performance, path, beats=found)
            count += len(performance)
            for name, read in READERS.items():
                try:
                    importlib.import_module(name)
                except ImportError:
                    continue
                onsets, bars = read(path)
                row = worst.setdefault(name, {})
                wrote = np.sort(performance.notes["onset_s"])
                if len(onsets):
                    apart = max(farthest(onsets, wrote), farthest(wrote, onsets))
                    row["onset_ms"] = max(row.get("onset_ms", 0), 1000 * apart)
                downs = found.time_s[1:][found.downbeat[1:]]  # the first may stand at time 0
                if name == "music21":  # it says where time signatures are, and they begin measures
                    starts = [first for first, *_ in found.meters]
                    downs = found.time_s[starts][found.downbeat[starts]][1:]
                if len(bars) and len(downs):
                    row["bar_ms"] = max(row.get("bar_ms", 0), 1000 * farthest(downs, bars))
    report = {name: {k: round(v, 3) for k, v in row.items()} for name, row in worst.items()}
    if options.json:
        print(json.dumps({"files": options.files, "notes": count, "readers": report}))
        return
    print(f"{options.files} files, {count} notes; farthest from what was written, in ms")
    for name, row in report.items():
        print(f"  {name:12}", ", ".join(f"{what} {value:.3f}" for what, value in row.items()))


if __name__ == "__main__":
    main()
