"""Writing MIDI files, in which one tick is exactly one millisecond.

A written file is of type 1, with 480 ticks per quarter note at 125 quarter notes a minute, and has
two tracks, which is the layout that music software expects:

1. The conductor track: where the file comes from (see `espressivo.provenance`), tempo, time
   signature 4/4, and the key signature if one is given.
2. The piano: name of the track, program change to piano on channel 1, pedals and notes.

With the beats of the performance, its tempos and time signatures are those of the conductor track,
and ticks are as fine as a millisecond needs (see `espressivo.midi.TempoMap`).

Times are rounded to the tick once, each from its own second, so that errors do not add up; the
10 ms grid of the vocabularies is exact. Nothing else enters the bytes, no date and no path: the
same performance and the same arguments give the same file.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import MidiError
from espressivo.files import replacing
from espressivo.midi import smf
from espressivo.midi.provenance import Provenance
from espressivo.midi.tempo_map import TempoMap
from espressivo.music import Beats, Performance

__all__ = [
    "TEMPO_US",
    "TICKS_PER_QUARTER",
    "TICKS_PER_SECOND",
    "key_signature_data",
    "to_bytes",
    "write",
]

TICKS_PER_QUARTER = 480
TEMPO_US = 480_000  # microseconds per quarter note
TICKS_PER_SECOND = TICKS_PER_QUARTER * 1_000_000 // TEMPO_US
"""Resolution of written files: 1000."""

_STEADY = TempoMap(np.zeros(1), np.zeros(1), np.array([TEMPO_US]), ((0.0, 4, 4),))
_MAX_NAME = 200


def write(
    performance: Performance,
    path: str | os.PathLike[str],
    *,
    provenance: Provenance | None = None,
    key_signature: tuple[int, bool] | None = None,
    name: str = "Piano",
    beats: Beats | None = None,
) -> None:
    """Write a performance as a MIDI file; an older file at `path` is replaced only when done.

    Parameters
    ----------
    performance : Performance
    path : path
    provenance, key_signature, name, beats : optional
        See `to_bytes`.

    Raises
    ------
    MidiError
        As in `to_bytes`, or if the file cannot be written. The message begins with the path.
    """
    try:
        data = to_bytes(
            performance,
            provenance=provenance,
            key_signature=key_signature,
            name=name,
            beats=beats,
        )
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MidiError(f"{path}: cannot be written: {reason}") from None


def to_bytes(
    performance: Performance,
    *,
    provenance: Provenance | None = None,
    key_signature: tuple[int, bool] | None = None,
    name: str = "Piano",
    beats: Beats | None = None,
) -> bytes:
    """Return a performance as the bytes of a MIDI file.

    Times are rounded to the nearest tick (`TICKS_PER_SECOND`); a note lasts at least one tick.
    Where notes of one pitch overlap, readers pair them anew: the first to begin is the first to
    end. Within a tick pedals come first, then note-offs, then note-ons.

    Parameters
    ----------
    performance : Performance
    provenance : Provenance, optional
        Which model and settings made the performance. Without it the file has no text events.
    key_signature : (int, bool), optional
        Number of sharps, -7..7 (flats are negative), and whether the key is minor: A major is
        ``(3, False)``. It only tells other programs how to spell the notes.
    name : str
        Name of the piano track, at most 200 printable characters.
    beats : Beats, optional
        Beats of the performance, as `espressivo.beats` finds them. They become the tempo map of the
        file, so that bars fall on them in other programs, while every note sounds at its time to
        a millisecond. Their key signatures are written where `key_signature` is not given.

    Raises
    ------
    MidiError
        If the performance is longer than `smf.MAX_SECONDS`, or an argument is out of range.
    """
    if performance.seconds > smf.MAX_SECONDS:
        raise MidiError(
            f"a performance of {performance.seconds / 3600:.1f} hours is too long for a MIDI "
            f"file: at most {smf.MAX_SECONDS // 3600} hours can be written"
        )
    if len(name) > _MAX_NAME or not name.isprintable():
        raise MidiError(
            f"the name of the track must be at most {_MAX_NAME} printable characters, "
            f"not {name[:_MAX_NAME]!r}"
        )
    told = [
        *(smf.meta(status, text) for status, text in (provenance.texts() if provenance else ())),
    ]
    tempos = _STEADY if beats is None else TempoMap.of(beats)
    if beats is not None and key_signature is not None:
        tempos = dataclasses.replace(tempos, keys=())
    conductor = [(0, message) for message in told] + tempos.messages()
    if key_signature is not None:
        signature = smf.meta(smf.KEY_SIGNATURE, key_signature_data(*key_signature))
        conductor.append((0, signature))
        conductor.sort(key=lambda one: one[0])
    beginning = [smf.meta(smf.TRACK_NAME, name.encode()), bytes((0xC0, 0))]
    gaps = np.diff([tick for tick, _ in conductor], prepend=0).tolist()
    tracks = (
        zip(gaps, (message for _, message in conductor), strict=True),
        (*((0, message) for message in beginning), *_played(performance, tempos)),
    )
    return smf.file([_track(events) for events in tracks], tempos.ticks_per_quarter)


def key_signature_data(sharps: int, minor: bool) -> bytes:
    """Return the data of the meta event; `MidiError` for what is no key signature."""
    if not -7 <= sharps <= 7:
        raise MidiError(f"a key signature has -7..7 sharps (flats are negative), not {sharps}")
    return sharps.to_bytes(1, "big", signed=True) + bytes((bool(minor),))


def _played(performance: Performance, tempos: TempoMap) -> Iterable[tuple[int, bytes]]:
    """Return pedals and notes in the order of the file, each with the ticks since the one before.

    The order within a tick is that of `to_bytes`.
    """
    notes, controls = performance.notes, performance.controls
    start, end, moved = (
        _ticks(times, tempos) for times in (notes["onset_s"], notes["offset_s"], controls["time_s"])
    )
    end = np.maximum(end, start + 1)

    tick = np.concatenate((moved, end, start))
    messages = np.empty((len(tick), 3), np.uint8)
    pedal, off, on = np.split(messages, (len(moved), len(moved) + len(end)))
    pedal[:] = np.stack((np.full(len(moved), 0xB0), controls["number"], controls["value"]), 1)
    off[:] = np.stack((np.full(len(end), 0x80), notes["pitch"], np.full(len(end), 64)), 1)
    on[:] = np.stack((np.full(len(start), 0x90), notes["pitch"], notes["velocity"]), 1)

    order = np.argsort(tick, kind="stable")
    gaps = np.diff(tick[order], prepend=0).tolist()
    return zip(gaps, map(bytes, messages[order]), strict=True)


def _ticks(time_s: NDArray[np.float64], tempos: TempoMap) -> NDArray[np.int64]:
    if tempos is _STEADY:
        return np.rint(time_s * TICKS_PER_SECOND).astype(np.int64)
    return np.rint(tempos.quarters_at(time_s) * tempos.ticks_per_quarter).astype(np.int64)


def _track(events: Iterable[tuple[int, bytes]]) -> bytes:
    parts = [smf.event(gap, message) for gap, message in events]
    return b"".join((*parts, smf.event(0, smf.meta(smf.END_OF_TRACK))))
