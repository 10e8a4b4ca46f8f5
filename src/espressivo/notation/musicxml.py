"""MusicXML 4.0 of a score for piano, on two staves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

import numpy as np

from espressivo.music import SUSTAIN, Direction, Score
from espressivo.notation.grid import TICKS
from espressivo.notation.layout import VALUES, Bar, Symbol, laid_out
from espressivo.notation.spelling import STEPS, spelled
from espressivo.version import __version__

__all__ = ["musicxml"]

_FLAGS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4}
_SIGNS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
_ORDER = "FCGDAEB"  # in which sharps are added to key signatures
_DYNAMICS = frozenset(("ppp", "pp", "p", "mp", "mf", "f", "ff", "fff"))
_CLEFS = {"G": 2, "F": 4}
_HIGH, _LOW = 64.0, 55.0  # mean pitches above and below which a staff changes its clef
_FASTER = 1.25  # a tempo is written again where it differs by so much


def musicxml(score: Score, title: str = "") -> str:
    """Return a score as MusicXML.

    All its parts are taken for one piano. Notes are moved to halves and thirds down to 64ths (see
    `espressivo.notation.layout`); where notes of a voice overlap, the earlier is cut.

    Parameters
    ----------
    score : Score
        With at least one note.
    title : str
    """
    return "".join(_Writer(score, title).lines())


class _Writer:
    def __init__(self, score: Score, title: str) -> None:
        self._score, self._title = score, title
        self._bars = laid_out(score)
        notes = score.notes
        self._pitch = notes["pitch"].astype(np.int64)
        keys = np.zeros(len(notes), np.int64)
        for bar in self._bars:
            keys[notes["onset"] * TICKS >= bar.begin - 1e-6] = bar.sharps
        self._step, self._alter = spelled(self._pitch, keys, notes["onset"])
        octave = (self._pitch - self._alter) // 12 - 1
        self._octave = np.clip(octave, 0, 9)  # MusicXML has no others: an octave higher, or lower
        self._clefs = {1: "G", 2: "F"}

    def lines(self) -> list[str]:
        """Return the pieces of the file."""
        out = [
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
            '"http://www.musicxml.org/dtds/partwise.dtd">\n'
            '<score-partwise version="4.0">\n'
        ]
        if self._title:
            out.append(f"<work><work-title>{escape(_plain(self._title))}</work-title></work>\n")
        out.append(
            f"<identification><encoding><software>espressivo {escape(__version__)}</software>"
            '</encoding></identification>\n<part-list><score-part id="P1"><part-name>Piano'
            '</part-name></score-part></part-list>\n<part id="P1">\n'
        )
        directions = self._directions()
        before: Bar | None = None
        number = 0 if self._bars[0].pickup else 1
        for bar in self._bars:
            implicit = ' implicit="yes"' if bar.pickup else ""
            out.append(f'<measure number="{number}"{implicit}>\n')
            out.append(self._attributes(bar, before))
            here = [d for at, d in directions if bar.begin <= at < bar.begin + bar.size]
            places = [at for at, _ in directions if bar.begin <= at < bar.begin + bar.size]
            out += [d.replace("@", str(at - bar.begin)) for at, d in zip(places, here, strict=True)]
            out += self._music(bar)
            out.append("</measure>\n")
            before, number = bar, number + 1
        out.append("</part>\n</score-partwise>\n")
        return out

    def _attributes(self, bar: Bar, before: Bar | None) -> str:
        parts = []
        if before is None:
            parts.append(f"<divisions>{TICKS}</divisions>")
        if before is None or before.sharps != bar.sharps:
            parts.append(f"<key><fifths>{bar.sharps}</fifths></key>")
        if before is None or (before.over, before.under) != (bar.over, bar.under):
            parts.append(
                f"<time><beats>{bar.over}</beats><beat-type>{bar.under}</beat-type></time>"
            )
        if before is None:
            parts.append("<staves>2</staves>")
        for staff in (1, 2):
            clef = self._clef(bar, staff)
            if before is None or clef != self._clefs[staff]:
                self._clefs[staff] = clef
                parts.append(
                    f'<clef number="{staff}"><sign>{clef}</sign><line>{_CLEFS[clef]}</line></clef>'
                )
        return f"<attributes>{''.join(parts)}</attributes>\n" if parts else ""

    def _clef(self, bar: Bar, staff: int) -> str:
        """Return the clef of a staff: another only where the music is far away from it."""
        notes = [
            n for (s, _), row in bar.voices.items() if s == staff for x in row for n in x.notes
        ]
        if not notes:
            return self._clefs[staff]
        mean = float(self._pitch[notes].mean())
        if self._clefs[staff] == "F" and mean > _HIGH and self._pitch[notes].min() >= 57:
            return "G"
        if self._clefs[staff] == "G" and mean < _LOW and self._pitch[notes].max() <= 64:
            return "F"
        return self._clefs[staff]

    def _directions(self) -> list[tuple[int, str]]:
        """Return places and directions, in order; ``@`` stands for the place within the bar."""
        found: list[tuple[int, int, str]] = []
        for at, quarter_s in self._marked_tempos():
            minute = round(60 / quarter_s)
            kind = (
                "<metronome><beat-unit>quarter</beat-unit>"
                f"<per-minute>{minute}</per-minute></metronome>"
            )
            found.append((at, 0, _direction(kind, 1, f'<sound tempo="{60 / quarter_s:.2f}"/>')))
        for direction in self._score.directions:
            found.append((round(direction.onset * TICKS), 1, _words(direction)))
        turns: dict[int, list[bool]] = {}
        for at, number, value in self._score.moves.tolist():
            if number == SUSTAIN:
                turns.setdefault(round(at * TICKS), []).append(value >= 64)
        down = False
        for at, states in sorted(turns.items()):
            if states[-1] != down or (down and False in states):
                kind = "change" if down and states[-1] else ("start" if states[-1] else "stop")
                mark = f'<pedal type="{kind}" line="yes" sign="no"/>'
                found.append((at, 2, _direction(mark, 2)))
                down = states[-1]
        return [(at, text) for at, _, text in sorted(found, key=lambda one: one[:2]) if text]

    def _marked_tempos(self) -> list[tuple[int, float]]:
        """Return where a tempo is written, and seconds of a quarter: the mean over some bars."""
        score, found = self._score, list[tuple[int, float]]()
        for first in range(0, len(self._bars), 4):
            group = self._bars[first : first + 4]
            begin, end = group[0].begin, group[-1].begin + group[-1].size
            seconds = np.diff(score.seconds_at(np.array([begin, end]) / TICKS))[0]
            quarter_s = float(seconds) / (end - begin) * TICKS
            if not np.isfinite(quarter_s) or quarter_s <= 0:
                continue
            if not found or abs(np.log(quarter_s / found[-1][1])) > np.log(_FASTER):
                found.append((begin, quarter_s))
        return found

    def _music(self, bar: Bar) -> list[str]:
        out: list[str] = []
        for staff in (1, 2):
            layers = [v for s, v in sorted(bar.voices) if s == staff]
            shown = self._accidentals(bar, staff)
            for voice in layers:
                if out:
                    out.append(f"<backup><duration>{bar.size}</duration></backup>\n")
                stem = self._stem(bar, staff, voice) if len(layers) > 1 else ""
                out += self._layer(bar, staff, voice, stem, shown)
        return out

    def _stem(self, bar: Bar, staff: int, voice: int) -> str:
        """Return the direction of stems where a staff has two voices: the higher one's go up."""
        means = {}
        for layer in (1, 2):
            notes = [n for symbol in bar.voices[staff, layer] for n in symbol.notes]
            means[layer] = float(self._pitch[notes].mean()) if notes else -1.0 * layer
        upper = max(means, key=lambda layer: means[layer])
        return f"<stem>{'up' if voice == upper else 'down'}</stem>"

    def _accidentals(self, bar: Bar, staff: int) -> dict[tuple[int, int, int], str]:
        """Return the accidentals of notes of a staff, by voice, symbol's begin, and note."""
        symbols = sorted(
            ((x.begin, v, x) for (s, v), row in bar.voices.items() if s == staff for x in row),
            key=lambda one: one[:2],
        )
        usual = (
            {
                step: (1 if bar.sharps > 0 else -1)
                for step in (_ORDER[: bar.sharps] if bar.sharps > 0 else _ORDER[7 + bar.sharps :])
            }
            if bar.sharps
            else {}
        )
        state: dict[tuple[int, int], int] = {}
        found = {}
        for begin, voice, symbol in symbols:
            for note in (*symbol.graces, *(() if symbol.tied else symbol.notes)):
                step, octave = int(self._step[note]), int(self._octave[note])
                alter = int(self._alter[note])
                if state.get((step, octave), usual.get(STEPS[step], 0)) != alter:
                    found[voice, begin, note] = f"<accidental>{_SIGNS[alter]}</accidental>"
                state[step, octave] = alter
        return found

    def _layer(
        self,
        bar: Bar,
        staff: int,
        voice: int,
        stem: str,
        shown: dict[tuple[int, int, int], str],
    ) -> list[str]:
        out: list[str] = []
        symbols = bar.voices[staff, voice]
        beams, tuplets = _beams(bar, symbols), _tuplets(symbols)
        now = 0
        for number, symbol in enumerate(symbols):
            if symbol.begin > now:
                gap = symbol.begin - now
                out.append(
                    f"<forward><duration>{gap}</duration><voice>{_voice(staff, voice)}</voice>"
                    f"<staff>{staff}</staff></forward>\n"
                )
            now = symbol.begin + symbol.size
            for note in symbol.graces:
                sign = shown.get((voice, symbol.begin, note), "")
                out.append(
                    f'<note><grace slash="yes"/>{self._spelled(note)}<voice>{_voice(staff, voice)}'
                    f"</voice><type>eighth</type>{sign}<staff>{staff}</staff></note>\n"
                )
            about = _about(bar, symbol)
            if not symbol.notes:
                whole = ' measure="yes"' if symbol.size == bar.size else ""
                out.append(
                    f"<note><rest{whole}/><duration>{symbol.size}</duration>"
                    f"<voice>{_voice(staff, voice)}</voice>{about}<staff>{staff}</staff>"
                    f"{_notations(tuplets[number])}</note>\n"
                )
                continue
            for place, note in enumerate(sorted(symbol.notes, key=lambda n: self._pitch[n])):
                ties = '<tie type="stop"/>' * symbol.tied + '<tie type="start"/>' * symbol.ties
                tied = ties.replace("<tie ", "<tied ")
                first = not place
                type_, _, rest = about.partition("|")
                sign = shown.get((voice, symbol.begin, note), "")
                out.append(
                    f"<note>{'' if first else '<chord/>'}{self._spelled(note)}"
                    f"<duration>{symbol.size}</duration>{ties}"
                    f"<voice>{_voice(staff, voice)}</voice>{type_}{sign}{rest}{stem}"
                    f"<staff>{staff}</staff>{beams[number] if first else ''}"
                    f"{_notations(tied + (tuplets[number] if first else ''))}</note>\n"
                )
        if now < bar.size:
            out.append(f"<forward><duration>{bar.size - now}</duration></forward>\n")
        return [piece.replace("|", "") for piece in out]

    def _spelled(self, note: int) -> str:
        alter = int(self._alter[note])
        sign = f"<alter>{alter}</alter>" if alter else ""
        return (
            f"<pitch><step>{STEPS[self._step[note]]}</step>{sign}"
            f"<octave>{self._octave[note]}</octave></pitch>"
        )


