"""The path of beats through what the network says, and the measures along it.

Beats fall on onset groups, or evenly between two of them where nothing begins. A path gains the
logits of the groups that it takes, and loses where a beat is not as long as the network says, where
it is not as long as the beat before, and for beats on which nothing begins. The best path is found
by dynamic programming (Ellis 2007, over onset groups instead of frames); of the beat before, each
place remembers that of the best path that leads there. A second network reads the beats, and from
what it says measures are found by a hidden Markov model, whose state is the number of beats in a
measure and the place within it (Bock et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.notation.said import (
    BEAT,
    BEGINS,
    COUNTS,
    DOWNBEAT,
    METER,
    PERIOD,
    QUARTERS,
    UNIT,
)

__all__ = [
    "DEFAULT_COSTS",
    "Costs",
    "Path",
    "best_path",
    "keys",
    "measures",
    "struck_downbeats",
    "units",
]

_REACH = 64  # groups: a beat and the next one, or the next that is struck, are no further apart
_SHORTEST_S, _LONGEST_S = 0.12, 6.0  # of a beat


_PROFILE = (13.95, 2.39, 11.5, 2.8, 14.16, 9.28, 3.82, 13.18, 3.92, 12.21, 2.8, 9.99)
"""Per cent of the notes that are C, C sharp, ... where neither sharps nor flats are signed; as
counted by `tools/keys.py`."""
_USUAL = -1.2  # about the mean of what is said of downbeats on beats
_EMPTY = -0.8  # where nothing begins: seldom where a measure does
_KEY_WEIGHT = 0.1  # notes that follow each other say much the same


@dataclass(frozen=True)
class Costs:
    """What a path loses.

    Chosen on half A of the validation pieces of ASAP, but `key_change` on the training pieces.

    Parameters
    ----------
    period : float
        For an octave between a beat and what the network says of its length, squared.
    change : float
        For an octave between a beat and the one before.
    empty : float
        For a beat on which nothing begins.
    most_empty : float
        At most, for beats on which nothing begins between two where something does.
    skip : float
        For a beat's time before the path begins and after it ends.
    bias : float
        Gain of each beat beside its logit.
    meter_change, meter : float
        For another number of beats in a measure; weight of what the network says of it.
    struck : float
        Weight of what the first network says of where measures begin, beside the second.
    key_change, unit_change : float
        For another key signature, and another length of the beat in quarters.
    """

    period: float = 2.0
    change: float = 5.0
    empty: float = 0.7
    most_empty: float = 8.0
    skip: float = 2.0
    bias: float = 3.0
    meter_change: float = 4.0
    meter: float = 0.3
    struck: float = 0.5
    key_change: float = 12.0
    unit_change: float = 12.0


DEFAULT_COSTS = Costs()


@dataclass(frozen=True, eq=False)
class Path:
    """Beats of a path.

    Parameters
    ----------
    time_s : float64 array, shape (beats,)
    group : int64 array, shape (beats,)
        The onset group on which each falls; -1 if nothing begins there.
    near : int64 array, shape (beats,)
        The onset group at or before each.
    """

    time_s: NDArray[np.float64]
    group: NDArray[np.int64]
    near: NDArray[np.int64]


def best_path(
    time_s: NDArray[np.float64], said: NDArray[np.float32], costs: Costs = DEFAULT_COSTS
) -> Path:
    """Return the best path of beats.

    Parameters
    ----------
    time_s : float64 array, shape (groups,)
        When each group begins; must rise.
    said : float32 array, shape (groups, OUTPUTS)
    costs : Costs
    """
    groups = len(time_s)
    logit = said[:, BEAT].astype(float) + costs.bias
    period = np.clip(
        said[:, PERIOD].astype(float), *np.log2(2 * np.array((_SHORTEST_S, _LONGEST_S)))
    )
    summed = np.concatenate(([0.0], np.cumsum(period)))
    if not groups:
        return Path(np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    lasts_s = np.exp2(period) / 2
    score = logit - costs.skip * (time_s - time_s[0]) / lasts_s
    before = np.full(groups, -1)
    parts = np.ones(groups, int)  # in how many beats the way from there is divided
    length = np.full(groups, np.nan)  # logarithm of twice the seconds of the beat that leads there
    for now in range(1, groups):
        first = max(0, now - _REACH)
        gap = 2 * (time_s[now] - time_s[first:now])  # as the network says it: twice the seconds
        said_here = (summed[now + 1] - summed[first:now]) / np.arange(now + 1 - first, 1, -1)
        count = np.maximum(1, np.rint(gap / np.exp2(said_here)))[:, None] + np.array((-1, 0, 1))
        count = np.maximum(count, 1)
        beat = np.log2(gap[:, None] / count)
        last = np.where(np.isnan(length[first:now]), said_here, length[first:now])
        loss = (
            costs.period * (beat - said_here[:, None]) ** 2
            + costs.change * np.abs(beat - last[:, None])
            + np.minimum(costs.empty * (count - 1), costs.most_empty)
            + 1e3 * (beat < np.log2(2 * _SHORTEST_S))
        )
        gained = logit[now] + score[first:now, None] - loss
        row, column = divmod(int(np.argmax(gained)), 3)
        if gained[row, column] > score[now]:
            score[now] = gained[row, column]
            before[now], parts[now] = first + row, int(count[row, column])
            length[now] = beat[row, column]
    return _traced(time_s, score - costs.skip * (time_s[-1] - time_s) / lasts_s, before, parts)


def _traced(
    time_s: NDArray[np.float64],
    score: NDArray[np.float64],
    before: NDArray[np.int64],
    parts: NDArray[np.int64],
) -> Path:
    """Return the path that ends where the score is highest."""
    times: list[float] = []
    taken: list[int] = []
    now = int(np.argmax(score)) if len(score) else -1
    while now >= 0:
        times.append(float(time_s[now]))
        taken.append(now)
        earlier = int(before[now])
        if earlier >= 0:
            between = np.linspace(time_s[now], time_s[earlier], parts[now] + 1)[1:-1]
            times += between.tolist()
            taken += [-1] * len(between)
        now = earlier
    found = np.array(times[::-1])
    near = np.maximum(np.searchsorted(time_s, found + 1e-9, "right") - 1, 0)
    return Path(found, np.array(taken[::-1], int), near)


def struck_downbeats(path: Path, said: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what is said of the groups on a path, (beats,): above 0 for a downbeat.

    Parameters
    ----------
    path : Path
    said : float32 array, shape (groups, OUTPUTS)
    """
    at = said[path.near].astype(float)
    logit = at[:, DOWNBEAT] - np.logaddexp(0, at[:, BEAT])
    return np.where(path.group >= 0, logit - _USUAL, _EMPTY)


