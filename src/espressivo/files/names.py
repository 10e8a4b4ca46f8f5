"""Names of files: how they end, and how they are shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

from espressivo.files.writing import is_stream

__all__ = ["ending", "is_url", "printable"]


def ending(path: str | os.PathLike[str], of_streams: str) -> str:
    """Return how a name ends, in small letters, such as ".mid".

    A stream without an ending, such as ``-`` or ``/dev/stdout``, has the one of `of_streams`.
    """
    suffix = Path(path).suffix.lower()
    return of_streams if not suffix and is_stream(path) else suffix


def is_url(text: str | os.PathLike[str]) -> bool:
    """Tell whether a text is the URL of a folder or file, such as s3://bucket/data."""
    return re.match(r"[a-z][a-z0-9+.-]+://", os.fspath(text)) is not None


def printable(text: str) -> str:
    r"""Return a text as one line that any terminal and any file can take.

    Line breaks, escape sequences and bytes of a name that are no text are written as escapes,
    such as ``\x1b``.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # how Python keeps a byte that is no text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
