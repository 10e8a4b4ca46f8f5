"""Music: what a model plays, held against what people play.

Likeness stands between two marks: human against human playing, and the same pieces without any
expression. Signs of going astray, and notes taken from training pieces, stand beside the human
share of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.codes import Vocabulary
from espressivo.data import Dataset
from espressivo.evaluation import degeneration, statistics
from espressivo.evaluation.degeneration import signs
from espressivo.evaluation.likelihood import loaded
from espressivo.evaluation.memorisation import Memory, Run
from espressivo.evaluation.pieces import Piece, collect
from espressivo.evaluation.statistics import Ceiling, Comparison
from espressivo.music import FEATURES, Features, Performance, measure
from espressivo.progress import Progress, Silent

__all__ = ["COPIED", "Copies", "Line", "Music", "Sample", "listen", "play", "remembered"]

COPIED = 32
"""A run of more notes than this, shared with a training piece, is a copy."""

_PIECES = 200  # human pieces to cut windows out of, at most
_WINDOWS = 60  # human windows, at least


@dataclass(frozen=True)
class Sample:
    """A performance that a model played.

    Parameters
    ----------
    seed : int
        Of its generation.
    performance : Performance
    likeness : float
        How far it overlaps with human windows, 0..1: the mean of ``pooled_overlap`` over all
        features it has.
    run : Run, optional
        The longest run of notes that it shares with a training piece, where that was looked for
        and there is one.
    """

    seed: int
    performance: Performance
    likeness: float
    run: Run | None


@dataclass(frozen=True)
class Line:
    """How a model's windows compare with human ones in one feature, between ceiling and floor.

    There is no ceiling where the human pieces are too few to be halved.
    """

    feature: str
    model: Comparison
    ceiling: Ceiling | None
    floor: Comparison


@dataclass(frozen=True)
class Copies:
    """How many successive notes windows share with some training piece, at most; 0 for none.

    Parameters
    ----------
    pieces : int
        Training pieces.
    model, human : tuple of int
        For each sample, and for each human window.
    """

    pieces: int
    model: tuple[int, ...]
    human: tuple[int, ...]

    def figures(self) -> dict[str, tuple[float, float]]:
        """Return median and greatest length, and share of copies, of model and human windows."""
        sides = np.array(self.model), np.array(self.human)
        return {
            "median run": (float(np.median(sides[0])), float(np.median(sides[1]))),
            "longest run": (float(sides[0].max()), float(sides[1].max())),
            "share": (float((sides[0] > COPIED).mean()), float((sides[1] > COPIED).mean())),
        }


@dataclass(frozen=True)
class Music:
    """What a model's samples are like.

    Parameters
    ----------
    seconds : float
        Length of all windows.
    pieces, windows : int
        Human pieces and windows that they are held against.
    lines : tuple of Line
        By feature, of those that the model's and the flat windows have.
    samples : tuple of Sample
        The most like human playing first.
    astray : dict of str to tuple of float
        For each of `espressivo.evaluation.degeneration.SIGNS` the share of samples, and of human
        windows, that show it.
    copies : Copies, optional
        Where training pieces were given.
    shares : dict of str to tuple of float64 arrays
        For each feature the shares of its bins: human, model, flat.
    """

    seconds: float
    pieces: int
    windows: int
    lines: tuple[Line, ...]
    samples: tuple[Sample, ...]
    astray: dict[str, tuple[float, float]]
    copies: Copies | None
    shares: dict[str, tuple[NDArray[np.float64], ...]]


def play(
    source: str,
    count: int,
    seconds: float,
    *,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[Performance]:
    """Let a model play performances of so many seconds, with the seeds ``seed, seed + 1, ...``.

    Nothing is set, so the temperatures are the usual ones and nothing is cut off; from silence,
    ended after exactly that time. As always, a note is ended that has sounded for 10 s.
    """
    progress = progress or Silent()
    progress.start(count, "samples", "playing")
    played = []
    try:
        run = map if executor is None else executor.map
        seeds = range(seed, seed + count)
        for performance in run(_play_one, [source] * count, [seconds] * count, seeds):
            played.append(performance)
            progress.advance()
    finally:
        progress.close()
    return played


def _play_one(source: str, seconds: float, seed: int) -> Performance:
    return loaded(source).generate(seconds=seconds, seed=seed, ending="cut")


def listen(
    played: Sequence[Performance],
    pieces: Sequence[Piece],
    vocabulary: Vocabulary,
    memory: Memory | None,
    seconds: float,
    seed: int,
) -> Music:
    """Compare what a model played with windows of human pieces, at most 200 of them.

    Parameters
    ----------
    played : sequence of Performance
        The model's, of so many seconds each; number `i` was made with ``seed + i``.
    pieces : sequence of Piece
    vocabulary : Vocabulary
        The model's: human windows go through it too, so that no grid step tells them
        apart.
    memory : Memory, optional
        The training pieces; without it, copies are not looked for.
    seconds : float
        Length of a window.
    seed : int
        Of the choice of pieces and windows.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(pieces))[:_PIECES]).tolist()
    human = [vocabulary.quantise(midi.read(pieces[i].path)) for i in chosen]
    each = math.ceil(_WINDOWS / len(human))
    windows = statistics.windows(human, seconds, rng, each)
    compositions = [pieces[i].composition for i in chosen for _ in range(each)]
    theirs = [measure(window, seconds) for window in windows]
    flat = [measure(statistics.flat(window), seconds) for window in windows]
    ours = [measure(performance, seconds) for performance in played]
    model, floor = statistics.compare(ours, theirs), statistics.compare(flat, theirs)
    ceiling = statistics.ceiling(theirs, compositions, rng)
    runs, human_runs = (
        [None if memory is None else memory.longest(one) for one in side]
        for side in (played, windows)
    )
    copies = None
    if memory is not None:
        copies = Copies(len(memory.names), _lengths(runs), _lengths(human_runs))
    astray, human_astray = (
        degeneration.shares([signs(one, seconds) for one in side]) for side in (played, windows)
    )
    return Music(
        seconds,
        len(human),
        len(windows),
        tuple(
            Line(name, model[name], ceiling.get(name), floor[name])
            for name in FEATURES
            if name in model and name in floor
        ),
        _ranked(played, ours, theirs, runs, seed),
        {name: (astray[name], human_astray[name]) for name in astray},
        copies,
        {name: tuple(_shares(side, name) for side in (theirs, ours, flat)) for name in model},
    )


