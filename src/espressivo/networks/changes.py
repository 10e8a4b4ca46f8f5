"""Changes: what is learned beside weights that stay as they are, in place of them.

Each is a parametrisation (`torch.nn.utils.parametrize`) of one weight, with nothing but itself to
learn, and begins as no change at all. `merged` makes weights of both.

- `LowRank` adds a product of two thin matrices to a matrix (Hu et al. 2021, "LoRA").
- `Shift` adds to a vector, such as a bias or what a norm multiplies by (after Ben Zaken et al.
  2022, "BitFit").
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from espressivo.networks.stack import Stack, named_hidden

__all__ = ["add_low_ranks", "add_shifts", "is_change", "shifts", "unchanged_name"]

_INSIDE, _ORIGINAL = ".parametrizations.", ".original"
_STRENGTH = 0.1  # of shifts: so they learn at the rate that suits a style's memories


class LowRank(nn.Module):
    """Adds a matrix of a rank, which begins as zeros."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.inward = nn.Parameter(torch.randn(rank, inputs) * inputs**-0.5)
        self.outward = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the matrix with what is added, (outputs, inputs)."""
        return weight + self.outward @ self.inward


class Shift(nn.Module):
    """Adds numbers that begin as zeros."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.zeros_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the vector with what is added."""
        return weight + _STRENGTH * self.by


def add_low_ranks(network: Stack, rank: int) -> None:
    """Let every matrix between layers change by matrices of a rank, which is at least 1."""
    for name, matrix in list(named_hidden(network)):
        _parametrise(network, name, LowRank(matrix, rank))


def add_shifts(network: Stack) -> None:
    """Let every vector change: biases, what norms multiply by, and taps."""
    names = [
        name
        for name, weight in network.named_parameters()
        if not name.startswith(("style.", "pointers."))
        and (weight.ndim == 1 or name.endswith(".taps"))
    ]
    for name in names:
        _parametrise(network, name, Shift(network.get_parameter(name)))


def shifts(network: Stack) -> Iterator[tuple[str, Tensor]]:
    """Yield what was learned of each vector, under the name that it has in a network as it is."""
    for name, weight in network.named_parameters():
        if _INSIDE in name and name.endswith(".by"):
            yield unchanged_name(name.removesuffix(".0.by")), _STRENGTH * weight.detach()


def is_change(name: str) -> bool:
    """Tell whether a parameter of this name is learned beside a weight, in place of it."""
    return _INSIDE in name and not name.endswith(_ORIGINAL)


def unchanged_name(name: str) -> str:
    """Return the name that a weight has where nothing is learned beside it."""
    return name.replace(_INSIDE, ".").removesuffix(_ORIGINAL)


def _parametrise(network: nn.Module, name: str, change: nn.Module) -> None:
    module, _, weight = name.rpartition(".")
    parametrize.register_parametrization(network.get_submodule(module), weight, change)
