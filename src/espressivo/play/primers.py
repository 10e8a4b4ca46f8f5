"""Primers: performances to go on from, made of pitches or of the names of chords."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from espressivo.errors import GenerationError
from espressivo.music import Performance, parse_chord

__all__ = ["CHORD_S", "VELOCITY", "chords", "pitches"]

CHORD_S = 1.0
"""How long each chord lasts."""

VELOCITY = 64
"""How loud its notes are."""

_LOWEST_ROOT = 55  # G3, so that chords lie around middle C


def pitches(pitches: Iterable[int]) -> Performance:
    """Return one chord of MIDI pitches (0..127), `CHORD_S` long, at `VELOCITY`.

    Raises
    ------
    GenerationError
        If there is no pitch, or one is out of range.
    """
    chord = sorted(set(pitches))
    wrong = [pitch for pitch in chord if not 0 <= pitch <= 127]
    if wrong or not chord:
        what = f"not {wrong[0]}" if wrong else "and there is none"
        raise GenerationError(f"pitches of a primer must be within 0..127, {what}")
    return _performance([chord])


def chords(names: str) -> Performance:
    """Return chords named like ``"C Am F G7"``, one after another, each `CHORD_S` long.

    The names are those that `espressivo.harmony.parse_chord` understands, separated by spaces or
    commas. The root lies within G3..F#4 (MIDI 55..66), the other notes above it at the intervals of
    the chord, the bass note that a name gives after ``/`` within the octave below G3.

    Raises
    ------
    GenerationError
        If there is no chord, or one is not understood; the message names it and suggests the
        nearest one.

    Examples
    --------
    >>> chords("C Am/E").notes["pitch"].tolist()
    [60, 64, 67, 52, 57, 60, 64]
    """
    words = names.replace(",", " ").split()
    if not words:
        raise GenerationError("a primer of chords needs at least one, like 'C Am F G'")
    return _performance([_chord(word) for word in words])


def _chord(name: str) -> list[int]:
    chord = parse_chord(name)
    root = _pitch(chord.root, _LOWEST_ROOT)
    tones = [root + interval for interval in chord.intervals]
    return tones if chord.bass is None else [_pitch(chord.bass, _LOWEST_ROOT - 12), *tones]


def _pitch(pitch_class: int, lowest: int) -> int:
    """Return the pitch of a pitch class in the octave that begins with `lowest`."""
    return lowest + (pitch_class - lowest) % 12


def _performance(chords: Sequence[Sequence[int]]) -> Performance:
    onset_s = np.repeat(np.arange(len(chords)) * CHORD_S, [len(chord) for chord in chords])
    pitch = [pitch for chord in chords for pitch in chord]
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + CHORD_S,
        pitch=pitch,
        velocity=np.full(len(pitch), VELOCITY),
    )
