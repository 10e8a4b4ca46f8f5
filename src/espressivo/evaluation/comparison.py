"""Comparison: reports side by side, on the pieces that all of them have."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import KINDS
from espressivo.errors import DataError
from espressivo.evaluation.intervals import (
    FEWEST,
    Difference,
    Estimate,
    differing,
    estimate,
    ratios,
    resamples,
    share,
)
from espressivo.evaluation.report import FORMAT
from espressivo.evaluation.table import (
    ALIKE,
    ASTRAY,
    BESIDE_PEOPLE,
    MEMORISED,
    PEOPLE,
    ROWS,
    Figure,
    beside_people,
    farther_from_people,
    figures,
    several,
    verdicts,
)
from espressivo.files import regular, replacing

__all__ = ["Column", "Side", "Table", "compare"]

_UNITS = ("event", "note", "second")  # only the last two mean the same in any vocabulary
_EVENTS, _NATS = 0, 1  # columns of the sums in a report


@dataclass(frozen=True)
class Column:
    """One model's figures on the common pieces.

    Parameters
    ----------
    name, vocabulary : str
    passed : float, optional
        Share of its training that had passed, 0..1, where the model says so.
    nats : dict of str to Estimate
        Per ``event``, ``note`` and ``second``.
    more : dict of str to Difference, or None
        The same less those of the first model, over the same pieces; per event only where the
        vocabularies are the same.
    by_class : dict of str to float
        Nats per event of each class.
    recall : dict of str to Estimate
        Nats per note of passages after different things.
    overlaps : dict of str to Estimate
        Overlapped area with human clips in each feature; empty where it did not play.
    measures, people : dict of str to Estimate
        Figures of what it plays and of people in its vocabulary; empty where it did not play.
    verdicts : dict of str to str
        Of nats, overlaps and measures: whether it is nearer to people than the first model.
    beside_people : dict of str to str
        Of measures: whether it differs from people.
    """

    name: str
    vocabulary: str
    passed: float | None
    nats: dict[str, Estimate]
    more: dict[str, Difference | None]
    by_class: dict[str, float]
    recall: dict[str, Estimate]
    overlaps: dict[str, Estimate]
    measures: dict[str, Estimate]
    people: dict[str, Estimate]
    verdicts: dict[str, str]
    beside_people: dict[str, str]


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
    references : dict of str to dict of str to Estimate
        Figures of what is made of people's clips, in the vocabulary of the first that played.
    beside_people : dict of str to dict of str to str
        Whether these differ from people's.
    """

    pieces: int
    first_events: int | None
    columns: tuple[Column, ...]
    references: dict[str, dict[str, Estimate]]
    beside_people: dict[str, dict[str, str]]

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
            f"{several(self.pieces, 'piece')} that all reports have{part}. Nats: less is better. "
            f"Differences are to {self.columns[0].name}, with 95 % intervals over the same pieces. "
            "Better, worse, nearer to people and farther from them are said where it is shown, "
            "with Holm's correction over all rows."
        )

    def tables(self) -> list[Table]:
        """Return the figures as tables."""
        units = [f"per {unit}" for unit in _UNITS]
        first = self.columns[0].name
        tables = [
            Table(
                "Nats",
                ("", "vocabulary", *units),
                tuple(
                    (one.name, one.vocabulary, *(one.nats[unit].text() for unit in _UNITS))
                    for one in self.columns
                ),
            ),
            Table(
                f"Nats more than {first}",
                ("", *units, ""),
                tuple(
                    (
                        one.name,
                        *(
                            "" if more is None else more.text(sign="+")
                            for more in one.more.values()
                        ),
                        one.verdicts.get("nats", ""),
                    )
                    for one in self.columns[1:]
                ),
            ),
            self._plain("Nats per event, by class", [one.by_class for one in self.columns]),
            self._plain(
                "Nats per note of passages after different things",
                [one.recall for one in self.columns],
            ),
        ]
        for group in dict.fromkeys(row.group for row in ROWS.values()):
            names = [name for name, row in ROWS.items() if row.group == group]
            tables.append(self._measures(group, names))
        tables += [self._told(), self._by_share_passed()]
        tables.append(
            self._plain("Overlap with human clips", [one.overlaps for one in self.columns], True)
        )
        return [table for table in tables if table.rows]

    def _plain(
        self, title: str, of: Sequence[Mapping[str, Estimate | float]], judged: bool = False
    ) -> Table:
        """Return a table with a column for each model, and a row for each figure that one has."""
        rows = (
            (
                name.replace("_", " "),
                *(
                    _cell(one.get(name), column if judged else None, name)
                    for one, column in zip(of, self.columns, strict=True)
                ),
            )
            for name in dict.fromkeys(name for one in of for name in one)
        )
        return Table(title, ("", *(column.name for column in self.columns)), tuple(rows))

    def _measures(self, group: str, names: Sequence[str]) -> Table:
        """Return a table of some measures: people, what is made of them, and each model."""
        people = self._people()
        rows = tuple(
            (
                f"{ROWS[name].title}, {ROWS[name].unit}" if ROWS[name].unit else ROWS[name].title,
                _cell(people.get(name)),
                *(_cell(of.get(name)) for of in self.references.values()),
                *(_cell(one.measures.get(name), one, name) for one in self.columns),
            )
            for name in names
            if name in people or any(name in one.measures for one in self.columns)
        )
        models = (column.name for column in self.columns)
        return Table(group.capitalize(), ("", "people", *self.references, *models), rows)

    def _people(self) -> dict[str, Estimate]:
        """Return people's figures, in the vocabulary of the first model that has them."""
        people: dict[str, Estimate] = {}
        for column in self.columns:
            people = column.people | people
        return people

    def _told(self) -> Table:
        """Return which players each sign of going astray tells from people."""
        names = [name for name, row in ROWS.items() if row.group == ASTRAY]
        players: dict[str, tuple[dict[str, Estimate], dict[str, str]]] = {
            "people": (self._people(), {}),
            **{name: (of, self.beside_people[name]) for name, of in self.references.items()},
            **{one.name: (one.measures, one.beside_people) for one in self.columns},
        }
        rows = []
        for name in names:
            figures_of = {who: of[name] for who, (of, _) in players.items() if name in of}
            told = [who for who in figures_of if players[who][1].get(name, ALIKE) != ALIKE]
            if figures_of:
                cells = (
                    f"{figures_of[who].value:.3f}{' differs' * (who in told)}"
                    if who in figures_of
                    else ""
                    for who in players
                )
                rows.append((ROWS[name].title, *cells))
        return Table(
            "What each sign of going astray tells from people", ("", *players), tuple(rows)
        )

    def _by_share_passed(self) -> Table:
        """Return the longest shared runs of models that say how much of training had passed."""
        known = [(one.passed, one) for one in self.columns if one.passed is not None]
        rows = [
            (
                f"{100 * passed:.0f} %",
                one.name,
                *(_cell(of.get(name)) for name in MEMORISED for of in (one.measures, one.people)),
            )
            for passed, one in sorted(known, key=lambda pair: pair[0])
            if any(name in one.measures for name in MEMORISED)
        ]
        titles = [text for name in MEMORISED for text in (ROWS[name].title, "people")]
        return Table("Memorisation, by share of training passed", ("", "", *titles), tuple(rows))

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
        raise DataError(
            "some reports are quick, or of more --events, than others: make all of them alike"
        )
    common = sorted(set.intersection(*(set(report.pieces) for report in reports)))
    if not common:
        raise DataError("the reports have no piece in common: make them on the same files")
    sums = [_Sums.of([report.pieces[sha256] for sha256 in common]) for report in reports]
    names = _names(reports, paths)
    columns = [
        _column(name, report, mine, None if report is reports[0] else (reports[0], sums[0]))
        for name, report, mine in zip(names, reports, sums, strict=True)
    ]
    played = next((report for report in reports if report.references), reports[0])
    return Side(len(common), lengths.pop(), tuple(columns), played.references, played.beside_people)


