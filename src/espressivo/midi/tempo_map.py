"""Tempo map: which quarter notes come when, as the tempos of a MIDI file say it.

A tempo is a whole number of microseconds per quarter note. What its rounding loses is made up for
by the next one, so that beats do not drift; seconds become ticks by the rounded tempos, so that
every note sounds at its time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.midi import smf
from espressivo.music import Beats

__all__ = ["TempoMap"]

_Array = NDArray[np.float64]

_GRAIN = 480  # ticks per quarter are a multiple of this
_FINEST_S = 0.001  # seconds of a tick, at most
_MOST_TICKS = 0x7FFF  # per quarter
_LONGEST_US = 0xFFFFFF  # of a quarter
_STEADY_US = 500_000


@dataclass(frozen=True, eq=False)
class TempoMap:
    """Tempos, each from a quarter note on; the first from 0 on, the last for ever.

    Parameters
    ----------
    at : float64 array, shape (n,)
        Quarters, from 0, rising.
    time_s : float64 array, shape (n,)
        When they come by the tempos.
    microseconds : int64 array, shape (n,)
        Per quarter, from there on.
    signatures : tuple of (float, int, int)
        From which quarter on a time signature holds, its numerator and its denominator.
    keys : tuple of (float, int)
        From which quarter on how many sharps are in the key signature, -7..7.
    """

    at: _Array
    time_s: _Array
    microseconds: NDArray[np.int64]
    signatures: tuple[tuple[float, int, int], ...] = ()
    keys: tuple[tuple[float, int], ...] = ()

    @classmethod
    def through(
        cls,
        quarters: ArrayLike,
        due_s: ArrayLike,
        signatures: tuple[tuple[float, int, int], ...] = (),
        keys: tuple[tuple[float, int], ...] = (),
    ) -> TempoMap:
        """Return the tempos by which quarters come when they are due.

        Parameters
        ----------
        quarters, due_s : array, shape (n,)
            Both rise; the first of both is 0, and there are at least two.
        signatures, keys : tuple
            See the class.
        """
        at, due = np.asarray(quarters, float), np.asarray(due_s, float)
        microseconds = np.empty(len(at) - 1, np.int64)
        time_s = np.zeros(len(at) - 1)
        now_s = 0.0
        for number, (begin, end) in enumerate(pairwise(at.tolist())):
            exact = (float(due[number + 1]) - now_s) / (end - begin) * 1e6
            time_s[number] = now_s
            microseconds[number] = min(max(round(exact), 1), _LONGEST_US)
            now_s += float(microseconds[number]) * 1e-6 * (end - begin)
        return cls(at[:-1], time_s, microseconds, signatures, keys)

    @classmethod
    def of(cls, beats: Beats) -> TempoMap:
        """Return the tempos by which bars fall on the beats of a performance.

        What comes before the first downbeat is a bar of its own, as long as it takes at the tempo
        of the first beats. A beat in the first moments, less than half a beat after the beginning,
        stands at the beginning, and its notes a little after it. With fewer than two beats the
        tempo is 120.
        """
        if len(beats) < 2:
            return cls(np.zeros(1), np.zeros(1), np.array([_STEADY_US]), ((0.0, 4, 4),))
        times, lasts = beats.time_s, beats.quarters
        period_s = float(np.median(np.diff(times[:5])))
        ahead = max(0, round(float(times[0]) / period_s))  # whole beats before the first
        lead = ahead * float(lasts[0])
        at = np.concatenate(([0.0] if ahead else [], lead + beats.quarter))
        due_s = np.concatenate(([0.0] if ahead else [], times))
        due_s[0] = 0.0
        downs = np.flatnonzero(beats.downbeat)
        meters = beats.meters
        signatures = [(float(lead + beats.quarter[n]), over, under) for n, over, under in meters]
        first = float(lead + beats.quarter[downs[0]]) if len(downs) else 0.0
        if first > 0:  # a pickup
            over, under = signatures[0][1:]
            units = round(first * under / 4)
            short = (units - 1) % over + 1
            begin = first - short * 4 / under
            signatures.insert(0, (begin, short, under))
            if begin > 0:
                signatures.insert(0, (0.0, over, under))
            signatures = [
                s for n, s in enumerate(signatures) if not n or s[1:] != signatures[n - 1][1:]
            ]
        else:
            signatures[0] = (0.0, *signatures[0][1:])
        sharps = beats.sharps if beats.sharps is not None else np.zeros(len(beats), int)
        changes = np.flatnonzero(np.diff(sharps, prepend=99))
        keys = [(float(lead + beats.quarter[n]) if n else 0.0, int(sharps[n])) for n in changes]
        return cls.through(at, due_s, tuple(signatures), tuple(keys))

    def quarters_at(self, time_s: ArrayLike) -> _Array:
        """Return the quarters that come at some seconds, from 0 on."""
        seconds = np.asarray(time_s, float)
        inside = np.maximum(np.searchsorted(self.time_s, seconds, "right") - 1, 0)
        passed = (seconds - self.time_s[inside]) * 1e6 / self.microseconds[inside]
        return np.asarray(self.at[inside] + passed)

    @property
    def ticks_per_quarter(self) -> int:
        """A resolution at which no tick is longer than a millisecond, if MIDI has it."""
        finer = math.ceil(float(self.microseconds.max()) * 1e-6 / (_GRAIN * _FINEST_S))
        return _GRAIN * max(1, min(finer, _MOST_TICKS // _GRAIN))

    def messages(self) -> list[tuple[int, bytes]]:
        """Return the meta events that say all this, each with its tick, in order."""
        ticks = self.ticks_per_quarter

        def tick(quarter: float) -> int:
            return round(quarter * ticks)

        found = [
            (tick(at), 1, smf.meta(smf.TIME_SIGNATURE, _signature(over, under)))
            for at, over, under in self.signatures
        ]
        for at, sharps in self.keys:
            data = sharps.to_bytes(1, "big", signed=True) + b"\0"
            found.append((tick(at), 2, smf.meta(smf.KEY_SIGNATURE, data)))
        tempos = list(zip(self.at.tolist(), self.microseconds.tolist(), strict=True))
        for number, (at, microseconds) in enumerate(tempos):
            if not number or microseconds != tempos[number - 1][1]:
                tempo = smf.meta(smf.TEMPO, microseconds.to_bytes(3, "big"))
                found.append((tick(at), 0, tempo))
        return [(at, message) for at, _, message in sorted(found)]


def _signature(over: int, under: int) -> bytes:
    """Return the data of a time signature whose denominator is a power of two."""
    return bytes((min(over, 255), under.bit_length() - 1, 24, 8))
