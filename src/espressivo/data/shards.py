"""Shards: the ids of some files, and a record of what they were made from and what became of each.

A shard is made by one process and holds nothing that depends on other shards, on the time or on
the place of the folders. Its record is written after its ids, and both under temporary names, so
a record that is there says that the shard is whole. It is taken over by a later run if nothing
has changed, neither what it was made from nor a byte of it; and where some of its files are new,
so is what was made of the others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
)
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np

from espressivo import midi
from espressivo.codes import Ids, Vocabulary
from espressivo.data.fingerprint import Sketch, sketch
from espressivo.errors import DataError, MidiError
from espressivo.files import SEAL, intact, regular, replacing, seal
from espressivo.progress import Progress

__all__ = [
    "Entry",
    "Shard",
    "Sketches",
    "follow_parent",
    "ids_path",
    "make",
    "make_all",
    "plan",
    "processes",
    "sealed",
]

_FILES = 64  # at most so many to a shard, on average


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


class Sketches:
    """Fingerprints of files by their paths, on disk: those of a large corpus fill the memory.

    Parameters
    ----------
    file : binary file
        An empty one, to write in and read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._places = file, dict[str, tuple[int, int]]()

    def take(self, entry: Entry) -> None:
        """Take the landmarks of an entry, which has none from then on."""
        landmarks, entry.landmarks = base64.b64decode(entry.landmarks), ""
        self._places[entry.path] = self._file.seek(0, os.SEEK_END), len(landmarks)
        self._file.write(landmarks)

    def of(self, entries: Sequence[Entry]) -> Sequence[Sketch]:
        """Return the fingerprints of some entries, each read when it is wanted."""
        return _Stored(self._file, [self._places[entry.path] for entry in entries])


class _Stored(Sequence[Sketch]):
    def __init__(self, file: BinaryIO, places: list[tuple[int, int]]) -> None:
        self._file, self._places = file, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Sketch: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sketch]: ...
    def __getitem__(self, index: int | slice) -> Sketch | Sequence[Sketch]:
        if isinstance(index, slice):
            return _Stored(self._file, self._places[index])
        begin, size = self._places[index]
        self._file.seek(begin)
        stored = np.frombuffer(self._file.read(size), "<u4")
        return stored.astype(np.uint32).reshape(-1, 3)


@dataclass(frozen=True)
class Shard:
    """What a process needs to know to make a shard.

    Parameters
    ----------
    name : str
        Stem of its files.
    folder : Path
        Where it is written.
    files : tuple of (str, Path)
        Name in the manifest, and where the file is.
    settings : dict
        Plain values: ``format``, ``vocabulary`` and ``programs``.
    """

    name: str
    folder: Path
    files: tuple[tuple[str, Path], ...]
    settings: dict[str, Any]


def plan(files: Sequence[tuple[str, Path]], folder: Path, settings: dict[str, Any]) -> list[Shard]:
    """Deal files to shards by a hash of their names, so that a new file changes one shard only.

    The number of shards is a power of two, so it seldom changes.
    """
    count = 1
    while count * _FILES < len(files):
        count *= 2
    dealt: list[list[tuple[str, Path]]] = [[] for _ in range(count)]
    for name, path in sorted(files):
        dealt[int(hashlib.sha256(name.encode()).hexdigest(), 16) % count].append((name, path))
    plain = json.loads(json.dumps(settings))  # as it comes back from a record
    return [
        Shard(f"{number:05}", folder.resolve(), tuple(share), plain)
        for number, share in enumerate(dealt)
        if share
    ]


def make_all(
    shards: Sequence[Shard], executor: Executor | None, progress: Progress
) -> Iterator[Entry]:
    """Make shards in parallel, and yield the entries of their files in no particular order."""
    progress.start(sum(len(shard.files) for shard in shards), "files", "preparing")
    own = None
    if executor is None:
        executor = own = processes(min(os.cpu_count() or 1, len(shards)))
    futures: list[Future[list[Entry]]] = []
    try:
        futures += [executor.submit(make, shard) for shard in shards]
        for future in as_completed(futures):
            entries = future.result()
            progress.advance(len(entries))
            yield from entries
    except BrokenExecutor:
        raise DataError(
            "a process that was preparing files was killed, perhaps for lack of memory; "
            "run again to go on from there"
        ) from None
    finally:
        for future in futures:
            future.cancel()
        if own is not None:
            own.shutdown()
        progress.close()


