"""Styles: small changes to a model, learned from somebody's playing, in which it then plays.

A style says what the model's memories hold before any note, which fades in the course of a piece,
and what is added to biases and other vectors of the model, which does not.

A file is a line that says what it is, a line of JSON (name, model and its hash, card, names and
shapes of the arrays, seal), and the arrays as 16-bit floats, little-endian, one after another.
Files of version 1 have the memories alone.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import ModelError
from espressivo.files import SEAL, intact, regular, replacing, seal

__all__ = ["Style", "read_styles", "write_style"]

_FIRST_LINE, _EARLIER = b"espressivo style 2", b"espressivo style 1"
_MEMORIES = "memories"
_HEALS = "learn it again, or fetch it again"


@dataclass(frozen=True, eq=False)
class Style:
    """Changes to one model.

    Parameters
    ----------
    name, model, model_sha256 : str
        Of the style; of the model that it is for, and the hash of that one's file.
    card : dict
        What it says of itself, as JSON can hold it.
    memories : float32 array, shape (blocks, heads, D, D), optional
        What memories by the delta rule hold at first; None leaves them empty.
    shifts : dict of float32 arrays
        What is added to constants of the model's graph, by their names.
    """

    name: str
    model: str
    model_sha256: str
    card: dict[str, Any]
    memories: NDArray[np.float32] | None
    shifts: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def rounded(self) -> Style:
        """Return the same style with its numbers rounded to 16 bits, as its file has them."""
        arrays = {n: a.astype("<f2").astype(np.float32) for n, a in self.arrays().items()}
        return replace(self, memories=arrays.pop(_MEMORIES, None), shifts=arrays)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return all that it holds, by name."""
        memories = {} if self.memories is None else {_MEMORIES: self.memories}
        return {**memories, **self.shifts}


def write_style(style: Style, path: str | os.PathLike[str]) -> None:
    """Write a style, whole or not at all; its numbers are rounded to 16 bits."""
    arrays = style.arrays()
    about = {
        "name": style.name,
        "model": style.model,
        "model_sha256": style.model_sha256,
        "card": style.card,
        "arrays": [[name, array.shape] for name, array in arrays.items()],
        "seal": SEAL,
    }
    header = json.dumps(about, allow_nan=False).encode()
    numbers = b"".join(array.astype("<f2").tobytes() for array in arrays.values())
    content = bytearray(b"\n".join((_FIRST_LINE, header, numbers)))
    seal(content)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_styles(
    given: Sequence[str], named: Mapping[str, Path] | None = None
) -> list[tuple[Style, float]]:
    """Read styles, each given as a path or as ``path:weight``; the weight is 1 by default.

    Parameters
    ----------
    given : sequence of str
    named : dict of paths, optional
        Styles that can be given by a name, in small letters, instead of a path.

    Raises
    ------
    ModelError
        If a file is missing, damaged or no style, or a weight is not finite.
    """
    return [_weighed(text, named or {}) for text in given]


def _weighed(text: str, named: Mapping[str, Path]) -> tuple[Style, float]:
    path, _, tail = text.rpartition(":")
    try:
        weight = float(tail)
    except ValueError:
        path, weight = text, 1.0
    if not path:
        path, weight = text, 1.0
    if not math.isfinite(weight):
        raise ModelError(f"{text}: the weight of a style must be a number, such as 0.7")
    if path.casefold() in named:
        return _read(named[path.casefold()]), weight
    if named and os.path.basename(path) == path and "." not in path and not os.path.exists(path):
        raise ModelError(
            f"no style is named {path!r}: give the path of a file that espressivo learn wrote, or "
            f"one that comes with the package: {', '.join(sorted(named))}"
        )
    return _read(Path(path)), weight


def _read(path: Path) -> Style:
    try:
        content = regular(path).read_bytes()
        first, _, rest = content.partition(b"\n")
        if first not in (_FIRST_LINE, _EARLIER):
            raise ModelError(f"{path}: is no style: give a file that espressivo learn wrote")
        if not intact(content):
            raise ModelError(f"{path}: has changed since it was written: {_HEALS}")
        header, _, numbers = rest.partition(b"\n")
        about = json.loads(header)
        shapes = [[_MEMORIES, about["shape"]]] if first == _EARLIER else about["arrays"]
        arrays, every, at = {}, np.frombuffer(numbers, "<f2").astype(np.float32), 0
        for of, shape in shapes:
            end = at + math.prod(shape)
            arrays[str(of)], at = every[at:end].reshape(shape), end
        if at != len(every) or not np.isfinite(every).all():
            raise ValueError("its numbers are not those that it names")
        name, model, sha256 = (str(about[key]) for key in ("name", "model", "model_sha256"))
        memories = arrays.pop(_MEMORIES, None)
        return Style(name, model, sha256, dict(about["card"]), memories, arrays)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}: check the name") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: is damaged ({error}): {_HEALS}") from None
