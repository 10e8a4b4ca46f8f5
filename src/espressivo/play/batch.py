"""Batch: pieces made side by side, so that the engine reads an id of each at once."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes import Event, Ids, Pointers, lifted
from espressivo.engine import Arrays, Engine, Sampling
from espressivo.play.player import Choice

__all__ = ["Mark", "Memory", "Row", "begun", "side_by_side"]


@dataclass(frozen=True, eq=False)
class Memory:
    """What a row remembers at some moment, and what it expects next.

    Parameters
    ----------
    arrays : tuple of float32 arrays, each (layers, 1, ...)
    expected : float32 array, shape (size,)
        The scores of the next id.
    pointers : Pointers or None
    """

    arrays: Arrays
    expected: NDArray[np.float32]
    pointers: Pointers | None


class Mark:
    """Asks the batch for the `Memory` of a row, between two events."""


class Row:
    """A row of a batch, to a player what a `State` is; but it reads only when other rows do."""

    def __init__(self) -> None:
        self.controls: NDArray[np.float32] | None = None
        self.returns = 1.0
        self.pointers: Pointers | None = None
        """What they say now, for a model that reads them."""
        self.lift = 0.0
        self.fed: int | None = None
        """The id that is still to be read."""
        self.expected: NDArray[np.float32] = np.empty(0, np.float32)

    def feed(self, ids: ArrayLike) -> None:
        """Take an id, to be read with those of the other rows."""
        self.fed = int(np.asarray(ids))
        if self.pointers is not None:
            self.pointers.feed(self.fed)

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next id, shape (size,)."""
        return lifted(self.expected, self.pointers, self.lift)

    def copy(self) -> Self:
        """Return the row itself: in a batch nothing is taken back."""
        return self


Piece = Generator[Choice | Event | Mark, Any, None]
"""A piece in the making: gives choices, and takes the ids drawn; gives events as they happen; and
for a mark takes what the row remembers."""


def begun(
    engine: Engine,
    primer: Ids,
    *,
    controls: NDArray[np.float32] | None = None,
    returns: float = 1.0,
    earlier: Ids | None = None,
    aside: NDArray[np.bool_] | None = None,
) -> Memory:
    """Read a primer, and return what is remembered of it.

    Parameters
    ----------
    engine : Engine
    primer : ids
    controls : float32 array, shape (engine.controls,) or (ids + 1, engine.controls), optional
        All along, or at the beginning and after each id.
    returns : float
    earlier : ids, optional
        What was before the primer. Only pointers know of it.
    aside : bool array, shape (ids,), optional
        Which ids of the primer take no time. Pointers do not know of them, nor say what follows.
    """
    before = np.concatenate(([engine.vocabulary.size], primer)).astype(np.int64)
    pointers = said = None
    if engine.pointers:
        pointers = Pointers(engine.vocabulary)
        for id_ in () if earlier is None else earlier.tolist():
            pointers.feed(id_)
        out = [False] * len(primer) if aside is None else aside.tolist()
        numbers = [pointers.numbers(returns)]
        for id_, passed in zip(primer.tolist(), out, strict=True):
            if not passed:
                pointers.feed(id_)
            numbers.append(pointers.numbers(returns))
        said = np.array(numbers)[:, None]
        said[:-1][out] = 0
    steering = None if controls is None else np.expand_dims(controls, -2)
    logits, arrays = engine.run(before[:, None], engine.initial_state(), steering, said)
    return Memory(arrays, logits[-1, 0], pointers)


def side_by_side(
    engine: Engine,
    memories: Sequence[Memory],
    rows: Sequence[Row],
    pieces: Sequence[Piece],
) -> list[list[int]]:
    """Let pieces play to their ends, and read an id of each at a time.

    The ids within an event cost little to read, and that which completes an event much. So rows
    that have completed theirs wait until all others have, and these ids are read together.

    Parameters
    ----------
    engine : Engine
    memories : sequence of Memory
        What each row remembers.
    rows : sequence of Row
        What the players of the pieces feed their ids to.
    pieces : sequence of generators
        In the order of the rows; see `espressivo.play.pieces`.

    Returns
    -------
    list of list of ids
        What each piece gave.
    """
    batch = _Batch(engine, memories, rows)
    played: list[list[int]] = [[] for _ in rows]
    choices: dict[int, Choice | None] = {}  # by row; None goes on without one

    def go_on(row: int, drawn: int | None) -> None:
        """Let a piece go on until it chooses, has something to read, or ends."""
        try:
            given = next(pieces[row]) if drawn is None else pieces[row].send(drawn)
            while not isinstance(given, Choice):
                if isinstance(given, Mark):
                    given = pieces[row].send(batch.memory(row))
                    continue
                played[row].extend(given)
                if rows[row].fed is not None:
                    choices[row] = None
                    return
                given = next(pieces[row])
            choices[row] = given
        except StopIteration:
            batch.leave(row)

    for row in range(len(rows)):
        go_on(row, None)
    while choices:
        batch.read()  # what a row has to read comes before what it chooses
        for row in [row for row, choice in choices.items() if choice is None]:
            if rows[row].fed is None:
                del choices[row]
                go_on(row, None)
        ready = {row: c for row, c in choices.items() if c is not None and rows[row].fed is None}
        for row, id_ in _drawn(rows, ready).items():
            del choices[row]
            go_on(row, id_)
    return played


