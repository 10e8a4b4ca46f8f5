"""Features of the notes of a score: their place in chord and hand, and what is marked at them."""

from __future__ import annotations

import numpy as np

from espressivo.interpreter.view import Columns, Floats, View, counted, mean_within, neighbour
from espressivo.music import Mark

__all__ = ["note_features"]

_OF_ONSET = (
    "step step-2 step-1 step+1 step+2 count span top-2 top-1 top+1 top+2 bass-1 longest overlap "
    "rest- rest+ in_beat in_bar bar of_bar unit strength strength-1 strength+1 bar_of_4 place left "
    "since quarters onsets_2 notes_2 notes_4 notes_16 denser top_in_2 top_in_8 top_in_32 bass_in_8 "
    "slope_2 slope_4 slope_8 top_near bass_near loud loud_spread loud- loud+ loud++ loud_in_32 "
    "tempo tempo_off tempo+ notes_s step_s harmony_1 harmony_2 harmony_4 key_fit minor bass_degree "
    "top_degree chromatic dissonance classes sounding seen seen_near bass_new"
).split()
_DYNAMICS = {
    name: float(level)
    for level, name in enumerate(("ppp", "pp", "p", "mp", "mf", "f", "ff", "fff"), 1)
} | {"pppp": 1.0, "ffff": 8.0, "fp": 5.0}
_SUDDEN = ("sf", "sfz", "fz", "sffz", "sfp", "rf", "rfz", "fp")
_WEDGES = {"crescendo": 1.0, "diminuendo": -1.0, "decrescendo": -1.0}


def note_features(view: View, of_onsets: Columns) -> Columns:
    """Return the features of each note, shape (n,) each, given those of the onsets."""
    group = view.group
    found = {
        **_in_chord(view),
        **_in_hand(view),
        **_own(view, of_onsets),
        **_marked(view),
    }
    found |= {f"onset_{name}": of_onsets[name][group] for name in _OF_ONSET}
    return found


def _in_chord(view: View) -> Columns:
    group, pitch, count = view.group, view.pitch, view.count[view.group]
    rank = np.arange(len(pitch)) - view.first[group]
    found: Columns = {
        "pitch": pitch,
        "below_top": view.top[group] - pitch,
        "above_bass": pitch - view.bass[group],
        "rank": rank.astype(np.float64),
        "rank_down": count - 1 - rank,
    }
    found["over_bass"] = found["above_bass"] % 12
    found["is_top"] = (found["below_top"] == 0).astype(np.float64)
    found["is_bass"] = (found["above_bass"] == 0).astype(np.float64)
    last = view.first + view.count.astype(np.int64) - 1
    second = pitch[np.maximum(last - 1, 0)]
    found["top_alone"] = np.where(count > 1, (view.top - second)[group], 0)
    return found


def _own(view: View, of_onsets: Columns) -> Columns:
    group, pitch, onset = view.group, view.pitch, view.onset
    length = np.log2(view.duration)
    note_loud, _ = view.loudness
    middle = (of_onsets["top_near"] + of_onsets["bass_near"])[group] / 2
    found: Columns = {
        "length": length,
        "length_steps": length - of_onsets["step"][group],
        "length_s": length + of_onsets["tempo"][group] / np.log(2),
        "loud": note_loud,
        "loud_in_chord": note_loud - of_onsets["loud"][group],
        "above_middle": pitch - middle,
    }
    order = np.lexsort((onset, pitch))
    apart = np.diff(onset[order])
    same = np.diff(pitch[order]) == 0
    following, preceding = np.full(len(pitch), 8.0), np.full(len(pitch), 8.0)
    following[order[:-1][same]] = np.clip(apart[same], 0, 8)
    preceding[order[1:][same]] = np.clip(apart[same], 0, 8)
    found["again"] = np.log2(following + 0.01)
    found["before"] = np.log2(preceding + 0.01)
    found["fills"] = np.clip(view.duration / np.maximum(following, 0.01), 0, 2)
    return found


