"""Score: what is written, in quarter notes. A `Performance` is what somebody makes of it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo.music.performance import CONTROL_DTYPE, NOTE_DTYPE, Performance

__all__ = [
    "KEY_DTYPE",
    "METRE_DTYPE",
    "MOVE_DTYPE",
    "SCORE_NOTE_DTYPE",
    "TEMPO_DTYPE",
    "UNMARKED_VELOCITY",
    "Direction",
    "Mark",
    "Score",
    "ScorePart",
]


class Mark(enum.IntFlag):
    """What stands at a note; several can. Bits of the field ``marks`` of a note."""

    GRACE = 1
    """A grace note; `Score` says when it is played."""
    TIED = 2
    """Written as several notes, which ties make one."""
    SLURRED = 4
    """Within a slur, neither its first note nor its last."""
    SLUR_START = 8
    SLUR_END = 16
    STACCATO = 32
    TENUTO = 64
    ACCENT = 128
    MARCATO = 256
    FERMATA = 512
    ARPEGGIO = 1024
    ORNAMENT = 2048
    """A trill, mordent or turn, of which only this note is written."""


SCORE_NOTE_DTYPE = np.dtype(
    [
        ("onset", "f8"),
        ("duration", "f8"),
        ("pitch", "u1"),
        ("velocity", "u1"),
        ("part", "u1"),
        ("staff", "u1"),
        ("voice", "u1"),
        ("marks", "u2"),
    ],
    align=True,
)
"""A written note: quarters from the beginning; `marks` is a sum of `Mark`."""

TEMPO_DTYPE = np.dtype([("onset", "f8"), ("quarter_s", "f8")])
"""A tempo: quarters, and seconds of a quarter from there on."""

METRE_DTYPE = np.dtype([("onset", "f8"), ("beats", "i4"), ("unit", "i4")])
"""A time signature: quarters, how many beats a measure has, and what part of a whole each is."""

KEY_DTYPE = np.dtype([("onset", "f8"), ("sharps", "i1"), ("minor", "?")], align=True)
"""A key signature: quarters, sharps (flats are negative), and whether it is minor."""

MOVE_DTYPE = np.dtype([("onset", "f8"), ("number", "u1"), ("value", "u1")], align=True)
"""A movement of a pedal: quarters, MIDI controller and value 0..127."""

_IN_STEP = 0.95  # of the onsets tell how many ticks they are apart

UNMARKED_VELOCITY = 64
"""What a note without a velocity is played with, if nobody performs the score."""

_NEAR = 1e-9  # quarters; far below any tick


class Direction(NamedTuple):
    """A word or sign that counts for more than one note.

    Parameters
    ----------
    onset, end : float
        Quarters; they are the same for what stands at one point.
    kind : str
        A dynamic such as "pp" or "sf", "crescendo", "diminuendo", "pedal", "slur", or a word as it
        is written, such as "ritardando" or "Allegro".
    staff : int
        Counted from 1; 0 if it counts for all.
    """

    onset: float
    end: float
    kind: str
    staff: int = 0


class ScorePart(NamedTuple):
    """An instrument.

    Parameters
    ----------
    name : str
        May be empty.
    program : int
        General MIDI, 0..127; 0..7 are pianos.
    """

    name: str = ""
    program: int = 0


@dataclass(frozen=True, eq=False)
class Score:
    """Notes as they are written: their times are quarter notes from the beginning.

    Repeats are written out, tied notes are one note, and grace notes stand where they are played:
    a score is what a machine would play. The arrays are sorted, read-only copies: a score never
    changes. Scores are compared by value and cannot be hashed. Drums are no part of it.

    Parameters
    ----------
    notes : array of `SCORE_NOTE_DTYPE`, shape (n,)
        ``onset`` and ``duration`` (quarters, from 0 and above 0), ``pitch`` (0..127), ``velocity``
        (1..127, or 0 where none is given), ``part`` (index into `parts`), ``staff`` and ``voice``
        (counted from 1 from the top; 0 where it is not known) and ``marks`` (bits of `Mark`).
        Kept sorted by onset, pitch, part and staff; notes equal in all stay in the order given.
    ticks_per_quarter : int
        Every time in the score is a whole number of ticks: ``rint(onset * ticks_per_quarter)``
        gives them back.
    tempos : array of `TEMPO_DTYPE`
        From when on a quarter lasts ``quarter_s`` seconds, if nobody performs the score. Before the
        first it lasts half a second.
    metres : array of `METRE_DTYPE`
        Time signatures, ``beats`` of the ``unit`` (4 is a quarter). Without one it is 4/4. A bar
        begins where one stands, so that a pickup is a shorter bar of its own.
    keys : array of `KEY_DTYPE`
        Key signatures: ``sharps`` (-7..7, flats are negative) and ``minor``.
    moves : array of `MOVE_DTYPE`
        Movements of pedals, as in a performance (``number`` 64, 66 or 67, ``value`` 0..127).
    directions : tuple of Direction
    parts : tuple of ScorePart

    Raises
    ------
    ValueError
        If a field lies outside its range or a time is not finite.

    Examples
    --------
    >>> score = Score.from_arrays(onset=[0, 1, 1], duration=[1, 2, 2], pitch=[60, 64, 67])
    >>> len(score), score.quarters, score.performance().seconds
    (3, 3.0, 1.5)
    """

    notes: NDArray[np.void]
    ticks_per_quarter: int = 480
    tempos: NDArray[np.void] = field(default_factory=lambda: np.empty(0, TEMPO_DTYPE))
    metres: NDArray[np.void] = field(default_factory=lambda: np.empty(0, METRE_DTYPE))
    keys: NDArray[np.void] = field(default_factory=lambda: np.empty(0, KEY_DTYPE))
    moves: NDArray[np.void] = field(default_factory=lambda: np.empty(0, MOVE_DTYPE))
    directions: tuple[Direction, ...] = ()
    parts: tuple[ScorePart, ...] = (ScorePart(),)

    def __post_init__(self) -> None:
        notes = _sorted(self.notes, SCORE_NOTE_DTYPE, ("onset", "pitch", "part", "staff"))
        duration, velocity = notes["duration"], notes["velocity"]
        if not 1 <= self.ticks_per_quarter <= 1 << 20:
            raise ValueError(f"ticks_per_quarter must be 1..2^20, not {self.ticks_per_quarter}")
        if not ((duration > 0) & (duration < np.inf)).all():
            raise ValueError("durations of notes must be above 0 and finite")
        if max(notes["pitch"].max(initial=0), velocity.max(initial=0)) > 127:
            raise ValueError("pitch must be 0..127 and velocity 1..127, or 0 if it is not given")
        if notes["part"].max(initial=0) >= len(self.parts):
            raise ValueError(f"a note is of part {notes['part'].max()}, of {len(self.parts)}")
        tempos = _sorted(self.tempos, TEMPO_DTYPE)
        if not ((tempos["quarter_s"] > 0) & (tempos["quarter_s"] < np.inf)).all():
            raise ValueError("seconds of a quarter must be above 0 and finite")
        metres = _sorted(self.metres, METRE_DTYPE)
        if min(metres["beats"].min(initial=1), metres["unit"].min(initial=1)) < 1:
            raise ValueError("beats and unit of a time signature must be at least 1")
        moves = _sorted(self.moves, MOVE_DTYPE)
        if max(moves["number"].max(initial=0), moves["value"].max(initial=0)) > 127:
            raise ValueError("controller numbers and values must be 0..127")
        keys = _sorted(self.keys, KEY_DTYPE)
        for name, array in (
            ("notes", notes), ("tempos", _latest(tempos)), ("metres", _latest(metres)),
            ("keys", _latest(keys)), ("moves", moves),
        ):  # fmt: skip
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "directions", tuple(sorted(self.directions)))
        object.__setattr__(self, "parts", tuple(self.parts))

    @classmethod
    def from_arrays(cls, *, onset: Any, duration: Any, pitch: Any, **others: Any) -> Score:
        """Build a score from one array per field of its notes; what is not given is 0.

        ``velocity``, ``part``, ``staff``, ``voice`` and ``marks`` are fields of notes, too; the
        other arguments are those of the class.
        """
        onset = np.asarray(onset, np.float64)
        notes = np.zeros(onset.shape, SCORE_NOTE_DTYPE)
        given = {"onset": onset, "duration": duration, "pitch": pitch}
        given |= {f: others.pop(f) for f in SCORE_NOTE_DTYPE.names or () if f in others}
        for name, values in given.items():
            checked = np.asarray(values)
            if notes[name].dtype.kind == "u" and checked.size and checked.min() < 0:
                raise ValueError(f"{name} must not be below 0")
            notes[name] = checked
        return cls(notes, **others)

    def __len__(self) -> int:
        """Return the number of notes."""
        return len(self.notes)

    def __eq__(self, other: object) -> bool:
        """Tell whether everything in two scores is the same, times bit for bit."""
        if not isinstance(other, Score):
            return NotImplemented
        arrays = ("notes", "tempos", "metres", "keys", "moves")
        return (
            self.ticks_per_quarter == other.ticks_per_quarter
            and self.directions == other.directions
            and self.parts == other.parts
            and all(_same(getattr(self, name), getattr(other, name)) for name in arrays)
        )

    def __repr__(self) -> str:
        notes = f"{len(self)} note{'s' * (len(self) != 1)}"
        return f"Score({notes}, {self.quarters:g} quarters, {len(self.measures)} measures)"

    @property
    def end(self) -> NDArray[np.float64]:
        """Where each note ends, in quarters."""
        return np.asarray(self.notes["onset"] + self.notes["duration"])

    @property
    def quarters(self) -> float:
        """Quarters from the beginning to the end of the last note, or the last pedal movement."""
        return max(float(self.end.max(initial=0)), float(self.moves["onset"].max(initial=0)))

    @property
    def measures(self) -> NDArray[np.float64]:
        """Where each measure begins, in quarters, up to the one in which the last note ends."""
        return self._divided(lambda beats, unit: beats * 4 / unit)

    @property
    def beats(self) -> NDArray[np.float64]:
        """Where each beat begins, in quarters; in 6/8, 9/8 and 12/8 a beat is three eighths."""
        return self._divided(_beat)

    def _divided(self, length: Any) -> NDArray[np.float64]:
        """Return the beginnings of what is so long in each time signature."""
        end = max(self.quarters, _NEAR)
        metres = self.metres[self.metres["onset"] < end - _NEAR].tolist()
        if not metres or metres[0][0] > _NEAR:
            metres.insert(0, (0.0, 4, 4))
        found = []
        for (begin, beats, unit), until in zip(
            metres, [*(metre[0] for metre in metres[1:]), end], strict=True
        ):
            step = length(beats, unit)
            count = max(1, int(np.ceil((until - begin) / step - _NEAR)))
            found.append(begin + step * np.arange(count))
        return np.concatenate(found)

    @property
    def has_dynamics(self) -> bool:
        """Whether the velocities of its notes differ, and so may say how loud each is meant."""
        velocity = self.notes["velocity"]
        return bool(len(velocity)) and bool((velocity != velocity[0]).any())

    def seconds_at(self, quarters: Any) -> NDArray[np.float64]:
        """Return the seconds at which quarters come by the score's own tempos."""
        at, quarter_s = self.tempos["onset"], self.tempos["quarter_s"]
        if not len(at) or at[0] > 0:
            at, quarter_s = np.append(0.0, at), np.append(0.5, quarter_s)
        begins_s = np.append(0.0, np.cumsum(np.diff(at) * quarter_s[:-1]))
        inside = np.maximum(np.searchsorted(at, quarters, "right") - 1, 0)
        return np.asarray(begins_s[inside] + (quarters - at[inside]) * quarter_s[inside])

    def ticks(self, quarters: Any) -> NDArray[np.int64]:
        """Return the nearest ticks to times in quarters."""
        return np.asarray(np.rint(np.asarray(quarters) * self.ticks_per_quarter), np.int64)

    def performance(self) -> Performance:
        """Return the score as a machine plays it: its tempos, velocities and pedal as they stand.

        Notes without a velocity have `UNMARKED_VELOCITY`.
        """
        notes = np.empty(len(self), NOTE_DTYPE)
        notes["onset_s"] = self.seconds_at(self.notes["onset"])
        notes["offset_s"] = self.seconds_at(self.end)
        notes["pitch"] = self.notes["pitch"]
        velocity = self.notes["velocity"]
        notes["velocity"] = np.where(velocity, velocity, UNMARKED_VELOCITY)
        controls = np.empty(len(self.moves), CONTROL_DTYPE)
        controls["time_s"] = self.seconds_at(self.moves["onset"])
        controls["number"], controls["value"] = self.moves["number"], self.moves["value"]
        return Performance(notes, controls)

    def at_tempo(self, quarters_per_minute: float) -> Score:
        """Return the score with one tempo throughout.

        Raises
        ------
        ValueError
            If the tempo is not above 0 and finite.
        """
        if not 0 < quarters_per_minute < np.inf:
            raise ValueError(f"a tempo must be above 0 and finite, not {quarters_per_minute}")
        return replace(self, tempos=np.array([(0.0, 60 / quarters_per_minute)], TEMPO_DTYPE))

    @property
    def on_grid(self) -> float:
        """The part of the notes, 0..1, that begin within a tick of a 16th or 24th of a quarter.

        A tick counts as a 480th of a quarter where there are finer ones. Of scores that notation
        programs export, people's included, it is nearly 1; chance gives a fifth.
        """
        return float(self._near_grid(self.notes["onset"]).mean()) if len(self) else 1.0

    @property
    def on_grid_by_chance(self) -> float:
        """What `on_grid` would be if notes began anywhere that their clock allows, 0..1.

        It is a fifth where each tick is used. Where onsets are ticks apart, as those of a
        performance in steps of 10 ms, many of the steps happen to be near a 16th or 24th; where
        each of them is, as in a score, it is 1.
        """
        if not len(self):
            return 1.0
        ticks = np.rint(self.notes["onset"] * self.ticks_per_quarter).astype(np.int64)
        steps = range(min(self.ticks_per_quarter, 960), 1, -1)
        step = next((n for n in steps if (ticks % n == 0).mean() >= _IN_STEP), 1)
        anywhere = np.arange(self.ticks_per_quarter) * step / self.ticks_per_quarter
        return float(self._near_grid(anywhere).mean())

    def _near_grid(self, onset: NDArray[np.float64]) -> NDArray[np.bool_]:
        tolerance = 1.01 / min(self.ticks_per_quarter, 480)
        near = np.zeros(len(onset), bool)
        for parts in (16, 24):
            near |= np.abs(onset * parts - np.rint(onset * parts)) / parts <= tolerance
        return near


def _beat(beats: int, unit: int) -> float:
    compound = unit >= 8 and beats > 3 and beats % 3 == 0
    return (3 if compound else 1) * 4 / unit


def _sorted(
    array: Iterable[Any], dtype: np.dtype[Any], by: tuple[str, ...] = ("onset",)
) -> NDArray[np.void]:
    """Return a sorted copy, once its onsets are known to be finite and at least 0."""
    copy = np.array(array, dtype)
    onset = copy["onset"]
    if not ((onset >= 0) & (onset < np.inf)).all():
        raise ValueError("onsets must be finite quarters, at least 0")
    return copy[np.lexsort([copy[name] for name in reversed(by)])]


def _latest(array: NDArray[np.void]) -> NDArray[np.void]:
    """Of what stands at one point keep the last."""
    return array[np.append(array["onset"][1:] > array["onset"][:-1], True)] if len(array) else array


def _same(one: NDArray[np.void], other: NDArray[np.void]) -> bool:
    return len(one) == len(other) and all(
        bool((one[name] == other[name]).all()) for name in one.dtype.names or ()
    )
