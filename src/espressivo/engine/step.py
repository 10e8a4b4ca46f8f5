"""Step: one id of one sequence, read in buffers that stay bound to a session."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "Step", "gained"]

Arrays = tuple[NDArray[np.float32], ...]
"""What a network remembers, as many arrays as its kind needs, each (layers, B, ...)."""

_ROOM = 256  # positions for which a tape has room beyond the window
_TAPES = 4  # states that can take turns on a thread before their windows are copied


class Step(threading.local):
    """What a thread reads ids with, one at a time: `own`, made as `Buffers` are."""

    def __init__(self, *made_of: Any) -> None:
        self.own = Buffers(*made_of)


class Buffers:
    """Buffers bound to a session, in which it reads one id of one sequence.

    Some states are windows: a run gives the position that they gain, and they forget their oldest.
    Each such window is a view of a longer tape, so that to move on is to write one position.

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
    windows : sequence of int
        Numbers of the states that are windows.
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
        windows: Sequence[int],
    ) -> None:
        self._session, self._same, self._windows = session, same, windows
        self._id = np.zeros(1, np.int64)
        self._logits = np.zeros((1, size), np.float32)
        self._controls = np.zeros((1, controls), np.float32) if controls else None
        self._pointers = np.zeros((1, pointers), np.float32) if pointers else None
        self._before = [np.zeros_like(array) for array in state]
        self._after = [
            np.zeros_like(array[:, :, :1] if n in windows else array)
            for n, array in enumerate(state)
        ]
        self._kept = [n for n in range(len(state)) if n not in windows]
        self._tapes: dict[int, _Tape] = {}  # by the identity of the first window that ends each
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
        self._id.fill(id_)
        if self._controls is not None:
            self._controls[:] = 0 if controls is None else controls
        if self._pointers is not None:
            self._pointers[:] = 0 if pointers is None else pointers
        same = self._same[id_]  # these are neither read nor written, which saves time
        binding = self._bindings[same]
        if self._windows and not same:
            return self._moved_on(binding, state)
        for buffer, array in zip(self._before[same:], state[same:], strict=True):
            buffer[:] = array
        self._session.run_with_iobinding(binding)
        after = tuple([buffer.copy() for buffer in self._after[same:]])
        return self._logits.flatten(), state[:same] + after

    def _moved_on(self, binding: Any, state: Arrays) -> tuple[NDArray[np.float32], Arrays]:
        for n in self._kept:
            self._before[n][:] = state[n]
        first = self._windows[0]
        tape = self._tapes.pop(id(state[first]), None)
        if tape is None or tape.full:
            tape = _Tape([state[n] for n in self._windows])
        for n, window in zip(self._windows, tape.windows, strict=True):
            binding.bind_input(f"state_{n}", *_where(window))
        self._session.run_with_iobinding(binding)
        after = [
            buffer.copy() if n in self._kept else buffer for n, buffer in enumerate(self._after)
        ]
        tape.append([self._after[n] for n in self._windows])
        for n, window in zip(self._windows, tape.windows, strict=True):
            after[n] = window
        self._tapes[id(after[first])] = tape
        if len(self._tapes) > _TAPES:
            del self._tapes[next(iter(self._tapes))]
        return self._logits.flatten(), tuple(after)


class _Tape:
    """Windows onto buffers that are longer than they, each (1, 1, positions, ...)."""

    def __init__(self, windows: list[NDArray[np.float32]]) -> None:
        self._end = self._length = int(windows[0].shape[2])
        self._buffers = []
        for window in windows:
            layers, rows, length, *rest = window.shape
            buffer = np.empty((layers, rows, length + _ROOM, *rest), np.float32)
            buffer[:, :, :length] = window
            self._buffers.append(buffer)
        self.windows = self._views()

    @property
    def full(self) -> bool:
        """Whether nothing more can be appended."""
        return self._end == self._length + _ROOM

    def append(self, positions: list[NDArray[np.float32]]) -> None:
        """Write a position of each after the last, and move the windows on by it."""
        for buffer, position in zip(self._buffers, positions, strict=True):
            buffer[:, :, self._end] = position[:, :, 0]
        self._end += 1
        self.windows = self._views()

    def _views(self) -> list[NDArray[np.float32]]:
        return [buffer[:, :, self._end - self._length : self._end] for buffer in self._buffers]


def gained(state: Sequence[NDArray[np.float32]], given: Sequence[NDArray[np.float32]]) -> Arrays:
    """Return a state after a run, of what the run has given of each of its arrays.

    That is an array as it is now, or the position that a window, (layers, B, positions, ...), gains
    (or no row, of a state that is not read).
    """
    return tuple(
        new if new.shape == before.shape else np.concatenate((before[:, :, 1:], new), axis=2)
        for before, new in zip(state, given, strict=True)
    )


def _where(array: NDArray[Any]) -> tuple[str, int, type, tuple[int, ...], int]:
    """Return what a session wants to know of a buffer that it reads or writes."""
    return "cpu", 0, array.dtype.type, array.shape, array.ctypes.data
