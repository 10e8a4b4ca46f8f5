"""Checkpoint: the whole state of a training run, in a file."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espressivo.codes import Vocabulary
from espressivo.errors import TrainingError
from espressivo.files import replacing
from espressivo.networks import Network, build
from espressivo.training.config import TrainingConfig

__all__ = ["Checkpoint", "load_network"]

FORMAT = 2
"""Version of the layout of a checkpoint."""

_LENGTH = {"rounds", "max_time_s", "patience", "validate_every", "checkpoint_every_s"}
"""Settings that a resumed run may change: they do not touch what an update does."""


@dataclass
class Checkpoint:
    """The whole state of a run. Stored as plain values and tensors, so loading runs no code.

    Fields are stored under their names; `step` of `steps` updates are done.
    """

    config: TrainingConfig
    vocabulary: Vocabulary
    network: dict[str, Tensor]
    optimizers: list[dict[str, Any]]
    steps: int
    step: int = 0
    falls_from: float | None = None  # the update from which the rate falls, if not as usual
    skipped: int = 0  # updates, as their gradients were not finite
    events: int = 0
    seconds: float = 0.0
    positions: list[Any] = field(default_factory=list)  # one for each process
    carried: list[list[Tensor]] = field(default_factory=list)  # likewise
    rng: list[Any] = field(default_factory=list)  # likewise
    average: dict[str, Tensor] = field(default_factory=dict)  # of the weights; empty for none
    best_nats: float = math.inf
    best_step: int = 0
    validations_since_best: int = 0
    log: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write the checkpoint, all or nothing."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain |= {"config": self.config.to_dict(), "vocabulary": self.vocabulary.to_dict()}
        with replacing(path) as temporary:
            torch.save({"format": FORMAT, **plain}, temporary)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; `TrainingError` if it is missing, damaged or of another version."""
        try:
            plain = torch.load(path, map_location="cpu", weights_only=True)
            if plain.pop("format") != FORMAT:
                raise TrainingError(f"{path}: a checkpoint of another version; train anew")
            plain["config"] = TrainingConfig.from_dict(plain["config"])
            plain["vocabulary"] = Vocabulary(**plain["vocabulary"])
            return cls(**plain)
        except FileNotFoundError:
            raise TrainingError(f"{path}: no such checkpoint") from None
        except TrainingError:
            raise
        except Exception as error:  # torch.load raises many kinds for a damaged file
            first_line = str(error).partition("\n")[0]
            raise TrainingError(f"{path}: not a checkpoint ({first_line})") from error

    def resumed(self, config: TrainingConfig, vocabulary: Vocabulary, path: Path) -> Checkpoint:
        """Return the checkpoint with settings of another length; `TrainingError` on any other."""
        before, now = self.config.to_dict(), config.to_dict()
        changed = sorted(name for name in now if name not in _LENGTH and now[name] != before[name])
        if self.vocabulary != vocabulary:
            changed.append("vocabulary")
        if changed:
            raise TrainingError(
                f"{path}: the run was begun with other settings: {', '.join(changed)}; "
                "resume it with those, or choose another folder"
            )
        return dataclasses.replace(self, config=config)


def load_network(path: Path) -> tuple[Network, Checkpoint]:
    """Load the network of a checkpoint, ready to use: with averaged weights where there are."""
    checkpoint = Checkpoint.load(path)
    network = build(checkpoint.config.network, checkpoint.vocabulary)
    try:
        network.load_state_dict(checkpoint.average or checkpoint.network)
    except RuntimeError as error:
        raise TrainingError(f"{path}: its weights do not fit its settings; train anew") from error
    return network.eval(), checkpoint
