"""Beats of a performance, found by the networks and the best path through what they say."""

from __future__ import annotations

import numpy as np

from espressivo.music import Beats, Performance
from espressivo.notation.beat_features import beat_numbers
from espressivo.notation.network import BeatModel, bundled_beats
from espressivo.notation.onsets import grouped_onsets, notes_of
from espressivo.notation.path import (
    DEFAULT_COSTS,
    Costs,
    best_path,
    keys,
    measures,
    struck_downbeats,
    units,
)

__all__ = ["beats"]

_EARLY_S = 0.02  # a note so shortly before a beat is on it


def beats(
    performance: Performance, *, model: BeatModel | None = None, costs: Costs = DEFAULT_COSTS
) -> Beats:
    """Return the beats of a performance on the piano, played freely or evenly.

    They begin with the first that a note falls on and end with the last. Where nothing is struck on
    a beat, its time lies evenly between its neighbours.

    Parameters
    ----------
    performance : Performance
        Pitches beyond the keys of a piano count as those an octave nearer. With fewer than two
        onsets there are no beats.
    model : BeatModel, optional
        Another network than the one that comes with the package.
    costs : Costs
        What the path through its output loses.
    """
    heard_notes = notes_of(performance)
    groups = grouped_onsets(heard_notes)
    if len(groups.first_s) < 2:
        return Beats([], [], [])  # type: ignore[arg-type]  # made arrays by it
    model = model or bundled_beats()
    said = model.of_groups(groups.numbers)
    path = best_path(groups.time_s, said, costs)
    read = model.of_beats(beat_numbers(heard_notes, path.time_s))
    notes = performance.notes
    inside = np.searchsorted(path.time_s, notes["onset_s"] + _EARLY_S, "right") - 1
    heard = np.zeros((len(path.time_s), 12))
    np.add.at(heard, (np.maximum(inside, 0), notes["pitch"] % 12), 1)
    downbeat = measures(read, struck_downbeats(path, said), costs)
    return Beats(path.time_s, downbeat, units(read, costs), keys(heard, costs))
