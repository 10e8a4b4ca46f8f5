"""Kept: results that a run which was stopped leaves for the next one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from espressivo.files import regular, replacing

__all__ = ["Kept"]


class Kept:
    """Results by name, written one by one to a file as they come.

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
        first = json.dumps({"made_from": made_from})
        lines = regular(path).read_text(encoding="utf-8").splitlines() if path.exists() else []
        if lines[:1] == [first]:
            for line in lines[1:]:
                try:
                    self._results.update(json.loads(line))
                except ValueError:  # the last one, of a run that was killed while it wrote
                    break
        kept = [json.dumps({name: result}) for name, result in self._results.items()]
        with replacing(path) as temporary:
            temporary.write_text("\n".join([first, *kept]) + "\n", encoding="utf-8")

    def __contains__(self, name: str) -> bool:
        return name in self._results

    def __getitem__(self, name: str) -> Any:
        return self._results[name]

    def keep(self, name: str, result: Any) -> None:
        """Keep a result of plain values."""
        self._results[name] = result
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({name: result}) + "\n")

    def done(self) -> None:
        """Remove the file: the run has come to its end."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
