"""Halves: held-out pieces are split by composition, to choose on one half and report on the other.

Settings that were chosen on some pieces look better on these than they are. So whoever chooses
looks at half A alone, and figures are reported on half B.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from espressivo.data.fingerprint import Sketch, groups, same_composition

__all__ = ["HALVES", "Half", "halves"]

Half = Literal["A", "B"]
"""A half of the validation pieces."""

HALVES: tuple[Half, ...] = ("A", "B")
"""A to choose on, B to report on."""


def halves(compositions: Sequence[str], sketches: Sequence[Sketch]) -> list[Half]:
    """Return the half that each piece falls into.

    Pieces go together if they have the same name or, by their fingerprints, share music: catalogues
    spell one composition in several ways. A hash of the first of their names decides, so pieces
    added later do not move the others, unless they join groups or come first in one.

    Parameters
    ----------
    compositions : sequence of str
        What each piece is called. Only letters and digits count, in upper or lower case.
    sketches : sequence of Sketch
        Their fingerprints, as many; see `espressivo.data.sketch`.
    """
    names = ["".join(filter(str.isalnum, name.casefold())) for name in compositions]
    first = {name: index for index, name in reversed(list(enumerate(names)))}
    pairs = [(first[name], index) for index, name in enumerate(names)]
    pairs += same_composition(sketches)
    together: dict[int, list[str]] = {}
    of = groups(len(names), pairs)
    for index, name in zip(of, names, strict=True):
        together.setdefault(index, []).append(name)
    half = {
        index: HALVES[hashlib.sha256(min(alike).encode()).digest()[0] % 2]
        for index, alike in together.items()
    }
    return [half[index] for index in of]
