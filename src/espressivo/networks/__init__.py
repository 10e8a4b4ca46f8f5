"""The networks: torch modules that read events and predict the next one.

Every network has ``forward(inputs, state) -> (logits, state)`` over a time-major sequence. One
that reads more than events takes `Sides` as a third argument; a note-wise one takes the events that
it is to predict as a fourth. A state is a tuple of tensors whose second axis is the rows of the
batch; zeros before any event.
"""

from __future__ import annotations

from espressivo.networks.beats import BeatNetwork, BeatNetworkConfig
from espressivo.networks.changes import is_change, shifts
from espressivo.networks.kinds import (
    NETWORKS,
    Network,
    NetworkConfig,
    adopt,
    averaged,
    build,
    config_from_dict,
    merged,
)
from espressivo.networks.latent import LatentConfig, LatentNetwork, lifted_spans
from espressivo.networks.notewise import (
    NEVER,
    Notewise,
)
from espressivo.networks.pointing import (
    POINTED,
    Pointing,
)
from espressivo.networks.pretrained import (
    Pretrained,
    load_pretrained,
    save_pretrained,
)
from espressivo.networks.recurrent import (
    Recurrent,
    RecurrentConfig,
    Sides,
    State,
)
from espressivo.networks.score_reader import ScoreReader
from espressivo.networks.stack import (
    EPSILON,
    TAPS,
    Stack,
    StackConfig,
    hidden_matrices,
    rotation,
)

__all__ = [
    "EPSILON",
    "NETWORKS",
    "NEVER",
    "POINTED",
    "TAPS",
    "BeatNetwork",
    "BeatNetworkConfig",
    "LatentConfig",
    "LatentNetwork",
    "Network",
    "NetworkConfig",
    "Notewise",
    "Pointing",
    "Pretrained",
    "Recurrent",
    "RecurrentConfig",
    "ScoreReader",
    "Sides",
    "Stack",
    "StackConfig",
    "State",
    "adopt",
    "averaged",
    "build",
    "config_from_dict",
    "hidden_matrices",
    "is_change",
    "lifted_spans",
    "load_pretrained",
    "merged",
    "rotation",
    "save_pretrained",
    "shifts",
]
