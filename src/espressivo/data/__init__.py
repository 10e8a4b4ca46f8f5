"""Data: folders of MIDI files become datasets, from which training reads."""

from __future__ import annotations

from espressivo.data.annotations import Annotated, Annotation, annotated, read_annotation
from espressivo.data.augment import Augmentation
from espressivo.data.corpus import prepare
from espressivo.data.dataset import Dataset
from espressivo.data.finding import find_files, match_rows, read_splits
from espressivo.data.fingerprint import Sketch, mixed, sketch
from espressivo.data.following import Take, followed, take_of
from espressivo.data.half import HALVES, Half, halves
from espressivo.data.pairs import LEAST_MATCHED, Pair, Pairs, Piece, engraved, half_of, read_pairs
from espressivo.data.probes import COPIES, PAST_S, Probe, copies, past
from espressivo.data.shards import follow_parent, processes
from espressivo.data.sides import Material
from espressivo.data.splits import SPLITS
from espressivo.data.tokenizer import Tokenizer, Tokens
from espressivo.data.windows import (
    IGNORED,
    Batch,
    Cut,
    Passage,
    batches,
    passages,
)

__all__ = [
    "COPIES",
    "HALVES",
    "IGNORED",
    "LEAST_MATCHED",
    "PAST_S",
    "SPLITS",
    "Annotated",
    "Annotation",
    "Augmentation",
    "Batch",
    "Cut",
    "Dataset",
    "Half",
    "Material",
    "Pair",
    "Pairs",
    "Passage",
    "Piece",
    "Probe",
    "Sketch",
    "Take",
    "Tokenizer",
    "Tokens",
    "annotated",
    "batches",
    "copies",
    "engraved",
    "find_files",
    "follow_parent",
    "followed",
    "half_of",
    "halves",
    "match_rows",
    "mixed",
    "passages",
    "past",
    "prepare",
    "processes",
    "read_annotation",
    "read_pairs",
    "read_splits",
    "sketch",
    "take_of",
]
