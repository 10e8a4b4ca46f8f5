"""Settings: how a model plays, in the words of the command line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from espressivo.codes import (
    CONTROLS,
    DURATION,
    FINE_DURATION,
    NOTE_OFF,
    NOTE_ON,
    TIME_SHIFT,
    VELOCITY,
    Controls,
    Limits,
    Vocabulary,
    key,
)
from espressivo.engine import Sampling
from espressivo.errors import GenerationError
from espressivo.numeric import Range, fields_within, plain

__all__ = [
    "CHORD_TEMPERATURE",
    "FOLLOW_GUIDANCE",
    "FOLLOW_S",
    "STRONGEST",
    "Options",
    "Settings",
]

CHORD_TEMPERATURE = 0.8
"""The highest temperature of pitches that join a chord, unless another is given."""

FOLLOW_GUIDANCE, FOLLOW_S = 3.0, 4.0
"""Guidance after a change of what is requested, and for how many seconds."""

STRONGEST = 1000
"""The most that guidance and returns can be: far more is infinite to a network."""

_WHOLE = ("top_k", "lowest_pitch", "highest_pitch", "polyphony")
_REAL = (
    "temperature",
    "top_p",
    "min_p",
    "chord_temperature",
    "time_temperature",
    "time_top_p",
    "time_min_p",
    "duration_temperature",
    "duration_top_p",
    "duration_min_p",
    "velocity_temperature",
    "longest_note_s",
    "longest_rest_s",
    "density",
    "loudness",
    "onset_rate",
    "guidance",
    "returns",
)

_PREFIXES = ("", "chord_", "time_", "duration_", "velocity_")
"""Of the settings that say how something is drawn."""

_RANGES: dict[str, Range] = {
    "guidance": {"least": 0, "most": STRONGEST, "optional": True},
    "returns": {"least": 0, "most": STRONGEST},
}


class Options(TypedDict, total=False):
    """The fields of `Settings`, as keyword arguments of whatever plays; see there.

    There is one more, `key`: the name of a key, such as ``"A minor"``, instead of the
    `pitch_weights` that it stands for.
    """

    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    chord_temperature: float | None
    time_temperature: float | None
    time_top_p: float | None
    time_min_p: float | None
    duration_temperature: float | None
    duration_top_p: float | None
    duration_min_p: float | None
    velocity_temperature: float | None
    lowest_pitch: int
    highest_pitch: int
    polyphony: int | None
    longest_note_s: float | None
    longest_rest_s: float | None
    avoid_loops: bool
    two_hands: bool
    density: float | None
    loudness: float | None
    pitch_weights: tuple[float, ...] | None
    onset_rate: float | None
    composer: str | None
    guidance: float | None
    returns: float
    key: str | None


@dataclass(frozen=True)
class Settings:
    """How a model plays. Temperatures, cuts and controls lead it; all else is never broken.

    Parameters
    ----------
    temperature, top_k, top_p, min_p : optional
        How pitches are drawn; see `Sampling`. Time and touch are left as the model expects them,
        since what cools them makes chords pile up and rhythm stiff; but at temperature 0 all is
        the likeliest that has no temperature of its own.
    chord_temperature : float, optional
        Temperature of pitches that join a chord, where wrong notes are heard most: by default
        `temperature`, but `CHORD_TEMPERATURE` at most.
    time_temperature, time_top_p, time_min_p : float, optional
        How the time until the next event is drawn; by default at temperature 1.
    duration_temperature, duration_top_p, duration_min_p : float, optional
        How the durations of notes are drawn, or which note ends where the vocabulary has no
        durations; likewise.
    velocity_temperature : float, optional
        Temperature of the choice among loudnesses; likewise.
    lowest_pitch, highest_pitch : int
        Range of MIDI pitches in which notes begin, both inclusive.
    polyphony : int, optional
        Most notes that sound at once, at least 1.
    longest_note_s : float, optional
        A note that has sounded this long is ended; above 0. By default `LONGEST_NOTE_S`, or
        `LONGEST_KEY_S` where the pedal has events of its own.
    longest_rest_s : float, optional
        After so long without a sounding note one is struck; above 0.
    avoid_loops : bool
        Whether a pitch is ruled out when it would go on with a loop; see `LoopDetector`.
    two_hands : bool
        Whether each chord is such that two hands can take it: five notes within 16 semitones each.
    density, loudness, pitch_weights, onset_rate, composer : optional
        What is requested of the music; see `Controls`. Only some models support them. In a pitch
        class whose weight is 0 no note begins: that is a rule.
    guidance : float, optional
        How strongly the model follows what is requested: 1 as it has learned, more for more (up to
        `STRONGEST`), and 0 not at all (Ho & Salimans 2021, "Classifier-Free Diffusion Guidance").
        Anything but 1 takes twice the time. By default 1, but `FOLLOW_GUIDANCE` for `FOLLOW_S`
        after what is requested has changed on the way, so that the music follows soon.
    returns : float
        How strongly music comes back that was there before: 1 as the model has learned, more for
        more (up to `STRONGEST`), and 0 not by its pointers. Only some models have any.

    Raises
    ------
    GenerationError
        If a value is out of range.
    """

    temperature: float = 0.95
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    chord_temperature: float | None = None
    time_temperature: float | None = None
    time_top_p: float | None = None
    time_min_p: float | None = None
    duration_temperature: float | None = None
    duration_top_p: float | None = None
    duration_min_p: float | None = None
    velocity_temperature: float | None = None
    lowest_pitch: int = 0
    highest_pitch: int = 127
    polyphony: int | None = None
    longest_note_s: float | None = None
    longest_rest_s: float | None = None
    avoid_loops: bool = False
    two_hands: bool = True
    density: float | None = None
    loudness: float | None = None
    pitch_weights: tuple[float, ...] | None = None
    onset_rate: float | None = None
    composer: str | None = None
    guidance: float | None = None
    returns: float = 1.0

    def __post_init__(self) -> None:
        problems = []
        for name in (*_REAL, *_WHOLE):
            try:
                value = plain(name, getattr(self, name), whole=name in _WHOLE)
                if value is None and getattr(Settings, name) is not None:  # its default
                    raise GenerationError(f"{name} must be a number, not None")
                object.__setattr__(self, name, value)
            except GenerationError as error:
                problems.append(str(error))
        if problems:
            raise GenerationError("; ".join(problems))
        for prefix in _PREFIXES:
            try:
                self._drawn(prefix)
            except GenerationError as error:
                problems += [prefix + problem for problem in str(error).split("; ")]
        for part in ("controls", "limits"):
            try:
                getattr(self, part)
            except GenerationError as error:
                problems.append(str(error))
        problems += fields_within(self, _RANGES)
        if problems:
            raise GenerationError("; ".join(problems))

    def changed(self, **options: Unpack[Options]) -> Settings:
        """Return these settings with some of them changed.

        Raises
        ------
        GenerationError
            If a value is out of range, or both a key and `pitch_weights` are given.
        """
        fields: dict[str, Any] = {**options}
        if "key" in fields:
            name = fields.pop("key")
            if name is not None and fields.get("pitch_weights") is not None:
                raise GenerationError("give a key or pitch_weights, not both")
            if name is not None:
                fields["pitch_weights"] = key(name)
            else:  # none from now on
                fields.setdefault("pitch_weights", None)
        return dataclasses.replace(self, **fields)

    @property
    def certain(self) -> bool:
        """Whether nothing is left to chance, since only the likeliest id is ever chosen."""
        ways = [self._drawn(prefix) for prefix in _PREFIXES]
        return self.temperature == 0 and not any(way.temperature for way in ways)

    @property
    def limits(self) -> Limits:
        """What is never exceeded."""
        weights = self.pitch_weights or (1.0,) * 12
        return Limits(
            self.lowest_pitch,
            self.highest_pitch,
            tuple(weight > 0 for weight in weights),
            self.polyphony,
            self.longest_note_s,
            self.longest_rest_s,
            self.two_hands,
        )

    @property
    def controls(self) -> Controls:
        """What is requested of the music."""
        return Controls(**{name: getattr(self, name) for name in CONTROLS})

    def sampling(self, vocabulary: Vocabulary, *, chord: bool = False) -> Sampling:
        """Return how ids of a vocabulary are drawn, where a note would join a `chord` or not.

        What cannot follow leaves its probability to events of its kind. A model that wants to
        end a note, but is not sure which ones sound, then ends one all the same; were its wish
        spread over all kinds, notes would end too seldom and pile up.
        """
        durations = self._drawn("duration_")
        ways = {
            NOTE_ON: self._drawn("chord_" if chord else ""),
            TIME_SHIFT: self._drawn("time_"),
            VELOCITY: self._drawn("velocity_"),
            NOTE_OFF: durations,
            DURATION: durations,
            FINE_DURATION: durations,
        }
        kinds = [kind for kind, count in enumerate(vocabulary.counts) if count]
        return Sampling(
            0.0 if self.temperature == 0 else 1.0,
            kinds=tuple(vocabulary.counts[kind] for kind in kinds),
            within=tuple(ways.get(kind) for kind in kinds),
        )

    def _drawn(self, prefix: str) -> Sampling:
        """Return how something is drawn, by the prefix of its settings."""
        names = ("temperature", "top_k", "top_p", "min_p")
        of = "" if prefix == "chord_" else prefix
        own: dict[str, Any] = {name: getattr(self, of + name, None) for name in names}
        if of != prefix:
            own["temperature"] = self.chord_temperature
            if self.chord_temperature is None:
                own["temperature"] = min(self.temperature, CHORD_TEMPERATURE)
        if own["temperature"] is None:
            own["temperature"] = 0.0 if self.temperature == 0 else 1.0
        return Sampling(**own)