def _drawn(rows: Sequence[Row], choices: dict[int, Choice]) -> dict[int, int]:
    """Return the id that each row draws; rows that sample alike draw at once."""
    alike: dict[Sampling, list[int]] = {}
    for row, choice in choices.items():
        alike.setdefault(choice.sampling, []).append(row)
    drawn: dict[int, int] = {}
    for sampling, group in alike.items():
        ids = sampling.choose(
            np.array([rows[row].logits() for row in group]),
            np.array([choices[row].share for row in group]),
            np.array([choices[row].allowed for row in group]),
        )
        drawn.update(zip(group, ids.tolist(), strict=True))
    return drawn


class _Batch:
    """The states of all rows that play, in arrays that the engine reads at once."""

    def __init__(self, engine: Engine, memories: Sequence[Memory], rows: Sequence[Row]) -> None:
        self._engine, self._rows = engine, rows
        self._playing = list(range(len(rows)))  # rows in the order of the arrays
        each = zip(*(memory.arrays for memory in memories), strict=True)
        self._state: Arrays = tuple(np.concatenate(arrays, axis=1) for arrays in each)
        for row, memory in zip(rows, memories, strict=True):
            row.expected = memory.expected
            row.pointers = None if memory.pointers is None else memory.pointers.copy()

    def memory(self, row: int) -> Memory:
        """Return what a row remembers now."""
        position, pointers = self._playing.index(row), self._rows[row].pointers
        arrays = tuple(array[:, position : position + 1].copy() for array in self._state)
        kept = None if pointers is None else pointers.copy()
        return Memory(arrays, self._rows[row].expected, kept)

    def leave(self, row: int) -> None:
        """Take a row out that has come to its end."""
        self._rows[row].fed = None
        position = self._playing.index(row)
        self._playing.remove(row)
        self._state = tuple(np.delete(array, position, axis=1) for array in self._state)

    def read(self) -> None:
        """Read what rows have been fed: what completes no event, or else everything."""
        waiting = [n for n, row in enumerate(self._playing) if self._rows[row].fed is not None]
        fed = {n: self._fed(n) for n in waiting}
        within = [n for n in waiting if self._engine.unchanged(fed[n])]
        if within:
            kept = self._engine.unchanged(fed[within[0]])
            some = self._engine.initial_state(0)[:kept] + tuple(
                array[:, within] for array in self._state[kept:]
            )
        else:
            within, kept = waiting, 0
            every = len(waiting) == len(self._playing)
            some = self._state if every else tuple(a[:, waiting] for a in self._state)
        if not within:
            return
        ids = np.array([[fed[n] for n in within]])
        reading = [self._playing[n] for n in within]
        controls, said = self._controls(reading), self._said(reading)
        logits, after = self._engine.run(ids, some, controls, said, in_place=True)
        if len(within) == len(self._playing):
            self._state = self._state[:kept] + after[kept:]
        else:
            for array, new in zip(self._state[kept:], after[kept:], strict=True):
                array[:, within] = new
        for n, expected in zip(within, logits[0], strict=True):
            row = self._rows[self._playing[n]]
            row.fed, row.expected = None, expected

    def _fed(self, position: int) -> int:
        fed = self._rows[self._playing[position]].fed
        assert fed is not None  # noqa: S101 - only rows that have been fed are asked
        return fed

    def _controls(self, rows: Sequence[int]) -> NDArray[np.float32] | None:
        """Return what is requested in rows, shape (rows, engine.controls)."""
        if not self._engine.controls:
            return None
        nothing = np.zeros(self._engine.controls, np.float32)
        wanted = [self._rows[row].controls for row in rows]
        return np.stack([nothing if controls is None else controls for controls in wanted])

    def _said(self, rows: Sequence[int]) -> NDArray[np.float32] | None:
        """Return what pointers say in rows, shape (1, rows, engine.pointers)."""
        reading = [self._rows[row] for row in rows]
        said = [r.pointers.numbers(r.returns) for r in reading if r.pointers is not None]
        return np.array([said]) if said else None
