"""Statistics: how alike two sets of windows are, feature by feature, as published.

Yang and Lerch ("On the evaluation of generative models in music", Neural Computing and
Applications, 2018) compare distances. Each window is a point: the histogram of a feature in it,
or its single value. The Euclidean distances among windows of one set, and those from one set to
the other, are smoothed by a Gaussian kernel (Scott's rule); how far the two densities overlap
(overlapped area), and the Kullback-Leibler divergence between them, are the figures.

Beside them stand the same two figures of the plain histograms of all values of each set. They
are coarser, and a set whose windows are all alike can pass, but they are easily read.

A figure means something only between its ceiling, one half of the human pieces against the other
(`ceiling`), and its floor, the same pieces without any expression
(`espressivo.evaluation.references.flat`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from espressivo.music import FEATURES, Features

__all__ = [
    "Ceiling",
    "Comparison",
    "ceiling",
    "compare",
    "overlaps",
]

_Numbers = NDArray[np.float64]

_POINTS = 512  # at which a density is known
_REACH = 4.0  # standard deviations of a kernel that count
_LEAST = 1e-9  # a probability below this is taken for this, so that a divergence is finite
_LEAST_APART = 1e-6  # between points; distances that differ by less are the same
_LEAST_WINDOWS = 3  # among which distances have a spread
_PEDAL = ("pedal_down", "pedal_changes")


@dataclass(frozen=True)
class Comparison:
    """How alike two sets of windows are in one feature.

    Parameters
    ----------
    overlap : float
        Overlapped area, 0..1, of the densities of distances within the human set and between the
        two sets; 1 is the same. As published.
    divergence : float
        Kullback-Leibler divergence in nats of the latter density from the former; 0 is the same.
        As published, but both are taken at the same points.
    pooled_overlap : float
        Overlapped area of the histograms of all values, 0..1.
    pooled_divergence : float
        Kullback-Leibler divergence in nats of our histogram from the human one, half a value
        added to each bin.
    """

    overlap: float
    divergence: float
    pooled_overlap: float
    pooled_divergence: float


@dataclass(frozen=True)
class Ceiling:
    """How alike human playing is to human playing: mean and standard deviation over the splits."""

    mean: Comparison
    deviation: Comparison


def compare(ours: Sequence[Features], theirs: Sequence[Features]) -> dict[str, Comparison]:
    """Compare two sets of windows of equal length in each of `FEATURES`.

    Windows without values of a feature, as a silent one has no pitch, do not count in it. A
    feature of which ours have no value, or theirs in fewer than three windows, is not in the
    result; nor is the pedal where neither set has it.

    Parameters
    ----------
    ours : sequence of Features
        What is judged, such as a model's windows.
    theirs : sequence of Features
        What it is held against: human windows. Both should have gone through the same vocabulary
        (`espressivo.codes.codec.quantise`): a grid step of 10 ms is a difference too.
    """
    return {name: _comparison(mine, human, name) for name, mine, human in _comparable(ours, theirs)}


def overlaps(
    ours: Sequence[Features], theirs: Sequence[Features], samples: int = 200
) -> dict[str, _Numbers]:
    """Return the overlap of each feature in bootstrap samples of both sets, shape (samples,).

    Two sets that are held against the same windows have the same samples of these, so that their
    difference can be taken sample by sample. A window that is drawn twice is not compared with
    itself. Sets that are drawn hold fewer different windows and overlap less, so only the spread of
    the samples says something: they are moved to have the overlap of the sets themselves as mean.
    """
    found = {}
    for name, mine, human in _comparable(ours, theirs):
        points, references = _points(mine, name), _points(human, name)
        within, between = _distances(references, references), _distances(points, references)
        rng, theirs_rng = np.random.default_rng([5, 0]), np.random.default_rng([5, 1])
        replicates = np.empty(samples)
        for sample in range(samples):
            drawn = theirs_rng.integers(len(human), size=len(human))
            first, second = np.triu_indices(len(human), 1)
            first, second = drawn[first], drawn[second]
            apart = first != second
            inside = within[first[apart], second[apart]]
            if len(inside) < 2:
                replicates[sample] = np.nan
                continue
            across = between[rng.integers(len(mine), size=len(mine))][:, drawn].ravel()
            replicates[sample] = _likeness(*_densities(across, inside))[0]
        value = _likeness(*_densities(between.ravel(), within[np.triu_indices(len(human), 1)]))[0]
        found[name] = replicates + value - np.nanmean(replicates)
    return found


def _comparable(
    ours: Sequence[Features], theirs: Sequence[Features]
) -> Iterator[tuple[str, list[Features], list[Features]]]:
    """Yield each feature that can be compared, and the windows that have values of it."""
    for name in FEATURES:
        mine, human = ([one for one in side if len(one.values[name])] for side in (ours, theirs))
        if not mine or len(human) < _LEAST_WINDOWS:
            continue
        if name in _PEDAL and not any(one.values[name].any() for one in (*mine, *human)):
            continue
        yield name, mine, human


def _comparison(mine: Sequence[Features], human: Sequence[Features], name: str) -> Comparison:
    points, references = _points(mine, name), _points(human, name)
    within = _distances(references, references)[np.triu_indices(len(references), 1)]
    between = _distances(points, references).ravel()
    pooled, reference = _pooled(mine, name), _pooled(human, name)
    return Comparison(
        *_likeness(*_densities(between, within)),
        _likeness(pooled / pooled.sum(), reference / reference.sum())[0],
        _likeness(_smoothed(pooled), _smoothed(reference))[1],
    )


def ceiling(
    human: Sequence[Features],
    pieces: Sequence[str],
    rng: np.random.Generator,
    splits: int = 50,
) -> dict[str, Ceiling]:
    """Compare one half of human windows with the other, over many random splits.

    Parameters
    ----------
    pieces : sequence of str
        The composition of each window: all windows of one fall into the same half, since two of
        one piece are more alike than two of different ones.
    splits : int
        At least 1.

    Returns
    -------
    dict of str to Ceiling
        Features that any split has too little of are left out.
    """
    names, number = np.unique(np.asarray(pieces), return_inverse=True)
    made = []
    for _ in range(splits):
        first = (rng.permutation(len(names)) < len(names) // 2)[number]
        one, other = (
            [each for each, chosen in zip(human, half, strict=True) if chosen]
            for half in (first, ~first)
        )
        made.append(compare(one, other))
    return {
        name: _over([each[name] for each in made])
        for name in FEATURES
        if all(name in each for each in made)
    }


def _over(comparisons: Sequence[Comparison]) -> Ceiling:
    names = [field.name for field in fields(Comparison)]
    table = np.array([[getattr(one, name) for name in names] for one in comparisons])
    return Ceiling(
        Comparison(*table.mean(axis=0).tolist()), Comparison(*table.std(axis=0).tolist())
    )


def _points(windows: Sequence[Features], name: str) -> _Numbers:
    """Return each window as a point: its value, or the shares of its values in each bin."""
    if FEATURES[name].single:
        return np.array([one.values[name] for one in windows])
    counts = np.array([one.counts[name] for one in windows], np.float64)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _pooled(windows: Sequence[Features], name: str) -> _Numbers:
    return np.asarray(np.sum([one.counts[name] for one in windows], axis=0), np.float64)


def _smoothed(counts: _Numbers) -> _Numbers:
    return np.asarray((counts + 0.5) / (counts + 0.5).sum())


def _distances(points: _Numbers, others: _Numbers) -> _Numbers:
    """Return the Euclidean distance of every point from every other one, shape (n, m)."""
    squares = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def _densities(values: _Numbers, others: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Smooth two sets of values into probabilities at the same points."""
    width, other_width = (each.std(ddof=1) * len(each) ** -0.2 for each in (values, others))
    both, room = np.concatenate((values, others)), _REACH * max(width, other_width)
    low, high = both.min() - room, both.max() + room
    spacing = max((high - low) / (_POINTS - 1), _LEAST_APART)
    return _smooth(values, low, spacing, width), _smooth(others, low, spacing, other_width)


def _smooth(values: _Numbers, low: float, spacing: float, width: float) -> _Numbers:
    """Return the probabilities of points from `low` on, with a Gaussian kernel of a width."""
    counts = np.bincount(np.round((values - low) / spacing).astype(int), minlength=_POINTS)
    apart = np.arange(1 - _POINTS, _POINTS) * spacing / max(width, spacing)
    density = np.convolve(np.exp(-0.5 * apart**2), counts, "valid")
    return np.asarray(density / density.sum())


def _likeness(probability: _Numbers, human: _Numbers) -> tuple[float, float]:
    """Return overlapped area and divergence of two lists of probabilities."""
    overlap = np.minimum(probability, human).sum()
    ratio = np.maximum(human, _LEAST) / np.maximum(probability, _LEAST)
    return float(overlap), float(max((human * np.log(ratio)).sum(), 0.0))
