"""What a performance can become, filled from above: files by their ending, and views by their name.

A performance offers `write`, `to_audio` and a look in notebooks, yet knows no MIDI and no sound.
When the package is imported, those that do know are entered here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["VIEWS", "WRITERS", "Sound"]

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
