"""espressivo: learns how people play the piano, timing and dynamics included, and plays.

>>> import espressivo
>>> v = espressivo.vocabulary("seed")
>>> chord = v.from_one_based([300, 60, 62, 64, 67, 226, 152, 155, 226, 150, 226, 148])
>>> v.decode(chord).seconds
1.5
"""

from __future__ import annotations

import os
from collections.abc import Collection
from importlib import import_module
from typing import TYPE_CHECKING, Any

from espressivo.errors import EspressivoError
from espressivo.progress import Progress
from espressivo.registry import READERS, RECORDINGS, VIEWS, WRITERS, Sound
from espressivo.version import __version__

if TYPE_CHECKING:
    from espressivo.codes import Vocabulary, vocabulary
    from espressivo.data import Dataset, prepare
    from espressivo.midi import write
    from espressivo.music import Beats, Performance, Score, read
    from espressivo.notation import beats, notate, read_score
    from espressivo.play import Model, load, perform

__all__ = [
    "Beats",
    "Dataset",
    "EspressivoError",
    "Model",
    "Performance",
    "Score",
    "Vocabulary",
    "__version__",
    "beats",
    "load",
    "notate",
    "perform",
    "prepare",
    "read",
    "read_score",
    "vocabulary",
    "write",
]

_LAZY = {
    "Beats": "espressivo.music",
    "Dataset": "espressivo.data",
    "Model": "espressivo.play",
    "Performance": "espressivo.music",
    "Score": "espressivo.music",
    "Vocabulary": "espressivo.codes",
    "beats": "espressivo.notation",
    "load": "espressivo.play",
    "notate": "espressivo.notation",
    "perform": "espressivo.play",
    "prepare": "espressivo.data",
    "read": "espressivo.music",
    "read_score": "espressivo.notation",
    "vocabulary": "espressivo.codes",
    "write": "espressivo.midi",
}


def __getattr__(name: str) -> Any:
    """Import the parts that cost time when they are first used."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__


# What a performance can be read from and become. Each is imported only when it is first needed.


def _read_midi(
    path: str | os.PathLike[str], programs: Collection[int] | None, progress: Progress | None
) -> Performance:
    from espressivo.midi import read

    return read(path, programs)


def _read_sound(
    path: str | os.PathLike[str], programs: Collection[int] | None, progress: Progress | None
) -> Performance:
    from espressivo.transcribe import transcribe

    return transcribe(path, progress=progress)


def _write_midi(performance: Performance, path: str | os.PathLike[str], **options: Any) -> None:
    from espressivo.midi import write

    write(performance, path, **options)


def _write_sound(performance: Performance, path: str | os.PathLike[str], **options: Any) -> None:
    from espressivo.views import write_sound

    write_sound(performance, path, **options)


def _audio(performance: Performance, **options: Any) -> Sound:
    from espressivo.views import render

    return render(performance, **options)


def _html(performance: Performance) -> str:
    from espressivo.views import html

    return html(performance)


READERS.update(dict.fromkeys((".mid", ".midi", ".kar"), _read_midi))
READERS.update(dict.fromkeys(RECORDINGS, _read_sound))
WRITERS.update(dict.fromkeys((".mid", ".midi", ".kar"), _write_midi))
WRITERS.update(dict.fromkeys((".wav", ".flac", ".ogg", ".mp3"), _write_sound))
VIEWS.update(audio=_audio, html=_html)
