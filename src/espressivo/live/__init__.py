"""Live: a model plays by turns with a person at a MIDI keyboard, or by itself, in real time."""

from __future__ import annotations

from espressivo.live.endless import (
    Endless,
)
from espressivo.live.ports import (
    Input,
    Output,
    port_names,
)
from espressivo.live.sending import (
    Outputs,
    SentMessage,
)
from espressivo.live.speakers import (
    Speakers,
)
from espressivo.live.turns import (
    Live,
)

__all__ = [
    "Endless",
    "Input",
    "Live",
    "Output",
    "Outputs",
    "SentMessage",
    "Speakers",
    "port_names",
]
