"""Annotations: performances whose beats are written beside them, as in ASAP.

Beside ``x.mid`` stands ``x_annotations.txt``, a beat a line: its seconds, twice, and what it is:
``db`` begins a measure, ``b`` does not, and ``bR`` is a beat whose place is a guess, in a passage
that is played freely. After it, where they change, follow the time signature and the number of
sharps: ``db,3/4,-5``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from espressivo.data.half import Half, halves
from espressivo.errors import DataError

__all__ = ["Annotated", "Annotation", "annotated", "read_annotation"]

UNKNOWN = 99
"""Sharps of a key that is not given."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """The beats that are written beside a performance.

    Parameters
    ----------
    time_s : float64 array, shape (beats,)
    downbeat : bool array, shape (beats,)
    free : bool array, shape (beats,)
        Whether the place of a beat is a guess.
    quarters : float64 array, shape (beats,)
        How many quarter notes a beat lasts, or nan where that does not follow.
    sharps : int64 array, shape (beats,)
        Key signature, -7..7, or `UNKNOWN`.
    """

    time_s: NDArray[np.float64]
    downbeat: NDArray[np.bool_]
    free: NDArray[np.bool_]
    quarters: NDArray[np.float64]
    sharps: NDArray[np.int64]


@dataclass(frozen=True)
class Annotated:
    """A performance with annotations.

    Parameters
    ----------
    path, annotations : path
    piece, composer : str
    split : str
        ``train`` or ``validation``.
    half : {"A", "B"}
        Of the pieces of its split.
    """

    path: Path
    annotations: Path
    piece: str
    composer: str
    split: str
    half: Half

    @property
    def score(self) -> Path | None:
        """The score as MIDI, whose annotations stand beside it too, if it is there."""
        path = self.path.parent / "midi_score.mid"
        return path if path.exists() else None


def annotated(folder: Path) -> list[Annotated]:
    """Return the performances of ASAP, in the order of its ``metadata.csv``.

    Raises
    ------
    DataError
        If that is not there or lacks a column.
    """
    table = folder / "metadata.csv"
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        names = [f"{row['composer']} | {row['title']}" for row in rows]
        nothing = np.empty((0, 3), np.uint32)
        return [
            Annotated(
                _where(folder, row["midi_performance"]),
                _where(folder, row["performance_annotations"]),
                name,
                row["composer"],
                row["split"] or "train",
                half,
            )
            for row, name, half in zip(
                rows, names, halves(names, [nothing] * len(names)), strict=True
            )
        ]
    except FileNotFoundError:
        raise DataError(f"{table}: there is no such file: give the folder of ASAP") from None
    except KeyError as error:
        raise DataError(f"{table}: has no column {error}: give the folder of ASAP") from None


def _where(folder: Path, name: str) -> Path:
    """Return where a file is: some pieces stand in a folder whose name says more."""
    path = folder / name
    other = path.parent.with_name(f"{path.parent.name}_no_repeat") / path.name
    return path if path.exists() or not other.exists() else other


def read_annotation(path: Path) -> Annotation:
    """Read the beats beside a performance.

    Raises
    ------
    DataError
        If the file is not there, or a line is not as the module says.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    rows = list(_rows(path, lines))
    rows = [
        row
        for row, after in zip(rows, [*rows[1:], None], strict=True)
        if after is None or after[0] > row[0]
    ]  # of two at one time the later
    time_s = np.array([row[0] for row in rows])
    downbeat = np.array([row[1] == "db" for row in rows], bool)
    return Annotation(
        time_s,
        downbeat,
        np.array([row[1] == "bR" for row in rows], bool),
        _quarters(downbeat, np.array([row[2] for row in rows])),
        np.array([row[3] for row in rows], np.int64),
    )


def _rows(path: Path, lines: list[str]) -> Iterator[tuple[float, str, float, int]]:
    """Yield seconds, kind, quarters in a measure and sharps of each beat."""
    measure, sharps = np.nan, UNKNOWN
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            second, _, what = line.split("\t")
            kind, *more = what.strip().split(",")
            if more and more[0]:
                over, under = more[0].split("/")
                measure = 4 * sum(map(int, over.split("+"))) / int(under)
            if len(more) > 1 and more[1]:
                sharps = int(more[1])
            if kind not in ("b", "db", "bR"):
                raise ValueError
            yield float(second), kind, measure, sharps
        except ValueError:
            raise DataError(
                f"{path}: line {number} is not a beat like '1.5<tab>1.5<tab>db,3/4': {line[:40]!r}"
            ) from None


def _quarters(downbeat: NDArray[np.bool_], measure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quarters of each beat: those of its measure, over the beats in it."""
    quarters = np.full(len(downbeat), np.nan)
    downs = np.flatnonzero(downbeat)
    for begin, end in pairwise(downs):
        each = measure[begin] / (end - begin)
        if any(abs(each - usual) < 1e-6 for usual in (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)):
            quarters[begin:end] = each
    return quarters
