"""A prepared dataset, memory-mapped, and its batches in an order that can be resumed anywhere.

Two ways to cut pieces for training:

- **carried**: each row of a batch follows one piece from its beginning to its end, window after
  window, so a network can carry its state along; a finished piece is followed by another.
- **segments**: each piece is cut into segments of so many events (the post: 500) or seconds
  (Magenta: 30), which are shuffled; each begins with the events that restore loudness, pedal and
  sounding notes (`espressivo.codes.restore`).

The order of pieces, and the augmentation of each, depends on the seed and the round alone.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    FIELDS,
    NO_ID,
    SIZE,
    TIME_SHIFT,
    Ids,
    Vocabulary,
    composer_of,
    dropped,
    grid_steps,
    measured,
    restore,
    steps,
)
from espressivo.data.augment import Augmentation
from espressivo.errors import DataError
from espressivo.files import intact

__all__ = ["FORMAT", "IGNORED", "Batch", "Cut", "Dataset", "Piece", "batches", "whole_pieces"]

FORMAT = 2
"""Version of the layout of a prepared dataset. From version 2 on every byte is under a hash, and
all ids are in one file; in version 1 they are in shards."""

DESCRIPTION, MANIFEST, IDS = "dataset.json", "manifest.csv", "pieces.ids"
"""The files of a prepared dataset; the first is written last."""

IGNORED = NO_ID
"""Target of positions that are not scored: padding, events that only restore a state, and fields
that an event lacks."""

_POOL = 256  # pieces whose segments are shuffled together


@dataclass(frozen=True)
class Piece:
    """One performance of a prepared dataset: where its ids are, and what it is.

    `events` is the number of its ids, whatever the vocabulary. Datasets of version 1 have a
    `shard` and no hash of the ids.
    """

    path: str
    split: str
    composition: str
    start: int
    events: int
    notes: int
    seconds: float
    ids_sha256: str = ""
    shard: str = ""


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
    controls : float32 array, shape (T, B, `espressivo.codes.SIZE`), optional
        What is requested of the music that begins with each target.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    fresh: NDArray[np.bool_]
    position: list[Any]
    controls: NDArray[np.float32] | None = None

    @cached_property
    def events(self) -> int:
        """Number of ids to predict that count."""
        return int((self.targets != IGNORED).sum())


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
    """

    rows: int = 64
    events: int = 500
    seconds: float | None = None
    carried: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1 or self.events < 2:
            raise ValueError("a batch needs at least 1 row of 2 events")
        if self.seconds is not None and (self.carried or self.seconds <= 0):
            raise ValueError("segments in seconds must be longer than 0, and cannot be carried")


