"""Layout: what the files of a prepared dataset are called."""

from __future__ import annotations

__all__ = ["DESCRIPTION", "FORMAT", "IDS", "MANIFEST"]

FORMAT = 2
"""Version of the layout of a prepared dataset. From version 2 on every byte is under a hash, and
all ids are in one file; in version 1 they are in shards."""

DESCRIPTION, MANIFEST, IDS = "dataset.json", "manifest.csv", "pieces.ids"
"""The files of a prepared dataset; the first is written last."""
