"""Quotes: how a network that reads forwards knows what comes after a gap.

What it reads is in this order: the far past, a quote of what comes after the gap, the near past,
what is played in the gap, and then what comes after it. The quote takes no time. It begins with
the state of the pedal where the gap ends; then come the notes of the gap that are kept, if there
are any, and what comes after the gap. What is written as the time of the first event after the gap
is always nothing, as the true one would tell when the last note of the gap begins.

Beside the events the network reads numbers: whether the latest one was quoted, in the gap, or kept
in it; and, while the next one is decided in the gap, how many seconds are left of it. Zeros say
that the music is ordinary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.codes.codec import FIELDS, NO_ID, insert_rests
from espressivo.codes.controls import shares
from espressivo.codes.layout import NOTE_ON, SUSTAIN, Ids, Layout

__all__ = [
    "FILL_NUMBERS",
    "IN_GAP",
    "KEPT",
    "ORDINARY",
    "QUOTED",
    "fill_numbers",
    "pedal_down",
    "quote",
]

ORDINARY, QUOTED, IN_GAP, KEPT = range(4)
"""Marks of events."""

_LEFT_S = np.array([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6], np.float32)
_STRENGTH = 4.0  # so that weights that begin at nothing soon matter

FILL_NUMBERS = 3 + len(_LEFT_S)
"""How many numbers a network reads that can fill gaps."""


def fill_numbers(marks: NDArray[np.int64], left_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what a network reads beside events that it needs to know of a gap.

    Parameters
    ----------
    marks : int array, shape (n,)
        Of the latest event.
    left_s : float array, shape (n,)
        Seconds from the latest event to the end of the gap, at least 0, beyond 25.6 means 25.6;
        not a number unless the next event is decided in the gap.

    Returns
    -------
    float32 array, shape (n, `FILL_NUMBERS`)
    """
    numbers = np.zeros((len(marks), FILL_NUMBERS), np.float32)
    for mark in (QUOTED, IN_GAP, KEPT):
        numbers[marks == mark, mark - 1] = 1
    inside = ~np.isnan(left_s)
    numbers[inside, 3:] = shares(left_s[inside], _LEFT_S)
    return np.asarray(numbers * np.float32(_STRENGTH))


def pedal_down(events: Ids, vocabulary: Layout, down: bool = False) -> bool:
    """Tell whether the pedal is down after events, before which it was `down` or not."""
    happens = events[events[:, 1] != NO_ID, 1]
    moves = happens[vocabulary.kinds[happens] == SUSTAIN]
    return bool(vocabulary.values[moves[-1]]) if len(moves) else down


def quote(
    down: bool,
    kept: Ids,
    kept_at: NDArray[np.int64],
    after: Ids,
    after_at: NDArray[np.int64],
    vocabulary: Layout,
) -> tuple[Ids, NDArray[np.int64]]:
    """Write a quote in a note-wise vocabulary.

    Parameters
    ----------
    down : bool
        Whether the pedal is down where the gap ends.
    kept, after : int arrays, shape (n, number of `FIELDS`)
        Events of the gap that are kept, and those that come after it, as
        `espressivo.codes.steps` lays them out. Rests and the end of the piece are left out.
    kept_at, after_at : int arrays, shape (n,)
        The grid steps at which they are; those that are kept, from the latest event before the gap.

    Returns
    -------
    events : int32 array, shape (m, number of `FIELDS`)
    marks : int array, shape (m,)
        `KEPT` or `QUOTED` for each.
    """
    v = vocabulary
    pedal = np.full((1 if v.counts[SUSTAIN] else 0, len(FIELDS)), NO_ID, np.int32)
    pedal[:, 1] = v.first[SUSTAIN] + down
    parts = [(insert_rests(pedal, np.zeros(len(pedal), np.int64), v), QUOTED)]
    for events, at, mark in ((kept, kept_at, KEPT), (after, after_at, QUOTED)):
        happens = np.isin(v.kinds[events[:, 1]], (NOTE_ON, SUSTAIN)) & (events[:, 1] != NO_ID)
        at = at[happens]
        first = at[:1] if mark == QUOTED else 0
        parts.append((insert_rests(events[happens], np.diff(at, prepend=first), v), mark))
    marks = np.concatenate([np.full(len(events), mark) for events, mark in parts])
    return np.concatenate([events for events, _ in parts]).astype(np.int32), marks
