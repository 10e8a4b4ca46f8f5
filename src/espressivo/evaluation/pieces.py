"""Pieces: the MIDI files on which a model is measured, and those that had to be left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from espressivo import midi
from espressivo.codes import NOTE_ON, Vocabulary
from espressivo.data import (
    SPLITS,
    Half,
    Sketch,
    find_files,
    halves,
    match_rows,
    read_splits,
    sketch,
)
from espressivo.errors import DataError, MidiError
from espressivo.files import regular
from espressivo.music import is_recording
from espressivo.progress import Progress, Silent

__all__ = ["Piece", "Pieces", "Skipped", "collect"]

_FILES = 64  # read by a process at a time


@dataclass(frozen=True)
class Piece:
    """A MIDI file that can be measured on.

    Parameters
    ----------
    name : str
        Its path from the folder given on, that folder's name included.
    path : Path
        Where it is.
    sha256 : str
        First 16 digits of the hash of its bytes: the same piece has the same anywhere.
    composition : str
        What a CSV says is played, or else the name.
    events : int
        Length in the vocabulary.
    outside : int
        Notes that the vocabulary has no ids for.
    """

    name: str
    path: Path
    sha256: str
    composition: str
    events: int
    outside: int


@dataclass(frozen=True)
class Skipped:
    """A file that cannot be measured on, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Pieces:
    """What there is to measure on.

    Parameters
    ----------
    found : tuple of Piece
        In the order of their names, by folder as given.
    skipped : tuple of Skipped
        Files that cannot be read or have no notes.
    missing : tuple of str
        Paths that the CSV lists in the split, and that no file has.
    """

    found: tuple[Piece, ...]
    skipped: tuple[Skipped, ...]
    missing: tuple[str, ...]


def collect(
    paths: Sequence[Path],
    vocabulary: Vocabulary,
    *,
    csv: Path | None = None,
    split: str | None = None,
    half: Half | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Pieces:
    """Find MIDI files, read each once, and say which of them can be measured on.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders that are searched with all their subfolders.
    vocabulary : Vocabulary
        The model's.
    csv : Path, optional
        Table that gives each file its split, as for `espressivo.data.prepare`. Files without a
        row in the split are not looked at.
    split : str, optional
        Required with a CSV, and only then: ``train``, ``validation`` or ``test``.
    half : {"A", "B"}, optional
        Take only the compositions of this half of the pieces; see `espressivo.data.halves`.
    executor : concurrent.futures.Executor, optional
        Where files are read; by default in this process.
    progress : Progress, optional

    Raises
    ------
    DataError
        If a path is missing, the CSV does not fit, or no file is left.
    """
    every = {path: (name, path) for given in paths for name, path in _files(given)}
    files = list(every.values())  # each once, also if it is given twice
    compositions: dict[str, str] = {}
    missing: tuple[str, ...] = ()
    if csv is not None:
        files, compositions, missing = _of_split(files, csv, split)
    elif split is not None:
        raise DataError(f"split {split!r} needs a CSV that gives each file its split")
    found, skipped, sketches = [], [], []
    for name, result in _surveyed(files, vocabulary, executor, progress or Silent()):
        if isinstance(result, str):
            skipped.append(Skipped(name, result))
            continue
        path, sha256, events, outside, landmarks = result
        composition = compositions.get(name, name)
        found.append(Piece(name, path, sha256, composition, events, outside))
        sketches.append(landmarks)
    if not found:
        raise DataError(
            f"none of {len(files)} files can be measured on: {skipped[0].name}: {skipped[0].reason}"
        )
    if half is not None:
        of = halves([piece.composition for piece in found], sketches)
        found = [piece for piece, its in zip(found, of, strict=True) if its == half]
        if not found:
            raise DataError(f"all of {len(of)} pieces are in the other half: measure on more files")
    return Pieces(tuple(found), tuple(skipped), missing)


_File = tuple[str, Path]
_Survey = tuple[Path, str, int, int, Sketch]  # path, hash, events, notes outside, fingerprint


def _files(path: Path) -> list[_File]:
    if path.is_dir():
        return find_files([path])
    if is_recording(path):
        raise DataError(
            f"{path}: is sound: transcribe it first: espressivo transcribe {path} -o take.mid"
        )
    try:
        return [(path.name, regular(path).resolve())]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _of_split(
    files: list[_File], csv: Path, split: str | None
) -> tuple[list[_File], dict[str, str], tuple[str, ...]]:
    """Return the files of a split, their compositions, and what the split has no file of."""
    if split not in SPLITS:
        raise DataError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    named: dict[str, Path] = {}
    for name, path in files:
        if named.setdefault(name, path) != path:
            raise DataError(f"{path}: {named[name]} is also called {name}: measure them apart")
    table = read_splits(csv)
    rows = {name: row for name, row in match_rows(files, table).items() if table[row][0] == split}
    if not rows:
        raise DataError(
            f"{csv}: none of the {len(files)} MIDI files found is in its split {split!r}"
        )
    listed = {row for row, (of, _) in table.items() if of == split}
    return (
        [file for file in files if file[0] in rows],
        {name: table[row][1] for name, row in rows.items()},
        tuple(sorted(listed - set(rows.values()))),
    )


def _surveyed(
    files: list[_File], vocabulary: Vocabulary, executor: Executor | None, progress: Progress
) -> Iterator[tuple[str, _Survey | str]]:
    """Yield each file with what it holds, or with why it cannot be measured on."""
    parts = [files[start : start + _FILES] for start in range(0, len(files), _FILES)]
    run = map if executor is None else executor.map
    progress.start(len(files), "files", "reading")
    try:
        for part, surveys in zip(
            parts, run(_survey, parts, [vocabulary] * len(parts)), strict=True
        ):
            progress.advance(len(part))
            yield from zip((name for name, _ in part), surveys, strict=True)
    finally:
        progress.close()


def _survey(files: list[_File], vocabulary: Vocabulary) -> list[_Survey | str]:
    return [_survey_one(path, vocabulary) for _, path in files]


def _survey_one(path: Path, vocabulary: Vocabulary) -> _Survey | str:
    try:
        performance = midi.read(path)
    except MidiError as error:
        return str(error).removeprefix(f"{path}: ")
    ids = vocabulary.encode(performance)
    if not (vocabulary.kinds[ids] == NOTE_ON).any():
        return "no notes"
    pitch = performance.notes["pitch"]
    outside = (pitch < vocabulary.lowest_pitch) | (pitch > vocabulary.highest_pitch)
    sha256 = hashlib.sha256(midi.load(path)).hexdigest()[:16]
    return path, sha256, len(ids), int(outside.sum()), sketch(performance)
