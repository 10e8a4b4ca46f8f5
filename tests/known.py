"""An engine of which everything is known."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such files or signals")


def runs(number: Path) -> bool:
    """Tell whether the process whose number a file holds still runs."""
    try:
        os.kill(int(number.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


CARD = {"name": "tiny", "licence": "CC0", "trained_on": "nothing"}


class Mock:
    """An engine whose logits depend on every event so far and on their number."""

    card = CARD
    sha256 = "0" * 64
    controls = pointers = 0
    reads = ()
    fills = False

    def __init__(self, v, favour=None):
        self.vocabulary, self.favour = v, favour

    def initial_state(self, rows=1):
        return (np.zeros((1, rows, 2), np.float32),)

    def run(self, ids, state, controls=None, pointers=None, *, in_place=False):
        (memory,) = (array.copy() for array in state)
        logits = np.empty((*ids.shape, self.vocabulary.size), np.float32)
        for t, row in enumerate(ids):
            for b, id_ in enumerate(row):
                memory[0, b] = (memory[0, b, 0] * 31 + id_ + 1) % 1009, memory[0, b, 1] + 1
                logits[t, b] = self.logits(*memory[0, b])
        return logits, (memory,)

    def pointed(self, ids):
        return None

    def unchanged(self, id_):
        return 0

    def step(self, id_, state, controls=None, pointers=None):
        logits, state = self.run(np.array([[id_]]), state)
        return logits[0, 0], state

    def logits(self, mixed, position):
        ids = np.arange(self.vocabulary.size)
        logits = 3 * np.sin(ids * (mixed + 2) + position).astype(np.float32)
        if self.favour is not None:
            logits[self.favour] += 2000  # so that nothing else has any probability
        return logits


class Clock:
    """Time that passes only while somebody sleeps."""

    now_s = 0.0

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds
