"""Ending: how a piece of a given length comes to its close."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    DURATION,
    NOTE_OFF,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    Decoder,
    Event,
    grid_steps,
)
from espressivo.music import Key, likeliest_key
from espressivo.play.player import Adjust
from espressivo.play.settings import Settings

__all__ = [
    "CLOSE_S",
    "ENDINGS",
    "FARTHEST_S",
    "TOLERANCE",
    "Close",
    "Homeward",
    "close_steps",
    "passed",
]

ENDINGS = ("natural", "cut", "own")
"""How a piece ends; see `Close` for the first."""

CLOSE_S = 6.0
"""So long before the end of its time a piece begins to broaden."""

TOLERANCE, FARTHEST_S = 0.06, 1.8
"""By how much a piece may be shorter or longer than its time: the lesser of a part of the time, and
so many seconds."""

_EARLIEST_S, _FORCED_S, _LATEST_S = 4.5, 3.0, 1.5  # before the end: when the last chord begins
_RING_S = 3.0  # so long the last chord rings
_LIFT_S, _PRESS_S = 0.1, 0.3  # when the pedal goes up and down again under it
_HEARD_S = 15.0  # of so much music the key is found
_HOME_S, _CALM_S = 14.0, 8.0  # before the end, when a piece is asked for its key, and to calm down
_CALM = 0.4  # of the notes that there were
_SLOWER = 0.8  # by this part of themselves time-shifts are longer at last
_HIGHEST_BASS = 55  # MIDI pitch, G3
_FEWEST = 3  # notes of the last chord
_THIRDS = {"major": 4, "minor": 3}


def close_steps(decoder: Decoder, end: int) -> int:
    """Return how many grid steps before the end of a piece its `Close` is to be made."""
    return round(CLOSE_S * _second(decoder, end)) + decoder.vocabulary.max_shift_steps


class Homeward:
    """What a piece is asked for on the way to its close, of what its model supports.

    It returns home: from 14 s before the end of its time on it is asked for the pitch classes of
    the key that fits all of it best. And it calms down: from 8 s before the end on it is asked for
    0.4 of the notes of the 15 s before. What is requested of it anyway stays as it is. A piece
    shorter than twice `CLOSE_S` shares its time out in the same proportion.

    Parameters
    ----------
    decoder : Decoder
        As it is when the piece begins.
    end : int
        The step at which the time is over.
    supported : collection of str
        Names of the controls that the model follows.
    """

    def __init__(self, decoder: Decoder, end: int, supported: Collection[str]) -> None:
        second = _second(decoder, end)
        self._due = [
            (end - round(before_s * second), ask)
            for before_s, name, ask in (
                (_HOME_S, "pitch_weights", self._home),
                (_CALM_S, "density", self._calm),
            )
            if name in supported
        ]

    def look(self, decoder: Decoder, ids: Sequence[int], settings: Settings) -> Settings:
        """Return settings that ask for what its time has come for; mostly those given.

        Parameters
        ----------
        decoder : Decoder
        ids : sequence of ids
            What has been played, with its primer.
        settings : Settings
            In force now.
        """
        while self._due and decoder.now >= self._due[0][0]:
            settings = self._due.pop(0)[1](decoder, ids, settings)
        return settings

    def _home(self, decoder: Decoder, ids: Sequence[int], settings: Settings) -> Settings:
        home = _key_of(decoder, ids, math.inf)
        if settings.pitch_weights is not None or home is None:
            return settings
        return _asking(settings, pitch_weights=home.pitch_weights)

    def _calm(self, decoder: Decoder, ids: Sequence[int], settings: Settings) -> Settings:
        if settings.density is not None or settings.onset_rate is not None:
            return settings
        heard = min(decoder.now / decoder.vocabulary.steps_per_second, _HEARD_S)
        return _asking(settings, density=_CALM * len(_pitches(decoder, ids, heard)) / heard)


def _asking(settings: Settings, **controls: Any) -> Settings:
    """Return settings that ask for more, without more guidance."""
    guidance = 1.0 if settings.guidance is None else settings.guidance
    return settings.changed(**controls, guidance=guidance)


class Close:
    """A natural close: the piece broadens, and its last chord rings under the pedal.

    From `CLOSE_S` before the end of its time on a piece grows slower. The first chord from 4.5 s
    before the end on whose lowest note is the tonic, at most G3, is the last one. From 3 s before
    the end on no other chord comes, and it begins 1.5 s before the end at the latest. Its other
    notes are those of the tonic's triad, two at least. It rings for 3 s, so that the piece is no
    more than `TOLERANCE` shorter or longer than its time. The tonic is that of the pitch classes
    that are requested, or else of the last 15 s.

    A piece shorter than twice `CLOSE_S` shares its time out in the same proportion. What the limits
    in force leave no key for is done as far as they allow.

    Parameters
    ----------
    decoder : Decoder
        As it is `close_steps` before the end, or soon after.
    end : int
        The step at which the time is over.
    ids : sequence of ids
        What has been played, with its primer.
    weights : sequence of 12 numbers, optional
        How often each pitch class is requested.

    Attributes
    ----------
    latest : int
        The step by which the last chord begins.
    """

    def __init__(
        self,
        decoder: Decoder,
        end: int,
        ids: Sequence[int],
        weights: Sequence[float] | None = None,
    ) -> None:
        v = self._vocabulary = decoder.vocabulary
        self._end, self._second = end, _second(decoder, end)
        farthest_s = FARTHEST_S * v.steps_per_second
        self._farthest = int(min(TOLERANCE * (end - decoder.begin), farthest_s))
        self._ring, longest = self._steps(_RING_S), decoder.limits.longest_note(v)
        if not v.counts[SUSTAIN]:
            self._ring = min(self._ring, longest)
        self._held = longest > self._steps(_PRESS_S)
        self._begin = end - self._steps(CLOSE_S)
        self._earliest = end - min(self._steps(_EARLIEST_S), self._ring + self._farthest)
        self._forced = max(end - self._steps(_FORCED_S), self._earliest)
        self.latest = min(max(end - self._steps(_LATEST_S), self._forced), end - 1)
        home = None if weights is None else likeliest_key(weights)
        self._choose_keys(decoder, home or _key_of(decoder, ids))

    def _choose_keys(self, decoder: Decoder, home: Key | None) -> None:
        """Find which keys can be the lowest of the last chord, and what else belongs to it."""
        v = self._vocabulary
        keys = np.arange(v.lowest_pitch, v.highest_pitch + 1)
        bass = keys[np.frombuffer(decoder.limits.keys(v), np.bool_)]
        triad = keys
        if home is not None:
            tonics = bass[bass % 12 == home.tonic]
            low = tonics[tonics <= _HIGHEST_BASS]
            bass = next(some for some in (low, tonics, bass) if len(some))
            triad = keys[np.isin((keys - home.tonic) % 12, (0, _THIRDS[home.mode], 7))]
        pedal = v.first[SUSTAIN] + np.arange(v.counts[SUSTAIN])
        brief = v.first[DURATION] + np.flatnonzero(v.shortest_durations < self._ring)
        first = v.first[NOTE_ON] - v.lowest_pitch
        self._bass = frozenset(bass.tolist())
        self._not_bass = [*(first + np.setdiff1d(keys, bass)).tolist(), *pedal.tolist()]
        self._not_triad = [*(first + np.setdiff1d(keys, triad)).tolist(), *pedal, *brief.tolist()]

    def slower(self, decoder: Decoder) -> Adjust:
        """Return what makes the time-shifts longer that are drawn now."""
        return functools.partial(self._broadened, decoder)

    def _broadened(self, decoder: Decoder, id_: int) -> int:
        v = self._vocabulary
        steps, last = int(v.values[id_]), v.first[TIME_SHIFT] + v.counts[TIME_SHIFT] - 1
        if v.kinds[id_] != TIME_SHIFT or id_ == last or steps < decoder.chord_left:
            return id_
        return min(id_ + round(steps * _SLOWER * self._gone(decoder)), last - 1)

    def ruled_out(self, decoder: Decoder) -> list[int]:
        """Return the ids that cannot come next, in a decoder that knows those of the event so far.

        They are named for any id of an event, whichever is to come.
        """
        v = self._vocabulary
        ends = [first + count for first, count in zip(v.first, v.counts, strict=True)]
        notes, shifts = v.first[NOTE_ON], v.first[TIME_SHIFT]
        beyond = shifts + decoder.chord_left - (not v.notewise)  # the first that leaves the chord
        named: list[int] = []
        if self.arrived(decoder):
            chord = decoder.chord
            named += self._not_triad
            named += range(notes, notes + chord[0] - v.lowest_pitch)
            if v.counts[NOTE_OFF]:
                named += [v.first[NOTE_OFF] + pitch - v.lowest_pitch for pitch in chord]
            if len(chord) < _FEWEST:
                named += range(beyond, ends[TIME_SHIFT])
        elif decoder.now >= self._forced and decoder.chord:  # the chord before it is over
            named += [*range(notes, ends[NOTE_ON]), *range(shifts, beyond)]
        elif decoder.now >= self._forced:
            named += self._not_bass
        if named and not v.notewise and decoder.onset is not None:
            free = decoder.allowed().copy()
            free[named] = False
            if not free[notes : ends[NOTE_ON]].any():  # a note has to follow a velocity
                named += range(v.first[VELOCITY], ends[VELOCITY])
        return named

    def arrived(self, decoder: Decoder) -> bool:
        """Tell whether a note that is struck now would belong to the last chord."""
        chord = decoder.chord
        return bool(chord) and chord[0] in self._bass and decoder.now >= self._earliest

    def over(self, decoder: Decoder, event: Event) -> bool:
        """Tell whether the last chord is complete when an event comes."""
        return self.arrived(decoder) and decoder.gap(event) >= decoder.chord_left

    def ringing(self, decoder: Decoder) -> Iterator[Event]:
        """Let the last chord ring under a new pedal, then end all; yield the ids that say so."""
        until = self._end
        if self.arrived(decoder):
            until = decoder.now + self._ring
            until = min(max(until, self._end - self._farthest), self._end + self._farthest)
            yield from self._new_pedal(decoder, until)
        yield passed(decoder, until)
        yield tuple(decoder.closing())

    def _new_pedal(self, decoder: Decoder, until: int) -> Iterator[Event]:
        """Let go what is not of the last chord, and press the pedal."""
        v, chord = self._vocabulary, decoder.chord
        lift = decoder.now + max(1, self._steps(_LIFT_S))
        press = lift + max(1, self._steps(_PRESS_S - _LIFT_S))
        if self._held and press < until:
            low = v.first[NOTE_OFF] - v.lowest_pitch
            others = [p for p in decoder.sounding if p not in chord] if v.counts[NOTE_OFF] else []
            if decoder.pedal_down or others:
                yield passed(decoder, lift)
                if decoder.pedal_down:
                    yield _fed(decoder, decoder.pedal(False))
                yield _fed(decoder, tuple(low + pitch for pitch in others))
        else:
            press = decoder.now + 1
        if v.counts[SUSTAIN] and not decoder.pedal_down and press < until:
            yield passed(decoder, press)
            yield _fed(decoder, decoder.pedal(True))

    def _steps(self, seconds: float) -> int:
        return round(seconds * self._second)

    def _gone(self, decoder: Decoder) -> float:
        """Return how much of the time until the last chord is gone, 0..1."""
        share = (decoder.now - self._begin) / max(self.latest - self._begin, 1)
        return min(max(share, 0.0), 1.0)


def passed(decoder: Decoder, until: int) -> Event:
    """Let time pass up to a step, and return the ids that say so."""
    v = decoder.vocabulary
    ids: list[int] = []
    full = v.first[TIME_SHIFT] + v.counts[TIME_SHIFT] - 1
    while decoder.now < until:
        overdue = decoder.overdue()
        if overdue is not None:
            ids += _fed(decoder, (overdue,))
        elif v.notewise or not decoder.sounding:
            for event in decoder.passing(until - decoder.now):
                ids += _fed(decoder, event)
        else:
            ids += _fed(decoder, (decoder.cut(full, until),))
    return tuple(ids)


def _fed(decoder: Decoder, ids: Event) -> Event:
    """Let ids happen, and return them."""
    for id_ in ids:
        decoder.feed(id_)
    return ids


def _second(decoder: Decoder, end: int) -> float:
    """Return the grid steps that stand for a second of the close of a piece."""
    rate = decoder.vocabulary.steps_per_second
    return min(float(rate), (end - decoder.begin) / (2 * CLOSE_S))


def _key_of(decoder: Decoder, ids: Sequence[int], seconds: float = _HEARD_S) -> Key | None:
    """Return the key of the last seconds of some ids."""
    return likeliest_key(np.bincount(_pitches(decoder, ids, seconds) % 12, minlength=12))


def _pitches(decoder: Decoder, ids: Sequence[int], seconds: float) -> NDArray[np.int32]:
    """Return the pitches that began in the last seconds of some ids."""
    v = decoder.vocabulary
    played = np.array(ids, np.int32)
    late = grid_steps(played, v) >= decoder.now - seconds * v.steps_per_second
    return np.asarray(v.values[played[late & (v.kinds[played] == NOTE_ON)]])
