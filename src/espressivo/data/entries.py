"""Entries: what becomes of each file of a corpus, on disk, for a large one fills the memory."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from espressivo.data.fingerprint import Sketch

__all__ = ["Entries", "Entry", "Sketches", "Sources", "scratch"]


@dataclass(slots=True)
class Entry:
    """A row of the manifest: what became of a file.

    ``reason`` is empty for a file that is kept, ``start`` and ``events`` are the position and the
    number of its ids, in the shard until all pieces are put together, ``outside`` counts notes
    that the vocabulary has no ids for, ``sha256`` and ``ids_sha256`` are the hashes of the file
    and of its ids, and ``landmarks`` is its fingerprint (`Sketch`, little-endian, base64).
    """

    path: str
    reason: str = ""
    detail: str = ""
    split: str = ""
    composition: str = ""
    shard: str = ""
    start: int = 0
    events: int = 0
    notes: int = 0
    outside: int = 0
    seconds: float = 0.0
    sha256: str = ""
    ids_sha256: str = ""
    landmarks: str = ""


_FIELDS = tuple(field.name for field in fields(Entry))


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[BinaryIO]:
    """Give an empty file in a folder, which has no name and ends with the block."""
    with TemporaryFile(dir=folder, prefix=".", suffix=".partial") as file:
        yield file


class _Records:
    """Bytes in a file, by number; what is replaced stays in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._begins, self._sizes = file, array("Q"), array("I")

    def __len__(self) -> int:
        return len(self._begins)

    def _append(self, content: bytes) -> None:
        self._begins.append(self._written(content))
        self._sizes.append(len(content))

    def _replace(self, index: int, content: bytes) -> None:
        self._begins[index], self._sizes[index] = self._written(content), len(content)

    def _content(self, index: int) -> bytes:
        self._file.seek(self._begins[index])
        return self._file.read(self._sizes[index])

    def _written(self, content: bytes) -> int:
        begin = self._file.seek(0, os.SEEK_END)
        self._file.write(content)
        return begin


class Sources(_Records):
    """Names of files in the manifest, and where each is.

    Parameters
    ----------
    file : binary file
        An empty one, to write in and read.
    """

    def append(self, name: str, path: Path) -> None:
        """Add a file."""
        self._append(json.dumps([name, os.fspath(path)]).encode())

    def __getitem__(self, index: int) -> tuple[str, Path]:
        name, path = json.loads(self._content(index))
        return name, Path(path)


class Entries(_Records):
    """Entries without their landmarks; see `Sketches` for those.

    Parameters
    ----------
    file : binary file
        An empty one, to write in and read.
    """

    def append(self, entry: Entry) -> None:
        """Add an entry."""
        self._append(_packed(entry))

    def __setitem__(self, index: int, entry: Entry) -> None:
        self._replace(index, _packed(entry))

    def __getitem__(self, index: int) -> Entry:
        return Entry(*json.loads(self._content(index)))

    def __iter__(self) -> Iterator[Entry]:
        return (self[index] for index in range(len(self)))

    def kept(self) -> NDArray[np.int64]:
        """Return the numbers of those that are kept."""
        return np.flatnonzero(np.fromiter((not entry.reason for entry in self), bool, len(self)))


class Sketches(_Records):
    """Fingerprints of files, by the numbers of their entries.

    Parameters
    ----------
    file : binary file
        An empty one, to write in and read.
    """

    def append(self, entry: Entry) -> None:
        """Take the landmarks of an entry, which has none from then on."""
        self._append(_taken(entry))

    def __setitem__(self, index: int, entry: Entry) -> None:
        self._replace(index, _taken(entry))

    def of(self, indices: NDArray[np.int64]) -> Sequence[Sketch]:
        """Return the fingerprints of some entries, each read when it is wanted."""
        return _Chosen(self, indices)

    def read(self, index: int) -> Sketch:
        """Return the fingerprint of an entry."""
        stored = np.frombuffer(self._content(index), "<u4")
        return stored.astype(np.uint32).reshape(-1, 3)


class _Chosen(Sequence[Sketch]):
    def __init__(self, sketches: Sketches, indices: NDArray[np.int64]) -> None:
        self._sketches, self._indices = sketches, indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Sketch: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sketch]: ...
    def __getitem__(self, index: int | slice) -> Sketch | Sequence[Sketch]:
        if isinstance(index, slice):
            return _Chosen(self._sketches, self._indices[index])
        return self._sketches.read(self._indices[index])


def _packed(entry: Entry) -> bytes:
    return json.dumps([getattr(entry, name) for name in _FIELDS]).encode()


def _taken(entry: Entry) -> bytes:
    landmarks, entry.landmarks = base64.b64decode(entry.landmarks), ""
    return landmarks
