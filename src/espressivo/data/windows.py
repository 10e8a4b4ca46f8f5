"""The batches that a network learns from, in an order that can be resumed anywhere.

Two ways to cut pieces for training:

- **carried**: each row of a batch follows a piece to its end, window after window, so a network can
  carry its state along; then it follows another from its beginning. Now and then it jumps to
  the middle of another piece, as music that is to be continued begins anywhere too.
- **segments**: each piece is cut into segments of so many events (the post: 500) or seconds
  (Magenta: 30), which are shuffled; each begins with the events that restore loudness, pedal and
  sounding notes (`espressivo.codes.restore`).

The order of pieces, and the augmentation of each, depends on the seed and their number alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    FIELDS,
    NO_ID,
    TIME_SHIFT,
    Ids,
    Vocabulary,
    composer_of,
    grid_steps,
    pedal_down,
    restore,
    steps,
)
from espressivo.data.augment import Augmentation
from espressivo.data.dataset import Dataset, Piece
from espressivo.data.gaps import arranged
from espressivo.data.sides import Material, Numbers, measure, windowed
from espressivo.errors import DataError
from espressivo.numeric import Range, fields_within

__all__ = ["IGNORED", "Batch", "Cut", "Passage", "batches", "passages"]

IGNORED = NO_ID
"""Target of positions that are not scored: padding, events that only restore a state, and fields
that an event lacks."""

_POOL = 256  # pieces whose segments are shuffled together
_GOLDEN = (5**0.5 - 1) / 2  # multiples of it, modulo 1, fill 0..1 evenly


@dataclass(frozen=True)
class Batch:
    """Windows of events, time-major.

    For a note-wise network, the arrays have one more axis: the fields of an event, as
    `espressivo.codes.steps` lays them out.

    Parameters
    ----------
    inputs : int64 array, shape (T, B)
        The event before each target; the size of the vocabulary (one past the last id) stands
        for "no event yet".
    targets : int64 array, shape (T, B)
        The event to predict, or `IGNORED`.
    fresh : bool array, shape (B,)
        Whether the row begins anew, so that any carried state must be cleared first.
    position : list
        Plain numbers from which `batches` continues after this batch.
    sides : dict of arrays, each (T, B, ...)
        Side inputs by name, at the place of each target; see `espressivo.data.sides`.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    fresh: NDArray[np.bool_]
    position: list[Any]
    sides: dict[str, Numbers]

    @cached_property
    def events(self) -> int:
        """Number of ids to predict that count."""
        return int((self.targets != IGNORED).sum())


_RANGES: dict[str, Range] = {
    "rows": {"least": 1, "whole": True},
    "events": {"least": 2, "whole": True},
    "seconds": {"above": 0, "optional": True},
    "jump": {"least": 0, "most": 1},
    "gaps": {"least": 0, "most": 1},
}


@dataclass(frozen=True)
class Cut:
    """How pieces are cut into the windows of a batch.

    Parameters
    ----------
    rows : int
        Windows in a batch.
    events : int
        Events of a window or segment.
    seconds : float, optional
        Length of segments in seconds instead; the shorter ones of a batch are padded.
    carried : bool
        Follow pieces from window to window instead of shuffling segments.
    jump : float
        Chance that a carried row, after a window, goes on anywhere in another piece, with an empty
        state.
    gaps: float
        Chance that a carried row has gaps to be filled (`espressivo.data.gaps`).
    """

    rows: int = 64
    events: int = 500
    seconds: float | None = None
    carried: bool = False
    jump: float = 0.0
    gaps: float = 0.0

    def __post_init__(self) -> None:
        if problems := fields_within(self, _RANGES):
            raise ValueError("; ".join(problems))
        if self.seconds is not None and self.carried:
            raise ValueError("segments in seconds cannot be carried")
        if not self.carried and (self.jump or self.gaps):
            raise ValueError("jump and gaps must be 0 if windows are not carried")


@dataclass(frozen=True)
class Passage:
    """Part of a piece, to be read from an empty state, and scored from some event on.

    Its beginning has the mark of one only if it is the piece's.

    Parameters
    ----------
    piece : Material
    begin, end : int
        The first event that is read, and one past the last; None for the piece's end.
    scored_from : int
        The first event, counted from the piece's beginning, that is scored.
    """

    piece: Material
    begin: int = 0
    end: int | None = None
    scored_from: int = 0


