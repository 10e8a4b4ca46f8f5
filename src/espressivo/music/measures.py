"""Measures: what a skeptic asks of a performance, one number each, by name.

Each of `MEASURES` looks at a `Take`, and gives two numbers, how much and of how much. The
figure of several takes is the sum of the former over the sum of the latter, so that a long or
dense one counts for more where a share of notes is asked for, and one that has nothing of the kind
counts for nothing. People's playing is what a figure is to be held against; there is no best value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from espressivo.music.features import pedal_moves, window
from espressivo.music.metre import METRE_S, PULSE_S, regularity
from espressivo.music.performance import Performance
from espressivo.music.playing import (
    ends_on_tonic,
    pedal_with_bass,
    ring_s,
    thinning,
    unplayable,
)
from espressivo.music.recall import longest_loop, recalled
from espressivo.music.straying import hangs, is_stuck, loops
from espressivo.music.tonality import clashes, in_scale, pitch_class_entropy

__all__ = ["MEASURES", "Amount", "Measure", "Take", "measured"]

Amount = tuple[float, float]
"""How much, and of how much; the latter is 0 where there is nothing to measure."""

_PART_S = 30.0  # so long are the parts of which entropy and regularity are taken


@dataclass(frozen=True)
class Take:
    """What is measured.

    Parameters
    ----------
    whole : Performance
        A piece, from its beginning to its end.
    seconds : float
        Length of the part of it that is looked at closely.
    start_s : float
        Where that part begins.
    requested_s : float, optional
        How long the piece was to be, if that was requested.
    """

    whole: Performance
    seconds: float
    start_s: float = 0.0
    requested_s: float | None = None

    @property
    def clip(self) -> Performance:
        """The part that is looked at closely."""
        return window(self.whole, self.start_s, self.seconds)


@dataclass(frozen=True)
class Measure:
    """How a thing that is measured is shown.

    Parameters
    ----------
    group : str
        What it is about.
    title : str
        What it is, for tables.
    unit : str
        Empty for shares and plain numbers.
    quantile : float, optional
        The figure is not the ratio of the sums but this quantile of the takes' values, 0..1.
    """

    group: str
    title: str
    unit: str = ""
    quantile: float | None = None


def _value(value: float) -> Amount:
    """Return a single value as an amount; one that is not a number counts for nothing."""
    return (0.0, 0.0) if math.isnan(value) else (value, 1.0)


def _mean(values: Iterator[float]) -> Amount:
    """Return values as an amount, without those that are not a number."""
    each = [value for value in values if not math.isnan(value)]
    return sum(each), len(each)


def _parts(clip: Performance, take: Take) -> Iterator[tuple[Performance, float]]:
    """Yield parts of 30 s of a clip with their lengths; a shorter rest is left out, if not all."""
    seconds = min(_PART_S, take.seconds)
    for part in range(int(take.seconds // seconds)):
        yield window(clip, part * seconds, seconds), seconds


def _entropy(clip: Performance, take: Take) -> Amount:
    return _mean(pitch_class_entropy(part) for part, _ in _parts(clip, take))


def _regularity(clip: Performance, take: Take, lags_s: tuple[float, float]) -> Amount:
    return _mean(regularity(part, seconds, lags_s) for part, seconds in _parts(clip, take))


def _pedal_down(clip: Performance, take: Take) -> Amount:
    moves_s = pedal_moves(clip)
    until_s = np.append(moves_s, [take.seconds] * (len(moves_s) % 2))
    return float((until_s[1::2] - until_s[::2]).sum()), take.seconds


def _first_note(clip: Performance, take: Take) -> Amount:
    return (float(take.whole.notes["onset_s"][0]), 1.0) if len(take.whole) else (0.0, 0.0)


def _length(clip: Performance, take: Take) -> Amount:
    if take.requested_s is None:
        return 0.0, 0.0
    return take.whole.seconds / take.requested_s, 1.0


MEASURES: Mapping[str, Measure] = {
    "patterns_4": Measure("recall", "patterns of 4 notes that have come before"),
    "patterns_6": Measure("recall", "patterns of 6 notes that have come before"),
    "patterns_8": Measure("recall", "patterns of 8 notes that have come before"),
    "recent": Measure("recall", "patterns of 6 notes last heard under 4 s before"),
    "old": Measure("recall", "patterns of 6 notes last heard 8 s or more before"),
    "longest_loop": Measure("recall", "longest repetition, 90 % quantile", "periods", 0.9),
    "in_scale": Measure("harmony", "notes in the best scale of 10 s"),
    "clashes": Measure("harmony", "pairs of notes of a chord a semitone apart"),
    "pitch_class_entropy": Measure("harmony", "entropy of pitch classes in 30 s", "bits"),
    "pulse": Measure("metre", "pulse: regularity at 0.2 to 1 s"),
    "metre": Measure("metre", "metre: regularity at 1 to 4 s"),
    "unplayable": Measure("hands and pedal", "chords that no two hands can take"),
    "pedal_down": Measure("hands and pedal", "pedal down"),
    "pedal_with_bass": Measure(
        "hands and pedal", "pedal lifted where the bass changes, above chance"
    ),
    "first_note": Measure("start and end", "time of the first note", "s"),
    "ring": Measure("start and end", "ring of the last chord", "s"),
    "ends_on_tonic": Measure("start and end", "last bass is the tonic"),
    "thinning": Measure("start and end", "density of the last 3 s over that of 12 s before"),
    "length": Measure("start and end", "length over the length requested"),
    "loops": Measure("going astray", "the same 1 to 64 notes 4 times in a row, for over 5 s"),
    "hung": Measure("going astray", "a note sounds for 10 s or more"),
    "stuck": Measure("going astray", "one pitch 16 times with nothing between"),
}
"""What `measured` measures, by name."""

_OF: Mapping[str, Callable[[Performance, Take], Amount]] = {
    "patterns_4": lambda clip, take: recalled(clip, 4),
    "patterns_6": lambda clip, take: recalled(clip, 6),
    "patterns_8": lambda clip, take: recalled(clip, 8),
    "recent": lambda clip, take: recalled(clip, 6, 0.0, 4.0),
    "old": lambda clip, take: recalled(clip, 6, 8.0),
    "longest_loop": lambda clip, take: _value(longest_loop(clip)),
    "in_scale": lambda clip, take: in_scale(clip),
    "clashes": lambda clip, take: clashes(clip),
    "pitch_class_entropy": _entropy,
    "pulse": lambda clip, take: _regularity(clip, take, PULSE_S),
    "metre": lambda clip, take: _regularity(clip, take, METRE_S),
    "unplayable": lambda clip, take: unplayable(clip),
    "pedal_down": _pedal_down,
    "pedal_with_bass": lambda clip, take: pedal_with_bass(clip, take.seconds),
    "first_note": _first_note,
    "ring": lambda clip, take: _value(ring_s(take.whole)),
    "ends_on_tonic": lambda clip, take: _value(ends_on_tonic(take.whole)),
    "thinning": lambda clip, take: _value(thinning(take.whole)),
    "length": _length,
    "loops": lambda clip, take: _value(loops(clip)),
    "hung": lambda clip, take: _value(hangs(clip)),
    "stuck": lambda clip, take: _value(is_stuck(clip)),
}


def measured(take: Take) -> dict[str, Amount]:
    """Return the amount of each of `MEASURES` in a take."""
    clip = take.clip
    return {name: _OF[name](clip, take) for name in MEASURES}
