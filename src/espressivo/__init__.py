"""espressivo: learns how people play the piano, timing and dynamics included, and plays.

>>> import espressivo
>>> v = espressivo.vocabulary("seed")
>>> chord = v.from_one_based([300, 60, 62, 64, 67, 226, 152, 155, 226, 150, 226, 148])
>>> v.decode(chord).seconds
1.5
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from espressivo.errors import EspressivoError
from espressivo.performance import Performance

# Not lazily: the module of this name would otherwise take the function's place when imported.
from espressivo.vocabulary import Vocabulary, vocabulary

if TYPE_CHECKING:
    from espressivo.corpus import prepare
    from espressivo.dataset import Dataset
    from espressivo.generation import Model, load
    from espressivo.midi import read, write

__all__ = [
    "Dataset",
    "EspressivoError",
    "Model",
    "Performance",
    "Vocabulary",
    "__version__",
    "load",
    "prepare",
    "read",
    "vocabulary",
    "write",
]

__version__ = "0.1.0"

_LAZY = {
    "Dataset": "dataset",
    "Model": "generation",
    "load": "generation",
    "prepare": "corpus",
    "read": "midi",
    "write": "midi",
}


def __getattr__(name: str) -> Any:
    """Import the parts that cost time when they are first used."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
