"""Rendering: an interpretation, turned up or down by the dials, becomes times and velocities.

All times are computed against those of the score: between two onsets the score's own seconds are
stretched, by a factor whose logarithm a dial scales. So a dial at 0 leaves exactly the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo.music import (
    CONTROL_DTYPE,
    NOTE_DTYPE,
    SUSTAIN,
    UNMARKED_VELOCITY,
    Interpretation,
    Performance,
    Score,
    onset_groups,
)
from espressivo.play.dials import Dials

__all__ = ["Clock", "Rendered", "Span", "render"]

_Array = NDArray[np.float64]

_RAMP = 1.0  # quarters in which a passage comes out of what is around it
_REPEAT_S = 0.03  # between two strokes of one key
_SHORTEST_S = 0.015  # that a key is held
_LONGEST_LOG = 3.0  # of a stretch or an articulation, up to 20 times
_SOFT_START = 4.0  # below a quarter, the pedal's dial also makes it shallower
_DEEPEST = 127.0


class Span(NamedTuple):
    """The part of a score that is performed, in quarters; the end is exclusive."""

    start: float
    end: float


@dataclass(frozen=True)
class Clock:
    """When each moment of a score comes: seconds of the score, stretched piece by piece.

    Parameters
    ----------
    score : Score
    written_s, played_s : arrays, shape (m,)
        Seconds of the score, rising, and those of the performance at the same points.
    before, after : float
        Seconds of the performance in one of the score, before the first point and after the last.
    """

    score: Score
    written_s: _Array
    played_s: _Array
    before: float = 1.0
    after: float = 1.0

    def seconds_at(self, quarters: _Array) -> _Array:
        """Return the seconds at which quarters come."""
        written_s = self.score.seconds_at(quarters)
        if not len(self.written_s):
            return written_s
        inside = np.interp(written_s, self.written_s, self.played_s)
        early = np.minimum(written_s - self.written_s[0], 0) * self.before
        late = np.maximum(written_s - self.written_s[-1], 0) * self.after
        return np.asarray(inside + early + late)


@dataclass(frozen=True)
class Rendered:
    """What is played, in the score's order of notes.

    Parameters
    ----------
    clock : Clock
    onset_s, end_s : arrays, shape (n,)
        When the key of each note goes down, and up.
    velocity : int array, shape (n,)
        1..127.
    pedal : array of `CONTROL_DTYPE`, or None
        Movements of the sustain pedal; None if those of the score stay.
    in_time : bool
        Whether every note begins when the score says.
    """

    clock: Clock
    onset_s: _Array
    end_s: _Array
    velocity: NDArray[np.int64]
    pedal: NDArray[np.void] | None
    in_time: bool

    def performance(self) -> Performance:
        """Return it as notes and pedals in seconds."""
        score = self.clock.score
        notes = np.empty(len(self.onset_s), NOTE_DTYPE)
        notes["onset_s"], notes["offset_s"] = self.onset_s, self.end_s
        notes["pitch"], notes["velocity"] = score.notes["pitch"], self.velocity
        moves = score.moves
        if self.pedal is not None:
            moves = moves[moves["number"] != SUSTAIN]
        controls = np.empty(len(moves), CONTROL_DTYPE)
        controls["time_s"] = self.clock.seconds_at(moves["onset"])
        controls["number"], controls["value"] = moves["number"], moves["value"]
        if self.pedal is not None:
            controls = np.concatenate((controls, self.pedal))
        return Performance(notes, controls)


def render(
    score: Score, interpretation: Interpretation, dials: Dials, span: Span | None = None
) -> Rendered:
    """Play a score by an interpretation.

    Parameters
    ----------
    score : Score
    interpretation : Interpretation
        Of the whole score.
    dials : Dials
    span : Span, optional
        Only what begins in it is performed: from nothing to all within a quarter after its start,
        and back before its end. All else is played as it is written.

    Raises
    ------
    ValueError
        If the interpretation is not of this score.
    """
    if not interpretation.fits(score):
        raise ValueError("the interpretation is of another score")
    notes = score.notes
    onsets, group = onset_groups(score)
    share = _share(notes["onset"], span)
    timed = dials.timing > 0
    clock = _clock(score, onsets, interpretation.quarter_s, dials, span)
    onset_s = clock.seconds_at(notes["onset"])
    if timed:
        onset_s = onset_s + _share(onsets, span)[group] * dials.timing * interpretation.offset_s
        first = group == 0
        onset_s[first] -= min(0.0, float(onset_s[first].min(initial=0)))
        onset_s = _in_order(np.maximum(onset_s, 0), score, group)
    else:
        onset_s = clock.seconds_at(notes["onset"])
    written_s = clock.seconds_at(score.end) - clock.seconds_at(notes["onset"])
    held = share * _turned(interpretation.articulation, dials.articulation)
    end_s = onset_s + written_s * np.exp(np.clip(held, -_LONGEST_LOG, _LONGEST_LOG))
    if timed or dials.articulation:
        end_s = _ended(onset_s, end_s, score)
    return Rendered(
        clock,
        onset_s,
        end_s,
        _velocity(score, interpretation.velocity, dials, share),
        _pedal(score, clock, interpretation, dials, span),
        in_time=not timed,
    )


def _share(at: _Array, span: Span | None) -> _Array:
    """Return how much of an interpretation counts at points in quarters, 0..1."""
    if span is None:
        return np.ones(len(at))
    ramp = min(_RAMP, (span.end - span.start) / 4)
    inside = np.minimum(at - span.start, span.end - at) / ramp
    return np.clip(inside, 0, 1)


def _turned(deviation: _Array, dial: float) -> _Array:
    """Return deviations from the score by a dial: up to 1 a part of them, then more contrast."""
    if dial <= 1 or not len(deviation):
        return dial * deviation
    mean = deviation.mean()
    return np.asarray(mean + dial * (deviation - mean))


def _clock(
    score: Score, onsets: _Array, quarter_s: _Array, dials: Dials, span: Span | None
) -> Clock:
    """Return when each onset comes."""
    written_s = score.seconds_at(onsets)
    if not (dials.timing and len(onsets)):
        return Clock(score, written_s[:0], written_s[:0])
    ends = np.append(onsets[1:], max(score.quarters, onsets[-1] + 1e-3))
    lasts, lasts_s = ends - onsets, score.seconds_at(ends) - written_s
    stretch = np.log(quarter_s * lasts / lasts_s)
    # A deviation counts by the time for which it lasts.
    mean = float(np.average(stretch, weights=lasts_s))
    if dials.timing > 1:
        stretch = mean + dials.timing * (stretch - mean)
    else:
        stretch = dials.timing * stretch
    factor = np.exp(np.clip(stretch, -_LONGEST_LOG, _LONGEST_LOG))
    if dials.keep_tempo or dials.tempo is not None or span is not None:
        factor = _kept(score, onsets, lasts_s, factor, span)
    factor = np.exp(_share(onsets, span) * np.log(factor))
    played_s = written_s[0] * (factor[0] if span is None else 1.0) + np.append(
        0.0, np.cumsum(lasts_s * factor)
    )
    return Clock(
        score,
        np.append(written_s, written_s[-1] + lasts_s[-1]),
        played_s,
        before=float(factor[0]) if span is None else 1.0,
        after=float(factor[-1]) if span is None else 1.0,
    )


def _kept(
    score: Score, onsets: _Array, lasts_s: _Array, factor: _Array, span: Span | None
) -> _Array:
    """Return factors by which what stands under each tempo mark lasts as long as it is written."""
    under = np.searchsorted(score.tempos["onset"], onsets, "right")
    counted = _share(onsets, span) > 0
    written_s = np.bincount(under, lasts_s * counted)
    played_s = np.bincount(under, lasts_s * factor * counted)
    scale = np.divide(written_s, played_s, out=np.ones_like(written_s), where=played_s > 0)
    return np.asarray(factor * scale[under])


def _in_order(onset_s: _Array, score: Score, group: NDArray[np.int64]) -> _Array:
    """Put off strokes of a key that would come before, or right after, the one written before.

    Notes of one pitch that are written at one time are one stroke.
    """
    onset_s = onset_s.copy()
    for mine in _keys_of(score):
        times, gap = onset_s[mine], _REPEAT_S
        strokes, stroke = np.unique(group[mine], return_inverse=True)
        first = np.full(len(strokes), np.inf)
        np.minimum.at(first, stroke, times)
        steps = gap * np.arange(len(strokes))
        onset_s[mine] = (np.maximum.accumulate(first - steps) + steps)[stroke]
    return onset_s


def _ended(onset_s: _Array, end_s: _Array, score: Score) -> _Array:
    """Return ends of which none comes before its beginning, nor in the next stroke of its key.

    Where the score lets a key be struck anew while it is held, it may be.
    """
    end_s = np.maximum(end_s, onset_s + _SHORTEST_S)
    for mine in _keys_of(score):
        at, ends = score.notes["onset"][mine], score.end[mine]
        later = np.searchsorted(at, at, "right")
        has = later < len(mine)
        nearest = np.minimum(later, len(mine) - 1)
        next_s = np.where(has, onset_s[mine][nearest], np.inf)
        free = ends > at[nearest] + 1e-9  # written so
        end_s[mine] = np.where(has & ~free, np.minimum(end_s[mine], next_s), end_s[mine])
    return end_s


def _keys_of(score: Score) -> list[NDArray[np.int64]]:
    """Return the notes of each key of each part, in their order, of those that have several."""
    key = score.notes["part"].astype(np.int64) * 128 + score.notes["pitch"]
    order = np.argsort(key, kind="stable")
    return [
        mine for mine in np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(mine) > 1
    ]


def _velocity(score: Score, played: _Array, dials: Dials, share: _Array) -> NDArray[np.int64]:
    written = score.notes["velocity"].astype(np.float64)
    written[written == 0] = UNMARKED_VELOCITY
    if dials.keep_dynamics or not dials.dynamics:
        return written.astype(np.int64)
    if dials.dynamics > 1:
        mean = played.mean() if len(played) else 0.0
        turned = mean + dials.dynamics * (played - mean)
    else:
        turned = written + dials.dynamics * (played - written)
    velocity = np.clip(np.rint(written + share * (turned - written)), 1, 127)
    return np.asarray(velocity, np.int64)


def _pedal(
    score: Score, clock: Clock, played: Interpretation, dials: Dials, span: Span | None
) -> NDArray[np.void] | None:
    """Return the movements of the sustain pedal, or None if those of the score stay."""
    if dials.keep_pedal or not dials.pedal:
        return None
    depth = np.clip(played.pedal, 0, _DEEPEST) / _DEEPEST
    depth = _DEEPEST * depth ** (1 / dials.pedal) * min(1.0, _SOFT_START * dials.pedal)
    at, value = played.pedal_at, np.rint(depth).astype(np.int64)
    if span is not None:
        own = score.moves[score.moves["number"] == SUSTAIN]
        inside = (at >= span.start) & (at < span.end)
        outside = (own["onset"] < span.start) | (own["onset"] >= span.end)
        there = np.append(0, own["value"][own["onset"] <= span.end])[-1]
        at = np.concatenate((own["onset"][outside], at[inside], [span.end]))
        value = np.concatenate((own["value"][outside], value[inside], [there]))
        order = np.argsort(at, kind="stable")
        at, value = at[order], value[order]
    moved = np.diff(value, prepend=0) != 0
    pedal = np.empty(int(moved.sum()), CONTROL_DTYPE)
    pedal["time_s"] = np.maximum(clock.seconds_at(at[moved]), 0)
    pedal["number"], pedal["value"] = SUSTAIN, value[moved]
    return pedal
