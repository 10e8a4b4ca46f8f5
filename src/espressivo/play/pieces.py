"""Pieces: a plan of what is to be played, and the ids that a model plays by it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from espressivo.codes import Ids, Vocabulary
from espressivo.engine import Engine
from espressivo.errors import GenerationError
from espressivo.play.batch import Row, side_by_side
from espressivo.play.endings import ENDINGS, Close
from espressivo.play.player import Player, Reader
from espressivo.play.settings import Settings

__all__ = ["DEFAULT_SECONDS", "LONGEST_PIECE_S", "Plan", "generate", "generate_batch", "generator"]

DEFAULT_SECONDS = 30.0
"""Length of what is generated when none is requested."""

LONGEST_PIECE_S = 600.0
"""Greatest length of a piece that ends by itself when none is requested."""


@dataclass(frozen=True)
class Plan:
    """What is to be played: from which primer on, how much, how, and how it ends.

    Parameters
    ----------
    vocabulary : Vocabulary
    settings : Settings
    primer : ids
        What comes before, in whole events; see `espressivo.play.Model.generate`.
    seconds, events, notes : optional
        How much is played, not counting the primer: seconds, rounded down to a grid step, or a
        number of events or of notes. At most one of them; none plays until the model ends.
    ending : {"natural", "cut", "own"}
        See `espressivo.play.Model.generate`.
    changes : tuple of (float, Settings)
        Settings that replace those before from a second on, at least 0.

    Raises
    ------
    GenerationError
        If a value is out of range, or they contradict each other.
    """

    vocabulary: Vocabulary
    settings: Settings
    primer: Ids
    seconds: float | None = None
    events: int | None = None
    notes: int | None = None
    ending: str = "natural"
    changes: tuple[tuple[float, Settings], ...] = ()

    def __post_init__(self) -> None:
        lengths = {"seconds": self.seconds, "events": self.events, "notes": self.notes}
        given = [name for name, length in lengths.items() if length is not None]
        if len(given) > 1:
            raise GenerationError(f"give one length, in {' or '.join(given)}, not both")
        for name in ("events", "notes"):
            count = lengths[name]
            if count is not None and count < 1:
                raise GenerationError(f"{name} must be at least 1, not {count}")
        rate = self.vocabulary.steps_per_second
        seconds = self.seconds
        if seconds is not None and not (math.isfinite(seconds) and seconds * rate >= 1):
            raise GenerationError(
                f"seconds must be at least {1 / rate:g} and finite, not {seconds}"
            )
        if self.ending not in ENDINGS:
            raise GenerationError(
                f"ending must be one of {', '.join(ENDINGS)}, not {self.ending!r}"
            )
        if self.ending == "own" and not self.vocabulary.boundaries:
            raise GenerationError(
                f"vocabulary {self.vocabulary.name!r} has no end event: choose another ending "
                "than 'own'"
            )
        for second, _ in self.changes:
            if not (math.isfinite(second) and second >= 0):
                raise GenerationError(f"changes come at 0 s or later, not at {second}")
            if seconds is not None and second >= seconds:
                raise GenerationError(
                    f"a change at {second:g} s comes too late: the piece ends at {seconds:g} s"
                )

    @property
    def steps(self) -> int | None:
        """Its length in grid steps, if it is given in seconds."""
        if self.seconds is None:
            return None
        # 0.29 s are 29 steps, and not 28.999999999999996.
        return math.floor(self.seconds * self.vocabulary.steps_per_second + 1e-6)


def generate(engine: Engine, plan: Plan, seed: int | None) -> Iterator[int]:
    """Play by a plan; return ids one by one, as they are decided."""
    return _ids(engine, plan, seed, None)


def generate_batch(engine: Engine, plan: Plan, seeds: Sequence[int]) -> list[list[int]]:
    """Play by a plan once with each seed, side by side; return the ids of each."""
    guided = [settings.guidance for settings in (plan.settings, *(c[1] for c in plan.changes))]
    if any(guidance != 1 for guidance in guided):
        return [list(generate(engine, plan, seed)) for seed in seeds]
    rows = [Row() for _ in seeds]
    streams = [_ids(engine, plan, seed, row) for seed, row in zip(seeds, rows, strict=True)]
    return side_by_side(engine, plan.primer, rows, streams)


def generator(seed: int | None) -> np.random.Generator:
    """Return a generator of random numbers: the same one for the same seed, at least 0."""
    if seed is not None and seed < 0:
        raise GenerationError(f"seed must be at least 0, not {seed}")
    return np.random.Generator(np.random.PCG64(seed))


def _ids(engine: Engine, plan: Plan, seed: int | None, state: Reader | None) -> Iterator[int]:
    """Do what `generate` says, perhaps with a state that has read the primer."""
    player = Player(engine, plan.settings, generator(seed), plan.primer, state)
    begin, rate = player.grammar.begin, plan.vocabulary.steps_per_second
    end = None if plan.steps is None else begin + plan.steps
    close = Close(player.grammar, end) if plan.ending == "natural" and end is not None else None
    endless = end is None and plan.events is None
    planned = [(begin + round(second * rate), settings) for second, settings in plan.changes]
    return _events(player, end, plan.events, close, planned, endless or plan.ending == "own")


def _events(
    player: Player,
    end: int | None,
    events: int | None,
    close: Close | None,
    planned: list[tuple[int, Settings]],
    ending: bool,
) -> Iterator[int]:
    """Let a player play up to a step, a number of events or its close.

    `planned` says from which step on it plays how, in order of time; `ending` whether the piece
    can end by itself.
    """
    count = 0
    while (end is None or player.grammar.now < end) and (events is None or count < events):
        while planned and player.grammar.now >= planned[0][0]:
            player.settings = planned.pop(0)[1]
        without = [] if close is None else close.without()
        if close is not None and close.over:
            break
        ringing = player.grammar.ring(end) if close is not None and close.closed else None
        if ringing is not None:
            player.grammar.feed(ringing)
            yield ringing
            continue
        id_ = player.decide(end=end, without=without, ending=ending)
        if id_ is None:
            return
        player.feed(id_)
        count += 1
        yield id_
    if close is not None:
        yield from player.grammar.closing()
