"""Loss: what a network reads of a batch, and how many nats its predictions cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from espressivo.codes import FIELDS, Vocabulary
from espressivo.data import IGNORED, Batch
from espressivo.networks import Sides, State

__all__ = ["cleared", "in_rows", "nats_of_rows", "read", "summed_nats", "tensors"]


def tensors(batch: Batch, device: torch.device | None) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return inputs, targets and side inputs of a batch on a device."""

    def there(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device, non_blocking=True)

    sides = {name: there(numbers) for name, numbers in batch.sides.items()}
    return there(batch.inputs), there(batch.targets), sides


def cleared(
    state: State | None, batch: Batch, device: torch.device, first: State | None = None
) -> State | None:
    """Clear the state of the rows that begin anew; None stays None.

    They begin as `first`, (layers, B, ...), or as zeros.
    """
    if state is None:
        return None
    kept = torch.from_numpy(~batch.fresh).to(device)
    each = [kept.view(1, -1, *[1] * (part.ndim - 2)) for part in state]
    if first is None:
        return tuple(part * here for part, here in zip(state, each, strict=True))
    return tuple(
        torch.where(here, part, new) for part, new, here in zip(state, first, each, strict=True)
    )


def in_rows(
    inputs: Tensor,
    targets: Tensor,
    sides: dict[str, Tensor],
    state: State | None,
    parts: int,
) -> Iterator[tuple[Tensor, Tensor, State | None, dict[str, Tensor]]]:
    """Split what `read` takes into so many parts of the batch's rows."""
    rows = inputs.shape[1] // parts
    for begin in range(0, inputs.shape[1], rows):
        part = slice(begin, begin + rows)
        yield (
            inputs[:, part],
            targets[:, part],
            None if state is None else tuple(kept[:, part] for kept in state),
            {name: numbers[:, part] for name, numbers in sides.items()},
        )


def read(
    network: Callable[..., Any],
    inputs: Tensor,
    targets: Tensor,
    state: State | None,
    sides: Sides,
) -> tuple[Tensor, State]:
    """Let a network read a batch; a note-wise one is also given what it is to predict."""
    more = (targets,) if targets.ndim == 3 else ()
    beside = (sides,) if more or sides else ()
    logits, after = network(inputs, state, *beside, *more)
    return logits, after


def summed_nats(logits: Tensor, targets: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Return the summed negative log-likelihood of the targets that count.

    Targets have shape (T, B), or for a note-wise network (T, B, fields).
    """
    return nats_of_rows(logits, targets, vocabulary).sum()


def nats_of_rows(logits: Tensor, targets: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Return what `summed_nats` does, row by row, shape (B,)."""
    logits = logits.float()
    if targets.ndim == 2:
        nats = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return nats.view(targets.shape).sum(0)
    v = vocabulary
    fields = [
        torch.cat([logits[..., v.first[k] : v.first[k] + v.counts[k]] for k in kinds], -1)
        for kinds in FIELDS
    ]
    total = torch.stack([field.logsumexp(-1) for field in fields], -1)
    nats = total - logits.gather(-1, targets.clamp(min=0))
    return torch.where(targets == IGNORED, 0, nats).sum((0, 2))
