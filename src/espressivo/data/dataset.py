"""A prepared dataset, memory-mapped."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import TIME_SHIFT, Ids, Vocabulary
from espressivo.data.cloud import fetched
from espressivo.data.layout import DESCRIPTION, FORMAT, FORMATS, IDS, MANIFESTS, kind_of
from espressivo.data.manifest import manifest_rows
from espressivo.errors import DataError
from espressivo.files import intact, is_url, regular

__all__ = ["Dataset", "Piece"]


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


class Dataset:
    """A folder written by ``espressivo prepare``, opened for reading.

    Parameters
    ----------
    folder : path
        Or a URL that fsspec reads, such as s3://bucket/data, with the extra `cloud`: it is fetched
        into a local folder, which stays for the next time.

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
        self.folder = fetched(os.fspath(folder)) if is_url(folder) else Path(folder)
        try:
            content = regular(self.folder / DESCRIPTION).read_bytes()
            whole = intact(content)
            about: dict[str, Any] = {"format": FORMAT} if whole is False else json.loads(content)
            if about["format"] not in FORMATS:
                raise DataError(
                    f"{self.folder}: format {about['format']}, this version reads {FORMATS[0]} to "
                    f"{FORMATS[-1]}; "
                    "run 'espressivo prepare' again"
                )
            if not whole and ("manifest_sha256" in about or about["format"] > 1):
                raise ValueError(f"{DESCRIPTION} has changed since it was written")
            kind = kind_of(about)
            manifest = regular(self.folder / MANIFESTS[kind]).read_bytes()
            self.sha256 = hashlib.sha256(manifest).hexdigest()
            if about.get("manifest_sha256", self.sha256) != self.sha256:
                raise ValueError(f"{MANIFESTS[kind]} has changed since it was written")
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
                for row in manifest_rows(manifest, kind, str(self.folder))
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
            raise DataError(
                f"{self.folder}: no piece is in the split {name!r}: prepare more files, "
                "or give each its split with --csv"
            )
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
                stored = np.memmap(regular(path, most=None), "<u2", "r")
            except (OSError, ValueError) as error:
                raise DataError(f"{path}: cannot be read ({error}); prepare it again") from error
            self._ids[path] = stored
        ids = stored[piece.start : piece.start + piece.events]
        changed = piece.ids_sha256 and hashlib.sha256(ids.tobytes()).hexdigest() != piece.ids_sha256
        if changed or len(ids) != piece.events or ids.max(initial=0) >= self.vocabulary.size:
            raise DataError(f"{path}: the ids of {piece.path} are damaged; prepare it again")
        return ids.astype(np.int32)
