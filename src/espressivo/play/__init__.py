"""Playing: a model and settings become a performance, a stream, or likelihoods."""

from __future__ import annotations

from espressivo.play.arguments import (
    Changes,
    ProgressCallback,
)
from espressivo.play.endings import (
    ENDINGS,
)
from espressivo.play.fill import (
    CANDIDATES,
)
from espressivo.play.hub import (
    MODEL_FILE,
)
from espressivo.play.keeping import (
    Keep,
)
from espressivo.play.loading import (
    DEFAULT_MODEL,
    bundled,
    load,
)
from espressivo.play.model import (
    Model,
)
from espressivo.play.player import (
    requested,
    supported_controls,
)
from espressivo.play.primers import (
    Primer,
    chords,
    opened,
    pitches,
)
from espressivo.play.provenance import (
    arguments_of,
    provenance_of,
)
from espressivo.play.settings import (
    FOLLOW_GUIDANCE,
    FOLLOW_S,
    STRONGEST,
    Options,
    Settings,
)
from espressivo.play.stream import (
    LONGEST_REST_S,
    Stream,
    TimedEvent,
)

__all__ = [
    "CANDIDATES",
    "DEFAULT_MODEL",
    "ENDINGS",
    "FOLLOW_GUIDANCE",
    "FOLLOW_S",
    "LONGEST_REST_S",
    "MODEL_FILE",
    "STRONGEST",
    "Changes",
    "Keep",
    "Model",
    "Options",
    "Primer",
    "ProgressCallback",
    "Settings",
    "Stream",
    "TimedEvent",
    "arguments_of",
    "bundled",
    "chords",
    "load",
    "opened",
    "pitches",
    "provenance_of",
    "requested",
    "supported_controls",
]
