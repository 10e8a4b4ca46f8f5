"""Playing: a model and settings become a performance, a stream, or likelihoods."""

from __future__ import annotations

from espressivo.play.arguments import (
    Changes,
    ProgressCallback,
)
from espressivo.play.dials import (
    DEFAULT_FREEDOM,
    FASTEST_TEMPO,
    SLOWEST_TEMPO,
    Dials,
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
from espressivo.play.interpreting import (
    Interpreter,
)
from espressivo.play.keeping import (
    Keep,
)
from espressivo.play.leaning import (
    Lean,
)
from espressivo.play.loading import (
    DEFAULT_MODEL,
    bundled,
    bundled_styles,
    load,
)
from espressivo.play.model import (
    Model,
)
from espressivo.play.performing import (
    DialOptions,
    Rendition,
    perform,
    rendition,
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
from espressivo.play.quoting import expected_inside
from espressivo.play.rendering import render
from espressivo.play.settings import (
    CHORD_TEMPERATURE,
    FOLLOW_GUIDANCE,
    FOLLOW_S,
    STRONGEST,
    Options,
    Settings,
)
from espressivo.play.space import (
    Encoded,
    Space,
    has_space,
)
from espressivo.play.stream import (
    LONGEST_REST_S,
    Stream,
    TimedEvent,
)

__all__ = [
    "CANDIDATES",
    "CHORD_TEMPERATURE",
    "DEFAULT_FREEDOM",
    "DEFAULT_MODEL",
    "ENDINGS",
    "FASTEST_TEMPO",
    "FOLLOW_GUIDANCE",
    "FOLLOW_S",
    "LONGEST_REST_S",
    "MODEL_FILE",
    "SLOWEST_TEMPO",
    "STRONGEST",
    "Changes",
    "DialOptions",
    "Dials",
    "Encoded",
    "Interpreter",
    "Keep",
    "Lean",
    "Model",
    "Options",
    "Primer",
    "ProgressCallback",
    "Rendition",
    "Settings",
    "Space",
    "Stream",
    "TimedEvent",
    "arguments_of",
    "bundled",
    "bundled_styles",
    "chords",
    "expected_inside",
    "has_space",
    "load",
    "opened",
    "perform",
    "pitches",
    "provenance_of",
    "render",
    "rendition",
    "requested",
    "supported_controls",
]
