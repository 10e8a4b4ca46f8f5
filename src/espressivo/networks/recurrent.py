"""Recurrent networks over events: one-hot -> GRU or LSTM layers -> linear.

``gru`` with two layers of 512 is the network of Apisov 2018; ``lstm`` with three layers of 512
that of Performance RNN (Simon & Oore 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from espressivo.numeric import Range, fields_within

__all__ = ["Recurrent", "RecurrentConfig", "Sides", "State"]

State = tuple[Tensor, ...]
"""What a network remembers: hidden states and, for an LSTM, cells, each (layers, B, H)."""

Sides = Mapping[str, Tensor]
"""What a network reads beside the events, by name: each (T, B, ...), at place t what belongs to the
event predicted there. A name that is missing says nothing."""


_RANGES: dict[str, Range] = {
    "hidden": {"least": 1, "whole": True},
    "layers": {"least": 1, "whole": True},
    "dropout": {"least": 0, "below": 1},
}


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of a recurrent network.

    Parameters
    ----------
    cell : {"gru", "lstm"}
    hidden : int
        Units of each layer.
    layers : int
    dropout : float
        Share of a layer's outputs dropped in training, between layers and before the output.
    """

    cell: str = "gru"
    hidden: int = 512
    layers: int = 2
    dropout: float = 0.0

    controls: ClassVar[int] = 0
    """It cannot be steered."""

    sides: ClassVar[tuple[str, ...]] = ()
    """It reads nothing beside the events."""

    style: ClassVar[bool] = False
    """Its state begins as zeros."""

    notewise: ClassVar[bool] = False
    """It reads id by id, in any vocabulary."""

    def __post_init__(self) -> None:
        if self.cell not in ("gru", "lstm"):
            raise ValueError(f"cell must be 'gru' or 'lstm', not {self.cell!r}")
        if problems := fields_within(self, _RANGES):
            raise ValueError("; ".join(problems))


class Recurrent(nn.Module):
    """A recurrent language model over the ids of a vocabulary.

    The input is one-hot: the first layer's input weights are a table with a row for each id.
    The size of the vocabulary, one past the last id, stands for "no event yet": all zeros.

    Parameters
    ----------
    config : RecurrentConfig
    size : int
        Number of ids.
    """

    def __init__(self, config: RecurrentConfig, size: int) -> None:
        super().__init__()
        self.config, self.size = config, size
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[config.cell]
        # nn.GRU warns about dropout on a single layer, which has no layer to drop between.
        between = config.dropout if config.layers > 1 else 0.0
        self.rnn = kind(size, config.hidden, config.layers, dropout=between)
        self.output = nn.Linear(config.hidden, size)
        if config.cell == "lstm":
            self._remember()

    def _remember(self) -> None:
        """Begin with open forget gates, as Magenta's cells do (Gers et al. 2000)."""
        hidden = self.config.hidden
        for name, bias in self.rnn.named_parameters():
            if name.startswith("bias_ih"):
                nn.init.ones_(bias.data[hidden : 2 * hidden])  # gates: in, forget, cell, out

    def initial_state(self, rows: int) -> State:
        """Return the state before any event: zeros."""
        zeros = self.output.weight.new_zeros(self.config.layers, rows, self.config.hidden)
        return (zeros,) if self.config.cell == "gru" else (zeros, zeros.clone())

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read sequences and predict after each event.

        Parameters
        ----------
        inputs : int64 tensor, (T, B)
        state : State, optional
            As left by earlier events; before any by default.

        Returns
        -------
        logits : tensor, (T, B, size)
        state : State
            After the last event.
        """
        if state is None:
            state = self.initial_state(inputs.shape[1])
        one_hot = functional.one_hot(inputs, self.size + 1)[..., :-1]  # (T, B, size)
        before = state[0] if len(state) == 1 else state
        hidden, after = self.rnn(one_hot.to(self.output.weight.dtype), before)  # (T, B, H)
        hidden = functional.dropout(hidden, self.config.dropout, self.training)
        return self.output(hidden), after if isinstance(after, tuple) else (after,)
