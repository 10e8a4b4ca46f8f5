"""The interpreter: predicts how a score is played, and draws a playing of it."""

from __future__ import annotations

import importlib.resources
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.engine import described, is_sealed, one_line, opened, read_content
from espressivo.errors import ModelError
from espressivo.interpreter.draws import Draw, alike, mixed, noise
from espressivo.interpreter.features import tables
from espressivo.interpreter.fields import ARTICULATE, FIELDS, ROWS, warped
from espressivo.interpreter.levels import LEVELS, LOGARITHMIC, Levels
from espressivo.interpreter.view import Floats, View
from espressivo.music import Interpretation, Score

__all__ = ["DRAWN", "KIND", "Interpreter", "load_interpreter"]

KIND = "interpreter"
"""What the description of such a model file says that it is."""

DRAWN = ("interval", "velocity", "articulate", "offset", "pedal")
"""Fields that are drawn; the others only say more of the mean of the interval."""

_BUNDLED = ("models", "score", "pianist.onnx")
_CALM = 0.75  # of people's spread, without freedom: a mean varies less; all of it from a half on
_DRIFT = 1.6  # the interval is at most so far, in logarithms, from its level


class Interpreter:
    """A model that says how a score is played.

    Parameters
    ----------
    content : bytes
        Of a model file.
    name : str
        For messages.
    threads : int
        On how many the network runs.

    Raises
    ------
    ModelError
        If it is not whole, or no interpreter.
    """

    def __init__(self, content: bytes, name: str, threads: int = 1) -> None:
        sealed = is_sealed(content, name)
        self._name = name
        self._session, metadata = opened(content, name, threads)
        description = described(metadata, name, sealed)
        if description.get("kind") != KIND:
            raise ModelError(f"{name}: plays no scores: use a model that was trained to")
        try:
            self._features = {k: tuple(names) for k, names in description["features"].items()}
            self._spreads = {k: float(description["spreads"][k]) for k in FIELDS}
            self._draws = {k: _draw(description["draws"][k]) for k in DRAWN}
            levels = description["levels"]
            self._levels = Levels(*(np.array(levels[k], np.float64) for k in _LEVEL_ARRAYS))
            lengths = description.get("lengths", {"ours": [], "people": []})
            self._lengths = tuple(np.array(lengths[k], np.float64) for k in ("ours", "people"))
            self._card = dict(description["card"])
        except (KeyError, TypeError, ValueError):
            raise ModelError(f"{name}: its description is damaged: fetch it again") from None

    @property
    def card(self) -> Mapping[str, Any]:
        """What it says of itself: ``name``, ``licence``, ``trained_on`` and more."""
        return self._card

    def means(self, view: View, *, trees: bool = False) -> dict[str, Floats]:
        """Return the standardised mean of each of `FIELDS`; what the trees alone say, if set."""
        measured = tables(view)
        for rows, names in self._features.items():
            if measured[rows].names != names:
                raise ModelError(f"{self._name}: was trained on other features: fetch it again")
        inputs = {rows: measured[rows].values for rows in self._features}
        try:
            wanted = [f"{name}_trees" if trees else name for name in FIELDS]
            found = self._session.run(wanted, inputs)
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise ModelError(f"{self._name}: cannot be run ({one_line(error)})") from None
        return {
            name: np.asarray(values, np.float64).ravel()
            for name, values in zip(FIELDS, found, strict=True)
        }

    def interpret(
        self,
        score: Score,
        *,
        freedom: float,
        seed: int,
        velocity: Floats | None = None,
        progress: Callable[[int], object] | None = None,
        trees: bool = False,
    ) -> Interpretation:
        """Return a playing of a score; the same arguments always give the same one.

        Parameters
        ----------
        score : Score
            With at least one note.
        freedom : float
            0..1, how much is drawn: without, the mean is played, whatever the seed; at a half, two
            seeds are a little more alike than two people, and at 1 as alike as two people.
        seed : int
            At least 0.
        velocity : array, shape (notes,), optional
            Velocities that are kept, and that the rest follows as if they were written.
        progress : callable, optional
            Is told how many more notes are done.
        trees : bool
            Whether the boosted trees alone say what the mean is.

        Raises
        ------
        ValueError
            If there are no notes, or `freedom` is not within 0..1.
        ModelError
            If the model cannot be run.
        """
        if not len(score) or not 0 <= freedom <= 1:
            raise ValueError("a score needs notes, and freedom must be within 0..1")
        view = View.of(score, velocity)
        means = self.means(view, trees=trees)
        generators = _generators(seed)
        apart = np.sqrt(1 - alike(self._draws["interval"], freedom))
        away = np.clip(apart * generators[-1].standard_normal(len(LEVELS)), -2, 2)
        fields = {
            name: self._drawn(name, view, means, freedom, generator)
            for name, generator in zip(DRAWN, generators, strict=False)
        }
        if progress is not None:
            progress(len(score))
        people = min(1.0, 2 * freedom)
        return self._played(view, fields, self._levels.of(view, away), velocity, people)

    def at_random(self, score: Score, *, seed: int) -> Interpretation:
        """Return values drawn from people's histograms, each by itself, at the expected levels."""
        view = View.of(score)
        fields = {}
        for name, generator in zip(DRAWN, _generators(seed), strict=False):
            drawn = generator.standard_normal(len(_rows(name, view)[1]))
            fields[name] = mixed(drawn, drawn, 1.0, self._draws[name].quantiles, 1.0)
        return self._played(view, fields, self._levels.of(view, np.zeros(len(LEVELS))), None, 1.0)

    def _played(
        self,
        view: View,
        fields: dict[str, Floats],
        levels: Mapping[str, float],
        velocity: Floats | None,
        people: float,
    ) -> Interpretation:
        """Return fields, standardised within the take, at its levels; see `_held`."""
        spread = {
            name: math.exp(levels[f"{name}_spread"])
            if name in LOGARITHMIC
            else max(levels[f"{name}_spread"], 1e-3)
            for name in DRAWN
        }
        off = {name: values * spread[name] for name, values in fields.items()}
        offset = off["offset"] - (np.bincount(view.group, off["offset"]) / view.count)[view.group]
        if velocity is None:
            velocity = np.clip(levels["velocity_mean"] + off["velocity"], 1, 127)
        quarter_s = np.exp(levels["interval_mean"] + np.clip(off["interval"], -_DRIFT, _DRIFT))
        articulation = np.clip(levels["articulate_mean"] + off["articulate"], *ARTICULATE)
        return Interpretation(
            quarter_s,
            np.where(view.count[view.group] > 1, offset, 0.0),
            velocity,
            self._held(view, quarter_s, articulation, people),
            view.cells[:-1],
            np.clip(levels["pedal_mean"] + off["pedal"], 0, 127),
        )

    def _held(self, view: View, quarter_s: Floats, articulation: Floats, share: float) -> Floats:
        """Return an articulation by which keys are held for as long as people hold them.

        That is, so far moved there, 0..1.
        """
        ours, people = self._lengths
        if not len(ours):
            return articulation
        at = np.append(view.onsets, view.onsets[-1] + view.interval[-1])
        seconds = np.append(0.0, np.cumsum(quarter_s * view.interval))
        notated_s = warped(view.onset + view.duration, at, seconds) - seconds[view.group]
        notated = np.log(np.maximum(notated_s, 1e-3))
        held = articulation + notated
        inside = np.clip(held, ours[0], ours[-1])
        return np.asarray(articulation + share * (np.interp(inside, ours, people) - inside))

    def _drawn(
        self,
        name: str,
        view: View,
        means: dict[str, Floats],
        freedom: float,
        generator: np.random.Generator,
    ) -> Floats:
        """Return a field, standardised within the take."""
        draw = self._draws[name]
        mean = self._interval(view, means) if name == "interval" else means[name]
        at, rows = _rows(name, view)
        kept = alike(draw, freedom)
        drawn = noise(draw, at, rows, generator) if kept < 1 else np.zeros(len(rows))
        # Half a pedal is nobody's mean: its depths are people's, however little is drawn.
        shaped = draw.shaped * (1.0 if name == "pedal" else min(1.0, 2 * freedom))
        if name != "offset":
            values = mixed(mean, drawn, kept, draw.quantiles, shaped)
        else:  # of chords alone
            values, chord = np.zeros(len(mean)), view.count[view.group] > 1
            values[chord] = mixed(mean[chord], drawn[chord], kept, draw.quantiles, shaped)
        if name == "pedal":
            return values
        return values * min(1.0, _CALM + 2 * (1 - _CALM) * freedom)

    def _interval(self, view: View, means: dict[str, Floats]) -> Floats:
        """Return the mean of the interval, half of it by way of the beat."""
        of_beat = means["beat"][view.beat] * self._spreads["beat"]
        inside = means["inside"] * self._spreads["inside"]
        return (of_beat + inside + means["interval"] * self._spreads["interval"]) / 2


