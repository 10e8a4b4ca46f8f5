"""The networks: torch modules that read events and predict the next one.

Every network has ``forward(inputs, state) -> (logits, state)`` over a time-major sequence and
``step(inputs, state) -> (logits, state)`` for one event, equal on logits.
"""

from espressivo.networks.recurrent import Recurrent, RecurrentConfig, State

__all__ = ["NETWORKS", "Recurrent", "RecurrentConfig", "State"]

NETWORKS = {
    "gru": RecurrentConfig("gru", hidden=512, layers=2),
    "lstm": RecurrentConfig("lstm", hidden=512, layers=3),
}
"""``gru`` is the post's network (Apisov 2018), ``lstm`` Magenta's (Simon & Oore 2017)."""
