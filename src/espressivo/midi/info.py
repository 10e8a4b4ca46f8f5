"""What a MIDI file holds beside its notes: layout, tempos, signatures, texts, provenance."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from espressivo.errors import MidiError
from espressivo.midi import smf
from espressivo.midi.provenance import Provenance, find, is_provenance
from espressivo.midi.reading import parsed
from espressivo.music import PEDALS, SOFT, SOSTENUTO, SUSTAIN

__all__ = ["ChannelInfo", "FileInfo", "describe"]

_PEDAL_NAMES = {SUSTAIN: "sustain", SOSTENUTO: "sostenuto", SOFT: "soft"}
_TEXT_NAMES = {
    0x101: "text",
    0x102: "copyright",
    0x104: "instrument",
    0x105: "lyric",
    0x106: "marker",
    0x107: "cue point",
    0x108: "program name",
    0x109: "device name",
}
_FIFTHS = "Cb Gb Db Ab Eb Bb F C G D A E B F# C# G# D# A#".split()  # major from 7 flats on
_MOST_LINES = 10  # tracks or texts that `FileInfo.lines` shows


@dataclass(frozen=True)
class ChannelInfo:
    """How many notes one program plays on one channel, in all tracks together.

    Parameters
    ----------
    channel : int
        1..16; channel 10 holds drums.
    program : int
        General MIDI program, 0..127; 0 is the grand piano.
    notes : int
        Note-ons, including those whose note never ends or has no length.
    """

    channel: int
    program: int
    notes: int


@dataclass(frozen=True)
class FileInfo:
    """What a MIDI file holds, as `describe` finds it.

    Parameters
    ----------
    type : int
        0, 1 or 2.
    ticks_per_quarter : int or None
        None if the file counts in SMPTE frames.
    smpte : (int, int) or None
        Otherwise: frames a second (29 stands for 29.97) and ticks per frame.
    seconds : float
        Seconds until the last note or pedal movement that `read` gives, so without drums.
    tracks : tuple of str
        The name of each track, empty if it has none.
    tempo_events : int
    tempo_range : (float, float) or None
        Slowest and fastest tempo, in quarter notes a minute; None without tempo events. With
        SMPTE frames, tempo has no meaning.
    time_signatures : tuple of str
        Different ones in the order of the file, such as ``"4/4"``.
    key_signatures : tuple of (int, bool)
        Different ones in the order of the file: number of sharps, -7..7, and whether it is minor.
    channels : tuple of ChannelInfo
        By channel, then program.
    pedals : dict
        Movements of the pedals ``sustain``, ``sostenuto`` and ``soft``, as they stand in the file.
    texts : tuple of (str, str)
        Kind and content of each text event, but for names of tracks and the provenance.
        Characters that cannot be printed are replaced by spaces.
    provenance : Provenance or None
    provenance_error : str or None
        Why the provenance cannot be read, if the file has one that is damaged.
    oddities : tuple of str
        What is not as the standard has it and is passed over: of each kind the first, and their
        number.
    """

    type: int
    ticks_per_quarter: int | None
    smpte: tuple[int, int] | None
    seconds: float
    tracks: tuple[str, ...]
    tempo_events: int
    tempo_range: tuple[float, float] | None
    time_signatures: tuple[str, ...]
    key_signatures: tuple[tuple[int, bool], ...]
    channels: tuple[ChannelInfo, ...]
    pedals: dict[str, int]
    texts: tuple[tuple[str, str], ...]
    provenance: Provenance | None
    provenance_error: str | None
    oddities: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that JSON can hold."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """Return a description for people; of many tracks or texts, the first ten are shown."""
        if self.smpte is None:
            division = f"{self.ticks_per_quarter} ticks per quarter note"
        else:
            division = f"SMPTE, {self.smpte[0]} frames a second of {self.smpte[1]} ticks"
        lines = [f"type {self.type}, {division}, {self.seconds:.2f} s"]
        tracks = [f"track {n}: {name or '(no name)'}" for n, name in enumerate(self.tracks, 1)]
        lines += _first(tracks, "tracks")
        if self.tempo_range:
            slowest, fastest = (f"{bpm:.6g}" for bpm in self.tempo_range)
            span = slowest if slowest == fastest else f"{slowest} to {fastest}"
            lines.append(
                f"tempo: {span} quarter notes a minute (tempo events: {self.tempo_events})"
            )
        if self.time_signatures:
            lines.append(f"time signature: {', '.join(self.time_signatures)}")
        if self.key_signatures:
            lines.append(f"key signature: {', '.join(_key_name(*k) for k in self.key_signatures)}")
        for one in self.channels:
            what = "drums" if one.channel == 10 else f"program {one.program}"
            lines.append(f"notes on channel {one.channel}, {what}: {one.notes}")
        moved = [f"{name} {count}" for name, count in self.pedals.items() if count]
        lines.append(f"pedal movements: {', '.join(moved) or 'none'}")
        lines += _first([f"{kind}: {text}" for kind, text in self.texts], "texts")
        if self.provenance_error:
            lines.append(self.provenance_error)
        elif self.provenance:
            for name, value in self.provenance.to_dict().items():
                shown = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                lines.append(f"{name}: {shown}")
        return lines + [f"odd: {oddity}" for oddity in self.oddities]


def describe(path: str | os.PathLike[str]) -> FileInfo:
    """Tell what a MIDI file holds.

    Signatures that are not valid are left out. A damaged provenance is reported in the result.

    Raises
    ------
    MidiError
        If `read` refuses the file; the message is the same.
    """
    data = smf.load(path)
    performance, _ = parsed(data, str(path))  # which also refuses what is damaged
    try:
        return _file_info(data, performance.seconds)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from None


def _file_info(data: bytes, seconds: float) -> FileInfo:
    kind, division, tracks, oddities = smf.chunks(smf.unwrap(data))
    names = [""] * len(tracks)
    bpm: list[float] = []
    times: dict[str, None] = {}  # for their order
    keys: dict[tuple[int, bool], None] = {}
    notes, pedals = Counter[tuple[int, int]](), Counter[int]()
    texts: list[tuple[str, str]] = []
    marked: list[tuple[int, bytes]] = []
    program = np.zeros((len(tracks), 16), np.int64)
    for track, _, status, content in smf.all_events(tracks, oddities):
        message, channel = status >> 4, status & 15
        if message == 9 and content[1]:
            notes[channel + 1, int(program[track, channel])] += 1
        elif message == 0xB and content[0] in PEDALS:
            pedals[content[0]] += 1
        elif message == 0xC:
            program[track, channel] = content[0]
        elif is_provenance(status, content):
            marked.append((status, content))
        elif status == smf.TRACK_NAME:
            names[track] = names[track] or _text(content)
        elif status in _TEXT_NAMES:
            texts.append((_TEXT_NAMES[status], _text(content)))
        elif status == smf.TEMPO:
            bpm.append(6e7 / int.from_bytes(content, "big"))
        elif status == smf.TIME_SIGNATURE and len(content) == 4 and content[1] < 8:
            times[f"{content[0]}/{1 << content[1]}"] = None
        elif status == smf.KEY_SIGNATURE and len(content) == 2 and content[1] < 2:
            sharps = int.from_bytes(content[:1], "big", signed=True)
            if -7 <= sharps <= 7:
                keys[sharps, bool(content[1])] = None
    provenance, provenance_error = None, None
    try:
        provenance = find(marked)
    except MidiError as error:
        provenance_error = str(error)
    in_frames = bool(division & 0x8000)
    return FileInfo(
        type=kind,
        ticks_per_quarter=None if in_frames else division,
        smpte=(256 - (division >> 8), division & 0xFF) if in_frames else None,
        seconds=seconds,
        tracks=tuple(names),
        tempo_events=len(bpm),
        tempo_range=(min(bpm), max(bpm)) if bpm else None,
        time_signatures=tuple(times),
        key_signatures=tuple(keys),
        channels=tuple(ChannelInfo(*key, count) for key, count in sorted(notes.items())),
        pedals={name: pedals[number] for number, name in _PEDAL_NAMES.items()},
        texts=tuple(texts),
        provenance=provenance,
        provenance_error=provenance_error,
        oddities=oddities.lines(),
    )


def _first(lines: list[str], what: str) -> list[str]:
    """Return the first lines, and how many more there are."""
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"... and {more} more {what}"] if more > 0 else lines


def _text(content: bytes) -> str:
    """Decode a text event, of which the standard does not say the encoding, to one line."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _key_name(sharps: int, minor: bool) -> str:
    return f"{_FIFTHS[sharps + 10]} minor" if minor else f"{_FIFTHS[sharps + 7]} major"
