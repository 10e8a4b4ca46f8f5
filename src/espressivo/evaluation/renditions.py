"""Performing: how near performances of a score are to those of people, and how like people's.

Note by note, each of six fields (`espressivo.interpreter.field_values`) is correlated between what
is measured and a take: the mean over takes, then over pieces. Beside it stand Jensen-Shannon
distances of histograms, over pieces: ``velocity`` in bins of four, ``length`` (seconds that a key
is held) and ``onset`` (seconds from an onset to the next), both in 48 bins even in their logarithms
from 10 ms to 10 s. The distance is the root of the divergence in bits: 0 is the same, 1 is apart.
Right histograms alone do not make a performance, nor does a right mean, so both belong together.

Measured are people against each other; the score as it is written; values drawn at random from the
histograms of people's takes of the pieces that were trained on; the trees of the model alone, and
the model, without freedom; and the model with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.data import Piece
from espressivo.errors import DataError
from espressivo.evaluation.intervals import Estimate, estimate, resamples
from espressivo.interpreter import Fields, Interpreter, View, field_values
from espressivo.music import Interpretation, Performance, Score, onset_groups
from espressivo.play import DEFAULT_FREEDOM, Dials, render
from espressivo.progress import Progress, Silent

__all__ = ["COMPARED", "CORRELATED", "PLAYED", "Performing", "performing"]

CORRELATED = {
    "velocity": "velocity",
    "onset": "interval",
    "beat": "beat",
    "articulation": "articulate",
    "asynchrony": "offset",
    "pedal": "pedal",
}
"""Fields by the names under which they are reported."""

COMPARED = ("velocity", "length", "onset")
"""What is held against people's histograms."""

PLAYED = ("people", "as written", "random draws", "boosting alone", "freedom 0", "default")
"""What is measured."""

SEEDS = 2  # of the default, others for each piece

_FEWEST = 20  # values in common, below which nothing is correlated
_VELOCITY_EDGES = np.arange(0, 129, 4)
_SECONDS_EDGES = np.geomspace(0.01, 10, 49)
_CHORD_S = 0.03  # onsets nearer than this are one

_Numbers = NDArray[np.float64]
_Histograms = dict[str, _Numbers]


@dataclass(frozen=True, eq=False)
class Performing:
    """What was found.

    Parameters
    ----------
    model : str
        Its name.
    freedom : float
        Of the default.
    pieces : tuple of str
    takes : tuple of int
        Of each piece.
    correlations : dict of str to array, shape (pieces, fields)
        By what is measured, of `CORRELATED`; not a number where there is none.
    histograms : dict of str to dict of str to array, shape (pieces, bins)
        Of `COMPARED`, by what is measured; ``truth`` are all takes, each piece's first apart.
    seeds : array, shape (pieces, fields)
        Correlation of two seeds of the default.
    """

    model: str
    freedom: float
    pieces: tuple[str, ...]
    takes: tuple[int, ...]
    correlations: dict[str, _Numbers]
    histograms: dict[str, _Histograms]
    seeds: _Numbers

    def figures(self) -> dict[str, dict[str, Estimate]]:
        """Return each figure by what is measured, with its interval over pieces."""
        drawn = resamples(len(self.pieces))
        found: dict[str, dict[str, Estimate]] = {}
        for what in PLAYED:
            row = {
                f"r {name}": _mean(self.correlations[what][:, column], drawn)
                for column, name in enumerate(CORRELATED)
            }
            for name in COMPARED:
                row[f"JS {name}"] = _distance(
                    self.histograms[what][name],
                    self.histograms["others" if what == "people" else "truth"][name],
                    drawn,
                )
            found[what] = row
        found["two seeds"] = {
            f"r {name}": _mean(self.seeds[:, column], drawn)
            for column, name in enumerate(CORRELATED)
        }
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        figures = {
            what: {
                name: [None if one.value != one.value else one.value, one.low, one.high]
                for name, one in row.items()
            }
            for what, row in self.figures().items()
        }
        of_pieces = {
            what: [[_plain(value) for value in row] for row in values.tolist()]
            for what, values in self.correlations.items()
        }
        return {
            "model": self.model,
            "freedom": self.freedom,
            "pieces": list(self.pieces),
            "takes": list(self.takes),
            "fields": list(CORRELATED),
            "figures": figures,
            "correlations": of_pieces,
        }

    def lines(self) -> list[str]:
        """Return the figures as text."""
        figures = self.figures()
        columns = list(figures["default"])
        head = "".join(f"{name.split()[1]:>21}" for name in columns)
        lines = [
            f"performing by {self.model}: {sum(self.takes)} takes of {len(self.pieces)} pieces, "
            f"freedom {self.freedom:g} by default",
            f"{'':16}{'r':>21}" + " " * 21 * 5 + f"{'JS':>21}",
            f"{'':16}{head}",
        ]
        for what, row in figures.items():
            cells = "".join(f"{row[name].text(2) if name in row else '':>21}" for name in columns)
            lines.append(f"{what:16}{cells}")
        return lines


