"""Training: a network learns from a dataset, in a run that can be stopped and resumed."""

from __future__ import annotations

from espressivo.training.checkpoint import Checkpoint, load_network
from espressivo.training.config import TrainingConfig
from espressivo.training.run import Outcome, train

__all__ = [
    "Checkpoint",
    "Outcome",
    "TrainingConfig",
    "load_network",
    "train",
]
