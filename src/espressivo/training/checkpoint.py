"""What a training run is made of: its settings, and the checkpoint that holds its whole state."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espressivo.codes import Vocabulary
from espressivo.data import Augmentation, Cut
from espressivo.errors import TrainingError
from espressivo.files import replacing
from espressivo.networks import (
    Network,
    NetworkConfig,
    RecurrentConfig,
    build,
    config_from_dict,
)

__all__ = ["Checkpoint", "TrainingConfig", "load_network"]

FORMAT = 2
"""Version of the layout of a checkpoint."""

_LENGTH = {"rounds", "max_time_s", "patience", "validate_every", "checkpoint_every_s"}
"""Settings that a resumed run may change: they do not touch what an update does."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a run does, but not where it runs.

    Parameters
    ----------
    network : RecurrentConfig or StackConfig
    cut : Cut
        Rows and length of the windows, and whether state is carried from window to window.
    augmentation : Augmentation, optional
        None trains on the pieces as they are.
    rounds : float
        Passes over the training split, at least; they fix the number of updates.
    max_time_s : float, optional
        Seconds that the run may take, resumed parts together. The number of updates is then planned
        from the speed so far, until the learning rate begins to fall.
    optimizer : {"adamw", "adam", "muon"}
        "muon" moves the matrices between the layers of a stack by Muon, and all else by AdamW.
    learning_rate : float
        The highest one.
    weight_decay : float
        Of AdamW and Muon, on matrices alone.
    clip : float
        Largest norm of the gradient.
    warmup_steps : int
        Updates over which the learning rate rises.
    decay : float
        Share of the updates, at the end, over which the learning rate falls to 0.
    average : float
        Share of their running average that the weights keep at each update, such as 0.999; what
        is validated and exported is then the average. 0 for none.
    validate_every : int
        Updates between validations.
    validation_events : int, optional
        Validate on so many events from the beginning of each piece; None for all.
    patience : int, optional
        Stop after so many validations in a row without a new best.
    checkpoint_every_s : float
        Seconds between checkpoints, besides the one at each validation.
    seed : int
    compile : bool
        Whether torch compiles the network: much faster for a stack, after a minute or two.
    precision : str
        As `lightning.fabric.Fabric` takes it; "auto" is bf16 with fp32 weights where the
        processor multiplies bf16 natively, else fp32.
    """

    network: NetworkConfig = field(default_factory=RecurrentConfig)
    cut: Cut = field(default_factory=Cut)
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    rounds: float = 10.0
    max_time_s: float | None = None
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    warmup_steps: int = 100
    decay: float = 0.3
    average: float = 0.0
    validate_every: int = 500
    validation_events: int | None = 2000
    patience: int | None = None
    checkpoint_every_s: float = 300.0
    seed: int = 0
    compile: bool = False
    precision: str = "auto"

    def __post_init__(self) -> None:
        problems = [
            text
            for text, wrong in (
                ("rounds must be above 0", self.rounds <= 0),
                (
                    "max_time_s must be above 0",
                    self.max_time_s is not None and self.max_time_s <= 0,
                ),
                (
                    "optimizer must be 'adamw', 'adam' or 'muon'",
                    self.optimizer not in ("adamw", "adam", "muon"),
                ),
                (
                    "muon needs a stack",
                    self.optimizer == "muon" and isinstance(self.network, RecurrentConfig),
                ),
                (
                    "controls and note-wise networks need carried windows",
                    (self.network.controls > 0 or self.network.notewise) and not self.cut.carried,
                ),
                ("learning_rate and clip must be above 0", min(self.learning_rate, self.clip) <= 0),
                ("weight_decay must be at least 0", self.weight_decay < 0),
                ("warmup_steps must be at least 0", self.warmup_steps < 0),
                ("decay must be within 0..1", not 0 <= self.decay <= 1),
                ("average must be at least 0 and less than 1", not 0 <= self.average < 1),
                ("validate_every must be at least 1", self.validate_every < 1),
                ("patience must be at least 1", self.patience is not None and self.patience < 1),
            )
            if wrong
        ]
        if problems:
            raise ValueError("; ".join(problems))

    def learning_rate_at(self, update: int, updates: int) -> float:
        """Return the learning rate of update 0, 1, ... of a run of so many."""
        rising = (update + 1) / (self.warmup_steps + 1)
        falling = (updates - update) / max(self.decay * updates, 1)
        return self.learning_rate * min(rising, 1.0, max(falling, 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values; `from_dict` reads them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TrainingConfig:
        """Make settings from plain values."""
        augmentation = plain["augmentation"]
        return cls(
            **plain
            | {
                "network": config_from_dict(plain["network"]),
                "cut": Cut(**plain["cut"]),
                "augmentation": augmentation and Augmentation(**augmentation),
            }
        )


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
    events: int = 0
    seconds: float = 0.0
    positions: list[Any] = field(default_factory=list)  # one for each process
    carried: list[list[Tensor]] = field(default_factory=list)  # likewise
    rng: list[Tensor] = field(default_factory=list)  # likewise
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
