"""Step: one id of one sequence, read as fast as a session can."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "Step"]

Arrays = tuple[NDArray[np.float32], ...]
"""What a network remembers, as many arrays as its kind needs, each (layers, B, ...)."""


class Step(threading.local):
    """Buffers bound to a session, in which it reads one id; each thread has its own.

    `sides` are the sizes of what it reads beside ids; `same` tells for each id how many of the
    first states it leaves as they are, and `unread` are what stands for these.
    """

    def __init__(
        self,
        session: Any,
        size: int,
        state: Arrays,
        sides: dict[str, int],
        same: list[int],
        unread: Arrays,
    ) -> None:
        self._session, self._same = session, same
        self._id = np.zeros(1, np.int64)
        self._logits = np.zeros((1, size), np.float32)
        self._before = tuple(np.zeros_like(array) for array in state)
        self._after = tuple(np.zeros_like(array) for array in state)
        self._sides = {n: np.zeros((1, count), np.float32) for n, count in sides.items() if count}
        self._bindings = {kept: self._bound(unread[:kept]) for kept in set(same)}

    def _bound(self, unread: Arrays) -> Any:
        """Bind the buffers to the session, but for the first states those that are not read."""
        binding, kept = self._session.io_binding(), len(unread)
        inputs: dict[str, NDArray[Any]] = {"ids": self._id, **self._sides}
        inputs |= {f"state_{n}": a for n, a in enumerate(unread + self._before[kept:])}
        outputs = {"logits": self._logits}
        outputs |= {f"next_{n}": a for n, a in enumerate(unread + self._after[kept:])}
        for bind, arrays in ((binding.bind_input, inputs), (binding.bind_output, outputs)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return binding

    def run(
        self, id_: int, state: Arrays, sides: dict[str, NDArray[np.float32] | None]
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Read one id, as `espressivo.engine.Engine.step` does; `sides` are what stands beside."""
        self._id.fill(id_)
        for name, buffer in self._sides.items():
            given = sides[name]
            buffer[:] = 0 if given is None else given
        same = self._same[id_]  # these are neither read nor written, which saves time
        for buffer, array in zip(self._before[same:], state[same:], strict=True):
            buffer[:] = array
        self._session.run_with_iobinding(self._bindings[same])
        after = tuple([buffer.copy() for buffer in self._after[same:]])
        return self._logits.flatten(), state[:same] + after
