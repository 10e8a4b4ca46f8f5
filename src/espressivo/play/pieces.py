"""Pieces: a plan of what is to be played, and the ids that a model plays by it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from espressivo.codes import Decoder, Event, Ids, Vocabulary
from espressivo.engine import Engine, generator
from espressivo.errors import GenerationError
from espressivo.play.batch import Row, begun, side_by_side
from espressivo.play.endings import ENDINGS, Close
from espressivo.play.player import Choice, Player, Reader
from espressivo.play.settings import Settings

__all__ = [
    "DEFAULT_SECONDS",
    "LONGEST_PIECE_S",
    "LONGEST_START_S",
    "Plan",
    "generate",
    "generate_batch",
]

DEFAULT_SECONDS = 30.0
"""Length of what is generated when none is requested."""

LONGEST_PIECE_S = 600.0
"""Greatest length of a piece that ends by itself when none is requested."""

LONGEST_START_S = 0.1
"""Without a primer the first note begins within this time: who presses play wants to hear music."""


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
    player = _player(engine, plan, seed, None)
    return (id_ for event in _decided(player, _events(player, plan)) for id_ in event)


def generate_batch(engine: Engine, plan: Plan, seeds: Sequence[int]) -> list[list[int]]:
    """Play by a plan once with each seed, side by side; return the ids of each.

    With guidance they are played one after another all the same.
    """
    guided = [settings.guidance for settings in (plan.settings, *(c[1] for c in plan.changes))]
    if any(guidance != 1 for guidance in guided):
        return [list(generate(engine, plan, seed)) for seed in seeds]
    rows = [Row() for _ in seeds]
    players = [_player(engine, plan, seed, row) for seed, row in zip(seeds, rows, strict=True)]
    controls, returns = rows[0].controls, rows[0].returns  # as their players have set them
    memory = begun(engine, plan.primer, controls=controls, returns=returns)
    playing = [_events(player, plan) for player in players]
    return side_by_side(engine, [memory] * len(rows), rows, playing)


Playing = Generator[Choice | Event, int | None, None]
"""A piece in the making: gives choices, and takes the ids drawn; gives events as they happen."""


def _player(engine: Engine, plan: Plan, seed: int | None, state: Reader | None) -> Player:
    player = Player(engine, plan.settings, generator(seed), plan.primer, state)
    rate, steps = plan.vocabulary.steps_per_second, plan.steps
    if not len(plan.primer):
        start = round(LONGEST_START_S * rate)
        player.start_by(start if steps is None else min(start, max(1, steps // 4)))
    elif steps is not None and plan.ending != "own":
        player.start_by(player.decoder.begin + max(1, steps // 2))
    return player


def _decided(player: Player, playing: Playing) -> Iterator[Event]:
    """Draw what a piece in the making chooses, from what its player expects; return its events."""
    with contextlib.suppress(StopIteration):
        given = next(playing)
        while True:
            if isinstance(given, Choice):
                id_ = given.sampling.choose(player.logits(), given.share, given.allowed)
                given = playing.send(int(id_))
            else:
                yield given
                given = next(playing)


def _events(player: Player, plan: Plan) -> Playing:
    """Play up to the end of a plan."""
    decoder = player.decoder
    end = None if plan.steps is None else decoder.begin + plan.steps
    close = Close(decoder, end) if plan.ending == "natural" and end is not None else None
    endless = end is None and plan.events is None and plan.notes is None
    ending, rate = endless or plan.ending == "own", plan.vocabulary.steps_per_second
    changes = [(decoder.begin + round(s * rate), settings) for s, settings in plan.changes]
    counts = plan.notes is not None or close is not None  # whether it matters what begins a note
    events = notes = 0
    while (end is None or decoder.now < end) and (plan.events is None or events < plan.events):
        while changes and decoder.now >= changes[0][0]:
            player.settings = changes.pop(0)[1]
        if close is not None:
            close.look(decoder)
        elif plan.notes is not None and notes == plan.notes:
            close = Close(decoder, decoder.now)  # the last notes ring
            close.closed = True
        if close is not None and close.closed:
            rings_until = decoder.rings_until
            if rings_until is not None:
                yield _passed(decoder, rings_until if end is None else min(rings_until, end))
            if rings_until is not None or not decoder.sounding:
                break
        ruled_out = None if close is None else close.ruled_out
        event = yield from player.choices(ruled_out=ruled_out, ending=ending)
        if event is None:
            return
        begins = counts and player.mask.begins_note(event)
        if end is not None and decoder.now + (gap := decoder.gap(event)) >= end:
            player.drop()
            yield _passed(decoder, end)
            break
        if close is not None and begins and not close.closed:
            close.look(decoder, gap)
            if close.closed:  # before this note
                player.drop()
                continue
        player.play(event)
        events, notes = events + 1, notes + begins
        yield event
    if close is not None:
        yield tuple(decoder.closing())


def _passed(decoder: Decoder, until: int) -> Event:
    """Let time pass up to a step, and return the ids that say so."""
    ids = tuple(id_ for event in decoder.passing(until - decoder.now) for id_ in event)
    for id_ in ids:
        decoder.feed(id_)
    return ids
