"""Limits: what must never be exceeded, whatever a model would like to play."""

from __future__ import annotations

from dataclasses import dataclass

from espressivo.codes.layout import Layout
from espressivo.errors import GenerationError
from espressivo.numeric import Range, fields_within

__all__ = ["LONGEST_KEY_S", "LONGEST_NOTE_S", "Limits"]

LONGEST_NOTE_S = 10.0
"""A note that has sounded this long is ended, unless told otherwise."""

LONGEST_KEY_S = 5.0
"""The same where the pedal has events of its own: people hold one key in a thousand for longer."""

_RANGES: dict[str, Range] = {
    "lowest_pitch": {"least": 0, "most": 127, "whole": True},
    "highest_pitch": {"least": 0, "most": 127, "whole": True},
    "polyphony": {"least": 1, "whole": True, "optional": True},
    "longest_note_s": {"above": 0, "optional": True},
    "longest_rest_s": {"above": 0, "optional": True},
}


@dataclass(frozen=True)
class Limits:
    """Limits of range, polyphony, durations, rests and chords.

    Parameters
    ----------
    lowest_pitch, highest_pitch : int
        Range of MIDI pitches in which notes begin, both inclusive.
    pitch_classes : tuple of 12 bools, optional
        In which pitch classes, from C upwards, notes may begin. By default in all.
    polyphony : int, optional
        Most notes that sound at once, at least 1.
    longest_note_s : float, optional
        A note that has sounded this long is ended; above 0. By default `LONGEST_NOTE_S`, or
        `LONGEST_KEY_S` where the pedal has events of its own.
    longest_rest_s : float, optional
        After so long without a sounding note one is struck; above 0.
    two_hands : bool
        Whether chords are such that two hands can take them; see `within_reach`.

    Raises
    ------
    GenerationError
        If a value is out of range.
    """

    lowest_pitch: int = 0
    highest_pitch: int = 127
    pitch_classes: tuple[bool, ...] = (True,) * 12
    polyphony: int | None = None
    longest_note_s: float | None = None
    longest_rest_s: float | None = None
    two_hands: bool = False

    def __post_init__(self) -> None:
        problems = fields_within(self, _RANGES)
        low, high = self.lowest_pitch, self.highest_pitch
        if not problems and low > high:
            problems.append(f"lowest_pitch must not be above highest_pitch: {low} is above {high}")
        if len(self.pitch_classes) != 12:
            problems.append(f"pitch_classes must be 12, not {len(self.pitch_classes)}")
        if problems:
            raise GenerationError("; ".join(problems))

    def longest_note(self, layout: Layout) -> int:
        """Return the grid steps after which a note is ended, at least 1."""
        usual_s = LONGEST_KEY_S if layout.sustain == "events" else LONGEST_NOTE_S
        seconds = usual_s if self.longest_note_s is None else self.longest_note_s
        return max(1, round(seconds * layout.steps_per_second))

    def longest_rest(self, layout: Layout) -> int | None:
        """Return the grid steps of silence after which a note is struck, at least 1."""
        if self.longest_rest_s is None:
            return None
        return max(1, round(self.longest_rest_s * layout.steps_per_second))

    def keys(self, layout: Layout) -> bytes:
        """Return 1 for each pitch of the vocabulary in which a note may begin, else 0.

        Raises
        ------
        GenerationError
            If there is none.
        """
        low, high = self.lowest_pitch, self.highest_pitch
        pitches = range(layout.lowest_pitch, layout.highest_pitch + 1)
        keys = bytes(low <= p <= high and self.pitch_classes[p % 12] for p in pitches)
        if not any(keys):
            raise GenerationError(
                f"no pitch within {low}..{high} is in vocabulary {layout.name!r} and has a weight "
                f"above 0: allowed are {layout.lowest_pitch}..{layout.highest_pitch}"
            )
        return keys
