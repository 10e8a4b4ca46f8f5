"""Folders of MIDI files -> a prepared dataset: duplicates, splits, and a manifest of every file.

The work is cut into shards (`espressivo.data`), which are made in parallel, each from its files
and the settings alone. What depends on all files together, duplicates and splits, is decided at
the end. So a run that was stopped, by whatever means, is resumed from the shards that are there,
and its result is the same, byte for byte, as if it had not been stopped.

At the end the ids of all pieces are put together in one file, which training reads. The shards
stay for the next run, which takes them over where nothing has changed; they can be removed.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from espressivo.codes import Vocabulary
from espressivo.data import shards
from espressivo.data.cloud import check_url, kept_at, upload
from espressivo.data.entries import Entries, Entry, Sketches, Sources, scratch
from espressivo.data.finding import found_files, read_splits, row_of
from espressivo.data.fingerprint import FINGERPRINT, same_composition, same_performance
from espressivo.data.layout import DESCRIPTION, FORMAT, IDS, MANIFESTS
from espressivo.data.manifest import COLUMNS, check_kind, writing_rows
from espressivo.data.recordings import transcribed
from espressivo.data.splits import SPLITS, Row, split_up
from espressivo.errors import AudioError, DataError
from espressivo.files import SEAL, check_folder, is_url, locked, replacing
from espressivo.music import is_recording
from espressivo.progress import Progress, Silent

__all__ = [
    "Manifest",
    "Totals",
    "prepare",
]


@dataclass(frozen=True)
class Totals:
    """What the kept pieces of one split amount to."""

    pieces: int
    events: int
    notes: int
    hours: float


@dataclass(frozen=True)
class Manifest:
    """What `prepare` found, and what became of it; its manifest has a row for every file.

    Parameters
    ----------
    found, kept : int
        Number of files.
    dropped : dict of str to int
        Number of files by reason: ``unreadable``, ``no notes``, ``exact copy``, ``same
        performance``, ``not in the CSV``.
    unreadable : tuple of str
        Path of each unreadable file, and what is wrong with it.
    outside : int
        Notes of kept files that the vocabulary has no ids for.
    parted : int
        Pairs of kept files that share a composition, or part of one, by their fingerprints, and
        stand in different splits; 0 unless a CSV has put them there.
    splits : dict of str to Totals
        By ``train``, ``validation``, ``test``.
    disk_bytes : int
        Size of the dataset's folder.
    taken_s : float
        Seconds that the run took.
    """

    found: int
    kept: int
    dropped: dict[str, int]
    unreadable: tuple[str, ...]
    outside: int
    parted: int
    splits: dict[str, Totals]
    disk_bytes: int
    taken_s: float

    @property
    def files_per_second(self) -> float:
        """Files found per second of the run; shards taken over from an earlier run count too."""
        return self.found / max(self.taken_s, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {**asdict(self), "files_per_second": self.files_per_second}

    def lines(self) -> list[str]:
        """Return the manifest as a text table, with the first 20 unreadable files."""
        lines = [f"{self.found} files found, {self.kept} kept"]
        lines += [f"  {number} dropped: {reason}" for reason, number in self.dropped.items()]
        lines += [f"    {text}" for text in self.unreadable[:20]]
        if len(self.unreadable) > 20:
            lines.append(f"    and {len(self.unreadable) - 20} more, see the manifest")
        if self.outside:
            lines.append(f"  {self.outside} notes outside the vocabulary's range of pitches")
        if self.parted:
            lines.append(f"  {self.parted} pairs of files share music across splits: see the CSV")
        lines.append(f"{'split':<12}{'pieces':>8}{'events':>13}{'notes':>12}{'hours':>9}")
        lines += [
            f"{name:<12}{t.pieces:>8}{t.events:>13,}{t.notes:>12,}{t.hours:>9.1f}"
            for name, t in self.splits.items()
        ]
        lines.append(
            f"{self.disk_bytes / 1e6:.1f} MB on disk, {self.taken_s:.1f} s, "
            f"{self.files_per_second:.0f} files a second"
        )
        return lines


def prepare(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    vocabulary: Vocabulary,
    splits: str | os.PathLike[str] | None = None,
    fractions: tuple[float, float, float] = (0.85, 0.05, 0.10),
    programs: Collection[int] | None = None,
    manifest: str = "csv",
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write a prepared dataset of all MIDI files in some folders.

    A file is dropped if it cannot be read, has no notes, is an exact copy, or holds the same
    performance as another, in whole or in part (`espressivo.data.fingerprint`). Of several the one
    with the most notes is kept; of equals, that of the folder given first, then the first path.

    Whole compositions fall into a split. Without a CSV, files that share a composition, or part
    of one, form a group named after its first file, and a hash of that name decides the split:
    files added later do not move the others, unless they join groups or come first in one. Of two
    compositions or more, one at least is learned from and one validates; where this is not so by
    chance, those nearest to it are moved. The files of a single composition are split by time: the
    last fifth of each of 30 s or more validates, in a row of its own in the manifest.

    Parameters
    ----------
    folders : sequence of paths
        MIDI files, and folders, searched with all their subfolders for ``.mid``, ``.midi`` and
        ``.kar`` in any case; with the extra `transcribe` recordings too, which are transcribed once
        and kept as MIDI in the folder ``transcribed`` of `out`. Paths in the dataset begin with the
        folder's own name.
    out : path
        Folder of the dataset; made if missing. A dataset there is replaced, and its shards are
        taken over where their files and settings are the same. It may be a URL that fsspec reads,
        such as s3://bucket/data, with the extra `cloud`: then it is prepared in a local folder,
        which stays for the next time, and put there when it is whole (`espressivo.data.cloud`).
    vocabulary : Vocabulary
        The one to write in.
    splits : path, optional
        CSV that gives each file's split and composition: ``maestro-v3.0.0.csv``, or one with
        the columns ``path``, ``split`` and ``composition``. A row belongs to each file whose path
        ends in the row's. Files without a row are dropped.
    fractions : tuple of float
        Without a CSV, the shares of train, validation and test, adding up to 1. They are shares
        of compositions, expected ones: a small corpus may have no test split.
    programs : collection of int, optional
        MIDI programs to read; see `espressivo.midi.read`.
    manifest : str
        "csv" or, with pyarrow, "parquet", which is smaller and read faster when there are very
        many files.
    executor : concurrent.futures.Executor, optional
        Where the work is done; by default a process on each core (which start anew, so a script
        needs its ``if __name__ == "__main__"``). A Dask cluster's ``client.get_executor()`` will
        do: its workers must see the same folders and `out` under the same paths.
    progress : Progress, optional

    Returns
    -------
    Manifest

    Raises
    ------
    DataError
        If there are no MIDI files, the CSV does not fit, another run is writing to `out`, or
        `out` cannot be written.
    """
    if is_url(out):
        url = os.fspath(out)
        check_url(url)
        local = kept_at(url)
        made = prepare(
            folders,
            local,
            vocabulary=vocabulary,
            splits=splits,
            fractions=fractions,
            programs=programs,
            manifest=manifest,
            executor=executor,
            progress=progress,
        )
        upload(local, url, progress)
        return made
    began_s = time.monotonic()
    if not (len(fractions) == 3 and min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise DataError(f"fractions {fractions}: give three from 0 to 1 that add up to 1")
    check_kind(manifest)
    try:
        out = check_folder(out)
    except OSError as error:
        raise DataError(f"{out}: {error.strerror}") from None
    rows = _rows(folders, None if splits is None else Path(splits))
    settings = {
        "format": FORMAT,
        "fingerprint": FINGERPRINT,
        "vocabulary": vocabulary.to_dict(),
        "programs": None if programs is None else sorted(programs),
    }
    progress = progress or Silent()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with locked(out, DataError), ExitStack() as stack:
            _make_room(out)
            if not (out / IDS).exists():  # of version 1, whose ids are in the shards
                (out / DESCRIPTION).unlink(missing_ok=True)
            folder = out / "shards"
            one, two, three = (stack.enter_context(scratch(folder)) for _ in range(3))
            sources, entries, sketches = Sources(one), Entries(two), Sketches(three)
            files = found_files(folders, recordings=True)
            wanted = array("q")
            for entry, path in _each(files, rows, out / "transcribed", progress):
                if not entry.reason:
                    wanted.append(len(entries))
                sources.append(entry.path, path)
                sketches.append(entry)
                entries.append(entry)
            plan = shards.Plan(sources, wanted, folder, settings)
            _clear(out, set(plan.names))
            for number, entry in shards.make_all(plan, executor, progress):
                sketches[number] = entry
                entries[number] = entry
            _drop_copies(entries, sketches, folder)
            composed, parted = split_up(entries, rows, fractions, folder, vocabulary, sketches)
            about = {**settings, "split_by": Path(splits).name if splits else fractions}
            if manifest == "parquet":
                about["format"] = 3
            totals, unreadable = _finish(out, composed, parted, about, manifest)
    except OSError as error:
        raise DataError(f"{error.filename or out}: {error.strerror or error}") from error
    return Manifest(
        **{**totals, "splits": {name: Totals(**t) for name, t in totals["splits"].items()}},
        unreadable=tuple(unreadable),
        disk_bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        taken_s=time.monotonic() - began_s,
    )


def _rows(folders: Sequence[str | os.PathLike[str]], splits: Path | None) -> dict[str, Row] | None:
    """Return the row of each file that has one, or None without a CSV; some files are there."""
    files = found_files(folders, recordings=True)
    if splits is None:
        next(files)
        return None
    table, rows, count = read_splits(splits), dict[str, Row](), 0
    for name, path in files:
        count += 1
        row = row_of(path, table)
        if row is not None:
            rows[name] = table[row]
    if not rows:
        raise DataError(f"{splits}: no row of it is one of the {count} MIDI files found")
    return rows


def _each(
    files: Iterable[tuple[str, Path]],
    rows: dict[str, Row] | None,
    heard: Path,
    progress: Progress,
) -> Iterator[tuple[Entry, Path]]:
    """Yield the entry of each file, dropped or yet to be filled in, and where it is.

    Recordings are where they are kept as they were heard.
    """
    for name, path in files:
        entry = Entry(name)
        if rows is not None and name not in rows:
            entry.reason = "not in the CSV"
        elif is_recording(path):
            try:
                path = transcribed(name, path, heard, progress)
            except AudioError as error:
                entry.reason, entry.detail = "unreadable", str(error)
        yield entry, path


def _make_room(out: Path) -> None:
    """Make the folder of the shards, without which nothing that is in `out` is by `prepare`."""
    strange = [name for name in (DESCRIPTION, *MANIFESTS.values(), IDS) if (out / name).exists()]
    if strange and not (out / "shards").is_dir():
        raise DataError(f"{out / strange[0]}: is no part of a dataset: choose another folder")
    (out / "shards").mkdir(exist_ok=True)


def _clear(out: Path, names: set[str]) -> None:
    """Remove what stopped runs and earlier, larger datasets left."""
    for path in [*out.glob(".*.partial"), *(out / "shards").iterdir()]:
        ours = re.fullmatch(r"(\d{5,})\.(ids|json)", path.name)
        if path.suffix == ".partial" or (ours and ours[1] not in names):
            path.unlink()


def _drop_copies(entries: Entries, stored: Sketches, folder: Path) -> None:
    """Mark all but one of the files that hold the same performance."""
    for index, path in _exact_copies(entries):
        entry = entries[index]
        entry.reason, entry.detail = "exact copy", path
        entries[index] = entry
    kept = entries.kept()
    sketches = stored.of(kept)
    related = defaultdict(list)
    for a, b in same_composition(sketches, folder):
        related[a].append(b)
        related[b].append(a)
    alike = {index: entries[kept[index]] for index in related}
    stay: set[int] = set()
    for index in sorted(alike, key=lambda i: (-alike[i].notes, i)):
        for other in related[index]:
            if other in stay and same_performance(sketches[index], sketches[other]):
                entry = alike[index]
                entry.reason, entry.detail = "same performance", alike[other].path
                entries[kept[index]] = entry
                break
        else:
            stay.add(index)


def _exact_copies(entries: Entries) -> Iterator[tuple[int, str]]:
    """Yield the numbers of files whose bytes are those of an earlier one, and its path."""
    begins = (0 if entry.reason else int(entry.sha256[:16] or "0", 16) for entry in entries)
    begin, times = np.unique(begun := np.fromiter(begins, np.uint64), return_counts=True)
    first: dict[str, str] = {}
    for index in np.flatnonzero(np.isin(begun, begin[times > 1])).tolist():
        entry = entries[index]
        if not entry.reason and first.setdefault(entry.sha256, entry.path) is not entry.path:
            yield index, first[entry.sha256]


class _Sum:
    """What became of files, added up as they are written."""

    def __init__(self) -> None:
        self._found = self._kept = self._outside = 0
        self._dropped = Counter[str]()
        self._splits = {name: [0, 0, 0, 0.0] for name in SPLITS}
        self._last = ""
        self.unreadable: list[str] = []

    def add(self, entry: Entry) -> None:
        """Count a file by what became of it, and a kept one by its split."""
        another, self._last = entry.path != self._last, entry.path  # else its second part
        self._found += another
        if entry.reason:
            self._dropped[entry.reason] += 1
            if entry.reason == "unreadable":
                self.unreadable.append(f"{entry.path}: {entry.detail}")
            return
        self._kept += another
        self._outside += entry.outside
        totals = self._splits[entry.split]
        for place, value in enumerate((1, entry.events, entry.notes, entry.seconds)):
            totals[place] += value

    def totals(self, parted: int) -> dict[str, Any]:
        """Return the numbers of `Manifest`."""
        return {
            "found": self._found,
            "kept": self._kept,
            "dropped": dict(sorted(self._dropped.items())),
            "outside": self._outside,
            "parted": parted,
            "splits": {
                name: {
                    "pieces": pieces,
                    "events": events,
                    "notes": notes,
                    "hours": round(seconds / 3600, 3),
                }
                for name, (pieces, events, notes, seconds) in self._splits.items()
            },
        }


def _finish(
    out: Path, entries: Iterable[Entry], parted: int, about: dict[str, Any], kind: str
) -> tuple[dict[str, Any], list[str]]:
    """Write the ids of all pieces, the manifest, and the file that makes the dataset whole.

    They get their names in this order when all are written, so that a dataset which is there stays
    as it is until then; one of which only some files are new is known by its hashes, and refused.
    Returned are the totals, and the files that could not be read.
    """
    counted = _Sum()
    with (
        replacing(out / DESCRIPTION) as description,
        replacing(out / MANIFESTS[kind]) as manifest,
        replacing(out / IDS) as ids,
    ):
        with writing_rows(manifest, kind) as write, ids.open("wb") as joined:
            for entry in _joined(out / "shards", entries, joined):
                counted.add(entry)
                write(_row(entry))
        with manifest.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        totals = counted.totals(parted)
        hashed = {"manifest_sha256": sha256, "seal": SEAL}
        description.write_bytes(shards.sealed({**about, **totals, **hashed}))
    for name in set(MANIFESTS) - {kind}:
        (out / MANIFESTS[name]).unlink(missing_ok=True)
    return totals, counted.unreadable


def _joined(folder: Path, entries: Iterable[Entry], ids: BinaryIO) -> Iterator[Entry]:
    """Put the ids of all pieces that are kept into one file, and yield entries that say where."""
    start = 0
    for entry in entries:
        if entry.reason:
            entry.start = 0
        else:
            with shards.ids_path(folder, entry.shard).open("rb") as shard:
                shard.seek(2 * entry.start)
                ids.write(shard.read(2 * entry.events))
            entry.start, start = start, start + entry.events
        yield entry


def _row(entry: Entry) -> list[Any]:
    status = "dropped" if entry.reason else "kept"
    return [status if name == "status" else getattr(entry, name) for name in COLUMNS]
