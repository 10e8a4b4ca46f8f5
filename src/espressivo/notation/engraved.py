"""Engraved scores: MusicXML, MEI and kern, as partitura reads them.

Drums, which have no pitch, are left out. Staves of all parts of one name are counted through. What
is hidden or small (cues) is read as partitura does.
"""

from __future__ import annotations

import math
import os
import sys
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from espressivo.errors import ScoreError
from espressivo.files import regular
from espressivo.music import (
    KEY_DTYPE,
    METRE_DTYPE,
    MOVE_DTYPE,
    SCORE_NOTE_DTYPE,
    SUSTAIN,
    TEMPO_DTYPE,
    Direction,
    Mark,
    Score,
    ScorePart,
)

__all__ = ["ENGRAVED", "read_engraved"]

_READERS = {
    ".musicxml": "load_musicxml",
    ".xml": "load_musicxml",
    ".mxl": "load_musicxml",
    ".mei": "load_mei",
    ".krn": "load_kern",
    ".kern": "load_kern",
}
ENGRAVED = tuple(_READERS)
"""Endings of files that need partitura."""

_MOST_BYTES = 64 << 20
_DEPTH = 20_000  # of recursion; partitura copies a score note by note, each in the one before
_GRACE = Fraction(1, 8)  # quarters that a grace note before the beat lasts, if there is time
_FINEST = 96  # ticks of a quarter, at least, so that grace notes and pickups are whole ones
_MOST_TICKS = 1 << 20
_SMALLEST = 64  # unit of a time signature
_DOWN = 127

_ARTICULATIONS = {
    "staccato": Mark.STACCATO,
    "staccatissimo": Mark.STACCATO,
    "spiccato": Mark.STACCATO,
    "tenuto": Mark.TENUTO,
    "detached-legato": Mark.STACCATO | Mark.TENUTO,
    "accent": Mark.ACCENT,
    "strong-accent": Mark.MARCATO,
}

# Quarters, exactly.
_Row = list[Any]  # onset, duration, pitch, part, staff, voice, marks
_ONSET, _DURATION, _PITCH, _PART, _STAFF, _VOICE, _MARKS = range(7)


def read_engraved(path: str | os.PathLike[str], kind: str) -> Score:
    """Read a file, whose ending is one of `ENGRAVED`; see `espressivo.notation.read_score`."""
    try:
        file = regular(path, most=_MOST_BYTES)
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                    raise ScoreError(f"{path}: more than {_MOST_BYTES >> 20} MB when unpacked")
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScoreError(f"{path}: cannot be read: {reason}") from None
    try:
        partitura = import_module("partitura")
    except ImportError:
        raise ScoreError(
            f"{path}: reading MusicXML, MEI and kern needs partitura: "
            "pip install 'espressivo[score]'; or export the score as MIDI"
        ) from None
    depth = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(max(depth, _DEPTH))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = getattr(partitura, _READERS[kind])(str(file))
            return _score(partitura.score, read)
    except ScoreError as error:
        raise ScoreError(f"{path}: {error}") from None
    except Exception as error:  # of any kind: what is wrong with a file shows anywhere in partitura
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ScoreError(f"{path}: not a sound {kind[1:]} file: {reason[:200]}") from None
    finally:
        sys.setrecursionlimit(depth)


def _score(pt: ModuleType, read: Any) -> Score:
    parts: list[ScorePart] = []
    rows: list[_Row] = []
    staves: dict[int, int] = {}  # of each part, those that other parts of its name have filled
    tempos: list[tuple[Any, ...]] = []
    moves: list[tuple[Any, ...]] = []
    directions: list[Direction] = []
    signs: tuple[list[Any], list[Any]] = [], []
    for written in read.parts:
        part = _unfolded(pt, written)
        name = (written.part_name or "").strip()
        number = next((n for n, one in enumerate(parts) if name and one.name == name), len(parts))
        if number == len(parts):
            parts.append(ScorePart("".join(c for c in name if c.isprintable())[:100], 0))
        quarters = _Quarters(part)
        mine = _notes(pt, part, quarters, number, staves.get(number, 0))
        rows += mine
        staves[number] = max((row[_STAFF] for row in mine), default=staves.get(number, 0))
        tempos += [
            (quarters(tempo.start.t), tempo.microseconds_per_quarter / 1e6)
            for tempo in part.iter_all(pt.Tempo)
            if tempo.bpm and tempo.bpm > 0
        ]
        found, pressed = _directions(pt, part, quarters)
        directions += found
        moves += pressed
        if not signs[0]:
            signs = _signatures(pt, part, quarters)
    if not rows:
        return Score(np.empty(0, SCORE_NOTE_DTYPE))
    rows.sort(key=lambda row: (row[_ONSET], row[_PITCH], row[_PART], row[_STAFF]))
    per_quarter = _ticks_per_quarter(rows)
    notes = np.zeros(len(rows), SCORE_NOTE_DTYPE)
    for field, column in (("pitch", _PITCH), ("part", _PART), ("marks", _MARKS)):
        notes[field] = [int(row[column]) for row in rows]
    for field, column in (("staff", _STAFF), ("voice", _VOICE)):
        notes[field] = [min(max(row[column], 0), 255) for row in rows]
    for field, column in (("onset", _ONSET), ("duration", _DURATION)):
        notes[field] = [_on_tick(row[column], per_quarter) for row in rows]
    return Score(
        notes,
        ticks_per_quarter=per_quarter,
        tempos=np.array([(_on_tick(t, per_quarter), s) for t, s in tempos], TEMPO_DTYPE),
        metres=np.array([(_on_tick(t, per_quarter), b, u) for t, b, u in signs[0]], METRE_DTYPE),
        keys=np.array([(_on_tick(t, per_quarter), s, m) for t, s, m in signs[1]], KEY_DTYPE),
        moves=np.array([(_on_tick(t, per_quarter), SUSTAIN, v) for t, v in moves], MOVE_DTYPE),
        directions=tuple(directions),
        parts=tuple(parts),
    )


