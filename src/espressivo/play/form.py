"""Form: which passages of a piece come back, and when."""

from __future__ import annotations

import re
from typing import NamedTuple

from espressivo.errors import GenerationError
from espressivo.play.player import Player

__all__ = ["LONGEST_SECTION_S", "SHORTEST_SECTION_S", "Form", "Section", "sections"]

SHORTEST_SECTION_S, LONGEST_SECTION_S = 6.0, 20.0
"""Lengths within which sections share out the time of a piece."""

_SECTION_S = 10.0
_LENGTHS_S = 3.0, 60.0  # of a section whose length is requested
_SECTION = re.compile(r"([A-Z])(?::([0-9]+(?:\.[0-9]+)?))?")


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
                player.lead(*self._first[name])
            else:
                self._first[name] = begin, end
                player.invent()
