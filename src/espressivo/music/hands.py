"""Hands: which notes the right hand plays, told from pitches and times alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.music.features import chord_starts
from espressivo.music.performance import Performance

__all__ = ["right_hand"]

_SPAN = 16  # semitones that a hand can take
_FADE_S = 4.0  # after which a hand has half forgotten where it was
_HOME = {False: 45.0, True: 74.0}  # MIDI pitches to which left and right hand return
_OVER, _AWAY, _FROM_HOME = 20.0, 1.0, 0.15  # what a semitone costs


def right_hand(performance: Performance) -> NDArray[np.bool_]:
    """Tell which notes are the right hand's, shape (notes,).

    Chords (`CHORD_GAP_S`) are taken one after another. Each is split where it costs least, all
    notes below going to the left hand: what counts is how far each hand has to move from where it
    was, which it forgets with time, whether it can take the notes at once, and how far it is from
    its half of the keyboard. Hands that cross are not seen.
    """
    notes = performance.notes
    right = np.zeros(len(notes), bool)
    first = np.flatnonzero(chord_starts(notes["onset_s"]))
    places = dict(_HOME)
    before_s = 0.0
    for begin, end in zip(first, [*first[1:], len(notes)], strict=True):
        now_s = float(notes["onset_s"][begin])
        left = 0.5 ** ((now_s - before_s) / _FADE_S)
        places = {hand: home + left * (places[hand] - home) for hand, home in _HOME.items()}
        before_s = now_s
        order = begin + np.argsort(notes["pitch"][begin:end], kind="stable")
        pitches = notes["pitch"][order].astype(float)
        costs = [
            _cost(pitches[:split], places[False], _HOME[False])
            + _cost(pitches[split:], places[True], _HOME[True])
            for split in range(len(pitches) + 1)
        ]
        split = int(np.argmin(costs))
        right[order[split:]] = True
        for hand, taken in ((False, pitches[:split]), (True, pitches[split:])):
            if len(taken):
                places[hand] = float(taken.mean())
    return right


def _cost(pitches: NDArray[np.float64], place: float, home: float) -> float:
    """Return what it costs a hand to take some notes, ascending."""
    if not len(pitches):
        return 0.0
    away, distant = np.abs(pitches - place), np.abs(pitches - home)
    over = max(0.0, float(pitches[-1] - pitches[0]) - _SPAN)
    return _OVER * over + float((_AWAY * away + _FROM_HOME * distant).sum())