def _generators(seed: int) -> list[np.random.Generator]:
    """Return a generator for each of `DRAWN`, and one for the levels."""
    keys = ([seed, number] for number in range(len(DRAWN) + 1))
    return [np.random.Generator(np.random.Philox(key=key)) for key in keys]


def _rows(name: str, view: View) -> tuple[Floats, NDArray[np.int64]]:
    """Return where in quarters a field has values, and for each value the index of its place."""
    if ROWS[name] == "notes":
        return view.onsets, view.group
    at = view.onsets if ROWS[name] == "onsets" else view.cells[:-1]
    return at, np.arange(len(at))


_LEVEL_ARRAYS = ("centre", "scale", "weights", "residual")


def _draw(given: Mapping[str, Any]) -> Draw:
    return Draw(
        float(given["people"]),
        float(given["note_share"]),
        float(given["onset_share"]),
        tuple((float(share), float(quarters)) for share, quarters in given["fading"]),
        tuple(float(value) for value in given["quantiles"]),
        float(given["shaped"]),
    )


def load_interpreter(
    path: str | os.PathLike[str] | None = None, *, threads: int = 1
) -> Interpreter:
    """Load a model that plays scores: the one that comes with the package, or that of a path.

    Raises
    ------
    ModelError
        If there is none, or it cannot be used.
    """
    if path is not None:
        return Interpreter(read_content(Path(path)), os.fspath(path), threads)
    entry = importlib.resources.files("espressivo").joinpath(*_BUNDLED)
    if not entry.is_file():
        raise ModelError("no model that plays scores comes with this package: give the path of one")
    return Interpreter(entry.read_bytes(), "pianist", threads)