class Dataset:
    """A folder written by ``espressivo prepare``, opened for reading.

    Parameters
    ----------
    folder : path

    Attributes
    ----------
    vocabulary : Vocabulary
    pieces : tuple of Piece
    about : dict
        What is in ``dataset.json``.
    sha256 : str
        Hash of the manifest, which holds those of all ids: datasets with the same are the same.

    Raises
    ------
    DataError
        If the folder is not a prepared dataset, is incomplete, has changed since it was written,
        or is of another version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            content = (self.folder / DESCRIPTION).read_bytes()
            manifest = (self.folder / MANIFEST).read_bytes()
            whole = intact(content)
            about: dict[str, Any] = {"format": FORMAT} if whole is False else json.loads(content)
            if about["format"] not in (1, FORMAT):
                raise DataError(
                    f"{self.folder}: format {about['format']}, this version reads 1 to {FORMAT}; "
                    "run 'espressivo prepare' again"
                )
            if not whole and ("manifest_sha256" in about or about["format"] > 1):
                raise ValueError(f"{DESCRIPTION} has changed since it was written")
            self.sha256 = hashlib.sha256(manifest).hexdigest()
            if about.get("manifest_sha256", self.sha256) != self.sha256:
                raise ValueError(f"{MANIFEST} has changed since it was written")
            self.vocabulary = Vocabulary(**about["vocabulary"])
            self.pieces = tuple(
                Piece(
                    row["path"],
                    row["split"],
                    row["composition"],
                    int(row["start"]),
                    int(row["events"]),
                    int(row["notes"]),
                    float(row["seconds"]),
                    row.get("ids_sha256", ""),
                    row.get("shard", ""),
                )
                for row in csv.DictReader(io.StringIO(manifest.decode(), newline=""))
                if row["status"] == "kept"
            )
        except FileNotFoundError as error:
            raise DataError(
                f"{self.folder}: not a prepared dataset, {Path(error.filename).name} is missing; "
                "make one with 'espressivo prepare'"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
            raise DataError(f"{self.folder}: damaged ({error}); prepare it again") from error
        self.about = about
        self._ids: dict[Path, NDArray[np.uint16]] = {}

    def split(self, name: str) -> tuple[Piece, ...]:
        """Return the pieces of a split, in the order of the manifest; `DataError` if none."""
        pieces = tuple(piece for piece in self.pieces if piece.split == name)
        if not pieces:
            raise DataError(f"{self.folder}: no piece is in the split {name!r}")
        return pieces

    def count_events(self, split: str, notewise: bool = False) -> int:
        """Count the events of a split: single ids, or whole ones for a note-wise network."""
        if not notewise:
            return sum(piece.events for piece in self.split(split))
        begins = self.vocabulary.kinds == TIME_SHIFT
        return sum(int(begins[self.ids(piece)].sum()) for piece in self.split(split))

    def ids(self, piece: Piece) -> Ids:
        """Read the ids of a piece; `DataError` if they are not what was written."""
        path = self.folder / (f"shards/{piece.shard}.ids" if piece.shard else IDS)
        stored = self._ids.get(path)
        if stored is None:
            try:
                stored = np.memmap(path, "<u2", "r")
            except (OSError, ValueError) as error:
                raise DataError(f"{path}: cannot be read ({error}); prepare it again") from error
            self._ids[path] = stored
        ids = stored[piece.start : piece.start + piece.events]
        changed = piece.ids_sha256 and hashlib.sha256(ids.tobytes()).hexdigest() != piece.ids_sha256
        if changed or len(ids) != piece.events or ids.max(initial=0) >= self.vocabulary.size:
            raise DataError(f"{path}: the ids of {piece.path} are damaged; prepare it again")
        return ids.astype(np.int32)


def whole_pieces(
    dataset: Dataset,
    split: str,
    cut: Cut,
    first_events: int | None = None,
    notewise: bool = False,
) -> Iterator[Batch]:
    """Go once through the pieces of a split, carried, each target scored once.

    Parameters
    ----------
    first_events : int, optional
        Score only so many events from the beginning of each piece.
    notewise : bool
        Whether it is for a note-wise network.
    """
    pieces = sorted(dataset.split(split), key=lambda piece: -piece.events)
    v = dataset.vocabulary
    source = (_Row([], dataset.ids(piece)[:first_events], v, notewise) for piece in pieces)
    rows: list[_Row | None] = [None] * min(cut.rows, len(pieces))
    yield from _follow(source, rows, cut.events, _nothing(v, notewise))


def batches(
    dataset: Dataset,
    cut: Cut,
    augmentation: Augmentation | None = None,
    *,
    seed: int,
    position: list[Any] | None = None,
    controls: bool = False,
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
    controls : bool
        Whether batches have controls, measured in the music and dropped at random; carried
        windows only.
    notewise : bool
        Whether they are for a note-wise network; carried windows only.
    part, parts : int
        This process and the number of processes that share each round's pieces.
    """
    rounds = _Rounds(dataset, augmentation, seed, part, parts, notewise)
    if cut.carried:
        yield from _carried(rounds, cut, position, controls)
    elif controls or notewise:
        raise ValueError("controls and note-wise networks need carried windows")
    else:
        yield from _segments(rounds, cut, position)


@dataclass(frozen=True)
class _Rounds:
    """The pieces of the training split in the order of each round, each augmented anew."""

    dataset: Dataset
    augmentation: Augmentation | None
    seed: int
    part: int
    parts: int
    notewise: bool = False

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        return self.dataset.split("train")

    def order(self, number: int) -> NDArray[np.int64]:
        shuffled = np.random.default_rng([self.seed, number]).permutation(len(self.pieces))
        share = shuffled[self.part :: self.parts]
        if not len(share):
            raise DataError(
                f"{self.dataset.folder}: {len(self.pieces)} training pieces are too few for "
                f"{self.parts} processes"
            )
        return share

    def ids(self, number: int, index: int) -> Ids:
        """Return the ids of piece `index` as they are in round `number`."""
        ids = self.dataset.ids(self.pieces[index])
        if self.augmentation is None:
            return ids
        rng = np.random.default_rng([self.seed, number, index])
        return self.augmentation(ids, self.dataset.vocabulary, rng)

    def row(self, number: int, position: int, index: int, at: int = 0) -> _Row:
        composer = composer_of(self.pieces[index].composition)
        ids, v = self.ids(number, index), self.dataset.vocabulary
        return _Row([number, position, index], ids, v, self.notewise, at, composer)

    def rows(self, number: int, begin: int) -> Iterator[_Row]:
        """Yield pieces without end, from a position in a round on."""
        while True:
            order = self.order(number)
            for position in range(begin, len(order)):
                yield self.row(number, position, int(order[position]))
            number, begin = number + 1, 0


