"""Seals: a file that holds the hash of its own bytes.

A writer puts `SEAL` where the hash is to stand, once in a file, and calls `seal` when all other
bytes are in place. The hash is the SHA-256 of the file with zeros for its own 64 digits, so no
byte of the file can change unnoticed, those digits included.
"""

from __future__ import annotations

import hashlib
import mmap

__all__ = ["SEAL", "intact", "seal"]

_MARK, _DIGITS = b"espressivo-sha256:", 64

SEAL = _MARK.decode() + "0" * _DIGITS
"""What stands in a file until it is sealed."""


def seal(content: bytearray | mmap.mmap) -> None:
    """Put the hash of a content into it, where it holds `SEAL`."""
    begin = _begin(content)
    content[begin : begin + _DIGITS] = _hash(content, begin)


def intact(content: bytes | mmap.mmap) -> bool | None:
    """Tell whether a content is what was sealed; None if it never was."""
    begin = _begin(content)
    if begin < len(_MARK):
        return None
    return content[begin : begin + _DIGITS] == _hash(content, begin)


def _begin(content: bytes | bytearray | mmap.mmap) -> int:
    return content.rfind(_MARK) + len(_MARK)


def _hash(content: bytes | bytearray | mmap.mmap, begin: int) -> bytes:
    with memoryview(content) as view:
        digest = hashlib.sha256(view[:begin])
        digest.update(b"0" * _DIGITS)
        digest.update(view[begin + _DIGITS :])
    return digest.hexdigest().encode()
