"""Features of the beats of a score, and of the quarters of its beats, in which the pedal moves."""

from __future__ import annotations

import numpy as np

from espressivo.interpreter.onset_features import likeness
from espressivo.interpreter.view import CELLS, Columns, Floats, View, mean_within, neighbour

__all__ = ["beat_features", "cell_features"]

_AROUND = "step longest rest+ loud dissonance seen harmony_1 harmony_2 tempo_off".split()
_WITHIN = (
    "rest- chromatic sounding top_degree bass_degree harmony_4 harmony_8 strength span key_fit "
    "minor notes_1 notes_4 notes_16 denser top_in_32 top_in_8 bass_in_8 tempo tempo+ notes_s "
    "loud_spread loud_in_32 loud+ loud- loud++ slope_4 slope_8 slope_16 top_near bass_near "
    "seen_near classes tempi"
).split()
_FIRST = "bass_degree top_degree step count harmony_1 loud".split()
_OF_ONSET = (
    "step step-1 step+1 count span longest shortest rest+ rest- loud loud_spread loud_in_32 "
    "notes_1 notes_4 notes_16 onsets_4 onsets_16 notes_s dissonance classes sounding bass_degree "
    "top_degree top_near bass_near slope_4 tempo tempo_off minor key_fit harmony_4 strength place "
    "left quarters overlap above_lowest span_near seen top-1 top+1 step_s chromatic"
).split()
_NEAR_BASS = 2.0  # semitones above the mean of the lowest pitches: up to there a note is bass


def beat_features(view: View, of_onsets: Columns) -> Columns:
    """Return the features of each beat, shape (k,) each, given those of the onsets."""
    bounds, onsets = view.beat_bounds, view.onsets
    at = bounds[:-1]
    first = np.searchsorted(onsets, at - 1e-6)
    last = np.searchsorted(onsets, bounds[1:] - 1e-6)
    number = (last - first).astype(np.float64)
    found = {**_beat_metre(view), "onsets": number}
    nearest = np.clip(first, 0, len(onsets) - 1)
    found["struck"] = (np.abs(onsets[nearest] - at) < 1e-3).astype(np.float64)

    def mean(values: Floats) -> Floats:
        sums = np.concatenate(([0.0], np.cumsum(values)))
        return np.where(number > 0, (sums[last] - sums[first]) / np.maximum(number, 1), 0)

    for away in (-8, -4, -3, -2, -1, 1, 2, 3, 4, 8):
        found[f"onsets{away:+d}"] = neighbour(number, away)
    filled = np.maximum.accumulate(np.where(number > 0, np.arange(len(at)), 0))
    top, bass, count = mean(view.top)[filled], mean(view.bass)[filled], mean(view.count)
    found["top"] = mean(view.top)
    for away in (-4, -2, -1, 1, 2, 4):
        found[f"top{away:+d}"] = neighbour(top, away, top[0 if away < 0 else -1]) - top
    for away in (-1, 1):
        found[f"bass{away:+d}"] = neighbour(bass, away, bass[0 if away < 0 else -1]) - bass
    for away in (-2, -1, 0, 1, 2):
        found[f"count{away:+d}"] = neighbour(count, away)
    for name in _AROUND:
        values = mean(of_onsets[name])
        for away in (-1, 0, 1):
            found[f"mean_{name}{away:+d}"] = neighbour(values, away)
    found |= {f"mean_{name}": mean(of_onsets[name]) for name in _WITHIN}
    for name in _FIRST:
        found[f"first_{name}"] = of_onsets[name][nearest]
        found[f"next_{name}"] = neighbour(found[f"first_{name}"], 1)
    for width in (8, 32):
        found[f"onsets_in_{2 * width}"] = number - mean_within(at, number, at, -width, width)
        found[f"top_in_{2 * width}"] = top - mean_within(at, top, at, -width, width)
    longest = np.full(len(at), -np.inf)
    np.maximum.at(longest, view.beat, of_onsets["longest"])
    longest[np.isinf(longest)] = 0
    return {**found, **_phrases(at, longest)}


def _beat_metre(view: View) -> Columns:
    begins, length, number = view.bar
    at, beats = view.beat_bounds[:-1], np.arange(len(begins))
    unit = np.diff(view.beat_bounds)
    found: Columns = {
        "beat": (beats - begins).astype(np.float64),
        "bar": length,
        "unit": unit,
        "beats_left": length / unit - (beats - begins),
        "place": at / view.end,
        "left": np.minimum(view.end - at, 48),
        "since": np.minimum(at - view.onsets[0], 48),
        "bars": np.minimum(number, 12).astype(np.float64),
        "bars_left": np.minimum(number[-1] - number, 12).astype(np.float64),
        "quarters": np.full(len(at), np.log2(view.end)),
    }
    for bars in (2, 4, 8):
        found[f"bar_of_{bars}"] = (number % bars).astype(np.float64)
    return found


