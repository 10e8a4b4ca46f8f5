"""Index: where the passages of a folder's performances are in the space, kept on disk."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.data import find_files
from espressivo.errors import DataError, EspressivoError
from espressivo.files import check_writable, regular, replacing
from espressivo.latent import Latent, passages_of
from espressivo.progress import Progress, Silent

__all__ = ["INDEX_NAME", "Index", "update"]

INDEX_NAME = ".espressivo-index.npz"
"""Name of the index in the folder that it is of, unless told otherwise."""

_FORMAT = 2
_LATER = 24  # events from one passage to the next, of which each has up to twice as many
_ARRAYS = ("near", "begin_s", "end_s", "of")


@dataclass(frozen=True, eq=False)
class Index:
    """The passages of some performances.

    Parameters
    ----------
    names : tuple of str
        Of the performances, as paths below the folder.
    stamps : tuple of (int, int)
        Size in bytes and time of the last change in nanoseconds of each file.
    near : float16 array, shape (passages, dimensions)
        Where each passage is among takes, as `espressivo.latent.Latent.near` says.
    begin_s, end_s : float32 arrays, shape (passages,)
    of : int32 array, shape (passages,)
        Number of the performance of each passage, ascending.
    left_out : mapping of str to str
        Files that could not be read, or without notes, each with the reason.
    """

    names: tuple[str, ...]
    stamps: tuple[tuple[int, int], ...]
    near: NDArray[np.float16]
    begin_s: NDArray[np.float32]
    end_s: NDArray[np.float32]
    of: NDArray[np.int32]
    left_out: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def directions(self) -> NDArray[np.float32]:
        """`near` in numbers that are quickly multiplied, shape (passages, dimensions)."""
        return self.near.astype(np.float32)

    def write(self, path: Path, space: str) -> None:
        """Write it, whole or not at all."""
        about = {
            "format": _FORMAT,
            "space": space,
            "names": self.names,
            "stamps": self.stamps,
            "left_out": dict(self.left_out),
        }
        content = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(content, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        with replacing(path) as temporary:
            temporary.write_bytes(content.getvalue())


def update(
    folder: Path, latent: Latent, *, file: Path | None = None, progress: Progress | None = None
) -> Index:
    """Return the index of a folder; what is new or has changed is read, and the rest is not.

    Parameters
    ----------
    folder : path
        Folders in it count too.
    latent : Latent
    file : path, optional
        Where the index is kept; by default in the folder, as `INDEX_NAME`.
    progress : Progress, optional

    Raises
    ------
    DataError
        If there is no such folder, no MIDI file in it, none that can be read, or another file
        where the index is to be.
    OSError
        If the index cannot be read or written.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise DataError(f"{folder}: no such folder")
    kept = root / INDEX_NAME if file is None else file
    before = _read(kept, latent)
    old = {} if before is None else {n: k for k, n in enumerate(before.names)}
    files = [path for _, path in find_files([root]) if path.is_file()]
    names, stamps, left_out = [], [], {}
    parts: list[tuple[NDArray[np.float16], NDArray[np.float32], NDArray[np.float32]]] = []
    changed = False
    if before is None:
        check_writable(kept)  # before much is read in vain
    progress = progress or Silent()
    progress.start(len(files), "files", "Reading")
    with contextlib.closing(progress):
        for path in files:
            name = path.relative_to(root).as_posix()
            status = path.stat()
            stamp = status.st_size, status.st_mtime_ns
            number = old.get(name)
            if before is not None and number is not None and before.stamps[number] == stamp:
                part = _part(before, number)
            else:
                try:
                    part = _encoded(path, latent)
                except EspressivoError as error:
                    left_out[name] = str(error)
                    progress.advance()
                    continue
                changed = True
            names.append(name)
            stamps.append(stamp)
            parts.append(part)
            progress.advance()
    if not parts:
        raise DataError(f"{folder}: none of {len(files)} MIDI files holds notes of a piano")
    near, begin_s, end_s = (np.concatenate(each) for each in zip(*parts, strict=True))
    of = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part[0]) for part in parts])
    index = Index(tuple(names), tuple(stamps), near, begin_s, end_s, of, left_out)
    if before is None or (before.names, before.left_out) != (index.names, left_out):
        changed = True
    if changed:
        index.write(kept, latent.digest)
    return index


def _encoded(
    path: Path, latent: Latent
) -> tuple[NDArray[np.float16], NDArray[np.float32], NDArray[np.float32]]:
    passages = passages_of(midi.read(path), latent.length, latent.vocabulary, _LATER)
    means, _ = latent.encode(passages)
    return (
        latent.near(means).astype(np.float16),
        passages.begin_s.astype(np.float32),
        passages.end_s.astype(np.float32),
    )


def _part(
    index: Index, number: int
) -> tuple[NDArray[np.float16], NDArray[np.float32], NDArray[np.float32]]:
    first, last = np.searchsorted(index.of, [number, number + 1])
    return index.near[first:last], index.begin_s[first:last], index.end_s[first:last]


def _read(path: Path, latent: Latent) -> Index | None:
    """Return an index from disk; None if there is none, or one of another space."""
    if not path.exists():
        return None
    content = regular(path).read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            arrays = {name: stored[name] for name in _ARRAYS}
        if about["format"] != _FORMAT or about["space"] != latent.digest:
            return None
        index = Index(
            tuple(map(str, about["names"])),
            tuple((int(length), int(time)) for length, time in about["stamps"]),
            left_out=dict(about["left_out"]),
            **arrays,
        )
        count = len(index.of)
        fits = (
            index.near.shape == (count, latent.near_size)
            and index.begin_s.shape == index.end_s.shape == (count,)
            and len(index.stamps) == len(index)
            and np.array_equal(np.unique(index.of), np.arange(len(index)))
            and (np.diff(index.of) >= 0).all()
            and all(np.isfinite(array).all() for array in arrays.values())
        )
        if not fits:
            raise ValueError("its parts do not fit together")
    except Exception:  # NumPy and zipfile raise many kinds of errors at damaged bytes
        raise DataError(
            f"{path}: is no index of espressivo, or damaged: remove it, or keep the index elsewhere"
        ) from None
    return index
