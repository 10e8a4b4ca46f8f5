"""The kinds of networks, and how one is built from its sizes."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from espressivo.codes import Vocabulary
from espressivo.errors import TrainingError
from espressivo.networks.changes import add_low_ranks, add_shifts, is_change, unchanged_name
from espressivo.networks.notewise import Notewise
from espressivo.networks.recurrent import Recurrent, RecurrentConfig
from espressivo.networks.stack import Stack, StackConfig

__all__ = [
    "NETWORKS",
    "Network",
    "NetworkConfig",
    "adopt",
    "averaged",
    "build",
    "config_from_dict",
    "merged",
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
and ``notewise`` ours, the latter for note-wise vocabularies."""


def build(config: NetworkConfig, vocabulary: Vocabulary) -> Network:
    """Return a new network of these sizes for a vocabulary.

    Raises
    ------
    TrainingError
        If the network is note-wise and the vocabulary is not.
    """
    if not isinstance(config, StackConfig):
        return Recurrent(config, vocabulary.size)
    if config.notewise and not vocabulary.notewise:
        raise TrainingError(
            f"a note-wise network needs a note-wise vocabulary, which {vocabulary.name!r} is not: "
            "prepare the data in the vocabulary 'notes'"
        )
    notewise = config.notewise
    network = Notewise(config, vocabulary) if notewise else Stack(config, vocabulary.size)
    if config.rank:
        add_low_ranks(network, config.rank)
    if config.style:
        add_shifts(network)
    return network


def adopt(network: Network, other: Network) -> None:
    """Take over the weights of another network of the same sizes.

    That may lack pointers, a style, low ranks, and what reads gaps.

    Raises
    ------
    TrainingError
        If the other is not like it otherwise.
    """
    new = network.state_dict()
    added = "pointers.", "style.", "fill."
    kept = {n: weight for n, weight in new.items() if n.startswith(added) or is_change(n)}
    names = {unchanged_name(name): name for name in new if not is_change(name)}
    taken = {names.get(name, name): weight for name, weight in other.state_dict().items()}
    try:
        network.load_state_dict(kept | taken)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"the other network is of other sizes: {reason}") from None


def merged(network: Network, vocabulary: Vocabulary) -> Network:
    """Return a network of which the low ranks that were learned beside matrices are part of these.

    Itself, if there are none.
    """
    config = network.config
    if not isinstance(config, StackConfig) or not config.rank:
        return network
    plain = build(dataclasses.replace(config, rank=0), vocabulary)
    weights = {}
    for name in plain.state_dict():
        module, _, weight = name.rpartition(".")
        weights[name] = getattr(network.get_submodule(module), weight)
    plain.load_state_dict(weights)
    return plain.eval()


def averaged(network: Network, other: Network, share: float, vocabulary: Vocabulary) -> Network:
    """Return a network whose weights lie between those of two, of which one learned on from other.

    Such means often predict better than both (Wortsman et al. 2022, "Model soups").

    Parameters
    ----------
    network, other : Network
        Of the same sizes; the other may lack what `adopt` says, which is then taken as it is.
    share : float
        Of the other, 0 to 1.
    vocabulary : Vocabulary

    Raises
    ------
    TrainingError
        If the two are of different sizes.
    """
    network = merged(network, vocabulary)
    mean, second = (build(network.config, vocabulary) for _ in range(2))
    for one in (mean, second):
        one.load_state_dict(network.state_dict())
    adopt(second, merged(other, vocabulary))
    with torch.no_grad():
        for weight, to in zip(mean.parameters(), second.parameters(), strict=True):
            weight.lerp_(to, share)
    return mean.eval()


def config_from_dict(plain: dict[str, Any]) -> NetworkConfig:
    """Make sizes from plain values, as `dataclasses.asdict` returns them."""
    return RecurrentConfig(**plain) if "cell" in plain else StackConfig(**plain)