def measures(
    read: NDArray[np.float32], also: NDArray[np.float64] | float = 0.0, costs: Costs = DEFAULT_COSTS
) -> NDArray[np.bool_]:
    """Return which beats begin a measure, shape (beats,).

    Parameters
    ----------
    read : float32 array, shape (beats, BEAT_OUTPUTS)
        What is said of the beats.
    also : float64 array, shape (beats,), optional
        More logits; see `struck_downbeats`.
    costs : Costs
    """
    beats = len(read)
    if not beats:
        return np.zeros(0, bool)
    logit = read[:, BEGINS] + costs.struck * also
    begins = np.clip(1 / (1 + np.exp(-logit.astype(float))), 0.01, 0.99)
    meter = costs.meter * _log_softmax(read[:, METER])
    size = np.repeat(np.arange(1, COUNTS + 1), np.arange(1, COUNTS + 1))  # of each state
    place = np.concatenate([np.arange(n) for n in range(1, COUNTS + 1)])
    firsts, lasts = np.flatnonzero(place == 0), np.flatnonzero(place == size - 1)
    gain = np.where(place == 0, np.log(begins)[:, None], np.log(1 - begins)[:, None])
    gain += meter[:, size - 1]
    switch = -costs.meter_change * (1 - np.eye(COUNTS))  # (from, to)
    score = gain[0].copy()
    origin = np.zeros((beats, len(size)), int)
    inner = np.flatnonzero(place > 0)
    for now in range(1, beats):
        arriving = score[lasts][:, None] + switch
        come = np.argmax(arriving, axis=0)
        fresh = np.empty(len(size))
        fresh[inner], origin[now, inner] = score[inner - 1], inner - 1
        fresh[firsts], origin[now, firsts] = arriving[come, np.arange(COUNTS)], lasts[come]
        score = fresh + gain[now]
    state = int(np.argmax(score))
    downbeat = np.zeros(beats, bool)
    for now in range(beats - 1, -1, -1):
        downbeat[now] = place[state] == 0
        state = int(origin[now, state])
    return downbeat


def units(read: NDArray[np.float32], costs: Costs = DEFAULT_COSTS) -> NDArray[np.float64]:
    """Return how many quarters each beat lasts, shape (beats,), from what is said of them."""
    return QUARTERS[_held(_log_softmax(read[:, UNIT]), costs.unit_change)]


def keys(heard: NDArray[np.float64], costs: Costs = DEFAULT_COSTS) -> NDArray[np.int64]:
    """Return the number of sharps at each beat, -5..6.

    Parameters
    ----------
    heard : float64 array, shape (beats, 12)
        How many notes of each pitch class, from C upwards, begin from a beat to the next.
    costs : Costs
    """
    shares = np.log(np.array(_PROFILE) / sum(_PROFILE))
    by_sharps = np.stack([np.roll(shares, 7 * sharps % 12) for sharps in range(12)])
    index = _held(_KEY_WEIGHT * heard @ by_sharps.T, costs.key_change)
    return np.where(index > 6, index - 12, index)


def _held(gain: NDArray[np.float64], change: float) -> NDArray[np.int64]:
    """Return the best choice at each place, (places, choices), where a change costs something."""
    places, choices = gain.shape
    if not places:
        return np.zeros(0, int)
    origin = np.zeros((places, choices), int)
    score = gain[0].copy()
    for now in range(1, places):
        best = int(np.argmax(score))
        stays = score >= score[best] - change
        origin[now] = np.where(stays, np.arange(choices), best)
        score = np.where(stays, score, score[best] - change) + gain[now]
    held = np.zeros(places, int)
    held[-1] = int(np.argmax(score))
    for now in range(places - 1, 0, -1):
        held[now - 1] = origin[now, held[now]]
    return held


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    if not len(logits):
        return np.zeros(logits.shape)
    shifted = logits.astype(float) - logits.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
