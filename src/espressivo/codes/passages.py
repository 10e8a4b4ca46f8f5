"""Passages: what pointers expect, and how they are led through a passage that is to come back."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LATE_S", "Note", "Passage", "Pointed"]

LATE_S = 0.4
"""So late, a note of a passage is no longer expected."""

_AHEAD = 8  # notes of a passage that may be left out at once
_AS_LONG_AS = 32  # intervals: a passage that is led through is said to be as long a match


class Note(NamedTuple):
    """A note as pointers keep it: its step, and numbers of its ids among those of their kinds."""

    step: int
    pitch: int
    velocity: int
    duration: int


class Pointed(NamedTuple):
    """A note that is expected, moved to where it is; how long ago it was, and how alike that is."""

    note: Note
    back_steps: int
    back_notes: int
    length: int


class Passage(NamedTuple):
    """What is left of a passage that is led through, in the order of its notes."""

    notes: tuple[Note, ...] = ()
    back_notes: int = 1
    later: int = 0
    """Steps by which it comes later than it was."""

    def after(self, note: Note, late: int) -> Passage:
        """Return what is left after a note: what comes after its like, and is not overdue."""
        left, later = self.notes, self.later
        for at, one in enumerate(left[:_AHEAD]):
            if one.pitch == note.pitch and abs(note.step - one.step - later) <= 2 * late:
                left, later = left[at + 1 :], note.step - one.step
                break
        overdue = 0
        while overdue < len(left) and left[overdue].step + later + late < note.step:
            overdue += 1
        return Passage(left[overdue:], self.back_notes, later)

    def pointed(self) -> Pointed | None:
        """Return what is expected next."""
        if not self.notes:
            return None
        note = self.notes[0]._replace(step=self.notes[0].step + self.later)
        return Pointed(note, self.later, self.back_notes, _AS_LONG_AS)
