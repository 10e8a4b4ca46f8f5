"""Fitted draws: levels, noise and histograms of people's takes, as an interpreter draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from espressivo.interpreter import (
    DRAWN,
    LEVELS,
    LOGARITHMIC,
    Draw,
    Floats,
    Interpreter,
    summary,
    warped,
)
from espressivo.training.score_data import ReadPiece, correlation, standardised

__all__ = ["between_people", "fit_draw", "fit_lengths", "fit_levels", "spread_of"]

_RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0)
_FOLDS = 5
_FADING = (0.5, 2.0, 8.0, 32.0)  # quarters
_LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)  # rows
_EDGES = np.array([0.0, 1e-3, 0.15, 0.3, 0.6, 1.1, 2.1, 4.1, 8.1, 16.1, 32.1, 64.1])  # quarters
_QUANTILES = 201
_LENGTHS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.995)  # ranks
_SAMPLED = 2000  # values of a piece


def fit_levels(pieces: Sequence[ReadPiece]) -> dict[str, list[Any]]:
    """Return the arrays of `espressivo.interpreter.Levels`.

    A ridge regression on takes, those of a piece counting together as the root of their number; the
    ridge is the best of some, by cross-validation over pieces.
    """
    rows, values, weights, fold = [], [], [], []
    for number, piece in enumerate(pieces):
        of_piece = summary(piece.view)
        for take in piece.takes:
            rows.append(of_piece)
            values.append(_levels(take))
            weights.append(len(piece.takes) ** -0.5)
            fold.append(number % _FOLDS)
    x, y, w, folds = np.array(rows), np.array(values), np.array(weights), np.array(fold)
    centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    even = np.clip((x - centre) / scale, -3, 3)
    even[:, 0] = 1.0
    beta, residual = np.zeros((x.shape[1], len(LEVELS))), np.zeros(len(LEVELS))
    for level in range(len(LEVELS)):
        known = np.isfinite(y[:, level])
        if len(set(folds[known])) < 2:
            continue
        errors = []
        for ridge in _RIDGES:
            off = np.zeros(len(y))
            for one in range(_FOLDS):
                fit, held = known & (folds != one), known & (folds == one)
                weight = _ridge(even[fit], y[fit, level], w[fit], ridge)
                off[held] = y[held, level] - even[held] @ weight
            errors.append(float((w[known] * off[known] ** 2).sum() / w[known].sum()))
        best = _RIDGES[int(np.argmin(errors))]
        beta[:, level] = _ridge(even[known], y[known, level], w[known], best)
        residual[level] = np.sqrt(min(errors))
    arrays = {"centre": centre, "scale": scale, "weights": beta, "residual": residual}
    return {name: np.round(array, 6).tolist() for name, array in arrays.items()}


def _levels(take: Mapping[str, Floats]) -> Floats:
    found = []
    for name in DRAWN:
        values = take[name]
        if np.isfinite(values).sum() < 2:
            found += [np.nan, np.nan]
            continue
        spread = float(np.nanstd(values))
        log = name in LOGARITHMIC
        found += [float(np.nanmean(values)), np.log(max(spread, 1e-4)) if log else spread]
    return np.array(found)


def _ridge(x: Floats, y: Floats, w: Floats, ridge: float) -> Floats:
    penalty = np.full(x.shape[1], ridge)
    penalty[0] = 0
    return np.asarray(np.linalg.solve((x.T * w) @ x + np.diag(penalty), (x.T * w) @ y), np.float64)


def spread_of(pieces: Sequence[ReadPiece], field: str) -> float:
    """Return the median standard deviation of a field within a take."""
    spreads = [
        np.nanstd(take[field])
        for piece in pieces
        for take in piece.takes
        if np.isfinite(take[field]).any()
    ]
    return float(np.median(spreads))


def between_people(pieces: Sequence[ReadPiece], field: str) -> float:
    """Return the correlation of a field between two takes, the mean over pairs, then pieces."""
    of_pieces = []
    for piece in pieces:
        takes = [take[field] for take in piece.takes]
        pairs = [correlation(a, b) for i, a in enumerate(takes) for b in takes[:i]]
        if np.isfinite(pairs).any():
            of_pieces.append(np.nanmean(pairs))
    return float(np.mean(of_pieces))


def fit_draw(pieces: Sequence[ReadPiece], field: str, means: Sequence[Floats]) -> Draw:
    """Return how a field is drawn.

    What takes differ in from the predicted mean is correlated at distances in quarters; exponential
    decays with non-negative shares are fitted to that.

    Parameters
    ----------
    pieces : sequence of ReadPiece
    field : str
    means : sequence of array
        The predicted mean of each piece.
    """
    sums, norms, counts = np.zeros(len(_EDGES)), np.zeros(len(_EDGES)), np.zeros(len(_EDGES))
    sampled = []
    for piece, mean in zip(pieces, means, strict=True):
        takes = [
            values for take in piece.takes if (values := standardised(take[field])) is not None
        ]
        if not takes:
            continue
        view = piece.view
        at = {"interval": view.onsets, "pedal": view.cells[:-1]}.get(field, view.onset)
        for values in takes:
            _correlate(values, mean, at, len(takes), sums, norms, counts)
        known = np.concatenate([values[np.isfinite(values)] for values in takes])
        sampled.append(np.quantile(known, (np.arange(_SAMPLED) + 0.5) / _SAMPLED))
    curve = sums / np.maximum(norms, 1e-9)
    distance = np.append(0.0, (_EDGES[1:-1] + _EDGES[2:]) / 2)
    shares, onset_share, note_share = _shares(distance, curve[:-1], counts[:-1])
    quantiles = np.quantile(np.concatenate(sampled), np.linspace(0, 1, _QUANTILES))
    quantiles[[0, -1]] = 2 * quantiles[[1, -2]] - quantiles[[2, -3]]
    return Draw(
        round(between_people(pieces, field), 4),
        round(note_share, 4),
        round(onset_share, 4),
        tuple((round(share, 4), tau) for share, tau in zip(shares, _FADING, strict=True) if share),
        tuple(np.round(quantiles, 4).tolist()),
    )


def fit_lengths(
    interpreter: Interpreter,
    pieces: Sequence[ReadPiece],
    *,
    freedom: float = 0.5,
    share: float = 0.75,
) -> dict[str, list[float]]:
    """Return how the seconds that keys are held become people's: logarithms of either, by rank.

    Fields that are drawn by themselves do not give lengths people's histogram. Each piece counts
    alike. Lengths are moved only a share of the way, 0..1: moving them costs correlation.
    """
    ours, people = [], []
    ranks = (np.arange(_SAMPLED) + 0.5) / _SAMPLED
    for number, piece in enumerate(pieces):
        view = piece.view
        played = interpreter.interpret(view.score, freedom=freedom, seed=number)
        seconds = np.append(0.0, np.cumsum(played.quarter_s * view.interval))
        at = np.append(view.onsets, view.onsets[-1] + view.interval[-1])
        notated_s = warped(view.onset + view.duration, at, seconds) - seconds[view.group]
        held = played.articulation + np.log(np.maximum(notated_s, 1e-3))
        ours.append(np.quantile(held, ranks))
        lengths_s = [
            take.performance.notes["offset_s"] - take.performance.notes["onset_s"]
            for take in piece.piece.takes
        ]
        people.append(np.quantile(np.log(np.maximum(np.concatenate(lengths_s), 1e-3)), ranks))
    places = np.array(_LENGTHS)
    found = {"ours": np.concatenate(ours), "people": np.concatenate(people)}
    ranked = {who: np.quantile(all_, places) for who, all_ in found.items()}
    ranked["people"] = ranked["ours"] + share * (ranked["people"] - ranked["ours"])
    return {who: np.round(values, 4).tolist() for who, values in ranked.items()}


def _correlate(
    values: Floats, mean: Floats, at: Floats, takes: int, sums: Floats, norms: Floats,
    counts: Floats,
) -> None:  # fmt: skip
    """Add what a take's residuals have in common at each distance."""
    known = np.isfinite(values)
    slope = float(values[known] @ mean[known]) / max(float(mean[known] @ mean[known]), 1e-9)
    residual = np.where(known, values - slope * mean, np.nan)
    residual -= np.nanmean(residual)
    variance = np.nanmean(residual**2)
    for lag in _LAGS:
        if lag >= len(values):
            break
        product = residual[lag:] * residual[:-lag]
        apart = at[lag:] - at[:-lag]
        bin_ = np.searchsorted(_EDGES, apart, "right") - 1
        fine = np.isfinite(product) & (bin_ < len(_EDGES) - 1)
        weight = 1 / (takes * len(values))
        sums += weight * np.bincount(bin_[fine], product[fine], len(_EDGES))
        norms += weight * variance * np.bincount(bin_[fine], minlength=len(_EDGES))
        counts += np.bincount(bin_[fine], minlength=len(_EDGES))


def _shares(distance: Floats, curve: Floats, counts: Floats) -> tuple[list[float], float, float]:
    """Return the shares of the fading parts, of the onset's own and of the note's own noise."""
    from scipy.optimize import nnls

    apart = counts > 100
    same = bool(apart[0])
    apart[0] = False
    decays = np.exp(-distance[apart, None] / np.array(_FADING))
    shares, _ = nnls(decays, np.maximum(curve[apart], 0))
    shares = shares * min(1.0, 0.95 / max(float(shares.sum()), 1e-9))
    total = float(shares.sum())
    at_once = float(np.clip(curve[0], total, 1.0)) if same else 1.0
    return [float(share) for share in shares], at_once - total, 1 - at_once
