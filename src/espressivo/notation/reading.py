"""Reading scores: MIDI by the package itself, all else by partitura."""

from __future__ import annotations

import os

from espressivo import midi
from espressivo.errors import ScoreError
from espressivo.files import ending, regular
from espressivo.music import Score
from espressivo.notation.engraved import ENGRAVED, read_engraved

__all__ = ["SCORES", "opened_score", "read_score"]

SCORES = (".mid", ".midi", ".kar", *ENGRAVED)
"""Endings of files that scores are read of."""

_MIDI_BEGINS = (b"MThd", b"RIFF")


def read_score(path: str | os.PathLike[str]) -> Score:
    """Read a score.

    Parameters
    ----------
    path : path
        A MIDI file, as notation programs export it or with its notes on a grid (see
        `espressivo.midi.read_score`); or MusicXML (``.musicxml``, ``.xml``, ``.mxl``), MEI
        (``.mei``) or kern (``.krn``, ``.kern``), which need the extra `score`.

    Returns
    -------
    Score
        Repeats are written out, all of them, and tied notes are one. In MusicXML, MEI and kern a
        single grace note without a stroke takes half of its note; other grace notes come before the
        beat, an eighth of a quarter each, or as fast as they must.

    Raises
    ------
    MidiError
        If a MIDI file cannot be read.
    ScoreError
        If another file cannot be read, what it needs is not installed, its ending is none of
        these, or it is a performance, which no grid fits. Each message is one line and begins with
        the path.
    """
    return opened_score(path)[0]


def opened_score(path: str | os.PathLike[str]) -> tuple[Score, midi.Song | None]:
    """Return a score and, if it stands in a MIDI file, all of that file; see `read_score`."""
    kind = ending(path, ".mid")
    if kind in ENGRAVED:
        return read_engraved(path, kind), None
    try:
        with regular(path, most=None).open("rb") as file:
            begins = file.read(4)
    except OSError as error:
        raise ScoreError(f"{path}: cannot be read: {error.strerror}") from None
    if kind not in SCORES and begins not in _MIDI_BEGINS:
        raise ScoreError(
            f"{path}: cannot tell what it is: end its name in one of {', '.join(SCORES)}"
        )
    song = midi.parsed_song(midi.load(path), str(path))
    return midi.score_of(song, str(path)), song
