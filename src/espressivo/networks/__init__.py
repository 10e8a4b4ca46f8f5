"""The networks: torch modules that read events and predict the next one.

Every network has ``forward(inputs, state) -> (logits, state)`` over a time-major sequence, and
those over events ``step(inputs, state) -> (logits, state)`` for one of them, equal on logits. One
that can be steered takes controls as a third argument; one over the steps of a code of notes takes
what it is to predict as a fourth. A state is a tuple of tensors whose second axis is the rows of
the batch; zeros before any event.
"""

from __future__ import annotations

from typing import Any

from espressivo.errors import TrainingError
from espressivo.networks.notewise import Notewise
from espressivo.networks.recurrent import Recurrent, RecurrentConfig, State
from espressivo.networks.stack import Stack, StackConfig
from espressivo.vocabulary import Vocabulary

__all__ = [
    "NETWORKS",
    "Network",
    "NetworkConfig",
    "Notewise",
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
    "notewise": StackConfig("dddd", notewise=True),
}
"""``gru`` is the post's network (Apisov 2018), ``lstm`` Magenta's (Simon & Oore 2017), ``delta``
and ``notewise`` ours, the latter for codes of notes."""


def build(config: NetworkConfig, vocabulary: Vocabulary) -> Network:
    """Return a new network of these sizes for a vocabulary.

    Raises
    ------
    TrainingError
        If the network is for codes of notes and the vocabulary is of events.
    """
    if not isinstance(config, StackConfig):
        return Recurrent(config, vocabulary.size)
    if not config.notewise:
        return Stack(config, vocabulary.size)
    if not vocabulary.notewise:
        raise TrainingError(
            f"a notewise network needs a code of notes, which {vocabulary.name!r} is not: prepare "
            "the data in the vocabulary notes"
        )
    return Notewise(config, vocabulary)


def config_from_dict(plain: dict[str, Any]) -> NetworkConfig:
    """Make sizes from plain values, as `dataclasses.asdict` returns them."""
    return RecurrentConfig(**plain) if "cell" in plain else StackConfig(**plain)
