"""The space of passages, with a model that plays: from music to points, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    COARSE,
    FIELDS,
    NO_ID,
    SUSTAIN,
    TIME_SHIFT,
    Ids,
    Vocabulary,
    restore,
    steps,
)
from espressivo.engine import Engine, generator
from espressivo.errors import GenerationError, ModelError
from espressivo.latent import (
    SUMMARY,
    Latent,
    Passages,
    bundled_latent,
    passages_of,
    requests,
    spherical,
    summarised,
)
from espressivo.music import Performance
from espressivo.numeric import within
from espressivo.play.aim import Aim
from espressivo.play.batch import Mark, Memory, Piece, Row, begun, side_by_side
from espressivo.play.player import Player, supported_controls
from espressivo.play.settings import Settings

__all__ = ["BLENDED", "Encoded", "Space", "has_space"]

_CANDIDATES = 8
_TEMPERATURE = 0.8  # of pitches
_NUMBERS, _SHARES = 100.0, 20.0  # of what sums a passage up, beside the square of the distance
_STRENGTH = 1.5  # of the lift, times what was learned; chosen on half A

BLENDED = 8
"""Events over which one point gives way to the next."""
_HEARD = 256  # events that are read again where a model begins to read
_LONGEST_WAIT_S = 1.0  # at a joint
_SLOWEST_S = 120.0  # a passage lasts no longer

Points = NDArray[np.float32]
Told = Callable[[int], object]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Where the passages of a performance are in the space.

    Parameters
    ----------
    passages : Passages
    means, spreads : float32 arrays, shape (passages, size)
        The spread is a standard deviation.
    """

    passages: Passages
    means: Points
    spreads: Points


def has_space(engine: Engine) -> bool:
    """Return whether there is a `Space` for what an engine plays."""
    v = engine.vocabulary
    return v.notewise and v == bundled_latent().vocabulary


