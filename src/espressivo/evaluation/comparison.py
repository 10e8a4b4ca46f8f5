"""Comparison: reports side by side, on the pieces that all of them have."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import KINDS
from espressivo.errors import DataError
from espressivo.evaluation.likelihood import (
    Estimate,
    difference,
    resamples,
    share,
)
from espressivo.evaluation.report import FORMAT
from espressivo.files import replacing

__all__ = ["Column", "Side", "Table", "compare"]

_UNITS = ("event", "note", "second")  # only the last two mean the same in any vocabulary
_EVENTS, _NATS = 0, 1  # columns of the sums in a report


@dataclass(frozen=True)
class Column:
    """One model's figures on the common pieces.

    Parameters
    ----------
    name, vocabulary : str
    nats : dict of str to Estimate
        Per ``event``, ``note`` and ``second``.
    more : dict of str to Estimate, or None
        The same less those of the first model, over the same pieces; per event only where the
        vocabularies are the same.
    by_class : dict of str to float
        Nats per event of each class.
    overlaps : dict of str to float
        Overlapped area with human windows in each feature; empty where it did not play.
    astray : dict of str to float
        Share of samples that show each sign of going astray; empty where it did not play.
    """

    name: str
    vocabulary: str
    nats: dict[str, Estimate]
    more: dict[str, Estimate | None]
    by_class: dict[str, float]
    overlaps: dict[str, float]
    astray: dict[str, float]


@dataclass(frozen=True)
class Table:
    """A table as texts."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Side:
    """Models side by side; the first is what the others are held against.

    Parameters
    ----------
    pieces : int
        Pieces that all reports have.
    first_events : int, optional
        How many events of each were scored, if not all.
    columns : tuple of Column
    """

    pieces: int
    first_events: int | None
    columns: tuple[Column, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict()) + "\n", encoding="utf-8")

    def about(self) -> str:
        """Say what is compared."""
        part = f", the first {self.first_events} events of each" if self.first_events else ""
        return (
            f"{self.pieces} pieces that all reports have{part}. Nats: less is better. Differences "
            f"are to {self.columns[0].name}, with 95 % intervals over the same pieces."
        )

    def tables(self) -> list[Table]:
        """Return the figures as tables."""
        units = [f"per {unit}" for unit in _UNITS]
        likelihood = Table(
            "Nats",
            ("", "vocabulary", *units),
            tuple(
                (one.name, one.vocabulary, *(f"{one.nats[unit].value:.4f}" for unit in _UNITS))
                for one in self.columns
            ),
        )
        differences = Table(
            f"Nats more than {self.columns[0].name}",
            ("", *units),
            tuple(
                (one.name, *(_said(one.more[unit]) for unit in _UNITS)) for one in self.columns[1:]
            ),
        )
        parts = (
            ("Nats per event, by class", [one.by_class for one in self.columns]),
            ("Overlap with human windows", [one.overlaps for one in self.columns]),
            ("Share of samples that go astray", [one.astray for one in self.columns]),
        )
        tables = (likelihood, differences, *(_table(title, of, self) for title, of in parts))
        return [table for table in tables if table.rows]

    def lines(self) -> list[str]:
        """Return the figures as text."""
        lines = [self.about()]
        for table in self.tables():
            rows = [table.head, *table.rows]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines += ["", table.title]
            lines += [
                "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
                for row in rows
            ]
        return lines


def compare(paths: Sequence[Path]) -> Side:
    """Put reports side by side.

    Parameters
    ----------
    paths : sequence of Path
        Each ``report.json``, or its folder. Pieces are the same if their files' bytes are.

    Raises
    ------
    DataError
        If one is no report, some are quick and others not, or they have no piece in common.
    """
    reports = [_read(path) for path in paths]
    lengths = {report.first_events for report in reports}
    if len(lengths) > 1:
        raise DataError("some reports are quick and others are not: make all of them alike")
    common = sorted(set.intersection(*(set(report.pieces) for report in reports)))
    if not common:
        raise DataError("the reports have no piece in common: make them on the same files")
    sums = [_Sums.of([report.pieces[sha256] for sha256 in common]) for report in reports]
    drawn = resamples(len(common))
    columns = []
    for name, report, mine in zip(_names(reports, paths), reports, sums, strict=True):
        held_against = None if report is reports[0] else sums[0]
        alike = report.vocabulary == reports[0].vocabulary
        columns.append(_column(name, report, mine, held_against, alike, drawn))
    return Side(len(common), lengths.pop(), tuple(columns))


