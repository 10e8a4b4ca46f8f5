"""Training of the network for beats, on performances with annotations.

A window is drawn by score first, then by performance, then by place, so that a piece that many have
played counts no more than others. It is played at another tempo (within `TEMPO`), in another key,
louder or softer, with some notes missing and some added. Now and then it is the score itself that
is played, at a tempo that wanders. Passages marked as free say nothing of beats.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from espressivo import midi
from espressivo.data import Annotated, Annotation, read_annotation
from espressivo.networks import BeatNetwork, BeatNetworkConfig
from espressivo.notation import (
    BEAT,
    COUNTS,
    DOWNBEAT,
    KEY,
    KEYS,
    LOWEST,
    METER,
    NUMBERS,
    OUTPUTS,
    PERIOD,
    QUARTERS,
    UNIT,
    Notes,
    grouped_onsets,
    notes_of,
)

__all__ = ["Targets", "Taught", "load_taught", "targets", "train_beats"]

TEMPO = 0.2  # a window is at most so much faster or slower, as a logarithm
_SHIFT = 6  # semitones
_MISSING, _ADDED = 0.1, 0.05  # at most of the notes
_SCORES = 0.15  # of the windows are the score, played evenly
_FALL = 0.7  # of the time, at the end, in which the rate of learning falls
_MEMORY = 0.99  # of the mean of the weights, which is what is kept
_NEAR_S = 0.07  # a group within this of a beat is on it


class Targets(NamedTuple):
    """What is true of each group; a weight of 0 says that it is not known.

    All have shape (groups,). `key`, `unit` and `meter` are indices, or -1.
    """

    beat: NDArray[np.float32]
    downbeat: NDArray[np.float32]
    known: NDArray[np.float32]
    period: NDArray[np.float32]
    key: NDArray[np.int64]
    unit: NDArray[np.int64]
    meter: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Taught:
    """The notes of a performance, and its beats."""

    notes: Notes
    beats: Annotation


def load_taught(path: Path, annotations: Path) -> Taught:
    """Read a performance and its annotations."""
    return Taught(notes_of(midi.read(path)), read_annotation(annotations))


def targets(
    first_s: NDArray[np.float64], time_s: NDArray[np.float64], beats: Annotation, shift: int = 0
) -> Targets:
    """Return what is true of groups, which begin at `first_s` and have their mean at `time_s`.

    Parameters
    ----------
    first_s, time_s : array, shape (groups,)
    beats : Annotation
        At the tempo of the groups.
    shift : int
        By how many semitones the groups were transposed.
    """
    groups = len(time_s)
    beat, downbeat, known = (np.zeros(groups, np.float32) for _ in range(3))
    period = np.zeros(groups, np.float32)
    key, unit, meter = (np.full(groups, -1) for _ in range(3))
    if groups and len(beats.time_s) > 1:
        for at_s, down in zip(beats.time_s, beats.downbeat, strict=True):
            near = slice(*np.searchsorted(time_s, (at_s - _NEAR_S, at_s + _NEAR_S)))
            if near.start < near.stop:
                away = np.minimum(abs(time_s[near] - at_s), abs(first_s[near] - at_s))
                nearest = near.start + int(np.argmin(away))
                beat[nearest] = 1
                downbeat[nearest] = max(downbeat[nearest], float(down))
        within = np.searchsorted(beats.time_s, time_s + 1e-3, "right") - 1
        inside = (within >= 0) & (time_s <= beats.time_s[-1] + _NEAR_S)
        at = np.clip(within, 0, len(beats.time_s) - 2)
        known = (inside & ~beats.free[at] & ~beats.free[at + 1]).astype(np.float32)
        period = np.log2(2 * np.diff(beats.time_s)[at]).astype(np.float32)
        sharps = beats.sharps[at]
        key = np.where(inside & (abs(sharps) <= 7), (sharps + 7 * shift) % 12, -1)
        quarters = beats.quarters[at]
        which = np.argmin(abs(quarters[:, None] - QUARTERS), axis=1)
        unit = np.where(inside & np.isfinite(quarters), which, -1)
        downs = np.flatnonzero(beats.downbeat)
        if len(downs) > 1:
            measure = np.searchsorted(downs, at, "right") - 1
            bar = np.clip(measure, 0, len(downs) - 2)
            count = np.diff(downs)[bar]
            whole = inside & (measure == bar) & (count <= COUNTS) & np.isfinite(quarters)
            meter = np.where(whole, count - 1, -1)
    return Targets(beat, downbeat, known, period, key, unit, meter)


class Windows:
    """Draws windows of performances, balanced by score."""

    def __init__(
        self, pieces: Sequence[tuple[Sequence[Taught], Taught | None]], length: int, seed: int
    ):
        self._pieces, self._length = pieces, length
        self._random = np.random.default_rng(seed)

    def batch(self, rows: int) -> tuple[Tensor, Targets]:
        """Return numbers, (rows, length, NUMBERS), and targets, each (rows, length)."""
        numbers = np.zeros((rows, self._length, NUMBERS), np.float32)
        fields = []
        for row in range(rows):
            drawn, true = self._window()
            numbers[row, : len(drawn)] = drawn
            fields.append(true)
        padded = Targets._make(self._padded(name, fields) for name in Targets._fields)
        return torch.from_numpy(numbers), padded

    def _padded(self, name: str, rows: list[Targets]) -> NDArray[Any]:
        nothing = -1 if name in ("key", "unit", "meter") else 0
        first = getattr(rows[0], name)
        whole: NDArray[Any] = np.full((len(rows), self._length), nothing, first.dtype)
        for row, true in zip(whole, rows, strict=True):
            values = getattr(true, name)
            row[: len(values)] = values
        return whole

    def _window(self) -> tuple[NDArray[np.float32], Targets]:
        random = self._random
        takes, score = self._pieces[int(random.integers(len(self._pieces)))]
        from_score = score is not None and random.random() < _SCORES
        taught = score if from_score and score else takes[int(random.integers(len(takes)))]
        notes, beats = taught.notes, taught.beats
        some = int(self._length * 2.5)  # notes: enough for a window of groups
        begin = int(random.integers(max(1, len(notes.onset_s) - some // 2)))
        notes = notes.at(slice(max(0, begin), begin + some))
        warp = self._wandering(notes) if from_score else self._steady()
        notes, shift = self._changed(notes, warp)
        beats = Annotation(
            warp(beats.time_s), beats.downbeat, beats.free, beats.quarters, beats.sharps
        )
        groups = grouped_onsets(notes)
        true = targets(groups.first_s, groups.time_s, beats, shift)
        end = self._length
        return groups.numbers[:end], Targets._make(values[:end] for values in true)

    def _steady(self) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        factor = math.exp(self._random.uniform(-TEMPO, TEMPO))
        return lambda time_s: time_s * factor

    def _wandering(self, notes: Notes) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        """Return a tempo that wanders around one from half to twice that of the score."""
        random = self._random
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

    def _changed(
        self, notes: Notes, warp: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> tuple[Notes, int]:
        random = self._random
        count = len(notes.onset_s)
        kept = random.random(count) >= random.uniform(0, _MISSING) * (random.random() < 0.5)
        kept[0] = True
        notes = notes.at(kept)
        count = len(notes.onset_s)
        onset_s = warp(notes.onset_s)
        length_s = np.maximum(warp(notes.onset_s + notes.length_s) - onset_s, 0.01)
        onset_s = onset_s + random.normal(0, random.uniform(0, 0.008), count)
        added = int(count * random.uniform(0, _ADDED) * (random.random() < 0.5))
        like = random.integers(count, size=added)
        louder = random.uniform(0.7, 1.2)
        lowest, highest = int(notes.pitch.min()), int(notes.pitch.max())
        shift = int(
            random.integers(
                -min(_SHIFT, lowest - LOWEST), min(_SHIFT, LOWEST + KEYS - 1 - highest) + 1
            )
        )
        pitch = np.concatenate(
            (notes.pitch, notes.pitch[like] + random.choice((-12, -2, -1, 1, 2, 12), added))
        )
        onset_s = np.concatenate((onset_s, onset_s[like] + random.choice((0.0, 0.06, 0.12), added)))
        everything = np.concatenate((np.arange(count), like))
        order = np.argsort(onset_s, kind="stable")
        return Notes(
            onset_s[order],
            np.concatenate((length_s, length_s[like]))[order],
            np.clip(pitch[order] + shift, LOWEST, LOWEST + KEYS - 1),
            np.clip(notes.velocity[everything][order] * louder, 1, 127).astype(np.int64),
            notes.pedal[everything][order],
        ), shift


def losses(said: Tensor, true: Targets) -> dict[str, Tensor]:
    """Return the losses of what was said, (B, T, OUTPUTS), each a mean over what is known."""
    beat, downbeat, known, period = (torch.as_tensor(values) for values in true[:4])
    total = known.sum().clamp_min(1)
    onset = functional.binary_cross_entropy_with_logits

    def mean(values: Tensor) -> Tensor:
        return (values * known).sum() / total

    found = {
        "beat": mean(onset(said[..., BEAT], beat, reduction="none")),
        "downbeat": mean(onset(said[..., DOWNBEAT], downbeat, reduction="none")),
        "period": mean((said[..., PERIOD] - period).abs()),
    }
    for name, part in (("key", KEY), ("unit", UNIT), ("meter", METER)):
        index = torch.as_tensor(getattr(true, name)).flatten()
        logits = said[..., part].flatten(0, 1)
        found[name] = functional.cross_entropy(logits, index, ignore_index=-1, reduction="sum") / (
            index >= 0
        ).sum().clamp_min(1)
    return found


_SHARE = {"beat": 1.0, "downbeat": 1.0, "period": 0.3, "key": 0.15, "unit": 0.1, "meter": 0.15}


def train_beats(
    files: Sequence[Annotated],
    held_out: Sequence[Annotated],
    out: Path,
    *,
    seconds: float,
    rows: int = 8,
    length: int = 384,
    rate: float = 1.5e-3,
    seed: int = 0,
    tell: Callable[[str], None] = print,
) -> BeatNetwork:
    """Train a network for so long; its weights are written to `out` now and then.

    Parameters
    ----------
    files, held_out : sequence of Annotated
        To learn from, and to report the loss of.
    out : path
        Replaced every now and then and at the end: a dict of `config` and `weights`. If it is there
        at the beginning, its weights are what training goes on from.
    seconds : float
        Of the processor's time; the rate falls to nothing over the last of it.
    rows, length : int
        Windows in a batch, and groups in a window.
    rate : float
        Highest rate of learning, of AdamW.
    seed : int
    tell : function
        Takes a line of progress.
    """
    torch.manual_seed(seed)
    network = BeatNetwork(BeatNetworkConfig(NUMBERS, OUTPUTS))
    if out.exists():
        network.load_state_dict(torch.load(out, weights_only=True)["weights"])
    windows = Windows(_by_piece(files), length, seed)
    probe = Windows(_by_piece(held_out), length, seed)
    checks = [probe.batch(rows) for _ in range(8)]
    mean = BeatNetwork(network.config)
    mean.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.01)
    begun = saved = time.process_time()
    update = 0
    recent: list[float] = []
    while (share := (time.process_time() - begun) / seconds) < 1:
        warm = min(1.0, (update + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = rate * warm * min(1.0, (1 - share) / _FALL)
        numbers, true = windows.batch(rows)
        with torch.autocast("cpu", torch.bfloat16):
            said = network(numbers)
        parts = losses(said.float(), true)
        loss = torch.stack([_SHARE[name] * part for name, part in parts.items()]).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for kept, now in zip(mean.parameters(), network.parameters(), strict=True):
                kept.lerp_(now, 1 - _MEMORY)
        recent.append(float(loss.detach()))
        update += 1
        if time.process_time() - saved > 60:
            saved = time.process_time()
            _save(mean, out)
            found = _check(mean, checks)
            tell(f"{update} {saved - begun:.0f} s {np.mean(recent):.3f} {found}")
            recent = []
    _save(mean, out)
    tell(f"{update} at the end {_check(mean, checks)}")
    return mean


def _by_piece(files: Sequence[Annotated]) -> list[tuple[list[Taught], Taught | None]]:
    pieces: dict[str, list[Annotated]] = {}
    for file in files:
        pieces.setdefault(file.piece, []).append(file)
    found = []
    for takes in pieces.values():
        score = takes[0].score
        beside = None if score is None else score.with_name("midi_score_annotations.txt")
        found.append(
            (
                [load_taught(take.path, take.annotations) for take in takes],
                load_taught(score, beside) if score and beside else None,
            )
        )
    return found


def _check(network: BeatNetwork, batches: Sequence[tuple[Tensor, Targets]]) -> str:
    network.eval()
    with torch.no_grad():
        found = [losses(network(numbers), true) for numbers, true in batches]
    return " ".join(
        f"{name} {np.mean([float(parts[name]) for parts in found]):.3f}" for name in found[0]
    )


def _save(network: BeatNetwork, out: Path) -> None:
    temporary = out.with_suffix(".new")
    torch.save({"config": asdict(network.config), "weights": network.state_dict()}, temporary)
    temporary.replace(out)
