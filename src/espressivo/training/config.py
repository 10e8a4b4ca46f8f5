"""Config: the settings of a training run, which fix what it does, but not where it runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from espressivo.data import Augmentation, Cut
from espressivo.networks import NetworkConfig, RecurrentConfig, config_from_dict
from espressivo.numeric import Range, fields_within

__all__ = ["TrainingConfig"]

_RANGES: dict[str, Range] = {
    "rounds": {"above": 0},
    "max_time_s": {"above": 0, "optional": True},
    "learning_rate": {"above": 0},
    "weight_decay": {"least": 0},
    "clip": {"above": 0},
    "warmup_updates": {"least": 0, "whole": True},
    "decay": {"least": 0, "most": 1},
    "accumulate": {"least": 1, "whole": True},
    "average": {"least": 0, "below": 1},
    "validate_every": {"least": 1, "whole": True},
    "validation_share": {"above": 0, "most": 1},
    "keep": {"least": 0, "most": 99, "whole": True},
    "patience": {"least": 1, "whole": True, "optional": True},
    "checkpoint_every_s": {"least": 0},
    "seed": {"least": 0, "most": (1 << 64) - 1, "whole": True},
}


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
        from the speed so far, over and over.
    optimizer : {"adamw", "adam", "muon"}
        "muon" moves the matrices between the layers of a stack by Muon, and all else by AdamW.
    learning_rate : float
        The highest one.
    weight_decay : float
        Of AdamW and Muon, on matrices alone.
    clip : float
        Largest norm of the gradient.
    warmup_updates : int
        Updates over which the learning rate rises.
    decay : float
        Share of the updates, at the end, over which the learning rate falls to 0.
    accumulate : int
        Parts in which the rows of a batch are read, one after another, to save memory; an update
        is the same, but for rounding.
    average : float
        Share of their running average that the weights keep at each update, such as 0.999; what
        is validated and exported is then the average. 0 for none.
    validate_every : int
        Updates between validations.
    validation_share : float
        Events that a validation reads at most, as a share of those that these updates learn from.
    patience : int, optional
        Stop after so many validations in a row without a new best.
    checkpoint_every_s : float
        Seconds between checkpoints, besides the one at each validation.
    keep : int
        So many checkpoints stay on the way, at even shares of the run, up to 99.
    only : str, optional
        Train only the part of the network of this name, such as "pointers", or "rank", what is
        learned beside matrices; all else stays.
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
    warmup_updates: int = 100
    decay: float = 0.3
    accumulate: int = 1
    average: float = 0.0
    validate_every: int = 500
    validation_share: float = 0.05
    patience: int | None = None
    checkpoint_every_s: float = 300.0
    keep: int = 0
    only: str | None = None
    seed: int = 0
    compile: bool = False
    precision: str = "auto"

    def __post_init__(self) -> None:
        problems = fields_within(self, _RANGES)
        problems += [
            text
            for text, wrong in (
                (
                    "optimizer must be 'adamw', 'adam' or 'muon'",
                    self.optimizer not in ("adamw", "adam", "muon"),
                ),
                (
                    "muon needs a stack",
                    self.optimizer == "muon" and isinstance(self.network, RecurrentConfig),
                ),
                (
                    "side inputs and note-wise networks need carried windows",
                    bool(self.network.sides or self.network.notewise) and not self.cut.carried,
                ),
                (
                    "gaps need a network that learns to fill them",
                    self.cut.gaps > 0 and "fill" not in self.network.sides,
                ),
                (
                    "accumulate must divide the rows",
                    not problems and self.cut.rows % self.accumulate != 0,
                ),
            )
            if wrong
        ]
        if problems:
            raise ValueError("; ".join(problems))

    def falls_from(self, updates: int) -> float:
        """Return the update from which the learning rate falls in a run of so many."""
        return updates - self.decay * updates

    def learning_rate_at(self, update: int, updates: int, falls_from: float | None = None) -> float:
        """Return the learning rate of update 0, 1, ... of a run of so many.

        It falls from the update that `decay` says, or that is given.
        """
        if falls_from is None:
            falls_from = self.falls_from(updates)
        rising = (update + 1) / (self.warmup_updates + 1)
        falling = (updates - update) / max(updates - falls_from, 1)
        return self.learning_rate * min(rising, 1.0, max(falling, 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values; `from_dict` reads them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TrainingConfig:
        """Make settings from plain values, also from those of before they had all their names."""
        plain = {name: value for name, value in plain.items() if name != "validation_events"}
        if "warmup_steps" in plain:
            plain["warmup_updates"] = plain.pop("warmup_steps")
        augmentation = plain["augmentation"]
        return cls(
            **plain
            | {
                "network": config_from_dict(plain["network"]),
                "cut": Cut(**plain["cut"]),
                "augmentation": augmentation and Augmentation(**augmentation),
            }
        )
