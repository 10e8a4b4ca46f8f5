"""The networks: torch modules that read events and predict the next one.

Every network has ``forward(inputs, state) -> (logits, state)`` over a time-major sequence and
``step(inputs, state) -> (logits, state)`` for one event, equal on logits. One that can be steered
takes controls as a third argument. A state is a tuple of tensors whose second axis is the rows of
the batch; zeros before any event.
"""

from __future__ import annotations

from typing import Any

from espressivo.networks.recurrent import Recurrent, RecurrentConfig, State
from espressivo.networks.stack import Stack, StackConfig

__all__ = [
    "NETWORKS",
    "Network",
    "NetworkConfig",
    "Recurrent",
    "RecurrentConfig",
    "Stack",
    "StackConfig",
    "State",
    "build",
    "config_from_dict",
]

Network = Recurrent | Stack
NetworkConfig = RecurrentConfig | StackConfig

NETWORKS: dict[str, NetworkConfig] = {
    "gru": RecurrentConfig("gru", hidden=512, layers=2),
    "lstm": RecurrentConfig("lstm", hidden=512, layers=3),
    "delta": StackConfig("dddd"),
}
"""``gru`` is the post's network (Apisov 2018), ``lstm`` Magenta's (Simon & Oore 2017), ``delta``
ours."""


def build(config: NetworkConfig, size: int) -> Network:
    """Return a new network of these sizes for a vocabulary of `size` ids."""
    if isinstance(config, StackConfig):
        return Stack(config, size)
    return Recurrent(config, size)


def config_from_dict(plain: dict[str, Any]) -> NetworkConfig:
    """Make sizes from plain values, as `dataclasses.asdict` returns them."""
    return RecurrentConfig(**plain) if "cell" in plain else StackConfig(**plain)
