"""Export: a trained network becomes a model file that plays without torch, and can be read back."""

from __future__ import annotations

from espressivo.export.beats import export_beats
from espressivo.export.model_file import export
from espressivo.export.reading import read_back

__all__ = ["export", "export_beats", "read_back"]