def remembered(
    train: Path,
    vocabulary: Vocabulary,
    *,
    csv: Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Memory:
    """Index the training pieces in a prepared dataset, or in a folder of MIDI files.

    With a CSV, only the files that it has in the split ``train`` are taken from a folder.
    """
    if (train / "dataset.json").is_file():
        return Memory.of_dataset(Dataset(train), progress=progress)
    split = "train" if csv else None
    pieces = collect(
        [train], vocabulary, csv=csv, split=split, executor=executor, progress=progress
    ).found
    return Memory.of((piece.name, midi.read(piece.path)) for piece in pieces)


def _lengths(runs: Sequence[Run | None]) -> tuple[int, ...]:
    return tuple(0 if run is None else run.notes for run in runs)


def _ranked(
    played: Sequence[Performance],
    ours: Sequence[Features],
    theirs: Sequence[Features],
    runs: Sequence[Run | None],
    seed: int,
) -> tuple[Sample, ...]:
    samples = []
    for number, (performance, features, run) in enumerate(zip(played, ours, runs, strict=True)):
        overlaps = [one.pooled_overlap for one in statistics.compare([features], theirs).values()]
        likeness = float(np.mean(overlaps)) if overlaps else 0.0
        samples.append(Sample(seed + number, performance, likeness, run))
    return tuple(sorted(samples, key=lambda sample: (-sample.likeness, sample.seed)))


def _shares(windows: Sequence[Features], name: str) -> NDArray[np.float64]:
    counts = np.sum([one.counts[name] for one in windows], axis=0)
    return np.asarray(counts / max(counts.sum(), 1))
