"""The errors that a user of the package can meet.

::

    EspressivoError
    ├── MidiError         a file is not readable as MIDI, or a performance cannot be written
    ├── CodecError        ids or indices outside a vocabulary; an unknown vocabulary
    ├── DataError         a corpus or a prepared dataset that cannot be used
    ├── AudioError        sound that cannot be read, rendered or written
    ├── ModelError        a model file that is damaged or does not fit
    ├── GenerationError   settings under which nothing can be generated
    ├── PortError         a MIDI port that is not there, or has gone
    ├── ScoreError        a score that cannot be read, or is none
    ├── ServerError       a message to the page's server that is not understood or not allowed
    └── TrainingError     a run that cannot be started or resumed

Each message is one line that names the file (or position), the value and what is allowed.
"""

from typing import Any

__all__ = [
    "AudioError",
    "CodecError",
    "DataError",
    "EspressivoError",
    "GenerationError",
    "MidiError",
    "ModelError",
    "PortError",
    "ScoreError",
    "ServerError",
    "TrainingError",
    "brief",
]


class EspressivoError(Exception):
    """Base of every error that this package raises on bad input."""


class MidiError(EspressivoError):
    """A file is not readable as MIDI, or a performance cannot be written as MIDI."""


class CodecError(EspressivoError, ValueError):
    """An id, an index or the name of a vocabulary is not valid."""


class DataError(EspressivoError):
    """A corpus or a prepared dataset cannot be used."""


class AudioError(EspressivoError):
    """Sound cannot be read or rendered, or not be written as asked."""


class ModelError(EspressivoError):
    """A model file is damaged, incomplete or does not fit its vocabulary."""


class GenerationError(EspressivoError, ValueError):
    """The settings of a generation are out of range or contradict each other."""


class PortError(EspressivoError):
    """A MIDI port is not there, has gone, or cannot be used."""


class ScoreError(EspressivoError):
    """A score cannot be read, or is a performance."""


class ServerError(EspressivoError):
    """A message to the page's server is not understood, or asks for what is not allowed."""


class TrainingError(EspressivoError):
    """A training run cannot be started or resumed as asked."""


def brief(value: Any) -> str:
    """Describe a value that may be huge or deeply nested, for an error, in a few characters."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    if value is not None and type(value) not in (bool, int, float, str):
        return f"a value of type {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
