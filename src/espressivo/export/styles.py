"""Styles: what was learned beside a network's vectors, under the names of its model file."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import FIELDS
from espressivo.networks import Stack, StackConfig, shifts

__all__ = ["shifts_of", "shifts_within"]

_OF_BLOCK = {
    "norm_memory.weight": "norm_memory",
    "norm.weight": "norm",
    "memory.taps": "taps",
    "memory.rates.bias": "rates_bias",
    "memory.norm.weight": "norm_heads",
}


def shifts_of(network: Stack) -> dict[str, NDArray[np.float32]]:
    """Return what was learned beside the vectors of a network that has a style."""
    learned = {name: shift.cpu().numpy() for name, shift in shifts(network)}
    return shifts_within(network.config, learned)


def shifts_within(
    config: StackConfig, learned: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Return shifts of vectors of a network, by their names there, by those in its graph.

    Names as in `espressivo.export.reading`; the biases of all heads are one constant there.
    """
    prefix = "then_" if config.notewise else ""
    found = {}
    for name, shift in learned.items():
        if block := re.fullmatch(r"blocks\.(\d+)\.(.+)", name):
            found[f"{prefix}block_{block[1]}_{_OF_BLOCK[block[2]]}"] = shift
        elif name == "norm.weight":
            found[f"{prefix}norm"] = shift
        elif name == "output.bias":
            found["output_bias"] = shift
    heads = [learned.get(f"heads.{n}.bias") for n in range(len(FIELDS))]
    if all(shift is not None for shift in heads):
        found[f"{prefix}heads_bias"] = np.concatenate([s for s in heads if s is not None])
    return found
