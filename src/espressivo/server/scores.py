"""Scores: what the page of scores is answered. A file and dials come, a performance goes back.

The page sends its file with every request, so nothing need be remembered; what was read and
interpreted lately is, so that turning a dial is quick.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from espressivo import midi
from espressivo.data import take_of
from espressivo.errors import EspressivoError, ServerError, brief
from espressivo.files import ending
from espressivo.interpreter import load_interpreter
from espressivo.music import SUSTAIN, Interpretation, Score
from espressivo.notation import SCORES, opened_score
from espressivo.play import Dials, Interpreter, Rendition, rendition

__all__ = ["FORMS", "MOST_NOTES", "Scores"]

FORMS = ("music", "midi", "tempo_map")
"""What can be asked for: music as the page reads it, or a MIDI file, free or with a tempo map."""

MOST_NOTES = 20_000
"""Longer scores are for the command line."""

_REMEMBERED = 8  # scores, and interpretations
_DIALS = {
    "timing", "dynamics", "articulation", "pedal", "freedom", "tempo",
    "keep_dynamics", "keep_pedal", "keep_tempo",
}  # fmt: skip
_MOST_SEED = 1 << 32
_Opened = tuple[Score, midi.Song | None]
_Value = TypeVar("_Value")


class Scores:
    """Performs scores for pages, one at a time; may be asked from any thread.

    Parameters
    ----------
    load : callable
        Loads the model, when first needed.
    """

    def __init__(self, load: Callable[[], Interpreter] = load_interpreter) -> None:
        self._load = load
        self._interpreter: Interpreter | None = None
        self._opened: OrderedDict[Hashable, _Opened] = OrderedDict()
        self._played: OrderedDict[Hashable, Interpretation] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, name: str, data: bytes, asked: str, form: str) -> bytes:
        """Perform a score.

        Parameters
        ----------
        name : str
            Of the file, of which only the ending counts.
        data : bytes
            The file.
        asked : str
            JSON: the dials by name, and ``seed``.
        form : str
            One of `FORMS`.

        Returns
        -------
        bytes
            A MIDI file, or JSON: ``notes`` with quarter, second, end, pitch, velocity and the
            velocity that is written; ``pedal`` with second and value; ``beats`` with quarter,
            second, and second as written; ``measures`` in quarters; ``seconds``, ``model`` and
            ``licence``.

        Raises
        ------
        EspressivoError
            If it cannot be done; the message names no place on this machine.
        """
        if form not in FORMS:
            raise ServerError(f"form must be one of {', '.join(FORMS)}, not {brief(form)}")
        dials, seed = _dials(asked)
        with self._lock:
            played = self._performed(name, data, dials, seed)
        if form != "music":
            return played.to_bytes(tempo_map=form == "tempo_map")
        return json.dumps(_music(played), separators=(",", ":")).encode()

    def taken(self, name: str, data: bytes, take: bytes) -> bytes:
        """Find a score in somebody's performance of it.

        Parameters
        ----------
        name : str
            Of the score's file, of which only the ending counts.
        data, take : bytes
            The score's file, and a MIDI file.

        Returns
        -------
        bytes
            JSON: ``beats``, the seconds of the score's beats and of its end, or null; ``velocity``
            of each note, 0 where it was not found; and ``found``, the part of the notes that were.

        Raises
        ------
        EspressivoError
            If either cannot be read, or they are too long.
        """
        with self._lock:
            score, _ = self._read(name, data)
        try:
            found = take_of(score, midi.from_bytes(take, "the take"))
        except ValueError as error:
            raise ServerError(str(error)) from None
        beats = [None if math.isnan(one) else round(one, 4) for one in found.beats_s.tolist()]
        said = {"beats": beats, "velocity": found.velocity.tolist(), "found": found.found}
        return json.dumps(said, separators=(",", ":")).encode()

    def _read(self, name: str, data: bytes) -> _Opened:
        key = _key(name, data)
        score, song = _remembered(self._opened, key, lambda: _open(name, data))
        if len(score) > MOST_NOTES:
            raise ServerError(
                f"{len(score)} notes are too many for the page, which takes {MOST_NOTES}: "
                "use espressivo perform"
            )
        return score, song

    def _performed(self, name: str, data: bytes, dials: Dials, seed: int) -> Rendition:
        score, song = self._read(name, data)
        interpreter = None
        if not dials.as_written:
            if self._interpreter is None:
                self._interpreter = self._load()
            interpreter = _Remembering(
                self._interpreter, self._played, (_key(name, data), dials.tempo)
            )
        return rendition(interpreter, score, dials, song=song, seed=seed)


def _key(name: str, data: bytes) -> Hashable:
    return hashlib.sha256(data).hexdigest(), ending(name, ".mid")


class _Remembering:
    """An interpreter that remembers what it has said lately."""

    def __init__(
        self,
        interpreter: Interpreter,
        played: OrderedDict[Hashable, Interpretation],
        key: Hashable,
    ) -> None:
        self._interpreter, self._played, self._key = interpreter, played, key

    @property
    def card(self) -> Mapping[str, Any]:
        return self._interpreter.card

    def interpret(
        self, score: Score, *, freedom: float, seed: int, velocity: Any = None, progress: Any = None
    ) -> Interpretation:
        key = self._key, freedom, seed, velocity is None
        return _remembered(
            self._played,
            key,
            lambda: self._interpreter.interpret(
                score, freedom=freedom, seed=seed, velocity=velocity, progress=progress
            ),
        )


def _remembered(
    memory: OrderedDict[Hashable, _Value], key: Hashable, make: Callable[[], _Value]
) -> _Value:
    """Return what is remembered, or made now; the oldest is forgotten."""
    if key not in memory:
        memory[key] = make()
        while len(memory) > _REMEMBERED:
            memory.popitem(last=False)
    memory.move_to_end(key)
    return memory[key]


def _open(name: str, data: bytes) -> _Opened:
    """Read a file that a page has sent."""
    kind = ending(name, ".mid")
    if kind not in SCORES:
        raise ServerError(f"{brief(name)} is no score: its name must end in {', '.join(SCORES)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"score{kind}"
        path.write_bytes(data)
        try:
            return opened_score(path)
        except EspressivoError as error:
            raise ServerError(str(error).replace(str(path), "the score")) from None


def _dials(asked: str) -> tuple[Dials, int]:
    """Return the dials and the seed that a page asks for."""
    try:
        given = json.loads(asked)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ServerError("dials must be an object in JSON")
    seed = given.pop("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < _MOST_SEED:
        raise ServerError(f"seed must be a whole number within 0..{_MOST_SEED - 1}")
    unknown = sorted(set(given) - _DIALS)
    if unknown:
        raise ServerError(f"there is no dial {brief(unknown[0])}")
    for name, value in given.items():
        if name.startswith("keep_") and not isinstance(value, bool):
            raise ServerError(f"{name} must be true or false, not {brief(value)}")
    return Dials(**given), seed


def _music(played: Rendition) -> dict[str, Any]:
    """Return a performance as the page reads it."""
    score, rendered = played.score, played.rendered
    notes = score.notes
    columns = (
        np.round(notes["onset"], 4), np.round(rendered.onset_s, 4), np.round(rendered.end_s, 4),
        notes["pitch"], rendered.velocity, notes["velocity"],
    )  # fmt: skip
    controls = played.performance.controls
    pedal = controls[controls["number"] == SUSTAIN]
    moves = np.round(pedal["time_s"], 4).tolist(), pedal["value"].tolist()
    beats = np.append(score.beats, score.quarters)
    times = (beats, rendered.clock.seconds_at(beats), score.seconds_at(beats))
    return {
        "notes": list(zip(*(column.tolist() for column in columns), strict=True)),
        "pedal": list(zip(*moves, strict=True)),
        "beats": list(zip(*(np.round(one, 4).tolist() for one in times), strict=True)),
        "measures": np.round(score.measures, 4).tolist(),
        "seconds": round(played.performance.seconds, 3),
        "model": played.model,
        "licence": played.licence,
    }
