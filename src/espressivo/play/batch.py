"""Batch: pieces made side by side, so that the engine reads an event of each at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes import Ids
from espressivo.engine import Engine

__all__ = ["Row", "side_by_side"]


class Row:
    """A place in a batch, to a player what a `State` is; but it reads only when all rows do."""

    def __init__(self) -> None:
        self.asked: NDArray[np.float32] | None = None
        self.fed: int | None = None
        """The event that is still to be read."""
        self.expected: NDArray[np.float32] = np.empty(0, np.float32)

    def feed(self, ids: ArrayLike) -> None:
        """Take an event, to be read with those of the other rows."""
        self.fed = int(np.asarray(ids))

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next event, shape (size,)."""
        return self.expected


def side_by_side(
    engine: Engine, primer: Ids, rows: list[Row], streams: list[Iterator[int]]
) -> list[list[int]]:
    """Let streams run to their ends, reading an event of each at a time.

    Parameters
    ----------
    engine : Engine
    primer : ids
        What every row has read before.
    rows : list of Row
        What the streams feed their events to.
    streams : list of iterators of ids
        In the order of the rows; they feed all their ids but the last ones to their row.

    Returns
    -------
    list of list of ids
        What each stream gave.
    """
    given: list[list[int]] = [[] for _ in rows]
    before = np.concatenate(([engine.vocabulary.size], primer)).astype(np.int64)
    asked = _asked(engine, rows[:1])
    read, state = engine.run(before[:, None], engine.initial_state(), asked)
    logits = read[-1].repeat(len(rows), axis=0)  # (rows, size)
    state = tuple(array.repeat(len(rows), axis=1) for array in state)
    playing = list(range(len(rows)))
    while playing:
        for number, expected in zip(playing, logits, strict=True):
            rows[number].fed, rows[number].expected = None, expected
            for id_ in streams[number]:
                given[number].append(id_)
                if rows[number].fed is not None:
                    break
        left = [place for place, number in enumerate(playing) if rows[number].fed is not None]
        if len(left) < len(playing):
            playing = [playing[place] for place in left]
            state = tuple(array[:, left] for array in state)
        if playing:
            asked = _asked(engine, [rows[number] for number in playing])
            fed = np.array([[rows[number].fed for number in playing]])
            after, state = engine.run(fed, state, asked)
            logits = after[0]
    return given


def _asked(engine: Engine, rows: list[Row]) -> NDArray[np.float32] | None:
    """Return what is asked in each row, shape (rows, engine.controls)."""
    if not engine.controls:
        return None
    nothing = np.zeros(engine.controls, np.float32)
    return np.stack([nothing if row.asked is None else row.asked for row in rows])
