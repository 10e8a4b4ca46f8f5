"""What a performance can be read from and become: files by their ending, and views by their name.

A performance is read and written, sounds and shows itself in notebooks, yet knows no MIDI and no
sound. When the package is imported, those that do know are entered here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["READERS", "RECORDINGS", "VIEWS", "WRITERS", "Sound"]

READERS: dict[str, Callable[..., Any]] = {}
"""By the ending of a file's name, such as ".mid": what takes the path, General MIDI programs
or None, and a `Progress` or None, and returns a performance."""

RECORDINGS = (
    ".wav",
    ".flac",
    ".mp3",
    ".m4a",
    ".ogg",
    ".opus",
    ".aac",
    ".aif",
    ".aiff",
    ".caf",
    ".mka",
    ".mkv",
    ".mov",
    ".mp4",
    ".oga",
    ".webm",
    ".wma",
)
"""How names of sound files end, and of films, whose sound is taken."""

WRITERS: dict[str, Callable[..., None]] = {}
"""By the ending of a file's name, such as ".mid": what takes a performance, the path and options,
and writes the file."""

VIEWS: dict[str, Callable[..., Any]] = {}
"""By name: what takes a performance and options, and shows it ("html") or plays it ("audio")."""


class Sound(Protocol):
    """Sound as samples."""

    @property
    def samples(self) -> NDArray[np.float32]:
        """Shape (2, n): left and right, within -1..1."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write it as an audio file."""
