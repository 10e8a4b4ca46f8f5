"""MIDI files, read and written."""

from __future__ import annotations

from espressivo.midi.reading import (
    MAX_BYTES,
    MAX_SECONDS,
    TICKS_PER_SECOND,
    from_bytes,
    read,
    to_bytes,
    write,
)

__all__ = [
    "MAX_BYTES",
    "MAX_SECONDS",
    "TICKS_PER_SECOND",
    "from_bytes",
    "read",
    "to_bytes",
    "write",
]