def passages(
    every: Sequence[Passage], rows: int, length: int, sides: Sequence[str] = ()
) -> Iterator[Batch]:
    """Read passages side by side, carried from window to window, each once.

    Parameters
    ----------
    every : sequence of Passage
        At least one.
    rows, length : int
        At most so many side by side, and the events of a window.
    sides : sequence of str
        Side inputs that batches have.
    """
    source = (_Row.of([], [], passage, sides) for passage in every)

    def following(row: _Row | None) -> _Row | None:
        return next(source, None) if row is None or row.ended else row

    beginning = _nothing(every[0].piece)
    yield from _followed([None] * min(rows, len(every)), following, length, beginning, 0)


def batches(
    dataset: Dataset,
    cut: Cut,
    augmentation: Augmentation | None = None,
    *,
    seed: int,
    position: list[Any] | None = None,
    sides: Sequence[str] = (),
    notewise: bool = False,
    part: int = 0,
    parts: int = 1,
) -> Iterator[Batch]:
    """Yield training batches without end.

    Parameters
    ----------
    seed : int
        With the round and the piece it fixes the order and the augmentation.
    position : list, optional
        The `position` of the last batch used, to continue after it.
    sides : sequence of str
        Side inputs that batches have; of controls, chance leaves some out. Carried windows only.
    notewise : bool
        Whether they are for a note-wise network; carried windows only.
    part, parts : int
        This process and the number of processes that share each round's pieces.
    """
    source = _Source(dataset, augmentation, seed, part, parts, notewise, tuple(sides), cut.gaps)
    if cut.carried:
        yield from _carried(source, cut, position)
    elif sides or notewise:
        raise ValueError("side inputs and note-wise networks need carried windows")
    else:
        yield from _segments(source, cut, position)


@dataclass(frozen=True)
class _Source:
    """The pieces of the training split, augmented anew each time."""

    dataset: Dataset
    augmentation: Augmentation | None
    seed: int
    part: int
    parts: int
    notewise: bool = False
    sides: tuple[str, ...] = ()
    gaps: float = 0.0

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        return self.dataset.split("train")

    def order(self, number: int) -> NDArray[np.int64]:
        """Return which pieces this process has in a round, and in which order."""
        shuffled = np.random.default_rng([self.seed, number]).permutation(len(self.pieces))
        share = shuffled[self.part :: self.parts]
        if not len(share):
            raise DataError(
                f"{self.dataset.folder}: {len(self.pieces)} training pieces are too few for "
                f"{self.parts} processes"
            )
        return share

    def ids(self, index: int, *number: int) -> Ids:
        """Return the ids of piece `index`, augmented as numbers say."""
        ids = self.dataset.ids(self.pieces[index])
        if self.augmentation is None:
            return ids
        rng = np.random.default_rng([self.seed, *number])
        return self.augmentation(ids, self.dataset.vocabulary, rng)

    def from_beginning(self, number: int) -> _Row:
        """Return the row that follows the piece begun as the 0th, 1st, ... of all."""
        round_, position = divmod(number, len(self.order(0)))
        index = int(self.order(round_)[position])
        piece = self._material(index, self.ids(index, round_, index))
        return self._row([0, number], [round_, position, index], Passage(piece))

    def from_inside(self, number: int) -> _Row:
        """Return the row that follows a piece from where the 0th, 1st, ... jump leads.

        Wherever they lead, they leave no part of the music out for long.
        """
        jump = number * self.parts + self.part  # of all processes
        place = (self._first + jump * _GOLDEN) % 1 * self._ends[-1]
        index = int(np.searchsorted(self._ends, place, "right"))
        share = 1 - (self._ends[index] - place) / self.pieces[index].events
        piece = self._material(index, self.ids(index, jump, index, _INSIDE))
        begin = int(share * piece.count)
        passage = Passage(piece, begin, scored_from=begin)
        return self._row([1, number], [jump, index, _INSIDE], passage)

    def _row(self, origin: list[int], key: list[int], passage: Passage) -> _Row:
        """Return a row that follows a passage, by chance with gaps."""
        row = _Row.of(origin, key, passage, self.sides)
        rng = row.chance(self.seed, _GAPS)
        return row.with_gaps(passage, rng) if rng.random() < self.gaps else row

    @cached_property
    def _first(self) -> float:
        return float(np.random.default_rng([self.seed, _INSIDE]).random())

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([piece.events for piece in self.pieces])

    def _material(self, index: int, ids: Ids) -> Material:
        composer = composer_of(self.pieces[index].composition)
        return Material(ids, self.dataset.vocabulary, self.notewise, composer)


