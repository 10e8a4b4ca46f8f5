"""MIDI files to performances and back. The only owner of ticks, tempo and SMPTE divisions.

Reading
-------
- Types 0, 1 and 2, with a division in ticks per quarter note or in SMPTE frames; also wrapped in
  RIFF. All tracks are merged. The tracks of a type 2 file are independent patterns, each with its
  own tempo map; they are laid one after another.
- The tempo map is made of the tempo events of every track; of several at one tick the last in
  the file counts. With an SMPTE division tempo has no meaning.
- Within a track, a note-off (or note-on with velocity 0) ends the oldest sounding note of its
  channel and pitch. Note-offs without a note, notes that are never ended and notes that end at
  the tick where they began are left out, as pretty_midi does.
- Channel 10 holds drums and is left out. Of the controllers the three pedals are kept. Pedals
  belong to the notes of their channel and track: those of a channel that plays nothing are left
  out, unless the file plays nothing at all. Where several channels or tracks move the same pedal,
  it is at each moment as deep as the deepest of them.
- Ticks become seconds in the same floating-point steps as in pretty_midi, so that quantised
  times agree with note-seq to the last bit.

Writing
-------
One track, piano (program 0), 120 quarter notes a minute, 9600 ticks each: the ticks of files with
384 or 480 ticks per quarter note at that tempo, and steps of 10 ms, are whole numbers of ticks.

symusic does the parsing, of tracks that `espressivo.midi.smf` has checked and made plain.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick

from espressivo.errors import MidiError
from espressivo.files import replacing
from espressivo.midi import smf
from espressivo.music import (
    CONTROL_DTYPE,
    NOTE_DTYPE,
    PEDALS,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    Performance,
)

__all__ = [
    "MAX_BYTES",
    "MAX_SECONDS",
    "TICKS_PER_SECOND",
    "from_bytes",
    "read",
    "to_bytes",
    "write",
]

MAX_BYTES = 16 << 20
"""Larger files are refused: the longest of MAESTRO has half a megabyte."""

MAX_SECONDS = 12 * 3600
"""Longer performances are neither read nor written."""

_TICKS_PER_QUARTER, _TEMPO = 9600, 500_000
TICKS_PER_SECOND = 19_200
"""Resolution of written files."""

# A zero-length note on each channel: without notes, symusic forgets a channel's controllers.
_ANCHORS = b"".join(bytes((0, 0x90 | c, 0, 1, 0, 0x80 | c, 0, 0)) for c in range(16))

_Segments = list[tuple[int, float, float]]
_Columns = dict[str, NDArray[Any]]
_Moves = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def read(path: str | os.PathLike[str], programs: Collection[int] | None = None) -> Performance:
    """Read a MIDI file.

    Parameters
    ----------
    path : path
    programs : collection of int, optional
        Keep only notes played by these General MIDI programs, 0..127 (0..7 are pianos), as the
        last program change on their channel and track says; without one the program is 0.
        By default everything but drums is kept.

    Returns
    -------
    Performance
        Empty if the file has no such notes. What is left out is said at the top of this module.

    Raises
    ------
    MidiError
        If the file cannot be read, is larger than `MAX_BYTES`, is not MIDI, or is damaged or
        truncated. The message is one line and begins with the path.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise MidiError(f"{path}: a folder, not a MIDI file")
        if not stat.S_ISREG(status.st_mode):
            raise MidiError(f"{path}: not a regular file")
        if status.st_size > MAX_BYTES:
            raise MidiError(
                f"{path}: {status.st_size} bytes are too many for a MIDI file: at most {MAX_BYTES}"
            )
        with open(path, "rb", buffering=0) as file:
            data = file.read(status.st_size)
    except (OSError, ValueError) as error:  # ValueError: a path that no system allows
        reason = getattr(error, "strerror", None) or error
        raise MidiError(f"{path}: cannot be read: {reason}") from None
    return from_bytes(data, str(path), programs)


def from_bytes(
    data: bytes, name: str = "<bytes>", programs: Collection[int] | None = None
) -> Performance:
    """Read the bytes of a MIDI file; see `read`. Errors begin with `name`."""
    kept = None if programs is None else frozenset(programs)
    if kept is not None and not kept <= frozenset(range(128)):
        raise ValueError("programs must be within 0..127")
    try:
        kind, division, tracks = smf.chunks(smf.unwrap(data))
        if kind == 2:
            performance = _in_turn([_merged([track], division, kept, True) for track in tracks])
        else:
            performance, _ = _merged(tracks, division, kept, False)
        if performance.seconds > MAX_SECONDS:
            raise MidiError(
                f"it would last {performance.seconds / 3600:.0f} hours, at most "
                f"{MAX_SECONDS // 3600} are allowed: a time or tempo in it is damaged"
            )
    except MidiError as error:
        raise MidiError(f"{name}: {error}") from None
    return performance


