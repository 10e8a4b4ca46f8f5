"""Rules: what settings never allow, in the terms of a vocabulary."""

from __future__ import annotations

from espressivo.errors import GenerationError
from espressivo.settings import Settings
from espressivo.vocabulary import Vocabulary

__all__ = ["Rules"]


class Rules:
    """The rules among the settings: range, polyphony, longest note and rest.

    Parameters
    ----------
    vocabulary : Vocabulary
    settings : Settings
        Can be changed at any time by setting `settings`.
    """

    def __init__(self, vocabulary: Vocabulary, settings: Settings) -> None:
        v = self.vocabulary = vocabulary
        self._kinds, self._values = v.kinds.tolist(), v.values.tolist()
        spans = zip(v.first, v.counts, strict=True)
        self._slices = [slice(first, first + count) for first, count in spans]
        self._every = [b"\1" * count for count in v.counts]  # all ids of a kind
        self.settings = settings

    @property
    def settings(self) -> Settings:
        """The rules in force."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        v = self.vocabulary
        low, high = settings.lowest_pitch, settings.highest_pitch
        pitches = range(v.lowest_pitch, v.highest_pitch + 1)
        weights = settings.pitch_weights or (1.0,) * 12
        in_range = bytes(low <= pitch <= high and weights[pitch % 12] > 0 for pitch in pitches)
        if not any(in_range):
            raise GenerationError(
                f"no pitch within {low}..{high} is in vocabulary {v.name!r} and has a weight above "
                f"0: allowed are {v.lowest_pitch}..{v.highest_pitch}"
            )
        rate, rest_s = v.steps_per_second, settings.longest_rest_s
        self._in_range = in_range
        self._longest_note = settings.longest_note(v)
        self._longest_rest = None if rest_s is None else max(1, round(rest_s * rate))
        self._settings = settings