def processes(workers: int | None = None) -> ProcessPoolExecutor:
    """Return processes to work in, one for each core by default.

    They start anew rather than as copies of this process, leave an interrupt from the keyboard to
    it, and end with it even when it is killed.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=follow_parent)


def make(shard: Shard) -> list[Entry]:
    """Write a shard, unless it is there already, and return the entries of its files."""
    hashes = [_sha256(path) for _, path in shard.files]
    names = [name for name, _ in shard.files]
    made_from = {
        **shard.settings,
        "files": [list(pair) for pair in zip(names, hashes, strict=True)],
    }
    there = _read(shard, made_from)
    if there is not None:
        return there
    earlier = _earlier(shard)
    _record_path(shard).unlink(missing_ok=True)
    vocabulary = Vocabulary(**shard.settings["vocabulary"])
    entries, start = [], 0
    with replacing(ids_path(shard.folder, shard.name)) as temporary, temporary.open("wb") as file:
        for (name, path), sha256 in zip(shard.files, hashes, strict=True):
            if (name, sha256) in earlier:
                entry, stored = earlier[name, sha256]
            else:
                entry, ids = _encode(path, Entry(name, sha256=sha256), shard.settings, vocabulary)
                stored = ids.astype("<u2").tobytes()
                entry.shard, entry.events = shard.name, len(ids)
                entry.ids_sha256 = hashlib.sha256(stored).hexdigest()
            entry.start = start
            start += entry.events
            entries.append(entry)
            file.write(stored)
    record = {"made_from": made_from, "entries": [asdict(e) for e in entries], "seal": SEAL}
    with replacing(_record_path(shard)) as temporary:
        temporary.write_bytes(sealed(record))
    return entries


def ids_path(folder: Path, name: str) -> Path:
    """Return where the ids of a shard are."""
    return folder / f"{name}.ids"


def sealed(plain: dict[str, Any]) -> bytes:
    """Return plain values, of which one is `SEAL`, as JSON, sealed."""
    content = bytearray((json.dumps(plain, indent=1) + "\n").encode())
    seal(content)
    return bytes(content)


def _encode(
    path: Path, entry: Entry, settings: dict[str, Any], vocabulary: Vocabulary
) -> tuple[Entry, Ids]:
    """Read one file; return its ids, none if it is to be dropped, and its filled-in entry."""
    nothing = np.empty(0, np.int32)
    try:
        performance = midi.read(path, settings["programs"])
    except MidiError as error:
        entry.reason, entry.detail = "unreadable", str(error).removeprefix(f"{path}: ")
        return entry, nothing
    pitch = performance.notes["pitch"]
    inside = (pitch >= vocabulary.lowest_pitch) & (pitch <= vocabulary.highest_pitch)
    entry.notes = int(inside.sum())
    entry.outside = len(pitch) - entry.notes
    entry.seconds = round(performance.seconds, 3)
    if not entry.notes:
        entry.reason = "no notes"
        return entry, nothing
    entry.landmarks = base64.b64encode(sketch(performance).astype("<u4").tobytes()).decode()
    return entry, vocabulary.encode(performance)


def _record_path(shard: Shard) -> Path:
    return shard.folder / f"{shard.name}.json"


def _read(shard: Shard, made_from: dict[str, Any]) -> list[Entry] | None:
    """Return the entries of a shard that is there, whole and made from the same; else None."""
    found = _whole(shard)
    if found is None or found[0] != made_from:
        return None
    return [entry for entry, _ in found[1]]


def _earlier(shard: Shard) -> dict[tuple[str, str], tuple[Entry, bytes]]:
    """Return what is there of a shard whose files have changed, by name and hash of each file.

    Files that could not be read are left out: another attempt may succeed.
    """
    found = _whole(shard)
    if found is None or {k: v for k, v in found[0].items() if k != "files"} != shard.settings:
        return {}
    return {(entry.path, entry.sha256): (entry, ids) for entry, ids in found[1] if entry.sha256}


def _whole(shard: Shard) -> tuple[dict[str, Any], list[tuple[Entry, bytes]]] | None:
    """Return what a shard was made from, and its entries with their ids, if all of it is there."""
    try:
        content = regular(_record_path(shard)).read_bytes()
        if not intact(content):
            return None
        record = json.loads(content)
        entries = [Entry(**values) for values in record["entries"]]
        with regular(ids_path(shard.folder, shard.name)).open("rb") as file:
            each = [(entry, file.read(2 * entry.events)) for entry in entries]
            more = bool(file.read(1))
        hashes = [hashlib.sha256(ids).hexdigest() for _, ids in each]
        whole = not more and hashes == [entry.ids_sha256 for entry in entries]
        return (record["made_from"], each) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sha256(path: Path) -> str:
    """Return the hash of a file's bytes, or nothing if it is none that can be read as MIDI."""
    try:
        return hashlib.sha256(midi.load(path)).hexdigest()
    except MidiError:
        return ""


def follow_parent() -> None:
    """Let this process leave interrupts to its parent, and end at once when that has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)  # the main thread may be waiting for work that will never come
