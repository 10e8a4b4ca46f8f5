"""Training: a network learns from a dataset, in a run that can be stopped and resumed."""

from __future__ import annotations

from espressivo.training.boosting import Boosting
from espressivo.training.checkpoint import Checkpoint, load_network
from espressivo.training.config import TrainingConfig
from espressivo.training.interpreter import InterpreterConfig, train_interpreter
from espressivo.training.run import Outcome, train
from espressivo.training.score_reading import Reading

__all__ = [
    "Boosting",
    "Checkpoint",
    "InterpreterConfig",
    "Outcome",
    "Reading",
    "TrainingConfig",
    "load_network",
    "train",
    "train_interpreter",
]
