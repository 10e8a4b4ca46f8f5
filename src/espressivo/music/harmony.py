"""Harmony: the names of keys and chords, as musicians write them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from espressivo.errors import GenerationError

__all__ = ["QUALITIES", "Chord", "Key", "parse_chord", "parse_key", "parse_pitch"]

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # semitones above C
_ACCIDENTALS = {"": 0, "#": 1, "b": -1}
_ROOTS = tuple(letter + accidental for accidental, letter in product(_ACCIDENTALS, "CDEFGAB"))

# The notes of each chord, and its spellings.
_SPELLINGS = (
    ((0, 4, 7), "maj M"),
    ((0, 3, 7), "m min -"),
    ((0, 3, 6), "dim °"),
    ((0, 4, 8), "aug +"),
    ((0, 2, 7), "sus2"),
    ((0, 5, 7), "sus4 sus"),
    ((0, 7), "5"),
    ((0, 4, 7, 9), "6 maj6 M6"),
    ((0, 3, 7, 9), "m6 min6 -6"),
    ((0, 4, 7, 9, 14), "6/9 69"),
    ((0, 3, 7, 9, 14), "m6/9 m69"),
    ((0, 4, 7, 10), "7 dom7"),
    ((0, 3, 7, 10), "m7 min7 -7"),
    ((0, 4, 7, 11), "maj7 M7 Δ7 Δ"),
    ((0, 3, 7, 11), "mmaj7 mM7 minmaj7 m(maj7)"),
    ((0, 3, 6, 9), "dim7 °7"),
    ((0, 3, 6, 10), "m7b5 min7b5 -7b5 ø7 ø"),
    ((0, 5, 7, 10), "7sus4 7sus"),
    ((0, 4, 8, 10), "7#5 aug7 +7"),
    ((0, 4, 6, 10), "7b5"),
    ((0, 4, 7, 10, 13), "7b9"),
    ((0, 4, 7, 10, 15), "7#9"),
    ((0, 4, 7, 10, 18), "7#11"),
    ((0, 4, 7, 11, 18), "maj7#11 M7#11"),
    ((0, 4, 7, 14), "add9"),
    ((0, 3, 7, 14), "madd9"),
    ((0, 4, 7, 10, 14), "9"),
    ((0, 3, 7, 10, 14), "m9 min9 -9"),
    ((0, 4, 7, 11, 14), "maj9 M9 Δ9"),
    ((0, 5, 7, 10, 14), "9sus4 9sus"),
    ((0, 7, 10, 14, 17), "11"),
    ((0, 3, 7, 10, 14, 17), "m11 min11 -11"),
    ((0, 4, 7, 10, 14, 21), "13"),
    ((0, 3, 7, 10, 14, 21), "m13 min13 -13"),
    ((0, 4, 7, 11, 14, 21), "maj13 M13 Δ13"),
)
QUALITIES: dict[str, tuple[int, ...]] = {"": (0, 4, 7)} | {
    spelling: intervals for intervals, spellings in _SPELLINGS for spelling in spellings.split()
}
"""Semitones above the root, by what follows the root in the name of a chord; "" is major.

