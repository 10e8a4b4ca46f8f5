"""Live: a model plays by turns with a person at a MIDI keyboard."""

from __future__ import annotations

from espressivo.live.ports import (
    Input,
    Output,
    port_names,
)
from espressivo.live.turns import (
    Live,
    SentMessage,
)

__all__ = [
    "Input",
    "Live",
    "Output",
    "SentMessage",
    "port_names",
]
