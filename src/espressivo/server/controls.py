"""Controls: what of a model a page can steer, and how each is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from espressivo.codes import COMPOSERS
from espressivo.codes import CONTROLS as LEARNABLE
from espressivo.errors import ServerError
from espressivo.play import supported_controls

if TYPE_CHECKING:
    from espressivo.play import Model

__all__ = ["CONTROLS", "Choice", "Control", "offered"]

_PITCH_CLASSES = 12


@dataclass(frozen=True)
class Control:
    """One of the `Settings`, as something to turn.

    Parameters
    ----------
    name : str
        Of the setting.
    label : str
        For the person.
    lowest, highest, step : float
        Its range, both inclusive; whole numbers where `step` is one.
    default : float, optional
        None leaves it to the model, which is then a choice too.
    unit : str
        What it is counted in: nothing, ``note`` for MIDI pitches, or words.
    count : int
        1, or 12 for one value per pitch class, C first; the default is then that of all.
    """

    name: str
    label: str
    lowest: float
    highest: float
    step: float
    default: float | None = None
    unit: str = ""
    count: int = 1

    def checked(self, value: Any) -> Any:
        """Return a value that came from a page, as the setting takes it.

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
        return None if len(set(parts)) == 1 else parts  # all alike asks nothing

    def _number(self, value: Any) -> float:
        whole = isinstance(self.step, int)
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            kind = "whole number" if whole else "number"
            raise ServerError(f"{self.name} must be a {kind}, not {str(value)[:40]!r}")
        if not self.lowest <= value <= self.highest:
            raise ServerError(
                f"{self.name} must be within {self.lowest}..{self.highest}, not {value}"
            )
        return value


@dataclass(frozen=True)
class Choice:
    """One of the `Settings` that is one of several words, or None for none of them."""

    name: str
    label: str
    choices: tuple[str, ...]

    def checked(self, value: Any) -> Any:
        """Return a value that came from a page; `ServerError` if it is not one of the words."""
        if value is not None and value not in self.choices:
            raise ServerError(
                f"{self.name} must be one of {', '.join(self.choices)}, not {str(value)[:40]!r}"
            )
        return value


CONTROLS = (
    Control("temperature", "Temperature", 0.1, 2.0, 0.05, 1.0),
    Control("top_p", "Top-p", 0.5, 1.0, 0.01, 1.0),
    Control("density", "Density", 1.0, 25.0, 0.5, unit="notes/s"),
    Control("onset_rate", "Pace", 0.5, 13.0, 0.5, unit="onsets/s"),
    Control("loudness", "Loudness", 20, 95, 1),
    Control("polyphony", "Polyphony", 1, 24, 1, unit="notes"),
    Control("lowest_pitch", "Lowest", 21, 96, 1, 21, unit="note"),
    Control("highest_pitch", "Highest", 33, 108, 1, 108, unit="note"),
    Control("pitch_weights", "Pitches", 0.0, 1.0, 0.25, 1.0, count=_PITCH_CLASSES),
    Choice("composer", "Manner of", COMPOSERS),
)
"""Everything that a page knows how to show, in the order in which it does."""


def offered(model: Model) -> dict[str, Control | Choice]:
    """Return the controls that a model has, by name."""
    unknown = set(LEARNABLE) - set(supported_controls(model.engine))
    return {control.name: control for control in CONTROLS if control.name not in unknown}