def _unfolded(pt: ModuleType, part: Any) -> Any:
    """Return a part with its repeats written out, as often as they say."""
    kinds = (pt.Repeat, pt.Ending, pt.DaCapo, pt.DalSegno)
    if any(next(iter(part.iter_all(kind)), None) is not None for kind in kinds):
        return pt.unfold_part_maximal(part, ignore_leaps=False)
    return part


class _Quarters:
    """The quarter, exactly, at which each division of a part comes; the first is at 0."""

    def __init__(self, part: Any) -> None:
        changes = sorted((int(at), int(per)) for at, per in part.quarter_durations())
        self._begin = int(part.first_point.t) if part.first_point is not None else 0
        self._spans: list[tuple[int, Fraction, int]] = []
        passed, before = Fraction(0), changes[0][1]
        last = changes[0][0]
        for at, per in changes:
            passed += Fraction(at - last, before)
            self._spans.append((at, passed, per))
            last, before = at, per

    def _at(self, division: int) -> Fraction:
        at, passed, per = next(
            (span for span in reversed(self._spans) if span[0] <= division), self._spans[0]
        )
        return passed + Fraction(division - at, per)

    def __call__(self, division: int) -> Fraction:
        return self._at(int(division)) - self._at(self._begin)


def _on_tick(quarters: Fraction, per_quarter: int) -> float:
    return round(quarters * per_quarter) / per_quarter


def _ticks_per_quarter(rows: Sequence[_Row]) -> int:
    """Return the fewest ticks that hold all times exactly, or very many if none do."""
    ticks = _FINEST
    for row in rows:
        for time in (row[_ONSET], row[_DURATION]):
            ticks = math.lcm(ticks, time.denominator)
            if ticks > _MOST_TICKS:
                return 480 * 64
    return ticks if ticks <= 0x7FFF else 480 * 64


def _notes(pt: ModuleType, part: Any, quarters: _Quarters, number: int, staves: int) -> list[_Row]:
    """Return the notes of a part, of which other parts of its name have filled some staves."""
    rows: list[_Row] = []
    of: dict[int, _Row] = {}
    graces: defaultdict[int, list[Any]] = defaultdict(list)
    for note in part.notes_tied:
        row = [
            quarters(note.start.t),
            quarters(note.end_tied.t) - quarters(note.start.t),
            note.midi_pitch,
            number,
            (note.staff or (1 if staves else 0)) + staves,
            note.voice or 0,
            _marks(note),
        ]
        if not 0 <= row[_PITCH] <= 127:
            raise ScoreError(f"a note has the MIDI pitch {row[_PITCH]}, which is not within 0..127")
        if isinstance(note, pt.GraceNote):
            row[_MARKS] |= Mark.GRACE
            graces[id(note.main_note) if note.main_note is not None else id(note)].append(
                (note, row)
            )
        elif row[_DURATION] <= 0:
            continue
        of[id(note)] = row
        rows.append(row)
    _slurred(rows)
    _place(graces, of, rows)
    return rows


def _marks(note: Any) -> Mark:
    marks = Mark(0)
    tied = note
    while tied is not None:  # the marks of all notes that ties make one
        for name in tied.articulations or ():
            marks |= _ARTICULATIONS.get(name, Mark(0))
        marks |= Mark.ORNAMENT if tied.ornaments else Mark(0)
        marks |= Mark.FERMATA if tied.fermata else Mark(0)
        marks |= Mark.SLUR_END if tied.slur_stops else Mark(0)
        tied = tied.tie_next
    marks |= Mark.SLUR_START if note.slur_starts else Mark(0)
    return marks | (Mark.TIED if note.tie_next is not None else Mark(0))


