"""Builders of MIDI bytes, good and bad, for tests. They share no code with the package."""

from __future__ import annotations

from collections.abc import Iterable

Event = tuple[int, bytes]
"""Ticks since the event before, and the bytes of the message."""

END = bytes((0xFF, 0x2F, 0))


def number(value: int) -> bytes:
    """Return a number of variable length."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))


def on(pitch: int, velocity: int = 64, channel: int = 0) -> bytes:
    return bytes((0x90 | channel, pitch, velocity))


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes((0x80 | channel, pitch, 64))


def control(which: int, value: int, channel: int = 0) -> bytes:
    return bytes((0xB0 | channel, which, value))


def program(which: int, channel: int = 0) -> bytes:
    return bytes((0xC0 | channel, which))


def meta(kind: int, data: bytes = b"") -> bytes:
    return bytes((0xFF, kind)) + number(len(data)) + data


def tempo(microseconds: int) -> bytes:
    return meta(0x51, microseconds.to_bytes(3, "big"))


def exclusive(data: bytes) -> bytes:
    return b"\xf0" + number(len(data)) + data


def chunk(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "big") + data


def track(events: Iterable[Event], end: bool = True) -> bytes:
    data = b"".join(number(gap) + message for gap, message in events)
    return chunk(b"MTrk", data + (b"\x00" + END if end else b""))


def header(kind: int, count: int, division: int) -> bytes:
    return chunk(b"MThd", b"".join(n.to_bytes(2, "big") for n in (kind, count, division)))


def midi_file(
    *tracks: bytes, kind: int = 1, division: int = 480, count: int | None = None
) -> bytes:
    return header(kind, len(tracks) if count is None else count, division) + b"".join(tracks)


def one_track(*events: Event, division: int = 480) -> bytes:
    return midi_file(track(events), kind=0, division=division)


def smpte(frames: int, ticks_per_frame: int) -> int:
    return (256 - frames) << 8 | ticks_per_frame


def riff(data: bytes) -> bytes:
    padded = data + b"\x00" * (len(data) % 2)
    body = b"RMID" + b"data" + len(data).to_bytes(4, "little") + padded
    return b"RIFF" + len(body).to_bytes(4, "little") + body
