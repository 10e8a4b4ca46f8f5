"""Performing: `espressivo.perform`, and what it gives."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.engine import generator
from espressivo.errors import GenerationError
from espressivo.files import ending
from espressivo.interpreter import load_interpreter
from espressivo.music import Performance, Score
from espressivo.notation import opened_score
from espressivo.numeric import within
from espressivo.play.dials import Dials
from espressivo.play.interpreting import Interpreter, interpreted
from espressivo.play.rendering import Rendered, Span
from espressivo.version import __version__

__all__ = ["DialOptions", "Rendition", "perform", "rendition"]


class DialOptions(TypedDict, total=False):
    """The dials as keywords; see `Dials`."""

    timing: float
    dynamics: float
    articulation: float
    pedal: float
    freedom: float
    keep_dynamics: bool
    keep_pedal: bool
    keep_tempo: bool
    tempo: float | None


@dataclass(frozen=True, eq=False)
class Rendition:
    """A score as it was performed.

    Parameters
    ----------
    rendered : Rendered
        Times and velocities, in the score's order of notes.
    dials : Dials
    seed : int
    model : str
        Name of the model that played; empty if nothing was asked of one.
    licence : str
        Of the model, which the performance comes under too.
    song : espressivo.midi.Song, optional
        The file that the score was read of, of which everything else is kept.
    """

    rendered: Rendered
    dials: Dials
    seed: int = 0
    model: str = ""
    licence: str = ""
    song: midi.Song | None = None

    def __repr__(self) -> str:
        return f"Rendition({len(self.score)} notes, {self.performance.seconds:.2f} s)"

    @property
    def score(self) -> Score:
        """The score; its tempos are those that were set."""
        return self.rendered.clock.score

    @cached_property
    def performance(self) -> Performance:
        """Notes of all its parts, and pedals, in seconds; no drums."""
        return self.rendered.performance()

    @property
    def beats_s(self) -> NDArray[np.float64]:
        """Seconds at which the score's beats come, and its end."""
        beats = np.append(self.score.beats, self.score.quarters)
        return self.rendered.clock.seconds_at(beats)

    @property
    def tempo(self) -> float:
        """Quarters a minute, on the whole."""
        times = self.rendered.clock.seconds_at(np.array([0.0, self.score.quarters]))
        return float(60 * self.score.quarters / (times[1] - times[0]))

    def write(self, path: str | os.PathLike[str], *, tempo_map: bool = False) -> None:
        """Write it into a file of the kind that the ending of its name says.

        A MIDI file (``.mid``, ``.midi``, ``.kar``) holds everything else that the score's own MIDI
        file held; an older one at `path` is replaced only when done. For sound (``.wav``, ...) see
        `Performance.write`.

        Parameters
        ----------
        path : path
        tempo_map : bool
            Whether the notes of a MIDI file stay on the grid of the score, and a tempo for each
            beat carries the timing. Otherwise time runs evenly in it, and bars mean nothing, unless
            the timing is that of the score.

        Raises
        ------
        EspressivoError
            If the ending is none of these, or the file cannot be written.
        """
        if ending(path, ".mid") not in (".mid", ".midi", ".kar"):
            if tempo_map:
                raise GenerationError(f"{os.fspath(path)}: only a MIDI file has a tempo map")
            self.performance.write(path)
            return
        song = midi.song_of(self.score) if self.song is None else self.song
        self._performed(song, tempo_map).write(path)

    def to_bytes(self, *, tempo_map: bool = False) -> bytes:
        """Return the bytes of the MIDI file that `write` writes."""
        song = midi.song_of(self.score) if self.song is None else self.song
        return self._performed(song, tempo_map).to_bytes()

    def _performed(self, song: midi.Song, tempo_map: bool) -> midi.Song:
        texts = []
        if self.model:
            line = (
                f"Performed with espressivo {__version__}; model {self.model}; seed {self.seed}; "
                f"licence {self.licence}"
            )
            texts.append((midi.TEXT, line.encode()))
        played = midi.Played(
            self.rendered.onset_s,
            self.rendered.end_s,
            self.rendered.velocity,
            self.rendered.pedal,
            self.rendered.clock.seconds_at,
            self.rendered.in_time,
        )
        return midi.performed_song(song, self.score, played, tempo_map=tempo_map, texts=texts)


def perform(
    score: Score | str | os.PathLike[str],
    *,
    model: Interpreter | str | os.PathLike[str] | None = None,
    start: float | None = None,
    end: float | None = None,
    seed: int | None = None,
    progress: Callable[[int], object] | None = None,
    **dials: Unpack[DialOptions],
) -> Rendition:
    """Play a score as a person might.

    Every written note is played, once; with the first four dials at 0 it is the score, tick for
    tick. Ornament signs are not played out.

    Parameters
    ----------
    score : Score or path
        Of a path that is a MIDI file, all that is no note stays when the rendition is written.
    model : espressivo.play.Interpreter or path, optional
        What plays; by default the one that comes with the package.
    start, end : float, optional
        Quarters: only what begins between them is performed, and joined smoothly to what is around
        it, which is as written. Then the tempo is kept, too.
    seed : int, optional
        The same seed, score, model and dials give the same rendition; at random if not given.
    progress : callable, optional
        Is told how many more notes are done.
    **dials : optional
        Those of `espressivo.play.Dials`: timing, dynamics, articulation, pedal (0..2), freedom
        (0..1), keep_dynamics, keep_pedal, keep_tempo and tempo.

    Raises
    ------
    ScoreError, MidiError
        If the score cannot be read.
    ModelError
        If there is no such model.
    GenerationError
        If a dial is out of range, there are no notes or no such passage, a tempo mark is absurd and
        no tempo is given, or there are no dynamics to keep.

    Examples
    --------
    >>> score = Score.from_arrays(onset=[0, 1, 2], duration=[1, 1, 2], pitch=[60, 64, 67])
    >>> perform(score, timing=0, dynamics=0, articulation=0, pedal=0).performance.seconds
    2.0
    """
    turned = Dials(**dials)
    song: midi.Song | None = None
    if not isinstance(score, Score):
        score, song = opened_score(score)
    interpreter: Interpreter | None = None
    if not turned.as_written:
        if model is None or isinstance(model, str | os.PathLike):
            interpreter = load_interpreter(model)
        else:
            interpreter = model
    return rendition(
        interpreter, score, turned,
        song=song, start=start, end=end, seed=seed, progress=progress,
    )  # fmt: skip


def rendition(
    interpreter: Interpreter | None,
    score: Score,
    dials: Dials,
    *,
    song: midi.Song | None = None,
    start: float | None = None,
    end: float | None = None,
    seed: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Rendition:
    """Perform a score by a model, which may be None where the dials ask nothing of it.

    See `perform`; `song` is the file that the score was read of.
    """
    seed = within("seed", seed, least=0, whole=True, optional=True)
    chosen = int(generator(None).integers(2**31)) if seed is None else seed
    span = None
    if start is not None or end is not None:
        first = within("start", 0.0 if start is None else start, least=0)
        last = within("end", score.quarters if end is None else end, least=0)
        span = Span(first, last)
    rendered = interpreted(interpreter, score, dials, seed=chosen, span=span, progress=progress)
    card = {} if interpreter is None else interpreter.card
    name, licence = str(card.get("name", "")), str(card.get("licence", ""))
    return Rendition(rendered, dials, chosen, name, licence, song)
