"""Engine: a model file, ready to read ids and predict the next, on ONNX Runtime.

An id is an event, or in a note-wise vocabulary a part of an event; the engine takes them one by one
either way. `Engine` runs the graph and knows nothing of time; `State` carries what the model
remembers from id to id, and can be copied, read and set. The layout of the
file is in `espressivo.export`.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes import (
    FILL_NUMBERS,
    POINTER_NUMBERS,
    Ids,
    Pointers,
    Vocabulary,
    controls_within,
    following,
    lifted,
)
from espressivo.engine.constants import with_added
from espressivo.engine.opening import (
    FORMAT,
    HEALS,
    METADATA_KEY,
    described,
    is_sealed,
    one_line,
    opened,
    read_content,
)
from espressivo.engine.sampling import Sampling
from espressivo.engine.step import Step
from espressivo.engine.style import Style
from espressivo.engine.tapes import Arrays, Tapes
from espressivo.errors import ModelError

__all__ = ["FORMAT", "METADATA_KEY", "Arrays", "Engine", "State"]

_DEFAULT = Sampling()


class Engine:
    """A loaded model file.

    Parameters
    ----------
    model : path or bytes
        A model file or its content. No code in it is run and nothing is unpickled.
    threads : int
        Threads for one matrix product, at least 1. One is fastest for a single sequence.
    styles : sequence of tuples, each of a style and its weight
        In which it plays; several are added up, each times its weight.

    Attributes
    ----------
    vocabulary : Vocabulary
        The code that the model reads and writes.
    card : dict
        What the model says of itself: name, licence, trained_on, and more.
    network : dict
        Its sizes, and how the weights are stored (which early files do not say).
    reads : tuple of str
        The names of the controls that it reads.
    controls : int
        Numbers that it reads beside events, or 0: those that steer it (see `espressivo.codes`),
        and the last `FILL_NUMBERS` of one that can fill gaps.
    fills : bool
        Whether it can read a quote of what comes after a gap.
    pointers : int
        Numbers by which it learns what pointers say and how strongly that counts, or 0.

    Raises
    ------
    ModelError
        If the file is missing, is not a whole model file, has changed since it was written, was
        written in another format, or does not do what it says; or a style is of another model.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        threads: int = 1,
        styles: Sequence[tuple[Style, float]] = (),
    ) -> None:
        name = "the given bytes" if isinstance(model, bytes) else str(Path(model))
        content = model if isinstance(model, bytes) else read_content(Path(model))
        self._made_of = content, threads
        self._styles = tuple(styles)
        sealed = is_sealed(content, name)
        self._session, metadata = opened(self._shifted(), name, threads)
        description = described(metadata, name, sealed)
        if description.get("kind") == "interpreter":
            raise ModelError(f"{name}: plays scores and nothing else: see espressivo perform")
        try:
            self.vocabulary = Vocabulary(**description["vocabulary"])
            self.card: dict[str, Any] = dict(description["card"])
            self.network = dict(description["network"])
            self.controls = int(self.network.get("controls", 0))
            self.reads = controls_within(self.controls)
            notewise = bool(self.network.get("notewise", False))
            self.fills = bool(self.network.get("fill", False))
            self.controls += FILL_NUMBERS if self.fills else 0
            self.pointers = POINTER_NUMBERS + 1 if self.network.get("pointers", False) else 0
            if notewise and not self.vocabulary.notewise:
                raise ValueError("a notewise network over a code of events")
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{name}: its description is not valid ({error}): export it again"
            ) from None
        self._shapes = {
            node.name: [1 if isinstance(n, str) else n for n in node.shape]
            for node in self._session.get_inputs()
            if node.name.startswith("state_")
        }
        self._try(name, notewise)

    def __reduce__(self) -> tuple[Callable[..., Engine], tuple[Any, ...]]:
        """Pickle the content of the model file; a session cannot be."""
        return _engine, (*self._made_of, self._styles)

    def styled(self, styles: Sequence[tuple[Style, float]]) -> Engine:
        """Return the same model, playing in styles, each times its weight.

        Raises
        ------
        ModelError
            If a style is of another model.
        """
        return _engine(*self._made_of, tuple(styles))

    def _shifted(self) -> bytes:
        """Return the model file with what styles add to its constants."""
        added: dict[str, NDArray[np.float32]] = {}
        own = hashlib.sha256(self.content).hexdigest() if self._styles else ""
        for style, weight in self._styles:
            if style.model_sha256 != own:
                raise ModelError(
                    f"style {style.name!r} is of another model, {style.model!r}, and not of this "
                    "file: give that by --model, or learn it again"
                )
            for name, shift in style.shifts.items():
                added[name] = added.get(name, np.float32(0)) + np.float32(weight) * shift
        try:
            return with_added(self.content, added) if added else self.content
        except (IndexError, KeyError, ValueError) as error:
            raise ModelError(f"a style does not fit its model ({error}): learn it again") from None

    @functools.cached_property
    def _first(self) -> dict[int, NDArray[np.float32]]:
        """The states that do not begin as zeros."""
        found: dict[int, NDArray[np.float32]] = {}
        numbers = [2 * n for n, kind in enumerate(self.network.get("pattern", "")) if kind == "d"]
        for style, weight in self._styles:
            if style.memories is not None:
                for number, memory in zip(numbers, style.memories, strict=True):
                    more = np.float32(weight) * memory[None, None]
                    found[number] = found.get(number, np.float32(0)) + more
        return found

    @property
    def content(self) -> bytes:
        """The model file."""
        return self._made_of[0]

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the model file and of its styles, 64 hexadecimal digits."""
        found = hashlib.sha256(self.content)
        for style, weight in self._styles:
            found.update(np.float64(weight).tobytes())
            for array in style.arrays().values():
                found.update(array.tobytes())
        return found.hexdigest()

    def initial_state(self, rows: int = 1) -> Arrays:
        """Return the state before any id: zeros, but for memories that a style begins."""
        return tuple(
            np.repeat(self._first[number], rows, axis=1)
            if number in self._first
            else np.zeros((layers, rows, *rest), np.float32)
            for number, (layers, _, *rest) in enumerate(self._shapes.values())
        )

    def run(
        self,
        ids: NDArray[np.int64],
        state: Arrays,
        controls: NDArray[np.float32] | None = None,
        pointers: NDArray[np.float32] | None = None,
        *,
        in_place: bool = False,
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Read sequences and predict after each id.

        Rows whose ids complete no event go ahead, so that the others complete theirs at once:
        only then the blocks of a note-wise network run.

        Parameters
        ----------
        ids : int64 array, shape (T, B), T >= 1
            Each within ``0 .. size``; the size of the vocabulary stands for "nothing yet", which
            begins every sequence.
        state : tuple of float32 arrays, each (layers, B, ...)
            As left by earlier ids; not changed, unless `in_place`.
        controls : float32 array, shape (B, `controls`) or (T, B, `controls`), optional
            What is requested of all of them, or of what follows each; nothing by default, as a
            model without controls needs.
        pointers : float32 array, shape (T, B, `pointers`), optional
            What pointers say after each id; nothing by default, as a model without them needs.
        in_place : bool
            Whether arrays of the given state may be written to, which spares a copy of the largest.

        Returns
        -------
        logits : float32 array, shape (T, B, size)
        state : tuple of arrays
            After the last id.
        """
        length, count = ids.shape
        if self.controls and controls is not None:
            controls = np.broadcast_to(controls, (length, count, self.controls))
        logits = np.empty((length, count, self.vocabulary.size), np.float32)
        if count == 1 and not in_place:
            for t, id_ in enumerate(ids[:, 0].tolist()):
                asked = None if controls is None else controls[t, 0]
                said = None if pointers is None else pointers[t, 0]
                logits[t, 0], state = self.step(id_, state, asked, said)
            return logits, state
        after = list(state) if in_place or self._tapes is None else self._tapes.own(state)
        read = np.zeros(count, np.int64)
        while (unread := read < length).any():
            next_ids = ids[np.minimum(read, length - 1), np.arange(count)]
            within = unread & (self._same[next_ids] > 0)
            rows = np.flatnonzero(within if within.any() else unread)
            at = read[rows]
            inputs: dict[str, NDArray[Any]] = {"ids": next_ids[rows]}
            if self.controls:
                none = np.zeros((len(rows), self.controls), np.float32)
                inputs["controls"] = none if controls is None else controls[at, rows]
            if self.pointers:
                none = np.zeros((len(rows), self.pointers), np.float32)
                inputs["pointers"] = none if pointers is None else pointers[at, rows]
            logits[at, rows] = self._read(inputs, after, rows)
            read[rows] += 1
        return logits, tuple(after)

    def _read(
        self,
        inputs: dict[str, NDArray[Any]],
        state: list[NDArray[np.float32]],
        rows: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        """Read an id in some rows of a state, which is changed; return the scores of the next."""
        kept = int(self._same[inputs["ids"]].min())
        tapes = None if kept else self._tapes
        if tapes is not None:
            tapes.make_room(state)
        every = len(rows) == state[-1].shape[1]
        some = [array if every else array[:, rows] for array in state[kept:]]
        named = dict(zip(self._shapes, [*self._unread[:kept], *some], strict=True))
        logits, *given = self._session.run(None, {**inputs, **named})
        if tapes is not None:
            tapes.write(state, given, rows)
        for number, new in enumerate(given[kept:], kept):
            if tapes is not None and number in tapes.numbers:
                continue
            if every:
                state[number] = new
            else:
                state[number] = state[number].copy()
                state[number][:, rows] = new
        return np.asarray(logits)

    def pointed(self, ids: Ids) -> NDArray[np.float32] | None:
        """Return what pointers say at the beginning of a list and after each id, for `run`.

        Shape (ids + 1, `pointers`); None if the model reads none.
        """
        if not self.pointers:
            return None
        pointers = Pointers(self.vocabulary)
        said = [pointers.numbers()]
        for id_ in ids.tolist():
            pointers.feed(id_)
            said.append(pointers.numbers())
        return np.array(said)

    def unchanged(self, id_: int) -> int:
        """Return how many of the first states an id leaves as they are, and does not read.

        Those of the blocks, where an id is followed by others in its event.
        """
        return self._unchanged[id_]

    def step(
        self,
        id_: int,
        state: Arrays,
        controls: NDArray[np.float32] | None = None,
        pointers: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Read one id of one sequence, as `run` does but faster.

        Parameters
        ----------
        id_ : int
            Within ``0 .. size``.
        state : tuple of float32 arrays, each (layers, 1, ...)
        controls : float32 array, shape (`controls`,), optional
        pointers : float32 array, shape (`pointers`,), optional

        Returns
        -------
        logits : float32 array, shape (size,)
        state : tuple of arrays
            Those that the id does not change are the given ones.
        """
        return self._step.own.run(id_, state, controls, pointers)

    def _try(self, name: str, notewise: bool) -> None:
        """Read an id, and two side by side, so that a file that does not do what it says fails."""
        try:
            size, state = self.vocabulary.size, self.initial_state()
            self._same = np.zeros(size + 1, np.int64)
            if notewise:  # the last three states are of the step that is being read
                self._same[following(self.vocabulary)[0] > 0] = max(len(self._shapes) - 3, 0)
            self._unchanged = self._same.tolist()
            # No row at all, for the states that an id leaves as they are: copying takes long.
            self._unread = self.initial_state(0)
            given = {node.name: node.shape for node in self._session.get_outputs()}
            numbers = [
                n for n, a in enumerate(state) if given[f"next_{n}"][2:] != list(a.shape[2:])
            ]
            counter = next((n for n, a in enumerate(state) if a.shape[2:] == (1,)), 0)
            self._tapes = Tapes(numbers, counter) if numbers else None
            self._step = Step(
                self._session,
                size,
                state,
                self.controls,
                self.pointers,
                self._unchanged,
                self._unread,
                self._tapes,
            )
            self.step(size, state)  # one row first: memory is laid out for what is read first
            logits, after = self.run(np.array([[size, size]]), self.initial_state(2))
            logits, after = logits[:, :1], tuple(array[:, :1] for array in after)
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise ModelError(
                f"{name}: its graph does not fit its description ({one_line(error)}): "
                "export it again"
            ) from None
        if not all(np.isfinite(array).all() for array in (logits, *after)):
            raise ModelError(f"{name}: holds weights that are not finite: {HEALS}")
        expected = [(1, 1, size), *(array.shape for array in state)]
        shapes = [array.shape for array in (logits, *after)]
        if shapes != expected:
            raise ModelError(
                f"{name}: its graph gives arrays of {shapes} and its description says "
                f"{expected}: export it again"
            )


class State:
    """What a model remembers of the ids fed so far, and what it expects next.

    Its size does not depend on their number, but for pointers, which know of the last hour.

    Parameters
    ----------
    engine : Engine
        May serve any number of states.
    controls : float32 array, shape (engine.controls,), optional
        What is requested of the music to come, as `espressivo.codes` makes it. Can be set at any
        time; it counts from the next id fed on, in a note-wise vocabulary from the next event
        completed.
    returns : float
        How strongly pointers make music come back that was there before, 1 as learned. Can be set
        at any time.

    Attributes
    ----------
    pointers : Pointers or None
        What they say now, for a model that reads them.
    lift : float
        Nats by which a note is raised in `logits` that pointers lead to.
    """

    def __init__(
        self,
        engine: Engine,
        controls: NDArray[np.float32] | None = None,
        returns: float = 1.0,
    ) -> None:
        self._engine, self.controls, self.returns = engine, controls, returns
        self.lift = 0.0
        self.pointers = Pointers(engine.vocabulary) if engine.pointers else None
        self._arrays = engine.initial_state()
        self._logits: NDArray[np.float32]
        self._read(engine.vocabulary.size)

    def feed(self, ids: ArrayLike) -> None:
        """Read an id or several; `CodecError` if one is not an id, before any is read."""
        if type(ids) is int and 0 <= ids < len(self._logits):  # fast, as it is once per id
            self._read(ids)
            return
        for id_ in self._engine.vocabulary.check(np.atleast_1d(ids)).tolist():
            self._read(id_)

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next id, shape (size,), read-only."""
        return lifted(self._logits, self.pointers, self.lift) if self.lift else self._logits

    def probabilities(self, temperature: float = 1.0) -> NDArray[np.float64]:
        """Return the probability of each next id, shape (size,)."""
        return Sampling(temperature=temperature).distribution(self._logits)

    def sample(
        self,
        rng: np.random.Generator,
        sampling: Sampling = _DEFAULT,
        allowed: NDArray[np.bool_] | None = None,
    ) -> int:
        """Draw the next id, feed it and return its id; see `Sampling.draw`."""
        id_ = sampling.draw(self._logits, rng, allowed)
        self.feed(id_)
        return id_

    def copy(self) -> State:
        """Return a state that goes its own way from here."""
        other = State.__new__(State)
        other._engine, other.controls, other.returns = self._engine, self.controls, self.returns
        other.lift = self.lift
        other.pointers = None if self.pointers is None else self.pointers.copy()
        other._arrays, other._logits = self._arrays, self._logits  # never written to
        return other

    @property
    def memory(self) -> dict[str, NDArray[np.float32]]:
        """Everything remembered, as copies: ``state_0``, perhaps more, and ``logits``.

        A model that reads pointers has ``pointers`` too, see `espressivo.codes.Pointers`: without
        a passage that they are led through.

        ``numpy.savez(path, **state.memory)`` keeps it; setting it brings a state of the same
        model back to that moment. `ModelError` if names, shapes or types do not fit.
        """
        named = {f"state_{n}": array.copy() for n, array in enumerate(self._arrays)}
        if self.pointers is not None:
            named["pointers"] = self.pointers.memory
        return {**named, "logits": self._logits.copy()}

    @memory.setter
    def memory(self, memory: dict[str, NDArray[np.float32]]) -> None:
        given, expected = (
            {
                name: (np.shape(array)[name == "pointers" :], np.asarray(array).dtype)
                for name, array in each.items()
            }
            for each in (memory, self.memory)
        )  # pointers know of any number of notes
        if given != expected:
            raise ModelError(f"the memory of another model: it holds {given}, not {expected}")
        copies = {name: array.copy() for name, array in memory.items()}
        if self.pointers is not None:
            self.pointers = Pointers(self._engine.vocabulary)
            self.pointers.memory = copies.pop("pointers")
        self._logits = copies.pop("logits")
        self._logits.flags.writeable = False
        self._arrays = tuple(copies[f"state_{n}"] for n in range(len(copies)))

    def _read(self, id_: int) -> None:
        said = None
        if self.pointers is not None:
            if id_ < self._engine.vocabulary.size:
                self.pointers.feed(id_)
            said = self.pointers.numbers(self.returns)
        self._logits, self._arrays = self._engine.step(id_, self._arrays, self.controls, said)
        self._logits.flags.writeable = False


def _engine(content: bytes, threads: int, styles: tuple[tuple[Style, float], ...]) -> Engine:
    return Engine(content, threads=threads, styles=styles)
