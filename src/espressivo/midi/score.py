"""Scores out of MIDI files: exports of notation programs, and what stands on a grid in a DAW.

Ticks become quarters, exactly (see `Score.ticks_per_quarter`). Repeats are as the file writes them
out. Parts that play a piano are one part, and each of its tracks a staff of it, if there are two or
more; every other track and channel is a part of its own. Drums, on channel 10, are left out, and so
are notes that are never ended or end where they begin, as in `espressivo.midi.read`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import ScoreError
from espressivo.midi import smf
from espressivo.midi.parts import LAST_PIANO, Part, notes_of, parts_of, pedal_moves_of
from espressivo.midi.reading import deepest
from espressivo.midi.song import Song, parsed_song
from espressivo.music import (
    KEY_DTYPE,
    METRE_DTYPE,
    MOVE_DTYPE,
    SCORE_NOTE_DTYPE,
    TEMPO_DTYPE,
    Score,
    ScorePart,
)

__all__ = ["grouped", "pitched_parts", "read_score", "score_from_bytes", "score_of"]

_DRUMS = 10  # the channel
_MOST_PARTS = 255  # that the fields of a note can tell apart
_ON_GRID = 0.9  # of the notes: a score, and with fewer also if it is more than chance gives
_MORE = 0.3  # so much of what chance leaves
_FEW = 16  # notes that tell nothing


def read_score(path: str | os.PathLike[str]) -> Score:
    """Read a MIDI file as a score.

    Raises
    ------
    MidiError
        If the file cannot be read as MIDI.
    ScoreError
        If it counts in frames, which have no beats; or if it is
        a performance: hardly more of its notes begin on a 16th or 24th of a quarter than chance
        gives. The message is one line and begins with the path.
    """
    return score_from_bytes(smf.load(path), str(path))


def score_from_bytes(data: bytes, name: str = "<bytes>") -> Score:
    """Read the bytes of a MIDI file as a score; see `read_score`. Errors begin with `name`."""
    return score_of(parsed_song(data, name), name)


def pitched_parts(song: Song) -> list[Part]:
    """Return the parts of a song that are no drums."""
    return [part for part in parts_of(song) if part.channel != _DRUMS]


def score_of(song: Song, name: str = "<bytes>") -> Score:
    """Return what a song holds as a score; see `read_score`. Errors begin with `name`."""
    division = song.division
    if division & 0x8000:
        raise ScoreError(f"{name}: the file counts in frames and has no beats: it is not a score")
    playing = pitched_parts(song)
    if len(playing) > _MOST_PARTS:
        raise ScoreError(
            f"{name}: {len(playing)} parts play: at most {_MOST_PARTS} can be in a score"
        )
    parts, places = grouped(playing)
    sounding = [note for note in notes_of(song, playing) if note.end > note.start]
    notes = np.zeros(len(sounding), SCORE_NOTE_DTYPE)
    if sounding:
        track, channel, pitch, velocity, start, end, _, _ = np.array(sounding, np.int64).T
        notes["onset"], notes["duration"] = start / division, (end - start) / division
        notes["pitch"], notes["velocity"] = pitch, velocity
        place = [places[key] for key in zip(track.tolist(), channel.tolist(), strict=True)]
        notes["part"], notes["staff"] = np.array(place).T
    score = Score(
        notes,
        ticks_per_quarter=division,
        tempos=np.array([(t / division, us / 1e6) for t, us in song.tempos], TEMPO_DTYPE),
        metres=_metres(song),
        keys=_keys(song),
        moves=_moves(song, sorted({part.channel for part in playing})),
        parts=parts or (ScorePart(),),
    )
    chance = score.on_grid_by_chance
    by_chance = score.on_grid < min(_ON_GRID, chance + _MORE * (1 - chance))
    if len(score) >= _FEW and by_chance:
        raise ScoreError(
            f"{name}: this is a performance, not a score: {score.on_grid:.0%} of its notes begin "
            "on a 16th or 24th of a quarter, no more than by chance. Give the score that it is of, "
            "or quantise it first, in a notation program or a DAW"
        )
    return score


def grouped(
    playing: Sequence[Part],
) -> tuple[tuple[ScorePart, ...], dict[tuple[int, int], tuple[int, int]]]:
    """Return the parts of the score, and part and staff of each track and channel."""
    pianos = [part for part in playing if part.program <= LAST_PIANO]
    parts: list[ScorePart] = []
    places: dict[tuple[int, int], tuple[int, int]] = {}
    for part in playing:
        if part in pianos and len(pianos) > 1:
            staff = pianos.index(part) + 1
            if staff == 1:
                piano = len(parts)
                parts.append(ScorePart(part.name, part.program))
            places[part.track, part.channel] = piano, staff
        else:
            places[part.track, part.channel] = len(parts), 0
            parts.append(ScorePart(part.name, part.program))
    return tuple(parts), places


def _metas(song: Song, status: int, least: int) -> list[tuple[float, bytes]]:
    """Return onset and data of all meta events of a kind that have enough data, in order."""
    found = [
        (message.tick / song.division, message.data)
        for track in song.tracks
        for message in track.messages
        if message.status == status and len(message.data) >= least
    ]
    return sorted(found, key=lambda pair: pair[0])


def _metres(song: Song) -> NDArray[np.void]:
    metas = _metas(song, smf.TIME_SIGNATURE, 2)
    rows = [(onset, data[0], 1 << data[1]) for onset, data in metas if data[0] and data[1] < 8]
    return np.array(rows, METRE_DTYPE)


def _keys(song: Song) -> NDArray[np.void]:
    rows = []
    for onset, data in _metas(song, smf.KEY_SIGNATURE, 2):
        sharps = int.from_bytes(data[:1], "big", signed=True)
        if -7 <= sharps <= 7:
            rows.append((onset, sharps, data[1] == 1))
    return np.array(rows, KEY_DTYPE)


def _moves(song: Song, channels: Sequence[int]) -> NDArray[np.void]:
    """Return the movements of pedals; where several channels move the same, the deepest counts."""
    sources = []
    for channel in channels:
        rows = [(move[0], move[3], move[4]) for move in pedal_moves_of(song, channel)]
        if rows:
            time, number, value = np.array(rows, np.int64).T
            sources.append((time, number, value))
    if len(sources) > 1:
        sources = [deepest(sources)]
    moves = np.empty(len(sources[0][0]) if sources else 0, MOVE_DTYPE)
    if sources:
        time, moves["number"], moves["value"] = sources[0]
        moves["onset"] = time / song.division
    return moves
