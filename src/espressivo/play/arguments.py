"""Arguments of whatever plays a piece: its length, its changes, and who is told how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict

import numpy as np

from espressivo.codes import CONTROLS, NOTE_ON, TIME_SHIFT, Controls, Ids, following
from espressivo.engine import Engine, generator
from espressivo.errors import GenerationError
from espressivo.numeric import plain, within
from espressivo.play.form import FREE, RETURNS_FROM_S, Section, sections
from espressivo.play.pieces import DEFAULT_SECONDS, LONGEST_PIECE_S, Plan
from espressivo.play.player import requested
from espressivo.play.settings import Options, Settings

__all__ = [
    "Changes",
    "Length",
    "ProgressCallback",
    "counting",
    "filling_of",
    "length_of",
    "plan_of",
    "sections_of",
    "told",
]

Changes = Mapping[float, Options]
"""Settings that change on the way, by the second from which they count."""

ProgressCallback = Callable[[float, float], object]
"""What is told how much is done, and how much there is to do."""


class Length(TypedDict):
    """How much is generated, and how it ends."""

    seconds: float | None
    events: int | None
    notes: int | None
    ending: str


def length_of(
    seconds: float | None,
    events: int | None,
    notes: int | None,
    ending: str | None,
    *,
    endless: bool = False,
) -> Length:
    """Return how much is generated and how it ends, with what holds if nothing is said."""
    seconds = plain("seconds", seconds)
    events, notes = plain("events", events, whole=True), plain("notes", notes, whole=True)
    counted = events is not None or notes is not None
    if counted and ending == "natural":
        raise GenerationError("a natural ending needs a length in seconds")
    if seconds is None and not counted and not endless:
        seconds = LONGEST_PIECE_S if ending == "own" else DEFAULT_SECONDS
    return {"seconds": seconds, "events": events, "notes": notes, "ending": ending or "natural"}


def sections_of(
    engine: Engine,
    form: str | None,
    seconds: float | None,
    events: int | None,
    notes: int | None,
) -> tuple[Section, ...]:
    """Return the sections of a form, none of a free one; GenerationError if it cannot be had."""
    if form is None or form == FREE:
        return ()
    if not engine.pointers:
        name = engine.card["name"]
        raise GenerationError(f"the model {name!r} does not support a form: leave it out")
    if events is not None or notes is not None:
        raise GenerationError("a form goes with a length in seconds")
    return sections(form, seconds)


def plan_of(
    engine: Engine,
    length: Length,
    primer: Ids,
    changes: Changes,
    settings: Options,
    form: tuple[Section, ...] = (),
    *,
    habit: bool = False,
) -> Plan:
    """Return the plan that arguments request; with `habit`, of a long piece, something returns."""
    every = [Settings().changed(**settings)]
    seconds = sorted(changes)
    for second in seconds:
        every.append(every[-1].changed(**changes[second]))
    for one in every:
        requested(engine, one)
    if all(one.controls == Controls() for one in every) and any(
        one.guidance not in (None, 1) for one in every
    ):
        raise GenerationError(
            f"guidance has nothing to guide: ask for one of {', '.join(CONTROLS)} or a key"
        )
    if form and all(one.returns == 0 for one in every):
        raise GenerationError("with returns 0 nothing comes back: leave the form out")
    long = length["seconds"] is not None and length["seconds"] > RETURNS_FROM_S
    habit = habit and long and engine.pointers > 0
    planned = tuple(zip(seconds, every[1:], strict=True))
    return Plan(
        engine.vocabulary, every[0], primer, form=form, habit=habit, changes=planned, **length
    )


def filling_of(
    engine: Engine, count: int, candidates: int, seed: int | None, settings: Options
) -> tuple[Settings, int]:
    """Return settings and seed of a fill; GenerationError if they, or the counts, cannot be had."""
    within("count", count, least=1, whole=True)
    within("candidates", candidates, least=1, whole=True)
    chosen = Settings().changed(**settings)
    requested(engine, chosen)
    if chosen.guidance not in (None, 1):
        raise GenerationError("a fill follows what is requested as learned: leave guidance at 1")
    return chosen, int(generator(None).integers(2**31)) if seed is None else seed


def told(ids: Iterator[int], plan: Plan, progress: ProgressCallback | None) -> Iterator[int]:
    """Pass ids on, and tell how much is done."""
    if progress is None:
        yield from ids
        return
    v = plan.vocabulary
    if plan.seconds is not None:
        total, parts = plan.seconds, v.values * (v.kinds == TIME_SHIFT) / v.steps_per_second
    elif plan.notes is not None:
        total, parts = plan.notes, v.kinds == NOTE_ON
    else:
        total = plan.events or 0
        parts = following(v)[0][:-1] == 0 if v.notewise else np.ones(v.size)
    done = 0.0
    progress(done, total)
    for id_ in ids:
        yield id_
        done += float(parts[id_])
        progress(min(done, total), total)
    progress(total, total)


def counting(progress: ProgressCallback | None, total: int) -> Callable[[int], None]:
    """Return what is told how many more of a number are done, and passes the sum on."""
    done = 0

    def more(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(min(done, total), total)

    more(0)
    return more
