"""Music: what a model plays, held against what people play.

Beside people's own figures stand those of people's clips with the notes dealt anew, without any
expression, of a loop and of a drone (`REFERENCES`): a measure that cannot tell these from people
says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.codes import Vocabulary
from espressivo.data import Dataset
from espressivo.evaluation import statistics
from espressivo.evaluation.intervals import Estimate, estimate
from espressivo.evaluation.kept import Kept
from espressivo.evaluation.likelihood import loaded
from espressivo.evaluation.memorisation import Memory, Run
from espressivo.evaluation.pieces import Piece, collect
from espressivo.evaluation.references import REFERENCES
from espressivo.evaluation.statistics import Ceiling, Comparison
from espressivo.evaluation.table import (
    BESIDE_PEOPLE,
    COPIED,
    PEOPLE,
    beside_people,
    figures,
    gathered,
    verdicts,
)
from espressivo.music import (
    CONTROL_DTYPE,
    FEATURES,
    NOTE_DTYPE,
    Amount,
    Features,
    Performance,
    Take,
    measure,
    measured,
    shared_patterns,
    window_starts,
)
from espressivo.progress import Progress, Silent

__all__ = [
    "CLOSE_S",
    "Clip",
    "Line",
    "Music",
    "Sample",
    "clips",
    "continuations",
    "listen",
    "play",
    "remembered",
]

CLOSE_S = 6.0
"""So much longer than their clips are samples, so that the clip is not yet the close."""

_PIECES = 200  # human pieces to cut clips out of, at most
_PRIMER_S = 20.0
_CONTINUATION_S = 40.0
_PATTERN = 5  # notes that are looked for in a primer

_Numbers = NDArray[np.float64]


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


@dataclass(frozen=True, eq=False)
class Line:
    """How a model's clips compare with human ones in one feature, between ceiling and floor.

    Parameters
    ----------
    feature : str
        One of `FEATURES`.
    model : Comparison
    overlap : Estimate
        The model's overlap with its interval.
    replicates : float64 array, shape (200,)
        The overlap in bootstrap samples; see `statistics.overlaps`.
    ceiling : Ceiling, optional
        None where the human pieces are too few to be halved.
    floor : Comparison
        Of the human clips without expression.
    """

    feature: str
    model: Comparison
    overlap: Estimate
    replicates: _Numbers
    ceiling: Ceiling | None
    floor: Comparison


@dataclass(frozen=True, eq=False)
class Music:
    """What a model's samples are like.

    Parameters
    ----------
    seconds : float
        Length of all clips.
    pieces : int
        Human pieces that they are held against, with a clip of each.
    lines : tuple of Line
        By feature, of those that the model's and the flat clips have.
    samples : tuple of Sample
        The most like human playing first.
    model, people : dict of str to float64 array, shape (clips, 2)
        See `espressivo.evaluation.table.Amounts`.
    references : dict of str to dict of str to Estimate
        The figures of `REFERENCES`.
    beside_people : dict of str to dict of str to str
        Whether these differ from people's.
    shares : dict of str to tuple of float64 arrays
        For each feature the shares of its bins: human, model, flat.
    """

    seconds: float
    pieces: int
    lines: tuple[Line, ...]
    samples: tuple[Sample, ...]
    model: dict[str, _Numbers]
    people: dict[str, _Numbers]
    references: dict[str, dict[str, Estimate]]
    beside_people: dict[str, dict[str, str]]
    shares: dict[str, tuple[_Numbers, ...]]


@dataclass(frozen=True)
class Clip:
    """A clip of a person's playing, as a vocabulary keeps it, and what is made of it.

    Parameters
    ----------
    performance : Performance
    features, flat : Features
        Of the clip, and of the same without expression.
    amounts : dict of str to Amount
    references : dict of str to dict of str to Amount
        By name of `REFERENCES`.
    """

    performance: Performance
    features: Features
    flat: Features
    amounts: dict[str, Amount]
    references: dict[str, dict[str, Amount]]


def play(
    source: str,
    count: int,
    seconds: float,
    *,
    seed: int = 0,
    executor: Executor | None = None,
    kept: Kept | None = None,
    progress: Progress | None = None,
) -> list[Performance]:
    """Let a model play performances of so many seconds, with the seeds ``seed, seed + 1, ...``.

    Nothing is set, so the temperatures are the usual ones and nothing is cut off; from silence,
    with its natural close. As always, a note is ended that has sounded for 10 s.
    """
    kept = kept or Kept()
    names = {f"seed {one}": one for one in range(seed, seed + count)}
    tasks = [(source, seconds, one) for name, one in names.items() if name not in kept]
    for one, performance in _told(_play_one, tasks, "samples", "playing", executor, progress):
        kept.keep(f"seed {one}", _plain(performance))
    return [_performance(*kept[name]) for name in names]


def _play_one(source: str, seconds: float, seed: int) -> tuple[int, Performance]:
    return seed, loaded(source).generate(seconds=seconds, seed=seed)


def _plain(performance: Performance) -> list[Any]:
    return [performance.notes.tolist(), performance.controls.tolist()]


def _performance(notes: list[list[float]], controls: list[list[float]]) -> Performance:
    return Performance(
        np.array([tuple(note) for note in notes], NOTE_DTYPE),
        np.array([tuple(control) for control in controls], CONTROL_DTYPE),
    )


def continuations(
    source: str,
    count: int,
    pieces: Sequence[Piece],
    *,
    seed: int = 0,
    executor: Executor | None = None,
    kept: Kept | None = None,
    progress: Progress | None = None,
) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Let a model go on for 40 s from 20 s of a piece, to see how much of these comes back.

    Returns
    -------
    model, people, unrelated : float64 arrays, shape (continuations, 2)
        How many patterns of 5 notes were in the primer, and how many there are: in what the model
        plays, in how the piece goes on, and in another piece.
    """
    kept, rng = kept or Kept(), np.random.default_rng(seed)
    cut = []
    for index in rng.permutation(len(pieces)).tolist():
        piece = midi.read(pieces[index].path)
        room_s = piece.seconds - _PRIMER_S - _CONTINUATION_S
        if room_s < 0:
            continue
        begin_s = float(rng.random() * room_s)
        middle_s = begin_s + _PRIMER_S
        after = piece.slice(middle_s, middle_s + _CONTINUATION_S)
        cut.append((piece.slice(begin_s, middle_s), after))
        if len(cut) == count:
            break
    names = [
        f"continuation {seed + number} {_digest(cut[number][0])}" for number in range(len(cut))
    ]
    tasks = [
        (source, primer, seed + number, name)
        for number, ((primer, _), name) in enumerate(zip(cut, names, strict=True))
        if name not in kept
    ]
    for name, one in _told(_continue_one, tasks, "continuations", "continuing", executor, progress):
        kept.keep(name, _plain(one))
    played = [_performance(*kept[name]) for name in names]
    others = [*cut[1:], *cut[:1]]
    found = [
        [shared_patterns(continuation, primer, _PATTERN) for continuation in (mine, own, another)]
        for mine, (primer, own), (_, another) in zip(played, cut, others, strict=True)
    ]
    model, people, unrelated = np.array(found, np.float64).reshape(-1, 3, 2).transpose(1, 0, 2)
    return model, people, unrelated


