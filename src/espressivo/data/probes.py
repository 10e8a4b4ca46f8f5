"""Probes: passages in which a model shows whether it remembers what came before.

A passage is read after several things, and its nats per note are compared: what helps has been
remembered. Pieces are drawn from once each, at random; the passages are the same for any model.

- *Past*: 15 s of a piece, after the last 0, 1, 5, 20 and 80 s before them. Where a piece has less
  before the passage, it is given what there is.
- *Copy*: 10 s, alone; straight after themselves; after themselves two semitones lower; after
  themselves and 10 s of another piece; after 10 s of another piece.

A passage alone begins a piece for the model, so these are not the nats of whole pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from espressivo.codes import END, NOTE_ON, SUSTAIN, TIME_SHIFT, VELOCITY, Ids, Vocabulary
from espressivo.music import Performance

__all__ = ["COPIES", "PAST_S", "Probe", "copies", "past"]

PAST_S = (0.0, 1.0, 5.0, 20.0, 80.0)
"""Seconds before a passage that a model is given."""

COPIES = ("alone", "after itself", "two semitones higher", "10 s later", "after another")
"""What a passage is read after, in `copies`."""

_PASSAGE_S = 15.0
_COPIED_S = 10.0
_EARLIEST_S = 15.0  # where a passage begins at the earliest
_LEAST_NOTES = 10  # of a passage
_TRIES = 20  # places in a piece that are tried
_SEMITONES = 2


@dataclass(frozen=True)
class Probe:
    """A passage and what is read before it.

    Parameters
    ----------
    ids : int32 array
        What comes before, and the passage.
    begin : int
        Index of the first id of the passage.
    notes : int
        Notes of the passage.
    """

    ids: Ids
    begin: int
    notes: int


def past(
    performances: Sequence[Performance], vocabulary: Vocabulary, *, seed: int = 0
) -> dict[float, list[Probe]]:
    """Return for each of `PAST_S` the passages after so many seconds of their piece.

    Pieces without a passage of at least 10 notes from 15 s on are left out. Every list has the
    same passages in the same order.
    """
    probes: dict[float, list[Probe]] = {before_s: [] for before_s in PAST_S}
    for performance, start_s in _places(performances, _PASSAGE_S, seed):
        passage = performance.slice(start_s, start_s + _PASSAGE_S)
        for before_s, found in probes.items():
            begin_s = max(start_s - before_s, 0.0)
            before = performance.slice(begin_s, start_s) if before_s else None
            found.append(_probe(before, passage, start_s - begin_s, vocabulary))
    return probes


def copies(
    performances: Sequence[Performance], vocabulary: Vocabulary, *, seed: int = 0
) -> dict[str, list[Probe]]:
    """Return for each of `COPIES` the passages after what it says.

    Another piece is the next of those that have a passage; with fewer than two of them there is
    none, and the lists are empty.
    """
    passages = [
        performance.slice(start_s, start_s + _COPIED_S)
        for performance, start_s in _places(performances, _COPIED_S, seed)
    ]
    probes: dict[str, list[Probe]] = {name: [] for name in COPIES}
    if len(passages) < 2:
        return probes
    for passage, other in zip(passages, [*passages[1:], passages[0]], strict=True):
        lowest = int(passage.notes["pitch"].min())
        down = -_SEMITONES if lowest >= vocabulary.lowest_pitch + _SEMITONES else _SEMITONES
        # In the order of COPIES.
        read_before = (
            (),
            (passage,),
            (passage.transpose(down),),
            (passage, other),
            (other,),
        )
        for found, before in zip(probes.values(), read_before, strict=True):
            joined = Performance.join(before) if before else None
            begins_s = 0.0 if joined is None else joined.seconds
            found.append(_probe(joined, passage, begins_s, vocabulary))
    return probes


def _places(
    performances: Sequence[Performance], seconds: float, seed: int
) -> Iterator[tuple[Performance, float]]:
    """Yield performances and where in each a passage begins, at random."""
    rng = np.random.default_rng(seed)
    for performance in performances:
        onset_s = performance.notes["onset_s"]
        room_s = float(onset_s[-1]) - seconds - _EARLIEST_S if len(onset_s) else -1.0
        for start_s in _EARLIEST_S + rng.random(_TRIES) * room_s:
            inside = np.searchsorted(onset_s, (start_s, start_s + seconds))
            if room_s > 0 and inside[1] - inside[0] >= _LEAST_NOTES:
                yield performance, float(start_s)
                break


def _probe(
    before: Performance | None, passage: Performance, begins_s: float, v: Vocabulary
) -> Probe:
    """Put a passage after what is read before it, which lasts for `begins_s` seconds."""
    earlier = 0
    if before is not None:
        earlier = int((v.kinds[v.encode(before)] == NOTE_ON).sum())
        shifted = passage.shift(begins_s)
        passage = Performance(
            np.concatenate((before.notes, shifted.notes)),
            np.concatenate((before.controls, shifted.controls)),
        )
    ids = v.encode(passage)
    kinds = v.kinds[ids]
    ids = ids[kinds != END]  # the piece does not end there
    struck = np.flatnonzero(kinds == NOTE_ON)
    notes = len(struck) - earlier
    begin = int(struck[earlier]) if notes > 0 else len(ids)
    while begin and kinds[begin - 1] in (TIME_SHIFT, VELOCITY, SUSTAIN):
        begin -= 1  # when and how loud belongs to the note
    return Probe(ids, begin, notes)
