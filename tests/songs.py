"""MIDI files of many tracks made by code, and a reader to check edits by.

They share no code with the package. What is read is compared message by message.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from typing import NamedTuple

import midi_bytes as mb

Message = tuple[int, bytes]  # tick, and all bytes from the status on


class File(NamedTuple):
    kind: int
    division: int
    tracks: list[list[Message]]


def read(data: bytes) -> File:
    """Read a sound file, strictly."""
    assert data[:8] == b"MThd\0\0\0\6"
    kind, count, division = (int.from_bytes(data[at : at + 2], "big") for at in (8, 10, 12))
    at, tracks = 14, []
    for _ in range(count):
        assert data[at : at + 4] == b"MTrk"
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        tracks.append(_track(data[at + 8 : end]))
        at = end
    assert at == len(data)
    return File(kind, division, tracks)


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        value = value << 7 | data[at] & 0x7F
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _track(data: bytes) -> list[Message]:
    at = tick = 0
    running = None
    messages = []
    while at < len(data):
        gap, at = _number(data, at)
        tick += gap
        if data[at] >= 0xF0:
            begin = at
            length, at = _number(data, at + 2 if data[at] == 0xFF else at + 1)
            at += length
            messages.append((tick, data[begin:at]))
            running = None
            continue
        if data[at] >= 0x80:
            running, at = data[at], at + 1
        assert running is not None, "running status after a meta or system event"
        size = 1 if running >> 4 in (0xC, 0xD) else 2
        assert max(data[at : at + size]) < 0x80
        messages.append((tick, bytes((running,)) + data[at : at + size]))
        at += size
    assert messages[-1][1] == mb.END
    return messages


def made(rng: random.Random) -> bytes:
    """Make a file: a piano on channel 1, and other instruments, drums, texts and exclusives."""
    division = rng.choice([24, 96, 384, 480, 960])
    last = division * rng.randint(16, 48)
    conductor = [(0, mb.meta(3, b"a song")), (0, mb.meta(0x58, bytes((3, 2, 24, 8))))]
    for _ in range(rng.randint(0, 9)):
        conductor.append((rng.randrange(last), mb.tempo(rng.randint(200_000, 1_200_000))))
    for kind, word in ((1, b"text"), (5, b"ly-ric"), (6, b"marker"), (7, b"cue")):
        for _ in range(rng.randint(0, 6)):
            conductor.append((rng.randrange(last), mb.meta(kind, word)))
    for _ in range(rng.randint(0, 4)):
        conductor.append((rng.randrange(last), mb.exclusive(b"\x7e\x7f\x09\x01\xf7")))
    parts = [conductor, _part(rng, 0, division, last)]
    for channel in rng.sample([1, 5, 9], rng.randint(0, 3)):
        parts.append(_part(rng, channel, division, last))
        parts[-1].insert(0, (0, mb.program(40, channel)))
    if rng.random() < 0.3:
        merged = [message for part in parts for message in part]
        return mb.midi_file(_written(rng, merged, last), kind=0, division=division)
    return mb.midi_file(*(_written(rng, part, last) for part in parts), kind=1, division=division)


def _part(rng: random.Random, channel: int, division: int, last: int) -> list[Message]:
    messages = [(0, mb.meta(4, b"instrument"))]
    tick = 0
    while tick < last - division:
        tick += rng.choice([0, division // 4, division // 2, division, 2 * division])
        tick = min(tick, last)
        pitch, end = rng.randint(36, 84), tick + rng.randint(1, 3 * division)
        messages.append((tick, mb.on(pitch, rng.randint(1, 127), channel)))
        off = mb.on(pitch, 0, channel) if rng.random() < 0.5 else mb.off(pitch, channel)
        messages.append((min(end, last), off))
        if rng.random() < 0.3:
            messages.append((tick, mb.control(64, rng.randint(0, 127), channel)))
        if rng.random() < 0.1:
            messages.append((tick, mb.control(rng.choice([1, 7, 11, 67]), 90, channel)))
        if rng.random() < 0.05:
            messages.append((tick, bytes((0xE0 | channel, 0, rng.randint(0, 127)))))
    return messages


def _written(rng: random.Random, messages: list[Message], last: int) -> bytes:
    """Put messages into a track in order of time, sometimes with running status."""
    runs = rng.random() < 0.5
    events, tick, running = [], 0, None
    for when, raw in sorted(messages, key=lambda message: message[0]):
        same = runs and raw[0] == running
        events.append((when - tick, raw[1:] if same else raw))
        tick, running = when, raw[0] if raw[0] < 0xF0 else None
    return mb.track([*events, (last - tick, mb.END)], end=False)


def check(before: File, after: File, start: int, end: int, length: int, channel: int = 0) -> None:
    """Fail unless only the piano's notes and pedal between two ticks have changed.

    Note-offs of notes that begin between them are of the passage, wherever they stand.
    """
    assert after[:2] == before[:2]
    assert len(after.tracks) == len(before.tracks)
    for old, new in zip(before.tracks, after.tracks, strict=True):
        moved = length - (end - start)
        assert new[-1][1] == old[-1][1] == mb.END  # which may come later
        if old[-1][0] >= end:
            assert new[-1][0] >= old[-1][0] + moved
        _check(old[:-1], new[:-1], start, end, length, channel)


def _check(
    old: list[Message], new: list[Message], start: int, end: int, length: int, channel: int
) -> None:
    moved = length - (end - start)
    left, there = (
        _outside(track, first, last, channel)
        for track, first, last in ((old, start, end), (new, start, start + length))
    )
    assert [m for m in there if m[0] < start] == [m for m in left if m[0] < start]
    after = [(tick + moved, raw) for tick, raw in left if tick >= end]
    follow = [m for m in there if m[0] >= start + length]
    assert follow[len(follow) - len(after) :] == after
    put_off = follow[: len(follow) - len(after)]  # what had stood in a part that is no more
    assert not put_off or (moved < 0 and {tick for tick, _ in put_off} == {start + length})
    within = _within(new, start, start + length, channel) + put_off
    wanted = _within(old, start, end, channel)
    assert [(min(tick, start + length), raw) for tick, raw in wanted] == within


def _outside(track: list[Message], start: int, end: int, channel: int) -> list[Message]:
    offs = _offs(track, start, end, channel)
    return [
        message
        for place, message in enumerate(track)
        if not start <= message[0] < end and place not in offs
    ]


def _within(track: list[Message], start: int, end: int, channel: int) -> list[Message]:
    offs = _offs(track, start, end, channel)
    return [
        (tick, raw)
        for place, (tick, raw) in enumerate(track)
        if start <= tick < end
        and place not in offs
        and not _sounds(raw, channel)
        and raw[:2] != bytes((0xB0 | channel, 64))
    ]


def _sounds(raw: bytes, channel: int) -> bool:
    return raw[0] == 0x90 | channel and raw[2] > 0


def _offs(track: list[Message], start: int, end: int, channel: int) -> set[int]:
    """Return the places of the note-offs that end notes begun between two ticks."""
    sounding: defaultdict[int, deque[int]] = defaultdict(deque)
    offs = set()
    for place, (tick, raw) in enumerate(track):
        if _sounds(raw, channel):
            sounding[raw[1]].append(tick)
        elif raw[0] in (0x80 | channel, 0x90 | channel) and sounding[raw[1]]:
            if start <= sounding[raw[1]].popleft() < end:
                offs.add(place)
    return offs
