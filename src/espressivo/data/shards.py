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
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.codes import Ids, Vocabulary
from espressivo.data.entries import Entry, Sources
from espressivo.data.fingerprint import sketch
from espressivo.errors import DataError, MidiError
from espressivo.files import SEAL, intact, regular, replacing, seal
from espressivo.progress import Progress

__all__ = [
    "Plan",
    "Shard",
    "follow_parent",
    "ids_path",
    "make",
    "make_all",
    "processes",
    "sealed",
]

_FILES = 64  # at most so many to a shard, on average
_AT_ONCE = 64  # shards that are given to an executor; bounds the memory


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


class Plan(Sequence[Shard]):
    """Files dealt to shards by a hash of their names, so that a new file changes one shard only.

    The number of shards is a power of two, so it seldom changes. Each is put together when it is
    wanted.

    Parameters
    ----------
    sources : Sources
        All files.
    wanted : sequence of int
        Which of them.
    folder : path
        Of the shards.
    settings : dict
        As of `Shard`.
    """

    def __init__(
        self,
        sources: Sources,
        wanted: Sequence[int] | NDArray[np.int64],
        folder: Path,
        settings: dict[str, Any],
    ) -> None:
        self._sources, self._folder, self.total = sources, folder.resolve(), len(wanted)
        self._settings = json.loads(json.dumps(settings))  # as it comes back from a record
        count = 1
        while count * _FILES < len(wanted):
            count *= 2
        dealt = np.fromiter((_hash(sources[one][0]) % count for one in wanted), np.int64)
        order = np.argsort(dealt, kind="stable")
        self.names = tuple(f"{number:05}" for number in np.unique(dealt).tolist())
        cuts = np.flatnonzero(np.diff(dealt[order])) + 1
        self._files = np.split(np.array(wanted, np.int64)[order], cuts) if len(wanted) else []

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Shard: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Shard]: ...
    def __getitem__(self, index: int | slice) -> Shard | Sequence[Shard]:
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        files = tuple(self._sources[one] for one in self.files(index))
        return Shard(self.names[index], self._folder, files, self._settings)

    def files(self, index: int) -> list[int]:
        """Return the numbers of a shard's files, in the order of their names."""
        return sorted(self._files[index].tolist(), key=self._sources.__getitem__)


def make_all(
    plan: Plan, executor: Executor | None, progress: Progress
) -> Iterator[tuple[int, Entry]]:
    """Make shards in parallel, and yield the entries of their files by number, in no order."""
    progress.start(plan.total, "files", "preparing")
    own = None
    if executor is None:
        executor = own = processes(min(os.cpu_count() or 1, len(plan)))
    futures: dict[Future[list[Entry]], int] = {}
    left = iter(range(len(plan)))
    try:
        while True:
            for index in islice(left, _AT_ONCE - len(futures)):
                futures[executor.submit(make, plan[index])] = index
            if not futures:
                break
            done, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in done:
                numbers = plan.files(futures.pop(future))
                yield from zip(numbers, future.result(), strict=True)
                progress.advance(len(numbers))
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


def _hash(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


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
