"""Generation: a model and settings become a performance; a performance becomes likelihoods."""

from __future__ import annotations

import importlib.resources
import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes import END, Ids, Vocabulary, decoder_of, following
from espressivo.engine import Engine, State, generator
from espressivo.errors import GenerationError, ModelError
from espressivo.music import Performance
from espressivo.play.beam import BeamResult, search
from espressivo.play.pieces import (
    DEFAULT_SECONDS,
    LONGEST_PIECE_S,
    Plan,
    generate,
    generate_batch,
)
from espressivo.play.player import Player
from espressivo.play.settings import Settings
from espressivo.play.stream import LONGEST_REST_S, Stream

__all__ = ["Model", "bundled", "load"]

Changes = Mapping[float, Mapping[str, Any]]
"""Settings that change on the way, by the second from which they count."""

_NO_CHANGES: Changes = MappingProxyType({})
_CHUNK = 1024  # events scored at once


class Model:
    """A model that generates and scores performances.

    Parameters
    ----------
    engine : Engine

    Examples
    --------
    ::

        model = load("performance.onnx")
        model.generate(seconds=60, seed=1).write("new.mid")
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.vocabulary = engine.vocabulary
        self.card = engine.card

    def state(self) -> State:
        """Return a state before any event."""
        return State(self.engine)

    def generate(
        self,
        *,
        seconds: float | None = None,
        events: int | None = None,
        ending: str = "natural",
        seed: int | None = None,
        primer: Performance | ArrayLike | None = None,
        include_primer: bool = False,
        changes: Changes = _NO_CHANGES,
        **settings: Any,
    ) -> Performance:
        """Generate a performance.

        Parameters
        ----------
        seconds, events : optional
            How much is generated, not counting the primer: seconds, rounded down to a step, or
            events; at most one of them, by default `DEFAULT_SECONDS`.
        ending : {"natural", "cut", "own"}
            How a length in seconds ends. ``natural`` comes to a close in the last seconds, at a
            pause, and is never longer than asked; see `Close`. ``cut`` stops after exactly that
            time, where notes still sounding end. ``own`` goes on until the model's own end event,
            and stops at `seconds` if there has been none (by default `LONGEST_PIECE_S`); the
            vocabulary must have it. A length in events is always cut.
        seed : int, optional
            The same seed, model and arguments give the same performance. By default another one
            each time.
        primer : Performance or sequence of ids, optional
            What the model reads first, to go on from; `espressivo.play.primers` makes some. Without
            one the first note begins within `espressivo.play.LONGEST_START_S`. In a code of
            notes, a step at its end that is not complete is left out.
        include_primer : bool
            Whether the result begins with the primer, as the vocabulary keeps it. Otherwise its
            time 0 is the end of the primer: pedal and loudness are those then in force, and
            notes of the primer that still sound are not in it.
        changes : dict of float to dict, optional
            Settings that change on the way, by the second from which they count, as in
            ``{10.0: {"density": 12}, 20.0: {"density": 3, "loudness": 30}}``.
        **settings
            Temperatures, cuts, controls and rules; see `Settings`.

        Returns
        -------
        Performance

        Raises
        ------
        GenerationError
            If an argument is out of range, or both `seconds` and `events` are given.
        CodecError
            If the primer holds ids that are not in the vocabulary.
        """
        primed, length = self._primer(primer), _length(seconds, events, ending)
        stream = self.generate_ids(**length, seed=seed, primer=primed, changes=changes, **settings)
        return self.decode(list(stream), primed, include_primer)

    def generate_batch(
        self,
        count: int,
        *,
        seconds: float | None = None,
        events: int | None = None,
        ending: str = "natural",
        seed: int | None = None,
        primer: Performance | ArrayLike | None = None,
        include_primer: bool = False,
        changes: Changes = _NO_CHANGES,
        **settings: Any,
    ) -> list[Performance]:
        """Generate several performances side by side: faster, with a model over events.

        Number n, counted from 0, is what `generate` gives for the seed plus n. With weights in 8
        bits it is so exactly. With others the engine adds in another order, and a difference in
        the last digits may, once in many pieces, tip the choice of an event.

        Parameters
        ----------
        count : int
            At least 1. Memory grows with it, by some tens of megabytes for a hundred.
        seconds, events, ending, seed, primer, include_primer, changes, **settings
            As in `generate`. With guidance they are made one after another all the same.
        """
        if count < 1:
            raise GenerationError(f"count must be at least 1, not {count}")
        primed, length = self._primer(primer), _length(seconds, events, ending)
        if seed is None:
            seed = int(generator(None).integers(2**31))
        plan = self._plan(**length, primer=primed, changes=changes, **settings)
        lists = generate_batch(self.engine, plan, range(seed, seed + count))
        return [self.decode(ids, primed, include_primer) for ids in lists]

    def generate_ids(
        self,
        *,
        seconds: float | None = None,
        events: int | None = None,
        ending: str = "natural",
        seed: int | None = None,
        primer: Performance | ArrayLike | None = None,
        changes: Changes = _NO_CHANGES,
        **settings: Any,
    ) -> Iterator[int]:
        """Generate ids one by one, as they are asked for; without end, unless told.

        The ids are those that `generate` decodes, without the primer. Arguments and errors are
        its too, but with neither `seconds` nor `events` only the model itself can end.
        """
        plan = self._plan(
            seconds=seconds,
            events=events,
            ending=ending,
            primer=self._primer(primer),
            changes=changes,
            **settings,
        )
        return generate(self.engine, plan, seed)

    def stream(
        self,
        *,
        seed: int | None = None,
        primer: Performance | ArrayLike | None = None,
        lead_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        **settings: Any,
    ) -> Stream:
        """Play for ever: return a `Stream` of timed notes, decided while they are played.

        Parameters
        ----------
        seed, primer : optional
            As in `generate`.
        lead_s, clock, sleep : optional
            How far ahead of which clock it keeps; see `Stream`.
        **settings
            See `Settings`. Unless given, `avoid_loops` is on and `longest_rest_s` is
            `LONGEST_REST_S`.

        Examples
        --------
        ::

            stream = model.stream(temperature=0.9)
            for event in stream:
                instrument.send(event)        # at event.time_s
                if tired:
                    stream.stop()             # its last events are the note-offs
        """
        chosen = {"avoid_loops": True, "longest_rest_s": LONGEST_REST_S, **settings}
        player = self._player(chosen, seed, self._primer(primer))
        return Stream(player, lead_s=lead_s, clock=clock, sleep=sleep)

    def beam_search(
        self,
        *,
        events: int,
        width: int = 8,
        stochastic: bool = False,
        length_penalty: float = 1.0,
        seed: int | None = None,
        primer: Performance | ArrayLike | None = None,
        **settings: Any,
    ) -> list[BeamResult]:
        """Find the likeliest continuations by beam search, or draw different ones.

        Parameters
        ----------
        events, width, length_penalty
            See `espressivo.play.search`.
        stochastic : bool
            Whether to draw them by stochastic beam search; only then does `seed` matter.
        seed, primer : optional
            As in `generate`.
        **settings
            See `Settings`.
        """
        rng = generator(seed) if stochastic else None
        return search(
            self.engine,
            Settings(**settings),
            self._primer(primer),
            events=events,
            width=width,
            length_penalty=length_penalty,
            rng=rng,
        )

    def decode(
        self,
        ids: ArrayLike,
        primer: Performance | ArrayLike | None = None,
        include_primer: bool = False,
    ) -> Performance:
        """Return the performance that ids are after a primer, with it or alone; see `generate`."""
        before, after = self._primer(primer), self.vocabulary.check(ids)
        if include_primer:
            return self.vocabulary.decode(np.concatenate((before, after)))
        decoder = decoder_of(self.vocabulary)
        for id_ in before.tolist():
            decoder.feed(id_)
        decoder.begin_here()
        standing = self.vocabulary.check(decoder.standing())
        after = _sooner(after, decoder.begin - decoder.now, self.vocabulary)
        return self.vocabulary.decode(np.concatenate((standing, after)))

    def score(self, performance: Performance | ArrayLike) -> NDArray[np.float64]:
        """Return how likely each event of a performance is to the model, given those before it.

        Parameters
        ----------
        performance : Performance or sequence of ids
            A performance is encoded in the model's vocabulary.

        Returns
        -------
        float64 array, shape (number of events,)
            Natural logarithms of probabilities (nats); the first event is given nothing. Their
            sum is the logarithm of the probability of the whole.
        """
        ids = self._ids(performance).astype(np.int64)
        inputs = np.concatenate(([self.vocabulary.size], ids[:-1]))
        scores = np.empty(len(ids))
        state = self.engine.initial_state()
        for start in range(0, len(ids), _CHUNK):
            part = slice(start, start + _CHUNK)
            logits, state = self.engine.run(inputs[part, None], state)
            x = logits[:, 0].astype(np.float64)
            x -= x.max(axis=1, keepdims=True)
            targets = np.take_along_axis(x, ids[part, None], axis=1)[:, 0]
            scores[part] = targets - np.log(np.exp(x).sum(axis=1))
        return scores

    def next_events(
        self, primer: Performance | ArrayLike | None = None, top: int = 5
    ) -> list[tuple[int, float]]:
        """Return the likeliest next events after a primer, with their probabilities.

        They are the model's own, before any event is ruled out; the likeliest comes first.
        """
        if top < 1:
            raise GenerationError(f"top must be at least 1, not {top}")
        state = self.state()
        state.feed(self._before(primer))
        p = state.probabilities()
        return [(int(id_), float(p[id_])) for id_ in np.argsort(-p, kind="stable")[:top]]

    def _plan(
        self,
        *,
        seconds: float | None,
        events: int | None,
        ending: str,
        primer: Ids,
        changes: Changes = _NO_CHANGES,
        **settings: Any,
    ) -> Plan:
        """Return the plan that arguments ask for."""
        planned = []
        chosen = settings
        for second in sorted(changes):
            chosen = {**chosen, **changes[second]}
            planned.append((second, Settings(**chosen)))
        return Plan(
            self.vocabulary,
            Settings(**settings),
            primer,
            seconds=seconds,
            events=events,
            ending=ending,
            changes=tuple(planned),
        )

    def _player(self, settings: dict[str, Any], seed: int | None, primer: Ids) -> Player:
        return Player(self.engine, Settings(**settings), generator(seed), primer)

    def _ids(self, performance: Performance | ArrayLike) -> Ids:
        if isinstance(performance, Performance):
            return self.vocabulary.encode(performance)
        return self.vocabulary.check(performance)

    def _primer(self, primer: Performance | ArrayLike | None) -> Ids:
        """Return the ids of a primer as far as music can follow: whole steps, and no end."""
        ids = self._before(primer)
        if not self.vocabulary.notewise:
            return ids
        whole = np.flatnonzero(following(self.vocabulary)[0][ids] == 0)
        return ids[: whole[-1] + 1] if len(whole) else ids[:0]

    def _before(self, primer: Performance | ArrayLike | None) -> Ids:
        """Return the ids of a primer up to its end event, after which nothing could follow."""
        if primer is None:
            return np.empty(0, np.int32)
        ids = self._ids(primer)
        ends = np.flatnonzero(self.vocabulary.kinds[ids] == END)
        return ids[: ends[0]] if len(ends) else ids


def _length(seconds: float | None, events: int | None, ending: str) -> dict[str, Any]:
    """Return how much is generated and how it ends, with what holds if nothing is said."""
    if seconds is None and events is None:
        seconds = LONGEST_PIECE_S if ending == "own" else DEFAULT_SECONDS
    return {"seconds": seconds, "events": events, "ending": ending}


def _sooner(ids: Ids, steps: int, v: Vocabulary) -> Ids:
    """Return ids that begin with so many steps of nothing, without these."""
    ids = ids.copy()
    for place, id_ in enumerate(ids if steps else ()):
        taken = min(steps, int(v.values[id_]))
        ids[place] -= taken
        steps -= taken
        if not steps:
            break
    return ids


def bundled() -> tuple[str, ...]:
    """Return the names of the models that come with the package, in alphabetical order."""
    folder = importlib.resources.files("espressivo") / "models"
    if not folder.is_dir():
        return ()
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".onnx") for name in names if name.endswith(".onnx")))


def load(model: str | os.PathLike[str]) -> Model:
    """Load a model: one that comes with the package by its name, any other by its path.

    Raises
    ------
    ModelError
        If there is no such model, or its file cannot be used.
    """
    name = os.fspath(model)
    if name in bundled():
        entry = importlib.resources.files("espressivo") / "models" / f"{name}.onnx"
        with importlib.resources.as_file(entry) as path:
            return Model(Engine(path))
    if not os.path.exists(name) and os.path.basename(name) == name and not name.endswith(".onnx"):
        names = ", ".join(bundled()) or "none"
        raise ModelError(
            f"no model is named {name!r}: give the path of a model file, or one that comes with "
            f"the package: {names}"
        )
    return Model(Engine(name))
