"""Features of the onsets of a score: rhythm, contour, metre, texture, harmony, what is written.

All times are quarters, or base-2 logarithms of them.
"""

from __future__ import annotations

import numpy as np

from espressivo.interpreter.view import Columns, Floats, View, counted, mean_within, neighbour

__all__ = ["likeness", "onset_features"]

_SMALL = 1e-9
# Krumhansl & Kessler 1982: how well each pitch class fits a major and a minor key on 0.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.6, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_SCALES = np.array([[1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1]])
_LONGEST = 16.0


def likeness(one: Floats, other: Floats) -> Floats:
    """Return the cosine between the rows of two arrays."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / (lengths + _SMALL))


def onset_features(view: View) -> Columns:
    """Return the features of each onset, shape (m,) each."""
    return {
        **_rhythm(view),
        **_contour(view),
        **_metre(view),
        **_density(view),
        **_written(view),
        **_harmony(view),
        **_returns(view),
    }


def _rhythm(view: View) -> Columns:
    onsets, first = view.onsets, view.first
    step = np.log2(np.clip(view.interval, 1 / 96, _LONGEST))
    found: Columns = {"step": step}
    for away in (-3, -2, -1, 1, 2, 3):
        found[f"step{away:+d}"] = neighbour(step, away)
    longest = np.maximum.reduceat(view.duration, first)
    found["longest"] = np.log2(longest)
    found["shortest"] = np.log2(np.minimum.reduceat(view.duration, first))
    found["overlap"] = found["longest"] - step
    reached = np.maximum.accumulate(np.maximum.reduceat(view.onset + view.duration, first))
    silence = np.clip(onsets[1:] - reached[:-1], 0, 4)
    found["rest-"] = np.append(0, silence)
    found["rest+"] = np.append(silence, 0)
    begun = np.sort(view.onset)
    ended = np.sort(view.onset + view.duration)
    sounding = np.searchsorted(begun, onsets + 1e-6) - np.searchsorted(ended, onsets + 1e-6)
    found["sounding"] = sounding.astype(np.float64)
    return found


def _contour(view: View) -> Columns:
    onsets, top, bass, count = view.onsets, view.top, view.bass, view.count
    found: Columns = {"top": top, "bass": bass, "count": count, "span": top - bass}
    for away in (-2, -1, 1, 2):
        found[f"top{away:+d}"] = neighbour(top, away, top[0 if away < 0 else -1]) - top
    for away in (-1, 1):
        found[f"bass{away:+d}"] = neighbour(bass, away, bass[0 if away < 0 else -1]) - bass
        found[f"count{away:+d}"] = neighbour(count, away)
    for width in (2, 8, 32):
        found[f"top_in_{width}"] = top - mean_within(onsets, top, onsets, -width / 2, width / 2)
        found[f"bass_in_{width}"] = bass - mean_within(onsets, bass, onsets, -width / 2, width / 2)
    for width in (1, 2, 4, 8, 16):
        before = mean_within(onsets, top, onsets, -width, 0)
        slope = mean_within(onsets, top, onsets, 0, width) - before
        found[f"slope_{width}"] = np.where(before > 0, slope, 0)
    found["top_near"] = mean_within(onsets, top, onsets, -8, 8)
    found["bass_near"] = mean_within(onsets, bass, onsets, -8, 8)
    found["span_near"] = mean_within(onsets, found["span"], onsets, -4, 4)
    padded = np.concatenate((np.full(12, np.inf), bass))
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 13).min(axis=1)
    found["above_lowest"] = bass - lowest
    return found


def _metre(view: View) -> Columns:
    onsets, beat, bounds = view.onsets, view.beat, view.beat_bounds
    begins, length, number = view.bar[0][beat], view.bar[1][beat], view.bar[2][beat]
    unit = np.diff(bounds)[beat]
    found: Columns = {"in_beat": (onsets - bounds[beat]) / unit, "unit": unit}
    inside = onsets - bounds[begins]
    found["in_bar"], found["bar"], found["of_bar"] = inside, length, inside / length
    strength = np.zeros(len(onsets))
    for part in (0.125, 0.25, 0.5):
        strength += np.abs(inside / part - np.round(inside / part)) < 0.01
    strength += found["in_beat"] < 0.01
    strength += 2 * (inside < 0.01)
    found["strength"] = strength
    for away in (-1, 1):
        found[f"strength{away:+d}"] = neighbour(strength, away)
    for bars in (2, 4, 8):
        found[f"bar_of_{bars}"] = (number % bars).astype(np.float64)
    found["bars"] = np.minimum(number, 16).astype(np.float64)
    found["place"] = onsets / view.end
    found["left"] = np.minimum(view.end - onsets, 32)
    found["since"] = np.minimum(onsets - onsets[0], 32)
    found["quarters"] = np.full(len(onsets), np.log2(view.end))
    return found


def _density(view: View) -> Columns:
    onsets, onset = view.onsets, view.onset
    found: Columns = {}
    for width in (1, 2, 4, 16):
        found[f"onsets_{width}"] = counted(onsets, onsets, -width / 2, width / 2) / width
        found[f"notes_{width}"] = counted(onset, onsets, -width / 2, width / 2) / width
    ahead, behind = counted(onset, onsets, 0, 4) / 4, counted(onset, onsets, -4, 0) / 4
    found["notes+4"], found["notes-4"], found["denser"] = ahead, behind, ahead - behind
    found["onsets+2"], found["onsets-2"] = (
        counted(onsets, onsets, 0, 2),
        counted(onsets, onsets, -2, 0),
    )
    return found


def _written(view: View) -> Columns:
    """Return what is written of loudness and tempo."""
    onsets = view.onsets
    note_loud, spread = view.loudness
    loud = np.add.reduceat(note_loud, view.first) / view.count
    found: Columns = {"loud": loud, "loud_spread": np.full(len(onsets), min(spread, 30.0))}
    found["loud-"] = loud - mean_within(onsets, loud, onsets, -4, 0)
    found["loud+"] = mean_within(onsets, loud, onsets, 0.01, 4) - loud
    found["loud++"] = mean_within(onsets, loud, onsets, 4, 16) - loud
    found["loud_in_32"] = loud - mean_within(onsets, loud, onsets, -16, 16)
    tempo = view.quarter_log
    found["tempo"], found["tempo_off"] = tempo, tempo - np.median(tempo)
    found["tempo+"] = np.clip(mean_within(onsets, tempo, onsets, 0.01, 4) - tempo, -2, 2)
    found["tempo+"][-1] = 0
    found["tempi"] = np.full(len(onsets), min(max(len(view.score.tempos), 1), 10), np.float64)
    found["step_s"] = np.log2(np.clip(view.interval, 1 / 96, _LONGEST)) + tempo / np.log(2)
    found["notes_s"] = counted(view.onset, onsets, -2, 2) / 4 / np.exp(tempo)
    return found


def _harmony(view: View) -> Columns:
    onsets, bass, top = view.onsets, view.bass, view.top
    found: Columns = {}
    for width in (1, 2, 4, 8):
        past, coming = view.chroma(onsets, -width, 0), view.chroma(onsets, 0, width)
        found[f"harmony_{width}"] = likeness(past, coming)
    fit = view.chroma(onsets, -16, 16)
    fit = fit - fit.mean(axis=1, keepdims=True)
    fit /= np.linalg.norm(fit, axis=1, keepdims=True) + _SMALL
    keys = fit @ _key_profiles().T
    best = keys.argmax(axis=1)
    minor, tonic = best // 12, best % 12
    found["key_fit"], found["minor"] = keys.max(axis=1), minor.astype(np.float64)
    found["bass_degree"], found["top_degree"] = (bass - tonic) % 12, (top - tonic) % 12
    near = view.chroma(onsets, -2, 2)
    near /= near.sum(axis=1, keepdims=True) + _SMALL
    in_scale = _SCALES[minor[:, None], (np.arange(12) - tonic[:, None]) % 12]
    found["chromatic"] = (near * (1 - in_scale)).sum(axis=1)
    struck = (view.chroma(onsets, 0, 0.26) > 0).astype(np.float64)
    rubs = [(struck * np.roll(struck, away, axis=1)).sum(axis=1) for away in (1, 2, 6)]
    found["dissonance"] = rubs[0] + rubs[1] / 2 + rubs[2] / 2
    found["classes"] = struck.sum(axis=1)
    found["bass_new"] = ((bass % 12) != (neighbour(bass, -1, -1.0) % 12)).astype(np.float64)
    return found


def _key_profiles() -> Floats:
    """Return the standardised profiles of the 24 keys, shape (24, 12)."""
    profiles = []
    for profile in (_MAJOR, _MINOR):
        even = np.array(profile) - np.mean(profile)
        profiles += [np.roll(even / np.linalg.norm(even), tonic) for tonic in range(12)]
    return np.array(profiles)


def _returns(view: View) -> Columns:
    """Return how often the last four notes on top have come before, in this rhythm."""
    intervals = np.diff(view.top, prepend=view.top[0]).astype(np.int64).tolist()
    steps = np.rint(4 * np.log2(np.clip(view.interval, 1 / 96, _LONGEST))).astype(int).tolist()
    seen: dict[tuple[int, ...], int] = {}
    before = np.zeros(len(intervals))
    for at in range(3, len(intervals)):
        pattern = (*intervals[at - 2 : at + 1], steps[at - 1])
        before[at] = min(seen.get(pattern, 0), 8)
        seen[pattern] = seen.get(pattern, 0) + 1
    return {"seen": before, "seen_near": mean_within(view.onsets, before, view.onsets, -4, 4)}
