"""Bytes of standard MIDI files: chunks, events, and tracks that symusic reads rightly.

symusic 0.5.8 reads beyond its buffer when a file is damaged, and it misreads or loses rarer
events: escapes and real-time messages within a track, running status after system exclusive
messages, tempos of a wrong length, and times beyond 32 bits. It is therefore only ever given whole
chunks of plain channel messages, which `plain` makes.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from espressivo.errors import MidiError
from espressivo.files import regular

__all__ = [
    "COPYRIGHT",
    "END_OF_TRACK",
    "KEY_SIGNATURE",
    "MAX_BYTES",
    "MAX_SECONDS",
    "MAX_TRACKS",
    "TEMPO",
    "TEXT",
    "TIME_SIGNATURE",
    "TRACK_NAME",
    "Oddities",
    "PlainTrack",
    "Tempo",
    "all_events",
    "chunks",
    "event",
    "events",
    "file",
    "layout",
    "load",
    "meta",
    "plain",
    "read_number",
    "unwrap",
    "variable_length",
]

MAX_BYTES = 16 << 20
"""Larger files are refused: the longest of MAESTRO has half a megabyte."""

MAX_SECONDS = 12 * 3600
"""Longer performances are neither read nor written."""

MAX_TRACKS = 1024
"""Files with more tracks that play are refused; empty tracks do not count."""

# Statuses of meta events, as `events` gives them: 0x100 plus the type.
TEXT, COPYRIGHT, TRACK_NAME = 0x101, 0x102, 0x103
"""The status of a meta event that holds text."""

END_OF_TRACK, TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x12F, 0x151, 0x158, 0x159

Tempo = tuple[int, int]
"""A tick, and the microseconds per quarter note from there on."""

_SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}
"""Number of data bytes of the system messages that some files hold although they should not."""

_UNDEFINED = (0xF4, 0xF5, 0xF9, 0xFD)

_MAX_TICKS = 1 << 30
# symusic counts ticks in 32 bits and does not notice an overflow. A plain rest of a track has
# deltas of at most 0x3FFF, in events of at least three bytes.
_SYMUSIC_TICKS, _TICKS_PER_BYTE = 1 << 31, 0x3FFF / 3

_EMPTY = (b"", b"\x00\xff\x2f\x00")
_SHORT = 64  # bytes
_CHUNK_NAME = re.compile(rb"[ -~]{4}")

# Of the bytes from 0xC0 on these are plain: not a program change but a delta, for a status follows
# and two data bytes (a program change that another one follows in running status looks the same;
# symusic reads both); and a delta or status up to 0xEF.
_PLAIN = re.compile(rb"(?s)[\xC0-\xCF][\0-\x7F][\x80-\xFF].[\0-\x7F]|[\xD0-\xEF](?![\x80-\xFF])")


class Oddities:
    """What is odd in a file and is passed over: of each kind the first, and their number."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, int]] = {}

    def add(self, what: str, track: int | None = None, byte: int | None = None) -> None:
        """Count something of a kind; `track`, of which the first is 0, and `byte` say where."""
        place, times = self._found.get(what, ("", 0))
        if not times and track is not None:
            place = f"track {track + 1}, byte {byte}: "
        self._found[what] = place, times + 1

    def lines(self) -> tuple[str, ...]:
        """Return a line for each kind, in the order in which they were found."""
        return tuple(
            f"{place}{what}" + (f", {times} times" if times > 1 else "")
            for what, (place, times) in self._found.items()
        )


def file(tracks: list[bytes], ticks_per_quarter: int, padding: bytes = b"") -> bytes:
    """Put tracks into a MIDI file, of type 0 if there is one; `padding` follows the last."""
    head = (6).to_bytes(4, "big") + b"".join(
        number.to_bytes(2, "big")
        for number in (int(len(tracks) > 1), len(tracks), ticks_per_quarter)
    )
    parts = [b"MThd", head]
    for track in tracks:
        parts += b"MTrk", len(track).to_bytes(4, "big"), track
    return b"".join((*parts, padding))


def event(gap: int, message: bytes) -> bytes:
    """Return the bytes of an event; a gap too long for one is bridged by empty texts."""
    bridges, gap = divmod(gap, 0x0FFFFFFF)
    return b"\xff\xff\xff\x7f\xff\x01\x00" * bridges + variable_length(gap) + message


def meta(status: int, data: bytes = b"") -> bytes:
    """Return the bytes of a meta event without its delta; `status` is 0x100 plus its type."""
    return bytes((0xFF, status & 0xFF)) + variable_length(len(data)) + data


def variable_length(value: int) -> bytes:
    """Write a number of one to four bytes, 0..0x0FFFFFFF; `read_number` reads it."""
    number = bytes((value & 0x7F,))
    while value := value >> 7:
        number = bytes((value & 0x7F | 0x80,)) + number
    return number


