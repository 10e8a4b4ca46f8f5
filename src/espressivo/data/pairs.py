"""Pairs: scores with performances of them, aligned note by note, as ASAP has them.

A folder of ASAP holds ``metadata.csv``, a row for each performance (Foscarin et al. 2020). The
beats of score and performance are annotated, which the alignment starts from.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.data.alignment import align, same_notes
from espressivo.data.fingerprint import sketch
from espressivo.data.half import Half, halves
from espressivo.errors import DataError, EspressivoError
from espressivo.files import replacing
from espressivo.midi import read, read_score
from espressivo.music import Performance, Score
from espressivo.notation import read_score as read_any_score
from espressivo.progress import Progress, Silent

__all__ = ["LEAST_MATCHED", "Pair", "Pairs", "Piece", "engraved", "half_of", "read_pairs"]

LEAST_MATCHED = 0.9
"""A take is left out if fewer of its score's strokes of a key are found in it."""

_VERSION = 1  # of what is cached


@dataclass(frozen=True)
class Pair:
    """A take of a piece: a performance, and which of its notes is which of the score.

    Parameters
    ----------
    path : str
        Within the folder.
    performance : Performance
    match : array of int64, shape (notes of the score,)
        Index of the note played, or -1.
    """

    path: str
    performance: Performance
    match: NDArray[np.int64]


@dataclass(frozen=True)
class Piece:
    """A score, and the takes of it that could be aligned.

    Parameters
    ----------
    folder : str
        Where the score is, within the folder of all.
    composition, split : str
        No composition is in two splits.
    score : Score
    takes : tuple of Pair
    """

    folder: str
    composition: str
    split: str
    score: Score
    takes: tuple[Pair, ...]


@dataclass(frozen=True)
class Pairs:
    """All pieces of a folder, and how many takes were left out for what reason."""

    pieces: tuple[Piece, ...]
    left_out: dict[str, int]

    def of(self, split: str) -> list[Piece]:
        """Return the pieces of a split."""
        return [piece for piece in self.pieces if piece.split == split]

    def line(self) -> str:
        """Return in a line what there is."""
        takes = [take for piece in self.pieces for take in piece.takes]
        notes = sum(int((take.match >= 0).sum()) for take in takes)
        written = sum(len(take.match) for take in takes)
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        return (
            f"{len(self.pieces)} scores, {len(takes)} takes, {notes:,} notes aligned "
            f"({notes / max(written, 1):.1%} of those written); left out: {left_out or 'none'}"
        )


@dataclass(frozen=True)
class _Row:
    folder: str
    score: str
    take: str
    beats: str
    score_beats: str
    composition: str
    split: str


def read_pairs(
    folder: str | os.PathLike[str],
    *,
    split: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Pairs:
    """Read and align the scores and performances of a folder such as ASAP.

    Parameters
    ----------
    folder : path
        Holds ``metadata.csv``, with the columns ``composer``, ``title``, ``folder``,
        ``midi_score``, ``midi_performance``, ``performance_annotations``,
        ``midi_score_annotations`` and ``split``; annotations are lines that begin with seconds and
        a tab. Rows of files that are not there are passed over, and counted.
    split : str, optional
        Read only this one.
    cache : path, optional
        Folder in which alignments are kept for the next time. It must not be within `folder`.
    progress : Progress, optional

    Raises
    ------
    DataError
        If the table is not there or does not fit, or nothing can be aligned.
    """
    root = Path(folder)
    rows = [row for row in _rows(root) if split in (None, row.split)]
    kept = None if cache is None else Path(cache)
    left_out: Counter[str] = Counter()
    pieces: list[Piece] = []
    progress = progress or Silent()
    progress.start(len(rows), "takes", "Aligning")
    with contextlib.closing(progress):
        for name, of_piece in _by_folder(rows):
            takes: list[Pair] = []
            score = None
            for row in of_piece:
                try:
                    if score is None:
                        score = read_score(root / row.score)
                    takes.append(_take(root, row, score, kept))
                except _LeftOutError as reason:
                    left_out[str(reason)] += 1
                except EspressivoError:
                    left_out["unreadable"] += 1
                progress.advance()
            if score is not None and takes:
                first = of_piece[0]
                pieces.append(Piece(name, first.composition, first.split, score, tuple(takes)))
    if not pieces:
        raise DataError(f"{root}: nothing there could be aligned")
    return Pairs(tuple(pieces), dict(left_out.most_common()))


def half_of(pieces: Sequence[Piece], half: Half) -> list[Piece]:
    """Return the pieces of a half; see `espressivo.data.halves`."""
    sketches = [sketch(piece.takes[0].performance) for piece in pieces]
    of = halves([piece.composition for piece in pieces], sketches)
    return [piece for piece, mine in zip(pieces, of, strict=True) if mine == half]


def engraved(piece: Piece, folder: str | os.PathLike[str]) -> Piece | None:
    """Return a piece with the score that MusicXML has of it, with all marks and no velocities.

    Parameters
    ----------
    piece : Piece
    folder : path
        That of all pieces; the score is ``xml_score.mxl`` beside the other.

    Returns
    -------
    Piece or None
        None if there is no such score, it cannot be read (without partitura none can), or it is not
        the same: fewer of its notes are in the other than `LEAST_MATCHED`.
    """
    path = Path(folder) / piece.folder / "xml_score.mxl"
    try:
        score = read_any_score(path)
    except EspressivoError:
        return None
    same = same_notes(score, piece.score)
    if not len(score) or (same >= 0).mean() < LEAST_MATCHED:
        return None
    takes = tuple(
        replace(take, match=np.where(same >= 0, take.match[np.maximum(same, 0)], -1))
        for take in piece.takes
    )
    return replace(piece, score=score, takes=takes)


class _LeftOutError(Exception):
    """Why a take is left out."""


def _rows(root: Path) -> list[_Row]:
    table = root / "metadata.csv"
    try:
        lines = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig"))))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as CSV ({error})") from error
    try:
        return [
            _Row(
                line["folder"],
                line["midi_score"],
                line["midi_performance"],
                line["performance_annotations"],
                line["midi_score_annotations"],
                f"{line['composer']} | {line['title']}",
                line["split"],
            )
            for line in lines
        ]
    except KeyError as error:
        raise DataError(f"{table}: has no column {error}") from None