@dataclass(frozen=True, eq=False)
class _Report:
    """What is needed of a report; `pieces` are by hash, as the report has them."""

    name: str
    vocabulary: str
    passed: float | None
    first_events: int | None
    pieces: dict[str, dict[str, Any]]
    recall: dict[str, Estimate]
    overlaps: dict[str, Figure]
    model: dict[str, Figure]
    people: dict[str, Figure]
    references: dict[str, dict[str, Estimate]]
    beside_people: dict[str, dict[str, str]]


@dataclass(frozen=True, eq=False)
class _Sums:
    """What each common piece adds, shape (pieces,) or, by class, (pieces, 7, 4)."""

    nats: NDArray[np.float64]
    per: dict[str, NDArray[np.float64]]
    by_class: NDArray[np.float64]

    def amounts(self, unit: str) -> NDArray[np.float64]:
        """Return nats and what they are per, shape (pieces, 2)."""
        return np.stack((self.nats, self.per[unit]), axis=1)

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
        report = json.loads(regular(path).read_text(encoding="utf-8"))
        if report["format"] != FORMAT:
            raise DataError(
                f"{path}: has format {report['format']} and this version reads {FORMAT}: run "
                "'espressivo evaluate' again"
            )
        _Sums.of(report["pieces"])
        music = report["music"] or {
            "features": [],
            "model": {},
            "people": {},
            "references": {},
            "beside_people": {},
        }
        return _Report(
            str(report["model"]["name"]),
            report["model"]["vocabulary"],
            report["model"].get("passed"),
            report["data"]["first_events"],
            {piece["sha256"]: piece for piece in report["pieces"]},
            {
                f"{what} {before}": _share(np.array(amounts, np.float64))
                for what, of in report["recall"].items()
                for before, amounts in of.items()
                if amounts  # none, where every piece is too short for its passage
            },
            {line["feature"]: _overlap(line) for line in music["features"]},
            figures(_amounts(music["model"])),
            figures(_amounts(music["people"]), PEOPLE),
            {
                name: {row: Estimate(**one) for row, one in of.items()}
                for name, of in music["references"].items()
            },
            music["beside_people"],
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


def _share(amounts: NDArray[np.float64]) -> Estimate:
    return share(amounts[:, 0], amounts[:, 1], resamples(len(amounts)))


def _overlap(line: dict[str, Any]) -> Figure:
    replicates = np.array(line["replicates"], np.float64)
    return estimate(float(line["model"]["overlap"]), replicates), replicates


def _amounts(of: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    known = {name: amounts for name, amounts in of.items() if name in ROWS}
    return {name: np.array(each, np.float64).reshape(-1, 2) for name, each in known.items()}


def _column(name: str, report: _Report, mine: _Sums, first: tuple[_Report, _Sums] | None) -> Column:
    """Return a model's figures, held against those of the first one, if it is not the first."""
    drawn = resamples(len(mine.nats))
    more: dict[str, Difference | None] = dict.fromkeys(_UNITS)
    said: dict[str, str] = {}
    if first is not None:
        other, theirs = first
        alike = report.vocabulary == other.vocabulary
        for unit in _UNITS if alike else _UNITS[1:]:
            more[unit] = _more(mine.amounts(unit), theirs.amounts(unit), drawn)
        nats = {} if more["second"] is None else {"nats": more["second"]}
        said = verdicts(nats, "better", "worse")
        distances = farther_from_people(
            (report.model, report.people), (other.model, other.people)
        ) | _less_alike(report.overlaps, other.overlaps)
        said |= verdicts(distances, "nearer to people", "farther from people")
    events, nats_of = mine.by_class.sum(axis=0)[:, (_EVENTS, _NATS)].T
    return Column(
        name,
        report.vocabulary,
        report.passed,
        {unit: share(mine.nats, mine.per[unit], drawn) for unit in _UNITS},
        more,
        # Reports of earlier versions know fewer kinds.
        {kind: float(n / e) for kind, n, e in zip(KINDS, nats_of, events, strict=False) if e},
        report.recall,
        {feature: one for feature, (one, _) in report.overlaps.items()},
        {row: one for row, (one, _) in report.model.items()},
        {row: one for row, (one, _) in report.people.items()},
        said,
        verdicts(beside_people(report.model, report.people), *BESIDE_PEOPLE),
    )


def _more(
    mine: NDArray[np.float64], theirs: NDArray[np.float64], drawn: NDArray[np.int64]
) -> Difference:
    """Return a ratio of sums less another, over the same pieces; of few, without an interval."""
    (nats, of), (their_nats, of_theirs) = mine.sum(axis=0), theirs.sum(axis=0)
    value = float(nats / of - their_nats / of_theirs)
    if len(mine) < FEWEST:
        return Difference(value)
    return differing(value, ratios(mine, drawn) - ratios(theirs, drawn))


def _less_alike(mine: Mapping[str, Figure], theirs: Mapping[str, Figure]) -> dict[str, Difference]:
    """Return by how much less features overlap with people's in one report than in another."""
    return {
        name: differing(theirs[name][0].value - figure[0].value, theirs[name][1] - figure[1])
        for name, figure in mine.items()
        if name in theirs
    }


def _cell(figure: Estimate | float | None, column: Column | None = None, name: str = "") -> str:
    """Return a figure as text, with what it shows beside the first model's."""
    if figure is None:
        return ""
    if isinstance(figure, float):
        return f"{figure:.3f}"
    said = "" if column is None else column.verdicts.get(name, "")
    return f"{figure.text(3)} {said}".rstrip()
