"""Generation: a model and settings become a performance; a performance becomes likelihoods.

`Grammar` knows which events can follow, so that what is generated is what the codec would write;
`Model` joins it with an engine and sampling.
"""

from __future__ import annotations

import importlib.resources
import math
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codec import DEFAULT_VELOCITY
from espressivo.engine import Engine, State
from espressivo.errors import GenerationError, ModelError
from espressivo.performance import Performance
from espressivo.sampling import Sampling
from espressivo.vocabulary import (
    END,
    NOTE_OFF,
    NOTE_ON,
    START,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    Ids,
    Vocabulary,
)

__all__ = ["DEFAULT_SECONDS", "LONGEST_NOTE_S", "Grammar", "Model", "bundled", "load"]

LONGEST_NOTE_S = 10.0
"""A generated note that has sounded this long is ended."""

DEFAULT_SECONDS = 30.0
"""Length of what is generated when none is asked for."""

_CHUNK = 1024  # events scored at once
_PEDAL, _OFFS, _ONS = range(3)  # the order of events within a step


class Grammar:
    """Which events can follow, in the lists that `espressivo.codec.encode` writes.

    Within a step there are first movements of the pedal that change its state (also up and at
    once down again), then note-offs of sounding notes in the order in which these began, then
    note-ons of silent pitches (ascending, where the vocabulary orders notes by pitch). A velocity
    event changes the velocity and stands before a note-on; the first note-on follows one. A
    time-shift follows another only if that was a full one. Start is the first event where the
    vocabulary has it; end comes after the last note's end.

    Parameters
    ----------
    vocabulary : Vocabulary
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        v = self.vocabulary = vocabulary
        self._kinds, self._values = v.kinds.tolist(), v.values.tolist()
        spans = zip(v.first, v.counts, strict=True)
        self._slices = [slice(first, first + count) for first, count in spans]
        self._longest_steps = round(LONGEST_NOTE_S * v.steps_per_second)
        self._default_velocity = v.first[VELOCITY] + int(v.velocity_bins[DEFAULT_VELOCITY])
        self.now = 0
        """Steps since the beginning."""
        self._last: int | None = None  # the event before
        self._notes: list[tuple[int, int]] = []  # begin and pitch of what sounds, oldest first
        self._velocity: int | None = None  # the event in force
        self._pedal_down = False
        self._begin_step()

    def _begin_step(self) -> None:
        self._part = _PEDAL  # how far the events of this step have come
        self._released = 0  # sounding notes older than the last to end in this step
        self._struck = self.vocabulary.lowest_pitch  # pitches below were struck in this step
        self._pedal_pressed = False  # in this step

    def feed(self, id_: int) -> None:
        """Take note of an event; any event of the vocabulary, also one that is not allowed."""
        kind, value = self._kinds[id_], self._values[id_]
        self._last = id_
        if kind == NOTE_ON:
            self._part = _ONS
            self._notes.append((self.now, value))
            if self._velocity is None:  # can only come from a primer; as the codec plays it
                self._velocity = self._default_velocity
            if self.vocabulary.order == "pitch":
                self._struck = value + 1
        elif kind == NOTE_OFF:
            self._part = max(self._part, _OFFS)
            for number, (_, pitch) in enumerate(self._notes):
                if pitch == value:
                    del self._notes[number]
                    self._released = number
                    break
        elif kind == TIME_SHIFT:
            self.now += value
            self._begin_step()
        elif kind == VELOCITY:
            self._velocity = id_
        elif kind == SUSTAIN:
            self._pedal_down = self._pedal_pressed = value == 1

    def allowed(self) -> NDArray[np.bool_]:
        """Return for each id whether it can come next, shape (size,); none can after the end."""
        v, at = self.vocabulary, self._slices
        allowed = np.zeros(len(self._kinds), bool)
        before = None if self._last is None else self._kinds[self._last]
        if before is None and v.boundaries:
            allowed[at[START]] = True
            return allowed
        if before == END:
            return allowed

        note_on = allowed[at[NOTE_ON]]
        note_on[self._struck - v.lowest_pitch :] = True
        note_on[[pitch - v.lowest_pitch for _, pitch in self._notes]] = False
        if before == VELOCITY and note_on.any():  # a primer may have left none
            return allowed
        allowed[at[VELOCITY]] = note_on.any()
        if self._velocity is None:
            note_on[:] = False
        else:
            allowed[self._velocity] = False

        if self._part < _ONS:
            note_off = allowed[at[NOTE_OFF]]
            note_off[[pitch - v.lowest_pitch for _, pitch in self._notes[self._released :]]] = True
        if self._part == _PEDAL and v.counts[SUSTAIN]:
            up = v.first[SUSTAIN]
            allowed[up] = self._pedal_down and not self._pedal_pressed
            allowed[up + 1] = not self._pedal_down
        allowed[at[TIME_SHIFT]] = before != TIME_SHIFT or self._last == at[TIME_SHIFT].stop - 1
        allowed[at[END]] = not self._notes and before != TIME_SHIFT
        return allowed

    def overdue(self) -> int | None:
        """Return the note-off of the oldest note if it has sounded for `LONGEST_NOTE_S`."""
        if not self._notes or self.now < self._notes[0][0] + self._longest_steps:
            return None
        return self._event(NOTE_OFF, self._notes[0][1] - self.vocabulary.lowest_pitch)

    def cut(self, id_: int, end: int | None = None) -> int:
        """Shorten a time-shift that goes past `end` or holds a note beyond `LONGEST_NOTE_S`.

        Parameters
        ----------
        id_ : int
            Any event; all but time-shifts are returned as they are.
        end : int, optional
            A step later than now.
        """
        if self._kinds[id_] != TIME_SHIFT:
            return id_
        steps = self._values[id_]
        if end is not None:
            steps = min(steps, end - self.now)
        if self._notes:
            steps = min(steps, self._notes[0][0] + self._longest_steps - self.now)
        return self._event(TIME_SHIFT, steps - 1)

    def standing(self) -> list[int]:
        """Return the events that set pedal and velocity as they are now."""
        pedal = [self._event(SUSTAIN, 1)] if self._pedal_down else []
        return pedal if self._velocity is None else [*pedal, self._velocity]

    def _event(self, kind: int, number: int) -> int:
        return self.vocabulary.first[kind] + number


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
        seed: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        primer: Performance | ArrayLike | None = None,
        include_primer: bool = False,
    ) -> Performance:
        """Generate a performance.

        Parameters
        ----------
        seconds, events : optional
            How much is generated, not counting the primer: seconds, rounded down to a step, or
            events; at most one of them, by default `DEFAULT_SECONDS`. Notes still sounding then
            end there. A model whose vocabulary has an end may end a piece earlier.
        seed : int, optional
            The same seed, model and arguments give the same performance. By default another one
            each time.
        temperature, top_k, top_p : optional
            See `Sampling`.
        primer : Performance or sequence of ids, optional
            What the model reads first, to go on from.
        include_primer : bool
            Whether the result begins with the primer, as the vocabulary keeps it. Otherwise its
            time 0 is the end of the primer: pedal and loudness are those then in force, and
            notes of the primer that still sound are not in it.

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
        if seconds is None and events is None:
            seconds = DEFAULT_SECONDS
        primed = self._primer(primer)
        stream = self.stream(
            seconds=seconds,
            events=events,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            primer=primed,
        )
        before = primed.tolist() if include_primer else self._grammar(primed).standing()
        return self.vocabulary.decode([*before, *stream])

    def stream(
        self,
        *,
        seconds: float | None = None,
        events: int | None = None,
        seed: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        primer: Performance | ArrayLike | None = None,
    ) -> Iterator[int]:
        """Generate ids one by one, as they are asked for; without end, unless told.

        The ids are those that `generate` decodes, without the primer. Arguments and errors are
        its too, but with neither `seconds` nor `events` only the model itself can end.
        """
        sampling = Sampling(temperature, top_k, top_p)
        if seconds is not None and events is not None:
            raise GenerationError("give a length in seconds or in events, not both")
        if events is not None and events < 1:
            raise GenerationError(f"events must be at least 1, not {events}")
        steps = None if seconds is None else self._steps(seconds)
        if seed is not None and seed < 0:
            raise GenerationError(f"seed must be at least 0, not {seed}")
        rng = np.random.Generator(np.random.PCG64(seed))
        return self._stream(self._primer(primer), steps, events, sampling, rng)

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

    def next(
        self, primer: Performance | ArrayLike | None = None, top: int = 5
    ) -> list[tuple[int, float]]:
        """Return the likeliest next events after a primer, with their probabilities.

        They are the model's own, before any event is ruled out; the likeliest comes first.
        """
        if top < 1:
            raise GenerationError(f"top must be at least 1, not {top}")
        state = self.state()
        state.feed(self._primer(primer))
        p = state.probabilities()
        return [(int(id_), float(p[id_])) for id_ in np.argsort(-p, kind="stable")[:top]]

    def _stream(
        self,
        primer: Ids,
        steps: int | None,
        events: int | None,
        sampling: Sampling,
        rng: np.random.Generator,
    ) -> Iterator[int]:
        state, grammar = self.state(), self._grammar(primer)
        state.feed(primer)
        end = None if steps is None else grammar.now + steps
        count = 0
        while (end is None or grammar.now < end) and (events is None or count < events):
            id_ = grammar.overdue()
            if id_ is None:
                allowed = grammar.allowed()
                if not allowed.any():
                    return
                id_ = grammar.cut(sampling.draw(state.logits(), rng, allowed), end)
            grammar.feed(id_)
            state.feed(id_)
            count += 1
            yield id_

    def _grammar(self, ids: Ids) -> Grammar:
        grammar = Grammar(self.vocabulary)
        for id_ in ids.tolist():
            grammar.feed(id_)
        return grammar

    def _steps(self, seconds: float) -> int:
        """Return a length in whole steps."""
        rate = self.vocabulary.steps_per_second
        if not (math.isfinite(seconds) and seconds * rate >= 1):
            raise GenerationError(
                f"seconds must be at least {1 / rate:g} and finite, not {seconds}"
            )
        return math.floor(seconds * rate + 1e-6)  # 0.29 s are 29 steps, and not 28.999999999999996

    def _ids(self, performance: Performance | ArrayLike) -> Ids:
        if isinstance(performance, Performance):
            return self.vocabulary.encode(performance)
        return self.vocabulary.check(performance)

    def _primer(self, primer: Performance | ArrayLike | None) -> Ids:
        """Return the ids of a primer up to its end event, after which nothing could follow."""
        if primer is None:
            return np.empty(0, np.int32)
        ids = self._ids(primer)
        ends = np.flatnonzero(self.vocabulary.kinds[ids] == END)
        return ids[: ends[0]] if len(ends) else ids


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
