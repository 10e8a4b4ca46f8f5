"""The engine: model files, run on ONNX Runtime, and ids drawn from what they predict."""

from __future__ import annotations

from espressivo.engine.engine import (
    FORMAT,
    METADATA_KEY,
    Arrays,
    Engine,
    State,
)
from espressivo.engine.opening import described, is_sealed, one_line, opened, read_content
from espressivo.engine.sampling import (
    MAX_SEED,
    Sampling,
    generator,
)
from espressivo.engine.style import Style, read_styles, write_style
from espressivo.engine.tapes import TAPE_ROOM

__all__ = [
    "FORMAT",
    "MAX_SEED",
    "METADATA_KEY",
    "TAPE_ROOM",
    "Arrays",
    "Engine",
    "Sampling",
    "State",
    "Style",
    "described",
    "generator",
    "is_sealed",
    "one_line",
    "opened",
    "read_content",
    "read_styles",
    "write_style",
]
