"""Varying: some of a passage is filled anew, and the rest stays note for note.

The notes that go stand in stretches, so that each is a small gap. Which ones go is decided by a
random number for each chord, smoothed over its neighbours: the greatest go first. With the same
seed, what goes at a small amount also goes at a greater one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.engine import Engine, generator
from espressivo.errors import GenerationError
from espressivo.music import Performance, chord_starts
from espressivo.play.fill import Told, fill, passage_of
from espressivo.play.settings import Settings

__all__ = ["freed", "vary"]

_SHORTEST_S = 0.02
_SMOOTH = np.array([1.0, 2.0, 3.0, 2.0, 1.0])  # over chords


def vary(
    engine: Engine,
    performance: Performance,
    start_s: float,
    end_s: float,
    *,
    amount: float,
    settings: Settings,
    seed: int,
    candidates: int,
    told: Told = lambda _: None,
) -> Performance:
    """Return the whole piece with the passage varied; see `espressivo.play.Model.vary`."""
    if not 0 <= amount <= 1:
        raise GenerationError(f"amount must be within 0..1, not {amount}")
    whole = passage_of(performance, start_s, end_s)  # refuses what is no passage
    if amount == 1:
        return fill(engine, whole, settings=settings, seed=seed, candidates=candidates, told=told)
    going = freed(performance, start_s, end_s, amount, seed)
    stretches = _stretches(performance, going, end_s)
    kept = {tuple(note) for note in performance.notes[~going].tolist()}
    each = max(1, candidates // max(1, len(stretches)))
    for number, (begin_s, until_s) in enumerate(stretches):
        stays = np.array([tuple(note) in kept for note in performance.notes.tolist()], bool)
        passage = passage_of(performance, begin_s, until_s, kept=stays)
        performance = fill(
            engine, passage, settings=settings, seed=seed + number, candidates=each, told=told
        )
    told(candidates - each * len(stretches))
    return performance


def freed(
    performance: Performance, start_s: float, end_s: float, amount: float, seed: int
) -> NDArray[np.bool_]:
    """Tell which notes go, shape (notes,): of those in the passage the part `amount`, rounded."""
    onset_s = performance.notes["onset_s"]
    inside = np.flatnonzero((onset_s >= start_s) & (onset_s < end_s))
    going = np.zeros(len(onset_s), bool)
    if len(inside):
        chord = np.cumsum(chord_starts(onset_s[inside])) - 1
        noise = generator(seed).standard_normal(int(chord[-1]) + len(_SMOOTH))
        first = np.argsort(-np.convolve(noise, _SMOOTH, "valid")[chord], kind="stable")
        going[inside[first[: round(amount * len(inside))]]] = True
    return going


def _stretches(
    performance: Performance, going: NDArray[np.bool_], end_s: float
) -> list[tuple[float, float]]:
    """Return the times from each first note that goes to the chord that stays, in seconds.

    What would go less than `_SHORTEST_S` before the end of the passage stays.
    """
    onset_s = performance.notes["onset_s"]
    chord = np.cumsum(chord_starts(onset_s)) - 1
    found = []
    begin_s: float | None = None
    for number in range(int(chord[-1]) + 1 if len(chord) else 0):
        its = chord == number
        first_s = float(onset_s[its][0])
        if begin_s is not None and not going[its].any():
            found.append((begin_s, max(first_s, begin_s + _SHORTEST_S)))
            begin_s = None
        elif begin_s is None and going[its].any():
            begin_s = first_s
    if begin_s is not None:
        found.append((begin_s, end_s))
    ends = [(begin_s, min(until_s, end_s)) for begin_s, until_s in found]
    return [(begin_s, until_s) for begin_s, until_s in ends if until_s - begin_s >= _SHORTEST_S]