def _phrases(at: Floats, longest: Floats) -> Columns:
    """Return how long the notes of each beat are for their surroundings, and how far such are."""
    found: Columns = {"peak": longest}
    for away in (-1, 1, 2):
        found[f"peak{away:+d}"] = neighbour(longest, away)
    for width in (4, 8, 16):
        found[f"peak_in_{2 * width}"] = longest - mean_within(at, longest, at, -width, width)
    ends = np.flatnonzero(found["peak_in_16"] > 0.8).astype(np.float64)
    beats = np.arange(len(at), dtype=np.float64)
    following = np.searchsorted(ends, beats)
    after, before = np.append(ends, np.inf), np.append(-np.inf, ends)
    found["to_peak"] = np.minimum(after[following] - beats, 16)
    found["from_peak"] = np.minimum(beats - before[following], 16)
    return found


def cell_features(view: View, of_onsets: Columns) -> Columns:
    """Return the features of each quarter of a beat, shape (CELLS * k,) each."""
    cells, onsets = view.cells, view.onsets
    at = cells[:-1]
    inside = np.clip(np.searchsorted(onsets, at + 1e-3, "right") - 1, 0, None)
    following = np.clip(inside + 1, 0, len(onsets) - 1)
    struck = np.searchsorted(onsets, cells[1:] - 1e-3) - np.searchsorted(onsets, at - 1e-3)
    begun, ended = np.sort(view.onset), np.sort(view.onset + view.duration)
    found: Columns = {
        "cell": (np.arange(len(at)) % CELLS).astype(np.float64),
        "since_onset": np.clip(at - onsets[inside], -1, 8),
        "until_onset": np.clip(onsets[following] - at, 0, 8),
        "struck": struck.astype(np.float64),
        "held": np.searchsorted(begun, at + 1e-6) - np.searchsorted(ended, at + 1e-6) * 1.0,
    }
    for away in (-2, -1, 1, 2, 3, 4):
        found[f"struck{away:+d}"] = neighbour(found["struck"], away)
    found |= _bass(view, of_onsets["bass_near"])
    for width in (0.5, 1, 2):
        for later in (0.0, 0.25, 0.5):
            past = view.chroma(at, later - width, later)
            found[f"harmony_{width}_{later}"] = likeness(
                past, view.chroma(at, later, later + width)
            )
    lately = view.chroma(at, -1, 0.01) > 0
    found["lately"] = lately.sum(axis=1).astype(np.float64)
    found["rubs"] = sum(
        (lately & np.roll(lately, away, axis=1)).sum(axis=1).astype(np.float64) for away in (1, 2)
    )
    beat = np.arange(len(at)) // CELLS
    begins, length = view.bar[0][beat], view.bar[1][beat]
    found["in_bar"], found["bar"] = at - view.beat_bounds[begins], length
    found["unit"], found["beat"] = (
        np.diff(view.beat_bounds)[beat],
        (beat - begins).astype(np.float64),
    )
    found |= {f"onset_{name}": of_onsets[name][inside] for name in _OF_ONSET}
    legato = np.clip(of_onsets["longest"], -4, 2) - of_onsets["step"]
    found["legato"] = legato[inside]
    found["legato_near"] = mean_within(onsets, legato, at, -4, 4)
    found["length_near"] = mean_within(view.onset, np.log2(view.duration), at, -4, 4)
    return found


def _bass(view: View, near: Floats) -> Columns:
    """Return the bass notes around each quarter of a beat."""
    at = view.cells[:-1]
    low = view.bass <= near + _NEAR_BASS
    low[0] = True
    onsets, bass = view.onsets[low], view.bass[low]
    now = np.searchsorted(onsets, at + 1e-3, "right") - 1
    last = len(bass) - 1
    current = bass[np.clip(now, 0, None)]
    before, after = bass[np.clip(now - 1, 0, None)], bass[np.clip(now + 1, 0, last)]
    since = np.where(now >= 0, np.clip(at - onsets[np.clip(now, 0, None)], 0, 8), 8)
    until = np.where(now < last, np.clip(onsets[np.clip(now + 1, 0, last)] - at, 0, 8), 8)
    return {
        "since_bass": since,
        "until_bass": until,
        "low": current,
        "low-1": current - before,
        "low+1": after - current,
        "low_changed": ((current - before) % 12 != 0).astype(np.float64),
        "low_changes": ((after - current) % 12 != 0).astype(np.float64),
    }