def write(performance: Performance, path: str | os.PathLike[str]) -> None:
    """Write a performance as a MIDI file; an older file at `path` is replaced only when done.

    Raises
    ------
    MidiError
        If the performance is longer than `MAX_SECONDS`, or the file cannot be written.
    """
    try:
        data = to_bytes(performance)
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MidiError(f"{path}: cannot be written: {reason}") from None


def to_bytes(performance: Performance) -> bytes:
    """Return a performance as the bytes of a MIDI file.

    Times are rounded to `TICKS_PER_SECOND`; a note lasts at least one tick. Where notes of one
    pitch overlap, readers pair them anew: the first to begin is the first to end. Within a tick
    pedals come first, then note-offs, then note-ons.

    Raises
    ------
    MidiError
        If the performance is longer than `MAX_SECONDS`.
    """
    if performance.seconds > MAX_SECONDS:
        raise MidiError(
            f"a performance of {performance.seconds / 3600:.1f} hours is too long for a MIDI "
            f"file: at most {MAX_SECONDS // 3600} hours can be written"
        )
    notes, controls = performance.notes, performance.controls
    start = np.rint(notes["onset_s"] * TICKS_PER_SECOND).astype(np.int64)
    end = np.maximum(np.rint(notes["offset_s"] * TICKS_PER_SECOND).astype(np.int64), start + 1)
    moved = np.rint(controls["time_s"] * TICKS_PER_SECOND).astype(np.int64)

    tick = np.concatenate((moved, end, start))
    messages = np.empty((len(tick), 3), np.uint8)
    pedal, off, on = np.split(messages, (len(moved), len(moved) + len(end)))
    pedal[:] = np.stack((np.full(len(moved), 0xB0), controls["number"], controls["value"]), 1)
    off[:] = np.stack((np.full(len(end), 0x80), notes["pitch"], np.full(len(end), 64)), 1)
    on[:] = np.stack((np.full(len(start), 0x90), notes["pitch"], notes["velocity"]), 1)

    order = np.argsort(tick, kind="stable")
    gaps = np.diff(tick[order], prepend=0).tolist()
    track = bytearray(b"\x00\xff\x51\x03" + _TEMPO.to_bytes(3, "big") + b"\x00\xc0\x00")
    for gap, message in zip(gaps, messages[order], strict=True):
        track += smf.event(gap, message.tobytes())
    return smf.file([bytes(track + b"\x00\xff\x2f\x00")], _TICKS_PER_QUARTER)


def _in_turn(parts: list[tuple[Performance, float]]) -> Performance:
    """Lay performances of given lengths (seconds) one after another."""
    notes, controls = [], []
    begin_s = 0.0
    for performance, length_s in parts:
        notes.append(performance.notes.copy())
        controls.append(performance.controls.copy())
        for times in (notes[-1]["onset_s"], notes[-1]["offset_s"], controls[-1]["time_s"]):
            times += begin_s
        begin_s += length_s
    return Performance(np.concatenate(notes), np.concatenate(controls))


