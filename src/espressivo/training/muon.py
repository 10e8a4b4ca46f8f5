"""Muon: the optimizer of the matrices between layers (Jordan et al. 2024).

As `torch.optim.Muon`, scaled so that AdamW's learning rate suits it (Liu et al. 2025, "Muon is
scalable for LLM training"), but shared out among the processes of a run, and in the number format
that the processor multiplies fastest: torch's is always in bfloat16, which takes six times as long
where that is emulated, as on most laptops.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["Muon", "orthogonal"]

_COEFFICIENTS = 3.4445, -4.7750, 2.0315  # of the iteration that pulls singular values to about 1
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Moves matrices by the nearest orthogonal matrix to their momentum.

    Where several processes train one network, each makes its share of the matrices orthogonal and
    tells the others; all must have the same gradients.

    Parameters
    ----------
    matrices : iterable of tensors, each (rows, columns)
    lr : float
        Learning rate, on AdamW's scale.
    weight_decay : float
        Times the learning rate, the share of a weight that each update takes away.
    momentum : float
        Nesterov's.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # none is ever given
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            alike = defaultdict(list)  # matrices of one shape are made orthogonal together
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            for (rows, columns), matrices in alike.items():
                moves = _shared_out(torch.stack([self._nesterov(m, group) for m in matrices]))
                rate = group["lr"] * 0.2 * max(rows, columns) ** 0.5
                for matrix, move in zip(matrices, moves, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(move, alpha=-rate)

    def _nesterov(self, matrix: Tensor, group: dict[str, float]) -> Tensor:
        state, gradient = self.state[matrix], cast("Tensor", matrix.grad)
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        return torch.lerp(gradient, state["momentum"], group["momentum"])


def _shared_out(matrices: Tensor) -> Tensor:
    """Return matrices made `orthogonal`, a share of them by each process."""
    if not (dist.is_available() and dist.is_initialized()):
        return orthogonal(matrices)
    processes, rank = dist.get_world_size(), dist.get_rank()
    each = -(-len(matrices) // processes)
    mine = torch.zeros_like(matrices[:1]).repeat(each, 1, 1)
    share = matrices[rank * each : (rank + 1) * each]
    if len(share):
        mine[: len(share)] = orthogonal(share)
    every = [torch.empty_like(mine) for _ in range(processes)]
    dist.all_gather(every, mine)
    return torch.cat(every)[: len(matrices)]


def orthogonal(matrices: Tensor) -> Tensor:
    """Return matrices, (n, rows, columns), with their singular values pulled to 0.7 .. 1.2."""
    a, b, c = _COEFFICIENTS
    fast = matrices.is_cuda or torch.cpu._is_avx512_bf16_supported()  # no public name asks for it
    x = matrices.bfloat16() if fast else matrices.float()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
