"""Controls: what a musician may ask of the music to come, as numbers that a network reads.

Each control is optional: in training each is left out at random, so that a network also plays with
none. What is asked are measures of the music that follows within seconds (Performance RNN was
conditioned in this way on density and pitch classes; Simon & Oore 2017).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.codes.codec import DEFAULT_VELOCITY, grid_steps
from espressivo.codes.layout import (
    NOTE_ON,
    VELOCITY,
    Ids,
    Layout,
)
from espressivo.errors import GenerationError
from espressivo.music import CHORD_GAP_S, parse_key
from espressivo.numeric import Range, fields_within, within

__all__ = [
    "COMPOSERS",
    "CONTROLS",
    "SIZE",
    "Controls",
    "composer_of",
    "controls_within",
    "dropped",
    "key",
    "measured",
    "shares",
]

CONTROLS = ("density", "loudness", "pitch_weights", "onset_rate", "composer")
"""The controls, in the order of their numbers."""

COMPOSERS = (
    "Bach",
    "Haydn",
    "Mozart",
    "Beethoven",
    "Schubert",
    "Mendelssohn",
    "Chopin",
    "Schumann",
    "Liszt",
    "Brahms",
    "Debussy",
    "Scriabin",
    "Rachmaninoff",
    "Ravel",
)
"""Composers that can be asked for, by birth: those of twenty pieces and two hours in the data."""

_DENSITIES = np.array([0, 2, 4, 6, 9, 13, 18, 25], np.float32)  # notes begun per second
_LOUDNESSES = np.array([20, 32, 42, 52, 62, 72, 82, 95], np.float32)  # MIDI velocity
_ONSET_RATES = np.array([0, 1, 2, 3, 4.5, 6.5, 9, 13], np.float32)  # onsets per second
_WINDOW_S = 5.0  # over which density, loudness and onset rate are measured
_PITCH_WINDOW_S = 10.0

_PARTS = (slice(0, 8), slice(8, 16), slice(16, 28), slice(28, 36), slice(36, 50))
SIZE = 50
"""Numbers that a network reads: those of each control add up to 1, or are 0 if it is not asked."""

_RANGES: dict[str, Range] = {
    "density": {"least": 0, "optional": True},
    "onset_rate": {"least": 0, "optional": True},
    "loudness": {"least": 1, "most": 127, "optional": True},
}


@dataclass(frozen=True)
class Controls:
    """What is asked of the music to come; None asks nothing.

    Parameters
    ----------
    density : float, optional
        Notes begun per second, at least 0; beyond 25 means 25.
    loudness : float, optional
        Mean MIDI velocity, within 1..127; below 20 means 20 and beyond 95 means 95.
    pitch_weights : tuple of 12 floats, optional
        How often each pitch class is to be heard, from C upwards, at least 0 each and not all 0;
        only their proportions matter.
    onset_rate : float, optional
        Onsets per second, at least 0, a chord counted once; beyond 13 means 13. With a density,
        it says how full the chords are.
    composer : str, optional
        One of `COMPOSERS`, in any case: in whose manner to go on.

    Raises
    ------
    GenerationError
        If a value is out of range.
    """

    density: float | None = None
    loudness: float | None = None
    pitch_weights: tuple[float, ...] | None = None
    onset_rate: float | None = None
    composer: str | None = None

    def __post_init__(self) -> None:
        if problems := fields_within(self, _RANGES):
            raise GenerationError("; ".join(problems))
        if self.composer is not None:
            known = [name for name in COMPOSERS if name.lower() == self.composer.lower()]
            if not known:
                raise GenerationError(
                    f"composer must be one of {', '.join(COMPOSERS)}, not {self.composer!r}"
                )
            object.__setattr__(self, "composer", known[0])
        if self.pitch_weights is not None:
            object.__setattr__(self, "pitch_weights", _weights(self.pitch_weights))

    def numbers(self) -> NDArray[np.float32]:
        """Return what a network reads, shape (`SIZE`,)."""
        numbers = np.zeros(SIZE, np.float32)
        density, loudness, pitches, onset_rate, composer = _PARTS
        if self.density is not None:
            numbers[density] = shares(np.array([self.density]), _DENSITIES)[0]
        if self.loudness is not None:
            numbers[loudness] = shares(np.array([self.loudness]), _LOUDNESSES)[0]
        if self.pitch_weights is not None:
            numbers[pitches] = np.array(self.pitch_weights) / sum(self.pitch_weights)
        if self.onset_rate is not None:
            numbers[onset_rate] = shares(np.array([self.onset_rate]), _ONSET_RATES)[0]
        if self.composer is not None:
            numbers[composer] = np.array(COMPOSERS) == self.composer
        return numbers


def _weights(given: Iterable[float]) -> tuple[float, ...]:
    """Return the weights of the 12 pitch classes as Python's own numbers."""
    try:
        weights = tuple(within("a weight", weight, least=0) for weight in given)
    except (GenerationError, TypeError):
        weights = ()
    if len(weights) != 12 or not any(weights):
        raise GenerationError(
            "pitch_weights must be 12 numbers from C upwards, at least 0 and finite, not all 0"
        )
    return weights


