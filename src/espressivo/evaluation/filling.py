"""Filling: how well a model fills gaps that are cut into people's pieces.

S is the nats per note that another model, which has chosen nothing, gives to the `FOLLOWS_S` after
a gap, given the `BEFORE_S` before it and what is in it. Beside each other stand the true passage, a
plain sample (the first candidate, played from what is before the gap alone), the fill that was
chosen, and of a model that reads quotes a sample that knows what follows. *Closes* is what these
gain of the way from a plain sample to the truth: 1 would be as good as the truth. A fill should not
get there by playing beforehand what follows, so the longest run of notes shared with the
surroundings is told, too. How far density, loudness, register and scale of fills go with those of
the true passages is told as correlations, beside that of the mean of both sides. And what a quote
says of a gap is told by the nats that the model itself gives to the true passage.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.codes import NOTE_ON, grid_steps
from espressivo.engine import Engine
from espressivo.errors import DataError
from espressivo.evaluation.intervals import Estimate, estimate, ratios, resamples, share
from espressivo.evaluation.likelihood import predicted
from espressivo.evaluation.pieces import Piece
from espressivo.music import Performance, longest_shared
from espressivo.play import CANDIDATES, Model, expected_inside, load
from espressivo.progress import Progress, Silent

__all__ = ["FILLS", "FILL_JUDGE", "MEASURED", "Filling", "filling"]

FILL_JUDGE = "seed"
"""Name of the model that judges, unless another is named."""

FILLS = ("truth", "plain", "chosen", "quoted")
"""What is in a gap; the last only of a model that reads quotes."""

MEASURED = ("density", "loudness", "register", "scale")
"""Notes a second, mean velocity, mean pitch, and the share of notes in the best scale of both
sides."""

FOLLOWS_S, BEFORE_S, QUOTED_S, _AROUND_S = 10.0, 20.0, 5.0, 10.0
_EARLIEST_S = 15.0

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Filling:
    """What was found in gaps of one length.

    Parameters
    ----------
    seconds : float
        Length of the gaps.
    judge : str
        Name of the model that judges.
    names : tuple of str
        The piece of each gap.
    notes : float64 array, shape (gaps,)
        Notes that follow.
    nats : float64 array, shape (gaps, 3 or 4)
        Of what follows, after each of `FILLS`.
    shared : float64 array, shape (gaps, 3 or 4)
        Notes of the longest run shared with the surroundings.
    cpu_s : float64 array, shape (gaps,)
        Processor seconds of the chosen fill.
    measured : float64 array, shape (gaps, 4, 3)
        Of each of `MEASURED`, that of the true passage, of the chosen fill, and of both sides.
    inside : float64 array, shape (gaps, 2 or 3)
        Notes of the true passage, and the nats that the model that fills gives to it, from what is
        before it alone, and with a quote of what follows.
    """

    seconds: float
    judge: str
    names: tuple[str, ...]
    notes: _Numbers
    nats: _Numbers
    shared: _Numbers
    cpu_s: _Numbers
    measured: _Numbers
    inside: _Numbers

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values and arrays."""
        figures = {name: [one.value, one.low, one.high] for name, one in self.figures().items()}
        return {**vars(self), "figures": [[name, *of] for name, of in figures.items()]}

    def figures(self) -> dict[str, Estimate]:
        """Return S of each of `FILLS`, what they close, and nats a note inside, over pieces."""
        pieces = sorted(set(self.names))
        of = np.array([[name == piece for name in self.names] for piece in pieces], float)
        drawn = resamples(len(pieces))
        nats, notes = of @ self.nats, of @ self.notes
        found = {
            f"S {FILLS[number]}": share(nats[:, number], notes, drawn)
            for number in range(nats.shape[1])
        }
        for number, name in ((2, "closes"), (3, "closes, quoted")):
            if number < nats.shape[1]:
                gained = nats[:, [1, 1]] - nats[:, [number, 0]]
                whole = gained.sum(axis=0)
                if len(pieces) > 1 and whole[1] > 0:
                    found[name] = estimate(float(whole[0] / whole[1]), ratios(gained, drawn))
        inside = of @ self.inside
        found["inside, from before"] = share(inside[:, 1], inside[:, 0], drawn)
        if inside.shape[1] > 2:
            found["inside, quoted"] = share(inside[:, 2], inside[:, 0], drawn)
            gain = share(inside[:, 1] - inside[:, 2], inside[:, 0], drawn)
            found["inside, gained"] = gain
        return found

    def correlations(self) -> dict[str, tuple[float, float]]:
        """Return how each of `MEASURED` goes with the truth's: of fills, and of both sides."""
        found = {}
        for number, name in enumerate(MEASURED):
            of = self.measured[:, number]
            of = of[np.isfinite(of).all(axis=1)]
            if len(of) > 2:
                fills, sides = (np.corrcoef(of[:, 0], of[:, n])[0, 1] for n in (1, 2))
                found[name] = float(fills), float(sides)
        return found

    def lines(self) -> list[str]:
        """Return the figures as text."""
        gaps = f"{len(self.notes)} gaps of {self.seconds:g} s"
        lines = [f"filling {gaps}, judged by {self.judge}"]
        lines += [f"  {name:21}{one.text(3)}" for name, one in self.figures().items()]
        for number, what in enumerate(FILLS[: self.nats.shape[1]]):
            median, high = np.quantile(self.shared[:, number], (0.5, 0.9))
            lines.append(f"  run shared with the surroundings, {what}: {median:g}, 90 % {high:g}")
        lines.append(f"  processor seconds a fill: median {np.median(self.cpu_s):.1f}")
        for name, (fills, sides) in self.correlations().items():
            lines.append(
                f"  {name}, correlation with the truth: {fills:.2f}, of both sides {sides:.2f}"
            )
        return lines


