"""Passages: a performance in parts of so many events, each of which begins with an onset group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import NO_ID, NOTE_ON, TIME_SHIFT, Ids, Vocabulary, steps
from espressivo.errors import GenerationError
from espressivo.music import Performance

__all__ = ["CHORD_STEPS", "Passages", "cuts", "passages_of"]

CHORD_STEPS = 3
"""Events fewer grid steps apart belong to one onset group, within which no passage begins."""


@dataclass(frozen=True, eq=False)
class Passages:
    """The passages of a performance.

    Parameters
    ----------
    events : int32 array, shape (events, fields)
        All events of the performance, as `espressivo.codes.steps` lays them out.
    begin, end : int64 arrays, shape (passages,)
        First event of each passage and one past its last.
    begin_s, end_s : float64 arrays, shape (passages,)
        When its first event happens, and when the next passage's does.
    """

    events: Ids
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    begin_s: NDArray[np.float64]
    end_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.begin)

    def padded(self, length: int, fields: int) -> NDArray[np.int64]:
        """Return the events of each passage, (passages, length, fields), `NO_ID` after its last."""
        at = self.begin[:, None] + np.arange(length)
        inside = at < self.end[:, None]
        found = self.events[np.minimum(at, len(self.events) - 1), :fields].astype(np.int64)
        return np.where(inside[..., None], found, NO_ID)

    def ids(self, number: int) -> Ids:
        """Return the ids of a passage, as they stand in the performance."""
        rows = self.events[self.begin[number] : self.end[number]]
        return np.asarray(rows[rows != NO_ID], np.int32)

    def at(self, time_s: float) -> int:
        """Return the number of the passage that sounds at a time, or of the last before it."""
        return max(0, int(np.searchsorted(self.begin_s, time_s + 1e-6, "right")) - 1)


def cuts(events: Ids, length: int, v: Vocabulary, hop: int | None = None) -> NDArray[np.int64]:
    """Return first event and one past the last of each passage, shape (passages, 2).

    A passage has at most `length` events and ends where an onset group does, if one does in its
    second half. The next begins there, or with a `hop` about so many events later.
    """
    shift = events[:, 0] - v.first[TIME_SHIFT]
    begins = np.append(shift >= CHORD_STEPS, True)
    begins[0] = True
    latest = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
    found: list[tuple[int, int]] = []
    begin = 0
    while begin < len(events):
        end = min(begin + length, len(events))
        cut = int(latest[end])
        end = cut if cut > begin + length // 2 else end
        found.append((begin, end))
        if end == len(events):
            break
        if hop is None:
            begin = end
            continue
        after = int(latest[min(begin + hop, end)])
        begin = after if after > begin else min(begin + hop, end)
    return np.array(found, np.int64).reshape(-1, 2)


def passages_of(
    performance: Performance, length: int, v: Vocabulary, hop: int | None = None
) -> Passages:
    """Cut a performance into passages.

    Parameters
    ----------
    performance : Performance
    length : int
        Events of the longest.
    v : Vocabulary
        A note-wise one. Rests and movements of the pedal are events too; the rests at its end are
        left out.
    hop : int, optional
        Events from the beginning of one passage to that of the next; by default one begins where
        the one before ends.

    Raises
    ------
    GenerationError
        If there is no note in the range of the vocabulary.
    """
    events = steps(v.encode(performance), v)[:-1]  # the last is the end
    if not (v.kinds[events[events[:, 1] != NO_ID, 1]] == NOTE_ON).any():
        raise GenerationError(
            "a performance without notes of a piano has no passages: give another"
        )
    events = events[: int(np.flatnonzero(events[:, 1] != NO_ID)[-1]) + 1]  # and rests before it
    found = cuts(events, length, v, hop)
    time_s = np.cumsum(v.values[events[:, 0]]) / v.steps_per_second
    begin, end = found.T
    ends_s = np.append(time_s, max(performance.seconds, float(time_s[-1])))[end]
    return Passages(events, begin, end, time_s[begin], ends_s)
