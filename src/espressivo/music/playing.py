"""Playing: what hands and feet do, and how a piece begins and ends.

Shares are returned as two numbers, how many and of how many, so that those of several
performances can be added up.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from espressivo.music.features import chord_starts, pedal_moves
from espressivo.music.performance import Performance, sustained_notes
from espressivo.music.tonality import tonic

__all__ = [
    "ends_on_tonic",
    "pedal_with_bass",
    "ring_s",
    "thinning",
    "unplayable",
    "within_reach",
]

_SPAN = 16  # semitones that a hand can take
_FINGERS = 5  # of a hand
_HIGHEST_BASS = 55  # MIDI pitch, G3
_NEAR_S = 0.2  # from a change of the bass
_TICK_S = 0.01
_CLOSE_S, _BEFORE_S = 3.0, 12.0  # the close of a piece, and what it is held against


def unplayable(performance: Performance) -> tuple[int, int]:
    """Return how many chords no two hands can take, and how many chords of two notes or more.

    See `within_reach`.
    """
    notes = performance.notes
    first = np.flatnonzero(chord_starts(notes["onset_s"]))
    chords = [np.unique(chord) for chord in np.split(notes["pitch"].astype(int), first[1:])]
    several = [tuple(chord.tolist()) for chord in chords if len(chord) > 1]
    return sum(not within_reach(chord[:-1])[chord[-1]] for chord in several), len(several)


@lru_cache(maxsize=1024)
def within_reach(chord: tuple[int, ...]) -> bytes:
    """Return 1 for each MIDI pitch that two hands can take together with a chord, else 0.

    A hand takes five notes within 16 semitones. It is 0 for all if they cannot take the chord.

    Parameters
    ----------
    chord : tuple of int
        MIDI pitches, ascending, each once.
    """
    reach = bytearray(128)
    for split in range(len(chord) + 1):
        hands = chord[:split], chord[split:]
        spans = [hand[-1] - hand[0] if hand else 0 for hand in hands]
        if max(spans) > _SPAN or max(map(len, hands)) > _FINGERS:
            continue
        for hand in hands:
            if len(hand) < _FINGERS:
                low, high = (hand[-1] - _SPAN, hand[0] + _SPAN) if hand else (0, 127)
                low, end = max(low, 0), min(high, 127) + 1
                reach[low:end] = b"\1" * (end - low)
    return bytes(reach)


def pedal_with_bass(performance: Performance, seconds: float) -> tuple[float, float]:
    """Return how many lifts of the pedal stand at a change of the bass above chance, and lifts.

    The bass is the lowest note of each chord that has one up to G3 (55), and a lift within 200 ms
    of another bass note is at its change. What as many lifts at random would hit is taken off.
    """
    notes = performance.notes
    first = np.flatnonzero(chord_starts(notes["onset_s"]))
    lifts_s = pedal_moves(performance)[1::2]
    if not len(first) or not len(lifts_s):
        return 0.0, 0.0
    lowest = np.minimum.reduceat(notes["pitch"], first)
    low = lowest <= _HIGHEST_BASS
    bass_s, bass = notes["onset_s"][first][low], lowest[low].astype(int)
    changes_s = bass_s[1:][np.diff(bass) != 0]
    if not len(changes_s):
        return 0.0, float(len(lifts_s))
    chance = _near(np.arange(0.0, seconds, _TICK_S), changes_s).mean()
    return float(_near(lifts_s, changes_s).sum() - chance * len(lifts_s)), float(len(lifts_s))


def ring_s(performance: Performance) -> float:
    """Return for how many seconds the last chord sounds; not a number without notes."""
    notes = sustained_notes(performance)
    if not len(notes):
        return float("nan")
    last = np.flatnonzero(chord_starts(notes["onset_s"]))[-1]
    return float(notes["offset_s"][last:].max() - notes["onset_s"][last])


def ends_on_tonic(performance: Performance) -> float:
    """Return 1 if the lowest note of the last chord is the tonic, 0 if not; see `tonic`.

    It is not a number where there is no tonic.
    """
    home = tonic(performance)
    if home is None:
        return float("nan")
    notes = performance.notes
    last = np.flatnonzero(chord_starts(notes["onset_s"]))[-1]
    return float(notes["pitch"][last:].min() % 12 == home)


def thinning(performance: Performance) -> float:
    """Return the density of the last 3 s up to the last chord, over that of the 12 s before.

    Below 1, a piece calms down. It is not a number where nothing begins within those 12 s.
    """
    onset_s = performance.notes["onset_s"]
    if not len(onset_s):
        return float("nan")
    close_s = onset_s[-1] - _CLOSE_S
    before = np.count_nonzero((onset_s >= close_s - _BEFORE_S) & (onset_s < close_s)) / _BEFORE_S
    return float(np.count_nonzero(onset_s >= close_s) / _CLOSE_S / before) if before else np.nan


def _near(times_s: NDArray[np.float64], changes_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which times lie within `_NEAR_S` of a change; changes are ascending."""
    at = np.searchsorted(changes_s, times_s)
    after = changes_s[np.minimum(at, len(changes_s) - 1)]
    before = changes_s[np.maximum(at - 1, 0)]
    apart_s = np.minimum(np.abs(after - times_s), np.abs(times_s - before))
    return np.asarray(apart_s <= _NEAR_S)
