"""Draws: what differs from one playing to the next, and how likely each value is.

A field's standardised mean m, of a whole score, and a noise e of unit variance are mixed to
``sqrt(c) m + sqrt(1 - c) e``, so that two draws correlate by c. The ranks of the mixture are then
given the values that people's takes have at these ranks, so that what is played has people's
histogram; or it is moved there a part of the way only, since a mean that is given another histogram
is no longer what is nearest to everybody's.

The noise is a sum of parts, each with a share of the variance: white ones, of each note or of each
onset, and ones that fade by so many quarters, as a player's mood does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.interpreter.view import Floats

__all__ = ["Draw", "alike", "mixed", "noise"]

MORE_ALIKE = 0.12
"""By how much two draws correlate more than two people do, at half the freedom."""


@dataclass(frozen=True)
class Draw:
    """How a field is drawn.

    Parameters
    ----------
    people : float
        Correlation of two people's takes.
    note_share : float
        Share of the noise that each note has of its own.
    onset_share : float
        Share that each onset has of its own.
    fading : tuple of (float, float)
        Share, and the quarters in which it fades to 1/e, of each of the others.
    quantiles : tuple of float
        Values of people's takes, standardised, at evenly spaced ranks from 0 to 1.
    shaped : float
        0..1, how far a mixture is moved to these values.
    """

    people: float
    note_share: float
    onset_share: float
    fading: tuple[tuple[float, float], ...]
    quantiles: tuple[float, ...]
    shaped: float = 1.0


def alike(draw: Draw, freedom: float) -> float:
    """Return by how much two draws are to correlate.

    1 without freedom, a little more than two people at half of it, and as two people at 1; linear
    between.
    """
    half = min(1.0, draw.people + MORE_ALIKE)
    if freedom <= 0.5:
        return 1 - 2 * freedom * (1 - half)
    return half - (2 * freedom - 1) * (half - draw.people)


def noise(
    draw: Draw, at: Floats, rows: NDArray[np.int64], generator: np.random.Generator
) -> Floats:
    """Return noise of unit variance.

    Parameters
    ----------
    draw : Draw
    at : array, shape (m,)
        Where each onset is, in quarters, rising.
    rows : array of int64, shape (n,)
        The onset of each value.
    """
    count = len(at)
    total = np.sqrt(draw.note_share) * generator.standard_normal(len(rows))
    of_onsets = np.sqrt(draw.onset_share) * generator.standard_normal(count)
    for share, quarters in draw.fading:
        of_onsets += np.sqrt(share) * _fading(np.diff(at), quarters, generator)
    return np.asarray(total + of_onsets[rows])


def _fading(apart: Floats, quarters: float, generator: np.random.Generator) -> Floats:
    """Return a stationary process (Ornstein & Uhlenbeck 1930) at places so far apart."""
    keeps = np.exp(-apart / quarters)
    drawn = generator.standard_normal(len(apart) + 1)
    drawn[1:] *= np.sqrt(1 - keeps**2)
    values = drawn.tolist()
    for index, keep in enumerate(keeps.tolist(), 1):
        values[index] += keep * values[index - 1]
    return np.array(values)


def mixed(
    mean: Floats, drawn: Floats, alike: float, quantiles: Sequence[float], shaped: float
) -> Floats:
    """Return mean and noise, mixed and moved so far to people's values, 0..1; see the module.

    Equal mixtures keep their order in time, so that nothing depends on how they are sorted.
    """
    if not len(mean):
        return mean
    spread = float(mean.std())
    even = (mean - mean.mean()) / spread if spread > 1e-9 else np.zeros(len(mean))
    mixture = np.sqrt(alike) * even + np.sqrt(1 - alike) * drawn
    rank = np.empty(len(mean))
    rank[np.argsort(mixture, kind="stable")] = np.arange(len(mean))
    places = np.linspace(0, 1, len(quantiles))
    people = np.interp((rank + 0.5) / len(mean), places, quantiles)
    return np.asarray(mixture + shaped * (people - mixture))
