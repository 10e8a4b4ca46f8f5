"""Interpreter: a score is read, and how it is played is predicted and drawn."""

from __future__ import annotations

from espressivo.interpreter.draws import Draw, alike, mixed, noise
from espressivo.interpreter.features import Table, tables
from espressivo.interpreter.fields import FIELDS, ROWS, Fields, field_values, warped
from espressivo.interpreter.interpreter import (
    DRAWN,
    KIND,
    Interpreter,
    load_interpreter,
)
from espressivo.interpreter.levels import LEVELS, LOGARITHMIC, Levels, summary
from espressivo.interpreter.view import CELLS, Floats, View

__all__ = [
    "CELLS",
    "DRAWN",
    "FIELDS",
    "KIND",
    "LEVELS",
    "LOGARITHMIC",
    "ROWS",
    "Draw",
    "Fields",
    "Floats",
    "Interpreter",
    "Levels",
    "Table",
    "View",
    "alike",
    "field_values",
    "load_interpreter",
    "mixed",
    "noise",
    "summary",
    "tables",
    "warped",
]
