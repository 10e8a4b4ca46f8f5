"""Controls: the settings of a model that a page can steer, and how the page shows each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from espressivo.codes import COMPOSERS, CONTROLS
from espressivo.errors import ServerError
from espressivo.play import supported_controls

if TYPE_CHECKING:
    from espressivo.play import Model

__all__ = ["PAGE_CONTROLS", "Control", "WordControl", "available_controls"]

_PITCH_CLASSES = 12


@dataclass(frozen=True)
class Control:
    """One of the `Settings` whose value is a number, or 12 numbers; the page shows knobs.

    Parameters
    ----------
    name : str
        Name of the setting.
    label : str
        What the page writes next to it.
    hint : str
        What it does, in a few words.
    lowest, highest, step : float
        Its range, both inclusive; whole numbers where `step` is one.
    default : float, optional
        None leaves it to the model; a person can then choose that too.
    unit : str
        ``note`` for MIDI pitches, otherwise what is written after the number; may be empty.
    count : int
        1, or 12 for one value per pitch class, C first; the default then holds for each of them.
    """

    name: str
    label: str
    hint: str
    lowest: float
    highest: float
    step: float
    default: float | None = None
    unit: str = ""
    count: int = 1

    def checked(self, value: Any) -> Any:
        """Return a value that came from a page, in the form that `Settings` takes.

        Raises
        ------
        ServerError
            If it is of another kind or out of range.
        """
        if value is None and self.default is None:
            return None
        if self.count == 1:
            return self._number(value)
        if not (isinstance(value, list) and len(value) == self.count):
            raise ServerError(f"{self.name} must be a list of {self.count} numbers")
        parts = tuple(self._number(part) for part in value)
        return None if len(set(parts)) == 1 else parts  # equal weights favour no pitch

    def _number(self, value: Any) -> float:
        whole = isinstance(self.step, int)
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            kind = "whole number" if whole else "number"
            raise ServerError(f"{self.name} must be a {kind}, not {str(value)[:40]!r}")
        if not self.lowest <= value <= self.highest:  # as NaN is not either
            raise ServerError(
                f"{self.name} must be within {self.lowest}..{self.highest}, not {str(value)[:40]}"
            )
        return value


@dataclass(frozen=True)
class WordControl:
    """One of the `Settings` whose value is one of several words, or None for none of them."""

    name: str
    label: str
    hint: str
    choices: tuple[str, ...]

    def checked(self, value: Any) -> Any:
        """Return a value that came from a page; `ServerError` if it is not one of the words."""
        if value is not None and value not in self.choices:
            raise ServerError(
                f"{self.name} must be one of {', '.join(self.choices)}, not {str(value)[:40]!r}"
            )
        return value


_BOLDNESS = "low plays it safe, high is wild (temperature)"
_VARIETY = "how many of the less likely notes may come (top-p)"
_CAUTION = "leaves out what is far less likely than the likeliest (min-p)"
_GUIDANCE = "how closely it follows what you request; other than 1 takes twice the work"
_RETURNS = "how much of what it has played comes back, and how literally"
_DENSITY, _ONSET_RATE = "notes a second", "moments a second at which notes begin"
_LOUDNESS, _POLYPHONY = "how hard the keys are struck", "notes that sound at once, at most"
_LOWEST, _HIGHEST = "the lowest key that it strikes", "the highest key that it strikes"
_PITCHES = "notes that it may play, and how gladly"

PAGE_CONTROLS = (
    Control("temperature", "Boldness", _BOLDNESS, 0.1, 2.0, 0.05, 0.95),
    Control("top_p", "Variety", _VARIETY, 0.5, 1.0, 0.01, 1.0),
    Control("min_p", "Caution", _CAUTION, 0.0, 0.3, 0.01, 0.0),
    Control("guidance", "Guidance", _GUIDANCE, 0.0, 4.0, 0.25),
    Control("returns", "Returns", _RETURNS, 0.0, 1.0, 0.05, 1.0),
    Control("density", "Density", _DENSITY, 1.0, 25.0, 0.5, unit="notes/s"),
    Control("onset_rate", "Onset rate", _ONSET_RATE, 0.5, 13.0, 0.5, unit="onsets/s"),
    Control("loudness", "Loudness", _LOUDNESS, 20, 95, 1),
    Control("polyphony", "Polyphony", _POLYPHONY, 1, 24, 1, unit="notes"),
    Control("lowest_pitch", "Lowest", _LOWEST, 21, 96, 1, 21, unit="note"),
    Control("highest_pitch", "Highest", _HIGHEST, 33, 108, 1, 108, unit="note"),
    Control("pitch_weights", "Pitches", _PITCHES, 0.0, 1.0, 0.25, 1.0, count=_PITCH_CLASSES),
    WordControl("composer", "Manner of", "in whose manner it plays", COMPOSERS),
)
"""Every control that the page can show, in the order in which it shows them."""


def available_controls(model: Model) -> dict[str, Control | WordControl]:
    """Return the controls that a page can steer this model with, by name."""
    supported = supported_controls(model.engine)
    unsupported = set(CONTROLS) - set(supported) | (set() if supported else {"guidance"})
    unsupported |= set() if model.engine.pointers else {"returns"}
    return {control.name: control for control in PAGE_CONTROLS if control.name not in unsupported}
