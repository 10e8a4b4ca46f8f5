"""Views of a performance: its sound, pictures of it, and how it shows in a notebook."""

from __future__ import annotations

from espressivo.views.instrument import (
    BLOCK,
    Instrument,
)
from espressivo.views.notebook import (
    html,
)
from espressivo.views.pictures import (
    blank,
    piano_roll,
    piano_roll_png,
    playing_curves,
    training_curves,
    training_log,
)
from espressivo.views.sound import (
    FORMATS,
    SAMPLE_RATE,
    Audio,
    bundled,
    check_path,
    check_soundfont,
    is_sound,
    render,
    write_sound,
)
from espressivo.views.tempos import (
    Played,
    tempo_curves,
)

__all__ = [
    "BLOCK",
    "FORMATS",
    "SAMPLE_RATE",
    "Audio",
    "Instrument",
    "Played",
    "blank",
    "bundled",
    "check_path",
    "check_soundfont",
    "html",
    "is_sound",
    "piano_roll",
    "piano_roll_png",
    "playing_curves",
    "render",
    "tempo_curves",
    "training_curves",
    "training_log",
    "write_sound",
]