@dataclass
class _Row:
    """A piece that a row of the batch follows; its key is (round, position in it, index)."""

    key: list[int]
    ids: Ids
    vocabulary: Vocabulary
    notewise: bool = False
    at: int = 0
    composer: str | None = None

    @cached_property
    def events(self) -> Ids:
        """What windows are cut from: single ids, or the whole events that they make."""
        return steps(self.ids, self.vocabulary) if self.notewise else self.ids

    @cached_property
    def _measured(self) -> NDArray[np.float32]:
        numbers = measured(self.ids, self.vocabulary, self.composer)
        begins = self.vocabulary.kinds[self.ids] == TIME_SHIFT
        return numbers[begins] if self.notewise else numbers

    def controls(self, length: int, seed: int) -> NDArray[np.float32]:
        """Return what is requested of the next window, dropped by a chance of its own."""
        rng = np.random.default_rng([seed, *self.key, self.at, 2])
        return dropped(self._measured[self.at : self.at + length], rng)


def _follow(
    source: Iterator[_Row],
    rows: list[_Row | None],
    length: int,
    nothing: NDArray[np.int64],
    steering_seed: int | None = None,
) -> Iterator[Batch]:
    """Advance every row by a window at a time, taking pieces from the source when one ends.

    `nothing` is what stands for "no event yet". With a seed for it, batches have controls.
    """
    shape, steered = (length, len(rows), *nothing.shape), steering_seed is not None
    while True:
        inputs = np.full(shape, nothing)
        targets = np.full(shape, IGNORED, np.int64)
        fresh = np.zeros(len(rows), bool)
        controls = np.zeros((length, len(rows), SIZE), np.float32) if steered else None
        for column, row in enumerate(rows):
            while row is None or row.at >= len(row.events):
                row = next(source, None)
                if row is None:
                    break
                fresh[column] = True
            rows[column] = row
            if row is None:
                continue
            window = row.events[row.at : row.at + length]
            targets[: len(window), column] = window
            inputs[1 : len(window), column] = window[:-1]
            if row.at:
                inputs[0, column] = row.events[row.at - 1]
            if controls is not None and steering_seed is not None:
                controls[: len(window), column] = row.controls(length, steering_seed)
            row.at += length
        if not any(rows):
            return
        position = [[*row.key, row.at] for row in rows if row is not None]
        yield Batch(inputs, targets, fresh, position, controls)


def _nothing(v: Vocabulary, notewise: bool) -> NDArray[np.int64]:
    """Return what stands for "no event yet"."""
    return np.array([v.size, *[NO_ID] * (len(FIELDS) - 1)] if notewise else v.size)


def _carried(
    rounds: _Rounds, cut: Cut, position: list[Any] | None, controls: bool
) -> Iterator[Batch]:
    rows: list[_Row | None] = [None] * cut.rows
    number, begin = 0, 0
    if position is not None:
        rows = [rounds.row(*of_row) for of_row in position]
        number, taken = max((n, p) for n, p, _, _ in position)  # the last piece taken
        begin = taken + 1
    nothing = _nothing(rounds.dataset.vocabulary, rounds.notewise)
    steering_seed = rounds.seed if controls else None
    yield from _follow(rounds.rows(number, begin), rows, cut.events, nothing, steering_seed)


def _segments(rounds: _Rounds, cut: Cut, position: list[Any] | None) -> Iterator[Batch]:
    v = rounds.dataset.vocabulary
    number, pool, done = position or (0, 0, 0)
    while True:
        order = rounds.order(number)
        for at in range(pool, len(order), _POOL):
            segments = [
                segment
                for index in order[at : at + _POOL]
                for segment in _cut(rounds.ids(number, int(index)), cut, v)
            ]
            rng = np.random.default_rng([rounds.seed, number, at, 1])
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
    return Batch(inputs, targets, np.ones(len(segments), bool), position)