def performing(
    interpreter: Interpreter,
    pieces: Sequence[Piece],
    *,
    freedom: float = DEFAULT_FREEDOM,
    name: str = "",
    progress: Progress | None = None,
) -> Performing:
    """Measure a model that performs scores on pieces that people have played.

    Raises
    ------
    DataError
        If there are no pieces.
    """
    if not pieces:
        raise DataError("there are no pieces to measure on")
    progress = progress or Silent()
    progress.start(len(pieces), "pieces", "Performing")
    rows: list[_Row] = []
    try:
        for number, piece in enumerate(pieces):
            rows.append(_measured(interpreter, piece, freedom, SEEDS * number))
            progress.advance()
    finally:
        progress.close()
    kinds = rows[0].histograms
    return Performing(
        model=name or str(interpreter.card.get("name", "")),
        freedom=freedom,
        pieces=tuple(piece.folder for piece in pieces),
        takes=tuple(len(piece.takes) for piece in pieces),
        correlations={what: np.array([row.correlations[what] for row in rows]) for what in PLAYED},
        histograms={
            what: {of: np.array([row.histograms[what][of] for row in rows]) for of in COMPARED}
            for what in kinds
        },
        seeds=np.array([row.seeds for row in rows]),
    )


@dataclass(frozen=True)
class _Row:
    correlations: dict[str, _Numbers]
    histograms: dict[str, _Histograms]
    seeds: _Numbers


def _measured(interpreter: Interpreter, piece: Piece, freedom: float, seed: int) -> _Row:
    score, view = piece.score, View.of(piece.score)
    human = [
        fields
        for take in piece.takes
        if (fields := field_values(view, take.performance, take.match)) is not None
    ]
    dials = Dials()

    def rendered(played: Interpretation) -> tuple[list[Performance], list[Fields]]:
        raw = render(score, played, dials)
        performance = raw.performance()
        order = np.lexsort((score.notes["pitch"], raw.onset_s))  # as a performance sorts its notes
        match = np.empty(len(order), np.int64)
        match[order] = np.arange(len(order))
        fields = field_values(view, performance, match)
        return [performance], [] if fields is None else [fields]

    def played(seeds: Sequence[int], **asked: Any) -> tuple[list[Performance], list[Fields]]:
        found = [rendered(interpreter.interpret(score, seed=seed, **asked)) for seed in seeds]
        return [one for a, _ in found for one in a], [one for _, b in found for one in b]

    made = {
        "as written": rendered(_flat(score, view)),
        "random draws": rendered(interpreter.at_random(score, seed=seed)),
        "boosting alone": played((0,), freedom=0.0, trees=True),
        "freedom 0": played((0,), freedom=0.0),
        "default": played(range(seed, seed + SEEDS), freedom=freedom),
    }
    correlations = {"people": _among(human)}
    correlations |= {what: _between(fields, human) for what, (_, fields) in made.items()}
    takes = [take.performance for take in piece.takes]
    histograms = {
        "people": _histograms(takes[:1]),
        "others": _histograms(takes[1:]),
        "truth": _histograms(takes),
    }
    histograms |= {what: _histograms(performances) for what, (performances, _) in made.items()}
    return _Row(correlations, histograms, _among(made["default"][1]))


def _flat(score: Score, view: View) -> Interpretation:
    """Return the score as an interpretation, at its own tempo and velocities."""
    onsets, _ = onset_groups(score)
    lasts = np.maximum(view.interval, 1e-3)
    quarter_s = np.diff(score.seconds_at(np.append(onsets, onsets[-1] + lasts[-1]))) / lasts
    velocity = np.where(view.velocity > 0, view.velocity, 64.0)
    zero = np.zeros(len(score))
    return Interpretation(quarter_s, zero, velocity, zero)


