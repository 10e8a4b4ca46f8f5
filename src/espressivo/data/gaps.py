"""Gaps: the events of a piece arranged as a network reads them that learns to fill gaps.

Gaps of 1 to 20 s, evenly by the logarithm, stand at random places of a piece. Before the nearest
past of each a quote says what comes after it, and in a third of gaps what of it is kept: the notes
above or below some pitch. See `espressivo.codes.quote`.

Not scored are the first event of a quote and the first one after it, as nothing announces them; and
what comes after a gap, as far as it was quoted, but for its first events: a network that gains by
repeating what it has read learns to loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    IN_GAP,
    KEPT,
    NO_ID,
    NOTE_ON,
    ORDINARY,
    Ids,
    Vocabulary,
    fill_numbers,
    pedal_down,
    quote,
)

__all__ = ["Arranged", "arranged"]

_SHORTEST_S, _LONGEST_S = 1.0, 20.0
_LONGEST = 256  # events of a gap
_NEAR = 16, 128  # events of the nearest past
_FAR = 48  # events before that, and after what the gap before has quoted, at most
_QUOTED_S, _QUOTED = 5.0, (16, 64)  # so long, and so many events, are quoted at most
_SCORED = 8  # events after a gap that are scored
_KEEPS = 1 / 3  # of gaps


@dataclass(frozen=True, eq=False)
class Arranged:
    """Events in the order in which they are read.

    Parameters
    ----------
    events : int32 array, shape (n, fields)
    source : int array, shape (n,)
        Which event of the piece each is, or -1 for those of quotes.
    scored : bool array, shape (n,)
        Which of them count.
    numbers : float32 array, shape (n, `FILL_NUMBERS`)
        What is read beside the event before each.
    """

    events: Ids
    source: NDArray[np.int64]
    scored: NDArray[np.bool_]
    numbers: NDArray[np.float32]


def arranged(
    events: Ids, vocabulary: Vocabulary, rng: np.random.Generator, *, down: bool = False
) -> Arranged:
    """Arrange the events of a piece, or of its rest, with gaps.

    Parameters
    ----------
    events : int array, shape (n, fields)
        As `espressivo.codes.steps` lays them out.
    vocabulary : Vocabulary
        A note-wise one.
    rng : numpy.random.Generator
    down : bool
        Whether the pedal is down before the first of them.
    """
    v, rate, count = vocabulary, vocabulary.steps_per_second, len(events)
    at = np.cumsum(v.values[events[:, 0]], dtype=np.int64)
    notes = (events[:, 1] != NO_ID) & (v.kinds[events[:, 1]] == NOTE_ON)
    rows, source, marks, left_s, scored = [], [], [], [], []

    def read(begin: int, end: int, mark: NDArray[np.int64] | int, from_: int | None = None) -> None:
        """Let a part of the piece be read, scored from its beginning or a later event on."""
        places = np.arange(begin, end)
        rows.append(events[begin:end])
        source.append(places)
        marks.append(np.broadcast_to(mark, places.shape))
        left_s.append(np.full(len(places), np.nan))
        scored.append(places >= (begin if from_ is None else from_))

    begin = 0
    while True:
        near = round(np.exp(rng.uniform(*np.log(_NEAR))))
        far = int(rng.integers(_FAR + 1))
        if begin == 0:  # there may be little music before a gap
            near, far = int(rng.integers(near + 1)), 0
        seconds = np.exp(rng.uniform(np.log(_SHORTEST_S), np.log(_LONGEST_S)))
        most = round(np.exp(rng.uniform(*np.log(_QUOTED))))
        gap = begin + far + near
        if gap >= count:
            break
        now = at[gap - 1] if gap else 0
        joint = now + round(seconds * rate)
        if gap + _LONGEST < count:
            joint = min(joint, at[gap + _LONGEST])
        end, last = np.searchsorted(at, (joint, joint + round(_QUOTED_S * rate))).tolist()
        stop = min(last, end + most)
        if not notes[end:stop].any():
            break
        kept = _kept(events[gap:end], notes[gap:end], v, rng)
        quoted, own = quote(
            pedal_down(events[:end], v, down),
            events[gap:end][kept],
            at[gap:end][kept] - now,
            events[end:stop],
            at[end:stop],
            v,
        )
        read(begin, gap - near, ORDINARY)
        rows.append(quoted)
        source.append(np.full(len(quoted), -1))
        marks.append(own)
        left_s.append(np.full(len(quoted), np.nan))
        scored.append(np.arange(len(quoted)) > 0)
        read(gap - near, gap, ORDINARY, gap - near + 1)
        read(gap, end, np.where(kept, KEPT, IN_GAP))
        read(end, stop, ORDINARY)
        scored[-1][_SCORED:] = False
        before = np.concatenate(([now], at[gap:end]))
        left_s[-2][:], left_s[-1][0] = (joint - before[:-1]) / rate, (joint - before[-1]) / rate
        begin = stop
    read(begin, count, ORDINARY)
    every = np.concatenate(marks)
    latest = np.append(ORDINARY, every[:-1]) if len(every) else every
    return Arranged(
        np.concatenate(rows),
        np.concatenate(source),
        np.concatenate(scored),
        fill_numbers(latest, np.concatenate(left_s)),
    )


def _kept(
    events: Ids, notes: NDArray[np.bool_], v: Vocabulary, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Tell which events of a gap are kept: none, or the notes above or below some pitch."""
    keeps, lower, place = rng.random() < _KEEPS, rng.random() < 0.5, rng.random()
    pitches = np.unique(v.values[events[notes, 1]])
    if not keeps or len(pitches) < 2:
        return np.zeros(len(events), bool)
    split = pitches[1 + int(place * (len(pitches) - 1))]
    return np.asarray(notes & ((v.values[events[:, 1]] < split) == lower))
