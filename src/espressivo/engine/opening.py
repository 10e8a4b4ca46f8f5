"""Opening: a model file becomes a session of ONNX Runtime, if it is whole and ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from espressivo import telemetry
from espressivo.errors import ModelError
from espressivo.files import intact, regular

__all__ = [
    "FORMAT",
    "HEALS",
    "METADATA_KEY",
    "described",
    "is_sealed",
    "one_line",
    "opened",
    "read_content",
]

FORMAT = 7
"""Version of the layout of a model file. From version 3 on the network may be a stack, and may read
controls; from version 4 on its vocabulary may be note-wise; from version 5 on it is sealed, and may
read pointers; from version 6 on a state can be a tape, of which the graph gives what it gains; from
version 7 on it may be able to fill gaps."""

_OLDEST_FORMAT, _OLDEST_SEALED = 2, 5
_OUTSIDE = b"\x0a\x08location\x12"  # how an ONNX file names another that holds some of its weights

METADATA_KEY = "espressivo"
"""Where in the metadata of the graph its description stands."""

HEALS = "fetch or export it again"
"""What to do with a damaged file."""


def read_content(path: Path) -> bytes:
    """Return what a file holds; `ModelError` if it cannot be read."""
    try:
        return regular(path).read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file: check the name") from None
    except IsADirectoryError:
        raise ModelError(f"{path}: is a folder: give the model file in it") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def is_sealed(content: bytes, name: str) -> bool:
    """Tell whether a content is sealed; `ModelError` if it has changed or is not all there is."""
    whole = intact(content)
    if whole is False:
        raise ModelError(f"{name}: has changed since it was written: {HEALS}")
    if not whole and _OUTSIDE in content:
        raise ModelError(f"{name}: keeps weights in another file, which is not read: {HEALS}")
    return bool(whole)


def opened(content: bytes, name: str, threads: int) -> tuple[Any, dict[str, str]]:
    """Return an `onnxruntime.InferenceSession` and the metadata of its graph."""
    telemetry.forbid()
    import onnxruntime  # here, since importing it takes long

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; nothing need be printed as well
    try:
        session = onnxruntime.InferenceSession(
            content, options, ["CPUExecutionProvider"], enable_fallback=0
        )
        return session, session.get_modelmeta().custom_metadata_map
    except Exception as error:  # ONNX Runtime has no common base of its errors
        raise ModelError(
            f"{name}: is not a whole model file ({one_line(error)}): {HEALS}"
        ) from None


def described(metadata: dict[str, str], name: str, sealed: bool) -> dict[str, Any]:
    """Return what a model file says of itself, once its format is known to be ours."""
    if METADATA_KEY not in metadata:
        raise ModelError(
            f"{name}: is an ONNX file without a description by espressivo: use a model file "
            "that espressivo exported"
        )
    try:
        description = json.loads(metadata[METADATA_KEY])
        version = description["format"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelError(f"{name}: its description is damaged: export it again") from None
    if version not in range(_OLDEST_FORMAT, FORMAT + 1):
        raise ModelError(
            f"{name}: has format {version} and this espressivo reads formats "
            f"{_OLDEST_FORMAT} to {FORMAT}: "
            "update espressivo or export the model again"
        )
    if version >= _OLDEST_SEALED and not sealed:
        raise ModelError(f"{name}: has changed since it was written: {HEALS}")
    return dict(description)


def one_line(error: Exception) -> str:
    """Return what an error says, as one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
