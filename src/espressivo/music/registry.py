"""What a performance can become, filled from above: files by their ending, and views by their name.

A performance offers `write`, `to_audio` and a look in notebooks, yet knows no MIDI and no sound.
When the package is imported, those that do know are registered here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from espressivo.errors import EspressivoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Sound", "register_view", "register_writer", "view", "writer"]

_writers: dict[str, Callable[..., None]] = {}
_views: dict[str, Callable[..., Any]] = {}


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


def register_writer(suffixes: Iterable[str], write: Callable[..., None]) -> None:
    """Let files whose names end in one of `suffixes`, such as ".mid", be written by a function.

    The function takes the performance, the path, and keywords of its own.
    """
    _writers.update(dict.fromkeys(suffixes, write))


def register_view(name: str, view: Callable[..., Any]) -> None:
    """Let a performance be seen or heard by a function that takes it, and keywords of its own."""
    _views[name] = view


def writer(path: str | os.PathLike[str]) -> Callable[..., None]:
    """Return what writes a file of this name.

    Raises
    ------
    EspressivoError
        If nothing writes files with this ending.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _writers:
        raise EspressivoError(
            f"{os.fspath(path)}: cannot tell what to write: end the name in one of "
            f"{', '.join(sorted(_writers))}"
        )
    return _writers[suffix]


def view(name: str) -> Callable[..., Any]:
    """Return the view of this name; KeyError if there is none."""
    return _views[name]
