"""The network for beats, on ONNX Runtime: what it says of each onset group."""

from __future__ import annotations

import functools
import importlib.resources
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.engine import METADATA_KEY, is_sealed, opened, read_content
from espressivo.errors import ModelError
from espressivo.notation.onsets import NUMBERS
from espressivo.notation.said import OUTPUTS

__all__ = ["BeatModel", "bundled_beats"]

_WINDOW, _MARGIN = 1536, 256  # groups read at once, and how many at its ends only inform the others


class BeatModel:
    """A network for beats, from its model file.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    card : dict
        What it says of itself.

    Raises
    ------
    ModelError
        If the file is missing, is not a whole file of this kind or has changed.
    """

    def __init__(self, path: Path) -> None:
        content = read_content(path)
        if not is_sealed(content, str(path)):
            raise ModelError(f"{path}: has no seal: fetch it again")
        self._session, metadata = opened(content, str(path), 1)
        try:
            about = json.loads(metadata[METADATA_KEY])
            kind, self.card = about["kind"], dict[str, Any](about["card"])
        except (KeyError, TypeError, ValueError):
            raise ModelError(f"{path}: is not a network for beats: choose another file") from None
        sizes = [
            node.shape[-1] for node in (*self._session.get_inputs(), *self._session.get_outputs())
        ]
        if kind != "beats" or sizes != [NUMBERS, OUTPUTS]:
            raise ModelError(f"{path}: is not a network for beats of this version: update it")

    def says(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what it says of onset groups, (groups, OUTPUTS); see `espressivo.notation.said`.

        Long performances are read in windows that overlap.
        """
        said = np.zeros((len(numbers), OUTPUTS), np.float32)
        step = _WINDOW - 2 * _MARGIN
        for begin in range(0, len(numbers), step):
            first = max(0, begin - _MARGIN)
            window = numbers[first : begin + step + _MARGIN]
            read = self._session.run(None, {"numbers": window[None]})[0][0]
            said[begin : begin + step] = read[begin - first :][:step]
        return said


@functools.cache
def bundled_beats() -> BeatModel:
    """Return the network that comes with the package."""
    entry = importlib.resources.files("espressivo") / "models" / "notation" / "beats.onnx"
    with importlib.resources.as_file(entry) as path:
        return BeatModel(path)
