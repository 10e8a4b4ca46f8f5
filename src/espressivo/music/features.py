"""Features: what is measured in a window of a performance, in numbers that can be compared.

A window is a performance of so many seconds from 0 on. Notes sound until the sustain pedal lets
them go: performances with the pedal folded in and without are measured alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from espressivo.music.performance import PEDAL_THRESHOLD, SUSTAIN, Performance, sustained_notes

__all__ = [
    "CHORD_GAP_S",
    "FEATURES",
    "Feature",
    "Features",
    "chord_starts",
    "in_order",
    "measure",
    "pedal_moves",
    "sounding",
    "window",
    "window_starts",
    "windows",
]

CHORD_GAP_S = 0.035
"""Notes that follow each other by no more than this are one chord. Between steps of 10 ms."""

_Times = NDArray[np.float64]

_TICK_S = 0.1  # how often the notes that sound are counted
_MELODY_S = 0.5  # the highest note of so long is the melody, the others accompany it
_SPAN_S = 3.0  # so long a beat is taken to be even
_BEATS_HZ = np.arange(2.0, 16.0, 1 / (10 * _SPAN_S))  # so fine that a span drifts by 1/20 of a beat
_LEAST_ONSETS = 4  # fewer in a span agree with some beat in any case


@dataclass(frozen=True)
class Feature:
    """One thing that is measured.

    Parameters
    ----------
    title : str
        What it is, for tables and figures.
    unit : str
        Empty for plain numbers.
    edges : array
        Edges of the bins of its histograms, ascending. A value beyond them counts in the first
        or last bin.
    single : bool
        Whether a window has one value of it; otherwise it has many, or none.
    logarithmic : bool
        Whether the bins widen, so that a figure should have a logarithmic axis.
    """

    title: str
    unit: str
    edges: _Times
    single: bool = False
    logarithmic: bool = False

    def count(self, values: _Times) -> NDArray[np.int64]:
        """Return how many values fall into each bin."""
        bins = len(self.edges) - 1
        place = np.searchsorted(self.edges, values, "right") - 1
        return np.bincount(np.clip(place, 0, bins - 1), minlength=bins)


def _even(low: float, high: float, bins: int) -> _Times:
    return np.linspace(low, high, bins + 1)


# Four bins to the octave of time; no edge is a multiple of 10 ms, the step of the vocabularies.
_SECONDS = 0.0055 * 2.0 ** (np.arange(49) / 4)

FEATURES: Mapping[str, Feature] = {
    "pitch": Feature("pitch", "MIDI number", _even(20.5, 108.5, 88)),
    "pitch_class": Feature("pitch class", "semitones above C", _even(-0.5, 11.5, 12)),
    "inter_onset": Feature("inter-onset interval", "s", _SECONDS, logarithmic=True),
    "duration": Feature("duration", "s", _SECONDS, logarithmic=True),
    "velocity": Feature("velocity", "MIDI velocity", _even(0, 128, 16)),
    "density": Feature("note density", "notes/s", _even(-0.5, 39.5, 40)),
    "polyphony": Feature("polyphony", "notes", _even(-0.5, 29.5, 30)),
    "pedal_down": Feature("pedal down", "share of time", _even(0, 1, 10), single=True),
    "pedal_changes": Feature("pedal changes", "per s", _even(0, 5, 10), single=True),
    "chord_spread": Feature("spread of chords", "ms", _even(-2.5, 97.5, 20)),
    "beat_deviation": Feature("deviation from the beat", "ms", _even(0, 120, 24)),
    "dynamic_range": Feature("dynamic range", "MIDI velocity", _even(0, 100, 10), single=True),
    "melody": Feature("melody over accompaniment", "MIDI velocity", _even(-62, 62, 31)),
}
"""What `measure` measures, by name.

- pitch, pitch_class, velocity: of every note.
- inter_onset: from every onset to the next, chords included.
- duration: until a note no longer sounds, or the window ends.
- density: onsets in each second.
- polyphony: notes that sound, every 0.1 s; 0 in silence.
- pedal_down: share of the window with the sustain pedal down; 0 where there are no movements.
- pedal_changes: movements of it from up to down or back, per second.
- chord_spread: from first to last onset of each chord of two notes or more (`CHORD_GAP_S`).
- beat_deviation: distance of each chord from the nearest beat of the even pulse (2..16 Hz) that
  fits best within 3 s; spans of fewer than 4 chords are left out.
- dynamic_range: from the 5th to the 95th percentile of velocity; none below 2 notes.
- melody: in each half second with 2 notes or more, the velocity of the highest less the mean of
  the others.
