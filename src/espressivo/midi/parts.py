"""Parts of a MIDI file: which notes are the piano's, and what it plays as a performance."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from espressivo.errors import MidiError
from espressivo.midi import smf
from espressivo.midi.reading import deepest, seconds_at
from espressivo.midi.song import Song
from espressivo.music import CONTROL_DTYPE, NOTE_DTYPE, PEDALS, Performance

__all__ = [
    "LAST_PIANO",
    "Part",
    "SongNote",
    "main_part",
    "notes_of",
    "part_performance",
    "parts_of",
    "pedal_moves_of",
    "piano",
]

_DRUMS = 9  # the channel, counted from 0
LAST_PIANO = 7
"""The last General MIDI program that is a piano; they begin with 0."""

_SHOWN = 8  # parts that a question names


class Part(NamedTuple):
    """What one channel plays on one track.

    Parameters
    ----------
    track : int
        Counted from 1.
    channel : int
        1..16.
    program : int
        General MIDI program of its first note, 0..127; 0..7 are pianos.
    name : str
        Of the track; may be empty.
    notes : int
    """

    track: int
    channel: int
    program: int
    name: str
    notes: int

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"track {self.track}{name} channel {self.channel} (program {self.program})"


class SongNote(NamedTuple):
    """A note of a song, by the messages that make it.

    Parameters
    ----------
    track, channel : int
        Counted from 1.
    pitch, velocity : int
    start, end : int
        Ticks; a note that is never ended has no length.
    on, off : int
        Places of its messages in its track; `off` is -1 if there is none.
    """

    track: int
    channel: int
    pitch: int
    velocity: int
    start: int
    end: int
    on: int
    off: int


def parts_of(song: Song) -> list[Part]:
    """Return the parts that have notes, drums included, by track and channel."""
    parts = []
    for number, track in enumerate(song.tracks, 1):
        name, programs = "", [0] * 16
        first: dict[int, int] = {}
        count: defaultdict[int, int] = defaultdict(int)
        for message in track.messages:
            channel = message.status & 15
            if message.status == smf.TRACK_NAME and not name:
                text = message.data.decode("utf-8", "replace")
                name = "".join(letter if letter.isprintable() else " " for letter in text).strip()
            elif message.status >> 4 == 0xC:
                programs[channel] = message.data[0]
            elif message.status >> 4 == 9 and message.data[1]:
                first.setdefault(channel, programs[channel])
                count[channel] += 1
        parts += [Part(number, c + 1, first[c], name, count[c]) for c in sorted(first)]
    return parts


def piano(song: Song, tracks: Collection[int] = (), channel: int | None = None) -> list[Part]:
    """Return the parts of the piano that is meant.

    With neither tracks nor a channel it is the only part there is, or the only one whose program is
    a piano; parts of one channel, on whatever tracks, are one instrument.

    Parameters
    ----------
    song : Song
    tracks : collection of int, optional
        Counted from 1.
    channel : int, optional
        1..16.

    Raises
    ------
    MidiError
        If nothing plays there, drums do, or several parts could be meant.
    """
    every = parts_of(song)
    found = [
        part
        for part in every
        if (not tracks or part.track in tracks) and channel in (None, part.channel)
    ]
    asked = bool(tracks) or channel is not None
    if not found:
        raise MidiError(
            f"nothing plays there: {_named(every)}" if every else "there are no notes in it"
        )
    for number in tracks:
        if number not in {part.track for part in found}:
            raise MidiError(f"nothing plays on track {number}: {_named(every)}")
    playing = [part for part in found if part.channel != _DRUMS + 1]
    if not playing:
        what = "what is chosen" if asked else "all there is"
        raise MidiError(f"{what} are drums, on channel 10: a fill plays the piano")
    pianos = [part for part in playing if part.program <= LAST_PIANO] or playing
    if tracks or len({part.channel for part in pianos}) == 1:
        by_track = defaultdict(list)
        for part in pianos if not tracks else playing:
            by_track[part.track].append(part)
        if all(len({part.channel for part in parts}) == 1 for parts in by_track.values()):
            return [part for parts in by_track.values() for part in parts]
    raise MidiError(f"which piano is meant? Choose by --track or --channel: {_named(pianos)}")


def main_part(song: Song) -> Part:
    """Return the part in which music goes on: the piano's first or, if none is meant, the longest.

    Without any notes it is channel 1 of the first track.
    """
    playing = [part for part in parts_of(song) if part.channel != _DRUMS + 1]
    if not playing:
        return Part(1, 1, 0, "", 0)
    try:
        return piano(song)[0]
    except MidiError:
        return max(playing, key=lambda part: part.notes)


def notes_of(song: Song, parts: Sequence[Part]) -> list[SongNote]:
    """Return the notes of some parts, by track and by the place where they begin.

    A note-off ends the oldest sounding note of its channel and pitch on its track, as in
    `espressivo.midi.read`.
    """
    wanted = {(part.track, part.channel) for part in parts}
    notes: list[SongNote] = []
    for number, track in enumerate(song.tracks, 1):
        sounding: defaultdict[tuple[int, int], deque[int]] = defaultdict(deque)
        first = len(notes)
        for place, message in enumerate(track.messages):
            kind, channel = message.status >> 4, (message.status & 15) + 1
            if kind not in (8, 9) or (number, channel) not in wanted:
                continue
            pitch, velocity = message.data
            key, tick = (channel, pitch), message.tick
            if kind == 9 and velocity:
                sounding[key].append(len(notes))
                notes.append(SongNote(number, channel, pitch, velocity, tick, tick, place, -1))
            elif sounding[key]:
                oldest = sounding[key].popleft()
                notes[oldest] = notes[oldest]._replace(end=tick, off=place)
        notes[first:] = sorted(notes[first:], key=lambda note: note.on)
    return notes


def pedal_moves_of(song: Song, channel: int) -> list[tuple[int, int, int, int, int]]:
    """Return the movements of all pedals of a channel, on any track, in order of time.

    Each is (tick, track counted from 1, place in the track, controller, value).
    """
    moves = [
        (message.tick, number, place, *message.data)
        for number, track in enumerate(song.tracks, 1)
        for place, message in enumerate(track.messages)
        if message.status == 0xB0 | channel - 1 and message.data[0] in PEDALS
    ]
    return sorted(moves, key=lambda move: move[0])


def part_performance(song: Song, parts: Sequence[Part]) -> Performance:
    """Return what some parts play; of one that is the whole file, what `midi.read` gives.

    Pedals are those of their channels; where several move the same, the deepest counts.
    """
    sounding = [note for note in notes_of(song, parts) if note.end > note.start]
    notes = np.empty(len(sounding), NOTE_DTYPE)
    for field, ticks in (("onset_s", "start"), ("offset_s", "end")):
        values = np.array([getattr(note, ticks) for note in sounding], np.int64)
        notes[field] = seconds_at(values, song.tempo_map)
    notes["pitch"] = [note.pitch for note in sounding]
    notes["velocity"] = [note.velocity for note in sounding]
    sources = []
    for channel in sorted({part.channel for part in parts}):
        moves = pedal_moves_of(song, channel)
        columns = np.array([(move[0], move[3], move[4]) for move in moves], np.int64).reshape(-1, 3)
        if len(columns):
            sources.append((columns[:, 0], columns[:, 1], columns[:, 2]))
    if len(sources) > 1:
        sources = [deepest(sources)]
    controls = np.empty(len(sources[0][0]) if sources else 0, CONTROL_DTYPE)
    if sources:
        time, controls["number"], controls["value"] = sources[0]
        controls["time_s"] = seconds_at(time, song.tempo_map)
    return Performance(notes, controls)


def _named(parts: Sequence[Part]) -> str:
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return ", ".join(map(str, parts[:_SHOWN])) + more
