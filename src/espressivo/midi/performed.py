"""A performed score as a MIDI file: the file of the score with its notes, pedal and tempo changed.

Everything else in the file stays: other messages, drums, names, and their order. In one form the
notes stay on the score's grid, and a tempo event a beat carries the timing; in the other, time runs
evenly, 1000 ticks a second, and all messages move with the music. There the time signatures go,
since no bar is where they would put it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import MidiError
from espressivo.midi import smf
from espressivo.midi.parts import LAST_PIANO, Part, SongNote, notes_of
from espressivo.midi.score import grouped, pitched_parts
from espressivo.midi.song import Message, Song, Track, parsed_song
from espressivo.midi.tempo_map import TempoMap
from espressivo.midi.writing import (
    TEMPO_US,
    TICKS_PER_QUARTER,
    TICKS_PER_SECOND,
    key_signature_data,
)
from espressivo.music import SUSTAIN, UNMARKED_VELOCITY, Score

__all__ = ["Played", "performed_song", "song_of"]

_Array = NDArray[np.float64]

_FINEST_S = 0.001  # seconds of a tick, at most, where notes leave the grid
_MOST_TICKS = 0x7FFF  # per quarter
_LONGEST_US = 0xFFFFFF  # of a quarter
_EXACT = 1e-6  # ticks
_DRUMS = 9  # the channel, counted from 0
_NEW, _THERE, _PEDAL, _NOTES, _END = range(5)  # within a tick: a pedal after a reset


@dataclass(frozen=True)
class Played:
    """What is played of a score of n notes.

    Parameters
    ----------
    onset_s, end_s : arrays, shape (n,)
        Seconds, in the score's order of notes.
    velocity : int array, shape (n,)
        1..127.
    pedal : array of `espressivo.music.CONTROL_DTYPE`, or None
        Movements of the sustain pedal; None if those of the file stay.
    seconds_at : callable
        When quarters of the score come.
    in_time : bool
        Whether the tempos of the score are in force.
    """

    onset_s: _Array
    end_s: _Array
    velocity: NDArray[np.int64]
    pedal: NDArray[np.void] | None
    seconds_at: Callable[[_Array], _Array]
    in_time: bool


def song_of(score: Score) -> Song:
    """Return a score as the MIDI file that a machine would play.

    A track for tempos and signatures, and one for each staff of each part; parts have channels of
    their own, up to 15. Notes without a velocity have `espressivo.music.UNMARKED_VELOCITY`.

    Raises
    ------
    MidiError
        If a time signature or a key is none that MIDI has.
    """
    ticks = score.ticks
    conductor = [
        *(
            (tick, smf.meta(smf.TIME_SIGNATURE, _metre(beats, unit)))
            for tick, (_, beats, unit) in _at(score, score.metres)
        ),
        *(
            (tick, smf.meta(smf.KEY_SIGNATURE, key_signature_data(sharps, minor)))
            for tick, (_, sharps, minor) in _at(score, score.keys)
        ),
        *(
            (tick, smf.meta(smf.TEMPO, _microseconds(quarter_s).to_bytes(3, "big")))
            for tick, (_, quarter_s) in _at(score, score.tempos)
        ),
    ]
    tracks = [_track(conductor)]
    notes = score.notes
    for number, part in enumerate(score.parts):
        channel = number % 15 + (number % 15 >= _DRUMS)
        mine = notes["part"] == number
        for staff in np.unique(notes["staff"][mine]).tolist():
            name = part.name or "Piano"
            events = [
                (0, smf.meta(smf.TRACK_NAME, name.encode())),
                (0, bytes((0xC0 | channel, part.program))),
            ]
            if staff == notes["staff"][mine].min() and (number == 0 or not mine.any()):
                events += [
                    (tick, bytes((0xB0 | channel, which, value)))
                    for tick, (_, which, value) in _at(score, score.moves)
                ]
            these = notes[mine & (notes["staff"] == staff)]
            start, end = ticks(these["onset"]), ticks(these["onset"] + these["duration"])
            velocity = np.where(these["velocity"], these["velocity"], UNMARKED_VELOCITY)
            played = []
            for on, off, pitch, loud in zip(
                start.tolist(), end.tolist(), these["pitch"].tolist(), velocity.tolist(),
                strict=True,
            ):  # fmt: skip
                played.append((on, 1, bytes((0x90 | channel, pitch, loud))))
                played.append((max(off, on + 1), 0, bytes((0x80 | channel, pitch, 64))))
            played.sort(key=lambda one: one[:2])
            tracks.append(_track([*events, *((tick, raw) for tick, _, raw in played)]))
    return parsed_song(smf.file(tracks, score.ticks_per_quarter))


def performed_song(
    song: Song,
    score: Score,
    played: Played,
    *,
    tempo_map: bool = False,
    texts: Sequence[tuple[int, bytes]] = (),
) -> Song:
    """Return the file of a score, performed.

    Parameters
    ----------
    song : Song
        The file that the score was read of, or `song_of` it.
    score : Score
        The tempos may be others than those of the file.
    played : Played
    tempo_map : bool
        Whether notes stay on the grid of the score, and tempos carry the timing. If they are played
        in time, they always do.
    texts : sequence of (int, bytes)
        Meta events, by type and text, to be put at the beginning.

    Raises
    ------
    MidiError
        If the score is not of the song.
    """
    parts = pitched_parts(song)
    sung, silent = _in_order(song, parts)
    if len(sung) != len(score):
        raise MidiError(f"the score has {len(score)} notes and the file {len(sung)}")
    on_grid = tempo_map or played.in_time
    grid = _tempo_map(score, played) if on_grid else None
    times_s = [played.onset_s, played.end_s]
    if played.pedal is not None:
        times_s.append(played.pedal["time_s"])
    if grid is None:
        division, tempos = TICKS_PER_QUARTER, [(0, TEMPO_US)]
        ticks = [np.rint(one * TICKS_PER_SECOND).astype(np.int64) for one in times_s]

        def moved(tick: int) -> int:
            second = played.seconds_at(np.array([tick / song.division]))[0]
            return round(float(second) * TICKS_PER_SECOND)

    else:
        at = [grid.quarters_at(one) * song.division for one in times_s]
        finer = _finer(grid, song.division, at)
        division, tempos = song.division * finer, _tempos(grid, song.division * finer)
        ticks = [np.rint(one * finer).astype(np.int64) for one in at]

        def moved(tick: int) -> int:
            return tick * finer

        if tempos == _own_tempos(song, finer):
            tempos = []
    gone = set[int]()
    if tempos:
        gone.add(smf.TEMPO)
    if grid is None:
        gone.add(smf.TIME_SIGNATURE)
    ends = np.maximum(ticks[1], ticks[0] + 1)
    changes: list[dict[int, tuple[int, int] | None]] = [{} for _ in song.tracks]
    if [*ticks[0], *ends] != [*(note.start for note in sung), *(note.end for note in sung)]:
        for note in silent:  # their note-offs might end others now
            changes[note.track - 1].update({note.on: None, note.off: None})
    for note, start, end, velocity in zip(
        sung, ticks[0].tolist(), ends.tolist(), played.velocity.tolist(), strict=True
    ):
        changes[note.track - 1][note.on] = start, velocity
        changes[note.track - 1][note.off] = end, -1
    added: list[list[Message]] = [[] for _ in song.tracks]
    added[0] += [Message(0, *text, smf.meta(*text)) for text in texts]
    for tick, microseconds in tempos:
        data = microseconds.to_bytes(3, "big")
        added[0].append(Message(tick, smf.TEMPO, data, smf.meta(smf.TEMPO, data)))
    pedal: list[list[Message]] = [[] for _ in song.tracks]
    pedalled = set[int]()
    if played.pedal is not None:
        pedalled = _pedalled(parts, pedal, ticks[2], played.pedal)
    tracks = [
        _changed(track, change, add, move, moved, gone, pedalled)
        for track, change, add, move in zip(song.tracks, changes, added, pedal, strict=True)
    ]
    edited = song.with_tracks(tracks)
    header = song.header[:12] + division.to_bytes(2, "big") + song.header[14:]
    return Song(header, division, edited.chunks, edited.rest)


def _tempo_map(score: Score, played: Played) -> TempoMap:
    """Return the score's own tempos if it is played in time; else a tempo for each beat."""
    at = np.append(0.0, score.tempos["onset"])
    if not played.in_time:
        at = np.concatenate((at, score.beats))
    at = np.unique(at)
    ends = np.append(at[1:], max(score.quarters, at[-1] + 1))
    return TempoMap.through(np.append(at, ends[-1]), np.append(0.0, played.seconds_at(ends)))


