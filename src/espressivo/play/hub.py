"""Models of Hugging Face's hub, or of a server like it: ``hf:organisation/name``."""

from __future__ import annotations

import re
from pathlib import Path

from espressivo.errors import ModelError

__all__ = ["HUB", "MODEL_FILE", "fetch"]

HUB = "hf:"
"""How the names of such models begin."""
MODEL_FILE = "model.onnx"
"""The file in a model's folder that is played; weights to learn from lie beside it."""

_NAME = re.compile(r"hf:(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)


def fetch(name: str) -> Path:
    """Fetch the model file of a repository, unless it has been fetched before, and return its path.

    Nothing else is fetched, and no code of the repository is run. The file stays in the hub's
    folder of what was fetched (``HF_HOME``); with ``HF_HUB_OFFLINE=1`` only that is looked at.

    Parameters
    ----------
    name : str
        ``hf:organisation/name``, or ``hf:organisation/name@revision`` with a branch, a tag or a
        commit; only a commit always means the same weights.

    Raises
    ------
    ModelError
        If huggingface_hub is not installed, the name is none, or there is no such file to be had.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ModelError(
            f"{name}: is no name of a model on the hub: write hf:organisation/name, and perhaps "
            "@ and a revision"
        )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError:
        raise ModelError(
            f"{name}: this needs huggingface_hub: pip install 'espressivo[hub]'"
        ) from None
    try:
        return Path(hf_hub_download(match["id"], MODEL_FILE, revision=match["revision"]))
    except LocalEntryNotFoundError as error:  # it is not here, and the hub is out of reach
        raise _unreachable(name, error) from None
    except EntryNotFoundError:
        raise ModelError(
            f"{name}: has no {MODEL_FILE}, which espressivo export writes: choose another model"
        ) from None
    except RepositoryNotFoundError:
        raise ModelError(f"{name}: there is no such model, or it is not public") from None
    except Exception as error:  # whatever happens on the way: there are many kinds
        raise _unreachable(name, error) from None


def _unreachable(name: str, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ModelError(f"{name}: cannot be fetched: {reason}")