def filling(
    source: str,
    judge: str,
    pieces: Sequence[Piece],
    gaps: int,
    *,
    seconds: float = 4.0,
    candidates: int = CANDIDATES,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Filling:
    """Fill gaps at random places of pieces, one in each and then another.

    Parameters
    ----------
    source, judge : str
        Model that fills, and model that judges.
    pieces : sequence of Piece
        Those that are too short are left out.
    gaps : int
        How many.
    seconds : float
        Length of the gaps.
    candidates : int
        See `espressivo.play.Model.fill`.
    seed : int
        Of the places and the fills.

    Raises
    ------
    DataError
        If the judge is the model that fills, or no piece is long enough.
    """
    if _model(source).engine.sha256 == _model(judge).engine.sha256:
        raise DataError(f"{judge}: who fills cannot judge its own fills: name another model")
    progress = progress or Silent()
    order = sorted(pieces, key=lambda piece: piece.sha256)
    tasks = [(order[n % len(order)], n) for n in range(gaps)]
    progress.start(gaps, "gaps", "filling")
    rows = []
    try:
        run = map if executor is None else executor.map
        arguments = ([x] * gaps for x in (source, judge, seconds, candidates, seed))
        for row in run(_one, *zip(*tasks, strict=True), *arguments):
            if row is not None:
                rows.append(row)
            progress.advance()
    finally:
        progress.close()
    if not rows:
        raise DataError(
            f"none of {len(pieces)} pieces is long enough for gaps of {seconds:g} s: they last "
            f"less than {_EARLIEST_S + seconds + FOLLOWS_S:g} s"
        )
    names, *columns = zip(*rows, strict=True)
    return Filling(seconds, judge, names, *(np.array(column, float) for column in columns))


_Row = tuple[str, int, list[float], list[int], float, list[list[float]], list[float]]
_models: dict[str, Model] = {}  # of this process


def _model(source: str) -> Model:
    if source not in _models:
        _models[source] = load(source)
    return _models[source]


def _deaf(source: str) -> Model:
    """Return a model that reads no quote, as it would be without having learned to."""
    name = f"without a quote: {source}"
    if name not in _models:
        engine = Engine(_model(source).engine.content)
        engine.fills = False
        _models[name] = Model(engine)
    return _models[name]


def _one(
    piece: Piece, number: int, source: str, judge: str, seconds: float, candidates: int, seed: int
) -> _Row | None:
    """Fill one gap, and measure it; None if the piece is too short."""
    whole = midi.read(piece.path)
    rng = np.random.default_rng([seed, number])
    latest_s = whole.seconds - seconds - FOLLOWS_S
    if latest_s <= _EARLIEST_S:
        return None
    start_s = float(rng.uniform(_EARLIEST_S, latest_s))
    end_s = start_s + seconds
    part = whole.slice(max(0.0, start_s - 120), end_s + FOLLOWS_S + 10)
    start_s -= max(0.0, start_s - 120)
    end_s = start_s + seconds
    model, fill_seed = _model(source), seed + 1000 * number
    alone = _deaf(source) if model.engine.fills else model
    (plain,) = alone.fill(part, start_s, end_s, seed=fill_seed, candidates=1)
    began_s = time.process_time()
    (chosen,) = model.fill(part, start_s, end_s, seed=fill_seed, candidates=candidates)
    cpu_s = time.process_time() - began_s
    fills = [part, plain, chosen]
    if model.engine.fills:
        fills += model.fill(part, start_s, end_s, seed=fill_seed, candidates=1)
    nats = [_follows(_model(judge), one, start_s, end_s) for one in fills]
    inside = [_between(one, start_s, end_s) for one in fills]
    sides = Performance(
        np.concatenate(
            (
                _between(part, start_s - _AROUND_S, start_s).notes,
                _between(part, end_s, end_s + _AROUND_S).notes,
            )
        )
    )
    onset_s = part.notes["onset_s"]
    notes = int(((onset_s >= end_s) & (onset_s < end_s + FOLLOWS_S)).sum())
    if not notes:
        return None
    shared = [longest_shared(one, sides) for one in inside]
    of = [
        _measures(one, seconds if one is not sides else 2 * _AROUND_S, sides)
        for one in (inside[0], inside[2], sides)
    ]
    within = _inside(model, part, start_s, end_s)
    return piece.name, notes, nats, shared, cpu_s, np.array(of).T.tolist(), within


def _between(performance: Performance, start_s: float, end_s: float) -> Performance:
    onset_s = performance.notes["onset_s"]
    return Performance(performance.notes[(onset_s >= start_s) & (onset_s < end_s)])


def _follows(judge: Model, performance: Performance, start_s: float, end_s: float) -> float:
    """Return the nats of what follows a gap."""
    v, begin_s = judge.vocabulary, max(0.0, start_s - BEFORE_S)
    ids = v.encode(performance.slice(begin_s, end_s + FOLLOWS_S))
    ((nats, _),) = predicted(judge, [ids])
    after = grid_steps(ids, v) >= (end_s - begin_s) * v.steps_per_second
    return float(nats[after].sum())


def _inside(model: Model, performance: Performance, start_s: float, end_s: float) -> list[float]:
    """Return the notes of a true passage, and their nats: from before alone; with a quote."""
    v, begin_s = model.vocabulary, max(0.0, start_s - BEFORE_S)
    ids = v.encode(performance.slice(begin_s, end_s + QUOTED_S))
    at = grid_steps(ids, v)
    edges = [math.ceil((time_s - begin_s) * v.steps_per_second) for time_s in (start_s, end_s)]
    first, last = np.searchsorted(at, edges).tolist()
    before, inside, after = ids[:first], ids[first:last], ids[last:]
    left = edges[1] - (int(at[first - 1]) if first else 0)
    nats = [
        -expected_inside(model.engine, before, inside, after, left, quote=quote)
        for quote in ((False, True) if model.engine.fills else (False,))
    ]
    return [float((v.kinds[inside] == NOTE_ON).sum()), *nats]


def _measures(performance: Performance, seconds: float, sides: Performance) -> list[float]:
    notes = performance.notes
    if not len(notes) or not len(sides):
        return [len(notes) / seconds, np.nan, np.nan, np.nan]
    return [
        len(notes) / seconds,
        float(notes["velocity"].mean()),
        float(notes["pitch"].mean()),
        _in_scale_of(performance, sides),
    ]


def _in_scale_of(performance: Performance, sides: Performance) -> float:
    """Return the share of notes in the major scale that holds most notes of both sides."""
    classes = np.bincount(sides.notes["pitch"] % 12, minlength=12)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    tonic = max(range(12), key=lambda t: classes[(scale + t) % 12].sum())
    return float(np.isin(performance.notes["pitch"] % 12, (scale + tonic) % 12).mean())
