"""Loading: a model by its name or its file."""

from __future__ import annotations

import importlib.resources
import os

from espressivo.engine import Engine
from espressivo.errors import ModelError
from espressivo.play.model import Model

__all__ = ["DEFAULT_MODEL", "bundled", "load"]

DEFAULT_MODEL = "espressivo"
"""Name of the model that is loaded if none is named."""


def bundled() -> tuple[str, ...]:
    """Return the names of the models that come with the package, in alphabetical order."""
    folder = importlib.resources.files("espressivo") / "models"
    if not folder.is_dir():
        return ()
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".onnx") for name in names if name.endswith(".onnx")))


def load(model: str | os.PathLike[str] = DEFAULT_MODEL) -> Model:
    """Load a model: one that comes with the package by its name, any other by its path.

    A model can be pickled, and used from several threads at once.

    Raises
    ------
    ModelError
        If there is no such model, or its file cannot be used.
    """
    name = os.fspath(model)
    if name in bundled():
        entry = importlib.resources.files("espressivo") / "models" / f"{name}.onnx"
        with importlib.resources.as_file(entry) as path:
            return Model(Engine(path))
    if not os.path.exists(name) and os.path.basename(name) == name and not name.endswith(".onnx"):
        names = ", ".join(bundled()) or "none"
        raise ModelError(
            f"no model is named {name!r}: give the path of a model file, or one that comes with "
            f"the package: {names}"
        )
    return Model(Engine(name))
