"""Loading: a model by its name or path, and styles in which it plays."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Sequence

from espressivo.engine import Engine, read_styles
from espressivo.errors import ModelError
from espressivo.play.hub import HUB, MODEL_FILE, fetch
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


def load(model: str | os.PathLike[str] = DEFAULT_MODEL, styles: Sequence[str] = ()) -> Model:
    """Load a model: one that comes with the package by its name, any other by its path.

    A model can be pickled, and used from several threads at once.

    Parameters
    ----------
    model : str or path
        A bundled model's name; a model file; a folder that holds one as ``model.onnx``, as
        ``espressivo export`` writes it; or ``hf:organisation/name``, which is fetched from Hugging
        Face's hub with the extra ``hub``, once, with ``@revision`` after it if need be.
    styles : sequence of str, optional
        Style files in which it plays, each as its path or as ``path:weight``; several are mixed.

    Raises
    ------
    ModelError
        If there is no such model or style, its file cannot be used, or a style is of another model.
    """
    loaded = _load(model)
    return Model(loaded.engine.styled(read_styles(styles))) if styles else loaded


def _load(model: str | os.PathLike[str]) -> Model:
    name = os.fspath(model)
    if name in bundled():
        entry = importlib.resources.files("espressivo") / "models" / f"{name}.onnx"
        with importlib.resources.as_file(entry) as path:
            return Model(Engine(path))
    if name.startswith(HUB):
        return Model(Engine(fetch(name)))
    if os.path.isdir(name):
        file = os.path.join(name, MODEL_FILE)
        if not os.path.isfile(file):
            raise ModelError(
                f"{name}: this folder holds no {MODEL_FILE}: espressivo export {name} -o {file} "
                "makes one of weights to learn from"
            )
        return Model(Engine(file))
    if not os.path.exists(name) and os.path.basename(name) == name and not name.endswith(".onnx"):
        names = ", ".join(bundled()) or "none"
        raise ModelError(
            f"no model is named {name!r}: give the path of a model file, or one that comes with "
            f"the package: {names}"
        )
    return Model(Engine(name))
