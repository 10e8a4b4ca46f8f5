"""Vocabulary: what each id of an event code means.

A performance is written as a list of events: a key goes down, a key goes up, time passes, the
loudness of the following notes changes, and in some codes the pedal moves. A `Vocabulary` gives
each possible event an id and holds every decision that a code takes; the presets are

========== ==== ========================================================================
name       size origin
========== ==== ========================================================================
``seed``   310  Apisov 2018, "Generating Music with Expressive Timing and Dynamics"
``magenta`` 388 Performance RNN, Simon & Oore 2017; the events of note-seq 0.0.5
``maestro`` 308 Score2Perf / Music Transformer, Huang et al. 2018
``pedal``  312  ours: key releases and the sustain pedal apart, with start and end
``notes``  424  ours: what ``pedal`` says, note by note, each with its length
========== ==== ========================================================================

In the first four a note's end is an event of its own. A note-wise vocabulary is written in steps
instead, each of which says when something happens, and then what:

- a time-shift from the step before, 0 included; the longest one stands alone, as a rest
- a note-on, then its velocity, its length, and, where that class of lengths has several, which
- or a movement of the pedal, or the end

Classes of lengths are as fine as the grid at first, and from 16 grid steps on there are 8 to an
octave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from espressivo.codes import codec
from espressivo.codes.layout import Ids, Layout
from espressivo.errors import CodecError
from espressivo.music import Performance

__all__ = ["Vocabulary", "presets", "vocabulary"]


@dataclass(frozen=True)
class Vocabulary(Layout):
    """A layout of ids that performances are written in and read from; see `Layout`."""

    def encode(self, performance: Performance) -> Ids:
        """Write a performance as ids; see `espressivo.codes.codec.encode`."""
        return codec.encode(performance, self)

    def decode(self, ids: ArrayLike) -> Performance:
        """Play ids as a performance; see `espressivo.codes.codec.decode`."""
        return codec.decode(ids, self)

    def quantise(self, performance: Performance) -> Performance:
        """Return what of a performance this code keeps; see `espressivo.codes.codec.quantise`."""
        return codec.quantise(performance, self)


def _post_floors() -> tuple[int, ...]:
    """Return the floors of the post's bins ``floor(34 v / 127)``, 1..34.

    Velocities below 4 would fall in a bin 0 that has no id (in the post's code it is the id of
    the longest time-shift); they belong to the first bin here.
    """
    return (1, *(-(-127 * number // 34) for number in range(2, 35)))


def _centres(floors: Sequence[int]) -> tuple[int, ...]:
    """Return the middle velocity of each bin."""
    return tuple(
        (low + high - 1) // 2 for low, high in zip(floors, (*floors[1:], 128), strict=True)
    )


_PRESETS = {
    v.name: v
    for v in (
        Vocabulary(
            "seed", velocity_floors=_post_floors(), velocity_values=_centres(_post_floors())
        ),
        Vocabulary("magenta", lowest_pitch=0, highest_pitch=127),
        Vocabulary("maestro"),
        Vocabulary(
            "pedal",
            velocity_values=_centres(range(1, 128, 4)),
            sustain="events",
            order="pitch",
            boundaries=True,
        ),
        Vocabulary(
            "notes",
            velocity_values=_centres(range(1, 128, 4)),
            sustain="events",
            order="pitch",
            boundaries=True,
            longest_note_steps=2048,
        ),
    )
}


def presets() -> tuple[str, ...]:
    """Return the names of the presets."""
    return tuple(_PRESETS)


def vocabulary(name: str) -> Vocabulary:
    """Return a preset by its name: ``seed``, ``magenta``, ``maestro``, ``pedal`` or ``notes``.

    Raises
    ------
    CodecError
        If there is no preset of that name.

    Examples
    --------
    >>> [len(vocabulary(name)) for name in presets()]
    [310, 388, 308, 312, 424]
    """
    try:
        return _PRESETS[name]
    except KeyError:
        raise CodecError(
            f"no vocabulary is named {name!r}: choose one of {', '.join(_PRESETS)}"
        ) from None