def _slurred(rows: Sequence[_Row]) -> None:
    """Mark what stands between the first and the last note of a slur, in its voice and staff."""
    voices: defaultdict[tuple[Any, ...], list[_Row]] = defaultdict(list)
    for row in rows:
        voices[row[_STAFF], row[_VOICE]].append(row)
    for voice in voices.values():
        inside: list[_Row] | None = None
        for row in sorted(voice, key=lambda row: row[_ONSET]):
            if row[_MARKS] & Mark.SLUR_END and inside is not None:
                for one in inside:
                    one[_MARKS] |= Mark.SLURRED
                inside = None
            if row[_MARKS] & Mark.SLUR_START:
                inside = []
            elif inside is not None:
                inside.append(row)


def _place(graces: dict[int, list[Any]], of: dict[int, _Row], rows: Sequence[_Row]) -> None:
    """Give grace notes time: on the beat a single one without a stroke, before it all others."""
    begins = sorted({row[_ONSET] for row in rows if not row[_MARKS] & Mark.GRACE})
    for main, group in graces.items():
        at = group[0][1][_ONSET]
        chords: list[list[Any]] = []  # grace notes that are struck together
        for note, row in group:
            if chords and getattr(note, "is_grace_chord", False):
                chords[-1].append(row)
            else:
                chords.append([row])
        owner = of.get(main)
        single = len(chords) == 1 and group[0][0].grace_type != "acciaccatura"
        if owner is not None and owner[_DURATION] > 0 and (single or at == 0):
            share = owner[_DURATION] / 2
            each = share if single else min(share / len(chords), _GRACE)
            for row in rows:  # the notes of the chord wait, too
                chord = row[_ONSET] == at and not row[_MARKS] & Mark.GRACE
                if chord and row[_STAFF] == owner[_STAFF] and row[_VOICE] == owner[_VOICE]:
                    wait = min(each * len(chords), row[_DURATION] / 2)
                    row[_ONSET], row[_DURATION] = at + wait, row[_DURATION] - wait
            begin = at
        else:
            before = max((one for one in begins if one < at), default=Fraction(0))
            each = min(_GRACE, (at - before) / 2 / len(chords)) or _GRACE
            begin = max(at - each * len(chords), Fraction(0))
        for place, chord_rows in enumerate(chords):
            for row in chord_rows:
                row[_ONSET], row[_DURATION] = begin + each * place, each


def _directions(
    pt: ModuleType, part: Any, quarters: _Quarters
) -> tuple[list[Direction], list[tuple[Fraction, int]]]:
    """Return words and signs, and the pedal as movements."""
    found, pressed = [], []
    for sign in part.iter_all(pt.Direction, include_subclasses=True):
        start = quarters(sign.start.t)
        end = quarters(sign.end.t) if sign.end is not None else start
        text = (sign.raw_text or sign.text or "").strip()[:100]
        if isinstance(sign, pt.SustainPedalDirection):
            pressed.append((start, _DOWN))
            pressed += [(end, 0)] if sign.end is not None else []
            text = "pedal"
        elif isinstance(sign, pt.IncreasingLoudnessDirection):
            text = "crescendo"
        elif isinstance(sign, pt.DecreasingLoudnessDirection):
            text = "diminuendo"
        elif isinstance(sign, pt.ConstantDirection):
            end = start  # partitura lets it last until the next
        if text:
            found.append(Direction(float(start), float(end), text, sign.staff or 0))
    return found, sorted(pressed, key=lambda move: (move[0], -move[1] == 0))


def _signatures(pt: ModuleType, part: Any, quarters: _Quarters) -> tuple[list[Any], list[Any]]:
    """Return time signatures, one for each bar of another length than it should have, and keys."""
    written = [
        (quarters(sign.start.t), int(sign.beats), int(sign.beat_type))
        for sign in part.iter_all(pt.TimeSignature)
    ]
    bars = sorted({quarters(bar.start.t) for bar in part.iter_all(pt.Measure)})
    metres = list(_metres(written, bars))
    keys = [
        (quarters(key.start.t), int(key.fifths), key.mode == "minor")
        for key in part.iter_all(pt.KeySignature)
        if -7 <= int(key.fifths) <= 7
    ]
    return metres, keys


def _metres(
    written: Sequence[tuple[Fraction, int, int]], bars: Sequence[Fraction]
) -> Iterator[tuple[Fraction, int, int]]:
    last = None
    for bar, following in pairwise(bars):
        beats, unit = next(((b, u) for at, b, u in reversed(written) if at <= bar), (4, 4))
        length = (following - bar) / 4
        if length != Fraction(beats, unit):
            while unit < _SMALLEST and (length * unit).denominator > 1:
                unit *= 2
            beats = max(1, round(length * unit))
        if (beats, unit) != last:
            yield bar, beats, unit
        last = beats, unit
    if bars and written:
        _, beats, unit = written[-1]
        if (beats, unit) != last:
            yield bars[-1], beats, unit
