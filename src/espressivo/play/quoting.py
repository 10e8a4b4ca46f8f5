"""Quoting: what follows a gap is read before its nearest past, by a model that has learned to.

See `espressivo.codes.quote`; a model without that is told nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    END,
    FILL_NUMBERS,
    IN_GAP,
    NO_ID,
    NOTE_ON,
    ORDINARY,
    START,
    TIME_SHIFT,
    VELOCITY,
    Event,
    Ids,
    Vocabulary,
    fill_numbers,
    pedal_down,
    quote,
    steps,
)
from espressivo.engine import Engine
from espressivo.play.batch import Memory, begun

__all__ = ["Quote", "Timed", "begun_with", "beside", "expected_inside", "quoted", "timed"]

_NEAR = 48  # events of the past that are read after the quote


class Timed(NamedTuple):
    """What happens at a grid step, as ids without the time.

    Parameters
    ----------
    step : int
        Counted from the beginning of the gap.
    ids : tuple of ids
        Of a note in an event-wise vocabulary, its velocity and its note-on. Without any, a note
        begins of which nothing else is known.
    """

    step: int
    ids: Event


class Quote(NamedTuple):
    """What a model is told of what follows a gap.

    Parameters
    ----------
    ids : int32 array, shape (n,)
    marks : int array, shape (n,)
        Of each id.
    left : int
        Grid steps from the beginning of the gap to where it ends, or of its last part.
    """

    ids: Ids
    marks: NDArray[np.int64]
    left: int


def quoted(
    kept: Sequence[Timed], after: Sequence[Timed], wait: int, left: int, down: bool, v: Vocabulary
) -> Quote:
    """Quote what follows a gap, and what of it is kept.

    Parameters
    ----------
    kept, after : sequences of Timed
    wait : int
        Steps from the latest event to the gap.
    left : int
        See `Quote`.
    down : bool
        Whether the pedal is down where the gap ends.
    v : Vocabulary
    """
    events, marks = quote(down, *_laid(kept, wait, v), *_laid(after, 0, v), v)
    there = events != NO_ID
    return Quote(events[there], np.repeat(marks, there.sum(axis=1)), left)


def _laid(items: Sequence[Timed], later: int, v: Vocabulary) -> tuple[Ids, NDArray[np.int64]]:
    """Return events, and when they are; all of them so many steps later."""
    ids = [id_ for item in items for id_ in (v.first[TIME_SHIFT], *item.ids)]
    at = np.array([item.step + later for item in items], np.int64)
    return steps(np.array(ids, np.int32), v), at


def timed(ids: Ids, v: Vocabulary) -> list[Timed]:
    """Lay out a list of ids, from its beginning, by steps; without its start and end."""
    if v.notewise:
        laid = steps(ids, v)
        times = np.cumsum(v.values[laid[:, 0]]).tolist()
        events = [tuple(id_ for id_ in row[1:].tolist() if id_ != NO_ID) for row in laid]
        return [
            Timed(step, event)
            for step, event in zip(times, events, strict=True)
            if event and v.kinds[event[0]] != END
        ]
    now, velocity = 0, int(v.first[VELOCITY] + v.velocity_bins[64])
    items = []
    for id_ in ids.tolist():
        kind = v.kinds[id_]
        if kind == TIME_SHIFT:
            now += int(v.values[id_])
        elif kind == VELOCITY:
            velocity = id_
        elif kind not in (START, END):
            items.append(Timed(now, (velocity, id_) if kind == NOTE_ON else (id_,)))
    return items


def beside(
    engine: Engine, asked: NDArray[np.float32] | None, mark: int, left_steps: int
) -> NDArray[np.float32]:
    """Return what a model reads beside an event of a gap, with so many steps left of it."""
    numbers = np.zeros(engine.controls, np.float32) if asked is None else asked.copy()
    left_s = np.array([left_steps / engine.vocabulary.steps_per_second])
    numbers[-FILL_NUMBERS:] = fill_numbers(np.array([mark]), left_s)[0]
    return numbers


def begun_with(
    engine: Engine,
    context: Ids,
    told: Quote | None,
    wait: int,
    *,
    controls: NDArray[np.float32] | None,
    returns: float,
    earlier: Ids,
) -> Memory:
    """Read what is before a gap, with a quote of what follows it, if there is one.

    Parameters
    ----------
    engine : Engine
    context, earlier : ids
        As `begun` takes them.
    told : Quote, optional
        For a model that fills.
    wait : int
        Steps from the end of the context to the gap.
    controls, returns
        As `begun` takes them.
    """
    if told is None:
        return begun(engine, context, controls=controls, returns=returns, earlier=earlier)
    v = engine.vocabulary
    near = np.append(np.flatnonzero(v.kinds[context] == TIME_SHIFT), len(context))
    cut = int(near[max(0, len(near) - 1 - _NEAR)])
    ids = np.concatenate((context[:cut], told.ids, context[cut:]))
    aside = np.zeros(len(ids), bool)
    aside[cut : cut + len(told.ids)] = True
    marks = np.full(len(ids) + 1, ORDINARY)  # one more for what stands for "nothing yet"
    marks[1:][aside] = told.marks
    left_s = np.full(len(ids) + 1, np.nan)
    left_s[-1] = (wait + told.left) / v.steps_per_second
    numbers = np.zeros((len(ids) + 1, engine.controls), np.float32)
    if controls is not None:
        numbers[~np.append(aside, False)] = controls
    numbers[:, -FILL_NUMBERS:] = fill_numbers(marks, left_s)
    return begun(engine, ids, controls=numbers, returns=returns, earlier=earlier, aside=aside)


def expected_inside(
    engine: Engine, context: Ids, inside: Ids, after: Ids, steps_long: int, *, quote: bool
) -> float:
    """Return how likely what people play in a gap is, as the sum of natural logarithms.

    Parameters
    ----------
    engine : Engine
        Of a note-wise vocabulary.
    context, inside, after : ids
        Whole events, one after another: what is before the gap, in it, and after it.
    steps_long : int
        From the latest event before the gap to where it ends.
    quote : bool
        Whether the model, which has learned to, is told what comes after.
    """
    v, told = engine.vocabulary, None
    if quote:
        down = pedal_down(steps(np.concatenate((context, inside)), v), v)
        told = quoted([], timed(after, v), 0, steps_long, down, v)
    memory = begun_with(engine, context, told, 0, controls=None, returns=1.0, earlier=context[:0])
    numbers = np.zeros((len(inside), 1, engine.controls), np.float32)
    if told is not None:
        passed = np.cumsum(np.where(v.kinds[inside] == TIME_SHIFT, v.values[inside], 0))
        left_s = np.maximum(steps_long - passed, 0) / v.steps_per_second
        marks = np.full(len(inside), IN_GAP)
        numbers[:, 0, -FILL_NUMBERS:] = fill_numbers(marks, left_s)
    said = None
    if memory.pointers is not None:
        pointers, rows = memory.pointers.copy(), []
        for id_ in inside.tolist():
            pointers.feed(id_)
            rows.append(pointers.numbers())
        said = np.array(rows)[:, None]
    beside_ids = numbers if engine.controls else None
    logits, _ = engine.run(inside[:, None].astype(np.int64), memory.arrays, beside_ids, said)
    x = np.concatenate((memory.expected[None], logits[:-1, 0])).astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    log_p = x[np.arange(len(inside)), inside] - np.log(np.exp(x).sum(axis=1))
    return float(log_p.sum())
