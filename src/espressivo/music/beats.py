"""Beats: where the beats of a performance fall, and which of them begin a measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["Beats"]


@dataclass(frozen=True, eq=False)
class Beats:
    """The beats of a performance, in the order of time.

    Parameters
    ----------
    time_s : float64 array, shape (beats,)
        Seconds at which they fall, each later than the one before.
    downbeat : bool array, shape (beats,)
        Whether a beat begins a measure.
    quarters : float64 array, shape (beats,)
        How many quarter notes each lasts: 1 in 4/4, 1.5 in 6/8, 2 in 2/2; above 0.
    sharps : int64 array, shape (beats,), optional
        Key signature at each, -7..7 (flats are negative); 0 if it is not given.

    Raises
    ------
    ValueError
        If the shapes differ, times do not rise or are not finite, or a number is out of range.
    """

    time_s: NDArray[np.float64]
    downbeat: NDArray[np.bool_]
    quarters: NDArray[np.float64]
    sharps: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        time_s = np.array(self.time_s, np.float64)
        downbeat, quarters = np.array(self.downbeat, bool), np.array(self.quarters, np.float64)
        sharps = np.zeros(len(time_s)) if self.sharps is None else np.array(self.sharps)
        if not time_s.shape == downbeat.shape == quarters.shape == sharps.shape or time_s.ndim != 1:
            raise ValueError("beats have a time, a downbeat, a length and a key each")
        if not np.isfinite(time_s).all() or (np.diff(time_s) <= 0).any():
            raise ValueError("times of beats must be finite and rise")
        if not (np.isfinite(quarters).all() and (quarters > 0).all()):
            raise ValueError("a beat must last more than no quarter notes")
        if (np.abs(sharps) > 7).any():
            raise ValueError("a key signature has -7..7 sharps")
        for name, array in (
            ("time_s", time_s),
            ("downbeat", downbeat),
            ("quarters", quarters),
            ("sharps", sharps.astype(np.int64)),
        ):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Return the number of beats."""
        return len(self.time_s)

    @property
    def tempo(self) -> float:
        """Beats a minute: 60 over the median of the seconds between beats; nan below two beats."""
        return 60 / float(np.median(np.diff(self.time_s))) if len(self) > 1 else math.nan

    @property
    def quarter(self) -> NDArray[np.float64]:
        """Quarter notes from the first beat to each, shape (beats,)."""
        return np.concatenate(([0.0], np.cumsum(self.quarters)))[: len(self)]

    @property
    def meters(self) -> list[tuple[int, int, int]]:
        """Time signatures: for each, index of its first beat, numerator and denominator.

        A measure goes from one downbeat to the next. What comes before the first downbeat, and what
        is left after the last, has the signature of the measure beside it. A beat of 1.5 quarters
        is three eighths, of 0.75 three sixteenths.
        """
        downs = np.flatnonzero(self.downbeat)
        found: list[tuple[int, int, int]] = []
        for begin, end in pairwise(downs):
            meter = _signature(int(end - begin), float(self.quarters[begin]))
            if not found or found[-1][1:] != meter:
                found.append((int(begin), *meter))
        if not found:
            beats = min(max(len(self), 1), 4) if not len(downs) else 4
            quarters = float(self.quarters[0]) if len(self) else 1.0
            found.append((int(downs[0]) if len(downs) else 0, *_signature(beats, quarters)))
        return found

    @property
    def meter(self) -> str:
        """The time signature that holds for most beats, such as ``3/4``."""
        lasts: dict[str, int] = {}
        meters = self.meters
        for (begin, over, under), (end, *_) in zip(
            meters, [*meters[1:], (len(self), 0, 0)], strict=True
        ):
            name = f"{over}/{under}"
            lasts[name] = lasts.get(name, 0) + end - begin
        return max(lasts, key=lambda name: lasts[name])


def _signature(beats: int, quarters: float) -> tuple[int, int]:
    """Return numerator and denominator of a measure of some beats of some length."""
    for under in (4, 2, 8, 16, 1):
        over = beats * quarters * under / 4
        compound = quarters in (0.75, 1.5, 3.0)
        if abs(over - round(over)) < 1e-9 and round(4 / under / quarters, 6) in (
            (1.0,) if not compound else (round(1 / 3, 6),)
        ):
            return round(over), under
    return max(1, round(beats * quarters)), 4
