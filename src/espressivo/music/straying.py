"""Straying: signs that a performance has gone astray, as models' do when sampled for long.

Each also occurs in human playing, only seldom; a share means something beside the human one. Each
tells people from a loop or a drone. Silences of over 5 s are not among them: people have as many as
any player that strays. Limits were set on random windows of MAESTRO's training pieces, the pedal
folded in. Notes sound until the pedal lets them go.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.music.features import in_order
from espressivo.music.performance import Performance, sustained_notes

__all__ = ["hangs", "is_stuck", "loops"]

_LONGEST_LOOP = 64  # notes
_TIMES = 4  # so often the same notes in a row are a loop
_LOOP_S = 5.0  # if it lasts longer than this
_HUNG_S = 10.0 - 1e-6  # as long as a model's note may last, up to rounding
_STUCK = 16  # times; no one of 962 windows of 60 s has more than 13


def loops(performance: Performance) -> bool:
    """Tell whether the same 1 to 64 notes come 4 times in a row or more, for over 5 s.

    Only the order of the pitches counts, those of a chord being put in order first.
    """
    time_s, pitch = in_order(performance.notes["onset_s"], performance.notes["pitch"])
    return any(
        last - first + 1 >= _TIMES * length and time_s[last] - time_s[first] > _LOOP_S
        for length in range(1, min(_LONGEST_LOOP, len(pitch) // _TIMES) + 1)
        for first, last in _repeats(pitch, length)
    )


def hangs(performance: Performance) -> bool:
    """Tell whether a note sounds for 10 s or more."""
    notes = sustained_notes(performance)
    return bool((notes["offset_s"] - notes["onset_s"]).max(initial=0.0) > _HUNG_S)


def is_stuck(performance: Performance) -> bool:
    """Tell whether one pitch is struck 16 times or more with nothing between."""
    _, pitch = in_order(performance.notes["onset_s"], performance.notes["pitch"])
    return any(last - first + 1 >= _STUCK for first, last in _repeats(pitch, 1))


def _repeats(pitch: NDArray[np.uint8], length: int) -> list[tuple[int, int]]:
    """Return first and last note of each stretch that repeats itself after `length` notes."""
    same = pitch[length:] == pitch[:-length]
    edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), (edges[1::2] + length - 1).tolist(), strict=True))
