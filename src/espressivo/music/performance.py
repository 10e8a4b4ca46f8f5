"""Performance: what was played, in seconds. The one noun that every other module shares."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.errors import EspressivoError
from espressivo.files import ending
from espressivo.registry import VIEWS, WRITERS, Sound

__all__ = [
    "CONTROL_DTYPE",
    "NOTE_DTYPE",
    "PEDALS",
    "PEDAL_THRESHOLD",
    "SOFT",
    "SOSTENUTO",
    "SUSTAIN",
    "Performance",
    "sustained_notes",
]

NOTE_DTYPE = np.dtype(
    [("onset_s", "f8"), ("offset_s", "f8"), ("pitch", "u1"), ("velocity", "u1")], align=True
)
"""A note: seconds from the beginning, MIDI pitch 0..127 and velocity 1..127."""

CONTROL_DTYPE = np.dtype([("time_s", "f8"), ("number", "u1"), ("value", "u1")], align=True)
"""A movement of a pedal: seconds, MIDI controller and value 0..127."""

SUSTAIN, SOSTENUTO, SOFT = 64, 66, 67
"""The MIDI controller of a pedal."""

PEDALS = (SUSTAIN, SOSTENUTO, SOFT)
"""The controllers that a performance keeps."""

PEDAL_THRESHOLD = 64
"""A pedal is down while its controller value is at least this (MIDI 1.0)."""

_PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_LIFTED_S = 0.01  # between two joined parts the pedals are up for so long, a step of the grid


@dataclass(frozen=True, eq=False)
class Performance:
    """Notes and pedal movements of one piano performance.

    Times are seconds from the beginning of the recording; there are no ticks and no tempo.
    The arrays are sorted, read-only copies: a performance never changes. Performances are compared
    by value and cannot be hashed.

    Parameters
    ----------
    notes : array of `NOTE_DTYPE`, shape (n,)
        ``onset_s``, ``offset_s`` (seconds, ``0 <= onset_s <= offset_s``), ``pitch`` (MIDI number,
        0..127) and ``velocity`` (1..127). ``offset_s`` is the release of the key, unless the
        sustain pedal has been folded in (`sustained`). Kept sorted by onset, then pitch; notes
        equal in both stay in the order given.
    controls : array of `CONTROL_DTYPE`, shape (m,), optional
        Pedal movements: ``time_s``, ``number`` (64 sustain, 66 sostenuto, 67 soft) and ``value``
        (0..127). Kept sorted by time; simultaneous ones stay in the order given.

    Raises
    ------
    ValueError
        If a field lies outside its range or a time is not finite.

    Examples
    --------
    >>> p = Performance.from_arrays(
    ...     onset_s=[0.0, 0.5], offset_s=[0.4, 1.25], pitch=[60, 64], velocity=[80, 72]
    ... )
    >>> len(p), p.seconds
    (2, 1.25)
    """

    notes: NDArray[np.void]
    controls: NDArray[np.void] = field(default_factory=lambda: np.empty(0, CONTROL_DTYPE))

    def __post_init__(self) -> None:
        # By way of bytes: a copy of structured arrays goes field by field, twenty times slower.
        notes = np.frombuffer(np.asarray(self.notes, NOTE_DTYPE).tobytes(), NOTE_DTYPE)
        controls = np.frombuffer(np.asarray(self.controls, CONTROL_DTYPE).tobytes(), CONTROL_DTYPE)
        if len(notes):
            onset_s, offset_s = notes["onset_s"], notes["offset_s"]
            pitch, velocity = notes["pitch"], notes["velocity"]
            # Comparisons with NaN are false, so these also refuse NaN.
            if not (onset_s.min() >= 0 and offset_s.max() < np.inf and (onset_s <= offset_s).all()):
                raise ValueError("times must be finite seconds with 0 <= onset_s <= offset_s")
            if pitch.max() > 127 or velocity.min() < 1 or velocity.max() > 127:
                raise ValueError("pitch must be 0..127 and velocity 1..127")
            before, tie = onset_s[1:] < onset_s[:-1], onset_s[1:] == onset_s[:-1]
            if (before | (tie & (pitch[1:] < pitch[:-1]))).any():
                notes = notes[np.lexsort((pitch, onset_s))]
        if len(controls):
            time_s = controls["time_s"]
            if not (time_s.min() >= 0 and time_s.max() < np.inf):
                raise ValueError("times of controls must be finite seconds, at least 0")
            if max(controls["number"].max(), controls["value"].max()) > 127:
                raise ValueError("controller numbers and values must be 0..127")
            if (time_s[1:] < time_s[:-1]).any():
                controls = controls[np.argsort(time_s, kind="stable")]
        self._keep(notes, controls)

    def _keep(self, notes: NDArray[np.void], controls: NDArray[np.void]) -> None:
        notes.flags.writeable = controls.flags.writeable = False
        object.__setattr__(self, "notes", notes)
        object.__setattr__(self, "controls", controls)

    @classmethod
    def _of_valid(cls, notes: NDArray[np.void], controls: NDArray[np.void]) -> Performance:
        """Wrap arrays that are valid and sorted, and that nobody else holds, as they are."""
        performance = object.__new__(cls)
        performance._keep(notes, controls)
        return performance

    @classmethod
    def from_arrays(
        cls,
        *,
        onset_s: ArrayLike,
        offset_s: ArrayLike,
        pitch: ArrayLike,
        velocity: ArrayLike,
        controls: NDArray[np.void] | None = None,
    ) -> Performance:
        """Build a performance from one array per field; see the class for units and ranges."""
        onset_s = np.asarray(onset_s, np.float64)
        notes = np.empty(onset_s.shape, NOTE_DTYPE)
        notes["onset_s"], notes["offset_s"] = onset_s, offset_s
        for name, values in (("pitch", pitch), ("velocity", velocity)):
            checked = np.asarray(values)
            if checked.size and not (0 <= checked.min() and checked.max() <= 127):
                raise ValueError("pitch must be 0..127 and velocity 1..127")
            notes[name] = checked
        return cls(notes) if controls is None else cls(notes, controls)

    def __len__(self) -> int:
        """Return the number of notes."""
        return len(self.notes)

    def __eq__(self, other: object) -> bool:
        """Tell whether every note and every pedal movement is the same, times bit for bit."""
        if not isinstance(other, Performance):
            return NotImplemented
        return all(
            len(mine) == len(theirs)
            and all((mine[f] == theirs[f]).all() for f in mine.dtype.names or ())
            for mine, theirs in ((self.notes, other.notes), (self.controls, other.controls))
        )

    def __repr__(self) -> str:
        parts = [_counted(len(self.notes), "note"), f"{self.seconds:.2f} s"]
        if len(self.notes):
            pitch, velocity = self.notes["pitch"], self.notes["velocity"]
            parts.append(f"{_pitch_name(int(pitch.min()))}..{_pitch_name(int(pitch.max()))}")
            parts.append(f"velocity {velocity.min()}..{velocity.max()}")
        if len(self.controls):
            parts.append(_counted(len(self.controls), "pedal movement"))
        return f"Performance({', '.join(parts)})"

    def __add__(self, other: object) -> Performance:
        """Return this performance and then the other one; see `join`."""
        return Performance.join((self, other)) if isinstance(other, Performance) else NotImplemented

    @property
    def seconds(self) -> float:
        """Seconds from the beginning to the last release of a note or movement of a pedal."""
        return max(
            float(self.notes["offset_s"].max(initial=0.0)),
            float(self.controls["time_s"].max(initial=0.0)),
        )

    def slice(self, start_s: float, end_s: float) -> Performance:
        """Return the notes that begin within ``start_s <= onset_s < end_s``, counted from start_s.

        Notes that began earlier are left out; those that last longer are cut off at `end_s`. The
        movements of the pedals within these seconds are kept, and the position of each pedal at
        `start_s`, if it has moved by then, stands at time 0. Pedals that are down at `end_s` are
        not lifted.

        Raises
        ------
        ValueError
            Unless ``0 <= start_s < end_s`` and both are finite.
        """
        if not 0 <= start_s < end_s < math.inf:
            raise ValueError(
                f"a slice needs finite seconds with 0 <= start_s < end_s, not {start_s} and {end_s}"
            )
        first, last = np.searchsorted(self.notes["onset_s"], (start_s, end_s))
        notes = self.notes[first:last].copy()
        for name in ("onset_s", "offset_s"):
            notes[name] = np.minimum(notes[name], end_s) - start_s
        time_s = self.controls["time_s"]
        within = self.controls[(time_s > start_s) & (time_s < end_s)]
        controls = np.concatenate((_positions(self.controls, start_s), within))
        controls["time_s"] = np.maximum(controls["time_s"] - start_s, 0)
        return Performance(notes, controls)

    def transpose(self, semitones: int) -> Performance:
        """Return the performance with every pitch this many semitones higher, or lower if negative.

        Raises
        ------
        ValueError
            If a note would leave 0..127.
        TypeError
            If `semitones` is not a whole number.
        """
        pitch = self.notes["pitch"].astype(np.int64) + operator.index(semitones)
        leaving = np.count_nonzero((pitch < 0) | (pitch > 127))
        if leaving:
            lowest, highest = int(self.notes["pitch"].min()), int(self.notes["pitch"].max())
            raise ValueError(
                f"transposed by {semitones}, {leaving} of {_counted(len(self), 'note')} would "
                f"leave the MIDI pitches 0..127; from {-lowest} to {127 - highest} semitones are "
                "possible"
            )
        notes = self.notes.copy()
        notes["pitch"] = pitch
        return Performance(notes, self.controls)

    def shift(self, seconds: float) -> Performance:
        """Return the performance with everything this much later, or earlier if negative.

        Raises
        ------
        ValueError
            If `seconds` is not finite, or a note or movement of a pedal would begin before 0.
        """
        first_s = min(
            self.notes["onset_s"].min(initial=math.inf),
            self.controls["time_s"].min(initial=math.inf),
        )
        if not math.isfinite(seconds) or first_s + seconds < 0:
            raise ValueError(
                f"cannot be shifted by {seconds} seconds: they must be finite, and the "
                f"performance, which begins at {first_s:.6g} s, may not begin before 0"
            )
        return self._retimed(1.0, seconds)

    def stretch(self, factor: float) -> Performance:
        """Return the performance with all times multiplied: 2 is half as fast.

        Raises
        ------
        ValueError
            If `factor` is not above 0 and finite.
        """
        if not 0 < factor < math.inf:
            raise ValueError(f"the factor of a stretch must be above 0 and finite, not {factor}")
        return self._retimed(factor, 0.0)

    def _retimed(self, factor: float, seconds: float) -> Performance:
        notes, controls = self.notes.copy(), self.controls.copy()
        for times_s in (notes["onset_s"], notes["offset_s"], controls["time_s"]):
            times_s *= factor
            times_s += seconds
        return Performance(notes, controls)

    @classmethod
    def join(cls, parts: Iterable[Performance], *, gap_s: float = 0.0) -> Performance:
        """Return performances one after another; ``a + b`` is ``join([a, b])``.

        Each part begins `gap_s` after the end of the part before it, which is its `seconds`, even
        where a note or a pedal would sound on. There, every pedal that is not up is lifted, and all
        pedals stay up for at least 10 ms, so that nothing is carried over: where the gap is
        shorter, the movements in the rest of these 10 ms are put off until their end, of each pedal
        only the last. Pedals that are down at the very end are not lifted.

        Parameters
        ----------
        parts : iterable of Performance
            Without any, the result is empty.
        gap_s : float
            Silence between the parts in seconds, at least 0 and finite.

        Raises
        ------
        ValueError
            If `gap_s` is out of range.
        """
        if not 0 <= gap_s < math.inf:
            raise ValueError(f"gap_s must be at least 0 and finite, not {gap_s}")
        delay_s = max(0.0, _LIFTED_S - gap_s)
        notes, controls = [np.empty(0, NOTE_DTYPE)], [np.empty(0, CONTROL_DTYPE)]
        begin_s = end_s = 0.0
        for number, part in enumerate(parts):
            if number:
                lifts = _positions(controls[-1], end_s)
                lifts = lifts[lifts["value"] > 0]
                lifts["time_s"], lifts["value"] = end_s, 0
                controls.append(lifts)
                begin_s = end_s + gap_s
            moves = part.controls
            if number and delay_s:
                put_off = _positions(moves, delay_s)
                put_off["time_s"] = delay_s
                moves = np.concatenate((put_off, moves[moves["time_s"] > delay_s]))
            shifted = Performance(part.notes, moves).shift(begin_s)
            notes.append(shifted.notes)
            controls.append(shifted.controls)
            end_s = max(begin_s, shifted.seconds)
        return cls(np.concatenate(notes), np.concatenate(controls))

    def sustained(self) -> Performance:
        """Fold the sustain pedal into the ends of the notes, and drop the pedal movements.

        A note whose key is released while the pedal is down sounds on until the pedal goes up
        or its pitch is struck again, whichever comes first; what is still held when nothing more
        happens ends with the last event. A pitch struck again while the pedal is down also ends
        an earlier note of it whose key is still held; an earlier note that this leaves without
        any duration is dropped. The pedal is down from value 64 on; sostenuto and soft pedal do
        not matter. Follows ``apply_sustain_control_changes`` of note-seq 0.0.5, for one
        instrument, also in the order of simultaneous events: pedal down, pedal up, notes on,
        notes off.

        Returns
        -------
        Performance
            Without controls; its notes end where they stop sounding.
        """
        return Performance(sustained_notes(self))

    def write(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the performance into a file of the kind that the ending of its name says.

        ``.mid``, ``.midi`` and ``.kar`` are standard MIDI files, see `espressivo.midi.write`;
        ``.wav``, ``.flac``, ``.ogg`` and ``.mp3`` are sound, see
        `espressivo.views.write_sound`. Options are those of these functions.

        Raises
        ------
        EspressivoError
            If the ending is none of these, or the file cannot be written.
        """
        write = WRITERS.get(ending(path, ".mid"))
        if write is None:
            raise EspressivoError(
                f"{os.fspath(path)}: cannot tell what to write: end the name in one of "
                f"{', '.join(sorted(WRITERS))}"
            )
        write(self, path, **options)

    def to_audio(
        self, *, sample_rate: int = 44_100, soundfont: str | os.PathLike[str] | None = None
    ) -> Sound:
        """Return the sound of the performance; see `espressivo.views.render`."""
        sound: Sound = VIEWS["audio"](self, sample_rate=sample_rate, soundfont=soundfont)
        return sound

    def _repr_html_(self) -> str:
        """Return piano roll and player, for notebooks."""
        return str(VIEWS["html"](self))


