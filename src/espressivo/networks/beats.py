"""The network for beats: it reads the onset groups of a passage both ways."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BeatBlock", "BeatNetwork", "BeatNetworkConfig"]


@dataclass(frozen=True)
class BeatNetworkConfig:
    """Sizes of a `BeatNetwork`.

    Parameters
    ----------
    inputs, outputs : int
        Numbers that describe a group, and that are said of it.
    width : int
        Of what runs through the blocks.
    dilations : tuple of int
        Of the convolutions of each block: how many groups lie between the three that it reads.
    """

    inputs: int
    outputs: int
    width: int = 128
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 2)


class BeatBlock(nn.Module):
    """A gated convolution over three groups, added to what it reads (van den Oord et al. 2016)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dilation = dilation
        self.read = nn.Linear(3 * width, 2 * width)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, width) from the same."""
        n, beside = self.dilation, self.norm(x)
        around = functional.pad(beside, (0, 0, n, n))  # (B, n + T + n, width)
        three = torch.cat((around[:, : -2 * n], beside, around[:, 2 * n :]), -1)
        what, gate = self.read(three).chunk(2, -1)
        added: Tensor = self.mix(torch.tanh(what) * torch.sigmoid(gate))
        return x + added


class BeatNetwork(nn.Module):
    """Blocks of convolutions that read both ways, between two linear maps."""

    def __init__(self, config: BeatNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Linear(config.inputs, config.width)
        self.blocks = nn.ModuleList(
            BeatBlock(config.width, dilation) for dilation in config.dilations
        )
        self.norm = nn.LayerNorm(config.width)
        self.leave = nn.Linear(config.width, config.outputs)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return what is said of each group, (B, T, outputs), from (B, T, inputs)."""
        x = self.enter(numbers)  # (B, T, width)
        for block in self.blocks:
            x = block(x)
        said: Tensor = self.leave(self.norm(x))
        return said
