"""Splits: which pieces are learned from, and which are held out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import NOTE_ON, TIME_SHIFT, Vocabulary, grid_steps
from espressivo.data import shards
from espressivo.data.entries import Entries, Entry, Sketches
from espressivo.data.fingerprint import groups, same_composition

__all__ = ["SPLITS", "Row", "split_up"]

SPLITS = ("train", "validation", "test")
"""To learn from, to choose by, and to report on."""

Row = tuple[str, str]
"""Split and composition of a file."""

_HELD_OUT = 0.2  # of the time of each file, where there is one composition
_SHORTEST_S = 30.0  # of such a file, so that something can be said of its end


def split_up(
    entries: Entries,
    rows: Mapping[str, Row] | None,
    fractions: tuple[float, float, float],
    folder: Path,
    vocabulary: Vocabulary,
    sketches: Sketches,
) -> tuple[Iterator[Entry], int]:
    """Give each kept file its split and composition, as `espressivo.data.prepare` says.

    Parameters
    ----------
    entries : Entries
    rows : mapping, optional
        Split and composition of each path, if they are given.
    fractions : tuple of float
        Expected shares of train, validation and test otherwise.
    folder : path
        Of the shards.
    vocabulary : Vocabulary
        Of their ids.
    sketches : Sketches
        Of all entries that are kept.

    Returns
    -------
    entries : iterator of Entry
        All of them; two of a file that is split by time.
    parted : int
        Pairs of files with common music that stand in different splits.
    """
    kept = entries.kept()
    pairs = same_composition(sketches.of(kept), folder)
    if rows is not None:
        split_of = {one: rows[entries[kept[one]].path][0] for pair in pairs for one in pair}
        return _given(entries, rows), sum(split_of[a] != split_of[b] for a, b in pairs)
    lead = kept[np.array(groups(len(kept), pairs), np.int64)]
    names = (_name(entries[index]) for index in np.unique(lead).tolist())
    drawn = np.unique(np.fromiter(map(_drawn, names), float))
    if len(drawn) == 1 and min(fractions[:2]) > 0:
        name = _name(entries[lead[0]])
        return (part for one in entries for part in _by_time(one, name, folder, vocabulary)), 0
    return _by_composition(entries, lead, _chooser(drawn, fractions)), 0


def _given(entries: Entries, rows: Mapping[str, Row]) -> Iterator[Entry]:
    """Yield entries with the splits and compositions that are given."""
    for entry in entries:
        if not entry.reason:
            entry.split, entry.composition = rows[entry.path]
        yield entry


def _by_composition(
    entries: Entries, lead: NDArray[np.int64], choose: Callable[[float], str]
) -> Iterator[Entry]:
    """Yield entries with their compositions, each named after its first, and their splits."""
    leads = iter(lead)
    for entry in entries:
        if not entry.reason:
            entry.composition = _name(entries[next(leads)])
            entry.split = choose(_drawn(entry.composition))
        yield entry


def _name(entry: Entry) -> str:
    """Return what a composition is called after its first file."""
    return entry.path.rpartition(".")[0]


def _drawn(name: str) -> float:
    return int(hashlib.sha256(name.encode()).hexdigest()[:12], 16) / 16**12


def _chooser(
    drawn: NDArray[np.float64], fractions: tuple[float, float, float]
) -> Callable[[float], str]:
    """Return what tells a composition's split: some learn and some validate, if there are two.

    `drawn` are the numbers of all compositions, in order.
    """
    train, validation, _ = fractions
    moved = dict[float, str]()
    if len(drawn) > 1 and min(train, validation) > 0:
        lowest, others = drawn[0], drawn[1:]
        moved[float(lowest)] = "train"
        if not ((others >= train) & (others < train + validation)).any():
            nearest = np.abs(others - (train + validation / 2)).argmin()
            moved[float(others[nearest])] = "validation"
    return lambda at: moved.get(at) or SPLITS[(at >= train) + (at >= train + validation)]


def _by_time(entry: Entry, name: str, folder: Path, v: Vocabulary) -> list[Entry]:
    """Cut a kept file in two: its first four fifths are learned from, its last fifth is not."""
    if entry.reason:
        return [entry]
    entry.split, entry.composition = "train", name
    if entry.seconds < _SHORTEST_S:
        return [entry]
    with shards.ids_path(folder, entry.shard).open("rb") as stored:
        stored.seek(2 * entry.start)
        ids = np.frombuffer(stored.read(2 * entry.events), "<u2").astype(np.int32)
    step = grid_steps(ids, v)
    begins = np.flatnonzero(v.kinds[ids] == TIME_SHIFT)
    after = step[begins] > (1 - _HELD_OUT) * step[-1]
    cut = int(begins[np.argmax(after)])
    at_s = round(float(step[cut - 1]) / v.steps_per_second, 3)
    parts = []
    for split, begin, end, seconds in (
        ("train", 0, cut, at_s),
        ("validation", cut, len(ids), round(entry.seconds - at_s, 3)),
    ):
        part = ids[begin:end]
        parts.append(
            dataclasses.replace(
                entry,
                split=split,
                start=entry.start + begin,
                events=len(part),
                notes=int((v.kinds[part] == NOTE_ON).sum()),
                seconds=seconds,
                ids_sha256=hashlib.sha256(part.astype("<u2").tobytes()).hexdigest(),
            )
        )
    return parts
