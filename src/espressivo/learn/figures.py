"""Figures: how much better a model predicts what was held out, than the one that it began as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import NOTE_ON
from espressivo.data import Dataset
from espressivo.engine import Engine
from espressivo.evaluation import (
    FEWEST,
    Difference,
    Estimate,
    differing,
    predicted,
    ratios,
    resamples,
    share,
)
from espressivo.play import Model
from espressivo.progress import Progress

__all__ = ["Gain", "compared"]

_MOST = 40_000  # ids that are read, of all pieces together
_LEAST = 1_000  # of a piece
_SIDE_BY_SIDE = 4
_PASSAGE = 50  # notes


@dataclass(frozen=True)
class Gain:
    """Nats a note of what was held out, before and after; less is better.

    Parameters
    ----------
    before, after : Estimate
    gain : Difference
        The first less the second: above 0, the model has learned.
    notes, pieces : int
        What was predicted.
    over : {"pieces", "passages"}
        Of what intervals are: of pieces or, where these are too few, of passages of 50 notes,
        which says nothing of how other pieces would do.
    """

    before: Estimate
    after: Estimate
    gain: Difference
    notes: int
    pieces: int
    over: str

    @property
    def shown(self) -> bool:
        """Whether all of the gain's interval is above 0."""
        return self.gain.low is not None and self.gain.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {**asdict(self), "shown": self.shown}


def compared(before: Engine, after: Engine, dataset: Dataset, progress: Progress) -> Gain:
    """Let two models of one vocabulary predict the validation pieces of a dataset."""
    v, pieces = dataset.vocabulary, dataset.split("validation")
    most = max(_MOST // len(pieces), _LEAST)
    sequences = [dataset.ids(piece)[:most] for piece in pieces]
    order = sorted(range(len(pieces)), key=lambda index: -len(sequences[index]))
    progress.start(2 * sum(map(len, sequences)), "ids", "measuring")
    nats: list[list[NDArray[np.float64]]] = []
    try:
        for engine in (before, after):
            of_model: dict[int, NDArray[np.float64]] = {}
            for start in range(0, len(order), _SIDE_BY_SIDE):
                group = order[start : start + _SIDE_BY_SIDE]
                found = predicted(Model(engine), [sequences[index] for index in group])
                of_model |= {index: its for index, (its, _) in zip(group, found, strict=True)}
                progress.advance(sum(len(sequences[index]) for index in group))
            nats.append([of_model[index] for index in range(len(pieces))])
    finally:
        progress.close()
    is_note = [(v.kinds[ids] == NOTE_ON).astype(np.float64) for ids in sequences]
    by_piece = len(pieces) >= FEWEST
    notes = _summed(is_note, is_note, by_piece)
    one, two = (_summed(each, is_note, by_piece) for each in nats)
    drawn = resamples(len(notes))
    replicates = [ratios(np.stack((its, notes), axis=1), drawn) for its in (one, two)]
    return Gain(
        share(one, notes, drawn),
        share(two, notes, drawn),
        differing(float((one - two).sum() / notes.sum()), replicates[0] - replicates[1]),
        int(notes.sum()),
        len(pieces),
        "pieces" if by_piece else "passages",
    )


def _summed(
    numbers: Sequence[NDArray[np.float64]],
    is_note: Sequence[NDArray[np.float64]],
    by_piece: bool,
) -> NDArray[np.float64]:
    """Add up numbers of each id by piece, or by passages of some notes."""
    if by_piece:
        return np.array([each.sum() for each in numbers])
    return np.concatenate(
        [
            np.bincount(np.maximum(notes.cumsum() - 1, 0).astype(np.int64) // _PASSAGE, each)
            for each, notes in zip(numbers, is_note, strict=True)
        ]
    )
