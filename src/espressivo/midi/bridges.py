"""Performances to and from partitura, pretty_midi and symusic.

Only symusic comes with espressivo. partitura is not needed, as its note arrays are plain NumPy
arrays, and pretty_midi is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import MidiError
from espressivo.midi.reading import deepest, from_bytes
from espressivo.midi.writing import TICKS_PER_SECOND, to_bytes
from espressivo.music import CONTROL_DTYPE, NOTE_DTYPE, PEDALS, Performance

__all__ = [
    "NOTE_ARRAY_DTYPE",
    "from_note_array",
    "from_pretty_midi",
    "from_symusic",
    "to_note_array",
    "to_pretty_midi",
    "to_symusic",
]

NOTE_ARRAY_DTYPE = np.dtype(
    [
        ("onset_sec", "f4"),
        ("duration_sec", "f4"),
        ("pitch", "i4"),
        ("velocity", "i4"),
        ("track", "i4"),
        ("channel", "i4"),
        ("id", "U256"),
    ]
)
"""The note array of a performance as partitura 1.9 has it, without its times in ticks."""

_QUARTERS_PER_SECOND = 2  # 120 quarter notes a minute, where nobody says otherwise


def to_note_array(performance: Performance) -> NDArray[np.void]:
    """Return the notes as partitura's note array of a performance.

    Seconds are rounded to single precision, which after ten minutes is 0.06 ms. The pedals are
    lost, and durations last until the release of the key; partitura itself gives them with the
    sustain pedal folded in, as does ``to_note_array(performance.sustained())``.

    Returns
    -------
    array of `NOTE_ARRAY_DTYPE`, shape (n,)
        All on track 0 and channel 0, with the ids "n0", "n1", ...
    """
    notes = performance.notes
    array = np.zeros(len(notes), NOTE_ARRAY_DTYPE)
    array["onset_sec"] = notes["onset_s"]
    array["duration_sec"] = notes["offset_s"] - notes["onset_s"]
    array["pitch"], array["velocity"] = notes["pitch"], notes["velocity"]
    array["id"] = [f"n{number}" for number in range(len(notes))]
    return array


def from_note_array(array: NDArray[np.void]) -> Performance:
    """Return the performance of a note array such as partitura's; it has no pedals.

    Parameters
    ----------
    array : structured array, shape (n,)
        Its fields ``onset_sec``, ``duration_sec`` (seconds, at least 0), ``pitch`` (0..127) and
        ``velocity`` (1..127) are read. All tracks and channels become one.

    Raises
    ------
    ValueError
        If one of these fields is missing, as in the note array of a score, or out of range.
    """
    needed = ("onset_sec", "duration_sec", "pitch", "velocity")
    missing = [name for name in needed if name not in (array.dtype.names or ())]
    if missing:
        raise ValueError(f"the note array of a performance needs the fields {', '.join(missing)}")
    onset_s = array["onset_sec"].astype(np.float64)
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + array["duration_sec"],
        pitch=array["pitch"],
        velocity=array["velocity"],
    )


def to_pretty_midi(performance: Performance) -> Any:
    """Return a ``pretty_midi.PrettyMIDI`` with one piano, its times not rounded.

    Its tempo and resolution are those of `espressivo.midi.write`.

    Raises
    ------
    MidiError
        If pretty_midi is not installed.
    """
    pretty_midi = _library("pretty_midi")
    piano = pretty_midi.Instrument(program=0)
    piano.notes = [
        pretty_midi.Note(velocity, pitch, onset_s, offset_s)
        for onset_s, offset_s, pitch, velocity in performance.notes.tolist()
    ]
    piano.control_changes = [
        pretty_midi.ControlChange(number, value, time_s)
        for time_s, number, value in performance.controls.tolist()
    ]
    result = pretty_midi.PrettyMIDI(
        resolution=TICKS_PER_SECOND // _QUARTERS_PER_SECOND,
        initial_tempo=60 * _QUARTERS_PER_SECOND,
    )
    result.instruments.append(piano)
    return result


def from_pretty_midi(pm: Any) -> Performance:
    """Return the performance of a ``pretty_midi.PrettyMIDI``.

    All instruments but drums become one. Of the controllers the three pedals are kept: those of
    the instruments that play notes, or of all if none does. Where several instruments move the
    same pedal, it is at each moment as deep as the deepest of them.

    Raises
    ------
    ValueError
        If a note or a movement of a pedal is out of range.
    """
    instruments = [each for each in pm.instruments if not each.is_drum]
    playing = [each for each in instruments if each.notes] or instruments
    notes = [(n.start, n.end, n.pitch, n.velocity) for each in playing for n in each.notes]
    sources = []
    for each in playing:
        moves = [(c.time, c.number, c.value) for c in each.control_changes if c.number in PEDALS]
        if moves:
            moves.sort(key=lambda move: move[0])
            time_s, number, value = map(np.array, zip(*moves, strict=True))
            sources.append((time_s, number, value))
    columns = deepest(sources) if len(sources) > 1 else sources[0] if sources else ()
    controls = list(zip(*columns, strict=True))
    return Performance(np.array(notes, NOTE_DTYPE), np.array(controls, CONTROL_DTYPE))


def to_symusic(performance: Performance) -> Any:
    """Return a ``symusic.Score`` in ticks, as if read from a file that `espressivo` wrote.

    See `espressivo.to_bytes` for what is rounded.

    Raises
    ------
    MidiError
        If the performance is too long for a MIDI file.
    """
    # It looks a few bytes beyond the last track, and strictly at all of them.
    from symusic.core import ScoreTick  # here, since importing it takes long

    return ScoreTick.from_midi(to_bytes(performance) + bytes(16), True)


def from_symusic(score: Any) -> Performance:
    """Return the performance of a ``symusic.Score``.

    The rules of `espressivo.midi` hold: a score that symusic has read from a file in ticks becomes
    what `espressivo.read` makes of the file. A score in seconds or quarter notes is first rounded
    to its ticks. (Read in ticks, and convert then: with ``ttype="second"`` symusic 0.5.8 itself
    reads wrong durations, see its issue 90.)

    Raises
    ------
    MidiError
        If the notes do not fit into a MIDI file.
    """
    return from_bytes(score.dumps_midi(), "symusic score")


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MidiError(f"{name} cannot be imported ({error}): pip install {name}") from error