def _continue_one(
    source: str, primer: Performance, seed: int, name: str
) -> tuple[str, Performance]:
    model = loaded(source)
    return name, model.generate(primer=primer, seconds=_CONTINUATION_S, ending="cut", seed=seed)


def _digest(performance: Performance) -> str:
    return hashlib.sha256(repr(_plain(performance)).encode()).hexdigest()[:16]


def clips(
    pieces: Sequence[Piece],
    vocabulary: Vocabulary,
    seconds: float,
    each: int = 1,
    *,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[list[Clip]]:
    """Cut clips of so many seconds out of every piece, at random, and measure them.

    See `espressivo.music.window_starts`. A piece that is shorter than a clip is taken whole.
    """
    tasks = [
        (piece.path, vocabulary, seconds, each, [seed, number])
        for number, piece in enumerate(pieces)
    ]
    return list(_told(_clips_of, tasks, "pieces", "listening", executor, progress))


def _clips_of(
    path: Path, vocabulary: Vocabulary, seconds: float, each: int, seed: list[int]
) -> list[Clip]:
    whole = vocabulary.quantise(midi.read(path))
    found = []
    for start_s in window_starts(whole, seconds, np.random.default_rng(seed), each).tolist():
        take = Take(whole, seconds, start_s)
        clip = take.clip
        made = {name: make(clip, seconds) for name, make in REFERENCES.items()}
        found.append(
            Clip(
                clip,
                measure(clip, seconds),
                measure(made["flat"], seconds),
                measured(take),
                {name: measured(Take(one, seconds)) for name, one in made.items()},
            )
        )
    return found


def _told(
    function: Any,
    tasks: Sequence[tuple[Any, ...]],
    unit: str,
    doing: str,
    executor: Executor | None,
    progress: Progress | None,
) -> Iterator[Any]:
    """Yield what a function makes of each task, and tell how many are done."""
    progress = progress or Silent()
    progress.start(len(tasks), unit, doing)
    try:
        run = map if executor is None else executor.map
        for result in run(function, *zip(*tasks, strict=True)) if tasks else ():
            yield result
            progress.advance()
    finally:
        progress.close()


def listen(
    played: Sequence[Performance],
    pieces: Sequence[Piece],
    vocabulary: Vocabulary,
    memory: Memory | None,
    seconds: float,
    seed: int,
    *,
    own: tuple[_Numbers, _Numbers, _Numbers] | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Music:
    """Compare what a model played with clips of human pieces, at most 200 of them.

    Parameters
    ----------
    played : sequence of Performance
        The model's, of `seconds` and `CLOSE_S` each; number `i` was made with ``seed + i``.
    pieces : sequence of Piece
    vocabulary : Vocabulary
        The model's: human pieces go through it too, so that no grid step tells them
        apart.
    memory : Memory, optional
        The training pieces; without it, copies are not looked for.
    seconds : float
        Length of a clip.
    seed : int
        Of the choice of pieces and clips.
    own : tuple of arrays, optional
        What `continuations` returned.
    """
    rng = np.random.default_rng(seed)
    chosen = [pieces[i] for i in np.sort(rng.permutation(len(pieces))[:_PIECES])]
    human = [
        clip
        for (clip,) in clips(
            chosen, vocabulary, seconds, seed=seed, executor=executor, progress=progress
        )
    ]
    takes = [Take(one, seconds, requested_s=seconds + CLOSE_S) for one in played]
    theirs, flat = [one.features for one in human], [one.flat for one in human]
    ours = [measure(take.clip, seconds) for take in takes]
    model, people = (
        gathered([measured(take) for take in takes]),
        gathered([one.amounts for one in human]),
    )
    made = {name: gathered([one.references[name] for one in human]) for name in REFERENCES}
    if own is not None:
        model["own_material"], people["own_material"], made["shuffled"]["own_material"] = own
    runs: list[Run | None] = [None] * len(played)
    if memory is not None:
        runs = [memory.longest(take.clip) for take in takes]
        model |= _copies(runs)
        people |= _copies([memory.longest(one.performance) for one in human])
    figures_of = {name: figures(of, seed=PEOPLE) for name, of in made.items()}
    own_figures = figures(people, seed=PEOPLE)
    overlap, floor = statistics.compare(ours, theirs), statistics.compare(flat, theirs)
    replicates = statistics.overlaps(ours, theirs)
    ceiling = statistics.ceiling(theirs, [piece.composition for piece in chosen], rng)
    return Music(
        seconds,
        len(chosen),
        tuple(
            Line(
                name,
                overlap[name],
                estimate(overlap[name].overlap, replicates[name]),
                replicates[name],
                ceiling.get(name),
                floor[name],
            )
            for name in FEATURES
            if name in overlap and name in floor
        ),
        _ranked(played, ours, theirs, runs, seed),
        model,
        people,
        {name: {row: figure for row, (figure, _) in of.items()} for name, of in figures_of.items()},
        {
            name: verdicts(beside_people(of, own_figures), *BESIDE_PEOPLE)
            for name, of in figures_of.items()
        },
        {name: tuple(_shares(side, name) for side in (theirs, ours, flat)) for name in overlap},
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


def _copies(runs: Sequence[Run | None]) -> dict[str, _Numbers]:
    """Return the amounts of the longest shared runs, 0 where there is none."""
    lengths = np.array([0 if run is None else run.notes for run in runs], np.float64)
    ones = np.ones(len(runs))
    return {
        "shared_run": np.stack((lengths, ones), axis=1),
        "copied": np.stack((lengths > COPIED, ones), axis=1),
    }


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


def _shares(windows: Sequence[Features], name: str) -> _Numbers:
    counts = np.sum([one.counts[name] for one in windows], axis=0)
    return np.asarray(counts / max(counts.sum(), 1))