def _voice(staff: int, voice: int) -> int:
    return (staff - 1) * 4 + voice


def _about(bar: Bar, symbol: Symbol) -> str:
    """Return type and dots, then after ``|`` what follows an accidental."""
    ticks = symbol.size * 3 // 2 if symbol.third else symbol.size
    if not symbol.notes and symbol.size == bar.size:
        return ""
    name, dots = VALUES.get(ticks, ("64th", 0))
    changed = (
        "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes>"
        "</time-modification>"
        if symbol.third
        else ""
    )
    return f"<type>{name}</type>{'<dot/>' * dots}|{changed}"


def _notations(inside: str) -> str:
    return f"<notations>{inside}</notations>" if inside else ""


def _tuplets(symbols: Sequence[Symbol]) -> list[str]:
    """Return where brackets of triplets begin and end."""
    marks = [""] * len(symbols)
    for third, group in groupby(range(len(symbols)), lambda n: (symbols[n].third, symbols[n].cell)):
        if third[0]:
            inside = list(group)
            marks[inside[0]] += '<tuplet type="start" bracket="yes"/>'
            marks[inside[-1]] += '<tuplet type="stop"/>'
    return marks


def _beams(bar: Bar, symbols: Sequence[Symbol]) -> list[str]:
    """Return the beams of each symbol: those of a beat that follow each other are joined."""
    flags = []
    for symbol in symbols:
        ticks = symbol.size * 3 // 2 if symbol.third else symbol.size
        flags.append(_FLAGS.get(VALUES.get(ticks, ("64th", 0))[0], 0) if symbol.notes else 0)
    marks = [""] * len(symbols)
    runs: list[list[int]] = []
    for number, symbol in enumerate(symbols):
        joined = (
            number
            and flags[number]
            and flags[number - 1]
            and symbol.begin // bar.beat == symbols[number - 1].begin // bar.beat
            and symbols[number - 1].begin + symbols[number - 1].size == symbol.begin
        )
        if joined:
            runs[-1].append(number)
        elif flags[number]:
            runs.append([number])
    for run in runs:
        if len(run) < 2:
            continue
        for level in range(1, max(flags[n] for n in run) + 1):
            has = [flags[n] >= level for n in run]
            for place, n in enumerate(run):
                if not has[place]:
                    continue
                left = place > 0 and has[place - 1]
                right = place + 1 < len(run) and has[place + 1]
                kind = {
                    (False, True): "begin",
                    (True, True): "continue",
                    (True, False): "end",
                    (False, False): "backward hook" if place else "forward hook",
                }[left, right]
                marks[n] += f'<beam number="{level}">{kind}</beam>'
    return marks


def _direction(kind: str, staff: int, sound: str = "") -> str:
    where = "above" if staff == 1 else "below"
    return (
        f'<direction placement="{where}"><direction-type>{kind}</direction-type>'
        f"<offset>@</offset><staff>{staff}</staff>{sound}</direction>\n"
    )


def _words(direction: Direction) -> str:
    """Return a dynamic or a word; what lasts is left out."""
    if direction.kind in _DYNAMICS:
        kind = f"<dynamics><{direction.kind}/></dynamics>"
        return _direction(kind, 1).replace('placement="above"', 'placement="below"')
    if direction.end > direction.onset or direction.kind in ("slur", "pedal"):
        return ""
    return _direction(f"<words>{escape(_plain(direction.kind))}</words>", 1)


def _plain(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return "".join(letter for letter in text if letter.isprintable()).replace("@", " at ")
