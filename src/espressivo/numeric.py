"""Numeric: what counts as a number where one is given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

import numpy as np

from espressivo.errors import GenerationError, brief

__all__ = ["Range", "fields_within", "plain", "within"]

_LARGEST = 1 << 53  # up to which whole numbers are exact as floating-point ones


class Range(TypedDict, total=False):
    """What a number may be; without bounds any that is finite."""

    least: float  # inclusive
    above: float  # exclusive
    most: float  # inclusive
    below: float  # exclusive
    whole: bool
    optional: bool  # whether it may be None


def within(name: str, value: Any, **range_: Unpack[Range]) -> Any:
    """Return a number as Python's own, once it is known to be in a range and finite.

    Raises
    ------
    GenerationError
        If it is none, or out of range; the message says the range.
    """
    if value is None and range_.get("optional", False):
        return None
    least, above = range_.get("least", -math.inf), range_.get("above", -math.inf)
    most, below = range_.get("most", math.inf), range_.get("below", math.inf)
    whole = range_.get("whole", False)
    largest = math.inf if math.isfinite(most) else _LARGEST  # where `most` decides
    number = plain(name, value, whole=whole, largest=largest)
    fits = number is not None and least <= number <= most and above < number < below
    if fits and math.isfinite(number):
        return number
    raise GenerationError(f"{name} must be {_said(range_)}, not {brief(number)}")


def fields_within(made: Any, ranges: Mapping[str, Range]) -> list[str]:
    """Put the fields of a frozen dataclass within ranges as Python's own; return what is wrong."""
    problems = []
    for name, range_ in ranges.items():
        try:
            object.__setattr__(made, name, within(name, getattr(made, name), **range_))
        except GenerationError as error:
            problems.append(str(error))
    return problems


def _said(range_: Range) -> str:
    """Describe a range, such as "at least 1", "above 0 and at most 1", "within 0..127"."""
    if "least" in range_ and "most" in range_:
        return f"within {range_['least']}..{range_['most']}"
    words = {"least": "at least", "above": "above", "most": "at most", "below": "less than"}
    bounds: Mapping[str, Any] = range_
    parts = [f"{word} {bounds[bound]}" for bound, word in words.items() if bound in range_]
    if "most" not in range_ and "below" not in range_ and not range_.get("whole", False):
        parts.append("finite")
    return " and ".join(parts)


def plain(name: str, value: Any, *, whole: bool = False, largest: float = _LARGEST) -> Any:
    """Return a number as Python's own; None stays None.

    Numpy's scalars, and arrays of one number, are numbers; truth values and texts are not. Whether
    it is in range is left to the caller: what is too large for a floating-point number is infinite.

    Parameters
    ----------
    name : str
        What it is called in the error.
    value : number or None
    whole : bool
        Whether it must be a whole number; ``2.0`` is one.
    largest : float
        The greatest size of a whole number, 2^53 if not given.

    Raises
    ------
    GenerationError
        If it is none.
    """
    if value is None:
        return None
    if isinstance(value, np.generic | np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not whole:
            try:
                float(value)
            except OverflowError:
                return float("inf") if value > 0 else float("-inf")
            return value
        exact = isinstance(value, int) or math.isfinite(value)
        if exact and abs(value) <= largest and value == int(value):
            return int(value)
    limits = f" within -{largest}..{largest}" if math.isfinite(largest) else ""
    kind = f"whole number{limits}" if whole else "number"
    raise GenerationError(f"{name} must be a {kind}, not {brief(value)}")
