"""Rules: what settings never allow, in the terms of a vocabulary."""

from __future__ import annotations

from espressivo.codes.layout import Layout
from espressivo.codes.limits import Limits

__all__ = ["Rules"]


class Rules:
    """The rules in force: range, polyphony, longest note and rest.

    Parameters
    ----------
    vocabulary : Layout
    limits : Limits
        Can be changed at any time by setting `limits`.
    """

    def __init__(self, vocabulary: Layout, limits: Limits) -> None:
        v = self.vocabulary = vocabulary
        self._kinds, self._values = v.kinds.tolist(), v.values.tolist()
        spans = zip(v.first, v.counts, strict=True)
        self._slices = [slice(first, first + count) for first, count in spans]
        self._every = [b"\1" * count for count in v.counts]  # all ids of a kind
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        v = self.vocabulary
        self._in_range = limits.keys(v)
        self._longest_note = limits.longest_note(v)
        self._longest_rest = limits.longest_rest(v)
        self._limits = limits
