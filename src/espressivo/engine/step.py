"""Step: one id of one sequence, read in buffers that stay bound to a session."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.engine.tapes import Arrays, Tapes

__all__ = ["Step"]

_ALONE = np.zeros(1, np.intp)
_TURNS = 4  # states that can take turns on a thread before their tapes are copied


class Step(threading.local):
    """What a thread reads ids with, one at a time: `own`, made as `Buffers` are."""

    def __init__(self, *made_of: Any) -> None:
        self.own = Buffers(*made_of)


class Buffers:
    """Buffers bound to a session, in which it reads one id of one sequence.

    What tapes gain is written in place, unless another state has gone on from there before.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    size : int
        Ids of the vocabulary.
    state : arrays
        The first one.
    controls, pointers : int
        The sizes of what it reads beside ids.
    same : list of int
        For each id how many of the first states it leaves as they are.
    unread : arrays
        What stands for such states, of no row.
    tapes : Tapes, optional
        Which states are tapes.
    """

    def __init__(
        self,
        session: Any,
        size: int,
        state: Arrays,
        controls: int,
        pointers: int,
        same: list[int],
        unread: Arrays,
        tapes: Tapes | None,
    ) -> None:
        self._session, self._same, self._tapes = session, same, tapes
        self._id = np.zeros(1, np.int64)
        self._logits = np.zeros((1, size), np.float32)
        self._scores = self._logits[0]
        self._controls = np.zeros((1, controls), np.float32) if controls else None
        self._pointers = np.zeros((1, pointers), np.float32) if pointers else None
        self._before = [np.zeros_like(array) for array in state]
        numbers = () if tapes is None else tapes.numbers
        self._after = [
            np.zeros_like(array[:, :, :, :1] if n in numbers else array)
            for n, array in enumerate(state)
        ]
        self._kept = [n for n in range(len(state)) if n not in numbers]
        # Up to where the tapes of some states are written, by the identity of the first.
        self._ends: dict[int, tuple[NDArray[np.float32], int]] = {}
        self._bindings = {kept: self._bound(unread[:kept]) for kept in sorted(set(same))}

    def _bound(self, unread: Arrays) -> Any:
        """Bind the buffers, but for the first states those that are not read, and give nothing."""
        binding, kept = self._session.io_binding(), len(unread)
        inputs: dict[str, NDArray[Any]] = {"ids": self._id}
        if self._controls is not None:
            inputs["controls"] = self._controls
        if self._pointers is not None:
            inputs["pointers"] = self._pointers
        states = (*unread, *self._before[kept:])
        inputs |= {f"state_{n}": array for n, array in enumerate(states)}
        outputs = {f"next_{n}": array for n, array in enumerate(self._after) if n >= kept}
        for name, array in inputs.items():
            binding.bind_input(name, *_where(array))
        for name, array in {"logits": self._logits, **outputs}.items():
            binding.bind_output(name, *_where(array))
        return binding

    def run(
        self,
        id_: int,
        state: Arrays,
        controls: NDArray[np.float32] | None,
        pointers: NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Read an id; return the scores of the next, and the state after it."""
        self._id[0] = id_
        if self._controls is not None:
            self._controls[:] = 0 if controls is None else controls
        if self._pointers is not None:
            self._pointers[:] = 0 if pointers is None else pointers
        same = self._same[id_]  # these are neither read nor written, which saves time
        binding = self._bindings[same]
        if self._tapes is not None and not same:
            return self._written(self._tapes, binding, state)
        for buffer, array in zip(self._before[same:], state[same:], strict=True):
            buffer[:] = array
        self._session.run_with_iobinding(binding)
        after = tuple([buffer.copy() for buffer in self._after[same:]])
        return self._scores.copy(), state[:same] + after

    def _written(
        self, tapes: Tapes, binding: Any, state: Arrays
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Read an id that completes an event, and write what tapes gain behind them."""
        first = tapes.numbers[0]
        end = int(state[tapes.counter][0, 0, 0])
        _, written = self._ends.pop(id(state[first]), (None, -1))
        if written != end or end == tapes.length(state):  # it has gone on from here before
            state = tuple(tapes.own(state))
            tapes.make_room(state)
            end = int(state[tapes.counter][0, 0, 0])
        for n in self._kept:
            self._before[n][:] = state[n]
        for n in tapes.numbers:
            binding.bind_input(f"state_{n}", *_where(state[n]))
        self._session.run_with_iobinding(binding)
        tapes.write(state, self._after, _ALONE)
        after = tuple(
            [state[n] if n in tapes.numbers else a.copy() for n, a in enumerate(self._after)]
        )
        self._ends[id(after[first])] = after[first], end + 1
        if len(self._ends) > _TURNS:
            del self._ends[next(iter(self._ends))]
        return self._scores.copy(), after


def _where(array: NDArray[Any]) -> tuple[str, int, type, tuple[int, ...], int]:
    """Return what a session wants to know of a buffer that it reads or writes."""
    return "cpu", 0, array.dtype.type, array.shape, array.ctypes.data
