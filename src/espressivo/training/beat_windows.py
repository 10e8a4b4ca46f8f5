"""Windows that the networks for beats learn from, and what is true of them.

A window is drawn by score first, then by performance, then by place, so that a piece that many have
played counts no more than others. It is played at another tempo, in another key, louder or softer,
with some notes missing and some added. Now and then it is the score itself that is played, at a
tempo that wanders. Passages marked as free say nothing of beats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.data import Annotated, Annotation, read_annotation
from espressivo.notation import (
    COUNTS,
    KEYS,
    LOWEST,
    QUARTERS,
    Notes,
    beat_numbers,
    grouped_onsets,
    notes_of,
)

__all__ = [
    "TEMPO",
    "BeatTargets",
    "GroupTargets",
    "Piece",
    "Taught",
    "beat_targets",
    "beat_window",
    "group_targets",
    "group_window",
    "load_pieces",
    "load_taught",
]

Floats = NDArray[np.float64]
Warp = Callable[[Floats], Floats]

TEMPO = 0.2  # a window is at most so much faster or slower, as a logarithm
_SHIFT = 6  # semitones
_MISSING, _ADDED = 0.1, 0.05  # at most of the notes
_SCORES = 0.15  # of the windows are the score
_NEAR_S = 0.07  # a group, or a beat that was found, within this of a beat is on it
_NEAR = 0.3  # nor is it farther, in beats
_SAME = 0.2  # octaves between the length of a beat and that of one in `QUARTERS`


class GroupTargets(NamedTuple):
    """What is true of each group; a weight `known` of 0 says that it is not known.

    All have shape (groups,). `period` is the logarithm to base 2 of twice the seconds of a beat.
    """

    beat: NDArray[np.float32]
    downbeat: NDArray[np.float32]
    known: NDArray[np.float32]
    period: NDArray[np.float32]


class BeatTargets(NamedTuple):
    """What is true of each beat that was found; a weight `known` of 0 says that it is not known.

    All have shape (beats,). `meter` and `unit` are indices, or -1.
    """

    begins: NDArray[np.float32]
    known: NDArray[np.float32]
    meter: NDArray[np.int64]
    unit: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Taught:
    """The notes of a performance, and its beats."""

    notes: Notes
    beats: Annotation


@dataclass(frozen=True, eq=False)
class Piece:
    """Performances of a piece, and its score if it is there."""

    takes: Sequence[Taught]
    score: Taught | None

    def drawn(self, random: np.random.Generator) -> tuple[Taught, bool]:
        """Return one of them, and whether it is the score."""
        if self.score is not None and random.random() < _SCORES:
            return self.score, True
        return self.takes[int(random.integers(len(self.takes)))], False


def load_taught(path: Path, annotations: Path) -> Taught:
    """Read a performance and its annotations."""
    return Taught(notes_of(midi.read(path)), read_annotation(annotations))


def load_pieces(files: Sequence[Annotated]) -> list[Piece]:
    """Read performances and their scores, by piece."""
    pieces: dict[str, list[Annotated]] = {}
    for file in files:
        pieces.setdefault(file.piece, []).append(file)
    found = []
    for takes in pieces.values():
        score = takes[0].score
        beside = None if score is None else score.with_name("midi_score_annotations.txt")
        found.append(
            Piece(
                [load_taught(take.path, take.annotations) for take in takes],
                load_taught(score, beside) if score and beside else None,
            )
        )
    return found


def group_targets(first_s: Floats, time_s: Floats, beats: Annotation) -> GroupTargets:
    """Return what is true of groups, which begin at `first_s` and have their mean at `time_s`.

    Parameters
    ----------
    first_s, time_s : array, shape (groups,)
    beats : Annotation
        At the tempo of the groups.
    """
    beat, downbeat, known, period = np.zeros((4, len(time_s)), np.float32)
    if len(time_s) and len(beats.time_s) > 1:
        for at_s, down in zip(beats.time_s, beats.downbeat, strict=True):
            near = slice(*np.searchsorted(time_s, (at_s - _NEAR_S, at_s + _NEAR_S)))
            if near.start < near.stop:
                away = np.minimum(abs(time_s[near] - at_s), abs(first_s[near] - at_s))
                nearest = near.start + int(np.argmin(away))
                beat[nearest] = 1
                downbeat[nearest] = max(downbeat[nearest], float(down))
        at, inside = _beats_at(beats, time_s, 1e-3)
        known = (inside & ~beats.free[at] & ~beats.free[at + 1]).astype(np.float32)
        period = np.log2(2 * np.diff(beats.time_s)[at]).astype(np.float32)
    return GroupTargets(beat, downbeat, known, period)


def beat_targets(time_s: Floats, beats: Annotation) -> BeatTargets:
    """Return what is true of beats that were found, be they the right ones or not.

    If they are twice as many as they should be, a measure has twice as many, each half as long.

    Parameters
    ----------
    time_s : array, shape (found beats,)
        At least two, which rise.
    beats : Annotation
        At least two.
    """
    lasts = np.diff(time_s, append=2 * time_s[-1] - time_s[-2])
    before = np.diff(time_s, prepend=2 * time_s[0] - time_s[1])
    near = np.minimum(_NEAR_S, _NEAR * np.minimum(lasts, before))
    at, inside = _beats_at(beats, time_s, near)
    known = (inside & ~beats.free[at] & ~beats.free[at + 1]).astype(np.float32)
    begins, meter = np.zeros(len(time_s), np.float32), np.full(len(time_s), -1)
    downs = beats.time_s[beats.downbeat]
    if len(downs) > 1:
        after = np.clip(np.searchsorted(downs, time_s), 1, len(downs) - 1)
        away = np.minimum(abs(downs[after] - time_s), abs(downs[after - 1] - time_s))
        begins[away < near] = 1
        measure = np.searchsorted(downs, time_s + near, "right") - 1
        whole = inside & (measure >= 0) & (measure < len(downs) - 1)
        measure = np.clip(measure, 0, len(downs) - 2)
        first, end = (np.searchsorted(time_s + near, downs[measure + n]) for n in (0, 1))
        count = end - first
        meter = np.where(whole & (count >= 1) & (count <= COUNTS), count - 1, -1)
    quarters = beats.quarters[at] * lasts / np.diff(beats.time_s)[at]
    clear = np.isfinite(quarters)
    octaves = abs(np.log2(np.where(clear, quarters, 1e-9))[:, None] - np.log2(QUARTERS))
    unit = np.where(inside & clear & (octaves.min(1) < _SAME), octaves.argmin(1), -1)
    return BeatTargets(begins, known, meter, unit)


def _beats_at(
    beats: Annotation, time_s: Floats, early: Floats | float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the beat at or before each time, but not the last, and whether there is one."""
    within = np.searchsorted(beats.time_s, time_s + early, "right") - 1
    inside = (within >= 0) & (time_s <= beats.time_s[-1] + _NEAR_S)
    return np.clip(within, 0, len(beats.time_s) - 2), inside


