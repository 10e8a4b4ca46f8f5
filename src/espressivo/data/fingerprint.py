"""Fingerprint: which files hold the same composition, and which the same performance of it.

A landmark is a run of twelve successive notes: a hash of their pitches above the lowest of them, in
any order (chords are struck in any order), and the time of its first note. One landmark in sixteen,
chosen by its hash, is kept, so the same music keeps the same landmarks wherever it stands, and in
any key (Broder 1997; Wang 2003).

- Two pianists playing one composition share at least 8 % of the landmarks of the shorter file.
- Two files of one performance share the interval and the time from landmark to landmark as well, up
  to a tempo common to the whole file; two pianists agree in the time by chance only.

On the 2008 files of MAESTRO and ASAP (a test in ``tests/test_corpus.py``) this finds 538 of 538
known copies, excerpts included, and no other pair. Silence before, resolution, tempo, loudness,
pedal and metadata do not matter. A file of fewer than about 100 notes has too few landmarks to be
compared.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Performance

__all__ = [
    "FINGERPRINT",
    "Sketch",
    "groups",
    "mixed",
    "same_composition",
    "same_performance",
    "sketch",
]

FINGERPRINT = 2
"""Version of the landmarks: those of other versions have nothing in common."""

Sketch = NDArray[np.uint32]
"""Landmarks in the order of time, shape (n, 3): hash, milliseconds, and lowest pitch."""

_RUN_NOTES = 12
_KEPT_ONE_IN = 16
_COMPOSITION_SHARE = 0.08  # MAESTRO and ASAP: all unrelated pairs are below 0.08
_PERFORMANCE_SHARE = 0.5  # MAESTRO and ASAP: copies are above 0.83, other pairs below 0.34
_LEAST_SHARED = 3  # of so few landmarks that chance would decide, nothing is concluded
_TOLERANCE_MS = 8.0
_NEIGHBOURS = 100  # files with which a file is compared for each landmark; bounds the cost
_AT_ONCE = 1 << 16  # landmarks that are compared at once; bounds the memory
_SKETCHES = 1 << 7  # that are read at once
_SHIFT, _FILE = np.uint64(32), np.uint64((1 << 32) - 1)  # where a key has its landmark, and a file
_REPEATS = 64  # occurrences of a pair in one file that are looked at; bounds the cost


def sketch(performance: Performance) -> Sketch:
    """Return the landmarks of a performance."""
    notes = performance.notes
    runs = len(notes) - _RUN_NOTES + 1
    if runs < 1:
        return np.empty((0, 3), np.uint32)
    pitch = np.lib.stride_tricks.sliding_window_view(notes["pitch"], _RUN_NOTES)
    lowest = pitch.min(axis=1)
    spread = mixed(np.arange(1, 129, dtype=np.uint64))[pitch - lowest[:, None]]
    hashed = mixed(spread.sum(axis=1))
    kept = np.flatnonzero(hashed % np.uint64(_KEPT_ONE_IN) == 0)
    time_ms = np.round(notes["onset_s"][kept] * 1000)
    columns = (hashed[kept] >> np.uint64(32), time_ms, lowest[kept])
    return np.stack(columns, axis=1).astype(np.uint32)


def same_composition(
    sketches: Sequence[Sketch], folder: Path | None = None
) -> list[tuple[int, int]]:
    """Return the pairs of indices, lower first, that hold the same composition, or part of it.

    Time and the number of pairs grow in proportion to the landmarks; memory with the pairs alone,
    but for a number a sketch, if the sketches are not in memory.

    Parameters
    ----------
    sketches : sequence of Sketch
    folder : path, optional
        Where landmarks are written meanwhile; by default where the system has temporary files.
    """
    pair, shared = np.empty(0, np.int64), np.empty(0, np.int64)
    with TemporaryFile(dir=folder, prefix=".", suffix=".partial") as file:
        sizes = _write_keys(sketches, file)
        parts = 1 + int(sizes.sum()) // _AT_ONCE
        for part in range(parts):
            keys = np.sort(np.concatenate([np.empty(0, np.uint64), *_keys(file, part, parts)]))
            found, times = _meetings(keys >> _SHIFT, (keys & _FILE).astype(np.int64), len(sizes))
            pair, back = np.unique(np.concatenate([pair, found]), return_inverse=True)
            counts = np.concatenate([shared, times])
            shared = np.bincount(back, counts, len(pair)).astype(np.int64)
    first, second = np.divmod(pair, max(len(sizes), 1))
    least = np.maximum(_COMPOSITION_SHARE * np.minimum(sizes[first], sizes[second]), _LEAST_SHARED)
    similar = shared >= least
    return list(zip(first[similar].tolist(), second[similar].tolist(), strict=True))


def _write_keys(sketches: Sequence[Sketch], file: IO[bytes]) -> NDArray[np.int64]:
    """Write each landmark of each sketch once, before the sketch's index; return how many."""
    sizes = np.zeros(len(sketches), np.int64)
    for begin in range(0, len(sketches), _SKETCHES):
        some = [sketches[index] for index in range(len(sketches))[begin : begin + _SKETCHES]]
        which = np.repeat(np.arange(len(some), dtype=np.uint64), [len(one) for one in some])
        landmark = np.concatenate([one[:, 0] for one in some]).astype(np.uint64)
        keys = np.unique((landmark << _SHIFT) | (which + np.uint64(begin)))
        each = (keys & _FILE).astype(np.int64) - begin
        sizes[begin : begin + len(some)] = np.bincount(each, minlength=len(some))
        file.write(keys.tobytes())
    return sizes


