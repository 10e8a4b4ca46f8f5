"""Pieces: a plan of what is to be played, and the ids that a model plays by it."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from espressivo.codes import NOTE_ON, SUSTAIN, VELOCITY, Controls, Event, Ids, Vocabulary
from espressivo.engine import Engine, generator
from espressivo.errors import GenerationError
from espressivo.numeric import within
from espressivo.play.batch import Row, begun, side_by_side
from espressivo.play.endings import ENDINGS, Close, Homeward, close_steps, passed
from espressivo.play.form import Form, Habit, Section
from espressivo.play.player import Adjust, Choice, Player, Reader, RuledOut
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
    form : tuple of Section
        What comes back; see `espressivo.play.form.sections`.
    habit : bool
        Whether short passages come back; see `espressivo.play.form.Habit`.
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
    form: tuple[Section, ...] = ()
    habit: bool = False
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
            within("the second of a change", second, least=0)
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
    return _decided(player, plan, _form(player, plan, seed))


def generate_batch(engine: Engine, plan: Plan, seeds: Sequence[int]) -> list[list[int]]:
    """Play by a plan once with each seed, side by side; return the ids of each.

    With guidance they are played one after another all the same.
    """
    if _guided(plan):
        return [list(generate(engine, plan, seed)) for seed in seeds]
    rows = [Row() for _ in seeds]
    players = [_player(engine, plan, seed, row) for seed, row in zip(seeds, rows, strict=True)]
    controls, returns = rows[0].controls, rows[0].returns  # as their players have set them
    memory = begun(engine, plan.primer, controls=controls, returns=returns)
    forms = [_form(player, plan, seed) for player, seed in zip(players, seeds, strict=True)]
    pieces = [_chosen(player, plan, form) for player, form in zip(players, forms, strict=True)]
    return side_by_side(engine, [memory] * len(rows), rows, pieces)


def _form(player: Player, plan: Plan, seed: int | None) -> Form | Habit | None:
    """Return what brings something back as a piece is played."""
    begin, rate = player.decoder.begin, plan.vocabulary.steps_per_second
    if plan.form:
        return Form(plan.form, begin, rate)
    return Habit(generator(seed, 1), begin, rate) if plan.habit else None


def _guided(plan: Plan) -> bool:
    """Tell whether any part of a plan takes guidance."""
    every = [plan.settings, *(settings for _, settings in plan.changes)]
    return any(one.guidance not in (None, 1) for one in every) or any(
        later.guidance is None and later.controls not in (earlier.controls, Controls())
        for earlier, later in itertools.pairwise(every)
    )


class _Wanted(NamedTuple):
    """An event that is wanted of a player; see `Player.decide`."""

    ruled_out: RuledOut | None = None
    ending: bool = False
    adjust: Adjust | None = None


_Playing = Generator[_Wanted | Event, Event | None, None]
"""A piece in the making: asks for events, takes those decided, and gives events as they happen."""


def _player(engine: Engine, plan: Plan, seed: int | None, state: Reader | None) -> Player:
    player = Player(engine, plan.settings, generator(seed), plan.primer, state)
    rate, steps = plan.vocabulary.steps_per_second, plan.steps
    if not len(plan.primer):
        start = round(LONGEST_START_S * rate)
        player.start_by(start if steps is None else min(start, max(1, steps // 4)))
    elif steps is not None and plan.ending != "own":
        player.start_by(player.decoder.begin + max(1, steps // 2))
    return player


def _decided(player: Player, plan: Plan, form: Form | Habit | None) -> Iterator[int]:
    """Play by a plan; return the ids of events as they happen."""
    playing = _events(player, plan, form)
    with contextlib.suppress(StopIteration):
        given = next(playing)
        while True:
            if isinstance(given, _Wanted):
                event = player.decide(
                    ruled_out=given.ruled_out, ending=given.ending, adjust=given.adjust
                )
                given = playing.send(event)
            else:
                yield from given
                given = next(playing)


def _chosen(
    player: Player, plan: Plan, form: Form | Habit | None
) -> Generator[Choice | Event, int, None]:
    """Do what `_decided` does, but let whoever runs it draw the ids; see `Player.choices`."""
    playing = _events(player, plan, form)
    with contextlib.suppress(StopIteration):
        given = next(playing)
        while True:
            if isinstance(given, _Wanted):
                event = yield from player.choices(
                    ruled_out=given.ruled_out, ending=given.ending, adjust=given.adjust
                )
                given = playing.send(event)
            else:
                yield given
                given = next(playing)


def _events(player: Player, plan: Plan, form: Form | Habit | None) -> _Playing:
    """Play up to the end of a plan."""
    decoder, rate = player.decoder, plan.vocabulary.steps_per_second
    end = None if plan.steps is None else decoder.begin + plan.steps
    natural = plan.ending == "natural" and end is not None
    watched = end - close_steps(decoder, end) if natural and end is not None else None
    close: Close | None = None
    homeward = Homeward(decoder, end, player.supported) if natural and end is not None else None
    endless = end is None and plan.events is None and plan.notes is None
    ending = endless or plan.ending == "own"
    changes = [(decoder.begin + round(s * rate), settings) for s, settings in plan.changes]
    played, events, notes = plan.primer.tolist(), 0, 0
    most = math.inf if plan.events is None else plan.events
    any_event = _Wanted(ending=ending)
    while (end is None or decoder.now < end) and events < most:
        while changes and decoder.now >= changes[0][0]:
            player.settings = changes.pop(0)[1]
        if homeward is not None:
            settings = homeward.look(decoder, played, player.settings)
            if settings is not player.settings:
                player.settings = settings
        if form is not None:
            form.look(player)
        if plan.notes is not None and notes == plan.notes:
            yield from _last_notes(player)
            break
        if watched is None or end is None or decoder.now < watched:
            event = yield any_event
        else:
            close = close or Close(decoder, end, played, player.settings.pitch_weights)
            event = yield _closing(player, close)
        if event is None:
            return
        if close is not None and close.over(decoder, event):
            player.drop()
            break
        if end is not None and decoder.now + decoder.gap(event) >= end:
            player.drop()
            if close is None:
                yield passed(decoder, end)
            break
        if natural:
            played += event
        player.play(event)
        events += 1
        notes += plan.notes is not None and player.mask.begins_note(event)
        yield event
    if close is not None:
        yield from close.ringing(decoder)


def _closing(player: Player, close: Close) -> _Wanted:
    """Want an event of the close of a piece."""
    decoder = player.decoder
    if player.mask.start is None and not close.arrived(decoder) and decoder.now < close.latest:
        player.start_by(close.latest)
    return _Wanted(close.ruled_out, adjust=close.slower(decoder))


def _last_notes(player: Player) -> _Playing:
    """Let the notes that sound end, and no other begin."""
    decoder, v = player.decoder, player.vocabulary
    spans = [range(first, first + count) for first, count in zip(v.first, v.counts, strict=True)]
    beginnings = [*spans[NOTE_ON], *spans[VELOCITY], *spans[SUSTAIN][1:]]
    while decoder.sounding:
        rings_until = decoder.rings_until
        if rings_until is not None:
            yield passed(decoder, rings_until)
            break
        event = yield _Wanted(lambda _: beginnings)
        if event is None:
            return
        player.play(event)
        yield event
    yield tuple(decoder.closing())
