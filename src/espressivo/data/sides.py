"""Side inputs: what a network reads beside the events of a piece, by name.

Each is measured in the whole of a piece, as it is after augmentation, and has a row of numbers for
each event: what belongs to the music that begins with it. It goes with the events into the windows
of a batch, and to the network under its name (`espressivo.networks.Sides`). Zeros say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import (
    FILL_NUMBERS,
    TIME_SHIFT,
    Ids,
    Vocabulary,
    dropped,
    measured,
    pointed,
)

__all__ = ["SIDES", "Material", "Numbers", "measure", "windowed"]

Numbers = NDArray[Any]
"""The numbers of a side input, shape (events, ...)."""


@dataclass(frozen=True)
class Material:
    """What side inputs are measured in.

    Parameters
    ----------
    ids : int32 array, shape (n,)
        All of a piece.
    vocabulary : Vocabulary
    notewise : bool
        Whether its events are whole ones, as `espressivo.codes.steps` lays them out, or its ids.
    composer : str, optional
        Who wrote it, if that is one of `espressivo.codes.COMPOSERS`.
    """

    ids: Ids
    vocabulary: Vocabulary
    notewise: bool = False
    composer: str | None = None

    @property
    def count(self) -> int:
        """Number of its events."""
        if not self.notewise:
            return len(self.ids)
        return int((self.vocabulary.kinds[self.ids] == TIME_SHIFT).sum())


def _controls(piece: Material) -> Numbers:
    numbers = measured(piece.ids, piece.vocabulary, piece.composer)
    return numbers[piece.vocabulary.kinds[piece.ids] == TIME_SHIFT] if piece.notewise else numbers


def _pointers(piece: Material) -> Numbers:
    return pointed(piece.ids, piece.vocabulary)


def _fill(piece: Material) -> Numbers:
    return np.zeros((piece.count, FILL_NUMBERS), np.float32)  # nothing, in a piece without gaps


SIDES: dict[str, Callable[[Material], Numbers]] = {
    "controls": _controls,
    "pointers": _pointers,
    "fill": _fill,
}
"""How each side input is measured."""


def measure(piece: Material, names: Sequence[str]) -> dict[str, Numbers]:
    """Measure side inputs in a piece."""
    return {name: SIDES[name](piece) for name in names}


def windowed(
    sides: dict[str, Numbers], window: slice, rng: np.random.Generator
) -> dict[str, Numbers]:
    """Cut a window out of side inputs; what is requested is left out of it by chance."""
    cut = {name: numbers[window] for name, numbers in sides.items()}
    return cut | ({"controls": dropped(cut["controls"], rng)} if "controls" in cut else {})
