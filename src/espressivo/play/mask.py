"""Mask: which ids can come next, of those that may follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    END,
    NOTE_ON,
    TIME_SHIFT,
    Decoder,
    Event,
    Message,
    Vocabulary,
    decoder_of,
)
from espressivo.play.loops import LoopDetector
from espressivo.play.settings import Settings

__all__ = ["Mask", "RuledOut"]

RuledOut = Callable[[Decoder], Sequence[int]]
"""Names ids that cannot come now, unless nothing else can."""


class Mask:
    """Which ids can come next, in a player and in each beam of a search.

    What may follow, within the settings' limits; no pitch that would continue a loop; until a note
    has begun no end, and no time beyond a given step.

    Parameters
    ----------
    vocabulary : Vocabulary
    settings : Settings
        Can be replaced at any time by setting `settings`.
    """

    def __init__(self, vocabulary: Vocabulary, settings: Settings) -> None:
        self.decoder = decoder_of(vocabulary, settings.limits)
        self.loop_detector = LoopDetector()
        self.start: int | None = None
        """Step by which the first note begins, until it has begun."""
        v, self._settings = vocabulary, settings
        self._kinds, self._values = v.kinds.tolist(), v.values.tolist()
        self._first_key = v.first[NOTE_ON] - v.lowest_pitch
        self._shifts = np.flatnonzero((v.kinds == TIME_SHIFT) & (v.values > 0)).tolist()
        self._end = v.first[END] if v.counts[END] else None

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.decoder.limits = settings.limits
        self._settings = settings

    def allowed(
        self, decoder: Decoder, ruled_out: Sequence[int] = (), ending: bool = True
    ) -> NDArray[np.bool_]:
        """Return for each id whether it can come next after what a decoder has been fed.

        Parameters
        ----------
        decoder : Decoder
            The mask's own, or a copy of it in the middle of an event.
        ruled_out : sequence of ids
            Left out, unless nothing else can follow.
        ending : bool
            Whether the piece can end.
        """
        allowed = decoder.allowed()
        if self._end is not None and allowed[self._end] and not (ending and self.start is None):
            allowed = _without(allowed, [self._end])
        if self.start is not None and decoder.now >= self.start:
            allowed = _without(allowed, self._shifts)
        if ruled_out:
            allowed = _without(allowed, ruled_out)
        if self._settings.avoid_loops and self.loop_detector.forbidden:
            keys = [self._first_key + pitch for pitch in self.loop_detector.forbidden]
            allowed = _without(allowed, keys)
        return allowed

    def cut(self, decoder: Decoder, id_: int) -> int:
        """Shorten a time-shift that goes past the limits, or the start of the first note."""
        if self._kinds[id_] != TIME_SHIFT:
            return id_
        begun = self.start is None or decoder.now >= self.start
        return decoder.cut(id_, None if begun else self.start)

    def feed(self, id_: int) -> list[Message]:
        """Let an id happen, and return what is heard of it."""
        if self._kinds[id_] == NOTE_ON:
            self.loop_detector.feed(self._values[id_])
            self.start = None
        return self.decoder.feed(id_)

    def begins_note(self, event: Event) -> bool:
        """Tell whether a note begins with an event."""
        for id_ in event:  # a loop is faster here than any()
            if self._kinds[id_] == NOTE_ON:
                return True
        return False

    def copy(self) -> Mask:
        """Return a mask that goes its own way from here."""
        other = Mask.__new__(Mask)
        other.__dict__.update(self.__dict__)
        other.decoder, other.loop_detector = self.decoder.copy(), self.loop_detector.copy()
        return other


def _without(allowed: NDArray[np.bool_], ids: Sequence[int]) -> NDArray[np.bool_]:
    """Return what is left without some ids, or everything if nothing would be left."""
    left = allowed.copy()
    left[list(ids)] = False
    return left if left.any() else allowed
