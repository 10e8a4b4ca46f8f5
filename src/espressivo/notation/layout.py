"""Layout: a score as bars of symbols that can be written: notes and rests of usual values.

Times are `TICKS`, 48 a quarter. In each quarter of a bar either multiples of 3 or multiples of 4
are used, which are halves and thirds; what stands elsewhere is moved to the nearest.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Mark, Score
from espressivo.notation.grid import TICKS

__all__ = ["VALUES", "Bar", "Symbol", "laid_out"]

VALUES = {
    192: ("whole", 0),
    144: ("half", 1),
    96: ("half", 0),
    72: ("quarter", 1),
    48: ("quarter", 0),
    36: ("eighth", 1),
    24: ("eighth", 0),
    18: ("16th", 1),
    12: ("16th", 0),
    9: ("32nd", 1),
    6: ("32nd", 0),
    3: ("64th", 0),
}
"""Ticks of a written value: its name and dots."""

_DOTTED = {ticks for ticks, (_, dots) in VALUES.items() if dots}
_THIRDS = (32, 24, 16, 12, 8, 4)  # ticks of values within a triplet: two thirds of a usual one
_LONGEST = 64 * TICKS  # of a bar


Thirds = dict[int, set[int]]
"""By number of bar, the cells that a voice divides in thirds, by their first tick in the bar."""


@dataclass(frozen=True)
class Symbol:
    """A chord or rest.

    Parameters
    ----------
    begin : int
        Ticks from the beginning of its bar.
    size : int
        Ticks.
    notes : tuple of int
        Indices into the notes of the score; a rest has none.
    graces : tuple of int
        Notes before it.
    third : bool
        Whether it belongs to a triplet, whose quarter begins at `cell`.
    cell : int
    tied : bool
        Whether it goes on from the symbol before it.
    ties : bool
        Whether it goes on into the next.
    """

    begin: int
    size: int
    notes: tuple[int, ...] = ()
    graces: tuple[int, ...] = ()
    third: bool = False
    cell: int = 0
    tied: bool = False
    ties: bool = False


@dataclass
class Bar:
    """A bar.

    Parameters
    ----------
    begin, size : int
        Ticks.
    over, under : int
        Time signature.
    pickup : bool
        Whether it is the first and shorter than its time signature says.
    sharps : int
    voices : dict of (int, int) to list of Symbol
        By staff and voice, both from 1. Voice 1 fills the bar; others leave gaps.
    """

    begin: int
    size: int
    over: int
    under: int
    pickup: bool
    sharps: int
    voices: dict[tuple[int, int], list[Symbol]] = field(default_factory=dict)

    @property
    def compound(self) -> bool:
        """Whether a beat is three of what the denominator says."""
        return self.under >= 8 and self.over > 3 and self.over % 3 == 0

    @property
    def beat(self) -> int:
        """Ticks of a beat, under one beam."""
        if self.compound or (self.under == 8 and self.over == 3):
            return 12 * TICKS // self.under
        return max(min(4 * TICKS // self.under, TICKS), 3)

    @property
    def cell(self) -> int:
        """Ticks of what a triplet can fill."""
        return TICKS // 2 if self.under >= 8 else TICKS


def laid_out(score: Score) -> list[Bar]:
    """Return the bars of a score for piano."""
    notes = score.notes
    grace = (notes["marks"] & int(Mark.GRACE)) > 0
    onset = np.rint(notes["onset"] * TICKS).astype(np.int64)
    end = np.rint((notes["onset"] + notes["duration"]) * TICKS).astype(np.int64)
    bars = _bars(score, int(end.max(initial=1)))
    begins = np.array([bar.begin for bar in bars])
    onset, end = _on_cells(bars, begins, onset, end, grace)
    staff = np.where(notes["staff"] == 2, 2, 1)
    voice = np.where(notes["voice"] > 1, 2, 1)
    unknown = notes["staff"] == 0
    staff = np.where(unknown & (notes["pitch"] < 60), 2, staff)
    for here in (1, 2):
        for layer in (1, 2):
            mine = np.flatnonzero((staff == here) & (voice == layer))
            _lay(bars, begins, (here, layer), mine, onset, end, grace)
    return bars


def _bars(score: Score, until: int) -> list[Bar]:
    metres = [(round(at * TICKS), over, under) for at, over, under in score.metres.tolist()]
    if not metres or metres[0][0] > 0:
        metres.insert(0, (0, 4, 4))
    keys = [(round(at * TICKS), int(sharps)) for at, sharps, _ in score.keys.tolist()]
    bars: list[Bar] = []
    number = 0
    at = 0
    while at < until:
        while number + 1 < len(metres) and metres[number + 1][0] <= at:
            number += 1
        over, under = metres[number][1:]
        size = min(max(4 * TICKS * over // under, 3), _LONGEST)
        if number + 1 < len(metres):
            size = max(1, min(size, metres[number + 1][0] - at))
        pickup = False
        if not at and number + 1 < len(metres) and metres[1][0] == size:
            whole = 4 * TICKS * metres[1][1] // metres[1][2]
            pickup = size < whole
            over, under = metres[1][1:] if pickup else (over, under)
        sharps = next((sharps for begin, sharps in reversed(keys) if begin <= at), 0)
        bars.append(Bar(at, size, over, under, pickup, sharps))
        at += size
    return bars


def _on_cells(
    bars: list[Bar],
    begins: NDArray[np.int64],
    onset: NDArray[np.int64],
    end: NDArray[np.int64],
    grace: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Move onsets and ends to halves or thirds, whichever fit their cell."""
    wrong: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for place in np.concatenate((onset[~grace], end[~grace])).tolist():
        bar, inside = _within(bars, begins, place)
        rest = inside % bars[bar].cell
        for kind, step in enumerate((3, 4)):
            wrong[bar, inside // bars[bar].cell][kind] += min(rest % step, -rest % step)

    def moved(place: int) -> int:
        bar, inside = _within(bars, begins, place)
        cell, rest = divmod(inside, bars[bar].cell)
        halves, thirds = wrong[bar, cell]
        step = 4 if thirds < halves else 3
        return place - rest + round(rest / step) * step

    onset = np.array([moved(place) for place in onset.tolist()], np.int64)
    end = np.array([moved(place) for place in end.tolist()], np.int64)
    short = end <= onset
    end[short] = [_after(bars, begins, wrong, place) for place in onset[short].tolist()]
    return onset, end


def _within(bars: list[Bar], begins: NDArray[np.int64], place: int) -> tuple[int, int]:
    bar = int(np.searchsorted(begins, place, "right")) - 1
    return bar, place - bars[bar].begin


def _after(
    bars: list[Bar],
    begins: NDArray[np.int64],
    wrong: dict[tuple[int, int], list[int]],
    place: int,
) -> int:
    bar, inside = _within(bars, begins, place)
    halves, thirds = wrong[bar, inside // bars[bar].cell]
    return place + (4 if thirds < halves else 3)


def _lay(
    bars: list[Bar],
    begins: NDArray[np.int64],
    where: tuple[int, int],
    mine: NDArray[np.int64],
    onset: NDArray[np.int64],
    end: NDArray[np.int64],
    grace: NDArray[np.bool_],
) -> None:
    """Put the notes of a staff and voice into bars, and fill voice 1 with rests."""
    chords: dict[int, list[int]] = defaultdict(list)
    for one in mine[~grace[mine]].tolist():
        chords[int(onset[one])].append(one)
    places = sorted(chords)
    before: dict[int, list[int]] = defaultdict(list)
    for one in mine[grace[mine]].tolist():
        later = int(np.searchsorted(places, onset[one]))
        if later < len(places):
            before[places[later]].append(one)
        else:  # nothing follows: an ordinary note
            chords[int(onset[one])].append(one)
    places = sorted(chords)
    last = bars[-1].begin + bars[-1].size
    spans = [
        (place, max(place + 1, min(following, max(int(end[one]) for one in chords[place]))))
        for place, following in zip(places, [*places[1:], last][: len(places)], strict=True)
    ]
    thirds: Thirds = defaultdict(set)
    for edge in (edge for span in spans for edge in span if edge < last):
        bar, inside = _within(bars, begins, edge)
        if inside % bars[bar].cell % 3:
            thirds[bar].add(inside - inside % bars[bar].cell)
    now = 0
    for begin, until in spans:
        if where[1] == 1 and begin > now:
            _split_up(bars, begins, where, now, begin, (), (), thirds)
        notes = tuple(chords[begin])
        graces = tuple(before[begin])
        _split_up(bars, begins, where, begin, until, notes, graces, thirds)
        now = until
    if where[1] == 1 and now < last:
        _split_up(bars, begins, where, now, last, (), (), thirds)


def _split_up(
    bars: list[Bar],
    begins: NDArray[np.int64],
    where: tuple[int, int],
    begin: int,
    until: int,
    notes: tuple[int, ...],
    graces: tuple[int, ...],
    thirds: Thirds,
) -> None:
    """Write a chord or rest as symbols of usual values, tied."""
    pieces: list[tuple[Bar, int, int, bool]] = []
    now = begin
    while now < until:
        number, inside = _within(bars, begins, now)
        bar = bars[number]
        size = min(until, bar.begin + bar.size) - now
        values = _values(bar, inside, size, not notes, thirds[number])
        pieces += [(bar, *piece) for piece in values]
        now += size
    for number, (bar, at, size, third) in enumerate(pieces):
        symbol = Symbol(
            at,
            size,
            notes,
            graces if not number else (),
            third,
            at - at % bar.cell,
            bool(notes) and number > 0,
            bool(notes) and number < len(pieces) - 1,
        )
        bar.voices.setdefault(where, []).append(symbol)


def _values(
    bar: Bar, at: int, size: int, rest: bool, thirds: set[int]
) -> list[tuple[int, int, bool]]:
    """Return begins, sizes and whether they are thirds, of values that fill a span of a bar.

    `thirds` are the beginnings of cells that are divided in thirds; no span covers all of one.
    """
    if rest and size == bar.size:
        return [(at, size, False)]  # a rest of a bar
    until, cell = at + size, bar.cell
    first, last = at - at % cell, until - 1 - (until - 1) % cell
    cuts = {first + cell} if first in thirds else set()
    cuts |= {last} if last in thirds else set()
    edges = [at, *sorted(cut for cut in cuts if at < cut < until), until]
    found: list[tuple[int, int, bool]] = []
    for begin, end in pairwise(edges):
        if begin - begin % cell in thirds:
            found += _thirds(begin, end - begin)
        else:
            halves = _halves(bar, begin, end - begin, rest)
            found += [(place, part, False) for place, part in halves]
    return found


def _thirds(at: int, size: int) -> list[tuple[int, int, bool]]:
    found = []
    while size > 0:
        part = next((value for value in _THIRDS if value <= size), size)
        found.append((at, part, True))
        at, size = at + part, size - part
    return found


def _halves(bar: Bar, at: int, size: int, rest: bool) -> list[tuple[int, int]]:
    if size in VALUES and _fits(bar, at, size, rest):
        return [(at, size)]
    units = [bar.beat * 2 if bar.size % (bar.beat * 4) == 0 else bar.beat, bar.beat, 24, 12, 6, 3]
    for unit in units:
        cut = (at // unit + 1) * unit
        if cut < at + size:
            return _halves(bar, at, cut - at, rest) + _halves(bar, cut, at + size - cut, rest)
    return [(at, size)]


def _fits(bar: Bar, at: int, size: int, rest: bool) -> bool:
    """Tell whether a value can stand somewhere in a bar without hiding its beats."""
    beat = bar.beat
    base = size * 2 // 3 if size in _DOTTED else size
    if bar.compound:
        if size >= beat:
            return at % beat == 0 and size % beat == 0
        return at % beat + size <= beat and at % min(base, 24) == 0
    if rest:
        return at % size == 0 and (size <= beat or at % beat == 0)
    if at % base == 0:
        return size not in _DOTTED or at % (2 * base) == 0 or size <= beat * 3 // 2
    half = bar.size // 2 if bar.size % (2 * beat) == 0 else bar.size
    return base > 3 and at % (base // 2) == 0 and at % half + size <= half and size <= 96
