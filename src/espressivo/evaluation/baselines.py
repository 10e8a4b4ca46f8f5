"""Baselines: uniform, unigram and 4-gram, engines that predict as a model file does.

The probability of an event is a count mixed with what the next shorter context says, down to all
events being equally likely (interpolated Witten-Bell smoothing; Chen & Goodman 1999, section 2.5)::

    p(w | h) = (c(h w) + k t(h) p(w | h')) / (c(h) + k t(h))

where ``c`` counts in training, ``t(h)`` is the number of different events that followed the
context ``h``, and ``h'`` is ``h`` without its first event. Witten and Bell have ``k = 1``; here
each length of context has the ``k`` that is best on training pieces left out to find it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import Ids, Vocabulary
from espressivo.data import Dataset
from espressivo.engine import Arrays, Engine
from espressivo.errors import ModelError
from espressivo.play import Model, load

__all__ = ["BASELINES", "NGram", "fit", "opened"]

BASELINES = {"uniform": 0, "unigram": 1, "4gram": 4}
"""Order of each baseline: how many events a count spans."""

_STRENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_LEFT_OUT = 20  # one piece of so many is left out to choose strengths

_Keys = NDArray[np.int64]


@dataclass(frozen=True)
class _Counts:
    """How often each n-gram was seen; its key holds its ids, the oldest in the highest bits.

    Parameters
    ----------
    grams : int64 array, ascending
        Keys of the n-grams seen.
    seen : int64 array
        How often each was.
    bits : int
        Width of an id in a key.
    """

    grams: _Keys
    seen: _Keys
    bits: int

    def shorter(self, length: int) -> _Counts:
        """Return the counts of the last `length` events of the n-grams."""
        keys = self.grams & ((1 << self.bits * length) - 1)
        order = np.argsort(keys)
        grams, starts = np.unique(keys[order], return_index=True)
        return _Counts(grams, np.add.reduceat(self.seen[order], starts), self.bits)

    @cached_property
    def _contexts(self) -> tuple[_Keys, _Keys]:
        """Key of each context, and where its n-grams begin; one more than there are contexts."""
        contexts, starts = np.unique(self.grams >> self.bits, return_index=True)
        return contexts, np.append(starts, len(self.grams))

    @cached_property
    def _totals(self) -> _Keys:
        """How often each context was seen."""
        return np.diff(np.append(0, np.cumsum(self.seen))[self._contexts[1]])

    def mix(self, keys: _Keys, p: NDArray[np.float32], strength: float) -> None:
        """Turn distributions given shorter contexts, shape (N, size), into those given `keys`."""
        contexts, starts = self._contexts
        position, seen_before = _find(contexts, keys)
        rows, position = np.flatnonzero(seen_before), position[seen_before]
        followers = starts[position + 1] - starts[position]
        whole = self._totals[position] + strength * followers
        p[rows] *= (strength * followers / whole).astype(np.float32)[:, None]
        first = np.repeat(starts[position] - (np.cumsum(followers) - followers), followers)
        entries = first + np.arange(len(first))
        ids = self.grams[entries] & ((1 << self.bits) - 1)
        flat = np.repeat(rows * p.shape[1], followers) + ids
        p.reshape(-1)[flat] += self.seen[entries] / np.repeat(whole, followers)

    def best_strength(
        self, keys: _Keys, p: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Choose the strength that makes n-grams likeliest; return their probabilities too."""
        position, seen_before = _find(self.grams, keys)
        count = np.where(seen_before, self.seen[position], 0)
        contexts, starts = self._contexts
        position, seen_before = _find(contexts, keys >> self.bits)
        total = np.where(seen_before, self._totals[position], 0)
        followers = np.where(seen_before, np.diff(starts)[position], 1)  # else it changes nothing
        tried = {k: (count + k * followers * p) / (total + k * followers) for k in _STRENGTHS}
        best = max(tried, key=lambda k: float(np.log(tried[k]).sum()))
        return best, tried[best]


