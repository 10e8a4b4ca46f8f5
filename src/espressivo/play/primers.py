"""Primers: performances to go on from, made of pitches or of the names of chords, or read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from espressivo.codes import Ids, Vocabulary
from espressivo.errors import GenerationError
from espressivo.music import CONTROL_DTYPE, PEDAL_THRESHOLD, SUSTAIN, Performance, parse_chord, read
from espressivo.numeric import within

__all__ = [
    "CHORD_S",
    "VELOCITY",
    "Primer",
    "chords",
    "continued",
    "digest",
    "opened",
    "pitches",
    "sooner",
]

Primer = Performance | ArrayLike | os.PathLike[str]
"""What music can go on from: a performance, the path of a file, or a sequence of ids."""

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
    name = "a pitch of a primer"
    chord = {within(name, pitch, least=0, most=127, whole=True) for pitch in pitches}
    if not chord:
        raise GenerationError("pitches of a primer must be within 0..127, and there is none")
    return _performance([sorted(chord)])


def chords(names: str) -> Performance:
    """Return chords named like ``"C Am F G7"``, one after another, each `CHORD_S` long.

    The names are those that `espressivo.music.parse_chord` understands, separated by spaces or
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


def opened(
    primer: Primer | None = None,
    chord_names: str | None = None,
    chord: Iterable[int] | None = None,
    *,
    include: bool = False,
) -> Performance | ArrayLike | None:
    """Return the one primer that is given: as it is, read from its file, of `chords` or `pitches`.

    Raises
    ------
    GenerationError
        If there are several, none to `include`, or as in `chords` and `pitches`.
    MidiError, AudioError
        If a file cannot be read.
    """
    if sum(given is not None for given in (primer, chord_names, chord)) > 1:
        raise GenerationError("give one of primer, primer_chords and primer_pitches")
    if chord_names is not None:
        return chords(chord_names)
    if chord is not None:
        return pitches(chord)
    if include and primer is None:
        raise GenerationError("there is no primer to include: give one")
    return read(primer) if isinstance(primer, str | os.PathLike) else primer


def digest(primer: Performance) -> str:
    """Return the SHA-256 of a primer's notes and pedal movements, whatever file holds them."""
    fields = [
        array[name] for array in (primer.notes, primer.controls) for name in array.dtype.names or ()
    ]
    return hashlib.sha256(b"".join(field.tobytes() for field in fields)).hexdigest()


def continued(primer: Performance, more: Performance, begin_s: float) -> Performance:
    """Return a primer as it is, and after it, from a second on, what a model went on with.

    Pedals that the primer leaves down are lifted where its last sound and movement are over,
    except for the sustain pedal if `more` begins with it down.
    """
    held = dict(primer.controls[["number", "value"]].tolist())
    down = {number for number, value in held.items() if value >= PEDAL_THRESHOLD}
    controls = more.controls.copy()
    if SUSTAIN in down and controls[:1].tolist() == [(0.0, SUSTAIN, 127)]:
        down.remove(SUSTAIN)
        controls = controls[1:]
    notes = more.notes.copy()
    for times in (notes["onset_s"], notes["offset_s"], controls["time_s"]):
        times += begin_s
    end_s = max([begin_s, *primer.controls["time_s"][-1:]])
    lifted = np.array([(end_s, number, 0) for number in sorted(down)], CONTROL_DTYPE)
    return Performance(
        np.concatenate((primer.notes, notes)),
        np.concatenate((primer.controls, lifted, controls)),
    )


def sooner(ids: Ids, steps: int, v: Vocabulary) -> Ids:
    """Return ids that begin with so many steps of nothing, without these."""
    ids = ids.copy()
    for place, id_ in enumerate(ids if steps else ()):
        taken = min(steps, int(v.values[id_]))
        ids[place] -= taken
        steps -= taken
        if not steps:
            break
    return ids


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
