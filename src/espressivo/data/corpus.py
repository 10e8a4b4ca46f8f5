"""Folders of MIDI files -> a prepared dataset: duplicates, splits, and a manifest of every file.

The work is cut into shards (`espressivo.data`), which are made in parallel, each from its files
and the settings alone. What depends on all files together, duplicates and splits, is decided at
the end. So a run that was stopped, by whatever means, is resumed from the shards that are there,
and its result is the same, byte for byte, as if it had not been stopped.

At the end the ids of all pieces are put together in one file, which training reads. The shards
stay for the next run, which takes them over where nothing has changed; they can be removed.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from espressivo.codes import Vocabulary
from espressivo.data import shards
from espressivo.data.dataset import DESCRIPTION, FORMAT, IDS, MANIFEST
from espressivo.data.fingerprint import FINGERPRINT, same_composition, same_performance
from espressivo.data.recordings import transcribed
from espressivo.data.shards import Entry, Sketches
from espressivo.data.splits import SPLITS, Row, split_up
from espressivo.errors import DataError
from espressivo.files import SEAL, check_folder, locked, printable, regular, replacing
from espressivo.music import is_recording
from espressivo.progress import Progress, Silent
from espressivo.registry import RECORDINGS

__all__ = [
    "SPLITS",
    "Manifest",
    "Row",
    "Totals",
    "find_files",
    "match_rows",
    "prepare",
    "read_splits",
]

_SUFFIXES = (".kar", ".mid", ".midi")
_COLUMNS = (
    "path",
    "status",
    "reason",
    "detail",
    "split",
    "composition",
    "start",
    "events",
    "notes",
    "outside",
    "seconds",
    "sha256",
    "ids_sha256",
)


@dataclass(frozen=True)
class Totals:
    """What the kept pieces of one split amount to."""

    pieces: int
    events: int
    notes: int
    hours: float


@dataclass(frozen=True)
class Manifest:
    """What `prepare` found, and what became of it; ``manifest.csv`` has a row for every file.

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
            lines.append(f"    and {len(self.unreadable) - 20} more, see manifest.csv")
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
        taken over where their files and settings are the same.
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
    began_s = time.monotonic()
    if not (len(fractions) == 3 and min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise DataError(f"fractions {fractions}: give three from 0 to 1 that add up to 1")
    try:
        out = check_folder(out)
    except OSError as error:
        raise DataError(f"{out}: {error.strerror}") from None
    files = find_files(folders, recordings=True)
    rows = None if splits is None else _rows(files, Path(splits))
    wanted = [file for file in files if rows is None or file[0] in rows]
    settings = {
        "format": FORMAT,
        "fingerprint": FINGERPRINT,
        "vocabulary": vocabulary.to_dict(),
        "programs": None if programs is None else sorted(programs),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        with locked(out, DataError):
            _make_room(out)
            if not (out / IDS).exists():  # of version 1, whose ids are in the shards
                (out / DESCRIPTION).unlink(missing_ok=True)
            wanted, refused = transcribed(wanted, out / "transcribed", progress or Silent())
            plan = shards.plan(wanted, out / "shards", settings)
            _clear(out, {shard.name for shard in plan})
            with TemporaryFile(dir=out / "shards", prefix=".", suffix=".partial") as file:
                sketches, made = Sketches(file), dict[str, Entry]()
                for entry in shards.make_all(plan, executor, progress or Silent()):
                    sketches.take(entry)
                    made[entry.path] = entry
                made |= {entry.path: entry for entry in refused}
                entries = [made.get(name) or Entry(name, "not in the CSV") for name, _ in files]
                _drop_copies(entries, sketches)
                entries, parted = split_up(
                    entries, rows, fractions, out / "shards", vocabulary, sketches
                )
            totals = _totals(entries, parted)
            about = {**settings, "split_by": Path(splits).name if splits else fractions, **totals}
            _finish(out, entries, about)
    except OSError as error:
        raise DataError(f"{error.filename or out}: {error.strerror or error}") from error
    return Manifest(
        **{**totals, "splits": {name: Totals(**t) for name, t in totals["splits"].items()}},
        unreadable=tuple(f"{e.path}: {e.detail}" for e in entries if e.reason == "unreadable"),
        disk_bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        taken_s=time.monotonic() - began_s,
    )


def find_files(
    folders: Sequence[str | os.PathLike[str]], *, recordings: bool = False
) -> list[tuple[str, Path]]:
    """Return name and path of each MIDI file, by folder as given, then by name.

    A name begins with that of the folder; a file may stand for one. Folders below that cannot be
    listed are among them, so that whoever reads them says why. With `recordings` sound files are
    among them too, but for those beside which a MIDI file has the same name. `DataError` if a
    folder is missing or none has any.
    """
    suffixes = (*_SUFFIXES, *RECORDINGS) if recordings else _SUFFIXES
    found: dict[str, list[tuple[str, Path]]] = {}
    for folder in folders:
        root = Path(folder).resolve()
        if root.is_file() and root.suffix.lower() in suffixes and root.name not in found:
            found[root.name] = [(printable(root.name), root)]
            continue
        if not root.is_dir():
            raise DataError(f"{folder}: no such folder")
        if root.name in found:
            raise DataError(f"{folder}: another folder is also named {root.name!r}; rename one")
        paths = [p for p in _walk(root) if p.suffix.lower() in suffixes or os.path.isdir(p)]
        written = {path.with_suffix("") for path in paths if path.suffix.lower() in _SUFFIXES}
        found[root.name] = sorted(
            (printable(f"{root.name}/{path.relative_to(root).as_posix()}"), path)
            for path in paths
            if not (is_recording(path) and path.with_suffix("") in written)
        )
    files = [file for of_folder in found.values() for file in of_folder]
    if not files:
        sound = ", nor is there sound" if recordings else ""
        raise DataError(
            f"{', '.join(map(str, folders))}: no file ends in .mid, .midi or .kar{sound}"
        )
    return files


def _walk(root: Path) -> Iterator[Path]:
    """Yield every file below a folder, and every folder that cannot be listed.

    Links are followed, but no folder is entered twice.
    """
    entered, left = set(), [root]
    while left:
        folder = left.pop()
        real = os.path.realpath(folder)
        if real in entered:
            continue
        entered.add(real)
        try:
            with os.scandir(folder) as found:
                below = sorted(Path(entry) for entry in found)
        except OSError as error:
            if folder == root:
                raise DataError(f"{root}: cannot be listed ({error.strerror})") from error
            yield folder
            continue
        for path in below:
            if not os.path.isdir(path):
                yield path
        # so that the same one of two links to a folder is always followed
        left += filter(os.path.isdir, reversed(below))


def read_splits(path: Path) -> dict[str, Row]:
    """Return split and composition by path, as the rows of a CSV have it; see `prepare`."""
    try:
        with regular(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    table: dict[str, Row] = {}
    for number, row in enumerate(rows, 2):
        try:
            if "midi_filename" in row:  # as MAESTRO has it
                name = row["midi_filename"]
                composition = f"{row['canonical_composer']} | {row['canonical_title']}"
            else:
                name, composition = row["path"], row["composition"]
            split = row["split"]
        except KeyError as error:
            raise DataError(
                f"{path}: has no column {error}; see 'prepare' for those needed"
            ) from None
        if name is None or composition is None:
            raise DataError(f"{path}: row {number}: has too few columns")
        if split not in SPLITS:
            raise DataError(f"{path}: row {number}: split {split!r} is none of {', '.join(SPLITS)}")
        table[name.replace("\\", "/")] = (split, composition)
    return table


def match_rows(files: list[tuple[str, Path]], table: dict[str, Row]) -> dict[str, str]:
    """Return for each file that has a row the row's path: the longest in which the file's ends."""
    matched = {}
    for name, path in files:
        ends = ("/".join(path.parts[begin:]) for begin in range(len(path.parts)))
        row = next((end for end in ends if end in table), None)
        if row is not None:
            matched[name] = row
    return matched


def _rows(files: list[tuple[str, Path]], csv_path: Path) -> dict[str, Row]:
    """Return the row of each file that has one."""
    table = read_splits(csv_path)
    rows = {name: table[row] for name, row in match_rows(files, table).items()}
    if not rows:
        raise DataError(f"{csv_path}: no row of it is one of the {len(files)} MIDI files found")
    return rows


def _make_room(out: Path) -> None:
    """Make the folder of the shards, without which nothing that is in `out` is by `prepare`."""
    strange = [name for name in (DESCRIPTION, MANIFEST, IDS) if (out / name).exists()]
    if strange and not (out / "shards").is_dir():
        raise DataError(f"{out / strange[0]}: is no part of a dataset: choose another folder")
    (out / "shards").mkdir(exist_ok=True)


def _clear(out: Path, names: set[str]) -> None:
    """Remove what stopped runs and earlier, larger datasets left."""
    for path in [*out.glob(".*.partial"), *(out / "shards").iterdir()]:
        ours = re.fullmatch(r"(\d{5,})\.(ids|json)", path.name)
        if path.suffix == ".partial" or (ours and ours[1] not in names):
            path.unlink()


def _drop_copies(entries: list[Entry], stored: Sketches) -> None:
    """Mark all but one of the files that hold the same performance."""
    first: dict[str, Entry] = {}
    for entry in entries:
        if not entry.reason and first.setdefault(entry.sha256, entry) is not entry:
            entry.reason, entry.detail = "exact copy", first[entry.sha256].path
    kept = [entry for entry in entries if not entry.reason]
    sketches = stored.of(kept)
    related = defaultdict(list)
    for a, b in same_composition(sketches):
        related[a].append(b)
        related[b].append(a)
    stay: set[int] = set()
    for index in sorted(range(len(kept)), key=lambda i: (-kept[i].notes, i)):
        for other in related[index]:
            if other in stay and same_performance(sketches[index], sketches[other]):
                kept[index].reason, kept[index].detail = "same performance", kept[other].path
                break
        else:
            stay.add(index)


def _totals(entries: list[Entry], parted: int) -> dict[str, Any]:
    """Count files by what became of them, and add up the kept ones by split."""
    kept = [entry for entry in entries if not entry.reason]
    splits = {}
    for name in SPLITS:
        of_split = [entry for entry in kept if entry.split == name]
        splits[name] = {
            "pieces": len(of_split),
            "events": sum(entry.events for entry in of_split),
            "notes": sum(entry.notes for entry in of_split),
            "hours": round(sum(entry.seconds for entry in of_split) / 3600, 3),
        }
    return {
        "found": len({entry.path for entry in entries}),
        "kept": len({entry.path for entry in kept}),
        "dropped": dict(sorted(Counter(e.reason for e in entries if e.reason).items())),
        "outside": sum(entry.outside for entry in kept),
        "parted": parted,
        "splits": splits,
    }


def _finish(out: Path, entries: list[Entry], about: dict[str, Any]) -> None:
    """Write the ids of all pieces, the manifest, and the file that makes the dataset whole.

    They get their names in this order when all are written, so that a dataset which is there stays
    as it is until then; one of which only some files are new is known by its hashes, and refused.
    """
    with (
        replacing(out / DESCRIPTION) as description,
        replacing(out / MANIFEST) as manifest,
        replacing(out / IDS) as ids,
    ):
        _join(out / "shards", entries, ids)
        hashed = {"manifest_sha256": _write_table(entries, manifest), "seal": SEAL}
        description.write_bytes(shards.sealed({**about, **hashed}))


def _join(folder: Path, entries: list[Entry], path: Path) -> None:
    """Put the ids of all pieces that are kept into one file, where the entries say it."""
    start = 0
    with path.open("wb") as ids:
        for entry in entries:
            if entry.reason:
                entry.start = 0
                continue
            with shards.ids_path(folder, entry.shard).open("rb") as shard:
                shard.seek(2 * entry.start)
                ids.write(shard.read(2 * entry.events))
            entry.start, start = start, start + entry.events


def _write_table(entries: list[Entry], path: Path) -> str:
    """Write the manifest, a row for each entry; return its hash."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for entry in entries:
            status = "dropped" if entry.reason else "kept"
            writer.writerow(
                status if name == "status" else getattr(entry, name) for name in _COLUMNS
            )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