def _merged(
    tracks: list[bytes], division: int, programs: frozenset[int] | None, whole: bool
) -> tuple[Performance, float]:
    """Merge tracks that share a tempo map.

    The second value, the seconds until the last end of track, is right if `whole` is set.
    """
    plain: list[bytes] = []
    tempos: list[smf.Tempo] = []
    length = 0
    for number, track in enumerate(tracks, 1):
        try:
            rest, in_track, end = smf.plain(track, programs, whole)
        except MidiError as error:
            raise MidiError(f"damaged: track {number}, {error}") from None
        plain.append(rest)
        tempos += in_track
        length = max(length, end)
    segments = _tempo_map(division, tempos)
    try:
        parsed = _parse(plain)
        if not parsed and programs is None:
            parsed = _parse([_ANCHORS + track for track in plain])
        played = [(notes, controls) for is_drum, notes, controls in parsed if not is_drum]
        performance = Performance._of_valid(
            _notes([notes for notes, _ in played], segments),
            _controls([controls for _, controls in played], segments),
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        for number, track in enumerate(tracks, 1):
            try:
                for _ in smf.events(track):
                    pass
            except MidiError as fault:
                raise MidiError(f"damaged: track {number}, {fault}") from None
        raise MidiError(f"cannot be parsed: {error}") from None
    return performance, float(_seconds(np.int64(length), segments))


def _parse(plain: list[bytes]) -> list[tuple[bool, _Columns, _Columns]]:
    """Let symusic parse plain tracks.

    Returns for each track and channel whether it holds drums, its notes and its controls.
    """
    # It looks a few bytes beyond the last track.
    score = ScoreTick.from_midi(smf.file(plain, 480, bytes(16)), True)
    return [(part.is_drum, part.notes.numpy(), part.controls.numpy()) for part in score.tracks]


def _tempo_map(division: int, tempos: list[smf.Tempo]) -> _Segments:
    """Return tick, second and seconds per tick where each tempo begins.

    Follows pretty_midi 0.2.11 (``_load_tempo_changes``, ``_update_tick_to_time``) operation by
    operation; a tempo that repeats the one before begins no segment.
    """
    if division & 0x8000:
        frames, ticks_per_frame = 256 - (division >> 8), division & 0xFF
        if frames not in (24, 25, 29, 30) or not ticks_per_frame:
            raise MidiError(
                f"damaged: an SMPTE division of {frames} frames a second with {ticks_per_frame} "
                "ticks each; 24, 25, 29 or 30 with 1..255 are allowed"
            )
        rate = 30000 / 1001 if frames == 29 else frames
        return [(0, 0.0, 1.0 / (rate * ticks_per_frame))]
    if not division:
        raise MidiError("damaged: the header gives 0 ticks per quarter note")
    segments = [(0, 0.0, 60.0 / (120.0 * division))]
    for tick, tempo in sorted(tempos, key=lambda pair: pair[0]):
        scale = 60.0 / ((6e7 / tempo) * division)
        start, time_s, before = segments[-1]
        if tick == 0:  # a single tempo stays a single segment, which is faster
            segments = [(0, 0.0, scale)]
        elif scale != before:
            segments.append((tick, time_s + before * (tick - start), scale))
    return segments


def _seconds(ticks: Any, segments: _Segments) -> Any:
    if len(segments) == 1:
        return segments[0][2] * ticks
    start, time_s, scale = (np.array(column) for column in zip(*segments, strict=True))
    inside = np.searchsorted(start, ticks, "right") - 1
    return time_s[inside] + scale[inside] * (ticks - start[inside])


def _notes(columns: list[_Columns], segments: _Segments) -> NDArray[np.void]:
    if not columns:
        return np.empty(0, NOTE_DTYPE)
    start, duration, pitch, velocity = (
        np.concatenate([column[name] for column in columns])
        for name in ("time", "duration", "pitch", "velocity")
    )
    key = start.astype(np.int64) * 128 + pitch
    if (key[1:] < key[:-1]).any():  # sorting whole numbers is much faster than sorting seconds
        order = np.argsort(key, kind="stable")
        start, duration, pitch, velocity = (
            column[order] for column in (start, duration, pitch, velocity)
        )
    if len(start) and (start[0] < 0 or pitch.min() < 0 or velocity.min() < 1):
        raise ValueError("a note has an impossible time, pitch or velocity")
    notes = np.empty(len(start), NOTE_DTYPE)
    notes["onset_s"] = _seconds(start, segments)
    notes["offset_s"] = _seconds(start + duration, segments)
    notes["pitch"], notes["velocity"] = pitch, velocity
    return notes if duration.min(initial=1) > 0 else notes[duration > 0]


def _controls(columns: list[_Columns], segments: _Segments) -> NDArray[np.void]:
    sources = []
    for column in columns:
        time, number, value = column["time"], column["number"], column["value"]
        pedal = (number == SUSTAIN) | (number == SOSTENUTO) | (number == SOFT)
        if not pedal.all():
            time, number, value = time[pedal], number[pedal], value[pedal]
        if len(time):
            sources.append((time, number, value))
    if len(sources) > 1:
        sources = [_deepest(sources)]
    if not sources:
        return np.empty(0, CONTROL_DTYPE)
    time, number, value = sources[0]
    if time[0] < 0 or value.max() > 127 or (time[1:] < time[:-1]).any():
        raise ValueError("a movement of a pedal has an impossible time or value")
    controls = np.empty(len(time), CONTROL_DTYPE)
    controls["time_s"] = _seconds(time, segments)
    controls["number"], controls["value"] = number, value
    return controls


def _deepest(sources: list[_Moves]) -> _Moves:
    """Merge the movements of pedals (ticks, numbers and values) from several sources.

    A pedal that several move has, at each tick where one of them does, the highest of their
    values.
    """
    merged = []
    for pedal in PEDALS:
        moves = [(t[n == pedal], v[n == pedal]) for t, n, v in sources if (n == pedal).any()]
        if not moves:
            continue
        time, value = moves[0]
        if len(moves) > 1:
            time = np.unique(np.concatenate([t for t, _ in moves]))
            # Before its first movement, at index -1, a pedal is up.
            standing = [np.append(v, 0)[np.searchsorted(t, time, "right") - 1] for t, v in moves]
            value = np.max(standing, axis=0)
        merged.append((time, np.full(len(time), pedal), value))
    time, number, value = (np.concatenate(column) for column in zip(*merged, strict=True))
    order = np.argsort(time, kind="stable")
    return time[order], number[order], value[order]
