"""Table: the figures of all measures for several players, with intervals, beside people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from espressivo.evaluation.intervals import (
    FEWEST,
    Difference,
    Estimate,
    differing,
    estimate,
    holm,
    quantiles,
    ratios,
    resamples,
)
from espressivo.music import MEASURES, Amount, Measure

__all__ = [
    "ALIKE",
    "ASTRAY",
    "BESIDE_PEOPLE",
    "COPIED",
    "MEMORISED",
    "MODEL",
    "PEOPLE",
    "ROWS",
    "Amounts",
    "Figure",
    "beside_people",
    "farther_from_people",
    "figures",
    "gathered",
    "several",
    "verdicts",
]

COPIED = 32
"""A run of more notes than this, shared with a training piece, is a copy."""

ROWS: Mapping[str, Measure] = {
    **MEASURES,
    "own_material": Measure("recall", "patterns of 5 notes that were in a primer of 20 s"),
    "shared_run": Measure(
        "memorisation", "longest run shared with a training piece, median", "notes", 0.5
    ),
    "copied": Measure("memorisation", f"share of more than {COPIED} such notes"),
}
"""What has a row in tables: `MEASURES`, and what is not of one performance alone."""

ASTRAY = "going astray"
"""The group of measures that are signs of degeneration."""

MEMORISED = ("shared_run", "copied")
"""The measures of what a model has learned by heart."""

ALIKE = "no difference shown"
"""What `verdicts` says where there is none."""

BESIDE_PEOPLE = ("less than people", "more than people")
"""What `verdicts` is to say of `beside_people`."""

Amounts = Mapping[str, NDArray[np.float64]]
"""How much of each of `ROWS` and of how much (`Amount`), by clip; shape (clips, 2)."""

Figure = tuple[Estimate, NDArray[np.float64]]
"""A figure, and its value in each bootstrap sample; not a number of fewer than `FEWEST` clips."""

PEOPLE, MODEL = 0, 1  # seeds of the bootstrap


def several(count: int, noun: str) -> str:
    """Return a number of things in words: 1 piece, 2 pieces."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def gathered(amounts: Sequence[Mapping[str, Amount]]) -> dict[str, NDArray[np.float64]]:
    """Put the amounts of clips together."""
    names = amounts[0] if amounts else ()
    return {name: np.array([one[name] for one in amounts], np.float64) for name in names}


def figures(amounts: Amounts, seed: int = MODEL) -> dict[str, Figure]:
    """Return the figure of each measure that any of the clips has something of.

    Parameters
    ----------
    amounts : Amounts
    seed : int
        Of the bootstrap. What is made of the same pieces has the same seed.
    """
    found = {}
    for name, amount in amounts.items():
        below = amount[:, 1].sum()
        if not below:
            continue
        quantile = ROWS[name].quantile
        drawn = resamples(len(amount), seed)
        if quantile is None:
            value, replicates = amount[:, 0].sum() / below, ratios(amount, drawn)
        else:
            known = amount[:, 1] > 0
            replicates = quantiles(amount[known, 0], drawn[:, known], quantile)
            value = np.quantile(amount[known, 0], quantile, method="inverted_cdf")
        found[name] = (
            Estimate(float(value)) if len(amount) < 2 else estimate(float(value), replicates),
            np.full(len(replicates), np.nan) if len(amount) < FEWEST else replicates,
        )
    return found


def beside_people(
    model: Mapping[str, Figure], people: Mapping[str, Figure]
) -> dict[str, Difference]:
    """Return by how much a model's figures lie above people's."""
    return {
        name: differing(figure[0].value - people[name][0].value, figure[1] - people[name][1])
        for name, figure in model.items()
        if name in people
    }


def farther_from_people(
    one: tuple[Mapping[str, Figure], Mapping[str, Figure]],
    other: tuple[Mapping[str, Figure], Mapping[str, Figure]],
) -> dict[str, Difference]:
    """Return by how much farther from people one model's figures lie than another's.

    Parameters
    ----------
    one, other : tuple
        The model's figures, and those of people in its vocabulary.
    """
    distances = []
    for model, people in (one, other):
        distances.append(
            {
                name: (
                    abs(model[name][0].value - people[name][0].value),
                    np.abs(model[name][1] - people[name][1]),
                )
                for name in model
                if name in people
            }
        )
    mine, theirs = distances
    return {
        name: differing(mine[name][0] - theirs[name][0], mine[name][1] - theirs[name][1])
        for name in mine
        if name in theirs
    }


def verdicts(differences: Mapping[str, Difference], below: str, above: str) -> dict[str, str]:
    """Say of each difference what it shows, with Holm's correction over all of them.

    Parameters
    ----------
    below, above : str
        The words for a difference below and above 0.
    """
    shown = holm([one.p for one in differences.values()])
    return {
        name: (below if one.value < 0 else above) if counts else ALIKE
        for (name, one), counts in zip(differences.items(), shown, strict=True)
    }
