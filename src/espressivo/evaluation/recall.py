"""Recall: how much better a model predicts a passage for what it has read before it.

The passages are those of `espressivo.data.past` and `espressivo.data.copies`; figures are the nats
of all ids of the passages over the notes of the passages. What counts is the difference to the
passage alone: nats that are gained are what the model remembers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.data import Probe, copies, past
from espressivo.evaluation.intervals import (
    Difference,
    Estimate,
    differing,
    ratios,
    resamples,
    share,
)
from espressivo.evaluation.kept import Kept
from espressivo.evaluation.likelihood import loaded, predicted
from espressivo.evaluation.pieces import Piece
from espressivo.progress import Progress, Silent

__all__ = ["PIECES", "Recall", "recall"]

PIECES = 24
"""Pieces that have a passage each, unless another number is given."""

_ROWS = 4  # passages side by side

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recall:
    """Nats of passages after different things.

    Parameters
    ----------
    past, copy : dict of str to float64 array, shape (passages, 2)
        By what was read before, the nats and the notes of each passage; the first is the passage
        alone.
    """

    past: dict[str, _Numbers]
    copy: dict[str, _Numbers]

    def figures(self, of: dict[str, _Numbers]) -> dict[str, tuple[Estimate, Difference | None]]:
        """Return nats per note of `past` or `copy`, and their difference to the passage alone."""
        if not of:
            return {}
        alone = next(iter(of.values()))
        drawn = resamples(len(alone))
        first = share(alone[:, 0], alone[:, 1], drawn)
        found: dict[str, tuple[Estimate, Difference | None]] = {}
        for name, amounts in of.items():
            figure = share(amounts[:, 0], amounts[:, 1], drawn)
            more = None
            if amounts is not alone:
                replicates = ratios(amounts, drawn) - ratios(alone, drawn)
                more = differing(figure.value - first.value, replicates)
            found[name] = figure, more
        return found


def recall(
    source: str,
    pieces: Sequence[Piece],
    *,
    most: int = PIECES,
    executor: Executor | None = None,
    kept: Kept | None = None,
    progress: Progress | None = None,
) -> Recall:
    """Read passages of the first pieces, in the order of their hashes, after different things.

    Parameters
    ----------
    source : str
        A model, as `espressivo.evaluation.opened` takes it.
    most : int
        Pieces that are taken.
    """
    progress, kept = progress or Silent(), kept or Kept()
    v = loaded(source).vocabulary
    chosen = sorted(pieces, key=lambda piece: piece.sha256)[:most]
    performances = [midi.read(piece.path) for piece in chosen]
    of_past = {f"{seconds:g} s": probes for seconds, probes in past(performances, v).items()}
    of_copy = copies(performances, v)
    every = [probe for of in (of_past, of_copy) for probes in of.values() for probe in probes]
    # Of like length side by side, the longest first.
    left = sorted(
        (probe for probe in every if _name(probe) not in kept), key=lambda one: -len(one.ids)
    )
    groups = [left[start : start + _ROWS] for start in range(0, len(left), _ROWS)]
    progress.start(len(left), "passages", "recalling")
    try:
        run = map if executor is None else executor.map
        scored = run(_amounts, [source] * len(groups), groups)
        for group, found in zip(groups, scored, strict=True):
            for probe, amounts in zip(group, found, strict=True):
                kept.keep(_name(probe), amounts)
            progress.advance(len(group))
    finally:
        progress.close()
    return Recall(
        *(
            {
                name: np.array([kept[_name(probe)] for probe in probes], np.float64)
                for name, probes in of.items()
                if probes
            }
            for of in (of_past, of_copy)
        )
    )


def _name(probe: Probe) -> str:
    """Return what a passage and all before it are kept under."""
    return f"passage {probe.begin} {hashlib.sha256(probe.ids.tobytes()).hexdigest()[:16]}"


def _amounts(source: str, probes: list[Probe]) -> list[tuple[float, int]]:
    """Return nats and notes of each passage."""
    scored = predicted(loaded(source), [probe.ids for probe in probes])
    return [
        (float(nats[probe.begin :].sum()), probe.notes)
        for (nats, _), probe in zip(scored, probes, strict=True)
    ]