class NGram:
    """An engine that predicts from the last ``order - 1`` events, by counts.

    Parameters
    ----------
    sequences : list of int32 arrays
        Pieces to count; each begins with "no event yet".
    vocabulary : Vocabulary
    order : int
        Events that a count spans; 0 counts nothing and holds all events equally likely.
    card : dict
        What the model says of itself: name, trained_on.
    """

    controls, reads, pointers, fills = 0, (), 0, False
    """It reads nothing beside events."""

    def __init__(
        self, sequences: list[Ids], vocabulary: Vocabulary, *, order: int, card: dict[str, Any]
    ) -> None:
        self.vocabulary = vocabulary
        self.card = card
        self._context = max(order - 1, 0)
        self._bits = vocabulary.size.bit_length()
        self._strengths = self._choose(sequences, order)
        self.network: dict[str, Any] = {"cell": f"{order}-gram", "strengths": self._strengths}
        self._counts = self._count(sequences, order)
        # After one event or none, so many others follow that a row for each is fastest.
        size = vocabulary.size
        self._after_one = np.full((size + 1, size), 1 / size, np.float32)
        for length in range(min(order, 2)):
            keys = np.arange(size + 1) * length
            self._counts[length].mix(keys, self._after_one, self._strengths[length])

    def initial_state(self, rows: int = 1) -> Arrays:
        """Return the state before any event: the last events, of which there are none."""
        return (np.full((1, rows, self._context), self.vocabulary.size, np.float32),)

    def unchanged(self, id_: int) -> int:
        """Return 0: every id changes what is remembered."""
        return 0

    def pointed(self, ids: Ids) -> None:
        """Return None: pointers are not read."""

    def run(
        self,
        ids: NDArray[np.int64],
        state: Arrays,
        controls: None = None,
        pointers: None = None,
        *,
        in_place: bool = False,
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Read sequences and predict after each event, as `espressivo.engine.Engine.run` does."""
        read = np.concatenate((state[0][0].T.astype(np.int64), ids))
        p = self._after_one[ids.reshape(-1)]
        for length in range(2, len(self._counts)):
            keys = self._keys(read[-(len(ids) + length - 1) :], length)
            self._counts[length].mix(keys.reshape(-1), p, self._strengths[length])
        after = read[len(ids) :].T[None].astype(np.float32)
        return np.log(p).reshape(*ids.shape, -1), (after,)

    def step(
        self, id_: int, state: Arrays, controls: None = None, pointers: None = None
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Read one event of one sequence."""
        logits, state = self.run(np.array([[id_]]), state)
        return logits[0, 0], state

    def _keys(self, ids: NDArray[Any], length: int) -> _Keys:
        """Return the key of each run of so many ids along the first axis."""
        count = len(ids) - length + 1
        keys = np.zeros((count, *ids.shape[1:]), np.int64)
        for begin in range(length):
            keys = keys << self._bits | ids[begin : begin + count]
        return keys

    def _grams(self, sequences: list[Ids], length: int) -> _Keys:
        """Return a key for each event of the sequences and the ``length - 1`` before it."""
        nothing = np.full(length - 1, self.vocabulary.size)
        return np.concatenate(
            [self._keys(np.concatenate((nothing, ids)), length) for ids in sequences]
        )

    def _count(self, sequences: list[Ids], order: int) -> list[_Counts]:
        """Return the counts of each length from 1 to `order`."""
        if not order:
            return []
        keys = self._grams(sequences, order)
        counts = [_Counts(*np.unique(keys, return_counts=True), self._bits)]
        for length in range(order - 1, 0, -1):
            counts.append(counts[-1].shorter(length))
        return counts[::-1]

    def _choose(self, sequences: list[Ids], order: int) -> list[float]:
        """Choose a strength for each length, from the shortest on."""
        left_out = sequences[::_LEFT_OUT]
        counted = [ids for n, ids in enumerate(sequences) if n % _LEFT_OUT]
        if not counted:
            return [1.0] * order
        p = np.full(sum(map(len, left_out)), 1 / self.vocabulary.size)
        strengths = []
        for length, counts in enumerate(self._count(counted, order), 1):
            best, p = counts.best_strength(self._grams(left_out, length), p)
            strengths.append(best)
        return strengths


def fit(baseline: str, dataset: Dataset) -> NGram:
    """Count a baseline of `BASELINES` on the training pieces of a prepared dataset."""
    order = BASELINES[baseline]
    sequences = [dataset.ids(piece) for piece in dataset.split("train")] if order else []
    counted = f"{len(sequences)} training pieces of {dataset.folder.name}" if order else "nothing"
    card = {"name": baseline, "trained_on": counted}
    return NGram(sequences, dataset.vocabulary, order=order, card=card)


def opened(source: str) -> Model:
    """Load a model as `espressivo.load` does, or fit a baseline.

    Parameters
    ----------
    source : str
        A bundled name, the path of a model file, or ``uniform:DATASET``, ``unigram:DATASET`` or
        ``4gram:DATASET`` with the folder of a prepared dataset.

    Raises
    ------
    ModelError
        If there is no such model, or its file cannot be used.
    DataError
        If the dataset cannot be used, or has no training pieces.
    """
    baseline, colon, folder = source.partition(":")
    if not colon or baseline not in BASELINES:
        if baseline in BASELINES:
            raise ModelError(f"{source}: is counted on a dataset: write {source}:DATASET")
        return load(source)
    return Model(cast("Engine", fit(baseline, Dataset(folder))))  # it does what an engine does


def _find(ascending: _Keys, keys: _Keys) -> tuple[_Keys, NDArray[np.bool_]]:
    """Return the position of each key, and whether it is there."""
    position = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    return position, ascending[position] == keys