def _finer(grid: TempoMap, division: int, ticks: Sequence[_Array]) -> int:
    """Return how many times finer ticks must be, to hold positions in ticks."""
    if all((np.abs(one - np.rint(one)) < _EXACT).all() for one in ticks):
        return 1
    longest_s = float(grid.microseconds.max()) * 1e-6 / division
    return max(1, min(int(np.ceil(longest_s / _FINEST_S)), _MOST_TICKS // division))


def _tempos(grid: TempoMap, division: int) -> list[tuple[int, int]]:
    """Return ticks and microseconds per quarter, where they change."""
    ticks = np.rint(grid.at * division).astype(np.int64).tolist()
    every = list(zip(ticks, grid.microseconds.tolist(), strict=True))
    return every[:1] + [here for before, here in pairwise(every) if here[1] != before[1]]


def _own_tempos(song: Song, finer: int) -> list[tuple[int, int]]:
    """Return the tempos of a file, of each tick the last, where they change."""
    latest = {0: 500_000}
    for tick, microseconds in sorted(song.tempos, key=lambda tempo: tempo[0]):
        latest[tick] = microseconds
    every = [(tick * finer, one) for tick, one in latest.items()]
    return every[:1] + [here for before, here in pairwise(every) if here[1] != before[1]]


def _in_order(song: Song, parts: Sequence[Part]) -> tuple[list[SongNote], list[SongNote]]:
    """Return the notes of a file in the order that a `Score` has, and those without length."""
    _, places = grouped(parts)
    every = sorted(
        notes_of(song, parts),
        key=lambda note: (note.start, note.pitch, places[note.track, note.channel]),
    )
    sung = [note for note in every if note.end > note.start]
    return sung, [note for note in every if note.end == note.start and note.off >= 0]


def _pedalled(
    parts: Sequence[Part],
    added: Sequence[list[Message]],
    ticks: NDArray[np.int64],
    pedal: NDArray[np.void],
) -> set[int]:
    """Add movements of the sustain pedal; return the channels, from 0, of which all others go."""
    pianos = [part for part in parts if part.program <= LAST_PIANO] or list(parts)
    tracks: dict[int, int] = {}
    for part in pianos:
        tracks.setdefault(part.channel - 1, part.track - 1)
    values = pedal["value"].tolist()
    for channel, track in tracks.items():
        for tick, value in zip(ticks.tolist(), values, strict=True):
            data = bytes((SUSTAIN, value))
            raw = bytes((0xB0 | channel,)) + data
            added[track].append(Message(tick, raw[0], data, raw))
    return set(tracks)


def _changed(
    track: Track,
    changes: dict[int, tuple[int, int] | None],
    added: list[Message],
    pedal: list[Message],
    moved: Callable[[int], int],
    gone: set[int],
    pedalled: set[int],
) -> Track:
    """Return a track with its notes moved, and something added, and something gone."""
    kept = [(message.tick, _NEW, message) for message in added]
    last = max((message.tick for message in (*added, *pedal)), default=0)
    sung = set[int]()  # ticks of a note
    for place, message in enumerate(track.messages):
        if message.status in gone:
            continue
        pedals = message.status >> 4 == 0xB and message.data[0] == SUSTAIN
        if pedals and message.status & 15 in pedalled:
            continue
        if place in changes:
            change = changes[place]
            if change is None:
                continue
            tick, velocity = change
            if velocity >= 0 and velocity != message.data[1]:
                data = bytes((message.data[0], velocity))
                message = message._replace(data=data, raw=message.raw[:1] + data)
        else:
            tick = moved(message.tick)
        if message.status == smf.END_OF_TRACK:
            tick = max(tick, last)
        last = max(last, tick)
        rank = _END if message.status == smf.END_OF_TRACK else _THERE
        kept.append((tick, rank, message._replace(tick=tick)))
    kept.sort(key=lambda one: one[:2])  # stable: what stood first at a tick stays first
    for place, (tick, there, message) in enumerate(kept):
        if message.status >> 4 in (8, 9):
            sung.add(tick)
        if there == _THERE and tick in sung:
            kept[place] = tick, _NOTES, message
    kept += [(message.tick, _PEDAL, message) for message in pedal]
    kept.sort(key=lambda one: one[:2])
    return Track(tuple(message for _, _, message in kept), track.rest)


def _at(score: Score, rows: NDArray[np.void]) -> Iterator[tuple[int, Any]]:
    return zip(score.ticks(rows["onset"]).tolist(), rows.tolist(), strict=True)


def _metre(beats: int, unit: int) -> bytes:
    power = int(unit).bit_length() - 1
    if unit != 1 << power or power > 7 or beats > 255:
        raise MidiError(f"MIDI has no time signature {beats}/{unit}")
    return bytes((beats, power, 24, 8))


def _microseconds(quarter_s: float) -> int:
    return int(np.clip(np.rint(quarter_s * 1e6), 1, _LONGEST_US))


def _track(events: Sequence[tuple[int, bytes]]) -> bytes:
    parts, now = [], 0
    for tick, raw in sorted(events, key=lambda one: one[0]):
        parts.append(smf.event(tick - now, raw))
        now = tick
    return b"".join((*parts, smf.event(0, smf.meta(smf.END_OF_TRACK))))
