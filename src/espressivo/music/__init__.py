"""Music: the nouns that every other room shares. They know no MIDI, no ids and no files."""

from __future__ import annotations

from espressivo.music.beats import Beats
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
    window_starts,
    windows,
)
from espressivo.music.hands import right_hand
from espressivo.music.harmony import (
    Chord,
    Key,
    parse_chord,
    parse_key,
    parse_pitch,
)
from espressivo.music.interpretation import Interpretation, onset_groups
from espressivo.music.measures import MEASURES, Amount, Measure, Take, measured
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
from espressivo.music.playing import within_reach
from espressivo.music.reading import is_recording, read
from espressivo.music.recall import (
    longest_loop,
    longest_shared,
    recalled,
    shared_patterns,
    top_line,
)
from espressivo.music.score import (
    KEY_DTYPE,
    METRE_DTYPE,
    MOVE_DTYPE,
    SCORE_NOTE_DTYPE,
    TEMPO_DTYPE,
    UNMARKED_VELOCITY,
    Direction,
    Mark,
    Score,
    ScorePart,
)
from espressivo.music.tonality import (
    clashes,
    in_scale,
    likeliest_key,
    pitch_class_entropy,
    tonic,
)

__all__ = [
    "CHORD_GAP_S",
    "CONTROL_DTYPE",
    "FEATURES",
    "KEY_DTYPE",
    "MEASURES",
    "METRE_DTYPE",
    "MOVE_DTYPE",
    "NOTE_DTYPE",
    "PEDALS",
    "PEDAL_THRESHOLD",
    "SCORE_NOTE_DTYPE",
    "SOFT",
    "SOSTENUTO",
    "SUSTAIN",
    "TEMPO_DTYPE",
    "UNMARKED_VELOCITY",
    "Amount",
    "Beats",
    "Chord",
    "Direction",
    "Feature",
    "Features",
    "Interpretation",
    "Key",
    "Mark",
    "Measure",
    "Performance",
    "Score",
    "ScorePart",
    "Take",
    "chord_starts",
    "clashes",
    "in_order",
    "in_scale",
    "is_recording",
    "likeliest_key",
    "longest_loop",
    "longest_shared",
    "measure",
    "measured",
    "onset_groups",
    "parse_chord",
    "parse_key",
    "parse_pitch",
    "pedal_moves",
    "pitch_class_entropy",
    "read",
    "recalled",
    "right_hand",
    "shared_patterns",
    "sounding",
    "sustained_notes",
    "tonic",
    "top_line",
    "window",
    "window_starts",
    "windows",
    "within_reach",
]
