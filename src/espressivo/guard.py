"""Guard: notices when music goes in circles."""

from __future__ import annotations

import numpy as np

__all__ = ["Guard"]

_LONGEST_LOOP = 32  # notes
_TIMES = 4  # so often the same notes in a row are a loop
_SHORTEST = 32  # notes that a loop lasts at least: trills and repeated notes are music
_WINDOW = 64  # notes among which
_FEW = 4  # no more pitches than these are too few


class Guard:
    """Notices when the pitches struck repeat, and names those that would go on with it.

    Two signs: the last n notes are the same as the n before them, and so on for 4 times and 32
    notes in all, for some n up to 32; or the last 64 notes have at most 4 pitches between them.
    Only the order of the pitches counts, not their timing or loudness. Its size is fixed.
    """

    def __init__(self) -> None:
        self._recent = np.full(_WINDOW, -1)  # pitches, the newest first
        # For each n, how many notes in a row, up to the newest, equal the n-th before them.
        self._runs = np.zeros(_LONGEST_LOOP, int)
        lengths = np.arange(1, _LONGEST_LOOP + 1)
        self._limits = np.maximum(_TIMES * lengths, _SHORTEST) - lengths
        self.forbidden: frozenset[int] = frozenset()
        """Pitches that would go on with what has been repeated too often; mostly none."""

    def feed(self, pitch: int) -> None:
        """Take note of a note."""
        same = self._recent[:_LONGEST_LOOP] == pitch
        self._runs = (self._runs + 1) * same
        self._recent[1:] = self._recent[:-1].copy()
        self._recent[0] = pitch
        expected = self._recent[:_LONGEST_LOOP][self._runs >= self._limits]
        pitches = set(self._recent.tolist())
        few = pitches if len(pitches) <= _FEW and -1 not in pitches else set()
        self.forbidden = frozenset(expected.tolist()) | few
