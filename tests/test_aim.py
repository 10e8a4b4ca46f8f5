"""Aim: what a passage still wants becomes likelier while it is played, and nothing impossible."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from espressivo.codes import DURATION, NOTE_ON, TIME_SHIFT, VELOCITY, Event, vocabulary
from espressivo.latent import SUMMARY
from espressivo.play.aim import Aim

V = vocabulary("notes")
LENGTH = 20
MIDDLE = 62  # velocity and pitch of a summary of noughts


def summary(**shares: float) -> NDArray[np.float32]:
    """Return one of about 6 notes a second, with shares of some pitch classes."""
    found = np.zeros(SUMMARY, np.float32)
    for name, share in shares.items():
        found[4 + "C Cs D Ds E F Fs G Gs A As B".split().index(name)] = share
    return found


def note(pitch: int, velocity: int = MIDDLE, shift: int = 17) -> Event:
    return (
        V.first[TIME_SHIFT] + shift,
        V.first[NOTE_ON] + pitch - V.lowest_pitch,
        V.first[VELOCITY] + int(np.argmin(np.abs(np.array(V.velocity_values) - velocity))),
        V.first[DURATION],
    )


def chances(aim: Aim, kind: int) -> NDArray[np.float64]:
    """Return how likely the ids of a kind are, if a model has no preference."""
    raised = aim.raised(np.zeros(V.size, np.float32))
    part = np.exp(raised[V.kinds == kind].astype(float))
    return part / part.sum()


def after(events: list[Event], wanted: NDArray[np.float32] | None = None) -> Aim:
    aim = Aim(summary(C=0.5, G=0.5) if wanted is None else wanted, LENGTH, V)
    for event in events:
        aim.play(event)
    return aim


def mean(aim: Aim, kind: int) -> float:
    return float(chances(aim, kind) @ V.values[V.kinds == kind])


def of_classes(aim: Aim) -> NDArray[np.float64]:
    pitch = V.values[V.kinds == NOTE_ON]
    return np.bincount(pitch % 12, chances(aim, NOTE_ON), 12)


def test_the_pitch_classes_that_are_wanting_come() -> None:
    begun = of_classes(after([]))
    assert begun[0] == pytest.approx(begun[7], rel=0.2) and begun[[0, 7]].sum() > 0.9
    later = of_classes(after([note(60)] * 8))
    assert later[7] > 2 * later[0] > 0
    at_last = of_classes(after([note(60)] * 10 + [note(67)] * 5))
    assert at_last[7] > 0.9


@pytest.mark.parametrize(
    ("kind", "much", "little"),
    [
        (NOTE_ON, note(76), note(48)),
        (VELOCITY, note(60, velocity=90), note(60, velocity=34)),
        (TIME_SHIFT, note(60, shift=60), note(60, shift=2)),
    ],
)
def test_too_much_so_far_makes_less_likelier_and_the_other_way(
    kind: int, much: Event, little: Event
) -> None:
    even = summary(**dict.fromkeys("C Cs D Ds E F Fs G Gs A As B".split(), 1 / 12))
    fewer, usual, more = (mean(after(e, even), kind) for e in ([much] * 5, [], [little] * 5))
    assert fewer < 0.9 * usual and 1.1 * usual < more


def test_notes_together_are_as_likely_as_before() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, V.size).astype(np.float32)
    raised = after([note(60)] * 8).raised(logits)
    notes = V.kinds == NOTE_ON
    assert np.exp(raised[notes]).sum() == pytest.approx(np.exp(logits[notes]).sum(), rel=1e-4)
    others = ~np.isin(V.kinds, (NOTE_ON, VELOCITY, TIME_SHIFT))
    assert np.array_equal(raised[others], logits[others])


@pytest.mark.parametrize("extreme", [-1e3, 0.0, 1e3])
@pytest.mark.parametrize("count", [0, LENGTH, 5 * LENGTH])
def test_nothing_becomes_impossible(extreme: float, count: int) -> None:
    aim = after([note(21, 2, 0)] * count, np.full(SUMMARY, extreme, np.float32))
    raised = aim.raised(np.zeros(V.size, np.float32))
    assert np.isfinite(raised).all() and np.abs(raised).max() < 60
    ruled_out = np.full(V.size, -np.inf, np.float32)
    assert np.array_equal(aim.raised(ruled_out), ruled_out)