def _between(ours: Sequence[Fields], human: Sequence[Fields]) -> _Numbers:
    pairs = [[_correlation(a[k], b[k]) for k in CORRELATED.values()] for a in ours for b in human]
    return _known_mean(pairs)


def _among(takes: Sequence[Fields]) -> _Numbers:
    return _known_mean(
        [
            [_correlation(one[k], other[k]) for k in CORRELATED.values()]
            for number, one in enumerate(takes)
            for other in takes[:number]
        ]
    )


def _known_mean(pairs: Sequence[Sequence[float]]) -> _Numbers:
    values = np.array(pairs, np.float64).reshape(-1, len(CORRELATED))
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _correlation(one: _Numbers, other: _Numbers) -> float:
    """Return a correlation; 0 if ours never varies, not a number if people's tells too little."""
    known = np.isfinite(other)
    if known.sum() < _FEWEST or np.std(other[known]) < 1e-9:
        return np.nan
    known &= np.isfinite(one)
    if known.sum() < _FEWEST or np.std(one[known]) < 1e-9:
        return 0.0
    return float(np.corrcoef(one[known], other[known])[0, 1])


def _histograms(performances: Sequence[Performance]) -> _Histograms:
    """Return shares of each bin, the mean over performances; not a number without any."""
    found: dict[str, list[_Numbers]] = {name: [] for name in COMPARED}
    for performance in performances:
        notes = performance.notes
        gaps = np.diff(notes["onset_s"])
        values = {
            "velocity": (notes["velocity"].astype(np.float64), _VELOCITY_EDGES),
            "length": (notes["offset_s"] - notes["onset_s"], _SECONDS_EDGES),
            "onset": (gaps[gaps > _CHORD_S], _SECONDS_EDGES),
        }
        for name, (those, edges) in values.items():
            within = np.clip(those, edges[0], np.nextafter(edges[-1], 0))
            counts, _ = np.histogram(within, edges)
            found[name].append(counts / max(counts.sum(), 1))
    bins = {"velocity": len(_VELOCITY_EDGES) - 1}
    return {
        name: np.mean(shares, axis=0)
        if shares
        else np.full(bins.get(name, len(_SECONDS_EDGES) - 1), np.nan)
        for name, shares in found.items()
    }


def _mean(values: _Numbers, drawn: NDArray[np.int64]) -> Estimate:
    """Return the mean over the pieces that have a value."""
    known = np.isfinite(values)
    if not known.any():
        return Estimate(float("nan"))
    value = float(values[known].mean())
    if known.sum() < 2:
        return Estimate(value)
    number = drawn @ known
    sums = drawn @ np.where(known, values, 0)
    return estimate(value, np.where(number > 0, sums / np.maximum(number, 1), np.nan))


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _distance(one: _Numbers, other: _Numbers, drawn: NDArray[np.int64]) -> Estimate:
    """Return the distance of histograms, each the mean over the pieces that have both."""
    known = np.asarray(np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1))
    if not known.any():
        return Estimate(float("nan"))
    one, other = np.where(known[:, None], one, 0), np.where(known[:, None], other, 0)
    value = float(_jensen_shannon(one.sum(axis=0), other.sum(axis=0)))
    if known.sum() < 2:
        return Estimate(value)
    return estimate(value, _jensen_shannon(drawn @ one, drawn @ other))


def _jensen_shannon(one: _Numbers, other: _Numbers) -> Any:
    """Return distances of rows of counts (Lin 1991; Endres & Schindelin 2003)."""
    one = one / np.maximum(one.sum(axis=-1, keepdims=True), 1e-12)
    other = other / np.maximum(other.sum(axis=-1, keepdims=True), 1e-12)
    middle = (one + other) / 2

    def relative(p: _Numbers) -> _Numbers:
        ratio = np.divide(p, middle, out=np.ones_like(p), where=p > 0)
        return np.asarray((p * np.log2(ratio)).sum(axis=-1))

    return np.sqrt(np.maximum((relative(one) + relative(other)) / 2, 0))