def _in_hand(view: View) -> Columns:
    """Return features of each note among those of its hand."""
    names = (
        "hand hand_below_top hand_above_bass hand_count hand-1 hand+1 hand_step hand_step-1 "
        "hand_notes_4 hand_in_4 hand_in_32 hand_length hand_slope_2 hand_slope_4"
    ).split()
    found: Columns = {name: np.zeros(len(view.pitch)) for name in names}
    found["hand"] = view.hand.astype(np.float64)
    for hand in (0, 1):
        own = np.flatnonzero(view.hand == hand)
        if not len(own):
            continue
        for name, values in _line(view.onset[own], view.pitch[own], hand).items():
            found[name][own] = values
        found["hand_length"][own] = np.clip(
            np.log2(view.duration[own]) - found["hand_step"][own], -4, 4
        )
    return found


def _line(at: Floats, pitch: Floats, hand: int) -> Columns:
    """Return features of notes that one hand plays; its line is on top, of the left below."""
    onsets, first, group, count = np.unique(
        at, return_index=True, return_inverse=True, return_counts=True
    )
    top, bass = np.maximum.reduceat(pitch, first), np.minimum.reduceat(pitch, first)
    line = bass if hand else top
    step = np.log2(np.clip(np.append(np.diff(onsets), 2.0), 1 / 96, 16))
    found: Columns = {
        "hand_below_top": top[group] - pitch,
        "hand_above_bass": pitch - bass[group],
        "hand_count": count[group].astype(np.float64),
        "hand-1": pitch - neighbour(line, -1, line[0])[group],
        "hand+1": neighbour(line, 1, line[-1])[group] - pitch,
        "hand_step": step[group],
        "hand_step-1": neighbour(step, -1, 1.0)[group],
        "hand_notes_4": counted(at, at, -2, 2) / 4,
        "hand_in_4": pitch - mean_within(at, pitch, at, -2, 2),
        "hand_in_32": pitch - mean_within(at, pitch, at, -16, 16),
    }
    for width in (2, 4):
        before = mean_within(at, pitch, at, -width, 0)
        slope = mean_within(at, pitch, at, 0, width) - before
        found[f"hand_slope_{width}"] = np.where(before > 0, slope, 0)
    return found


def _marked(view: View) -> Columns:
    """Return what stands at the notes; all 0 for a score without marks."""
    marks = view.score.notes["marks"]
    bits = {
        "grace": Mark.GRACE,
        "slur_start": Mark.SLUR_START,
        "slur_end": Mark.SLUR_END,
        "slurred": Mark.SLURRED | Mark.SLUR_START | Mark.SLUR_END,
        "staccato": Mark.STACCATO,
        "tenuto": Mark.TENUTO,
        "accent": Mark.ACCENT | Mark.MARCATO,
        "fermata": Mark.FERMATA,
        "arpeggio": Mark.ARPEGGIO,
        "ornament": Mark.ORNAMENT,
    }
    found: Columns = {
        f"mark_{name}": ((marks & int(bit)) > 0).astype(np.float64) for name, bit in bits.items()
    }
    onset, staff = view.onset, view.score.notes["staff"]
    level, wedge, sudden = np.zeros(len(onset)), np.zeros(len(onset)), np.zeros(len(onset))
    for direction in view.score.directions:  # in the order of their onsets
        first, last = np.searchsorted(onset, (direction.onset - 1e-6, direction.end + 1e-6))
        for_it = slice(first, None) if direction.kind in _DYNAMICS else slice(first, last)
        mine = (staff[for_it] == direction.staff) | (direction.staff == 0)
        if direction.kind in _DYNAMICS:
            level[for_it][mine] = _DYNAMICS[direction.kind]
        if direction.kind in _SUDDEN:
            at = slice(first, np.searchsorted(onset, direction.onset + 1e-6))
            sudden[at][(staff[at] == direction.staff) | (direction.staff == 0)] = 1
        if direction.kind in _WEDGES:
            wedge[for_it][mine] = _WEDGES[direction.kind]
    found["mark_dynamic"], found["mark_wedge"], found["mark_sudden"] = level, wedge, sudden
    any_mark = bool(marks.any()) or bool(level.any())
    found["marked"] = np.full(len(onset), float(any_mark))
    return found
