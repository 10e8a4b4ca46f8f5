"""Codes: how a performance is written as ids, read back, and what may follow."""

from __future__ import annotations

from espressivo.codes.codec import (
    DEFAULT_VELOCITY,
    FIELDS,
    NO_ID,
    following,
    grid_steps,
    insert_shifts,
    restore,
    steps,
)
from espressivo.codes.controls import (
    COMPOSERS,
    CONTROLS,
    SIZE,
    Controls,
    composer_of,
    controls_within,
    dropped,
    key,
    measured,
)
from espressivo.codes.decoder import (
    Decoder,
    Event,
    Message,
)
from espressivo.codes.decoders import (
    decoder_of,
)
from espressivo.codes.layout import (
    DURATION,
    END,
    FINE_DURATION,
    KINDS,
    NOTE_OFF,
    NOTE_ON,
    START,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    Ids,
)
from espressivo.codes.limits import (
    LONGEST_KEY_S,
    LONGEST_NOTE_S,
    Limits,
)
from espressivo.codes.pointers import (
    POINTER_FIELDS,
    POINTER_NUMBERS,
    POINTER_SIZES,
    VIEWS,
    Pointers,
    lifted,
    pointed,
)
from espressivo.codes.quotes import (
    FILL_NUMBERS,
    IN_GAP,
    KEPT,
    ORDINARY,
    QUOTED,
    fill_numbers,
    quote,
)
from espressivo.codes.vocabularies import (
    Vocabulary,
    presets,
    vocabulary,
)

__all__ = [
    "COMPOSERS",
    "CONTROLS",
    "DEFAULT_VELOCITY",
    "DURATION",
    "END",
    "FIELDS",
    "FILL_NUMBERS",
    "FINE_DURATION",
    "IN_GAP",
    "KEPT",
    "KINDS",
    "LONGEST_KEY_S",
    "LONGEST_NOTE_S",
    "NOTE_OFF",
    "NOTE_ON",
    "NO_ID",
    "ORDINARY",
    "POINTER_FIELDS",
    "POINTER_NUMBERS",
    "POINTER_SIZES",
    "QUOTED",
    "SIZE",
    "START",
    "SUSTAIN",
    "TIME_SHIFT",
    "VELOCITY",
    "VIEWS",
    "Controls",
    "Decoder",
    "Event",
    "Ids",
    "Limits",
    "Message",
    "Pointers",
    "Vocabulary",
    "composer_of",
    "controls_within",
    "decoder_of",
    "dropped",
    "fill_numbers",
    "following",
    "grid_steps",
    "insert_shifts",
    "key",
    "lifted",
    "measured",
    "pointed",
    "presets",
    "quote",
    "restore",
    "steps",
    "vocabulary",
]
