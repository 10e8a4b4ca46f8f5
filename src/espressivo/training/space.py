"""What is fitted in a trained space of passages: directions, takes, and where music is.

- A direction moves one measure of `espressivo.latent.DIRECTIONS` and leaves the others as they are:
  of all moves that do so, the one that people's passages make easiest.
- Passages of two takes of one piece at the same place differ as players do. Divided by that, what
  is left is what pieces differ by (linear discriminant analysis).
- A mixture of normal distributions says where people's passages are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from espressivo.codes import COARSE, NO_ID, Ids, Vocabulary
from espressivo.latent import cuts, measured_passages
from espressivo.networks import LatentNetwork

__all__ = ["TakePlaces", "directions", "fitted", "means_of", "nearness"]

_AT_ONCE = 256
_RIDGE = 1e-2
_SHRINK = 0.05  # of what takes differ by, that much is taken to be alike in all directions
_COMPONENTS = 48
_LATER = 24  # events from passage to passage where takes are compared
_NEAR_BEATS = 1.0  # passages whose middles are so near in the score are at the same place


@dataclass(frozen=True, eq=False)
class TakePlaces:
    """A take of a piece, and the beat at which each of its events happens.

    Parameters
    ----------
    piece : str
    events : int array, (events, FIELDS)
    beat : float64 array, (events,)
        nan outside the beats that are known.
    """

    piece: str
    events: Ids
    beat: NDArray[np.float64]


def means_of(
    network: LatentNetwork,
    events: Ids,
    v: Vocabulary,
    hop: int | None = None,
    some: Callable[[int], NDArray[np.int64]] = np.arange,
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return the means of a piece's passages, their events, padded, and first and last event.

    `some` is given their number, and returns those that are wanted, by default all.
    """
    found = cuts(events, network.config.length, v, hop)
    found = found[some(len(found))]
    at = found[:, :1] + np.arange(network.config.length)
    rows = events[np.minimum(at, len(events) - 1), :COARSE].astype(np.int64)
    rows[at >= found[:, 1:]] = NO_ID
    with torch.no_grad():
        parts = [
            network.encode(torch.from_numpy(rows[begin : begin + _AT_ONCE]))[0].numpy()
            for begin in range(0, len(rows), _AT_ONCE)
        ]
    return np.concatenate(parts), rows, found


def directions(means: NDArray[np.float32], measures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each measure by how much points move, to have a standard deviation more of it."""
    known = np.isfinite(measures).all(1)
    x = means[known] - means[known].mean(0)
    y = (measures[known] - measures[known].mean(0)) / measures[known].std(0)
    spread = x.T @ x / len(x)
    slopes = np.linalg.solve(spread + _RIDGE * np.eye(x.shape[1]), x.T @ y / len(x))
    along = spread @ slopes  # (size, measures)
    return np.asarray((along @ np.linalg.inv(slopes.T @ along)).T)


def nearness(
    means: NDArray[np.float32], network: LatentNetwork, takes: Sequence[TakePlaces], v: Vocabulary
) -> NDArray[np.float64]:
    """Return the matrix, (components, size), after which takes of one piece are near."""
    apart = np.concatenate(list(_apart(network, takes, v)))
    within = apart.T @ apart / (2 * len(apart))
    size = len(within)
    within = (1 - _SHRINK) * within + _SHRINK * np.trace(within) / size * np.eye(size)
    values, vectors = np.linalg.eigh(within)
    white = vectors / np.sqrt(values)  # of which the differences of takes are 1 in all directions
    between = np.cov((means @ white).T)
    _, axes = np.linalg.eigh(between)
    return np.asarray((white @ axes[:, ::-1][:, :_COMPONENTS]).T)


def _apart(
    network: LatentNetwork, takes: Sequence[TakePlaces], v: Vocabulary
) -> Iterator[NDArray[np.float32]]:
    """Yield by how much passages at the same place of two takes of a piece differ."""
    pieces: dict[str, list[tuple[NDArray[np.float32], NDArray[np.float64]]]] = {}
    for take in takes:
        means, _, found = means_of(network, take.events, v, _LATER)
        middle = take.beat[found.mean(1).astype(int)]
        pieces.setdefault(take.piece, []).append(
            (means[np.isfinite(middle)], middle[np.isfinite(middle)])
        )
    for of_piece in pieces.values():
        for (one, at), (other, there) in pairwise(of_piece):
            if len(at) and len(there):
                nearest = np.abs(at[:, None] - there).argmin(1)
                same = np.abs(there[nearest] - at) <= _NEAR_BEATS
                yield one[same] - other[nearest[same]]


def fitted(
    network: LatentNetwork,
    pieces: Sequence[Ids],
    takes: Sequence[TakePlaces],
    v: Vocabulary,
    *,
    components: int = 32,
    most: int = 12_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what `espressivo.export.export_latent` takes as ``described_by``.

    Parameters
    ----------
    network : LatentNetwork
    pieces : sequence of int arrays, (events, FIELDS)
        Of training.
    takes : sequence of TakePlaces
        Of training, those of a piece one after another.
    v : Vocabulary
    components : int
        Of the mixture.
    most : int
        Passages that are drawn from the pieces.
    seed : int
    """
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(seed)
    each = max(1, most // len(pieces))
    means, events = [], []
    for piece in pieces:
        found, rows, _ = means_of(
            network, piece, v, some=lambda n: rng.choice(n, min(each, n), replace=False)
        )
        means.append(found)
        events.append(rows)
    every = np.concatenate(means)
    mixture = GaussianMixture(components, covariance_type="diag", random_state=seed, max_iter=60)
    mixture.fit(every)
    return {
        "directions": directions(every, measured_passages(np.concatenate(events), v)),
        "near": nearness(every, network, takes, v),
        "middle": every.mean(0),
        "mixture": {
            "weights": mixture.weights_,
            "means": mixture.means_,
            "spreads": np.sqrt(mixture.covariances_),
        },
    }
