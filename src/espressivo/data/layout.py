"""Layout: what the files of a prepared dataset are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DESCRIPTION", "FORMAT", "FORMATS", "IDS", "MANIFESTS", "kind_of"]

FORMAT = 2
"""Version of the layout of a prepared dataset. From version 2 on every byte is under a hash, and
all ids are in one file; in version 1 they are in shards. Where the manifest is Parquet, the dataset
is of version 3."""

FORMATS = (1, 2, 3)
"""Versions that are read."""

DESCRIPTION, IDS = "dataset.json", "pieces.ids"
"""Files of a prepared dataset; the first is written last."""

MANIFESTS = {"csv": "manifest.csv", "parquet": "manifest.parquet"}
"""And what the manifest is called, by its kind."""


def kind_of(about: Mapping[str, Any]) -> str:
    """Return the kind of the manifest of a dataset by its description."""
    return "parquet" if about["format"] == 3 else "csv"
