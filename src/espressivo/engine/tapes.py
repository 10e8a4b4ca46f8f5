"""Tapes: what attention looks back at, in arrays that are longer than its window.

What it gains is written behind the rest, in place; when a tape is full, its latest window goes to
its beginning. So nothing is moved at most events, and where a position is on a tape depends on
their number alone, whatever is read beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["TAPE_ROOM", "Arrays", "Tapes"]

TAPE_ROOM = 64
"""Positions of a tape beyond the window."""

Arrays = tuple[NDArray[np.float32], ...]
"""What a network remembers, as many arrays as its kind needs, each (layers, B, ...)."""


class Tapes:
    """Which states of a model are tapes, and how they are written.

    Parameters
    ----------
    numbers : sequence of int
        Of the states that are tapes, each (1, B, heads, positions, each).
    counter : int
        Number of the state that counts the positions that are written, (1, B, 1).
    """

    def __init__(self, numbers: Sequence[int], counter: int) -> None:
        self.numbers, self.counter = numbers, counter

    def ends(self, state: Sequence[NDArray[np.float32]]) -> NDArray[np.intp]:
        """Return how many positions of each row are written, shape (B,)."""
        return state[self.counter][0, :, 0].astype(np.intp)

    def length(self, state: Sequence[NDArray[np.float32]]) -> int:
        """Return how many positions a tape has."""
        return len(state[self.numbers[0]][0, 0, 0])

    def own(self, state: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return a state whose tapes and counter can be written to."""
        after = list(state)
        for number in (*self.numbers, self.counter):
            after[number] = state[number].copy()
        return after

    def make_room(self, state: Sequence[NDArray[np.float32]]) -> None:
        """Bring the latest window of each tape that is full to its beginning, in place."""
        for row in np.flatnonzero(self.ends(state) == self.length(state)).tolist():
            for number in self.numbers:
                tape = state[number][0, row]
                tape[:, :-TAPE_ROOM] = tape[:, TAPE_ROOM:].copy()
            state[self.counter][0, row] -= TAPE_ROOM

    def write(
        self,
        state: Sequence[NDArray[np.float32]],
        given: Sequence[NDArray[np.float32]],
        rows: NDArray[np.intp],
    ) -> None:
        """Write the positions that a run has given of some rows behind their tapes, in place."""
        ends = self.ends(state)[rows]
        for number in self.numbers:
            state[number][0, rows, :, ends] = given[number][0, :, :, 0]