def key(name: str) -> tuple[float, ...]:
    """Return how often each pitch class is played in a key, as `Controls.pitch_weights`.

    See `espressivo.music.parse_key` for the names, such as ``"F# minor"``, ``"Bb"`` or ``"Am"``,
    and `espressivo.music.Key.pitch_weights` for the shares.

    Raises
    ------
    GenerationError
        If it is not the name of a key; the message suggests the nearest one.
    """
    return parse_key(name).pitch_weights


def controls_within(size: int) -> tuple[str, ...]:
    """Return the names of the controls that a network reads whose model file has so many numbers.

    New controls get numbers after the others, so earlier models keep theirs. A ValueError if no
    network can have been trained with so many.
    """
    if size not in (0, *(part.stop for part in _PARTS)):
        raise ValueError(f"{size} controls, not {SIZE}")
    return tuple(n for n, part in zip(CONTROLS, _PARTS, strict=True) if part.stop <= size)


def composer_of(composition: str) -> str | None:
    """Return which of `COMPOSERS` wrote a composition named as "composer | title", or None.

    One composer's arrangement of another's work ("Franz Schubert / Franz Liszt") is neither's.
    """
    name, bar, _ = composition.partition(" | ")
    last = name.split()[-1] if bar and name.strip() and "/" not in name else ""
    return last if last in COMPOSERS else None


def measured(ids: Ids, vocabulary: Layout, composer: str | None = None) -> NDArray[np.float32]:
    """Measure, for each event, the music that begins with it.

    Parameters
    ----------
    ids : int32 array, shape (n,)
        As the codec writes them.
    composer : str, optional
        One of `COMPOSERS`.

    Returns
    -------
    float32 array, shape (n, `SIZE`)
        A control that cannot be measured, as no note follows in its window, is 0 there.
    """
    v, kinds = vocabulary, vocabulary.kinds[ids]
    values = v.values[ids]
    step = grid_steps(ids, v)
    begins = kinds == NOTE_ON
    note_step = step[begins]
    first = np.cumsum(begins) - begins  # notes before each event
    now = np.concatenate(([0], step[:-1]))
    numbers = np.zeros((len(ids), SIZE), np.float32)
    density, loudness, pitches, onset_rate, composers = _PARTS

    last = np.searchsorted(note_step, now + round(_WINDOW_S * v.steps_per_second))
    count = np.maximum(last - first, 0)
    numbers[:, density] = shares(count / _WINDOW_S, _DENSITIES)

    if v.notewise:
        velocities = values[np.flatnonzero(begins) + 1]
    else:
        velocities = _velocities(kinds, values)[begins]
    loud = np.cumsum(np.concatenate(([0], velocities)))
    some = count > 0
    means = (loud[last[some]] - loud[first[some]]) / count[some]
    numbers[some, loudness] = shares(means, _LOUDNESSES)

    # The first note of a window begins a chord there, wherever its chord began.
    starts = np.diff(note_step, prepend=-np.inf) > CHORD_GAP_S * v.steps_per_second
    chords = np.concatenate(([0], np.cumsum(starts)))
    onsets = np.maximum(chords[last] - chords[np.minimum(first + 1, len(starts))], 0) + some
    numbers[:, onset_rate] = shares(onsets / _WINDOW_S, _ONSET_RATES)

    last = np.searchsorted(note_step, now + round(_PITCH_WINDOW_S * v.steps_per_second))
    count = np.maximum(last - first, 0)
    some = count > 0
    heard = np.zeros((len(note_step) + 1, 12), np.int32)
    heard[np.arange(1, len(heard)), values[begins] % 12] = 1
    heard = heard.cumsum(axis=0)
    numbers[some, pitches] = (heard[last[some]] - heard[first[some]]) / count[some, None]

    if composer is not None:
        numbers[:, composers] = np.array(COMPOSERS) == composer
    return numbers


def dropped(numbers: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Leave out all controls half of the time, else each of them half of the time."""
    if rng.random() < 0.5:
        return np.zeros_like(numbers)
    kept = numbers.copy()
    for part, keep in zip(_PARTS, rng.random(len(_PARTS)) < 0.5, strict=True):
        if not keep:
            kept[:, part] = 0
    return kept


def _velocities(kinds: NDArray[np.int8], values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the MIDI velocity in force at each event."""
    changes = kinds == VELOCITY
    known = np.concatenate((np.array([DEFAULT_VELOCITY], np.int32), values[changes]))
    return np.take(known, np.cumsum(changes))


def shares(values: NDArray[np.float64], knots: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share each value between the two knots around it; shape (n, knots)."""
    place = np.interp(values, knots, np.arange(len(knots)))[:, None]
    away = np.abs(place - np.arange(len(knots)))
    return np.asarray(np.maximum(0, 1 - away), np.float32)
