"""LoopDetector: notices when music goes in circles."""

from __future__ import annotations

from collections import deque

__all__ = ["LoopDetector"]

_LONGEST_LOOP = 32  # notes
_TIMES = 4  # so often the same notes in a row are a loop
_SHORTEST = 32  # notes that a loop lasts at least: trills and repeated notes are music
_WINDOW = 64  # notes among which
_FEW = 4  # no more pitches than these are too few


class LoopDetector:
    """Notices when the pitches struck repeat, and names those that would go on with it.

    Two signs: the last n notes are the same as the n before them, and so on for 4 times and 32
    notes in all, for some n up to 32; or the last 64 notes have at most 4 pitches between them.
    Only the order of the pitches counts, not their timing or loudness. Its size is fixed.
    """

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=_TIMES * _LONGEST_LOOP)  # pitches, newest first
        self._forbidden: frozenset[int] | None = frozenset()  # None until it is asked for

    def feed(self, pitch: int) -> None:
        """Take note of a note."""
        self._recent.appendleft(pitch)
        self._forbidden = None

    def copy(self) -> LoopDetector:
        """Return a detector that goes its own way from here."""
        other = LoopDetector()
        other._recent, other._forbidden = self._recent.copy(), self._forbidden
        return other

    @property
    def forbidden(self) -> frozenset[int]:
        """Pitches that would go on with what has been repeated too often; mostly none."""
        if self._forbidden is None:
            self._forbidden = frozenset(_continuations(list(self._recent)))
        return self._forbidden


def _continuations(recent: list[int]) -> set[int]:
    """Return the pitches that would go on with loops in a list of pitches, the newest first."""
    found = set()
    for length in range(1, min(_LONGEST_LOOP, len(recent) - 1) + 1):
        if recent[0] == recent[length]:  # mostly not, and then it need not be looked at closely
            whole = max(_TIMES * length, _SHORTEST)
            if len(recent) >= whole and recent[: whole - length] == recent[length:whole]:
                found.add(recent[length - 1])
    few = set(recent[:_WINDOW])
    return found | few if len(recent) >= _WINDOW and len(few) <= _FEW else found