@dataclass
class _Row:
    """What a row of the batch follows: a piece, or the rest of one, and how far it has come.

    Parameters
    ----------
    origin : list of int
        Whether it began inside a piece, 0 or 1, and the number of that.
    key : list of int
        What its chances depend on.
    events : int array, shape (events,) or (events, fields)
        Single ids, or the whole events that they make.
    before : int array
        The event before them, or what stands for "no event yet".
    scored : bool array, shape (events,)
        Which of them count.
    measured : dict
        The side inputs of all events.
    at : int
        Events that have been in windows.
    """

    origin: list[int]
    key: list[int]
    events: Ids
    before: NDArray[Any]
    scored: NDArray[np.bool_]
    measured: dict[str, Numbers]
    at: int = 0

    @classmethod
    def of(cls, origin: list[int], key: list[int], passage: Passage, sides: Sequence[str]) -> _Row:
        """Follow a passage as if nothing was before it."""
        piece, begin, end = passage.piece, passage.begin, passage.end
        v, ids = piece.vocabulary, piece.ids
        events = steps(ids, v) if piece.notewise else ids
        before = events[begin - 1] if begin else _nothing(piece)
        if begin:
            first = np.flatnonzero(v.kinds[ids] == TIME_SHIFT)[begin] if piece.notewise else begin
            piece = dataclasses.replace(piece, ids=ids[first:])
        scored = np.arange(begin, len(events)) >= passage.scored_from
        return cls(
            origin,
            key,
            events[begin:end],
            before,
            scored[: None if end is None else end - begin],
            measure(piece, sides),
        )

    def with_gaps(self, passage: Passage, rng: np.random.Generator) -> _Row:
        """Return the same row with its events arranged around gaps."""
        v = passage.piece.vocabulary
        earlier = steps(passage.piece.ids, v)[: passage.begin]
        found = arranged(self.events, v, rng, down=pedal_down(earlier, v))
        quoted = found.source < 0
        measured = {name: numbers[found.source] for name, numbers in self.measured.items()}
        for numbers in measured.values():
            numbers[quoted] = 0  # a quote takes no time, and nobody asks for it
        return dataclasses.replace(
            self,
            events=found.events,
            scored=found.scored & (quoted | self.scored[found.source]),
            measured={**measured, "fill": found.numbers},
        )

    @property
    def ended(self) -> bool:
        return self.at >= len(self.events)

    def window(self, length: int, seed: int) -> tuple[Ids, Ids, dict[str, Numbers]]:
        """Return the next events to predict, the events before each, and side inputs; go on."""
        part = slice(self.at, self.at + length)
        events = self.events[part]
        first = self.events[self.at - 1] if self.at else self.before
        inputs = np.concatenate((first[None], events[:-1]))
        targets = events.copy()
        targets[~self.scored[part]] = IGNORED
        sides = windowed(self.measured, part, self.chance(seed, _LEFT_OUT))
        self.at += length
        return targets, inputs, sides

    def chance(self, seed: int, what: int) -> np.random.Generator:
        """Return the chance of its own that a decision has at this place."""
        return np.random.default_rng([seed, *self.key, self.at, what])


_LEFT_OUT, _INSIDE, _JUMP, _GAPS = range(2, 6)  # what chance decides


def _nothing(piece: Material) -> NDArray[np.int64]:
    """Return what stands for "no event yet"."""
    size = piece.vocabulary.size
    return np.array([size, *[NO_ID] * (len(FIELDS) - 1)] if piece.notewise else size)


def _followed(
    rows: list[_Row | None],
    following: Callable[[_Row | None], _Row | None],
    length: int,
    nothing: NDArray[np.int64],
    seed: int,
) -> Iterator[Batch]:
    """Advance every row by a window at a time; their positions are left empty.

    Before each window, `following` says what a row follows: the same, something new, or None if
    there is nothing more. `rows` always holds what the rows follow.
    """
    shape = (length, len(rows), *nothing.shape)
    while True:
        inputs = np.full(shape, nothing)
        targets = np.full(shape, IGNORED, np.int64)
        fresh = np.zeros(len(rows), bool)
        sides: dict[str, Numbers] = {}
        for column, before in enumerate(rows):
            row = rows[column] = following(before)
            if row is None:
                continue
            fresh[column] = row is not before
            wanted, read, measured = row.window(length, seed)
            inputs[: len(read), column], targets[: len(wanted), column] = read, wanted
            for name, numbers in measured.items():
                if name not in sides:
                    sides[name] = np.zeros((length, len(rows), *numbers.shape[1:]), numbers.dtype)
                sides[name][: len(numbers), column] = numbers
        if not any(rows):
            return
        yield Batch(inputs, targets, fresh, [], sides)


