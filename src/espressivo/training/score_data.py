"""Score data: pieces with their takes, as an interpreter is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from espressivo.data import Piece
from espressivo.interpreter import (
    Fields,
    Floats,
    Table,
    View,
    field_values,
    tables,
)
from espressivo.music import TEMPO_DTYPE, Score
from espressivo.progress import Progress, Silent

__all__ = ["ReadPiece", "correlation", "plain", "read_pieces", "standardised"]

FEWEST = 20  # values of a field in a take, below which it tells nothing
_FURTHEST = 4.0  # standard deviations
_SURE = 1.5  # takes that the mean of all people is worth


@dataclass(frozen=True)
class ReadPiece:
    """A piece, read.

    Parameters
    ----------
    piece : Piece
    view : View
        Of the score as it is.
    tables : tuple of dict of str to Table
        Features of the score as it is, and of others that say less or more, the same notes.
    takes : tuple of Fields
    """

    piece: Piece
    view: View
    tables: tuple[dict[str, Table], ...]
    takes: tuple[Fields, ...]

    def target(self, field: str) -> tuple[Floats, Floats]:
        """Return the mean of the standardised takes, and how much each value counts.

        All values of a piece count together as the root of their number.
        """
        takes = [standardised(take[field]) for take in self.takes]
        known = [take for take in takes if take is not None]
        if not known:
            rows = len(self.takes[0][field])
            return np.zeros(rows), np.zeros(rows)
        values = np.clip(np.array(known), -_FURTHEST, _FURTHEST)
        count = np.isfinite(values).sum(axis=0)
        mean = np.nansum(values, axis=0) / np.maximum(count, 1)
        weight = count / (count + _SURE)
        return mean, weight / np.sqrt(max(float(weight.sum()), 1e-9))


def standardised(values: Floats) -> Floats | None:
    """Return a field with mean 0 and variance 1, or None if it tells too little."""
    if np.isfinite(values).sum() < FEWEST or np.nanstd(values) < 1e-6:
        return None
    return np.asarray((values - np.nanmean(values)) / np.nanstd(values))


def correlation(one: Floats, other: Floats) -> float:
    """Return the correlation where both are known; not a number where either tells too little."""
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < FEWEST:
        return np.nan
    a, b = one[known] - one[known].mean(), other[known] - other[known].mean()
    lengths = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / lengths if lengths > 1e-9 else 0.0


def plain(score: Score) -> Score:
    """Return a score with its notes alone: no velocities, no tempos and no marks."""
    notes = score.notes.copy()
    notes["velocity"], notes["marks"] = 0, 0
    return replace(score, notes=notes, tempos=np.empty(0, TEMPO_DTYPE), directions=())


def read_pieces(
    pieces: Sequence[Piece], progress: Progress | None = None, *, plainly: bool = True
) -> list[ReadPiece]:
    """Measure the features of scores, and the fields of their takes.

    Parameters
    ----------
    pieces : sequence of Piece
    progress : Progress, optional
    plainly : bool
        Whether to measure the features of `plain` scores, too.
    """
    progress = progress or Silent()
    progress.start(len(pieces), "scores", "Reading")
    found = []
    try:
        for piece in pieces:
            view = View.of(piece.score)
            takes = [field_values(view, take.performance, take.match) for take in piece.takes]
            kept = tuple(take for take in takes if take is not None)
            if kept:
                views = (view, View.of(plain(piece.score))) if plainly else (view,)
                found.append(ReadPiece(piece, view, tuple(map(tables, views)), kept))
            progress.advance()
    finally:
        progress.close()
    return found
