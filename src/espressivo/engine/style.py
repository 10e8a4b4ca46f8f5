"""Styles: what the memories of a model hold before any note, learned from somebody's playing.

A file is a line that says what it is, a line of JSON (name, model and its hash, card, shape of the
memories, seal), and the memories as 16-bit floats, little-endian: those by the delta rule of each
block, (blocks, heads, keys, values).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import ModelError
from espressivo.files import SEAL, intact, regular, replacing, seal

__all__ = ["Style", "read_styles", "write_style"]

_FIRST_LINE = b"espressivo style 1"
_HEALS = "learn it again, or fetch it again"


@dataclass(frozen=True, eq=False)
class Style:
    """What the memories of one model hold at first.

    Parameters
    ----------
    name, model, model_sha256 : str
        Of the style; of the model that it is for, and the hash of that one's file.
    card : dict
        What it says of itself, as JSON can hold it.
    memories : float32 array, shape (blocks, heads, D, D)
    """

    name: str
    model: str
    model_sha256: str
    card: dict[str, Any]
    memories: NDArray[np.float32]


def write_style(style: Style, path: str | os.PathLike[str]) -> None:
    """Write a style, whole or not at all; its numbers are rounded to 16 bits."""
    about = {
        "name": style.name,
        "model": style.model,
        "model_sha256": style.model_sha256,
        "card": style.card,
        "shape": style.memories.shape,
        "seal": SEAL,
    }
    header = json.dumps(about, allow_nan=False).encode()
    memories = style.memories.astype("<f2").tobytes()
    content = bytearray(b"\n".join((_FIRST_LINE, header, memories)))
    seal(content)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_styles(given: Sequence[str]) -> list[tuple[Style, float]]:
    """Read styles, each given as a path or as ``path:weight``; the weight is 1 by default.

    Raises
    ------
    ModelError
        If a file is missing, damaged or no style, or a weight is not finite.
    """
    return [_weighed(text) for text in given]


def _weighed(text: str) -> tuple[Style, float]:
    path, _, tail = text.rpartition(":")
    try:
        weight = float(tail)
    except ValueError:
        path, weight = text, 1.0
    if not path:
        path, weight = text, 1.0
    if not math.isfinite(weight):
        raise ModelError(f"{text}: the weight of a style must be a number, such as 0.7")
    return _read(Path(path)), weight


def _read(path: Path) -> Style:
    try:
        content = regular(path).read_bytes()
        first, _, rest = content.partition(b"\n")
        if first != _FIRST_LINE:
            raise ModelError(f"{path}: is no style: give a file that espressivo learn wrote")
        if not intact(content):
            raise ModelError(f"{path}: has changed since it was written: {_HEALS}")
        header, _, memories = rest.partition(b"\n")
        about = json.loads(header)
        array = np.frombuffer(memories, "<f2").reshape(about["shape"]).astype(np.float32)
        name, model, sha256 = (str(about[key]) for key in ("name", "model", "model_sha256"))
        return Style(name, model, sha256, dict(about["card"]), array)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}: check the name") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: is damaged ({error}): {_HEALS}") from None
