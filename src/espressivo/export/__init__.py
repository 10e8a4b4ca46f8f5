"""Export: a trained network becomes a model file that plays without torch, and can be read back."""

from __future__ import annotations

from espressivo.export.beats import export_beats
from espressivo.export.interpreter import FieldParts, ReaderPart, export_interpreter
from espressivo.export.latent import export_latent
from espressivo.export.model_file import export
from espressivo.export.reading import read_back
from espressivo.export.styles import shifts_of, shifts_within

__all__ = [
    "FieldParts",
    "ReaderPart",
    "export",
    "export_beats",
    "export_interpreter",
    "export_latent",
    "read_back",
    "shifts_of",
    "shifts_within",
]
