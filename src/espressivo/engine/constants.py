"""Constants of a model file: numbers are added to some of them before it is opened.

A file in ONNX is made of messages in messages (protobuf). Only those on the way to the constants of
its graph, and of the branches in that, are read, so that playing needs no other library. Nothing
but the bytes of these numbers changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["with_added"]

_GRAPH = 7  # the numbers of fields: of a model,
_NODE, _CONSTANT = 1, 5  # of a graph,
_ATTRIBUTE, _BRANCH = 5, 6  # of a node and of its attribute,
_NAME, _NUMBERS = 8, 9  # and of a constant
_FIXED = {1: 8, 5: 4}  # bytes of kinds of fields that have always as many
_WHOLE, _LONG = 0, 2  # kinds of fields: a whole number, and a length with so many bytes


def with_added(content: bytes, added: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Return a model file with numbers added to its constants of these names, all in 32 bits.

    Raises
    ------
    ValueError
        If it has no such constant, or one of another size.
    """
    changed, left = bytearray(content), dict(added)
    for _, begin, end in _fields(content, 0, len(content), {_GRAPH}):
        for name, first, last in _constants(content, begin, end):
            if name not in left:
                continue
            more = left.pop(name)
            if last - first != 4 * more.size:
                raise ValueError(f"{name} has {(last - first) // 4} numbers, not {more.size}")
            own = np.frombuffer(content[first:last], "<f4")
            changed[first:last] = (own + more.ravel()).astype("<f4").tobytes()
    if left:
        raise ValueError(f"it has no constant {min(left)}")
    return bytes(changed)


def _constants(content: bytes, begin: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each constant of a graph and where its numbers begin and end."""
    for number, first, last in _fields(content, begin, end, {_NODE, _CONSTANT}):
        if number == _CONSTANT:
            parts = {n: (a, b) for n, a, b in _fields(content, first, last, {_NAME, _NUMBERS})}
            if len(parts) == 2:
                name = slice(*parts[_NAME])
                yield content[name].decode(), *parts[_NUMBERS]
            continue
        for _, one, two in _fields(content, first, last, {_ATTRIBUTE}):
            for _, three, four in _fields(content, one, two, {_BRANCH}):
                yield from _constants(content, three, four)


def _fields(
    content: bytes, begin: int, end: int, wanted: set[int]
) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each wanted field of a message, and where its bytes begin and end."""
    at = begin
    while at < end:
        key, at = _whole(content, at)
        number, kind = key >> 3, key & 7
        if kind == _WHOLE:
            _, at = _whole(content, at)
        elif kind == _LONG:
            length, at = _whole(content, at)
            if number in wanted:
                yield number, at, at + length
            at += length
        else:
            at += _FIXED[kind]


def _whole(content: bytes, at: int) -> tuple[int, int]:
    """Read a whole number, 7 bits a byte; return it and where it ends."""
    number, shift = 0, 0
    while True:
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
