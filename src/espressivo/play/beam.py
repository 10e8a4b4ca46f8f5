"""Beam search: the likeliest continuations, or several different ones drawn by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import TIME_SHIFT, Ids, Pointers
from espressivo.engine import Engine, Sampling, State
from espressivo.errors import GenerationError
from espressivo.numeric import within
from espressivo.play.mask import Mask
from espressivo.play.pieces import LONGEST_START_S
from espressivo.play.player import requested
from espressivo.play.settings import Settings

__all__ = ["BeamResult", "search"]

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BeamResult:
    """A continuation that a search has found.

    Parameters
    ----------
    ids : int32 array
        Those of whole events.
    log_probability : float
        Natural logarithm of the probability with which sampling would give it.
    score : float
        `log_probability`, divided by the number of events to the power of the length penalty.
    """

    ids: Ids
    log_probability: float
    score: float


@dataclass
class _Beam:
    """One of the lists that are followed at once; `key` is what it is kept by."""

    mask: Mask
    pointers: Pointers | None
    ids: list[int]
    events: int  # those begun
    log_p: float
    key: float

    @property
    def waits(self) -> bool:
        """Whether its latest event is complete."""
        return self.mask.decoder.between or self.ended

    @property
    def ended(self) -> bool:
        return self.mask.decoder.ended

    def score(self, length_penalty: float) -> float:
        return float(self.log_p / max(self.events, 1) ** length_penalty)


def search(
    engine: Engine,
    settings: Settings,
    primer: Ids,
    *,
    events: int,
    width: int,
    length_penalty: float = 1.0,
    rng: np.random.Generator | None = None,
) -> list[BeamResult]:
    """Follow the best `width` lists of events at once, event by event.

    Without a generator those with the best scores are followed (beam search). With one, each list
    of events is given a random number so that the result is a sample of different lists, drawn
    without replacement in proportion to their probabilities: stochastic beam search (Kool, van
    Hoof and Welling 2019, "Stochastic Beams and Where to Find Them").

    Parameters
    ----------
    engine : Engine
        Reads all lists as one batch.
    settings : Settings
        As in sampling.
    primer : ids
        What comes before. Without one the first note begins within `LONGEST_START_S`.
    events : int
        Length of the lists, at least 1; one that comes to the end of the piece is shorter.
    width : int
        At least 1.
    length_penalty : float
        0 prefers short lists, as they are likelier; 1 compares by the mean of an event.
    rng : numpy.random.Generator, optional

    Returns
    -------
    list of BeamResult
        At most `width`, fewer if there are no more. The best score comes first; with a generator,
        the list that was drawn first.
    """
    events = within("events", events, least=1, whole=True)
    width = within("width", width, least=1, whole=True)
    if settings.guidance not in (None, 1):
        raise GenerationError("a search follows what is requested as learned: leave guidance at 1")
    sampling, controls = settings.sampling(engine.vocabulary), requested(engine, settings)
    mask = Mask(engine.vocabulary, settings)
    state = State(engine, controls, settings.returns)
    state.feed(primer)
    for id_ in primer.tolist():
        mask.feed(id_)
    mask.decoder.begin_here()
    if not len(primer):
        mask.start = round(LONGEST_START_S * engine.vocabulary.steps_per_second)
    memory = state.memory
    logits = memory.pop("logits")[None]
    memory.pop("pointers", None)
    arrays = tuple(memory.values())
    beams = [_Beam(mask, state.pointers, [], 0, 0.0, 0.0)]
    for event in range(1, events + 1):
        while not all(beam.events == event and beam.waits for beam in beams if not beam.ended):
            read = [beam.events == event and beam.waits for beam in beams]  # these wait
            grown = [
                np.zeros(1) if waits or beam.ended else _log_probabilities(beam, row, sampling)
                for beam, row, waits in zip(beams, logits, read, strict=True)
            ]
            parents, ids, beams = _best(beams, grown, event, width, length_penalty, rng)
            arrays = tuple(array[:, parents] for array in arrays)
            logits = logits[parents]
            new = [n for n, id_ in enumerate(ids) if id_ is not None]
            if new:
                fed = np.array([[ids[n] for n in new]], np.int64)
                rows = None if controls is None else np.tile(controls, (len(new), 1))
                pointers = [beams[n].pointers for n in new]
                said = [p.numbers(settings.returns) for p in pointers if p is not None]
                after, states = engine.run(
                    fed, tuple(a[:, new] for a in arrays), rows, np.array([said]) if said else None
                )
                logits[new] = after[0]
                for array, changed in zip(arrays, states, strict=True):
                    array[:, new] = changed
        if all(beam.ended for beam in beams):
            break
    return [
        BeamResult(np.array(beam.ids, np.int32), beam.log_p, beam.score(length_penalty))
        for beam in beams
    ]


def _best(
    beams: Sequence[_Beam],
    grown: Sequence[_Floats],
    event: int,
    width: int,
    length_penalty: float,
    rng: np.random.Generator | None,
) -> tuple[list[int], list[int | None], list[_Beam]]:
    """Return the best beams after one id more, the number of the beam before, and the id of each.

    `grown` holds for each beam the logarithm of each next id's probability; one number, 0, for a
    beam that stays as it is.
    """
    log_p = np.concatenate([beam.log_p + more for beam, more in zip(beams, grown, strict=True)])
    if rng is None:
        counts = [
            beam.events if len(more) == 1 else event
            for beam, more in zip(beams, grown, strict=True)
        ]
        scale = np.repeat(np.maximum(counts, 1), [len(more) for more in grown])
        key = log_p / scale**length_penalty
    else:
        key = np.concatenate(
            [_gumbels(beam, more, rng) for beam, more in zip(beams, grown, strict=True)]
        )
    order = np.argsort(-key, kind="stable")[:width]
    order = order[key[order] > -np.inf]
    first = np.cumsum([0, *(len(more) for more in grown)])
    parents = (np.searchsorted(first, order, "right") - 1).tolist()
    ids: list[int | None] = []
    kept = []
    for parent, position in zip(parents, order.tolist(), strict=True):
        if len(grown[parent]) == 1:
            ids.append(None)
            kept.append(beams[parent])
            continue
        id_ = int(position - first[parent])
        mask, pointers = beams[parent].mask.copy(), beams[parent].pointers
        mask.feed(id_)
        if pointers is not None:
            pointers = pointers.copy()
            pointers.feed(id_)
        ids.append(id_)
        kept.append(
            _Beam(
                mask,
                pointers,
                [*beams[parent].ids, id_],
                event,
                float(log_p[position]),
                float(key[position]),
            )
        )
    return parents, ids, kept


def _log_probabilities(beam: _Beam, logits: NDArray[np.float32], sampling: Sampling) -> _Floats:
    """Return the logarithm of each next id's probability."""
    mask, decoder = beam.mask, beam.mask.decoder
    v, overdue = decoder.vocabulary, decoder.overdue()
    if overdue is not None:
        p = np.zeros(v.size)
        p[overdue] = 1.0
    else:
        p = sampling.distribution(logits, mask.allowed(decoder))
        # Time-shifts that would be cut to the same one are that one.
        last = v.first[TIME_SHIFT] + v.counts[TIME_SHIFT] - 1
        longest = mask.cut(decoder, last)
        p[longest] = p[longest : last + 1].sum()
        p[longest + 1 : last + 1] = 0.0
    with np.errstate(divide="ignore"):
        return np.log(p)


def _gumbels(beam: _Beam, children: _Floats, rng: np.random.Generator) -> _Floats:
    """Return Gumbel variables with these log-probabilities, whose maximum is the beam's own key."""
    if len(children) == 1:
        return np.array([beam.key])
    free = beam.log_p + children + rng.gumbel(size=len(children))
    # The stable form in appendix B.3 of the paper.
    with np.errstate(divide="ignore"):
        v = beam.key - free + np.log1p(-np.exp(free - free.max()))
    with np.errstate(invalid="ignore"):  # impossible events stay at -inf
        key = beam.key - np.maximum(0, v) - np.log1p(np.exp(-np.abs(v)))
    return np.where(np.isneginf(free), -np.inf, key)
