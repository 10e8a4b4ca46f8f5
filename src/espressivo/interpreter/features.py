"""Features of a score, a table for each of the rows that fields have values for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.interpreter.beat_features import beat_features, cell_features
from espressivo.interpreter.note_features import note_features
from espressivo.interpreter.onset_features import onset_features
from espressivo.interpreter.view import Columns, View

__all__ = ["Table", "tables"]


@dataclass(frozen=True)
class Table:
    """Features, a row for each note, onset, beat or quarter of a beat.

    Parameters
    ----------
    names : tuple of str
        Sorted.
    values : float32 array, shape (rows, features)
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, columns: Columns) -> Table:
        """Put columns side by side."""
        names = tuple(sorted(columns))
        values = np.stack([columns[name] for name in names], axis=1)
        return cls(names, values.astype(np.float32))


def tables(view: View) -> dict[str, Table]:
    """Return the features of ``onsets``, ``notes``, ``beats`` and ``cells``."""
    of_onsets = onset_features(view)
    return {
        "onsets": Table.of(of_onsets),
        "notes": Table.of(note_features(view, of_onsets)),
        "beats": Table.of(beat_features(view, of_onsets)),
        "cells": Table.of(cell_features(view, of_onsets)),
    }
