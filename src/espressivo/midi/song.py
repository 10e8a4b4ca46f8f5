"""A MIDI file as it stands: every chunk and message of it, to be written back as they were.

`Song.to_bytes` of what `parsed_song` returns gives the same bytes, but for a RIFF file around it
and for running status where it went on after a meta or system event. What is odd in a file (see
`espressivo.midi.read`) stays in it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import MidiError
from espressivo.files import replacing
from espressivo.midi import smf
from espressivo.midi.reading import Segments, seconds_at, tempo_map

__all__ = ["Message", "Song", "Track", "parsed_song", "ticks_at"]

_BAR = re.compile(r"(\d+):(\d+(?:\.\d+)?)")


class Message(NamedTuple):
    """An event of a track.

    Parameters
    ----------
    tick : int
        Ticks since the beginning.
    status : int
        As `smf.events` gives it: of meta events 0x100 plus their type, of what is odd 0.
    data : bytes
        What follows the status; of meta and system events without its length.
    raw : bytes
        All bytes of it, status included, without its delta.
    delta : bytes
        The delta as it was written; empty for what is new.
    running : bool
        Whether the status was left out, being that of the message before.
    """

    tick: int
    status: int
    data: bytes
    raw: bytes
    delta: bytes = b""
    running: bool = False


class Track(NamedTuple):
    """The messages of a track in their order, and the bytes after its end, if there are any."""

    messages: tuple[Message, ...]
    rest: bytes = b""


@dataclass(frozen=True, eq=False)
class Song:
    """All that a MIDI file of type 0 or 1 holds.

    Parameters
    ----------
    header : bytes
        The header as it stands.
    division : int
        Its last field: ticks per quarter note, or frames.
    chunks : tuple of (bytes, Track or bytes)
        Name and content of each chunk after the header.
    rest : bytes
        What follows the last chunk.
    """

    header: bytes
    division: int
    chunks: tuple[tuple[bytes, Track | bytes], ...]
    rest: bytes = b""

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks, in the order of the file."""
        return tuple(content for _, content in self.chunks if isinstance(content, Track))

    def with_tracks(self, tracks: list[Track]) -> Song:
        """Return the song with other tracks in the places of its own."""
        new = iter(tracks)
        chunks = tuple(
            (name, next(new) if isinstance(content, Track) else content)
            for name, content in self.chunks
        )
        return Song(self.header, self.division, chunks, self.rest)

    def to_bytes(self) -> bytes:
        """Return the file."""
        parts = [self.header]
        for name, content in self.chunks:
            data = _written(content) if isinstance(content, Track) else content
            parts += name, len(data).to_bytes(4, "big"), data
        return b"".join((*parts, self.rest))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file; an older one at `path` is replaced only when done.

        Raises
        ------
        MidiError
            If it cannot be written. The message begins with the path.
        """
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(self.to_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise MidiError(f"{path}: cannot be written: {reason}") from None

    @cached_property
    def tempos(self) -> list[smf.Tempo]:
        """The tempo events of all tracks."""
        return [
            (message.tick, int.from_bytes(message.data, "big"))
            for track in self.tracks
            for message in track.messages
            if message.status == smf.TEMPO
        ]

    @cached_property
    def tempo_map(self) -> Segments:
        """When which tempo is in force."""
        return tempo_map(self.division, self.tempos)

    @cached_property
    def end(self) -> int:
        """The tick of the last event of any track."""
        return max((track.messages[-1].tick for track in self.tracks if track.messages), default=0)

    def seconds(self, tick: int) -> float:
        """Return the second at which a tick comes."""
        return float(np.ravel(seconds_at(np.array([tick]), self.tempo_map))[0])

    def tick(self, when: float | str) -> int:
        """Return the tick of a time.

        Parameters
        ----------
        when : float or str
            Seconds, or a bar and a beat, both counted from 1, such as ``"5:1"`` or ``"5:2.5"``; or
            ``"end"``, the end of the last track.

        Raises
        ------
        MidiError
            If it is none of these, or before the beginning. Times after the end are given, too.
        """
        text = str(when).strip()
        if text == "end":
            return self.end
        if bar := _BAR.fullmatch(text):
            return self._tick_of_beat(int(bar[1]), float(bar[2]))
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= smf.MAX_SECONDS:
            raise MidiError(
                f"{text!r} is not a time: give seconds, like 12.5, a bar and a beat, like 5:1, "
                "or 'end'"
            )
        return int(ticks_at(np.array([seconds]), self.tempo_map)[0])

    def _tick_of_beat(self, bar: int, beat: float) -> int:
        if self.division & 0x8000:
            raise MidiError("the file counts in frames and has no bars: give a time in seconds")
        tick, number = 0.0, 1
        numerator, quarters = 4, 1.0  # of a bar in 4/4
        metres = [
            (m.tick, m.data[0], 4 / (1 << m.data[1]))
            for track in self.tracks
            for m in track.messages
            if m.status == smf.TIME_SIGNATURE and len(m.data) == 4 and m.data[0] and m.data[1] < 8
        ]
        for change, beats, length in sorted(metres, key=lambda metre: metre[0]):
            whole = numerator * quarters * self.division
            passed = -int(-(change - tick) // whole)  # a bar that is cut short counts as one
            if number + passed > bar:
                break
            tick, number, numerator, quarters = float(change), number + passed, beats, length
        if bar < 1 or not 1 <= beat < numerator + 1:
            raise MidiError(
                f"there is no beat {beat:g} in bar {bar}: bars are counted from 1, and beats there "
                f"from 1 to {numerator}"
            )
        beats_in = (bar - number) * numerator + beat - 1
        return round(tick + beats_in * quarters * self.division)


def parsed_song(data: bytes, name: str = "<bytes>") -> Song:
    """Return what the bytes of a MIDI file hold; errors begin with `name`.

    Raises
    ------
    MidiError
        If `espressivo.midi.read` refuses the file, or it is of type 2.
    """
    try:
        content = smf.unwrap(data)
        kind, division, tracks, oddities = smf.chunks(content)
        if kind == 2:
            raise MidiError("of type 2, whose tracks are pieces of their own: split it first")
        spans = smf.layout(content)
        numbers = iter(range(len(tracks)))
        chunks: list[tuple[bytes, Track | bytes]] = []
        for chunk, begin, end in spans:
            inside = content[begin:end]
            track = chunk == b"MTrk"
            chunks.append((chunk, _parsed(next(numbers), inside, oddities) if track else inside))
        header = content[: spans[0][1] - 8]
        song = Song(header, division, tuple(chunks), content[spans[-1][2] :])
        song.tempo_map  # noqa: B018 - refuses what is damaged
    except MidiError as error:
        raise MidiError(f"{name}: {error}") from None
    return song


def ticks_at(times_s: NDArray[np.float64], segments: Segments) -> NDArray[np.int64]:
    """Return the nearest ticks to times in seconds, in a tempo map."""
    start, time_s, scale = (np.array(column) for column in zip(*segments, strict=True))
    inside = np.maximum(np.searchsorted(time_s, times_s, "right") - 1, 0)
    ticks = start[inside] + (times_s - time_s[inside]) / scale[inside]
    return np.asarray(np.rint(ticks), np.int64)


def _parsed(number: int, track: bytes, oddities: smf.Oddities) -> Track:
    messages, begin, status_before = list[Message](), 0, b""
    for tick, status, data, end in smf.events(number, track, oddities):
        _, at = smf.read_number(track, begin)
        raw, running = track[at:end], track[at] < 0x80
        if running:
            raw = status_before + raw
        elif raw[0] < 0xF0:
            status_before = raw[:1]
        messages.append(Message(tick, status, data, raw, track[begin:at], running))
        begin = end
    return Track(tuple(messages), track[begin:])


def _written(track: Track) -> bytes:
    parts: list[Any] = []
    tick, before = 0, None
    for message in track.messages:
        gap, raw = message.tick - tick, message.raw
        tick = message.tick
        if message.delta and smf.read_number(message.delta, 0)[0] == gap:
            parts.append(message.delta)
        else:
            parts.append(smf.event(gap, b""))
        parts.append(raw[1:] if message.running and raw[0] == before else raw)
        before = raw[0] if raw[0] < 0xF0 else None
    return b"".join((*parts, track.rest))
