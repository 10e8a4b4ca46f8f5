"""Form: which passages of a piece come back, and when."""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from espressivo.errors import GenerationError
from espressivo.play.player import Player

__all__ = [
    "FREE",
    "LONGEST_SECTION_S",
    "RETURNS_FROM_S",
    "SHORTEST_SECTION_S",
    "Form",
    "Habit",
    "Returned",
    "Section",
    "sections",
]

SHORTEST_SECTION_S, LONGEST_SECTION_S = 6.0, 20.0
"""Lengths within which sections share out the time of a piece."""

FREE = "free"
"""The form of a piece in which nothing is brought back."""

RETURNS_FROM_S = 30.0
"""In longer pieces something comes back, unless it is told otherwise."""

_SECTION_S = 10.0
_LENGTHS_S = 3.0, 60.0  # of a section whose length is requested
_LAGS_S = (2, 4, 8, 16, 32, 60)
_LAG_RUNS = (1.29, 1.00, 0.88, 0.75, 0.24)  # returns a minute with lags between these
_WAIT_S = 8.0  # on average, until something comes back
_LENGTHS_LED_S = (1.0, 1.4, 2.0, 3.0, 6.0)  # quartiles of how long it is led through
_SECTION = re.compile(r"([A-Z])(?::([0-9]+(?:\.[0-9]+)?))?")


Returned = Callable[[float, float, float], object]
"""Is told when something is brought back, when that was played, and how long it is, in seconds."""


class Section(NamedTuple):
    """A part of a piece, in seconds since its beginning."""

    name: str
    begin_s: float
    end_s: float


def sections(form: str, seconds: float | None = None) -> tuple[Section, ...]:
    """Return the sections of a form such as ``A B A C A`` or ``A:12 B:20 A:12``.

    Parameters
    ----------
    form : str
        Capital letters, each perhaps with a length in seconds, 3..60. A letter that has been there
        before brings its first section back. Sections without a length share the rest of the time
        evenly, and each gets `SHORTEST_SECTION_S` to `LONGEST_SECTION_S`; or 10 s, if there is no
        length of the piece.
    seconds : float, optional
        Length of the piece.

    Raises
    ------
    GenerationError
        If it is not a form, nothing comes back, or the lengths do not fit.
    """
    names, lengths = [], []
    for word in form.split():
        found = _SECTION.fullmatch(word)
        if found is None:
            raise GenerationError(
                f"form must be capital letters, such as 'A B A' or 'A:12 B:20 A:12', not {form!r}"
            )
        names.append(found[1])
        lengths.append(None if found[2] is None else float(found[2]))
    if len(set(names)) == len(names):
        raise GenerationError(
            f"the form {form!r} brings nothing back: repeat a letter, as in 'A B A'"
        )
    least, most = _LENGTHS_S
    for length in lengths:
        if length is not None and not least <= length <= most:
            raise GenerationError(f"a section lasts {least:g} to {most:g} s, not {length:g}")
    fixed = sum(length for length in lengths if length is not None)
    free = lengths.count(None)
    share = _SECTION_S
    if seconds is not None and free:
        share = (seconds - fixed) / free
        if not SHORTEST_SECTION_S <= share <= LONGEST_SECTION_S:
            raise GenerationError(
                f"{seconds:g} s leave {share:.3g} s for each section of {form!r} without a length: "
                f"it must be {SHORTEST_SECTION_S:g} to {LONGEST_SECTION_S:g} s"
            )
    elif seconds is not None and abs(seconds - fixed) > 1e-6:
        raise GenerationError(
            f"the sections of {form!r} last {fixed:g} s and the piece {seconds:g} s: leave one out"
        )
    planned, end_s = [], 0.0
    for name, length in zip(names, lengths, strict=True):
        begin_s, end_s = end_s, end_s + (share if length is None else length)
        planned.append(Section(name, begin_s, end_s))
    return tuple(planned)


class Form:
    """Brings sections back as time passes: at each it tells a player what to follow.

    Parameters
    ----------
    planned : tuple of Section
    begin : int
        The step at which the piece begins.
    rate : int
        Steps a second.
    """

    def __init__(self, planned: tuple[Section, ...], begin: int, rate: int) -> None:
        self._first: dict[str, tuple[int, int]] = {}
        self._left = [
            (name, begin + round(begin_s * rate), begin + round(end_s * rate))
            for name, begin_s, end_s in planned
        ]

    def look(self, player: Player) -> None:
        """Begin the section whose time has come."""
        while self._left and player.decoder.now >= self._left[0][1]:
            name, begin, end = self._left.pop(0)
            if name in self._first:
                first, over = self._first[name]
                player.lead(player.decoder.now - first, over - first)
            else:
                self._first[name] = begin, end
                player.let_go(invent=True)


class Habit:
    """Brings short passages back every now and then, as people do.

    From how long ago is drawn as it was found in people's playing: in 1,668 minutes of it a turn of
    the melody comes back 4.2 times a minute after 2 s or more, mostly for a second. Passages are
    led through somewhat more often, and for longer, since not all of that does come back. A primer
    belongs to the piece: what was played there comes back as well.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws what is brought back.
    begin : int
        The step from which on it brings something back.
    rate : int
        Steps a second.
    returned : function, optional
        See `Returned`; what a primer had has negative seconds.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        begin: int,
        rate: int,
        returned: Returned | None = None,
    ) -> None:
        self._rng, self._begin, self._rate, self._returned = rng, begin, rate, returned
        self._until: int | None = None  # the step up to which a passage is brought back
        self._due = self._later(begin)

    def look(self, player: Player) -> None:
        """Begin or end what its time has come for."""
        now = player.decoder.now
        if self._until is not None:
            if player.led and now < self._until:
                return
            player.let_go()
            self._until, self._due = None, self._later(now)
        elif now >= self._due:
            lag = round(self._rate * self._lag_s())
            length = round(self._rate * self._length_s())
            self._due = self._later(now)
            if now >= lag:
                length = min(length, lag)
                self._until = now + length + self._rate
                player.lead(lag, length)
                if self._returned is not None:
                    at = now - self._begin
                    self._returned(*(steps / self._rate for steps in (at, at - lag, length)))

    def _later(self, now: int) -> int:
        return now - round(self._rate * _WAIT_S * math.log(1 - self._rng.random()))

    def _lag_s(self) -> float:
        at = self._rng.random() * sum(_LAG_RUNS)
        which = bisect([sum(_LAG_RUNS[: n + 1]) for n in range(len(_LAG_RUNS) - 1)], at)
        least, most = _LAGS_S[which : which + 2]
        return float(least * (most / least) ** self._rng.random())

    def _length_s(self) -> float:
        at = self._rng.random() * (len(_LENGTHS_LED_S) - 1)
        least, most = _LENGTHS_LED_S[int(at) : int(at) + 2]
        return float(least + (most - least) * (at % 1))
