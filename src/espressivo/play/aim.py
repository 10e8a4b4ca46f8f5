"""Aim: what a passage is to be like, and what of that is still wanting while it is played."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import NOTE_ON, TIME_SHIFT, VELOCITY, Event, Vocabulary
from espressivo.latent import named_numbers

__all__ = ["Aim"]

_CLASSES, _PITCH, _VELOCITY, _TIME = 1.5, 1.5, 1.5, 1.0  # strengths; chosen on half A
_NOTES_EACH, _EVENTS = 0.85, 8  # notes an event among people, and how many events that counts as
_LITTLE = 0.1  # notes of each pitch class that may come although none is wanting
_PITCHES, _VELOCITIES = 9.0, 15.0  # what passages differ by, and the farthest that a rest may be
_FASTEST = 3.0  # times as fast as all of the passage, at most, the rest of it


class Aim:
    """What a passage is to be like, and how likely each id has to become for it to be so.

    What has been played of the passage is compared with what all of it is to be: the shares of the
    twelve pitch classes, mean pitch, mean velocity, and notes a second. What the rest of it would
    have to be like becomes likelier by as much as it differs, and nothing becomes impossible.

    Parameters
    ----------
    summary : float32 array, shape (SUMMARY,)
        What the passage is to be like; see `espressivo.latent.SUMMARY`.
    length : int
        Events of the passage.
    v : Vocabulary
    """

    def __init__(self, summary: NDArray[np.float32], length: int, v: Vocabulary) -> None:
        self._v, self._length = v, length
        self._events = self._notes = self._now = 0
        self._counts = np.zeros(12)
        self._pitches = self._velocities = 0.0
        self.want(summary)

    def want(self, summary: NDArray[np.float32]) -> None:
        """Let the passage be like something else from now on; what was played of it counts."""
        density, _, self._velocity, self._pitch = named_numbers(summary)
        self._steps_each = self._v.steps_per_second / density
        shares = np.maximum(summary[4:].astype(float), 0)
        self._shares = shares / max(float(shares.sum()), 1e-9)

    def play(self, event: Event) -> None:
        """Take note of an event that has been played."""
        kinds, values = self._v.kinds, self._v.values
        for id_ in event:
            kind, value = kinds[id_], values[id_]
            if kind == TIME_SHIFT and self._events:
                self._now += int(value)
            elif kind == NOTE_ON:
                self._notes += 1
                self._counts[value % 12] += 1
                self._pitches += value
            elif kind == VELOCITY:
                self._velocities += value
        self._events += 1

    def raised(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scores of the next id, shape (size,), with what is wanting raised.

        Notes together are as likely as they were, beside movements of the pedal.
        """
        v = self._v
        events = max(self._length - self._events, 1)
        each = (self._notes + _NOTES_EACH * _EVENTS) / (self._events + _EVENTS)
        left = max(events * each, 1.0)
        every = self._notes + left
        raised = logits.copy()

        wanting = np.maximum(every * self._shares - self._counts, 0) + _LITTLE
        notes = slice(v.first[NOTE_ON], v.first[NOTE_ON] + v.counts[NOTE_ON])
        pitch = np.arange(v.counts[NOTE_ON]) + v.lowest_pitch
        bias = _CLASSES * np.log(wanting / wanting.sum())[pitch % 12]
        rest = (every * self._pitch - self._pitches) / left
        bias += _PITCH * _pull(pitch, rest, self._pitch, _PITCHES)
        together = np.logaddexp.reduce(logits[notes])
        if np.isfinite(together):
            raised[notes] += bias + together - np.logaddexp.reduce(logits[notes] + bias)

        velocities = slice(v.first[VELOCITY], v.first[VELOCITY] + v.counts[VELOCITY])
        rest = (every * self._velocity - self._velocities) / left
        raised[velocities] += _VELOCITY * _pull(
            v.values[velocities], rest, self._velocity, _VELOCITIES
        )
        shifts = slice(v.first[TIME_SHIFT], v.first[TIME_SHIFT] + v.counts[TIME_SHIFT])
        usual = every * self._steps_each / (self._events + events)
        rest = (every * self._steps_each - self._now) / events
        slower = np.log(np.clip(rest / usual, 1 / _FASTEST, _FASTEST))
        raised[shifts] += _TIME * slower * np.log1p(v.values[shifts])
        return raised


def _pull(
    values: NDArray[np.integer], rest: float, mean: float, spread: float
) -> NDArray[np.float64]:
    """Return by how much values are raised if a rest is to have another mean than usual."""
    apart = np.clip((rest - mean) / spread, -1, 1)
    return np.asarray(apart * (values - mean) / spread)
