"""Keeping: which notes of a passage stay when it is filled."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import GenerationError
from espressivo.music import Performance, parse_pitch, right_hand

__all__ = ["Keep", "kept_of"]

Keep = str | NDArray[np.bool_]
"""What stays in a passage; see `kept_of`."""

_SIDE = re.compile(r"(below|above)\s+(\S+)")


def kept_of(
    performance: Performance, start_s: float, end_s: float, keep: Keep | None
) -> tuple[NDArray[np.bool_] | None, bool]:
    """Tell which notes of a passage stay, shape (notes of the performance,); or its rhythm.

    Parameters
    ----------
    performance : Performance
    start_s, end_s : float
        The passage, in seconds.
    keep : str or bool array, shape (notes of the performance,)
        ``"left"`` or ``"right"``, a hand; see `espressivo.music.right_hand`. ``"below C4"`` or
        ``"above C4"``, notes lower or higher than a pitch. ``"rhythm"``: no note, but when notes
        begin, and the pedal. Or which ones.

    Raises
    ------
    GenerationError
        If it is none of these, or there is nothing to keep in the passage.
    """
    if keep is None:
        return None, False
    notes, rhythm = performance.notes, isinstance(keep, str) and keep == "rhythm"
    inside = (notes["onset_s"] >= start_s) & (notes["onset_s"] < end_s)
    if isinstance(keep, str):
        side = _SIDE.fullmatch(keep.strip())
        if rhythm:
            which = inside
        elif keep in ("left", "right"):
            which = right_hand(performance) == (keep == "right")
        elif side is not None:
            pitch = parse_pitch(side[2])
            lower, higher = notes["pitch"] < pitch, notes["pitch"] > pitch
            which = lower if side[1] == "below" else higher
        else:
            raise GenerationError(
                f"keep must be left, right, rhythm, or a pitch like 'below C4' or 'above C4', "
                f"not {keep!r}"
            )
        what = f"keep {keep!r}"
    else:
        which, what = np.asarray(keep, bool), "keep"
        if which.shape != notes.shape:
            raise GenerationError(
                f"keep must have one value for each of {len(notes)} notes, not shape {which.shape}"
            )
    if not (inside & which).any():
        raise GenerationError(
            f"{what} finds nothing to keep between {start_s:.6g} s and {end_s:.6g} s"
        )
    return (None, True) if rhythm else (which, False)