def _carried(source: _Source, cut: Cut, position: list[Any] | None) -> Iterator[Batch]:
    """Yield carried batches; a position is how many rows have begun, each way, and the rows."""
    rows: list[_Row | None] = [None] * cut.rows
    begun = [0, 0]
    ways = source.from_beginning, source.from_inside
    if position is not None:
        begun, at_rows = _position(position, len(source.order(0)))
        for column, (way, number, at) in enumerate(at_rows):
            rows[column] = row = ways[way](number)
            row.at = at

    def following(row: _Row | None) -> _Row:
        goes_on = row is not None and not row.ended
        if row is not None and goes_on and row.chance(source.seed, _JUMP).random() >= cut.jump:
            return row
        begun[goes_on] += 1
        return ways[goes_on](begun[goes_on] - 1)

    nothing = _nothing(Material(np.empty(0, np.int32), source.dataset.vocabulary, source.notewise))
    for batch in _followed(rows, following, cut.events, nothing, source.seed):
        followed = [[*row.origin, row.at] for row in rows if row is not None]
        yield dataclasses.replace(batch, position=[list(begun), followed])


def _position(kept: list[Any], share: int) -> tuple[list[int], list[list[int]]]:
    """Read a position, also one of before there were jumps: (round, place in it, piece, at)."""
    if len(kept) == 2 and len(kept[0]) == 2:
        return list(kept[0]), kept[1]
    rows = [[0, number * share + place, at] for number, place, _, at in kept]
    return [max(number for _, number, _ in rows) + 1, 0], rows


def _segments(source: _Source, cut: Cut, position: list[Any] | None) -> Iterator[Batch]:
    v = source.dataset.vocabulary
    number, pool, done = position or (0, 0, 0)
    while True:
        order = source.order(number)
        for at in range(pool, len(order), _POOL):
            segments = [
                segment
                for index in order[at : at + _POOL]
                for segment in _cut(source.ids(int(index), number, int(index)), cut, v)
            ]
            rng = np.random.default_rng([source.seed, number, at, 1])
            shuffled = [segments[i] for i in rng.permutation(len(segments))]
            for begin in range(done * cut.rows, len(shuffled), cut.rows):
                done += 1
                yield _stack(shuffled[begin : begin + cut.rows], v.size, [number, at, done])
            done = 0
        number, pool = number + 1, 0


def _cut(ids: Ids, cut: Cut, v: Vocabulary) -> Iterator[tuple[Ids, int]]:
    """Cut a piece into segments; yields each with the number of its events that only restore."""
    begin, state = 0, ids[:0]
    step, ends = grid_steps(ids, v), np.arange(len(ids) + 1)
    if v.notewise:  # the ids of an event stay together
        ends = np.append(np.flatnonzero(v.kinds[ids] == TIME_SHIFT), len(ids))
    while begin < len(ids):
        if cut.seconds is None:
            end = begin + cut.events - len(state)
        else:
            until = (step[begin - 1] if begin else 0) + round(cut.seconds * v.steps_per_second)
            end = int(np.searchsorted(step, until))
        first, after = np.searchsorted(ends, (begin, end), "right")
        end = int(ends[max(first, after - 1)])
        segment = np.concatenate((state, ids[begin:end]))
        yield segment, len(state)
        begin, state = end, restore(segment, v)  # a segment stands for all that came before


def _stack(segments: list[tuple[Ids, int]], nothing: int, position: list[int]) -> Batch:
    length = max(len(ids) for ids, _ in segments)
    inputs = np.full((length, len(segments)), nothing, np.int64)
    targets = np.full((length, len(segments)), IGNORED, np.int64)
    for row, (ids, restored) in enumerate(segments):
        inputs[1 : len(ids), row] = ids[:-1]
        targets[restored : len(ids), row] = ids[restored:]
    return Batch(inputs, targets, np.ones(len(segments), bool), position, {})
