"""Leaning: a stream leans towards a point between two passages, which can move while it plays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import Event
from espressivo.latent import spherical
from espressivo.play.aim import Aim
from espressivo.play.space import BLENDED, Encoded, Space

__all__ = ["Lean"]

_Point = NDArray[np.float32]


class Lean:
    """Lets a player play, passage after passage, by a point between two performances.

    Parameters
    ----------
    space : Space
        Of the engine that plays.
    first, last : Encoded
        Each counts as the mean of its passages.
    share : float
        Of the way from the one to the other, 0..1.
    """

    def __init__(self, space: Space, first: Encoded, last: Encoded, share: float) -> None:
        self._space, self._length = space, space.latent.length
        self._first, self._last = (encoded.means.mean(0) for encoded in (first, last))
        self._like = [space.summaries(encoded).mean(0) for encoded in (first, last)]
        self.share = share
        """Can be set at any time, from any thread: it counts from the next event on."""
        self._place = self._blended = 0
        self._before: _Point | None = None
        self._reached, self._point, self._summary = share, *self._at(share)
        self._lifts: NDArray[np.float32] | None = None
        self._aim = self._anew()

    def _at(self, share: float) -> tuple[_Point, NDArray[np.float32]]:
        """Return the point at a share of the way, and what a passage there is like."""
        summary = (1 - share) * self._like[0] + share * self._like[1]
        point = spherical(self._first, self._last, np.array([share]))[0]
        return point, summary.astype(np.float32)

    def _anew(self) -> Aim:
        return Aim(self._summary, self._length, self._space.latent.vocabulary)

    def _follow(self) -> None:
        """Take note of the share that is wanted now."""
        share = self.share
        if share == self._reached:
            return
        self._before, self._blended = self._now(), 0
        self._reached, self._point, self._summary = share, *self._at(share)
        self._aim.want(self._summary)
        self._lifts = None

    def _now(self) -> _Point:
        """Return where it is: after a change the point before fades."""
        if self._before is None:
            return self._point
        share = (self._blended + 1) / (BLENDED + 1)
        return np.asarray((1 - share) * self._before + share * self._point, np.float32)

    def raised(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scores of the next id, shape (size,), as the point has them."""
        if self._lifts is None:
            self._lifts = self._space.lifts(self._now()[None])[0]
        return self._aim.raised(np.asarray(logits + self._lifts[self._place]))

    def play(self, event: Event) -> None:
        """Take note of an event that has been played."""
        self._aim.play(event)
        self._place += 1
        if self._place == self._length:
            self._place = 0
            self._aim = self._anew()
        if self._before is not None:
            self._blended, self._lifts = self._blended + 1, None
            if self._blended == BLENDED:
                self._before = None
        self._follow()