def _positions(controls: NDArray[np.void], time_s: float) -> NDArray[np.void]:
    """Return the last movement of each pedal up to a time, that time included."""
    before = controls[controls["time_s"] <= time_s]
    latest = [before[before["number"] == number][-1:] for number in np.unique(before["number"])]
    return np.concatenate((before[:0], *latest))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _pitch_name(pitch: int) -> str:
    """Return the name of a MIDI pitch; 60 is C4."""
    return f"{_PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


def sustained_notes(performance: Performance) -> NDArray[np.void]:
    """Return the notes of `Performance.sustained`, without making a performance of them."""
    notes, controls = performance.notes, performance.controls
    pedal = controls["number"] == SUSTAIN
    if not len(notes) or not pedal.any():
        return notes
    onset_s, offset_s = notes["onset_s"], notes["offset_s"]
    time_s, down = controls["time_s"][pedal], controls["value"][pedal] >= PEDAL_THRESHOLD
    end_of_all = max(float(offset_s.max()), float(time_s[-1]))

    if (time_s[1:] == time_s[:-1]).any():
        order = np.lexsort((~down, time_s))  # down before up where simultaneous
        time_s, down = time_s[order], down[order]
    moves_s = time_s[np.flatnonzero(np.diff(down, prepend=False))]  # down, up, down, ...
    moved = np.searchsorted(moves_s, offset_s, "right")  # odd: the pedal is down
    release_s = np.append(moves_s, end_of_all)  # the pedal that stays down never goes up
    ends_s = np.where(moved & 1, release_s[moved], offset_s)

    # A note ends where its pitch is next struck with the pedal down, if it sounds until then.
    struck = np.searchsorted(moves_s, onset_s, "right") & 1 == 1
    again_s = np.append(onset_s, np.inf)[_next_struck(notes["pitch"], struck)]
    cut = again_s <= ends_s
    folded = notes.copy()
    folded["offset_s"] = np.where(cut, again_s, ends_s)
    return folded[~cut | (again_s > onset_s)] if cut.any() else folded


def _next_struck(pitch: NDArray[np.uint8], struck: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each note the index of the next of its pitch that is `struck`, or their number."""
    n = len(pitch)
    order = np.argsort(pitch, kind="stable")
    places = np.where(struck[order], np.arange(n), n)
    ahead = np.append(np.minimum.accumulate(places[::-1])[-2::-1], n)  # after each, not at it
    following = np.full(n, n)
    same = np.append(pitch[order], 255)[ahead] == pitch[order]
    following[order[same]] = order[ahead[same]]
    return following
