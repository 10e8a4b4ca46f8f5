"""Editing a MIDI file: a passage of the piano is replaced, and nothing else changes.

Outside the passage every message of every track keeps its tick, its order and its bytes; where the
new passage is longer or shorter, all that comes after it moves by the difference, in all tracks,
tempo map, markers, lyrics and system exclusive messages too. Of the passage itself go the notes of
the piano that begin in it, with the note-offs that end them, and the movements of its sustain
pedal. Those that the new passage has too stay as they are, note for note. What remains within a
passage that becomes shorter stands at its new end at the latest.

A note that began before the passage ends where it did. The pedal is, where the passage ends, as
deep as it was there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import MidiError
from espressivo.midi import smf
from espressivo.midi.parts import Part, SongNote, notes_of, pedal_moves_of
from espressivo.midi.provenance import Provenance
from espressivo.midi.reading import Segments, tempo_map
from espressivo.midi.song import Message, Song, Track, ticks_at
from espressivo.midi.writing import key_signature_data
from espressivo.music import SUSTAIN, Performance

__all__ = ["appended", "replaced"]

_EARLY, _THERE, _LATE = range(3)  # within a tick: note-offs and pedals, what there was, note-ons
_PEDAL_UP = 0


class _Added(NamedTuple):
    """A message to be put into a track; its status is as in `smf`."""

    tick: int
    rank: int
    status: int
    data: bytes

    def message(self) -> Message:
        channel = self.status < 0x100
        raw = bytes((self.status,)) + self.data if channel else smf.meta(self.status, self.data)
        return Message(self.tick, self.status, self.data, raw)


class _Passage(NamedTuple):
    """Ticks of a passage, and how many ticks it lasts afterwards."""

    start: int
    end: int
    length: int

    def moved(self, tick: int) -> int:
        """Return where a tick of the file is afterwards."""
        if tick < self.start:
            return tick
        if tick < self.end:
            return min(tick, self.start + self.length)
        return tick + self.length - (self.end - self.start)


def replaced(
    song: Song,
    parts: Sequence[Part],
    start: int,
    end: int,
    performance: Performance,
    *,
    seconds: float | None = None,
    texts: Sequence[tuple[int, bytes]] = (),
) -> Song:
    """Replace a passage.

    Parameters
    ----------
    song : Song
        Not changed.
    parts : sequence of Part
        Of the piano; see `espressivo.midi.piano`.
    start, end : int
        Ticks: the passage begins with the messages at `start` and ends before those at `end`.
    performance : Performance
        The piano with its new passage, in seconds of the new file. Only what begins in the passage
        is taken from it: notes and the sustain pedal. A note with the onset, pitch and velocity of
        one that was there is that one, and its messages stay.
    seconds : float, optional
        How long the new passage is; by default as long as the old one.
    texts : sequence of (int, bytes)
        Meta events (status as in `smf`, and data) to be put at the beginning of the passage.

    Raises
    ------
    MidiError
        Unless ``0 <= start < end <= song.end``.
    """
    if not 0 <= start < end <= song.end:
        raise MidiError(
            f"no passage lies between ticks {start} and {end}: the file has {song.end} ticks"
        )
    length = end - start if seconds is None else _length(song, start, end, seconds)
    passage = _Passage(start, end, length)
    segments = tempo_map(
        song.division, [(passage.moved(tick), tempo) for tick, tempo in song.tempos]
    )
    added: dict[int, list[_Added]] = {part.track: [] for part in parts}
    removed: dict[int, set[int]] = {number: set() for number in range(1, len(song.tracks) + 1)}
    inside = [note for note in notes_of(song, parts) if start <= note.start < end]
    new, old = _new_notes(performance, inside, song, passage, segments)
    for note in old:
        removed[note.track] |= {note.on, note.off} - {-1}
    home = _homes(old, parts)
    for on, off, pitch, velocity in new.tolist():
        part = home(pitch)
        added[part.track] += _note(on, off, pitch, velocity, part.channel)
    for channel in sorted({part.channel for part in parts}):
        track = next(part.track for part in parts if part.channel == channel)
        added[track] += _pedals(song, channel, performance, passage, segments, removed)
    first = parts[0].track
    added[first] = [_Added(start, _EARLY, *text) for text in texts] + added[first]
    tracks = [
        _edited(track, passage, removed[number], added.get(number, []))
        for number, track in enumerate(song.tracks, 1)
    ]
    return song.with_tracks(tracks)


def appended(
    song: Song,
    part: Part,
    notes: NDArray[np.void],
    controls: NDArray[np.void],
    *,
    provenance: Provenance | None = None,
    key_signature: tuple[int, bool] | None = None,
) -> Song:
    """Put notes and movements of pedals after what a part plays; no message of the song changes.

    Only the end of its track moves, if it would come too early. Provenance and key signature stand
    where the new music begins.

    Parameters
    ----------
    song : Song
        Not changed.
    part : Part
    notes, controls : arrays of `NOTE_DTYPE` and `CONTROL_DTYPE`
        In seconds of the song.
    provenance, key_signature : optional
        Of what is new; see `espressivo.midi.to_bytes`.
    """
    on, off = _note_ticks(notes, song.tempo_map)
    moves = ticks_at(controls["time_s"], song.tempo_map)
    begin = int(min(np.min(on, initial=song.end), np.min(moves, initial=song.end)))
    texts = [] if provenance is None else provenance.texts()
    if key_signature is not None:
        texts.append((smf.KEY_SIGNATURE, key_signature_data(*key_signature)))
    added = [_Added(begin, _LATE, *text) for text in texts]
    status = 0xB0 | part.channel - 1
    for tick, number, value in zip(
        moves.tolist(), controls["number"].tolist(), controls["value"].tolist(), strict=True
    ):
        added.append(_Added(tick, _LATE, status, bytes((number, value))))
    for start, end, note in zip(on.tolist(), off.tolist(), notes, strict=True):
        added += _note(start, end, int(note["pitch"]), int(note["velocity"]), part.channel)
    tracks = list(song.tracks)
    whole = _Passage(song.end + 1, song.end + 1, 0)
    tracks[part.track - 1] = _edited(tracks[part.track - 1], whole, set(), added)
    return song.with_tracks(tracks)


def _length(song: Song, start: int, end: int, seconds: float) -> int:
    """Return the ticks that a passage of other length has, at the tempos within it."""
    within = [tempo for tempo in song.tempos if tempo[0] < end]
    segments = tempo_map(song.division, within)
    until_s = song.seconds(start) + seconds
    return max(1, int(ticks_at(np.array([until_s]), segments)[0]) - start)


def _note_ticks(
    notes: NDArray[np.void], segments: Segments
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    on, off = (ticks_at(notes[name], segments) for name in ("onset_s", "offset_s"))
    return on, np.maximum(off, on + 1)


def _new_notes(
    performance: Performance,
    inside: list[SongNote],
    song: Song,
    passage: _Passage,
    segments: Segments,
) -> tuple[NDArray[np.int64], list[SongNote]]:
    """Return ticks, pitch and velocity of the notes that are new, and the notes that go."""
    begin, end = passage.start, passage.start + passage.length
    notes = performance.notes
    on, off = _note_ticks(notes, segments)
    ours = np.flatnonzero((on >= begin) & (on < end))
    there = Counter(
        (note.start, note.pitch, note.velocity) for note in inside if note.end > note.start
    )
    kept: Counter[tuple[int, int, int]] = Counter()
    rows = []
    for index in ours.tolist():
        key = int(on[index]), int(notes["pitch"][index]), int(notes["velocity"][index])
        if kept[key] < there[key]:
            kept[key] += 1
        else:
            rows.append((key[0], int(off[index]), *key[1:]))
    old = []
    for note in inside:
        key = note.start, note.pitch, note.velocity
        if note.end > note.start and kept[key] > 0:
            kept[key] -= 1
        else:
            old.append(note)
    return np.array(rows, np.int64).reshape(-1, 4), old


def _homes(old: list[SongNote], parts: Sequence[Part]) -> Callable[[int], Part]:
    """Return what gives a new note its part: that of the old note nearest in pitch."""
    by_key = {(part.track, part.channel): part for part in parts}
    pitches = sorted((note.pitch, note.track, note.channel) for note in old)

    def home(pitch: int) -> Part:
        if not pitches:
            return parts[0]
        at = bisect_left(pitches, (pitch, 0, 0))
        near = pitches[max(at - 1, 0) : at + 1]
        return by_key[min(near, key=lambda one: abs(one[0] - pitch))[1:]]

    return home


def _note(on: int, off: int, pitch: int, velocity: int, channel: int) -> list[_Added]:
    return [
        _Added(on, _LATE, 0x90 | channel - 1, bytes((pitch, velocity))),
        _Added(off, _EARLY, 0x80 | channel - 1, bytes((pitch, 64))),
    ]


def _pedals(
    song: Song,
    channel: int,
    performance: Performance,
    passage: _Passage,
    segments: Segments,
    removed: dict[int, set[int]],
) -> list[_Added]:
    """Return the movements that are new on a channel, and mark those that go."""
    begin, end = passage.start, passage.start + passage.length
    before = expected = _PEDAL_UP
    there: list[tuple[int, int, int, int]] = []
    for tick, track, place, number, value in pedal_moves_of(song, channel):
        if number != SUSTAIN or tick >= passage.end:
            continue
        expected = value
        if tick < begin:
            before = value
        else:
            there.append((tick, value, track, place))
    controls = performance.controls[performance.controls["number"] == SUSTAIN]
    ticks = ticks_at(controls["time_s"], segments)
    wanted = [
        (tick, value)
        for tick, value in zip(ticks.tolist(), controls["value"].tolist(), strict=True)
        if begin <= tick < end
    ]
    left = Counter(wanted)
    for tick, value, track, place in there:
        if left[tick, value]:
            left[tick, value] -= 1
        else:
            removed[track].add(place)
    at_end = wanted[-1][1] if wanted else before
    new = [(tick, value) for (tick, value), count in left.items() for _ in range(count)]
    status = 0xB0 | channel - 1
    new.sort(key=lambda one: one[0])
    added = [_Added(tick, _EARLY, status, bytes((SUSTAIN, value))) for tick, value in new]
    if at_end != expected:
        added.append(_Added(end - 1, _LATE, status, bytes((SUSTAIN, expected))))
    return added


def _edited(track: Track, passage: _Passage, removed: set[int], added: Sequence[_Added]) -> Track:
    """Return a track without some messages and with others, all at their new ticks."""
    last = max((one.tick for one in added), default=0)
    ranked: list[tuple[tuple[int, int, int], Message]] = []
    for place, message in enumerate(track.messages):
        if place in removed:
            continue
        tick = passage.moved(message.tick)
        if message.status == smf.END_OF_TRACK:
            tick = max(tick, last)
        after = message.tick >= passage.end
        rank = 2 * _LATE if message.status == smf.END_OF_TRACK else _THERE
        ranked.append(((tick, int(after), rank), message._replace(tick=tick)))
    ranked += [((one.tick, 0, one.rank), one.message()) for one in added]
    ranked.sort(key=lambda one: one[0])  # stable: pedals were added before the note-offs
    return Track(tuple(message for _, message in ranked), track.rest)
