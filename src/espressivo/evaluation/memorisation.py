"""Memory: the longest run of notes that a performance shares with any of many others.

A run is a number of successive notes that are the same in both, up to one transposition, each
coming after the one before by the same time, up to 6 % and 40 ms. Chords (`CHORD_GAP_S`) are put
in the order of pitch first, and eight successive notes are compared as a set, so it does not
matter in which order the notes of a chord are struck. A note more, less or wrong ends a run.

The index holds a hash of every eight successive notes, transposed to begin at 0. Two performances
share a run where their hashes agree at one position after another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import NOTE_ON, grid_steps
from espressivo.data import Dataset, mixed
from espressivo.music import Performance, in_order
from espressivo.progress import Progress, Silent

__all__ = ["SHORTEST", "Memory", "Run"]

SHORTEST = 8
"""Notes of the shortest run that is found."""

_Times = NDArray[np.float32]
_Notes = tuple[str, NDArray[np.float64], NDArray[np.uint8]]  # a name, onsets, pitches

_TEMPO = 0.06  # the share by which a time may be longer or shorter
_JITTER_S = 0.04  # and the time on top of that
_BLOCK = 256  # positions looked up at a time; bounds the memory used for music that repeats itself
_HIGH = np.uint64(32)  # a key is a hash in the upper bits, a position in the lower
_LOW = np.uint64(0xFFFFFFFF)
_SPREAD = mixed(np.arange(1, 129, dtype=np.uint64))


@dataclass(frozen=True)
class Run:
    """Notes that a performance shares with a piece.

    Parameters
    ----------
    notes : int
        How many, at least `SHORTEST`.
    piece : str
        Name of the piece.
    here_s, there_s : float
        When the run begins in the performance and in the piece, in seconds.
    semitones : int
        By how much the performance lies above the piece.
    stretch : float
        How long the run lasts in the performance for each second in the piece; above 1 is slower.
    """

    notes: int
    piece: str
    here_s: float
    there_s: float
    semitones: int
    stretch: float


@dataclass(frozen=True, eq=False)
class Memory:
    """The notes of many pieces, indexed; made by `of_dataset` or `of`.

    Parameters
    ----------
    names : tuple of str
        Name of each piece.
    first : int64 array, shape (pieces,)
        The position of each piece's first note.
    time_s : float32 array, shape (notes,)
        When the chord of each note begins, in seconds of its piece.
    pitch : uint8 array, shape (notes,)
        Notes of a chord ascend.
    """

    names: tuple[str, ...]
    first: NDArray[np.int64]
    time_s: _Times
    pitch: NDArray[np.uint8]

    @classmethod
    def of(cls, performances: Iterable[tuple[str, Performance]]) -> Memory:
        """Index performances, each given with its name."""
        return cls._of((name, p.notes["onset_s"], p.notes["pitch"]) for name, p in performances)

    @classmethod
    def of_dataset(
        cls, dataset: Dataset, split: str = "train", progress: Progress | None = None
    ) -> Memory:
        """Index the pieces of a split of a prepared dataset.

        Raises
        ------
        DataError
            If the split is empty or the dataset damaged.
        """
        v, pieces, progress = dataset.vocabulary, dataset.split(split), progress or Silent()

        def notes() -> Iterable[_Notes]:
            for piece in pieces:
                ids = dataset.ids(piece)
                on = np.flatnonzero(v.kinds[ids] == NOTE_ON)
                onset_s = grid_steps(ids, v)[on] / v.steps_per_second
                yield piece.path, onset_s, v.values[ids[on]].astype(np.uint8)
                progress.advance()

        progress.start(len(pieces), "pieces", "indexing")
        try:
            return cls._of(notes())
        finally:
            progress.close()

    @classmethod
    def _of(cls, pieces: Iterable[_Notes]) -> Memory:
        names, times, pitches = [], [np.empty(0, np.float32)], [np.empty(0, np.uint8)]
        for name, onset_s, pitch in pieces:
            time_s, ordered = in_order(onset_s, pitch)
            names.append(name)
            times.append(time_s)
            pitches.append(ordered)
        first = np.cumsum([len(array) for array in times])[:-1]
        return cls(tuple(names), first, np.concatenate(times), np.concatenate(pitches))

    @cached_property
    def _eights(self) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Keys (hash, position) of every eight notes of one piece, ascending; lowest pitches."""
        hashed, lowest = _hashes(self.pitch)
        inside = np.ones(len(hashed), bool)
        for end in (*self.first[1:].tolist(), len(self.pitch)):
            inside[max(end - SHORTEST + 1, 0) : end] = False
        keys = (hashed << _HIGH) | np.arange(len(hashed), dtype=np.uint64)
        keys = keys[inside]
        keys.sort()
        return keys, lowest

    def longest(self, performance: Performance) -> Run | None:
        """Return the longest run that a performance shares with a piece, or None.

        Of equals, the first in the performance. Only onsets and pitches count. The first call
        makes the hashes, which takes longer.
        """
        time_s, pitch = in_order(performance.notes["onset_s"], performance.notes["pitch"])
        here, there, semitones = self._matches(time_s, pitch)
        if not len(here):
            return None
        # Along a diagonal both performances advance by the same number of notes.
        order = np.argsort(there - here, kind="stable")
        here, there, semitones = here[order], there[order], semitones[order]
        piece = np.searchsorted(self.first, there, "right") - 1
        goes_on = (
            (np.diff(there - here) == 0)
            & (np.diff(here) <= SHORTEST)
            & (np.diff(semitones) == 0)
            & (np.diff(piece) == 0)
            & _alike(np.diff(time_s[here]), np.diff(self.time_s[there]))
        )
        begins = np.flatnonzero(np.concatenate(([True], ~goes_on)))
        ends = np.append(begins[1:], len(here)) - 1
        length = here[ends] - here[begins] + SHORTEST
        longest = np.lexsort((here[begins], -length))[0]
        notes, at = int(length[longest]), begins[longest]
        lasts_s = time_s[here[at] + notes - 1] - time_s[here[at]]
        lasts_there_s = self.time_s[there[at] + notes - 1] - self.time_s[there[at]]
        return Run(
            notes,
            self.names[piece[at]],
            float(time_s[here[at]]),
            float(self.time_s[there[at]]),
            int(semitones[at]),
            float(lasts_s / lasts_there_s) if lasts_there_s else 1.0,
        )

    def _matches(
        self, time_s: _Times, pitch: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of positions, here and there, with the same eight notes, and semitones."""
        keys, lowest_there = self._eights
        hashed, lowest = _hashes(pitch)
        begin = np.searchsorted(keys, hashed << _HIGH)
        count = np.searchsorted(keys, (hashed << _HIGH) | _LOW, "right") - begin
        found = [np.empty((3, 0), np.int64)]
        for start in range(0, len(hashed), _BLOCK):
            number = count[start : start + _BLOCK]
            here = start + np.repeat(np.arange(len(number)), number)
            rank = np.arange(len(here)) - np.repeat(np.cumsum(number) - number, number)
            there = (keys[begin[here] + rank] & _LOW).astype(np.int64)
            last = SHORTEST - 1
            alike = _alike(
                time_s[here + last] - time_s[here], self.time_s[there + last] - self.time_s[there]
            )
            here, there = here[alike], there[alike]
            semitones = lowest[here].astype(np.int64) - lowest_there[there]
            found.append(np.stack((here, there, semitones)))
        here, there, semitones = np.concatenate(found, axis=1)
        return here, there, semitones


def _hashes(pitch: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Return hash (32 bits) and lowest pitch of every `SHORTEST` successive notes.

    The hash is the same in any order of the notes, and in any transposition.
    """
    runs = max(len(pitch) - SHORTEST + 1, 0)
    notes = [pitch[note : note + runs] for note in range(SHORTEST)]
    lowest = np.minimum.reduce(notes)
    total = np.zeros(runs, np.uint64)
    for each in notes:
        total += _SPREAD[each - lowest]
    return mixed(total) >> _HIGH, lowest


def _alike(here_s: _Times, there_s: _Times) -> NDArray[np.bool_]:
    """Tell whether times are the same, up to the tempo and the jitter that are allowed."""
    allowed_s = _TEMPO * np.maximum(here_s, there_s) + _JITTER_S
    return np.asarray(np.abs(here_s - there_s) <= allowed_s)
