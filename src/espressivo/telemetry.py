"""Telemetry: none of it. Nothing that espressivo imports may tell others that it runs."""

from __future__ import annotations

import os

__all__ = ["forbid"]


def forbid() -> None:
    """Keep ONNX Runtime from looking up names and from writing a device's id into the home folder.

    It does both since version 1.29, unless this variable is set when it is first imported.
    Lightning imports it too, by way of torchmetrics. Who has set the variable is not overruled.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
