"""Numeric: what counts as a number where one is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from espressivo.errors import GenerationError, brief

__all__ = ["plain"]

_LARGEST = 1 << 53  # up to which whole numbers are exact as floating-point ones


def plain(name: str, value: Any, *, whole: bool = False) -> Any:
    """Return a number as Python's own; None stays None.

    Numpy's scalars, and arrays of one number, are numbers; truth values and texts are not. Whether
    it is in range is left to the caller: what is too large for a floating-point number is infinite.

    Parameters
    ----------
    name : str
        What it is called in the error.
    value : number or None
    whole : bool
        Whether it must be a whole number, of at most 2^53; ``2.0`` is one.

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
        if abs(value) <= _LARGEST and value == int(value):
            return int(value)
    kind = f"whole number within -{_LARGEST}..{_LARGEST}" if whole else "number"
    raise GenerationError(f"{name} must be a {kind}, not {brief(value)}")
