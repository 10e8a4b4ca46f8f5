"""A prepared dataset, memory-mapped."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import TIME_SHIFT, Ids, Vocabulary
from espressivo.errors import DataError

__all__ = ["FORMAT", "Dataset", "Piece"]

FORMAT = 1
"""Version of the layout of a prepared dataset."""


@dataclass(frozen=True)
class Piece:
    """One performance of a prepared dataset: where its ids are, and what it is.

    `events` is the number of its ids, whatever the vocabulary.
    """

    path: str
    split: str
    composition: str
    shard: str
    start: int
    events: int
    notes: int
    seconds: float


class Dataset:
    """A folder written by ``espressivo prepare``, opened for reading.

    Parameters
    ----------
    folder : path

    Raises
    ------
    DataError
        If the folder is not a prepared dataset, is incomplete, or is of another version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            text = (self.folder / "dataset.json").read_text(encoding="utf-8")
            about = json.loads(text)
            if about["format"] != FORMAT:
                raise DataError(
                    f"{self.folder}: format {about['format']}, this version reads {FORMAT}; "
                    "run 'espressivo prepare' again"
                )
            self.vocabulary = Vocabulary(**about["vocabulary"])
            with (self.folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
                self.pieces = tuple(
                    Piece(
                        row["path"],
                        row["split"],
                        row["composition"],
                        row["shard"],
                        int(row["start"]),
                        int(row["events"]),
                        int(row["notes"]),
                        float(row["seconds"]),
                    )
                    for row in csv.DictReader(file)
                    if row["status"] == "kept"
                )
        except FileNotFoundError as error:
            raise DataError(
                f"{self.folder}: not a prepared dataset, {Path(error.filename).name} is missing; "
                "make one with 'espressivo prepare'"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.folder}: damaged ({error}); prepare it again") from error
        self.about: dict[str, Any] = about
        self._shards: dict[str, NDArray[np.uint16]] = {}

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
        """Read the ids of a piece from its shard."""
        shard = self._shards.get(piece.shard)
        if shard is None:
            path = self.folder / "shards" / f"{piece.shard}.ids"
            try:
                shard = np.memmap(path, "<u2", "r")
            except (OSError, ValueError) as error:
                raise DataError(f"{path}: cannot be read ({error}); prepare it again") from error
            self._shards[piece.shard] = shard
        ids = shard[piece.start : piece.start + piece.events].astype(np.int32)
        if len(ids) != piece.events or (len(ids) and ids.max() >= self.vocabulary.size):
            raise DataError(f"{self.folder}: shard {piece.shard} is damaged; prepare it again")
        return ids
