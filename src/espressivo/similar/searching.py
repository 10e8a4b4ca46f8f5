"""Search: which performances of an index are like another, and which of their passages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.latent import Latent, Passages
from espressivo.similar.index import Index

__all__ = ["Match", "Similar", "search"]

_MOST = 96  # passages of what is asked about that are compared, evenly spread


@dataclass(frozen=True)
class Match:
    """Two passages that are alike.

    Parameters
    ----------
    alike : float
        At most 1, for the same.
    mine_s, theirs_s : (float, float)
        Beginning and end of each, in seconds.
    """

    alike: float
    mine_s: tuple[float, float]
    theirs_s: tuple[float, float]


@dataclass(frozen=True)
class Similar:
    """A performance of an index.

    Parameters
    ----------
    name : str
    alike : float
        The mean, over the passages of what is asked about, of how alike the nearest passage of
        this performance is; at most 1.
    passages : tuple of Match
        The most alike, best first.
    """

    name: str
    alike: float
    passages: tuple[Match, ...]


def search(
    index: Index,
    latent: Latent,
    passages: Passages,
    *,
    top: int = 10,
    places: int = 3,
    without: str | None = None,
) -> list[Similar]:
    """Return the performances of an index that are most like another, best first.

    All passages are compared: no shortcut is taken, so nothing near is missed.

    Parameters
    ----------
    index : Index
    latent : Latent
    passages : Passages
        Of what is asked about.
    top : int
        How many performances.
    places : int
        How many passages of each.
    without : str, optional
        The name of a performance that does not count, such as the one that is asked about.
    """
    count = len(passages)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST)).astype(int))
    means, _ = latent.encode(passages, chosen)
    alike = latent.near(means) @ index.directions.T  # (chosen, passages)
    begins = np.searchsorted(index.of, np.arange(len(index)))
    best = np.maximum.reduceat(alike, begins, axis=1)  # (chosen, performances)
    score = best.mean(0)
    order = [n for n in np.argsort(-score, kind="stable") if index.names[n] != without][:top]
    ends = np.append(begins[1:], len(index.of))
    return [
        Similar(
            index.names[number],
            float(score[number]),
            _matches(index, passages, chosen, alike, begins[number], ends[number], places),
        )
        for number in order
    ]


def _matches(
    index: Index,
    passages: Passages,
    chosen: NDArray[np.int64],
    alike: NDArray[np.float32],
    begin: int,
    end: int,
    places: int,
) -> tuple[Match, ...]:
    """Return the most alike passages of a performance, each of its own place in what is asked."""
    nearest = alike[:, begin:end].argmax(1)
    values = alike[np.arange(len(chosen)), begin + nearest]
    found: list[Match] = []
    for row in np.argsort(-values, kind="stable"):
        mine, theirs = int(chosen[row]), begin + int(nearest[row])
        there = float(index.begin_s[theirs]), float(index.end_s[theirs])
        if any(there[0] < match.theirs_s[1] and match.theirs_s[0] < there[1] for match in found):
            continue
        here = float(passages.begin_s[mine]), float(passages.end_s[mine])
        found.append(Match(float(values[row]), here, there))
        if len(found) == places:
            break
    return tuple(found)
