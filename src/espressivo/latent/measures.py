"""Measures of passages, by which the directions of the space have names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import DURATION, NO_ID, NOTE_ON, TIME_SHIFT, VELOCITY, Vocabulary
from espressivo.latent.passages import CHORD_STEPS

__all__ = [
    "DIRECTIONS",
    "SUMMARY",
    "measured_passages",
    "named_numbers",
    "requests",
    "summarised",
]

SUMMARY = 16
"""Numbers that sum a passage up: logarithms of notes and of onsets a second, mean velocity and mean
pitch, each about 0 and about 1 apart, and the shares of the twelve pitch classes."""

_MIDDLE = np.array([1.8, 1.4, 62.0, 62.0])
_SCALE = np.array([0.6, 0.5, 15.0, 9.0])
_SHORTEST_S = 0.1
_FASTEST = 4.0  # logarithm of notes or onsets a second
_LEAST_SHARE = 1e-3  # of a pitch class: one that is asked for at 0 would be forbidden

DIRECTIONS = ("denser", "louder", "brighter", "calmer", "smoother")
"""What a passage can become more of, each by a measure of its own:

- ``denser``: logarithm of notes a second
- ``louder``: mean velocity
- ``brighter``: mean pitch
- ``calmer``: how little velocity changes from note to note, its mean absolute change below 0
- ``smoother``: mean logarithm of how long a note lasts, over the time until the next onset
"""

_SECOND_STEPS = 100.0


def measured_passages(events: NDArray[np.int64], v: Vocabulary) -> NDArray[np.float64]:
    """Return the measures of passages, (passages, DIRECTIONS).

    Parameters
    ----------
    events : int64 array, (passages, length, fields)
        `NO_ID` for what is not there; at least the first four fields.
    v : Vocabulary

    Returns
    -------
    float64 array
        nan for all of a passage with fewer than two notes.
    """
    shift = np.where(events[..., 0] == NO_ID, 0, events[..., 0] - v.first[TIME_SHIFT])
    shift[:, 0] = 0  # how long the music before it rests is not its own
    step = shift.cumsum(1)
    first = v.first[NOTE_ON]
    note = (events[..., 1] >= first) & (events[..., 1] < first + v.counts[NOTE_ON])
    found = np.full((len(events), len(DIRECTIONS)), np.nan)
    velocities = np.array(v.velocity_values)
    for row in range(len(events)):
        at = step[row][note[row]]
        if len(at) < 2:
            continue
        mine = events[row][note[row]]
        velocity = velocities[mine[:, 2] - v.first[VELOCITY]].astype(float)
        lasts = v.shortest_durations[mine[:, 3] - v.first[DURATION]]
        later = np.searchsorted(at, at + CHORD_STEPS)
        following = np.append(at, at[-1] + _SECOND_STEPS)[later] - at
        seconds = max(float(at[-1] - at[0]), 10.0) / v.steps_per_second
        found[row] = (
            np.log((len(at) - 1) / seconds),
            velocity.mean(),
            (mine[:, 1] - first + v.lowest_pitch).mean(),
            -np.abs(np.diff(velocity)).mean(),
            np.log(np.maximum(lasts, 1) / np.maximum(following, 1)).mean(),
        )
    return found


def summarised(
    events: NDArray[np.int64], v: Vocabulary
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what sums passages up, (passages, SUMMARY), and how many notes each has.

    Parameters
    ----------
    events : int64 array, (passages, length, fields)
        `NO_ID` for what is not there.
    v : Vocabulary
    """
    shift = np.where(events[..., 0] == NO_ID, 0, events[..., 0] - v.first[TIME_SHIFT])
    shift[:, 0] = 0
    step = shift.cumsum(1)
    first = v.first[NOTE_ON]
    note = (events[..., 1] >= first) & (events[..., 1] < first + v.counts[NOTE_ON])
    count = note.sum(1)
    some = np.maximum(count, 1)
    begin = np.where(note, step, np.iinfo(np.int64).max).min(1)
    end = np.where(note, step, -1).max(1)
    seconds = np.maximum(np.where(count > 0, end - begin, 0) / v.steps_per_second, _SHORTEST_S)
    onsets = (note & (shift >= CHORD_STEPS)).sum(1)
    pitch = events[..., 1] - first + v.lowest_pitch
    velocity = np.array(v.velocity_values)[np.where(note, events[..., 2] - v.first[VELOCITY], 0)]
    numbers = np.stack(
        (
            np.log(np.maximum(count - 1, 0.5) / seconds),
            np.log(np.maximum(onsets, 0.5) / seconds),
            (velocity * note).sum(1) / some,
            (pitch * note).sum(1) / some,
        ),
        1,
    )
    shares = np.stack([((pitch % 12 == name) & note).sum(1) for name in range(12)], 1)
    found = np.concatenate(((numbers - _MIDDLE) / _SCALE, shares / some[:, None]), 1)
    return found.astype(np.float32), count.astype(np.float32)


def named_numbers(summary: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Return notes and onsets a second, mean velocity (1 to 127) and mean pitch of a summary."""
    density, onsets, velocity, pitch = (summary[:4] * _SCALE + _MIDDLE).tolist()
    rates = np.exp(np.clip((density, onsets), -_FASTEST, _FASTEST)).tolist()
    return rates[0], rates[1], min(max(velocity, 1.0), 127.0), pitch


def requests(summary: NDArray[np.float32]) -> dict[str, Any]:
    """Return what controls ask for what a summary, (SUMMARY,), says, by their names."""
    density, onsets, velocity, _ = named_numbers(summary)
    shares = np.maximum(summary[4:].astype(float), _LEAST_SHARE)
    return {
        "density": density,
        "onset_rate": onsets,
        "loudness": velocity,
        "pitch_weights": tuple((shares / shares.sum()).tolist()),
    }
