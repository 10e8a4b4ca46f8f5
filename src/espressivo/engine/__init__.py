"""The engine: model files, run on ONNX Runtime, and ids drawn from what they predict."""

from __future__ import annotations

from espressivo.engine.engine import (
    FORMAT,
    FORMAT_WITHOUT_POINTERS,
    METADATA_KEY,
    Arrays,
    Engine,
    State,
)
from espressivo.engine.sampling import (
    MAX_SEED,
    Sampling,
    generator,
)

__all__ = [
    "FORMAT",
    "FORMAT_WITHOUT_POINTERS",
    "MAX_SEED",
    "METADATA_KEY",
    "Arrays",
    "Engine",
    "Sampling",
    "State",
    "generator",
]
