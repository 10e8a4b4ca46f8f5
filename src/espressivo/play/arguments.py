"""Arguments of whatever plays a piece: its length, its changes, and who is told how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict

import numpy as np

from espressivo.codes import NOTE_ON, TIME_SHIFT, following
from espressivo.errors import GenerationError
from espressivo.numeric import plain
from espressivo.play.pieces import DEFAULT_SECONDS, LONGEST_PIECE_S, Plan
from espressivo.play.settings import Options

__all__ = ["Changes", "Length", "ProgressCallback", "counting", "length_of", "told"]

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
            progress(done, total)

    more(0)
    return more
