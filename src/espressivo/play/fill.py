"""Filling: a passage of a piece is invented anew, to fit what comes before and after it.

Some candidates are played after what stands before the gap, with the notes that are kept as events
given beforehand. Each is weighed by how likely it makes what follows. Then the best is taken up
again at several places, and its rest is played anew, time and again. A candidate that shares a
longer run of notes with its surroundings than people's passages do is passed over: a model that
knows what has been there likes what follows to be played beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    END,
    NOTE_OFF,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    Ids,
    Vocabulary,
    grid_steps,
    restore,
)
from espressivo.engine import Engine, generator
from espressivo.errors import GenerationError
from espressivo.music import (
    CONTROL_DTYPE,
    NOTE_DTYPE,
    PEDAL_THRESHOLD,
    Performance,
    longest_shared,
)
from espressivo.music import SUSTAIN as SUSTAIN_PEDAL
from espressivo.play.batch import Memory, Row, begun, side_by_side
from espressivo.play.gap import Candidate, Gap, Head, heard, onsets
from espressivo.play.player import requested
from espressivo.play.quoting import Timed, begun_with, quoted, timed
from espressivo.play.settings import Settings

__all__ = ["CANDIDATES", "Passage", "Told", "fill", "passage_of"]

CANDIDATES = 16
"""How many candidates are weighed, unless told otherwise."""

_WHOLE = 8  # candidates that are played from the beginning of the gap; the others are tails
_TAILS = 8  # side by side
_MARKS = (0.25, 0.5, 0.75)  # parts of the gap after which tails begin
_LONGEST_PART_S = 6.0  # of longer gaps the beginning is played without choosing
_CONTEXT_NOTES = 256  # that the network reads before the gap
_AROUND_S = 10.0  # surroundings in which runs are looked for
_LISTEN_S, _LISTEN_NOTES = 5.0, 40  # so much of what follows is read, whichever is less
_MOST_SHARED = 19  # notes of a run; nine in ten passages of people, of 4 s, have no longer one
_NO_NOTES = np.empty(0, NOTE_DTYPE)

Notes = NDArray[np.void]
Told = Callable[[int], object]
"""Is told how many more candidates have been weighed."""


def _untold(_: int) -> None:
    """Do nothing with what is told."""


@dataclass(frozen=True, eq=False)
class Passage:
    """A passage and what is around it, as it will be: what follows has been moved already.

    Parameters
    ----------
    start_s, end_s : float
        Seconds; the end is that of the new passage.
    before, kept, gone, after : arrays of `NOTE_DTYPE`
        Notes that begin before it, that begin in it and stay or go, and that begin after it.
    controls : array of `CONTROL_DTYPE`
        All movements of pedals, those of the passage too.
    rhythm : bool
        Whether the new notes begin when those that go began, and the pedal stays.
    """

    start_s: float
    end_s: float
    before: Notes
    kept: Notes
    gone: Notes
    after: Notes
    controls: NDArray[np.void]
    rhythm: bool = False

    def pedal_at(self, time_s: float) -> int:
        """Return the value of the sustain pedal just before a time."""
        moves = self.controls[self.controls["number"] == SUSTAIN_PEDAL]
        return int(np.append(0, moves["value"][moves["time_s"] < time_s])[-1])


def passage_of(
    performance: Performance,
    start_s: float,
    end_s: float,
    *,
    kept: NDArray[np.bool_] | None = None,
    rhythm: bool = False,
    seconds: float | None = None,
) -> Passage:
    """Take a passage out of a performance.

    Parameters
    ----------
    performance : Performance
    start_s, end_s : float
        ``0 <= start_s < end_s <= performance.seconds``.
    kept : bool array, shape (notes of the performance,), optional
        Which notes stay, of those that begin in the passage.
    rhythm : bool
        See `Passage`.
    seconds : float, optional
        Length of the new passage.

    Raises
    ------
    GenerationError
        If there is no such passage, or a kept note would begin after its end.
    """
    ends_s = performance.seconds
    if not (math.isfinite(start_s) and math.isfinite(end_s) and 0 <= start_s < end_s):
        raise GenerationError(
            f"a gap needs a beginning at 0 s or later and an end after it, not {start_s:g} s and "
            f"{end_s:g} s"
        )
    if end_s > ends_s:
        raise GenerationError(
            f"the gap from {start_s:g} s to {end_s:g} s is beyond the piece, which ends at "
            f"{ends_s:.6g} s"
        )
    length_s = end_s - start_s if seconds is None else seconds
    if not (math.isfinite(length_s) and 0 < length_s <= 3600):
        raise GenerationError(f"seconds must be above 0 and at most 3600, not {length_s}")
    notes, controls = performance.notes, performance.controls.copy()
    onset_s = notes["onset_s"]
    inside = (onset_s >= start_s) & (onset_s < end_s)
    staying = inside & (np.zeros(len(notes), bool) if kept is None else kept)
    after, gone = notes[onset_s >= end_s].copy(), notes[inside & ~staying].copy()
    moved_s = length_s - (end_s - start_s)
    until_s = start_s + length_s if moved_s else end_s
    if moved_s:
        bound = inside if rhythm else staying
        if (onset_s[bound] >= until_s).any():
            what = "the rhythm" if rhythm else "all of the kept notes"
            raise GenerationError(f"{length_s:g} s do not hold {what}: leave out seconds")
        for times_s in (after["onset_s"], after["offset_s"], gone["offset_s"]):
            times_s += moved_s
        after["onset_s"] = np.maximum(after["onset_s"], until_s)  # not a rounding error before
        time_s = controls["time_s"]
        controls = controls[(time_s < min(end_s, until_s)) | (time_s >= end_s)]
        time_s = controls["time_s"]
        later = time_s >= end_s
        time_s[later] = np.maximum(time_s[later] + moved_s, until_s)
    before, stay = notes[onset_s < start_s], notes[staying]
    return Passage(start_s, until_s, before, stay, gone, after, controls, rhythm)


def fill(
    engine: Engine,
    passage: Passage,
    *,
    settings: Settings,
    seed: int,
    candidates: int = CANDIDATES,
    told: Told = _untold,
) -> Performance:
    """Return the whole piece with the passage invented anew; see `espressivo.play.Model.fill`."""
    rate = engine.vocabulary.steps_per_second
    length_s = passage.end_s - passage.start_s
    if length_s * rate < 1 - 1e-6:
        raise GenerationError(f"the gap must last at least {1 / rate:g} s, not {length_s:g}")
    parts = max(1, math.ceil(length_s / _LONGEST_PART_S))
    edges = np.linspace(passage.start_s, passage.end_s, parts + 1).tolist()
    new, moves = _NO_NOTES, np.empty(0, CONTROL_DTYPE)
    if passage.rhythm:
        moves = _moves_in(passage.controls, passage.start_s, passage.end_s)
    elif not engine.vocabulary.counts[SUSTAIN] and passage.pedal_at(passage.start_s):
        moves = np.array([(passage.start_s, SUSTAIN_PEDAL, 0)], CONTROL_DTYPE)
    for number, (start_s, end_s) in enumerate(pairwise(edges)):
        last = number == parts - 1
        gap = _gap(engine, passage, new, moves, start_s, end_s, last)
        around = _around(passage, start_s, end_s)
        weighed = candidates if last and gap.after else 1
        tell = told if last else _untold
        chosen = _chosen(engine, gap, settings, seed + number, weighed, around, tell)
        tell(candidates - weighed)
        notes = heard(chosen.items, engine.vocabulary).notes.copy()
        for field in ("onset_s", "offset_s"):
            notes[field] += start_s
        if last:
            rings_s = max(passage.end_s, start_s + gap.rings / rate)
            notes["offset_s"] = np.minimum(notes["offset_s"], rings_s)
        new = np.concatenate((new, notes))
        if not passage.rhythm:
            moves = np.concatenate((moves, _moves(chosen.items, start_s, engine.vocabulary)))
    return _whole(passage, new, moves)


def _whole(passage: Passage, new: Notes, moves: NDArray[np.void]) -> Performance:
    """Put a piece together."""
    time_s, number = passage.controls["time_s"], passage.controls["number"]
    inside = (time_s >= passage.start_s) & (time_s < passage.end_s)
    others = passage.controls[~(inside & (number == SUSTAIN_PEDAL))]
    expected = passage.pedal_at(passage.end_s)
    there = moves["value"][-1] if len(moves) else passage.pedal_at(passage.start_s)
    joint = np.empty(int(there != expected), CONTROL_DTYPE)
    joint["time_s"], joint["number"] = np.nextafter(passage.end_s, 0), SUSTAIN_PEDAL
    joint["value"] = expected
    return Performance(
        np.concatenate((passage.before, passage.kept, new, passage.after)),
        np.concatenate((others, moves, joint)),
    )


def _gap(
    engine: Engine,
    passage: Passage,
    new: Notes,
    moves: NDArray[np.void],
    start_s: float,
    end_s: float,
    last: bool,
) -> Gap:
    """Return what is known of a part of a passage, of which notes and moves precede it."""
    v, rate = engine.vocabulary, engine.vocabulary.steps_per_second
    steps = max(1, math.floor((end_s - start_s) * rate + 1e-6))
    controls = passage.controls
    earlier_moves = controls[controls["time_s"] < passage.start_s]
    kept = passage.kept
    past = Performance(
        np.concatenate((passage.before, kept[kept["onset_s"] < start_s], new)),
        np.concatenate((earlier_moves, moves[moves["time_s"] <= start_s])),
    )
    gap = _context(past, start_s, v)
    within = kept[(kept["onset_s"] >= start_s) & (kept["onset_s"] < end_s)]
    stay = _timed(within, controls[:0], start_s, v)
    after, pedal = _after(passage, v)
    told = None
    if engine.fills and len(passage.after):
        left = max(steps, math.floor((passage.end_s - start_s) * rate + 1e-6))
        stays = kept[kept["onset_s"] >= start_s]
        voice = _timed(stays, controls[:0], start_s, v)
        down = passage.pedal_at(passage.end_s) >= PEDAL_THRESHOLD
        told = quoted(voice, after, gap.wait, left, down, v)
    gap = replace(gap, quote=told)
    if not last:
        after = []
    after = [_at(item, item.step + steps) for item in after]
    given = [*_still_due(gap.given, [*stay, *after], v), *stay]
    if passage.rhythm:
        onset_s = passage.gone["onset_s"]
        due = onset_s[(onset_s >= start_s) & (onset_s < end_s)] - start_s
        given += [Timed(math.floor(time_s * rate + 0.5), ()) for time_s in due.tolist()]
        given += _timed(_NO_NOTES, _moves_in(controls, start_s, end_s), start_s, v)
        given = [_at(item, min(item.step, steps - 1)) for item in given]
    given.sort(key=lambda item: item.step)
    if not last:
        inside = tuple(item for item in given if item.step < steps)
        return replace(
            gap, steps=steps, given=inside, only_given=passage.rhythm, joined=False,
            rings=steps + round(10 * rate),
        )  # fmt: skip
    late = [item for item in given if item.step >= steps]
    after = sorted((*late, *after), key=lambda item: item.step)
    rings_s = float(passage.gone["offset_s"].max(initial=0.0))
    return replace(
        gap,
        steps=steps,
        given=tuple(item for item in given if item.step < steps),
        only_given=passage.rhythm,
        after=tuple(after) if len(passage.after) else (),
        rings=max(steps, math.floor((rings_s - start_s) * rate)),
        pedal=pedal if len(passage.after) and v.counts[SUSTAIN] else None,
    )


def _still_due(offs: Sequence[Timed], others: Sequence[Timed], v: Vocabulary) -> list[Timed]:
    """Return the note-offs whose keys others do not strike again before."""
    struck = onsets(others, v)
    pitches = [int(v.values[off.ids[0]]) for off in offs]
    return [
        off
        for off, pitch in zip(offs, pitches, strict=True)
        if not any(step < off.step for step in struck.get(pitch, ()))
    ]


def _at(item: Timed, step: int) -> Timed:
    """Return what happens, at another step."""
    return Timed(step, item.ids)


def _context(past: Performance, start_s: float, v: Vocabulary) -> Gap:
    """Return a gap that knows what is before it: the grid has a step where it begins."""
    begin = math.ceil(start_s * v.steps_per_second)
    ids = v.encode(past.shift(max(0.0, begin / v.steps_per_second - start_s)))
    happening = np.flatnonzero((v.kinds[ids] != END) & (v.kinds[ids] != TIME_SHIFT))
    ids = ids[: int(happening[-1]) + 1 if len(happening) else 0]
    at = grid_steps(ids, v)
    cut = int(np.searchsorted(at, begin, "right"))
    offs = tuple(
        Timed(int(step) - begin, (int(id_),))
        for step, id_ in zip(at[cut:], ids[cut:], strict=True)
        if v.kinds[id_] == NOTE_OFF
    )
    ids, at = ids[:cut], at[:cut]
    notes = np.flatnonzero(v.kinds[ids] == NOTE_ON)
    first = 0
    if len(notes) > _CONTEXT_NOTES:
        first = int(notes[-_CONTEXT_NOTES])
        if v.notewise:
            first = int(np.flatnonzero(v.kinds[ids[:first]] == TIME_SHIFT)[-1])
    earlier: Ids = ids[:first]
    context = np.concatenate((restore(earlier, v), ids[first:])) if first else ids
    wait = begin - (int(at[-1]) if len(at) else 0)
    sounding = tuple(int(v.values[item.ids[0]]) for item in offs)
    return Gap(context.astype(np.int32), earlier, wait, 1, offs, sounding=sounding)


def _after(passage: Passage, v: Vocabulary) -> tuple[list[Timed], bool]:
    """Return what follows a passage, timed from its end, and whether its pedal is down there."""
    onset_s, time_s = passage.after["onset_s"], passage.controls["time_s"]
    until_s = min([passage.end_s + _LISTEN_S, *onset_s[_LISTEN_NOTES : _LISTEN_NOTES + 1].tolist()])
    notes = passage.after[onset_s < until_s]
    moves = passage.controls[(time_s >= passage.end_s) & (time_s < until_s)]
    down = passage.pedal_at(passage.end_s)
    standing = np.array([(passage.end_s, SUSTAIN_PEDAL, down)], CONTROL_DTYPE)
    items = _timed(notes, np.concatenate((standing, moves)), passage.end_s, v)
    most = round((until_s - passage.end_s) * v.steps_per_second)
    items = [item for item in items if item.step <= most]
    pedal = down >= PEDAL_THRESHOLD and bool(items) and items[0].step == 0
    pedal = pedal and v.kinds[items[0].ids[0]] == SUSTAIN
    return items[1:] if pedal else items, pedal


def _timed(notes: Notes, controls: NDArray[np.void], start_s: float, v: Vocabulary) -> list[Timed]:
    """Lay out notes and movements, timed from a second on."""
    return timed(v.encode(Performance(notes, controls).shift(-start_s)), v)


def _moves_in(controls: NDArray[np.void], start_s: float, end_s: float) -> NDArray[np.void]:
    time_s = controls["time_s"]
    inside = (time_s >= start_s) & (time_s < end_s) & (controls["number"] == SUSTAIN_PEDAL)
    return np.asarray(controls[inside])


def _moves(items: Sequence[Timed], start_s: float, v: Vocabulary) -> NDArray[np.void]:
    """Return the movements of the pedal among what was invented."""
    rate, up = v.steps_per_second, v.first[SUSTAIN]
    moves = [
        (start_s + item.step / rate, SUSTAIN_PEDAL, 127 * (item.ids[0] - up))
        for item in items
        if v.kinds[item.ids[0]] == SUSTAIN
    ]
    return np.array(moves, CONTROL_DTYPE)


def _around(passage: Passage, start_s: float, end_s: float) -> Performance:
    """Return the surroundings of a part of a passage."""
    before, after = passage.before, passage.after
    near = before[before["onset_s"] >= start_s - _AROUND_S]
    following = after[after["onset_s"] < end_s + _AROUND_S]
    return Performance(np.concatenate((near, following)))


def _chosen(
    engine: Engine,
    gap: Gap,
    settings: Settings,
    seed: int,
    count: int,
    around: Performance,
    told: Told,
) -> Candidate:
    """Play candidates, and return the one that is chosen."""
    seeds = generator(seed).integers(2**63, size=count).tolist()
    memory = begun_with(
        engine,
        gap.context,
        gap.quote,
        gap.wait,
        controls=requested(engine, settings),
        returns=settings.returns,
        earlier=gap.earlier,
    )
    plain = None
    if gap.quote is not None and count > 1:
        plain = begun(engine, gap.context, earlier=gap.earlier)
    if count == 1:
        gap = replace(gap, after=(), closes=gap.joined and not gap.after)
    marks = sorted({round(part * gap.steps) for part in _MARKS}) if count > _WHOLE else []
    first = [
        Candidate(engine, gap, settings, one, marks=[m for m in marks if 0 < m < gap.steps])
        for one in seeds[:_WHOLE]
    ]
    _play(engine, first, [memory] * len(first), plain)
    told(len(first))
    best = _best(first, around, engine.vocabulary)
    for begin in range(_WHOLE, count, _TAILS):
        batch = seeds[begin : begin + _TAILS]
        heads: list[Head] = best.heads
        if not heads:
            break
        chosen = [heads[number % len(heads)] for number in range(len(batch))]
        tails = [
            Candidate(engine, gap, settings, one, head, marks)
            for one, head in zip(batch, chosen, strict=True)
        ]
        _play(engine, tails, [head.memory for head in chosen], plain)
        for tail, head in zip(tails, chosen, strict=True):
            tail.heads = [*heads[: heads.index(head) + 1], *tail.heads]
        told(len(tails))
        best = _best([best, *tails], around, engine.vocabulary)
    return best


def _play(
    engine: Engine, candidates: list[Candidate], memories: list[Memory], plain: Memory | None
) -> None:
    """Play candidates, and weigh them by the memory of what is before, if they need one."""
    rows = [candidate.row for candidate in candidates]
    side_by_side(engine, memories, rows, [candidate.playing() for candidate in candidates])
    if plain is not None:
        rows = [Row() for _ in candidates]
        again = [candidate.again(row) for candidate, row in zip(candidates, rows, strict=True)]
        side_by_side(engine, [plain] * len(rows), rows, again)


def _best(candidates: Sequence[Candidate], around: Performance, v: Vocabulary) -> Candidate:
    """Return the candidate that makes what follows likeliest, of those that do not copy."""

    def rank(candidate: Candidate) -> tuple[bool, float]:
        shared = longest_shared(heard(candidate.items, v), around)
        return shared <= _MOST_SHARED, candidate.log_p

    return max(candidates, key=rank)