"""


@dataclass(frozen=True)
class Features:
    """What was measured in one window.

    Parameters
    ----------
    values : dict of str to float64 array
        The values of each of `FEATURES`; an array is empty where a window has none, as a silent
        window has no pitch. Always finite.
    """

    values: Mapping[str, _Times]

    @cached_property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """The histogram of each of `FEATURES`."""
        return {name: feature.count(self.values[name]) for name, feature in FEATURES.items()}


def window(performance: Performance, start_s: float, seconds: float) -> Performance:
    """Return so many seconds of a performance from a start on; see `Performance.slice`."""
    end_s = start_s + seconds
    if end_s - start_s > seconds:  # by rounding; a window never lasts longer than its seconds
        end_s = math.nextafter(end_s, start_s)
    return performance.slice(start_s, end_s)


def window_starts(
    performance: Performance, seconds: float, rng: np.random.Generator, each: int = 1
) -> _Times:
    """Return where windows of so many seconds begin, at random, shape (each,).

    Each begins in a part of its own of the performance, which are equal in length; all begin at 0
    in one that is shorter than a window.
    """
    room_s = max(performance.seconds - seconds, 0.0)
    return np.asarray((np.arange(each) + rng.random(each)) / each * room_s)


def windows(
    performances: Iterable[Performance], seconds: float, rng: np.random.Generator, each: int = 1
) -> list[Performance]:
    """Cut `each` windows out of every performance, at random; see `window_starts`.

    Window `i` comes from performance ``i // each``. One that is shorter than a window is taken
    whole.
    """
    return [
        window(performance, float(start_s), seconds)
        for performance in performances
        for start_s in window_starts(performance, seconds, rng, each)
    ]


def measure(performance: Performance, seconds: float) -> Features:
    """Measure a window of so many seconds from 0 on; what lies beyond it is cut off.

    Any performance can be measured: what an empty or silent window, or one of a single note,
    has no values of is an empty array.
    """
    performance = window(performance, 0.0, seconds)
    notes = sustained_notes(performance)
    onset_s, ends_s = notes["onset_s"], np.minimum(notes["offset_s"], seconds)
    pitch, velocity = notes["pitch"].astype(np.float64), notes["velocity"].astype(np.float64)
    chord = np.flatnonzero(chord_starts(onset_s))
    last = np.append(chord, len(notes))[1:] - 1
    low, high = np.percentile(velocity, (5, 95)) if len(notes) else (0.0, 0.0)
    per_second = np.bincount(onset_s.astype(int), minlength=math.ceil(seconds))
    moves_s = pedal_moves(performance)
    until_s = np.append(moves_s, [seconds] * (len(moves_s) % 2))
    down_s = (until_s[1::2] - until_s[::2]).sum()
    return Features(
        {
            "pitch": pitch,
            "pitch_class": pitch % 12,
            "inter_onset": np.diff(onset_s),
            "duration": ends_s - onset_s,
            "velocity": velocity,
            "density": per_second.astype(np.float64),
            "polyphony": sounding(onset_s, ends_s, np.arange(_TICK_S / 2, seconds, _TICK_S)),
            "pedal_down": np.array([down_s / seconds]),
            "pedal_changes": np.array([len(moves_s) / seconds]),
            "chord_spread": 1000 * (onset_s[last] - onset_s[chord])[last > chord],
            "beat_deviation": 1000 * _beat_deviations_s((onset_s[chord] + onset_s[last]) / 2),
            "dynamic_range": np.array([high - low] * (len(notes) > 1)),
            "melody": _melody(onset_s, pitch, velocity),
        }
    )


def chord_starts(onset_s: _Times) -> NDArray[np.bool_]:
    """Tell for each of some ascending onsets whether it begins a chord, or is a note alone."""
    return np.diff(onset_s, prepend=-np.inf) > CHORD_GAP_S


def in_order(
    onset_s: _Times, pitch: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return notes, given by onset, with those of a chord by pitch and as if struck together.

    Returns
    -------
    time_s : float32 array
        When the chord of each note begins.
    pitch : uint8 array
    """
    starts = chord_starts(onset_s)
    chord = np.cumsum(starts) - 1
    order = np.lexsort((pitch, chord))
    return onset_s[starts][chord].astype(np.float32), pitch[order]


def sounding(onset_s: _Times, ends_s: _Times, time_s: _Times) -> _Times:
    """Return how many notes sound at each of some times; onsets and times are ascending."""
    begun = np.searchsorted(onset_s, time_s, "right")
    ended = np.searchsorted(np.sort(ends_s), time_s, "right")
    return (begun - ended).astype(np.float64)


def pedal_moves(performance: Performance) -> _Times:
    """Return when the sustain pedal goes down, up, down, ..., in seconds."""
    pedal = performance.controls[performance.controls["number"] == SUSTAIN]
    down = pedal["value"] >= PEDAL_THRESHOLD
    return np.asarray(pedal["time_s"][np.flatnonzero(np.diff(down, prepend=False))])


def _beat_deviations_s(chord_s: _Times) -> _Times:
    """Return how far each chord lies from the nearest beat of the pulse that fits it best.

    The pulse of a span is the frequency and phase at which the onsets, wound around a circle once
    each beat, lie closest together (the greatest mean resultant length of circular statistics).
    """
    deviations = [np.empty(0)]
    for onset_s in np.split(chord_s, np.flatnonzero(np.diff(chord_s // _SPAN_S)) + 1):
        if len(onset_s) < _LEAST_ONSETS:
            continue
        wound = np.exp(2j * np.pi * np.outer(_BEATS_HZ, onset_s))  # (beats, onsets)
        mean = wound.mean(axis=1)
        best = np.argmax(np.abs(mean))
        turn = np.angle(wound[best] * np.conj(mean[best])) / (2 * np.pi)
        deviations.append(np.abs(turn) / _BEATS_HZ[best])
    return np.concatenate(deviations)


def _melody(onset_s: _Times, pitch: _Times, velocity: _Times) -> _Times:
    """Return by how much the highest note of each half second is louder than the others."""
    cell = (onset_s / _MELODY_S).astype(int)
    order = np.lexsort((pitch, cell))
    total = np.bincount(cell, velocity)
    notes = np.bincount(cell)
    several = notes > 1
    highest = velocity[order[np.cumsum(notes)[several] - 1]]
    return np.asarray(highest - (total[several] - highest) / (notes[several] - 1))
