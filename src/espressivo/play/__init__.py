"""Playing: a model and settings become a performance, a stream, or likelihoods."""

from __future__ import annotations

from espressivo.play.endings import (
    ENDINGS,
)
from espressivo.play.model import (
    Model,
    bundled,
    load,
)
from espressivo.play.player import (
    requested,
    supported_controls,
)
from espressivo.play.primers import (
    chords,
    pitches,
)
from espressivo.play.settings import (
    Options,
    Settings,
)
from espressivo.play.stream import (
    LONGEST_REST_S,
    Stream,
    TimedEvent,
)

__all__ = [
    "ENDINGS",
    "LONGEST_REST_S",
    "Model",
    "Options",
    "Settings",
    "Stream",
    "TimedEvent",
    "bundled",
    "chords",
    "load",
    "pitches",
    "requested",
    "supported_controls",
]