def _by_folder(rows: list[_Row]) -> Iterator[tuple[str, list[_Row]]]:
    grouped: dict[str, list[_Row]] = {}
    for row in rows:
        grouped.setdefault(row.folder, []).append(row)
    yield from sorted(grouped.items())


def _take(root: Path, row: _Row, score: Score, cache: Path | None) -> Pair:
    if not (root / row.take).is_file():
        raise _LeftOutError("not there")
    performance = read(root / row.take)
    beats_s, played_s = _seconds(root / row.score_beats), _seconds(root / row.beats)
    if len(beats_s) != len(played_s) or len(beats_s) < 2:
        raise _LeftOutError("annotated differently from its score")
    beats = _quarters(score, beats_s)
    key = _key(score.notes, performance.notes, beats, played_s)
    match = _cached(cache, key)
    if match is None:
        match = align(score, performance, beats, played_s)
        _keep(cache, key, match)
    ticks = score.ticks(score.notes["onset"])
    strokes = len(np.unique(ticks * 128 + score.notes["pitch"]))  # two voices can share one
    if np.count_nonzero(match >= 0) < LEAST_MATCHED * strokes:
        raise _LeftOutError(f"of which fewer than {LEAST_MATCHED:.0%} of the notes are found")
    return Pair(row.take, performance, match)


def _seconds(path: Path) -> NDArray[np.float64]:
    """Return the times of a file of annotations."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return np.array([float(line.split("\t")[0]) for line in lines if line.strip()])
    except (OSError, ValueError):
        raise _LeftOutError("without readable annotations") from None


def _quarters(score: Score, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quarters that are played at some seconds by the score's own tempos."""
    at = np.unique(np.concatenate(([0.0], score.tempos["onset"], [score.quarters + 64])))
    return np.asarray(np.interp(seconds, score.seconds_at(at), at))


def _key(*arrays: NDArray[Any]) -> str:
    """Return a hash of arrays, field by field: between fields there may be anything."""
    digest = hashlib.sha256()
    for array in arrays:
        for name in array.dtype.names or ((),):
            digest.update(array[name].tobytes() if name else array.tobytes())
    return digest.hexdigest()[:32]


def _cached(cache: Path | None, key: str) -> NDArray[np.int64] | None:
    """Return what was found between the same notes and beats before."""
    if cache is None:
        return None
    try:
        with np.load(cache / f"{key}-{_VERSION}.npz", allow_pickle=False) as kept:
            return np.asarray(kept["match"], np.int64)
    except (OSError, ValueError, KeyError):
        return None


def _keep(cache: Path | None, key: str, match: NDArray[np.int64]) -> None:
    if cache is None:
        return
    cache.mkdir(parents=True, exist_ok=True)
    with replacing(cache / f"{key}-{_VERSION}.npz") as path, path.open("wb") as file:
        np.savez_compressed(file, match=match.astype(np.int32))
