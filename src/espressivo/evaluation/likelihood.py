"""Likelihood: how well a model predicts each event of whole pieces, given all before it.

Nothing is augmented, cut or scored twice. Sums are taken piece by piece in 64 bits and added up
in the order of the pieces: neither how many are read side by side nor how many processes work
changes any figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.codes import (
    KINDS,
    NOTE_ON,
    Ids,
    Vocabulary,
    grid_steps,
)
from espressivo.errors import ModelError
from espressivo.evaluation.baselines import opened
from espressivo.evaluation.intervals import Estimate, resamples, share
from espressivo.evaluation.kept import Kept
from espressivo.evaluation.pieces import Piece
from espressivo.play import Model
from espressivo.progress import Progress, Silent

__all__ = [
    "POSITIONS",
    "Likelihood",
    "Row",
    "Score",
    "loaded",
    "predicted",
    "score",
    "summarise",
]

POSITIONS = (0, 10, 100, 500, 1000, 2000, 5000, 10_000, 20_000)
"""Where in a piece, counted in events, the parts begin that are also summed apart."""

_ROWS = 4  # pieces side by side: more are hardly faster, and tell less of progress
_CHUNK = 256  # events read at a time

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Score:
    """Sums over one piece.

    Parameters
    ----------
    name, sha256 : str
        Of the `Piece`.
    notes : int
        Note-ons.
    seconds : float
        Until the last event.
    by_class : float64 array, shape (number of kinds, 4)
        For each of `KINDS` the number of events, their nats, and how many of them were the
        likeliest event, or one of the five likeliest, of those that could be predicted.
    by_position : float64 array, shape (9, 4)
        The same for each part that begins at one of `POSITIONS`.
    """

    name: str
    sha256: str
    notes: int
    seconds: float
    by_class: _Numbers
    by_position: _Numbers

    @property
    def sums(self) -> _Numbers:
        """Events, nats, first and among the first five, shape (4,)."""
        return np.asarray(self.by_class.sum(axis=0))


@dataclass(frozen=True)
class Row:
    """Figures of some of the events: nats per event, and accuracies as shares."""

    name: str
    events: int
    nats: Estimate
    top1: float
    top5: float


@dataclass(frozen=True)
class Likelihood:
    """How well a model predicts pieces. Nats are natural logarithms; less is better.

    Parameters
    ----------
    pieces, events, notes : int
        What was scored.
    seconds : float
        Of music.
    nats : float
        Of all events together.
    per_event, per_note, per_second : Estimate
        Nats. Models of different vocabularies can be compared by the latter two alone.
    top1, top5 : Estimate
        Share of events that were the likeliest, or among the five likeliest. Of equally likely
        ones that with the lower id comes first.
    by_class, by_position : tuple of Row
        The same by kind of event, and by position in the piece.
    """

    pieces: int
    events: int
    notes: int
    seconds: float
    nats: float
    per_event: Estimate
    per_note: Estimate
    per_second: Estimate
    top1: Estimate
    top5: Estimate
    by_class: tuple[Row, ...]
    by_position: tuple[Row, ...]


def score(
    source: str,
    pieces: Sequence[Piece],
    *,
    first_events: int | None = None,
    executor: Executor | None = None,
    workers: int = 1,
    kept: Kept | None = None,
    progress: Progress | None = None,
) -> list[Score]:
    """Score pieces.

    Parameters
    ----------
    source : str
        A model, as `espressivo.evaluation.opened` takes it.
    pieces : sequence of Piece
    first_events : int, optional
        Score only so many of each piece: quick, and comparable with the like alone.
    executor : concurrent.futures.Executor, optional
        Where it is done; by default in this process.
    workers : int
        How many processes the executor has.
    kept : Kept, optional
        Scores of a run that was stopped; new ones are added.
    progress : Progress, optional

    Returns
    -------
    list of Score
        In the order of `pieces`.

    Raises
    ------
    ModelError
        If the model cannot be loaded, or gives what is no probability.
    """
    progress, kept = progress or Silent(), kept or Kept()
    left = [piece for piece in pieces if piece.sha256 not in kept]
    progress.start(sum(_events(piece, first_events) for piece in left), "events", "scoring")
    try:
        for scored in _in_groups(source, left, first_events, executor, workers):
            for one in scored:
                kept.keep(one.sha256, [one.notes, one.seconds, *_plain(one)])
            progress.advance(sum(int(one.sums[0]) for one in scored))
    finally:
        progress.close()
    return [_score(piece, kept[piece.sha256]) for piece in pieces]


def _plain(one: Score) -> list[list[list[float]]]:
    return [one.by_class.tolist(), one.by_position.tolist()]


def _score(piece: Piece, kept: tuple[int, float, list[list[float]], list[list[float]]]) -> Score:
    notes, seconds, by_class, by_position = kept
    return Score(
        piece.name, piece.sha256, notes, seconds, np.array(by_class), np.array(by_position)
    )


def _in_groups(
    source: str,
    pieces: Sequence[Piece],
    first_events: int | None,
    executor: Executor | None,
    workers: int,
) -> Iterator[list[Score]]:
    """Score pieces of like length side by side, the longest first."""
    rows = max(1, min(_ROWS, len(pieces) // workers))
    order = sorted(pieces, key=lambda piece: -_events(piece, first_events))
    groups = [order[start : start + rows] for start in range(0, len(order), rows)]
    if executor is None:
        for group in groups:
            yield _score_group(source, group, first_events)
        return
    futures = [executor.submit(_score_group, source, group, first_events) for group in groups]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _events(piece: Piece, first_events: int | None) -> int:
    return min(piece.events, first_events or piece.events)


@lru_cache(maxsize=1)
def loaded(source: str) -> Model:
    """Load a model, once in each process."""
    return opened(source)


def _score_group(source: str, pieces: list[Piece], first_events: int | None) -> list[Score]:
    model = loaded(source)
    v = model.vocabulary
    sequences = [v.encode(midi.read(piece.path))[:first_events] for piece in pieces]
    return [
        _sums(piece, ids, *marks, v)
        for piece, ids, marks in zip(pieces, sequences, predicted(model, sequences), strict=True)
    ]


def predicted(model: Model, sequences: Sequence[Ids]) -> list[tuple[_Numbers, NDArray[np.int64]]]:
    """Read sequences side by side; return nats and rank of each of their events.

    The nats of an event are ``-log p`` given those before it; its rank is the number of events
    that were likelier, or as likely with a lower id.
    """
    nothing, lengths = model.vocabulary.size, [len(ids) for ids in sequences]
    ids = np.full((max(lengths) + 1, len(sequences)), nothing, np.int64)
    for row, sequence in enumerate(sequences):
        ids[1 : len(sequence) + 1, row] = sequence
    nats, ranks = np.empty(ids.shape), np.empty(ids.shape, np.int64)
    state = model.engine.initial_state(len(sequences))
    pointers = None
    if model.engine.pointers:
        pointers = np.zeros((*ids.shape, model.engine.pointers), np.float32)
        for row, sequence in enumerate(sequences):
            pointers[: len(sequence) + 1, row] = model.engine.pointed(sequence)
    rows = np.arange(len(sequences))
    for start in range(0, max(lengths), _CHUNK):
        goes_on = np.array(lengths)[rows] > start
        if not goes_on.all():
            rows, state = rows[goes_on], tuple(array[:, goes_on] for array in state)
        end = min(start + _CHUNK, max(lengths))
        said = None if pointers is None else pointers[start:end, rows]
        logits, state = model.engine.run(ids[start:end, rows], state, pointers=said)  # (T, B, size)
        targets = np.minimum(ids[start + 1 : end + 1, rows], nothing - 1)  # pads are not counted
        nats[start:end, rows], ranks[start:end, rows] = _marks(logits, targets[..., None])
    return [(nats[:length, row], ranks[:length, row]) for row, length in enumerate(lengths)]


def _marks(
    logits: NDArray[np.float32], targets: NDArray[np.int64]
) -> tuple[_Numbers, NDArray[np.int64]]:
    target = np.take_along_axis(logits, targets, axis=-1)
    likelier = (logits > target) | ((logits == target) & (np.arange(logits.shape[-1]) < targets))
    highest = logits.max(axis=-1, keepdims=True).astype(np.float64)
    total = np.exp(logits - highest).sum(axis=-1)
    return np.log(total) + (highest - target)[..., 0], likelier.sum(axis=-1)


def _sums(piece: Piece, ids: Ids, nats: _Numbers, ranks: NDArray[np.int64], v: Vocabulary) -> Score:
    if not np.isfinite(nats).all():
        raise ModelError(
            f"the model gives event {np.flatnonzero(~np.isfinite(nats))[0]} of {piece.name} no "
            "probability: train or export it again"
        )
    kinds = v.kinds[ids]
    part = np.searchsorted(POSITIONS, np.arange(len(ids)), "right") - 1
    columns = (np.ones(len(ids)), nats, ranks < 1, ranks < 5)
    return Score(
        piece.name,
        piece.sha256,
        int((kinds == NOTE_ON).sum()),
        float(grid_steps(ids, v)[-1] / v.steps_per_second),
        np.stack([np.bincount(kinds, column, len(KINDS)) for column in columns], axis=1),
        np.stack([np.bincount(part, column, len(POSITIONS)) for column in columns], axis=1),
    )


def summarise(scores: Sequence[Score]) -> Likelihood:
    """Put the sums over pieces together."""
    drawn = resamples(len(scores))
    sums = np.array([one.sums for one in scores])  # (pieces, 4)
    notes = np.array([one.notes for one in scores], np.float64)
    seconds = np.array([one.seconds for one in scores])
    events, nats, top1, top5 = sums.T
    by_class = np.array([one.by_class for one in scores])
    by_position = np.array([one.by_position for one in scores])
    return Likelihood(
        len(scores),
        int(events.sum()),
        int(notes.sum()),
        float(seconds.sum()),
        float(nats.sum()),
        share(nats, events, drawn),
        share(nats, notes, drawn),
        share(nats, seconds, drawn),
        share(top1, events, drawn),
        share(top5, events, drawn),
        _rows(KINDS, by_class, drawn),
        _rows(_position_names(), by_position, drawn),
    )


def _rows(names: Sequence[str], sums: _Numbers, drawn: NDArray[np.int64]) -> tuple[Row, ...]:
    """Return a row for each name that has events; `sums` has shape (pieces, names, 4)."""
    rows = []
    for index, name in enumerate(names):
        events, nats, top1, top5 = sums[:, index].T
        total = events.sum()
        if total:
            estimate = share(nats, events, drawn)
            shares = (float(top.sum() / total) for top in (top1, top5))
            rows.append(Row(name, int(total), estimate, *shares))
    return tuple(rows)


def _position_names() -> tuple[str, ...]:
    spans = [f"{begin}..{end - 1}" for begin, end in pairwise(POSITIONS)]
    return (*spans, f"{POSITIONS[-1]}..")
