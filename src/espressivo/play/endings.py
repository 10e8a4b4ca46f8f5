"""Ending: how a piece of a given length comes to its close."""

from __future__ import annotations

from espressivo.codes import NOTE_ON, SUSTAIN, VELOCITY, Decoder

__all__ = ["CLOSE_S", "ENDINGS", "FADE", "PAUSE_S", "RING_S", "Close"]

ENDINGS = ("natural", "cut", "own")
"""How a piece ends; see `Close` for the first."""

CLOSE_S = 6.0
"""So long before the end of its time a piece begins to look for its close."""

RING_S = 2.0
"""So long before the end of its time the last note begins at the latest."""

FADE = 0.4
"""The part of the loudness in force when the close begins that is gone at the last note."""

PAUSE_S = 0.35
"""A time without a new note after which the piece may close."""


class Close:
    """A natural close: no more notes from a pause on, and time to ring for the last.

    From `CLOSE_S` before the end of its time a piece grows softer, its greatest loudness falling
    evenly by `FADE`, and closes at the first pause after something has sounded: nothing sounds,
    or no note has begun for `PAUSE_S`. Without one it closes `RING_S` before the end. Then no
    note begins any more, and the piece is over when the last has ended, or at the end of its
    time. It is never longer than asked. A piece shorter than twice `CLOSE_S` shares its time out
    in the same proportion.

    Parameters
    ----------
    decoder : Decoder
        As it is at the beginning.
    end : int
        The step at which the time is over.
    """

    def __init__(self, decoder: Decoder, end: int) -> None:
        v = decoder.vocabulary
        scale = min(1.0, (end - decoder.begin) / (2 * CLOSE_S * v.steps_per_second))
        steps = scale * v.steps_per_second
        self._begin, self._latest = end - round(CLOSE_S * steps), end - round(RING_S * steps)
        self._pause = round(PAUSE_S * v.steps_per_second)
        self.closed = self._heard = False
        """Whether no note begins any more."""
        self._loudest: int | None = None  # the velocity bin in force when the close began
        spans = zip(v.first, v.counts, strict=True)
        ids = [list(range(first, first + count)) for first, count in spans]
        self._velocities = ids[VELOCITY]
        self._beginnings = [*ids[NOTE_ON], *ids[VELOCITY], *ids[SUSTAIN][1:]]

    def look(self, decoder: Decoder, gap: int = 0) -> None:
        """Decide whether the piece closes, before a note that would begin so many steps later."""
        now = decoder.now + gap
        if now < self._begin:
            return
        self._heard = self._heard or bool(decoder.sounding)
        onset = decoder.onset
        resting = not decoder.sounding or (onset is not None and now - onset >= self._pause)
        quiet = self._heard and resting  # a rest that began earlier is not the end of a phrase
        self.closed = self.closed or quiet or now >= self._latest
        if self._loudest is None:
            self._loudest = (decoder.velocity or self._velocities[-1]) - self._velocities[0]

    def ruled_out(self, decoder: Decoder) -> list[int]:
        """Return the ids that cannot come next: beginnings once it has closed, and what is loud."""
        if self.closed:
            return self._beginnings
        if decoder.now < self._begin or self._loudest is None:
            return []
        gone = min(1.0, (decoder.now - self._begin) / (self._latest - self._begin))
        return self._velocities[1 + round(self._loudest * (1 - FADE * gone)) :]
