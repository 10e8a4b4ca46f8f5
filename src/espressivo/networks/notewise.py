"""A stack over a note-wise vocabulary: the ids of an event are predicted one after another.

The blocks read a whole event at a time, as the sum of the embeddings of its ids, and so remember
several times further than over single ids, at the same cost. Each field of an event (time, what
happens, velocity, duration, fine duration) has a small head of its own, which reads what the blocks
made of the past, and the prefix: the ids of the fields before its own in the event.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from espressivo.codes import FIELDS, NO_ID, Vocabulary
from espressivo.networks.pointing import POINTED, Pointing
from espressivo.networks.recurrent import Sides, State
from espressivo.networks.stack import Stack, StackConfig

__all__ = ["NEVER", "Notewise"]

NEVER = -1e4
"""The logit of an id that cannot come, finite so that differences of logits are numbers."""


class Notewise(Stack):
    """A language model over the events of a note-wise vocabulary; see the module.

    Its state is that of a `Stack`.

    Parameters
    ----------
    config : StackConfig
        Its ``notewise`` is true.
    vocabulary : Vocabulary
        A note-wise one.
    """

    def __init__(self, config: StackConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary.size)
        width, v = config.width, vocabulary
        self.known = nn.Embedding(self.size, width)  # of the prefix, as saved files name it
        self.heads = nn.ModuleList(nn.Linear(width, width) for _ in FIELDS)
        nn.init.normal_(self.embedding.weight, std=0.7 / len(FIELDS) ** 0.5)
        nn.init.normal_(self.known.weight, std=0.5)
        self._spans = tuple(
            tuple((v.first[kind], v.first[kind] + v.counts[kind]) for kind in kinds)
            for kinds in FIELDS
        )  # first id and one past the last of each kind of id, for each field
        fine_durations = torch.from_numpy(v.durations_in_class)
        self.register_buffer("_fine_durations", fine_durations, persistent=False)
        self._fine_durations: Tensor
        if config.pointers:
            self.pointers = Pointing(width, v)

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        sides: Sides | None = None,
        targets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Read sequences of events and predict the ids of each event after.

        Parameters
        ----------
        inputs : int64 tensor, (T, B, fields)
            Ids of each event, `NO_ID` for fields that it lacks; `size` is "no event yet".
        state, sides
            As a `Stack` takes them, by events.
        targets : int64 tensor, (T, B, fields)
            Ids of the events to predict: each is predicted given those before it in the event.

        Returns
        -------
        logits : tensor, (T, B, size)
            Of each field among its own ids; `NEVER` for those that cannot follow.
        state : State
        """
        if targets is None:
            raise ValueError("the ids of an event are predicted one after another: give targets")
        made, after = self.past(inputs, state, sides)
        return self.predicted(made, sides, targets), after

    def past(
        self, inputs: Tensor, state: State | None, sides: Sides | None
    ) -> tuple[Tensor, State]:
        """Let the blocks read events; return what they make of the past, (T, B, width)."""
        read = _summed(self.embedding, inputs)
        if self.config.pointers and sides and "pointers" in sides:
            read = read + self.pointers.inward(self.pointers.embedded(sides["pointers"]))
        return self.recall(read, state, sides)

    def predicted(self, made: Tensor, sides: Sides | None, targets: Tensor) -> Tensor:
        """Return logits as `forward` does, of what the blocks made of the past."""
        said = sides["pointers"] if self.config.pointers and sides and "pointers" in sides else None
        if said is not None:
            beside = self.pointers.heads(self.pointers.embedded(said)).chunk(len(self.heads), -1)
        prefix = torch.zeros_like(made)
        logits: dict[tuple[int, int], Tensor] = {}  # by the first id and one past the last
        for field, (spans, head) in enumerate(zip(self._spans, self.heads, strict=True)):
            summed = head(made) + prefix
            hidden = functional.silu(summed if said is None else summed + beside[field])
            for begin, end in spans:
                weight, bias = self.output.weight[begin:end], self.output.bias[begin:end]
                logits[begin, end] = functional.linear(hidden, weight, bias)
            if said is not None and field < len(POINTED):
                logits[spans[0]] = logits[spans[0]] + self.pointers.lifted(field, hidden, said)
            prefix = prefix + _summed(self.known, targets[..., field : field + 1])
        ((first_duration, _),), ((first_fine, end),) = self._spans[-2:]
        duration_class = (targets[..., -2] - first_duration).clamp(min=0)
        number = torch.arange(end - first_fine, device=targets.device)
        can_follow = number < self._fine_durations[duration_class][..., None]
        logits[first_fine, end] = torch.where(can_follow, logits[first_fine, end], NEVER)
        return torch.cat([logits[span] for span in sorted(logits)], -1)


def _summed(table: nn.Embedding, ids: Tensor) -> Tensor:
    """Return the sum of the rows of ids, (..., width), of those that there are."""
    rows = table(ids.clamp(min=0))
    return torch.where((ids != NO_ID)[..., None], rows, 0).sum(-2)
