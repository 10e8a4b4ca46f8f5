"""Splits: which pieces are learned from, and which are held out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from espressivo.codes import NOTE_ON, TIME_SHIFT, Vocabulary, grid_steps
from espressivo.data import shards
from espressivo.data.fingerprint import groups, same_composition
from espressivo.data.shards import Entry, Sketches

__all__ = ["SPLITS", "Row", "split_up"]

SPLITS = ("train", "validation", "test")
"""To learn from, to choose by, and to report on."""

Row = tuple[str, str]
"""Split and composition of a file."""

_HELD_OUT = 0.2  # of the time of each file, where there is one composition
_SHORTEST_S = 30.0  # of such a file, so that something can be said of its end


def split_up(
    entries: list[Entry],
    rows: Mapping[str, Row] | None,
    fractions: tuple[float, float, float],
    folder: Path,
    vocabulary: Vocabulary,
    sketches: Sketches,
) -> tuple[list[Entry], int]:
    """Give each kept file its split and composition, as `espressivo.data.prepare` says.

    Parameters
    ----------
    entries : list of Entry
        Those that are kept are changed.
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
    entries : list of Entry
        Two of a file that is split by time.
    parted : int
        Pairs of files with common music that stand in different splits.
    """
    kept = [entry for entry in entries if not entry.reason]
    pairs = same_composition(sketches.of(kept))
    for entry, first in zip(kept, groups(len(kept), pairs), strict=True):
        entry.composition = kept[first].path.rpartition(".")[0]
    if rows is not None:
        for entry in kept:
            entry.split, entry.composition = rows[entry.path]
        return entries, sum(kept[a].split != kept[b].split for a, b in pairs)
    names = {entry.composition for entry in kept}
    if len(names) == 1 and min(fractions[:2]) > 0:
        return [part for entry in entries for part in _by_time(entry, folder, vocabulary)], 0
    split_of = _by_composition(names, fractions)
    for entry in kept:
        entry.split = split_of[entry.composition]
    return entries, 0


def _by_composition(names: set[str], fractions: tuple[float, float, float]) -> dict[str, str]:
    """Return the split of each composition: some learn and some validate, if there are two."""
    train, validation, _ = fractions
    drawn = {
        name: int(hashlib.sha256(name.encode()).hexdigest()[:12], 16) / 16**12 for name in names
    }
    split_of = {
        name: SPLITS[(at >= train) + (at >= train + validation)] for name, at in drawn.items()
    }
    if len(names) > 1 and min(train, validation) > 0:
        lowest = min(names, key=lambda name: drawn[name])
        split_of[lowest] = "train"
        if "validation" not in split_of.values():
            middle = train + validation / 2
            nearest = min(names - {lowest}, key=lambda name: abs(drawn[name] - middle))
            split_of[nearest] = "validation"
    return split_of


def _by_time(entry: Entry, folder: Path, v: Vocabulary) -> list[Entry]:
    """Cut a kept file in two: its first four fifths are learned from, its last fifth is not."""
    if entry.reason:
        return [entry]
    entry.split = "train"
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
