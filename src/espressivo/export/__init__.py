"""Export: a trained network becomes a model file that plays without torch."""

from __future__ import annotations

from espressivo.export.model_file import export

__all__ = ["export"]
