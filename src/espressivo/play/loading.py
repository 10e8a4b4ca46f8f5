"""Loading: a model by its name or path, and styles in which it plays."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
from collections.abc import Sequence
from importlib.resources.abc import Traversable

from espressivo.engine import Engine, read_styles
from espressivo.errors import ModelError
from espressivo.play.hub import HUB, MODEL_FILE, fetch
from espressivo.play.model import Model

__all__ = ["DEFAULT_MODEL", "bundled", "bundled_styles", "load"]

DEFAULT_MODEL = "espressivo"
"""Name of the model that is loaded if none is named."""


def bundled() -> tuple[str, ...]:
    """Return the names of the models that come with the package, in alphabetical order."""
    return tuple(_entries(_models(), ".onnx"))


def bundled_styles() -> tuple[str, ...]:
    """Return the names of the styles of the default model, in alphabetical order."""
    return tuple(_entries(_models() / "styles", ".style"))


def _models() -> Traversable:
    return importlib.resources.files("espressivo") / "models"


def _entries(folder: Traversable, ending: str) -> dict[str, Traversable]:
    """Return what is in a folder by its names without an ending, in alphabetical order."""
    if not folder.is_dir():
        return {}
    found = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(ending)}
    return {name.removesuffix(ending): found[name] for name in sorted(found)}


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
        In which it plays: each one that comes with the package by its name, any other by its path;
        with ``:weight`` after it for less of it, or more. Several are mixed.

    Raises
    ------
    ModelError
        If there is no such model or style, its file cannot be used, or a style is of another model.
    """
    loaded = _load(model)
    if not styles:
        return loaded
    entries = _entries(_models() / "styles", ".style")
    with contextlib.ExitStack() as stack:
        as_file = importlib.resources.as_file
        named = {name: stack.enter_context(as_file(entry)) for name, entry in entries.items()}
        read = read_styles(styles, named)
    return Model(loaded.engine.styled(read))


def _load(model: str | os.PathLike[str]) -> Model:
    name = os.fspath(model)
    if name in bundled():
        with importlib.resources.as_file(_models() / f"{name}.onnx") as path:
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