class Space:
    """What an engine plays in the space of passages.

    Parameters
    ----------
    engine : Engine
    latent : Latent, optional
        By default the one that comes with the package.

    Attributes
    ----------
    latent : Latent
    strength : float
        By how much points lift what the model plays; 1 is as learned.

    Raises
    ------
    ModelError
        If the space is of passages in another vocabulary than the engine's.
    """

    def __init__(self, engine: Engine, latent: Latent | None = None) -> None:
        self.latent = latent or bundled_latent()
        if engine.vocabulary != self.latent.vocabulary:
            raise ModelError(
                f"the model {engine.card['name']!r} has no space of passages, which needs the "
                f"vocabulary {self.latent.vocabulary.name!r}: choose another model"
            )
        self.strength = _STRENGTH
        self._engine, self._v = engine, engine.vocabulary

    def encode(self, performance: Performance) -> Encoded:
        """Read a performance, passage by passage.

        Raises
        ------
        GenerationError
            If it has no note.
        """
        passages = passages_of(performance, self.latent.length, self._v)
        return Encoded(passages, *self.latent.encode(passages))

    def interpolate(self, a: Points, b: Points, count: int) -> Points:
        """Return so many points from one to another, (count, size), both of them included."""
        count = within("count", count, least=2, whole=True)
        return spherical(a, b, np.linspace(0, 1, count))

    def summaries(self, encoded: Encoded, moved: Points | None = None) -> Points:
        """Return what passages are like, (passages, SUMMARY), or would be if they were moved.

        Parameters
        ----------
        encoded : Encoded
        moved : float32 array, (size,) or (passages, size), optional
            Is added to their points.
        """
        events = encoded.passages.padded(self.latent.length, len(FIELDS))
        found, _ = summarised(events, self._v)
        return found if moved is None else found + self._changed(encoded.means, moved)

    def between(
        self, first: tuple[Encoded, int], last: tuple[Encoded, int], shares: NDArray[np.float64]
    ) -> tuple[Points, Points]:
        """Return points on the way from a passage to another, and what passages there are like.

        Parameters
        ----------
        first, last : tuple of Encoded and int
            A performance and the number of a passage.
        shares : float64 array, (points,)
            Of the way: 0 is the first, 1 the last.

        Returns
        -------
        points : float32 array, (points, size)
            Keep their distance from the middle of the space.
        summaries : float32 array, (points, SUMMARY)
            Go straight from what the one is like to what the other is.
        """
        points = spherical(first[0].means[first[1]], last[0].means[last[1]], shares)
        ends = [self.summaries(encoded)[number] for encoded, number in (first, last)]
        along = shares[:, None]
        return points, np.asarray((1 - along) * ends[0] + along * ends[1], np.float32)

    def sample(self, count: int, seed: int) -> Points:
        """Draw points, (count, size), where people's passages are."""
        return self.latent.sample(count, seed)

    def decode(
        self,
        points: Points,
        *,
        summaries: Points | None = None,
        seconds: float | None = None,
        seed: int = 0,
        candidates: int = _CANDIDATES,
        temperature: float = _TEMPERATURE,
        told: Told | None = None,
    ) -> Performance:
        """Play passages as points say, one after another, with no seam between them.

        Parameters
        ----------
        points : float32 array, (passages, size) or (size,)
        summaries : float32 array, (passages, SUMMARY) or (SUMMARY,), optional
            What each passage is to be like, as `summaries` and `between` return it; by default what
            its point says, which is less exact.
        seconds : float, optional
            How long it may be at most; a single point is played for so long again and again.
        seed : int
        candidates : int
            How many are played of each passage; the one is taken which is nearest to its point, as
            the reader finds it, and to what it is to be like.
        temperature : float
            Of pitches.
        told : function, optional
            Is told how many more passages are done.
        """
        rows = np.atleast_2d(points)
        if rows.shape[1:] != (self.latent.size,) or not np.isfinite(rows).all():
            raise GenerationError(f"a point is {self.latent.size} numbers, not {rows.shape[1:]}")
        wanted = self.latent.summary(rows) if summaries is None else np.atleast_2d(summaries)
        if wanted.shape != (len(rows), SUMMARY) or not np.isfinite(wanted).all():
            raise GenerationError(f"a summary is {SUMMARY} numbers, one for each of {len(rows)}")
        if seconds is not None:
            within("seconds", seconds, least=0, most=3600)
        again = seconds is not None and np.ndim(points) == 1
        found = self._played(
            np.empty(0, np.int32), rows, wanted, seconds, again, seed, candidates, temperature, told
        )
        return self._v.decode(found)

    def morph(
        self,
        first: tuple[Encoded, int],
        last: tuple[Encoded, int],
        count: int,
        *,
        moved: Points | None = None,
        seed: int = 0,
        candidates: int = _CANDIDATES,
        temperature: float = _TEMPERATURE,
        told: Told | None = None,
    ) -> Performance:
        """Go from a passage of one performance to one of another, by so many passages.

        It begins with the one, as it was played, and ends with the other.

        Parameters
        ----------
        first, last : tuple of Encoded and int
            A performance and the number of a passage.
        count : int
            Passages between the two.
        moved : float32 array, (size,), optional
            Is added to the points between.
        seed, candidates, temperature, told : optional
            As in `decode`.
        """
        count = within("steps", count, least=1, whole=True)
        points, wanted = self.between(first, last, np.arange(1, count + 1) / (count + 1))
        if moved is not None:
            points, wanted = points + moved, wanted + self._changed(points, moved)
        begin, before = self._alone(first[0].passages, first[1], None), first[0].means[first[1]]
        played = self._played(
            begin, points, wanted, None, False, seed, candidates, temperature, told, before=before
        )
        whole = np.concatenate((begin, played))
        return self._v.decode(
            np.concatenate((whole, self._alone(last[0].passages, last[1], whole)))
        )

    def _alone(self, passages: Passages, number: int, after: Ids | None) -> Ids:
        """Return a passage as it is played after other ids, or first of all."""
        v = self._v
        begin = int(passages.begin[number])
        earlier = passages.events[:begin]
        standing = restore(np.asarray(earlier[earlier != NO_ID], np.int32), v)
        ids = passages.ids(number).copy()
        wait = int(v.values[ids[0]])
        most = 0 if after is None else round(_LONGEST_WAIT_S * v.steps_per_second)
        ids[0] = v.first[TIME_SHIFT] + min(wait, most)
        needed = _pedal(standing, v)
        if (after is not None and _pedal(after, v) != needed) or (after is None and needed):
            move = [v.first[TIME_SHIFT] + min(wait, most), v.first[SUSTAIN] + needed]
            ids[0] = v.first[TIME_SHIFT]
            ids = np.concatenate((np.array(move, np.int32), ids))
        return np.asarray(ids, np.int32)

    def lifts(self, points: Points) -> Points:
        """Return by how many nats ids are lifted at each place, (points, length, ids)."""
        return np.asarray(self.strength * self.latent.lift(points), np.float32)

    def _played(
        self,
        primer: Ids,
        points: Points,
        summaries: Points,
        seconds: float | None,
        again: bool,
        seed: int,
        candidates: int,
        temperature: float,
        told: Told | None,
        *,
        before: Points | None = None,
    ) -> Ids:
        """Return the ids of passages after a primer."""
        candidates = within("candidates", candidates, least=1, whole=True)
        memory = begun(self._engine, primer)
        played: list[Ids] = []
        left = None if seconds is None else round(seconds * self._v.steps_per_second)
        number = 0
        while number < len(points) or again:
            point, summary = (each[number % len(points)] for each in (points, summaries))
            lifts = self._lifts(before, point)
            seeds = generator(seed, number).integers(2**63, size=candidates).tolist()
            context = self._context([primer, *played])
            ways = [
                _Way(
                    self._engine,
                    self._asking(summary, temperature),
                    context,
                    lifts,
                    Aim(summary, self.latent.length, self._v),
                    one,
                )
                for one in seeds
            ]
            side_by_side(
                self._engine,
                [memory] * len(ways),
                [way.row for way in ways],
                [way.playing() for way in ways],
            )
            best = self._nearest(ways, point, summary)
            memory, ids = best.memory, np.array(best.ids, np.int32)
            if again and not len(ids):
                break
            if left is not None:
                shifts = self._v.kinds[ids] == TIME_SHIFT
                now = np.cumsum(np.where(shifts, self._v.values[ids], 0))
                if now.max(initial=0) > left:
                    played.append(ids[: int(np.argmax(now > left))])  # before an event's shift
                    break
                left -= int(now.max(initial=0))
            played.append(ids)
            before, number = point, number + 1
            if told is not None:
                told(1)
        return np.concatenate([np.empty(0, np.int32), *played])

    def _changed(self, points: Points, moved: Points) -> Points:
        """Return by how much what points say changes if they are moved."""
        return np.asarray(self.latent.summary(points + moved) - self.latent.summary(points))

    def _asking(self, summary: Points, temperature: float) -> Settings:
        """Return settings that ask for what sums a passage up, of what is supported."""
        wanted = requests(summary)
        supported = supported_controls(self._engine)
        asked: Any = {name: value for name, value in wanted.items() if name in supported}
        return Settings(temperature=temperature, guidance=1.0, **asked)

    def _lifts(self, before: Points | None, point: Points) -> Points:
        """Return the lift at each place of a passage; at its first the point before fades."""
        if before is None:
            return np.asarray(self.lifts(point[None])[0])
        share = (np.arange(BLENDED) + 1) / (BLENDED + 1)
        fading = (1 - share[:, None]) * before + share[:, None] * point
        every = self.lifts(np.concatenate((fading, point[None])))
        lifts = every[-1].copy()
        at = np.arange(BLENDED)
        lifts[:BLENDED] = every[at, at]
        return np.asarray(lifts)

    def _context(self, parts: Sequence[Ids]) -> Ids:
        """Return what a player must know of what was played before: what stands, and the latest."""
        v = self._v
        ids = np.concatenate(parts[-_HEARD // self.latent.length - 2 :])
        begins = np.flatnonzero(v.kinds[ids] == TIME_SHIFT)
        if len(begins) <= _HEARD:
            return ids
        cut = int(begins[-_HEARD])
        return np.concatenate((restore(ids[:cut], v), ids[cut:]))

    def _nearest(self, ways: Sequence[_Way], point: Points, wanted: Points) -> _Way:
        """Return the way that is nearest to a point, and to what is to sum it up."""
        length, v = self.latent.length, self._v
        events = np.full((len(ways), length, len(FIELDS)), NO_ID, np.int64)
        for row, way in zip(events, ways, strict=True):
            laid = steps(np.array(way.ids, np.int32), v)[:length]
            row[: len(laid)] = laid
        means, _ = self.latent.encode_events(events[..., :COARSE])
        summary, _ = summarised(events, v)
        missed = summary - wanted
        apart = ((means - point) ** 2).sum(1)
        apart += _NUMBERS * (missed[:, :4] ** 2).sum(1) + _SHARES * np.abs(missed[:, 4:]).sum(1)
        return ways[int(np.argmin(apart))]


class _Way:
    """One way to play a passage."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        context: Ids,
        lifts: NDArray[np.float32],
        aim: Aim,
        seed: int,
    ) -> None:
        self._lifts, self._aim = lifts, aim
        self.row = _Lifted(aim)
        self._player = Player(engine, settings, generator(seed), context, self.row)
        self._most = self._player.decoder.now + _SLOWEST_S * engine.vocabulary.steps_per_second
        self.ids: list[int] = []
        self.memory: Memory

    def playing(self) -> Piece:
        """Play a passage."""
        for lift in self._lifts:
            self.row.bias = lift
            event = yield from self._player.choices(ending=False)
            if not event or self._player.decoder.now > self._most:
                break
            self._player.play(event)
            self._aim.play(event)
            self.ids += event
            yield event
        self.memory = yield Mark()


class _Lifted(Row):
    """A row whose ids are likelier or less likely than the model says."""

    def __init__(self, aim: Aim) -> None:
        super().__init__()
        self._aim = aim
        self.bias: NDArray[np.float32] | float = 0.0

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next id, shape (size,)."""
        return self._aim.raised(np.asarray(super().logits() + self.bias))


def _pedal(ids: Ids, v: Vocabulary) -> int:
    """Return whether the pedal is down, 0 or 1, after ids."""
    moves = ids[v.kinds[ids] == SUSTAIN]
    return int(moves[-1] - v.first[SUSTAIN]) if len(moves) else 0
