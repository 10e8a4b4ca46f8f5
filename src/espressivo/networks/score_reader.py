"""Score reader: a recurrent network that reads a score's features both ways."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ScoreReader"]


class ScoreReader(nn.Module):
    """Predicts fields from rows of features, each given all the others of the score.

    Parameters
    ----------
    features, fields : int
    width : int
        Of what a row's features become before they are read.
    hidden : int
        Units of each layer, in each direction.
    layers : int
    dropout : float
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        features: int,
        fields: int,
        *,
        width: int = 64,
        hidden: int = 96,
        layers: int = 2,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.enter = nn.Linear(features, width)
        self.norm = nn.LayerNorm(width)
        between = dropout if layers > 1 else 0.0
        self.read = nn.GRU(
            width, hidden, layers, batch_first=True, bidirectional=True, dropout=between
        )
        self.drop = nn.Dropout(dropout)
        self.combine = nn.Linear(2 * hidden + width, width)
        self.leave = nn.Linear(width, fields)

    def standardised(self, rows: Tensor) -> Tensor:
        """Return features as the network reads them, within -4..4."""
        return ((rows - self.centre) / self.scale).clamp(-4, 4)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the fields, (B, T, fields), of standardised features, (B, T, features)."""
        entered = torch.relu(self.norm(self.enter(rows)))  # (B, T, width)
        read, _ = self.read(self.drop(entered))  # (B, T, 2 hidden)
        combined = torch.relu(self.combine(self.drop(torch.cat((read, entered), -1))))
        out: Tensor = self.leave(self.drop(combined))
        return out