As players do, an 11 leaves out the third and a 13 the eleventh, which lie a minor ninth apart.
"""

Mode = Literal["major", "minor"]
_MODES: dict[Mode, tuple[str, ...]] = {"major": ("major", "maj"), "minor": ("minor", "min")}
_SHARES: dict[Mode, tuple[float, ...]] = {
    "major": (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
    "minor": (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
}

# Signs that look alike, or that keyboards lack.
_PLAIN = str.maketrans(
    {"♭": "b", "♯": "#", "∆": "Δ", "△": "Δ", "º": "°", "Ø": "ø", "\N{MINUS SIGN}": "-"}
)
_KEY = re.compile(
    r"(?P<letter>[A-Ga-g])(?:[ -]?(?P<accidental>#|b|(?i:sharp|flat)))? *(?P<mode>[A-Za-z]*)"
)
_CHORD = re.compile(r"(?P<root>[A-G][#b]?)(?P<quality>.*?)(?:/(?P<bass>[A-G][#b]?))?")
_EXAMPLES = {"key": "'F# minor' or 'Bb'", "chord": "'Am7' or 'C/E'"}
_MOST_COMPARED = 24  # letters of a wrong name that are compared with the right ones
_LEAST_ALIKE = 0.4  # less alike (`difflib`, 0..1), nothing is suggested


@dataclass(frozen=True)
class Key:
    """A major or minor key; `parse_key` makes one from its name.

    Parameters
    ----------
    tonic : int
        Pitch class of the tonic, 0..11, 0 being C.
    mode : "major" or "minor"
    name : str
        Tonic and mode, spelled like ``"Eb minor"``.
    """

    tonic: int
    mode: Mode
    name: str

    @property
    def pitch_weights(self) -> tuple[float, ...]:
        """How often each of the 12 pitch classes is played in this key, from C upwards.

        Shares, which add up to 1 but for rounding: those of Albrecht & Shanahan 2013, "The Use of
        Large Corpora to Train a New Type of Key-Finding Algorithm".
        """
        shares = _SHARES[self.mode]
        return shares[-self.tonic :] + shares[: -self.tonic] if self.tonic else shares

    @property
    def sharps(self) -> int:
        """The key signature as MIDI files have it: sharps, or flats if negative; -7..7.

        A key that would need more than seven has the signature of its enharmonic equivalent:
        G# major that of Ab major (-4). D# minor has six sharps.
        """
        letter, accidental = self.name[0], self.name[1:].partition(" ")[0]
        fifths = "FCGDAEB".index(letter) - 1 + 7 * _ACCIDENTALS[accidental]  # above C
        fifths -= 3 if self.mode == "minor" else 0
        if fifths > 7:
            return fifths - 12
        return fifths + 12 if fifths < -7 else fifths


@dataclass(frozen=True)
class Chord:
    """A chord; `parse_chord` makes one from its name.

    Parameters
    ----------
    root : int
        Pitch class of the root, 0..11, 0 being C.
    intervals : tuple of int
        Its notes in semitones above the root, ascending from 0; a ninth is 14.
    bass : int, optional
        Pitch class of the bass note, 0..11, if the name gives one after a slash.
    """

    root: int
    intervals: tuple[int, ...]
    bass: int | None = None


def parse_key(name: str) -> Key:
    """Understand the name of a key.

    Parameters
    ----------
    name : str
        The tonic, ``A`` to ``G``, with ``#``, ``♯``, ``-sharp`` or ``b``, ``♭``, ``-flat``; then
        ``major``, ``maj``, ``M`` or nothing for major, ``minor``, ``min`` or ``m`` for minor. The
        words are understood in upper and lower case, and with or without spaces. A tonic in lower
        case needs its mode: ``a`` alone is A major to some and A minor to others. ``B`` is the
        note below C, as in English.

    Raises
    ------
    GenerationError
        If it is not the name of a key; the message suggests the nearest one.

    Examples
    --------
    >>> parse_key("E♭m").name, parse_key("f# minor").sharps
    ('Eb minor', 3)
    """
    plain = _plain(name, "key")
    found = _KEY.fullmatch(plain)
    mode = None if found is None else _mode(found["mode"])
    if found is None or mode is None:
        known = [root + mode for mode in (" major", " minor", "m", "") for root in _ROOTS]
        raise _refused(name, "key", _nearest(plain, known))
    accidental = (found["accidental"] or "").lower().replace("sharp", "#").replace("flat", "b")
    tonic = found["letter"].upper() + accidental
    if found["letter"].islower() and not found["mode"]:
        raise _refused(name, "key", f"{tonic} major", f"{tonic} minor")
    return Key(_pitch_class(tonic), mode, f"{tonic} {mode}")


def parse_chord(name: str) -> Chord:
    """Understand the name of a chord.

    Parameters
    ----------
    name : str
        The root, ``A`` to ``G``, perhaps with ``#``, ``♯``, ``b`` or ``♭``; then one of
        `QUALITIES`; then perhaps ``/`` and a bass note, as in ``"Am7"``, ``"F#m7b5"``, ``"C/E"``
        or ``"C6/9"``. ``B`` is the note below C, as in English.

    Raises
    ------
    GenerationError
        If it is not the name of a chord; the message suggests the nearest one.

    Examples
    --------
    >>> parse_chord("Dm7/G")
    Chord(root=2, intervals=(0, 3, 7, 10), bass=7)
    """
    plain = _plain(name, "chord")
    found = _CHORD.fullmatch(plain)
    if found is None or found["quality"] not in QUALITIES:
        known = [root + quality for quality in QUALITIES for root in _ROOTS]
        upper, _, lower = plain.rpartition("/")
        if upper and _meant(lower) in _ROOTS:
            chord = _nearest(upper, known)
            raise _refused(name, "chord", f"{chord}/{_meant(lower)}" if chord else "")
        raise _refused(name, "chord", _nearest(plain, known))
    bass = None if found["bass"] is None else _pitch_class(found["bass"])
    return Chord(_pitch_class(found["root"]), QUALITIES[found["quality"]], bass)


def parse_pitch(name: str) -> int:
    """Return the MIDI pitch, 0..127, of a name such as ``"F#3"`` or ``"Bb-1"``; ``"C4"`` is 60.

    Raises
    ------
    GenerationError
        If it is not the name of a pitch.
    """
    plain = _plain(name, "pitch")
    found = re.fullmatch(r"([A-Ga-g])([#b]?)(-?\d)", plain)
    pitch = -1
    if found is not None:
        pitch = 12 * (int(found[3]) + 1) + _LETTERS[found[1].upper()] + _ACCIDENTALS[found[2]]
    if not 0 <= pitch <= 127:
        raise _refused(name, "pitch", "C4")
    return pitch


def _plain(name: str, what: str) -> str:
    """Return a name in plain signs, or refuse a blank one."""
    plain = " ".join(name.translate(_PLAIN).split())
    if not plain:
        raise _refused(name, what)
    return plain


def _mode(word: str) -> Mode | None:
    """Return the mode that a word stands for; only of the single letters the case matters."""
    if word in ("", "M", "m"):
        return "minor" if word == "m" else "major"
    return next((mode for mode, words in _MODES.items() if word.lower() in words), None)


def _pitch_class(note: str) -> int:
    return (_LETTERS[note[0]] + _ACCIDENTALS[note[1:]]) % 12


def _meant(name: str) -> str:
    """Return a name with its first letter as it must be: in upper case, and B for the German H."""
    letter = name[:1].upper()
    return ("B" if letter == "H" else letter) + name[1:]


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return the first of the known names that are most like a wrong one; "" if none is like it."""
    matcher = difflib.SequenceMatcher(b=_meant(name)[:_MOST_COMPARED])
    most, nearest = _LEAST_ALIKE, ""
    for each in known:
        matcher.set_seq1(each)
        if matcher.ratio() > most:
            most, nearest = matcher.ratio(), each
    return nearest


def _refused(name: str, what: str, *meant: str) -> GenerationError:
    """Return the error for a wrong name, with the right ones that may have been meant."""
    suggestions = " or ".join(repr(each) for each in meant if each)
    hint = (
        f"; did you mean {suggestions}?" if suggestions else f": give one such as {_EXAMPLES[what]}"
    )
    return GenerationError(f"{name!r} is not a {what}{hint}")
