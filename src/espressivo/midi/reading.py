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
  belong to the notes of their channel, on whatever track either stands: those of a channel that
  plays nothing are left out, unless the file plays nothing at all. Where several channels move the
  same pedal, it is at each moment as deep as the deepest of them.
- What is sound in an odd file is read: a message with a data byte above 127, a status that no event
  has, bytes after the end of a track or of the file, a number of tracks that is not theirs and an
  unknown type are passed over, and logged in one line; `espressivo.midi.describe` lists them.
- Ticks become seconds in the same floating-point steps as in pretty_midi, so that quantised
  times agree with note-seq to the last bit.

symusic does the parsing, of tracks that `espressivo.midi.smf` has checked and made plain.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

__all__ = ["Segments", "deepest", "from_bytes", "parsed", "read", "seconds_at", "tempo_map"]

# symusic makes a part of each program of a track: here every channel has a program of its own.
_PROGRAMS = b"".join(bytes((0, 0xC0 | c, c)) for c in range(16))
# It forgets the controllers of a channel without notes: a note without length keeps them.
_ANCHORS = [bytes((0, 0x90 | c, 0, 1, 0, 0x80 | c, 0, 0)) for c in range(16)]

Segments = list[tuple[int, float, float]]
"""A tempo map: tick, second and seconds per tick where each tempo begins."""

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
        If the file cannot be read, is larger than `MAX_BYTES`, is not MIDI, is truncated, or is
        damaged so that it cannot be told what follows. The message is one line and begins with the
        path.
    """
    return from_bytes(smf.load(path), str(path), programs)


def from_bytes(
    data: bytes, name: str = "<bytes>", programs: Collection[int] | None = None
) -> Performance:
    """Read the bytes of a MIDI file; see `read`. Errors begin with `name`."""
    performance, oddities = parsed(data, name, programs)
    if lines := oddities.lines():
        more = f"; and {len(lines) - 1} more oddities" if len(lines) > 1 else ""
        logging.getLogger(__name__).warning("%s: %s%s", name, lines[0], more)
    return performance


def parsed(
    data: bytes, name: str, programs: Collection[int] | None = None
) -> tuple[Performance, smf.Oddities]:
    """Return what `from_bytes` does, and what was odd, of which nothing is logged."""
    kept = None if programs is None else frozenset(programs)
    if kept is not None and not kept <= frozenset(range(128)):
        raise ValueError("programs must be within 0..127")
    try:
        try:
            return _parsed(data, kept, False)
        except (RuntimeError, ValueError, MemoryError):  # something odd where it was not walked
            return _parsed(data, kept, True)
    except MidiError as error:
        raise MidiError(f"{name}: {error}") from None
    except (RuntimeError, ValueError, MemoryError) as error:
        raise MidiError(f"{name}: cannot be parsed: {error}") from None


def _parsed(
    data: bytes, programs: frozenset[int] | None, whole: bool
) -> tuple[Performance, smf.Oddities]:
    """Read a file, if `whole` is set by walking every event of it."""
    kind, division, tracks, oddities = smf.chunks(smf.unwrap(data))
    plain = [
        smf.plain(number, track, programs, whole or kind == 2, oddities)
        for number, track in enumerate(tracks)
    ]
    playing = sum(bool(track.messages) for track in plain)
    if playing > smf.MAX_TRACKS:
        raise MidiError(f"{playing} of its tracks play: at most {smf.MAX_TRACKS} can be read")
    if kind == 2:
        patterns = [track for track in plain if track.messages or track.length]
        performance = _in_turn([_merged([one], division, programs is None) for one in patterns])
    else:
        performance, _ = _merged(plain, division, programs is None)
    if performance.seconds > MAX_SECONDS:
        raise MidiError(
            f"it would last {performance.seconds / 3600:.0f} hours, at most "
            f"{MAX_SECONDS // 3600} are allowed: a time or tempo in it is damaged"
        )
    return performance, oddities


def _in_turn(parts: list[tuple[Performance, float]]) -> Performance:
    """Lay performances of given lengths (seconds) one after another."""
    notes, controls = [np.empty(0, NOTE_DTYPE)], [np.empty(0, CONTROL_DTYPE)]
    begin_s = 0.0
    for performance, length_s in parts:
        notes.append(performance.notes.copy())
        controls.append(performance.controls.copy())
        for times in (notes[-1]["onset_s"], notes[-1]["offset_s"], controls[-1]["time_s"]):
            times += begin_s
        begin_s += length_s
    return Performance(np.concatenate(notes), np.concatenate(controls))


def _merged(tracks: list[smf.PlainTrack], division: int, every: bool) -> tuple[Performance, float]:
    """Merge tracks that share a tempo map; `every` tells whether every program is wanted.

    The second value, the seconds until the last end of track, is right if the tracks were walked.
    """
    segments = tempo_map(division, [tempo for track in tracks for tempo in track.tempos])
    notes, moves = _parse([track.messages for track in tracks if track.messages], every)
    performance = Performance._of_valid(_notes(notes, segments), _controls(moves, segments))
    length = max(track.length for track in tracks)
    return performance, float(seconds_at(np.int64(length), segments))


def _parse(plain: list[bytes], every: bool) -> tuple[list[_Columns], list[list[_Columns]]]:
    """Let symusic parse plain tracks.

    Returns the notes of each track and channel but drums, and the controls of each channel that
    plays notes, track by track; of every channel if none plays and `every` is set.
    """
    if not plain:
        return [], []
    tracks = []
    for messages in plain:
        anchors = [_ANCHORS[c] for c in range(16) if 0xB0 | c in messages]
        tracks.append(b"".join((_PROGRAMS, *anchors, messages)))
    # It looks a few bytes beyond the last track.
    from symusic.core import ScoreTick  # here, since importing it takes long

    score = ScoreTick.from_midi(smf.file(tracks, 480, bytes(16)), True)
    notes, moves, playing = [], defaultdict(list), set()
    for part in score.tracks:
        if part.is_drum:
            continue
        columns = part.notes.numpy()
        if len(columns["duration"]) and not columns["duration"][0]:  # an anchor, which comes first
            columns = {name: column[1:] for name, column in columns.items()}
        if columns["duration"].any():
            playing.add(part.program)
        notes.append(columns)
        moves[part.program].append(part.controls.numpy())
    heard = playing or (set(moves) if every else ())
    return notes, [moves[channel] for channel in sorted(heard)]


def tempo_map(division: int, tempos: list[smf.Tempo]) -> Segments:
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


def seconds_at(ticks: Any, segments: Segments) -> Any:
    """Return the seconds at which ticks, a number or an array, come in a tempo map."""
    if len(segments) == 1:
        return segments[0][2] * ticks
    start, time_s, scale = (np.array(column) for column in zip(*segments, strict=True))
    inside = np.searchsorted(start, ticks, "right") - 1
    return time_s[inside] + scale[inside] * (ticks - start[inside])


def _notes(columns: list[_Columns], segments: Segments) -> NDArray[np.void]:
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
    notes["onset_s"] = seconds_at(start, segments)
    notes["offset_s"] = seconds_at(start + duration, segments)
    notes["pitch"], notes["velocity"] = pitch, velocity
    return notes if duration.min(initial=1) > 0 else notes[duration > 0]


def _controls(channels: list[list[_Columns]], segments: Segments) -> NDArray[np.void]:
    sources = [moves for tracks in channels if len((moves := _moves(tracks))[0])]
    if len(sources) > 1:
        sources = [deepest(sources)]
    if not sources:
        return np.empty(0, CONTROL_DTYPE)
    time, number, value = sources[0]
    if time[0] < 0 or value.max() > 127 or (time[1:] < time[:-1]).any():
        raise ValueError("a movement of a pedal has an impossible time or value")
    controls = np.empty(len(time), CONTROL_DTYPE)
    controls["time_s"] = seconds_at(time, segments)
    controls["number"], controls["value"] = number, value
    return controls


def _moves(tracks: list[_Columns]) -> _Moves:
    """Return the movements of pedals of one channel, from all tracks, in order of time."""
    time, number, value = (
        np.concatenate([track[name] for track in tracks]) for name in ("time", "number", "value")
    )
    pedal = (number == SUSTAIN) | (number == SOSTENUTO) | (number == SOFT)
    if not pedal.all():
        time, number, value = time[pedal], number[pedal], value[pedal]
    if len(tracks) > 1:
        order = np.argsort(time, kind="stable")
        time, number, value = time[order], number[order], value[order]
    return time, number, value


def deepest(sources: list[_Moves]) -> _Moves:
    """Merge the movements of pedals (times, numbers and values) from several sources.

    A pedal that several move has, at each time when one of them does, the highest of their
    values. Each source is in order of time.
    """
    time, number, value = (np.concatenate(column) for column in zip(*sources, strict=True))
    source = np.repeat(np.arange(len(sources)), [len(times) for times, _, _ in sources])
    merged = []
    for pedal in PEDALS:
        ours = np.flatnonzero(number == pedal)
        ours = ours[np.argsort(time[ours], kind="stable")]
        if len(np.unique(source[ours])) > 1:
            value[ours] = _highest(source[ours].tolist(), value[ours].tolist())
            ours = ours[np.append(time[ours[1:]] != time[ours[:-1]], True)]  # when all have moved
        merged.append(ours)
    order = np.concatenate(merged)
    order = order[np.argsort(time[order], kind="stable")]
    return time[order], number[order], value[order]


def _highest(sources: list[int], values: list[int]) -> list[int]:
    """Return, after each movement of a source to a value, the highest at which any stands."""
    standing = dict.fromkeys(sources, 0)
    number_at = [len(standing)] + [0] * 127  # sources by value
    highest, found = 0, []
    for source, value in zip(sources, values, strict=True):
        number_at[standing[source]] -= 1
        number_at[value] += 1
        standing[source] = value
        highest = max(highest, value)
        while not number_at[highest]:
            highest -= 1
        found.append(highest)
    return found
