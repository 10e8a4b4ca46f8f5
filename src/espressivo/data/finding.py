"""Finding: the files of a corpus, and the rows of a CSV that belong to them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from espressivo.data.manifest import manifest_rows
from espressivo.data.splits import SPLITS, Row
from espressivo.errors import DataError
from espressivo.files import printable, regular
from espressivo.music import is_recording
from espressivo.registry import RECORDINGS

__all__ = ["find_files", "found_files", "match_rows", "read_splits", "row_of"]

_SUFFIXES = (".kar", ".mid", ".midi")


def find_files(
    folders: Sequence[str | os.PathLike[str]], *, recordings: bool = False
) -> list[tuple[str, Path]]:
    """Return name and path of each MIDI file, by folder as given, then by name.

    A name begins with that of the folder; a file may stand for one. Folders below that cannot be
    listed are among them, so that whoever reads them says why. With `recordings` sound files are
    among them too, but for those beside which a MIDI file has the same name. `DataError` if a
    folder is missing or none has any.
    """
    return list(found_files(folders, recordings=recordings))


def found_files(
    folders: Sequence[str | os.PathLike[str]], *, recordings: bool = False
) -> Iterator[tuple[str, Path]]:
    """Yield what `find_files` returns, which fills no memory however many there are."""
    suffixes = (*_SUFFIXES, *RECORDINGS) if recordings else _SUFFIXES
    roots: dict[str, Path] = {}
    for folder in folders:
        root = Path(folder).resolve()
        single = root.is_file() and root.suffix.lower() in suffixes and root.name not in roots
        if not single and not root.is_dir():
            raise DataError(f"{folder}: no such folder")
        if root.name in roots:
            raise DataError(f"{folder}: another folder is also named {root.name!r}; rename one")
        roots[root.name] = root
    none = True
    for root in roots.values():
        for name, path in [(root.name, str(root))] if root.is_file() else _walk(root, suffixes):
            none = False
            yield printable(name), Path(path)
    if none:
        sound = ", nor is there sound" if recordings else ""
        raise DataError(
            f"{', '.join(map(str, folders))}: no file ends in .mid, .midi or .kar{sound}"
        )


def _walk(root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield name and path of each file below a folder, and of each folder that cannot be listed.

    They come in the order of their names. Links are followed, but no folder is entered twice, and
    of two links to one it is always the same that is followed.
    """
    entered = set[str]()
    left: list[Iterator[tuple[str, str, bool]]] = [iter([(root.name, str(root), True)])]
    while left:
        name, path, folder = next(left[-1], ("", "", False))
        if not path:
            left.pop()
        elif not folder:
            yield name, path
        elif (real := os.path.realpath(path)) not in entered:
            entered.add(real)
            try:
                left.append(iter(_below(name, path, suffixes)))
            except OSError as error:
                if len(left) == 1:
                    raise DataError(f"{root}: cannot be listed ({error.strerror})") from error
                yield name, path


def _below(name: str, path: str, suffixes: tuple[str, ...]) -> list[tuple[str, str, bool]]:
    """Return the files that are wanted of a folder, and its folders, in the order of names."""
    with os.scandir(path) as found:
        each = [(entry.name, entry.path, _is_folder(entry)) for entry in found]
    ends = {one: os.path.splitext(one) for one, _, folder in each if not folder}
    written = {stem for stem, end in ends.values() if end.lower() in _SUFFIXES}
    kept = [
        (f"{name}/{one}", path, folder)
        for one, path, folder in each
        if folder
        or (
            ends[one][1].lower() in suffixes and not (is_recording(one) and ends[one][0] in written)
        )
    ]
    return sorted(kept, key=lambda one: (printable(one[0]) + "/" * one[2], one[1]))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # Links may lead nowhere, or round and round.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def read_splits(path: Path) -> dict[str, Row]:
    """Return split and composition by path, as the rows of a CSV have it; see `prepare`.

    The manifest of a dataset will do, also as Parquet; files that it drops have no row then.
    """
    parquet = path.suffix.lower() == ".parquet"
    try:
        if parquet:
            rows = list(manifest_rows(regular(path).read_bytes(), "parquet", str(path)))
        else:
            with regular(path).open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        kind = "Parquet" if parquet else "CSV"
        raise DataError(f"{path}: cannot be read as {kind} ({error})") from error
    table: dict[str, Row] = {}
    for number, row in enumerate(rows, 2):
        if row.get("status") == "dropped":  # of a manifest
            continue
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


def match_rows(files: Iterable[tuple[str, Path]], table: Mapping[str, Row]) -> dict[str, str]:
    """Return for each file that has a row the row's path: the longest in which the file's ends."""
    matched = {name: row_of(path, table) for name, path in files}
    return {name: row for name, row in matched.items() if row is not None}


def row_of(path: Path, table: Mapping[str, Row]) -> str | None:
    """Return the path of the row that belongs to a file; see `match_rows`."""
    ends = ("/".join(path.parts[begin:]) for begin in range(len(path.parts)))
    return next((end for end in ends if end in table), None)
