"""Kept: results that a run which was stopped leaves for the next one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from espressivo.files import regular, replacing

__all__ = ["Kept"]


class Kept:
    """Results by name, written one by one to a file as they come, each with its hash.

    Parameters
    ----------
    path : Path, optional
        Where; without it nothing is kept.
    made_from : dict
        Plain values that decide the results. Those of a run with others are thrown away.
    """

    def __init__(self, path: Path | None = None, made_from: dict[str, Any] | None = None) -> None:
        self._path = path
        self._results: dict[str, Any] = {}
        if path is None:
            return
        first = _line({"made_from": made_from})
        lines = regular(path).read_bytes().splitlines(keepends=True) if path.exists() else []
        if lines[:1] == [first]:
            for line in lines[1:]:
                digest, _, text = line.partition(b" ")
                if digest == _digest(text):  # else it has changed, or a killed run wrote it
                    self._results.update(json.loads(text))
        with replacing(path) as temporary:
            kept = [_line({name: result}) for name, result in self._results.items()]
            temporary.write_bytes(b"".join([first, *kept]))

    def __contains__(self, name: str) -> bool:
        return name in self._results

    def __getitem__(self, name: str) -> Any:
        return self._results[name]

    def keep(self, name: str, result: Any) -> None:
        """Keep a result of plain values."""
        self._results[name] = result
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(_line({name: result}))

    def done(self) -> None:
        """Remove the file: the run has come to its end."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value).encode() + b"\n"
    return _digest(text) + b" " + text


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
