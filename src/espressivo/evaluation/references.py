"""References: what is made of people's playing, to see what a measure can tell apart from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from espressivo.music import CONTROL_DTYPE, NOTE_DTYPE, SUSTAIN, Performance

__all__ = ["FLAT_VELOCITY", "GRID_S", "REFERENCES", "drone", "flat", "loop", "shuffled"]

GRID_S = 0.125
"""A sixteenth at 120 beats a minute: the grid of `flat`."""

FLAT_VELOCITY = 64
"""How loud every note of `flat` is."""

_LOOP_S = 2.0
_STRUCK_S = 0.5  # the time from stroke to stroke of a drone


def shuffled(performance: Performance) -> Performance:
    """Deal the pitches and velocities of a performance anew to its notes, at random but fixed.

    When notes begin and end, and which there are, stays; what follows what is chance.
    """
    notes = performance.notes.copy()
    order = np.random.default_rng(len(notes)).permutation(len(notes))
    for name in ("pitch", "velocity"):
        notes[name] = notes[name][order]
    return Performance(notes, performance.controls)


def flat(performance: Performance) -> Performance:
    """Take all expression out of a performance.

    Onsets and ends go to the nearest multiple of `GRID_S`, so the notes of a chord begin
    together; every note lasts at least one grid step and is struck with `FLAT_VELOCITY`; pedals are
    left out. Of notes of one pitch that fall together the longest remains.
    """
    notes = performance.notes
    start = np.round(notes["onset_s"] / GRID_S)
    end = np.maximum(np.round(notes["offset_s"] / GRID_S), start + 1)
    order = np.lexsort((-end, notes["pitch"], start))
    key = start[order] * 128 + notes["pitch"][order]
    kept = order[np.diff(key, prepend=-1) > 0]
    score = np.empty(len(kept), NOTE_DTYPE)
    score["onset_s"], score["offset_s"] = start[kept] * GRID_S, end[kept] * GRID_S
    score["pitch"], score["velocity"] = notes["pitch"][kept], FLAT_VELOCITY
    return Performance(score)


def loop(performance: Performance, seconds: float) -> Performance:
    """Play the first 2 s, from the first note on, again and again for so many seconds."""
    if not len(performance):
        return performance
    begin_s = float(performance.notes["onset_s"][0])
    bar = performance.slice(begin_s, begin_s + _LOOP_S)
    parts = [bar.shift(number * _LOOP_S) for number in range(int(seconds // _LOOP_S))]
    return Performance(
        np.concatenate([np.empty(0, NOTE_DTYPE), *(part.notes for part in parts)]),
        np.concatenate([np.empty(0, CONTROL_DTYPE), *(part.controls for part in parts)]),
    )


def drone(performance: Performance, seconds: float) -> Performance:
    """Hold the lowest note for so many seconds, and strike the highest twice a second over it."""
    if not len(performance):
        return performance
    pitch = performance.notes["pitch"]
    onset_s = np.arange(0.0, seconds, _STRUCK_S)
    return Performance.from_arrays(
        onset_s=np.concatenate(([0.0], onset_s)),
        offset_s=np.concatenate(([seconds], onset_s + _STRUCK_S / 2)),
        pitch=np.concatenate(([pitch.min()], np.full(len(onset_s), pitch.max()))),
        velocity=np.full(len(onset_s) + 1, FLAT_VELOCITY),
        controls=np.array([(0.0, SUSTAIN, 0)], CONTROL_DTYPE),
    )


REFERENCES: Mapping[str, Callable[[Performance, float], Performance]] = {
    "shuffled": lambda clip, seconds: shuffled(clip),
    "flat": lambda clip, seconds: flat(clip),
    "loop": loop,
    "drone": drone,
}
"""What is made of a clip of so many seconds, by name."""
