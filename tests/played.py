"""Made-up pieces for tests: a piece is what is written, a player decides when and how loud."""

from __future__ import annotations

import numpy as np

from espressivo import Performance
from espressivo.music.performance import CONTROL_DTYPE, SUSTAIN


def played(piece: int, player: int = 0, notes: int = 400) -> Performance:
    """Play a made-up piece: the same notes in the same order, each player in a time of its own."""
    written = np.random.default_rng([1, piece])
    pitch = np.clip(60 + np.cumsum(written.integers(-7, 8, notes)) % 40 - 20, 21, 108)
    beats = written.choice([0.0, 0.25, 0.25, 0.5, 1.0], notes)
    beats[0] = 0
    own = np.random.default_rng([2, piece, player])
    tempo = 0.5 * np.exp(np.cumsum(own.normal(0, 0.05, notes)).clip(-0.5, 0.5))
    # Notes of a chord are at least a little apart, in the order written.
    onset_s = np.cumsum(np.maximum(beats * tempo + own.normal(0, 0.02, notes), 0.003))
    length_s = own.uniform(0.1, 0.8, notes)
    pedal = np.zeros(notes // 5, CONTROL_DTYPE)
    pedal["time_s"] = np.sort(own.uniform(0, onset_s[-1], len(pedal)))
    pedal["number"], pedal["value"] = SUSTAIN, own.integers(0, 128, len(pedal))
    velocity = own.integers(20, 110, notes)
    return Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + length_s, pitch=pitch, velocity=velocity, controls=pedal
    )


def again(
    performance: Performance,
    *,
    later_s: float = 0.0,
    tempo: float = 1.0,
    grid_s: float = 0.001,
    louder: int = 0,
    semitones: int = 0,
    part: slice = slice(None),
) -> Performance:
    """Export a performance anew: the same playing, in part, moved, transposed and rounded."""
    notes = performance.notes[part]

    def moved(time_s):
        return np.round(((time_s - notes["onset_s"][0]) * tempo + later_s) / grid_s) * grid_s

    onset_s = moved(notes["onset_s"])
    offset_s = np.maximum(moved(notes["offset_s"]), onset_s + grid_s)
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=offset_s,
        pitch=notes["pitch"].astype(int) + semitones,
        velocity=notes["velocity"] + louder,
    )
