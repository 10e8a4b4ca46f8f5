"""How every model file is written: a graph, JSON about it in its metadata, and the file's seal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import onnx
from onnx import helper

from espressivo.engine import METADATA_KEY
from espressivo.errors import ModelError
from espressivo.files import SEAL, replacing, seal
from espressivo.version import __version__

__all__ = ["CARD", "described", "write_model"]

CARD = ("name", "licence", "trained_on")
"""What a model card must say; it may say more, such as figures."""


def described(
    path: str | os.PathLike[str], description: Mapping[str, Any], card: Mapping[str, Any]
) -> str:
    """Return JSON about a model, with its card, to which the version of this package is added.

    Raises
    ------
    ModelError
        If the card lacks a key of `CARD`, or something is what JSON cannot hold.
    """
    if missing := [key for key in CARD if key not in card]:
        raise ModelError(f"{path}: the card lacks {', '.join(missing)}: add them")
    about = {**description, "card": {"espressivo": __version__, **card}}
    try:
        return json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: the card must hold plain JSON values: {error}") from None


def write_model(path: str | os.PathLike[str], model: onnx.ModelProto, text: str) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    helper.set_model_props(model, {METADATA_KEY: text, "seal": SEAL})
    content = bytearray(model.SerializeToString(deterministic=True))
    seal(content)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