@dataclass(frozen=True)
class _Report:
    """What is needed of a report; `pieces` are by hash, as the report has them."""

    name: str
    vocabulary: str
    first_events: int | None
    pieces: dict[str, dict[str, Any]]
    overlaps: dict[str, float]
    astray: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Sums:
    """What each common piece adds, shape (pieces,) or, by class, (pieces, 7, 4)."""

    nats: NDArray[np.float64]
    per: dict[str, NDArray[np.float64]]
    by_class: NDArray[np.float64]

    @classmethod
    def of(cls, pieces: list[dict[str, Any]]) -> _Sums:
        by_class = np.array([piece["by_class"] for piece in pieces], np.float64)
        return cls(
            by_class[..., _NATS].sum(axis=1),
            {
                "event": by_class[..., _EVENTS].sum(axis=1),
                "note": np.array([piece["notes"] for piece in pieces], np.float64),
                "second": np.array([piece["seconds"] for piece in pieces], np.float64),
            },
            by_class,
        )


def _read(path: Path) -> _Report:
    path = path / "report.json" if path.is_dir() else path
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["format"] != FORMAT:
            raise DataError(
                f"{path}: has format {report['format']} and this version reads {FORMAT}: run "
                "'espressivo evaluate' again"
            )
        _Sums.of(report["pieces"])
        music = report["music"] or {"features": [], "astray": {}}
        return _Report(
            str(report["model"]["name"]),
            report["model"]["vocabulary"],
            report["data"]["first_events"],
            {piece["sha256"]: piece for piece in report["pieces"]},
            {line["feature"]: float(line["model"]["overlap"]) for line in music["features"]},
            {name: float(shares["model"]) for name, shares in music["astray"].items()},
        )
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is no report of 'espressivo evaluate' ({error!r})") from None


def _names(reports: Sequence[_Report], paths: Sequence[Path]) -> list[str]:
    """Return the models' names, with the reports' where models have the same."""
    names = [report.name for report in reports]
    return [
        name if names.count(name) == 1 else f"{name} ({path})"
        for name, path in zip(names, paths, strict=True)
    ]


def _column(
    name: str,
    report: _Report,
    mine: _Sums,
    first: _Sums | None,
    alike: bool,
    drawn: NDArray[np.int64],
) -> Column:
    """Return a model's figures, held against those of the first one, if it is not the first."""
    more: dict[str, Estimate | None] = dict.fromkeys(_UNITS)
    if first is not None:
        for unit in _UNITS if alike else _UNITS[1:]:
            per = mine.per[unit], first.per[unit]
            more[unit] = difference((mine.nats, first.nats), per, drawn)
    events, nats = mine.by_class.sum(axis=0)[:, (_EVENTS, _NATS)].T
    return Column(
        name,
        report.vocabulary,
        {unit: share(mine.nats, mine.per[unit], drawn) for unit in _UNITS},
        more,
        # Reports of earlier versions know fewer kinds.
        {kind: float(n / e) for kind, n, e in zip(KINDS, nats, events, strict=False) if e},
        report.overlaps,
        report.astray,
    )


def _table(title: str, figures: Sequence[dict[str, float]], side: Side) -> Table:
    """Return a table with a column for each model, and a row for each figure that one has."""
    names = dict.fromkeys(name for one in figures for name in one)
    rows = (
        (name.replace("_", " "), *(f"{one[name]:.3f}" if name in one else "" for one in figures))
        for name in names
    )
    return Table(title, ("", *(column.name for column in side.columns)), tuple(rows))


def _said(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    text = f"{estimate.value:+.4f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({estimate.low:+.4f} to {estimate.high:+.4f})"
