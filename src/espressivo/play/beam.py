"""Beam search: the likeliest continuations, or several different ones drawn by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import TIME_SHIFT, Grammar, Ids, grammar_of
from espressivo.engine import Engine, Sampling, State
from espressivo.errors import GenerationError
from espressivo.play.player import asked
from espressivo.play.settings import Settings

__all__ = ["BeamResult", "search"]

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BeamResult:
    """A continuation that a search has found.

    Parameters
    ----------
    ids : int32 array
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

    grammar: Grammar
    ids: list[int]
    log_p: float
    key: float
    ended: bool = False


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
        Temperatures, cuts and rules as in sampling, but for the guard, which takes no part.
    primer : ids
        What comes before.
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
    if events < 1 or width < 1:
        raise GenerationError(f"events and width must be at least 1, not {events} and {width}")
    sampling = settings.sampling(engine.vocabulary)
    grammar = grammar_of(engine.vocabulary, settings.limits)
    if settings.guidance != 1:
        raise GenerationError("a search follows what is asked as learned: leave guidance at 1")
    steered = asked(engine, settings)
    state = State(engine, steered)
    state.feed(primer)
    for id_ in primer.tolist():
        grammar.feed(id_)
    grammar.begin_here()
    memory = state.memory
    logits = memory.pop("logits")[None]
    arrays = tuple(memory.values())
    beams = [_Beam(grammar, [], 0.0, 0.0)]
    for _ in range(events):
        children = [_children(beam, row, sampling) for beam, row in zip(beams, logits, strict=True)]
        log_p = np.concatenate(
            [beam.log_p + child for beam, child in zip(beams, children, strict=True)]
        )
        if rng is None:
            lengths = [len(beam.ids) + (not beam.ended) for beam in beams]
            scale = np.repeat(np.maximum(lengths, 1), [len(child) for child in children])
            key = log_p / scale**length_penalty
        else:
            key = np.concatenate(
                [_gumbels(beam, c, rng) for beam, c in zip(beams, children, strict=True)]
            )
        best = np.argsort(-key, kind="stable")[:width]
        best = best[key[best] > -np.inf]
        first = np.cumsum([0, *(len(child) for child in children)])
        parents = np.searchsorted(first, best, "right") - 1
        beams = [
            _child(
                beams[parent], int(place - first[parent]), float(log_p[place]), float(key[place])
            )
            for parent, place in zip(parents, best, strict=True)
        ]
        if all(beam.ended for beam in beams):
            break
        inputs = np.array([[beam.ids[-1] for beam in beams]], np.int64)
        rows = None if steered is None else np.tile(steered, (len(beams), 1))
        after, arrays = engine.run(inputs, tuple(array[:, parents] for array in arrays), rows)
        logits = after[0]
    return [
        BeamResult(np.array(b.ids, np.int32), b.log_p, b.log_p / len(b.ids) ** length_penalty)
        for b in beams
    ]


def _children(beam: _Beam, logits: NDArray[np.float32], sampling: Sampling) -> _Floats:
    """Return the logarithm of each next event's probability; of one that has ended, its own."""
    if beam.ended:
        return np.zeros(1)
    v, forced = beam.grammar.vocabulary, beam.grammar.overdue()
    if forced is not None:
        p = np.zeros(v.size)
        p[forced] = 1.0
    else:
        p = sampling.distribution(logits, beam.grammar.allowed())
        # Time-shifts that would be cut to the same one are that one.
        last = v.first[TIME_SHIFT] + v.counts[TIME_SHIFT] - 1
        longest = beam.grammar.cut(last)
        p[longest] = p[longest : last + 1].sum()
        p[longest + 1 : last + 1] = 0.0
    with np.errstate(divide="ignore"):
        return np.log(p)


def _child(beam: _Beam, id_: int, log_p: float, key: float) -> _Beam:
    """Return a beam after an event; one that has ended stays as it is."""
    if beam.ended:
        return beam
    grammar = beam.grammar.copy()
    grammar.feed(id_)
    return _Beam(grammar, [*beam.ids, id_], log_p, key, grammar.ended)


def _gumbels(beam: _Beam, children: _Floats, rng: np.random.Generator) -> _Floats:
    """Return Gumbel variables with these log-probabilities, whose maximum is the beam's own key."""
    if beam.ended:
        return np.array([beam.key])
    free = beam.log_p + children + rng.gumbel(size=len(children))
    # The stable form in appendix B.3 of the paper.
    with np.errstate(divide="ignore"):
        v = beam.key - free + np.log1p(-np.exp(free - free.max()))
    with np.errstate(invalid="ignore"):  # impossible events stay at -inf
        key = beam.key - np.maximum(0, v) - np.log1p(np.exp(-np.abs(v)))
    return np.where(np.isneginf(free), -np.inf, key)
