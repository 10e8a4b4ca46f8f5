"""Music: the nouns that every other room shares. They know no MIDI, no ids and no files."""

from __future__ import annotations

from espressivo.music.features import (
    CHORD_GAP_S,
    FEATURES,
    Feature,
    Features,
    chord_starts,
    in_order,
    measure,
    pedal_moves,
    sounding,
    window,
)
from espressivo.music.harmony import (
    Chord,
    Key,
    parse_chord,
    parse_key,
)
from espressivo.music.performance import (
    CONTROL_DTYPE,
    NOTE_DTYPE,
    PEDAL_THRESHOLD,
    PEDALS,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    Performance,
    sustained_notes,
)

__all__ = [
    "CHORD_GAP_S",
    "CONTROL_DTYPE",
    "FEATURES",
    "NOTE_DTYPE",
    "PEDALS",
    "PEDAL_THRESHOLD",
    "SOFT",
    "SOSTENUTO",
    "SUSTAIN",
    "Chord",
    "Feature",
    "Features",
    "Key",
    "Performance",
    "chord_starts",
    "in_order",
    "measure",
    "parse_chord",
    "parse_key",
    "pedal_moves",
    "sounding",
    "sustained_notes",
    "window",
]