def load(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file that may be a MIDI file.

    Raises
    ------
    MidiError
        If it cannot be read or is larger than `MAX_BYTES`. The message begins with the path.
    """
    try:
        return regular(path, most=MAX_BYTES).read_bytes()
    except OSError as error:
        raise MidiError(f"{path}: cannot be read: {error.strerror}") from None


def unwrap(data: bytes) -> bytes:
    """Take the MIDI file out of a RIFF file; other data are returned as they are."""
    if data[:4] != b"RIFF":
        return data
    if len(data) < 12 or 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise MidiError(f"truncated: the RIFF file ends at byte {len(data)}, before it should")
    at = 12
    while data[8:12] == b"RMID" and at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data" and end <= len(data):
            return data[at + 8 : end]
        at = end + end % 2
    raise MidiError("a RIFF file without MIDI data in it")


def chunks(data: bytes) -> tuple[int, int, list[bytes], Oddities]:
    """Return type, division, the data of each track, and what was odd.

    Every chunk lies within the file. All whole tracks count, however many there should be, and a
    type above 2 is taken for 1.
    """
    if not data:
        raise MidiError("the file is empty")
    if data[:4] != b"MThd"[: len(data)]:
        raise MidiError(f"not a MIDI file: it begins with {data[:4]!r}, not b'MThd'")
    if len(data) < 14:
        raise MidiError(f"truncated: {len(data)} bytes, but the header alone has 14")
    length, kind, count, division = struct.unpack_from(">IHHH", data, 4)
    if length < 6:
        raise MidiError(f"damaged: the header gives its length as {length} bytes, not 6")
    spans, at = _spans(data, 8 + length, count)
    tracks = [data[begin:end] for name, begin, end in spans if name == b"MTrk"]
    if at != len(data) and len(tracks) < count:
        raise MidiError(
            f"truncated: the file ends at byte {len(data)}, in track {len(tracks) + 1} of {count}"
        )
    if not tracks:
        raise MidiError("there are no tracks in it")
    oddities = Oddities()
    if kind > 2:
        oddities.add(f"the header gives type {kind}, which is unknown: read as type 1")
        kind = 1
    if len(tracks) != count:
        oddities.add(f"the header says that there are {count} tracks, and there are {len(tracks)}")
    if at != len(data):
        oddities.add(f"{len(data) - at} bytes follow the last chunk: left out")
    return kind, division, tracks, oddities


def layout(data: bytes) -> list[tuple[bytes, int, int]]:
    """Return name, begin and end of the data of each chunk after the header, of any kind.

    The data are those of a file that `chunks` takes.
    """
    length, _, count = struct.unpack_from(">IHH", data, 4)
    return _spans(data, 8 + length, count)[0]


def _spans(data: bytes, at: int, count: int) -> tuple[list[tuple[bytes, int, int]], int]:
    """Return the chunks from a position on, and where the last ends; `count` tracks are due."""
    spans: list[tuple[bytes, int, int]] = []
    tracks = 0
    while at + 8 <= len(data):
        name, end = data[at : at + 4], at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        if end > len(data) or (tracks >= count and not _CHUNK_NAME.fullmatch(name)):
            break
        spans.append((name, at + 8, end))
        tracks += name == b"MTrk"
        at = end
    return spans, at


class PlainTrack(NamedTuple):
    """A track as `plain` makes it.

    Parameters
    ----------
    messages : bytes
        Channel messages only, of the wanted programs, without program changes.
    tempos : list of `Tempo`
    length : int
        Tick of the end of the track if all of it was walked; else 0.
    """

    messages: bytes
    tempos: list[Tempo]
    length: int


def plain(
    number: int, track: bytes, programs: frozenset[int] | None, whole: bool, oddities: Oddities
) -> PlainTrack:
    """Rewrite a track, the first having number 0, so that symusic reads it safely and rightly.

    In a plain track every byte with its top bit set is followed by one without, and none is in
    the range of program changes (0xC0..0xCF) or of meta and system events (0xF0..0xFF), except
    for the end of the track. It then holds nothing but channel messages with sound data bytes and
    deltas of at most two bytes. A track is walked event by event up to its last byte that is not
    plain, which in recordings mostly stands near the beginning, and to its end if `whole` is set;
    the rest is left as it is. A data byte above 127 in that rest is refused by symusic.
    """
    if track in _EMPTY:
        return PlainTrack(b"", [], 0)
    program = [0] * 16
    every = programs is None or 0 in programs  # no channel is to be left out
    until = len(track) if whole or not every else _last_special(track)

    out, tempos = bytearray(), list[Tempo]()
    tick = written = begin = end = 0
    copying = False  # a run of wanted messages, from `begin` on, is copied as it is
    for tick, status, data, after in events(number, track, oddities):
        wanted = 0x80 <= status < 0xF0 and status >> 4 != 0xC
        if wanted and not every and status >> 4 == 9 and data[1]:
            wanted = programs is None or program[status & 15] in programs
        if wanted:
            if not copying:  # it takes the time of what was left out before it, and a status
                out += event(tick - written, bytes((status,)) + data)
                begin, copying = after, True
            end, written = after, tick
            rest = len(track) - begin
            if end > until and tick + rest * _TICKS_PER_BYTE < _SYMUSIC_TICKS:
                return PlainTrack(b"".join((out, memoryview(track)[begin:])), tempos, 0)
        else:
            if copying:
                out += track[begin:end]
                copying = False
            if status == TEMPO:
                tempos.append((tick, int.from_bytes(data, "big")))
            elif status >> 4 == 0xC:
                program[status & 15] = data[0]
                if programs is not None and not programs.issuperset(program):
                    every, until = False, len(track)
    if copying:
        out += track[begin:end]
    return PlainTrack(bytes(out), tempos, tick)


def _last_special(track: bytes) -> int:
    """Return the position of the last byte that is not plain (see `plain`), or -1.

    In a short track, which is soon walked, it is not looked for.
    """
    track = track.removesuffix(b"\xff\x2f\x00")
    if len(track) < _SHORT:
        return len(track)
    code = np.frombuffer(track, np.uint8)
    suspect = code >= 0xC0
    suspect[:-1] |= code[:-1] & code[1:] >= 0x80
    suspects = suspect.tobytes()
    at = suspects.rfind(1)
    while at >= 0 and _PLAIN.match(track, at):
        at = suspects.rfind(1, 0, at)
    return at


def events(number: int, track: bytes, oddities: Oddities) -> Iterator[tuple[int, int, bytes, int]]:
    """Walk a track, the first having number 0, event by event.

    More lenient than the standard in some things. A running status survives meta and system
    events. A channel message with a data byte above 127, a status that no event has and what
    follows the end of the track are passed over, and told to `oddities`.

    Yields
    ------
    tick, status, data, end
        Of each event, `end` being the position behind it. The status of meta events is 0x100
        plus their type; it is 0 where something was passed over.

    Raises
    ------
    MidiError
        Where it cannot be told what comes next; the message gives the track and the position.
    """
    tick = at = begin = running = 0
    try:
        while at < len(track):
            begin = at
            delta, at = read_number(track, at)
            tick += delta
            if tick >= _MAX_TICKS:
                raise MidiError(f"tick {tick} is too late: at most {_MAX_TICKS - 1} is allowed")
            status = track[at]
            if status < 0xF0:
                if status >= 0x80:
                    running = status
                    at += 1
                elif not running:
                    raise MidiError(f"data byte {status} where an event should begin")
                end = at + (1 if 0xC0 <= running < 0xE0 else 2)
                data = track[at:end]
                if end > len(track):
                    break
                if data.isascii():
                    yield tick, running, data, end
                else:
                    oddities.add("a message with a data byte above 127", number, begin)
                    yield tick, 0, b"", end
            elif status in _UNDEFINED:
                end = at + 1
                oddities.add(f"0x{status:02X}, the status of no event", number, begin)
                yield tick, 0, b"", end
            else:
                status, length, at = _system(track, at)
                end = at + length
                if end > len(track):
                    break
                if status == TEMPO and (length != 3 or not any(track[at:end])):
                    raise MidiError("a tempo must have three bytes and a value above 0")
                yield tick, status, track[at:end], end
                if status == END_OF_TRACK:
                    if end < len(track):
                        oddities.add("bytes after the end of the track", number, end)
                    return
            at = end
        else:
            return
        raise IndexError
    except IndexError:
        fault = "the track ends within an event"
    except MidiError as error:
        fault = str(error)
    raise MidiError(f"damaged: track {number + 1}, byte {begin}: {fault}")


def all_events(tracks: list[bytes], oddities: Oddities) -> Iterator[tuple[int, int, int, bytes]]:
    """Walk several tracks, one after the other; see `events`.

    Yields
    ------
    track, tick, status, data
        Of each event; tracks are numbered from 0.
    """
    for number, track in enumerate(tracks):
        for tick, status, data, _ in events(number, track, oddities):
            yield number, tick, status, data


def _system(track: bytes, at: int) -> tuple[int, int, int]:
    """Read the head of a meta or system event; returns status, length and position of its data."""
    status = track[at]
    if status == 0xFF:
        length, begin = read_number(track, at + 2)
        return 0x100 + track[at + 1], length, begin
    if status in (0xF0, 0xF7):
        return status, *read_number(track, at + 1)
    return status, _SYSTEM_DATA[status], at + 1


def read_number(track: bytes, at: int) -> tuple[int, int]:
    """Read a number of one to four bytes; returns it and the position behind it."""
    value, last = 0, at + 3
    while (byte := track[at]) >= 0x80:
        if at == last:
            raise MidiError("a number has more than four bytes")
        value, at = (value | byte & 0x7F) << 7, at + 1
    return value | byte, at + 1