def group_window(
    piece: Piece, length: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], GroupTargets]:
    """Return numbers of at most so many groups of a piece, played anew, and what is true."""
    taught, is_score = piece.drawn(random)
    notes, beats = taught.notes, taught.beats
    some = int(length * 2.5)  # notes: enough for a window of groups
    begin = int(random.integers(max(1, len(notes.onset_s) - some // 2)))
    notes = notes.at(slice(begin, begin + some))
    warp = _wandering(notes, random) if is_score else _steady(random)
    notes = _changed(notes, warp, random)
    beats = Annotation(warp(beats.time_s), beats.downbeat, beats.free, beats.quarters, beats.sharps)
    groups = grouped_onsets(notes)
    true = group_targets(groups.first_s, groups.time_s, beats)
    return groups.numbers[:length], GroupTargets._make(values[:length] for values in true)


def beat_window(
    piece: Piece, length: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], BeatTargets]:
    """Return numbers of at most so many beats of a piece, as they may be found, and what is true.

    Often they are twice or three times as many as they should be, or so many times fewer; some are
    missing, some too many, and for a while they may lie between the true ones.
    """
    taught, _ = piece.drawn(random)
    true_s = taught.beats.time_s
    begin = max(0, int(random.integers(-length // 3, max(1, len(true_s) - length // 2))))
    found_s = _misfound(true_s[begin : begin + 3 * length], random)[:length]
    first, last = np.searchsorted(taught.notes.onset_s, found_s[[0, -1]] + np.array((-8, 8)))
    warp = _steady(random)
    notes = _changed(taught.notes.at(slice(first, last)), warp, random)
    return beat_numbers(notes, warp(found_s)), beat_targets(found_s, taught.beats)


def _misfound(true_s: Floats, random: np.random.Generator) -> Floats:
    """Return beats as they may be found; at least two, of at least two."""
    times = int(random.choice((1, 2, 3, -2, -3), p=(0.53, 0.2, 0.07, 0.15, 0.05)))
    if times > 0:
        places = np.arange((len(true_s) - 1) * times + 1) / times
        found = np.interp(places, np.arange(len(true_s)), true_s)
    else:
        found = true_s[int(random.integers(-times)) :: -times]
    for _ in range(int(random.integers(1, 4)) if random.random() < 0.3 else 0):
        between = (found[1:] + found[:-1]) / 2
        at = int(random.integers(1, max(2, len(found) - 2)))
        end = at + int(random.integers(8, 40))
        kind = random.random()
        if kind < 0.4:
            found = np.delete(found, min(at, len(found) - 1))
        elif kind < 0.8:
            found = np.insert(found, at, between[at - 1 : at])
        else:
            found = np.concatenate((found[:at], between[at:end], found[end + 1 :]))
    found = found + random.normal(0, 0.008, len(found))
    kept = found[np.diff(found, prepend=-np.inf) > 0.04]
    return kept if len(kept) > 1 else true_s


def _steady(random: np.random.Generator) -> Warp:
    factor = math.exp(random.uniform(-TEMPO, TEMPO))
    return lambda time_s: time_s * factor


def _wandering(notes: Notes, random: np.random.Generator) -> Warp:
    """Return a tempo that wanders around one from half to twice that of the score."""
    begin_s, end_s = notes.onset_s[0], notes.onset_s[-1] + 1
    points = np.linspace(begin_s, end_s, max(2, int((end_s - begin_s) / 0.4)))
    steps = random.normal(0, random.uniform(0, 0.12), len(points))
    pace = np.zeros(len(points))
    for n in range(1, len(points)):
        pace[n] = 0.9 * pace[n - 1] + steps[n]
    lasts = np.exp(pace + random.uniform(-0.6, 0.6))[1:] * np.diff(points)
    warped = np.concatenate(([0.0], np.cumsum(lasts)))
    rate = lasts[0] / (points[1] - points[0]), lasts[-1] / (points[-1] - points[-2])
    return lambda time_s: (
        np.interp(time_s, points, warped)
        + rate[0] * np.minimum(time_s - begin_s, 0)
        + rate[1] * np.maximum(time_s - end_s, 0)
    )


def _changed(notes: Notes, warp: Warp, random: np.random.Generator) -> Notes:
    """Return notes at another tempo, in another key, some missing, some added."""
    kept = random.random(len(notes.onset_s)) >= (
        random.uniform(0, _MISSING) * (random.random() < 0.5)
    )
    kept[:1] = True
    notes = notes.at(kept)
    count = len(notes.onset_s)
    if not count:
        return notes
    onset_s = warp(notes.onset_s)
    length_s = np.maximum(warp(notes.onset_s + notes.length_s) - onset_s, 0.01)
    onset_s = onset_s + random.normal(0, random.uniform(0, 0.008), count)
    added = int(count * random.uniform(0, _ADDED) * (random.random() < 0.5))
    like = random.integers(count, size=added)
    louder = random.uniform(0.7, 1.2)
    lowest, highest = int(notes.pitch.min()), int(notes.pitch.max())
    most = LOWEST + KEYS - 1
    shift = int(random.integers(-min(_SHIFT, lowest - LOWEST), min(_SHIFT, most - highest) + 1))
    pitch = np.concatenate(
        (notes.pitch, notes.pitch[like] + random.choice((-12, -2, -1, 1, 2, 12), added))
    )
    onset_s = np.concatenate((onset_s, onset_s[like] + random.choice((0.0, 0.06, 0.12), added)))
    everything = np.concatenate((np.arange(count), like))
    order = np.argsort(onset_s, kind="stable")
    return Notes(
        onset_s[order],
        np.concatenate((length_s, length_s[like]))[order],
        np.clip(pitch[order] + shift, LOWEST, most),
        np.clip(notes.velocity[everything][order] * louder, 1, 127).astype(np.int64),
        notes.pedal[everything][order],
    )
