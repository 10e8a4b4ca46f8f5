"""Reading MIDI files. Here alone ticks become seconds; `espressivo.midi.write` does the reverse.

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

symusic does the parsing, of tracks that `espressivo.midi.smf` has checked and made plain.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick

from espressivo.errors import MidiError
from espressivo.midi import smf
from espressivo.midi.smf import MAX_SECONDS
from espressivo.music import (
    CONTROL_DTYPE,
    NOTE_DTYPE,
    PEDALS,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    Performance,
)

__all__ = ["deepest", "from_bytes", "read"]

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
    return from_bytes(smf.load(path), str(path), programs)


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
        for _ in smf.all_events(tracks):  # which names the fault, if there is one
            pass
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
        sources = [deepest(sources)]
    if not sources:
        return np.empty(0, CONTROL_DTYPE)
    time, number, value = sources[0]
    if time[0] < 0 or value.max() > 127 or (time[1:] < time[:-1]).any():
        raise ValueError("a movement of a pedal has an impossible time or value")
    controls = np.empty(len(time), CONTROL_DTYPE)
    controls["time_s"] = _seconds(time, segments)
    controls["number"], controls["value"] = number, value
    return controls


def deepest(sources: list[_Moves]) -> _Moves:
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
