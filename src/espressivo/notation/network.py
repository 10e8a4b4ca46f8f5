"""The networks for beats, on ONNX Runtime: what they say of each onset group and of each beat."""

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
from espressivo.notation.beat_features import BEAT_NUMBERS
from espressivo.notation.onsets import NUMBERS
from espressivo.notation.said import BEAT_OUTPUTS, OUTPUTS

__all__ = ["BeatModel", "bundled_beats"]

_WINDOW, _MARGIN = 1536, 256  # rows read at once, and how many at its ends only inform the others


class BeatModel:
    """The networks for beats, from their model file.

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
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        sizes = [end.shape[-1] for end in ends]
        if kind != "beats" or sizes != [NUMBERS, BEAT_NUMBERS, OUTPUTS, BEAT_OUTPUTS]:
            raise ModelError(f"{path}: is not a network for beats of this version: update it")

    def of_groups(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what is said of onset groups, (groups, OUTPUTS), from (groups, NUMBERS).

        What each number means is told in `espressivo.notation.said`. Long performances are read in
        windows that overlap.
        """
        return self._read(numbers, "groups", np.zeros((1, BEAT_NUMBERS), np.float32), "beats")

    def of_beats(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what is said of beats, (beats, BEAT_OUTPUTS), from (beats, BEAT_NUMBERS)."""
        return self._read(numbers, "beats", np.zeros((1, NUMBERS), np.float32), "groups")

    def _read(
        self, numbers: NDArray[np.float32], name: str, nothing: NDArray[np.float32], other: str
    ) -> NDArray[np.float32]:
        parts = []
        step = _WINDOW - 2 * _MARGIN
        for begin in range(0, max(len(numbers), 1), step):
            first = max(0, begin - _MARGIN)
            window = numbers[first : begin + step + _MARGIN]
            rows = {name: window[None], other: nothing[None]}
            read = self._session.run([f"of_{name}"], rows)[0][0]
            parts.append(read[begin - first :][:step])
        said: NDArray[np.float32] = np.concatenate(parts)
        return said


@functools.cache
def bundled_beats() -> BeatModel:
    """Return the network that comes with the package."""
    entry = importlib.resources.files("espressivo") / "models" / "notation" / "beats.onnx"
    with importlib.resources.as_file(entry) as path:
        return BeatModel(path)