def _keys(file: IO[bytes], part: int, parts: int) -> Iterator[NDArray[np.uint64]]:
    """Yield what was written, of one part of the landmarks."""
    file.seek(0)
    while content := file.read(8 * _AT_ONCE):
        keys = np.frombuffer(content, np.uint64)
        yield keys[(keys >> _SHIFT) % np.uint64(parts) == part]


def _meetings(
    landmark: NDArray[np.uint64], file: NDArray[np.int64], files: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of files that share landmarks, as ``first * files + second``, and how many.

    The files of a landmark stand beside each other, in order, so this takes time in proportion to
    the landmarks, however many files there are.
    """
    pairs = [np.empty(0, np.int64)]
    here = np.arange(len(landmark))
    for apart in range(1, min(_NEIGHBOURS, files) + 1):
        here = here[: np.searchsorted(here, len(landmark) - apart)]
        here = here[landmark[here + apart] == landmark[here]]
        if not len(here):
            break
        pairs.append(file[here] * files + file[here + apart])
    found, times = np.unique(np.concatenate(pairs), return_counts=True)
    return found, times.astype(np.int64)


def same_performance(one: Sketch, other: Sketch) -> bool:
    """Tell whether one file is a copy of the other, or of a part of it.

    The tempo between the two is the median ratio of the times from landmark to landmark; then
    at least 50 % of the pairs of successive landmarks of the shorter file must recur in the
    longer, to 8 ms.
    """
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) <= _LEAST_SHARED:
        return False
    (pair, lasts_ms), (pair_in_longer, lasts_in_longer_ms) = _pairs(shorter), _pairs(longer)
    order = np.argsort(pair_in_longer, kind="stable")
    begin = np.searchsorted(pair_in_longer, pair, "left", sorter=order)
    end = np.searchsorted(pair_in_longer, pair, "right", sorter=order)
    found = np.minimum(end - begin, _REPEATS)
    needed = max(_PERFORMANCE_SHARE * len(pair), _LEAST_SHARED)
    if np.count_nonzero(found) < needed:
        return False
    # Each pair of the shorter file beside the same pair, as often as it stands, in the longer;
    # repeats in the music make several.
    mine = np.repeat(np.arange(len(pair)), found)
    rank = np.arange(len(mine)) - np.repeat(np.cumsum(found) - found, found)
    theirs = order[np.repeat(begin, found) + rank]
    a_ms, b_ms = lasts_ms[mine], lasts_in_longer_ms[theirs]
    lasting = a_ms > 0
    if not lasting.any():
        return False
    tempo = np.median(b_ms[lasting] / a_ms[lasting])
    agreeing = np.unique(mine[np.abs(b_ms - tempo * a_ms) <= _TOLERANCE_MS])
    return len(agreeing) >= needed


def groups(count: int, pairs: Sequence[tuple[int, int]]) -> Sequence[int]:
    """Return for each of `count` files the lowest index that pairs connect it with."""
    lowest = array("q", range(count))

    def find(index: int) -> int:
        while lowest[index] != index:
            lowest[index] = lowest[lowest[index]]
            index = lowest[index]
        return index

    for first, second in pairs:
        a, b = sorted((find(first), find(second)))
        lowest[b] = a
    for index in range(count):
        lowest[index] = find(index)
    return lowest


def _pairs(landmarks: Sketch) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Return for each pair of successive landmarks a hash and the milliseconds between them.

    The hash is of both, and of the interval from the lowest pitch of one to that of the other.
    """
    hashed, time_ms = landmarks[:, 0].astype(np.uint64), landmarks[:, 1].astype(np.float64)
    interval = mixed((128 + np.diff(landmarks[:, 2].astype(np.int64))).astype(np.uint64))
    return ((hashed[:-1] << np.uint64(32)) | hashed[1:]) ^ interval, np.diff(time_ms)


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread numbers over 64 bits (the finaliser of SplitMix64; it wraps around)."""
    x = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
