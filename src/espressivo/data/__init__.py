"""Data: folders of MIDI files become datasets, from which training reads."""

from __future__ import annotations

from espressivo.data.augment import Augmentation
from espressivo.data.corpus import (
    SPLITS,
    find_files,
    match_rows,
    prepare,
    read_splits,
)
from espressivo.data.dataset import Dataset
from espressivo.data.fingerprint import mixed
from espressivo.data.shards import processes
from espressivo.data.windows import (
    IGNORED,
    Batch,
    Cut,
    batches,
    whole_pieces,
)

__all__ = [
    "IGNORED",
    "SPLITS",
    "Augmentation",
    "Batch",
    "Cut",
    "Dataset",
    "batches",
    "find_files",
    "match_rows",
    "mixed",
    "prepare",
    "processes",
    "read_splits",
    "whole_pieces",
]
