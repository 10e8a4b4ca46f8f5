"""What a note-wise network makes of pointers (`espressivo.codes.Pointers`).

It has two ways to use them. What they say is embedded and added to what the blocks and the heads
read. And each view lifts the logits of the ids at and near the one that it points at (a copy
mechanism, as in Gu et al. 2016, "Incorporating Copying Mechanism", on logits): by a kernel over the
distance, times a gate that the head's hidden numbers and the view's length, lag and periods decide.
Both begin at nothing, so a network to which pointers are added predicts what it did before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from espressivo.codes import (
    DURATION,
    FIELDS,
    NOTE_ON,
    POINTER_SIZES,
    TIME_SHIFT,
    VELOCITY,
    VIEWS,
    Vocabulary,
)

__all__ = ["POINTED", "Pointing"]

POINTED = (TIME_SHIFT, NOTE_ON, VELOCITY, DURATION)
"""Kinds of the ids that are pointed at, in the order of the fields of an event."""

_CODE = 32  # numbers into which all that is said is put
_REACH = 12  # places from the id pointed at up to which others are lifted too
_PLACES_PER_OCTAVE = 8  # of times, as the ear hears ratios
_KNOWN = (7, 8, 9, 9)  # columns that are known when each field is predicted
_GATED = 4  # the first column that gates read


class Pointing(nn.Module):
    """The part of a `Notewise` network that reads pointers; see the module.

    What pointers say has shape (..., views, columns), as `espressivo.codes.pointed` returns it.

    Parameters
    ----------
    width : int
        Of the network.
    vocabulary : Vocabulary

    Attributes
    ----------
    code_rows : int64 tensor, (views, 7)
        Row in `table` of the number 0 in each column that it has.
    gate_rows : int64 tensor, (5,)
        The same in `steps`, for each column that gates read.
    """

    def __init__(self, width: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        counts = [vocabulary.counts[kind] for kind in POINTED]
        sizes = torch.tensor([*counts, *POINTER_SIZES]) + 1
        first, views = sizes.cumsum(0) - sizes, torch.arange(len(VIEWS))
        rows = int(sizes[: _KNOWN[0]].sum())
        self._keep("code_rows", views[:, None] * rows + first[: _KNOWN[0]])
        self._keep("gate_rows", first[_GATED:] - first[_GATED])
        self.code = nn.Embedding(len(VIEWS) * rows, _CODE)
        self.inward = nn.Linear(_CODE, width, bias=False)
        self.heads = nn.Linear(_CODE, len(FIELDS) * width, bias=False)
        self.gates = nn.Parameter(torch.zeros(len(POINTED), len(VIEWS), width))
        shape = len(POINTED), len(VIEWS), int(sizes[_GATED:].sum())
        self.gate_rows: Tensor
        self.code_rows: Tensor
        self._something: Tensor
        self._known: Tensor
        self.gate_steps = nn.Parameter(torch.zeros(shape))
        bump = torch.exp(-2.0 * torch.arange(-_REACH, _REACH + 1).abs())
        self.kernels = nn.Parameter(bump.repeat(len(POINTED), 1))
        nn.init.normal_(self.code.weight, std=0.5)
        nn.init.zeros_(self.inward.weight)
        nn.init.zeros_(self.heads.weight)

        something = torch.ones(len(self.code.weight), 1)
        something[self.code_rows] = 0
        self._keep("_something", something)
        known = torch.zeros(shape)
        for field, columns in enumerate(_KNOWN):
            known[field, :, : self.gate_rows[columns - _GATED - 1] + sizes[columns - 1]] = 1
        known[:, :, self.gate_rows] = 0
        self._keep("_known", known)
        for field, (kind, count) in enumerate(zip(POINTED, counts, strict=True)):
            self._keep(f"_apart_{field}", _apart(kind, count))

    def _keep(self, name: str, tensor: Tensor) -> None:
        """Keep a constant, which follows from the vocabulary and is not saved."""
        self.register_buffer(name, tensor, persistent=False)

    def table(self) -> Tensor:
        """Return the embeddings of what is said, (rows, numbers); of nothing they are zeros."""
        return self.code.weight * self._something

    def steps(self) -> Tensor:
        """Return how far each number opens a gate, (fields, views, rows); unknown ones do not."""
        return self.gate_steps * self._known

    def kernel(self, field: int) -> Tensor:
        """Return how each id of a field is lifted by each number, (numbers, ids)."""
        apart = getattr(self, f"_apart_{field}")
        kernel = torch.cat((self.kernels[field], self.kernels.new_zeros(1)))[apart]
        return torch.cat((kernel.new_zeros(1, len(apart)), kernel))

    def kernels_of(self, tables: Sequence[Tensor]) -> Tensor:
        """Return the kernels, (fields, distances), of what `kernel` gives of each field.

        A distance that no two ids of a field have stays as it is.
        """
        kernels = self.kernels.detach().clone()
        for field, table in enumerate(tables):
            apart = getattr(self, f"_apart_{field}")
            within = apart < kernels.shape[1]
            kernels[field, apart[within]] = table[1:][within]
        return kernels

    def embedded(self, said: Tensor) -> Tensor:
        """Return what is said as `_CODE` numbers, without what an event tells within itself."""
        rows = said[..., : _KNOWN[0]].long() + self.code_rows
        return functional.embedding(rows, self.table()).sum((-3, -2))

    def lifted(self, field: int, hidden: Tensor, said: Tensor) -> Tensor:
        """Return by how much the logits of a field of `POINTED` are lifted, (..., ids).

        Parameters
        ----------
        field : int
        hidden : tensor, (..., width)
            What the field's head makes of the past and of the event so far.
        said : tensor, (..., views, columns)
        """
        rows = said[..., _GATED:].long() + self.gate_rows
        view = torch.arange(len(VIEWS), device=said.device)[:, None]
        gate = hidden @ self.gates[field].mT + self.steps()[field][view, rows].sum(-1)
        return (gate[..., None, :] @ self.kernel(field)[said[..., field].long()])[..., 0, :]


def _apart(kind: int, count: int) -> Tensor:
    """Return the place in a kernel of each id, seen from each id, shape (count, count)."""
    place = torch.arange(count)
    if kind == TIME_SHIFT:
        place = (_PLACES_PER_OCTAVE * torch.log2(1 + place / 4)).round().long()
    apart = place - place[:, None] + _REACH
    return torch.where((apart >= 0) & (apart <= 2 * _REACH), apart, 2 * _REACH + 1)
