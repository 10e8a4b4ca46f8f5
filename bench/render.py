"""Rendering to sound: speed, peak level, and what velocity and pedal do to the sound.

Speed is the processor time of the whole `render`, from the notes to the array, in a process whose
libraries are loaded: the samples are decoded each time. Beside it is symusic's synthesiser on the
same notes and soundfont, which does less (no loudness, dampers or room). Pieces are of ASAP, and
one that strikes eight keys at full velocity every 0.1 s, with the pedal down.

Tone is the centroid of the power spectrum of the first half second. The pedal is
measured by the energy from 0.5 to 1 s after the release of a key that was held for 0.5 s.

    ESPRESSIVO_DATA=... python bench/render.py [--pieces 5] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import symusic

import espressivo
from espressivo import Performance
from espressivo.music.performance import CONTROL_DTYPE, SUSTAIN
from espressivo.views import sound as audio

VELOCITIES = (20, 45, 60, 80, 110)


def dense(seconds: float = 120.0) -> Performance:
    """Strike eight keys at full velocity every tenth of a second, pedal down."""
    onset_s = np.repeat(np.arange(0, seconds, 0.1), 8)
    pitch = np.random.default_rng(0).integers(28, 100, len(onset_s))
    pedal = np.array([(0.0, SUSTAIN, 127), (seconds, SUSTAIN, 0)], CONTROL_DTYPE)
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.1,
        pitch=pitch,
        velocity=np.full(len(onset_s), 127),
        controls=pedal,
    )


def seconds_of(work: Callable[[], object], rounds: int) -> float:
    """Return the least processor time that the work took."""
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def by_symusic(performance: Performance) -> None:
    """Render the same notes by symusic alone."""
    score, track = symusic.Score(480), symusic.Track()
    for onset_s, offset_s, pitch, velocity in performance.sustained().notes.tolist():
        length = max(1, round((offset_s - onset_s) * 960))
        track.notes.append(symusic.Note(round(onset_s * 960), length, pitch, velocity))
    score.tracks.append(track)
    symusic.Synthesizer(str(audio.bundled()), audio.SAMPLE_RATE, 2).render(score, True)


def speed(performance: Performance, rounds: int) -> dict[str, float]:
    """Return how fast and how loud a performance is rendered."""
    sound = audio.render(performance)
    ours = seconds_of(lambda: audio.render(performance), rounds)
    symusics = seconds_of(lambda: by_symusic(performance), 1)
    return {
        "seconds": round(performance.seconds, 1),
        "notes": len(performance),
        "times_real_time": round(performance.seconds / ours, 1),
        "symusic_alone": round(performance.seconds / symusics, 1),
        "peak_db": round(20 * float(np.log10(sound.peak)), 2),
        "mean_db": round(10 * float(np.log10((sound.samples**2).mean())), 1),
    }


def key(pitch: int, velocity: int, *, pedal: bool = False) -> np.ndarray:
    """Return the sound of a key held for 0.5 s, in one channel."""
    moves = np.array([(0.0, SUSTAIN, 127), (3.0, SUSTAIN, 0)] if pedal else [], CONTROL_DTYPE)
    struck = Performance.from_arrays(
        onset_s=[0.0], offset_s=[0.5], pitch=[pitch], velocity=[velocity], controls=moves
    )
    return audio.render(struck).samples.sum(axis=0)


def centroid_hz(sound: np.ndarray) -> float:
    """Return the centroid of the power of a sound's first half second."""
    spectrum = np.abs(np.fft.rfft(sound[: audio.SAMPLE_RATE // 2])) ** 2
    hertz = np.fft.rfftfreq(audio.SAMPLE_RATE // 2, 1 / audio.SAMPLE_RATE)
    return float((spectrum * hertz).sum() / spectrum.sum())


def energy_db(sound: np.ndarray, begin_s: float, end_s: float) -> float:
    """Return the mean energy of a part of a sound."""
    part = sound[round(begin_s * audio.SAMPLE_RATE) : round(end_s * audio.SAMPLE_RATE)]
    return 10 * float(np.log10((part**2).mean() + 1e-12))


def measure(folder: Path, pieces: int, rounds: int) -> dict[str, object]:
    """Measure everything."""
    found = sorted(folder.rglob("*.mid"))
    chosen = [path for path in found if "score" not in path.name][:: len(found) // pieces][:pieces]
    performances = {
        "/".join(path.relative_to(folder).parts[:-1]): espressivo.read(path) for path in chosen
    }
    performances["dense fortissimo"] = dense()
    tone = {
        f"pitch {pitch}": {v: round(centroid_hz(key(pitch, v))) for v in VELOCITIES}
        for pitch in (36, 48, 60, 72, 84)
    }
    pedal = {
        f"pitch {pitch}": {
            name: round(energy_db(key(pitch, 80, pedal=down), 1.0, 1.5), 1)
            for name, down in (("pedal_db", True), ("no_pedal_db", False))
        }
        for pitch in (36, 60, 84)
    }
    return {
        "soundfont_megabytes": round(audio.bundled().stat().st_size / 1e6, 2),
        "pieces": {name: speed(p, rounds) for name, p in performances.items()},
        "centroid_hz by velocity": tone,
        "energy 0.5 to 1 s after the release": pedal,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    }


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "asap"
    result = measure(folder, options.pieces, options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        if isinstance(value, dict):
            print(name)
            for row, figures in value.items():
                print(f"  {row:40} " + "  ".join(f"{k} {v}" for k, v in figures.items()))
        else:
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
