"""A stack over the steps of a code of notes, whose ids are predicted one after another.

The blocks read one step at a time, as the sum of what its ids mean, and so remember several times
further than over events, at the same cost. Each kind of id in a step then has a small head of its
own, which reads what the blocks made of the past and the ids of the step before its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from espressivo.codes import FIELDS, NO_ID, Vocabulary
from espressivo.networks.stack import Stack, StackConfig, State

__all__ = ["NEVER", "Notewise"]

NEVER = -1e4
"""The logit of an id that cannot come, finite so that differences of logits are numbers."""


class Notewise(Stack):
    """A language model over the steps of a code of notes; see the module.

    Its state is that of a `Stack`.

    Parameters
    ----------
    config : StackConfig
        Its ``notewise`` is true.
    vocabulary : Vocabulary
        A code of notes.
    """

    def __init__(self, config: StackConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary.size)
        width, v = config.width, vocabulary
        self.known = nn.Embedding(self.size, width)
        self.heads = nn.ModuleList(nn.Linear(width, width) for _ in FIELDS)
        nn.init.normal_(self.embedding.weight, std=0.7 / len(FIELDS) ** 0.5)
        nn.init.normal_(self.known.weight, std=0.5)
        self._spans = tuple(
            tuple((v.first[kind], v.first[kind] + v.counts[kind]) for kind in kinds)
            for kinds in FIELDS
        )  # first id and one past the last of each kind of id, for each factor
        lengths = torch.from_numpy(v.durations_in_class)
        self.register_buffer("_lengths", lengths, persistent=False)
        self._lengths: Tensor

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        controls: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Read sequences of steps and predict the ids of each step after.

        Parameters
        ----------
        inputs : int64 tensor, (T, B, factors)
            Ids of each step, `NO_ID` where it has none; `size` is "no step yet".
        state, controls
            As a `Stack` takes them, by steps.
        targets : int64 tensor, (T, B, factors)
            Ids of the steps to predict: each is predicted given those before it in the step.

        Returns
        -------
        logits : tensor, (T, B, size)
            For each factor among its own ids; `NEVER` for those that cannot follow.
        state : State
        """
        if targets is None:
            raise ValueError("the ids of a step are predicted one after another: give targets")
        made, after = self.recall(_summed(self.embedding, inputs), state, controls)
        known = torch.zeros_like(made)
        found: dict[tuple[int, int], Tensor] = {}  # logits by the first id and one past the last
        for factor, (spans, head) in enumerate(zip(self._spans, self.heads, strict=True)):
            hidden = functional.silu(head(made) + known)
            for begin, end in spans:
                weight, bias = self.output.weight[begin:end], self.output.bias[begin:end]
                found[begin, end] = functional.linear(hidden, weight, bias)
            known = known + _summed(self.known, targets[..., factor : factor + 1])
        ((first_length, _),), ((first_fine, end),) = self._spans[-2:]
        number = (targets[..., -2] - first_length).clamp(min=0)
        place = torch.arange(end - first_fine, device=targets.device)
        inside = place < self._lengths[number][..., None]
        found[first_fine, end] = torch.where(inside, found[first_fine, end], NEVER)
        return torch.cat([found[span] for span in sorted(found)], -1), after


def _summed(table: nn.Embedding, ids: Tensor) -> Tensor:
    """Return the sum of the rows of ids, (..., width), of those that there are."""
    rows = table(ids.clamp(min=0))
    return torch.where((ids != NO_ID)[..., None], rows, 0).sum(-2)
