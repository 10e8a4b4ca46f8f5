"""Checkpoint: the whole state of a training run, in a file.

It is a file as `torch.load` reads it, an archive, whose comment is its seal.
"""

from __future__ import annotations

import dataclasses
import math
import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espressivo.codes import Vocabulary
from espressivo.data import Dataset
from espressivo.errors import TrainingError
from espressivo.files import SEAL, intact, regular, replacing, seal
from espressivo.networks import Network, build
from espressivo.training.config import TrainingConfig

__all__ = ["Checkpoint", "load_network"]

FORMAT = 3
"""Version of the layout of a checkpoint. From version 3 on it is sealed."""

_LENGTH = {"rounds", "max_time_s", "patience", "validate_every", "checkpoint_every_s", "keep"}
"""Settings that a resumed run may change: they do not touch what an update does."""


_HEALS = "copy the other of best.ckpt and last.ckpt over it, or train anew in another folder"


@dataclass
class Checkpoint:
    """The whole state of a run. Stored as plain values and tensors, so loading runs no code.

    Fields are stored under their names; `step` of `steps` updates are done on the dataset with the
    hash `dataset`, which version 2 did not keep.
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
    dataset: str = ""

    def save(self, path: Path) -> None:
        """Write the checkpoint, all or nothing."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain |= {"config": self.config.to_dict(), "vocabulary": self.vocabulary.to_dict()}
        with replacing(path) as temporary:
            with temporary.open("wb") as file:  # which says what fails, as torch does not
                torch.save({"format": FORMAT, **plain}, file)
            with temporary.open("r+b") as file:
                file.seek(-2, 2)  # the length of the comment, which comes last and is empty
                file.write(len(SEAL).to_bytes(2, "little") + SEAL.encode())
                file.flush()
                with mmap.mmap(file.fileno(), 0) as content:
                    seal(content)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint.

        Raises
        ------
        TrainingError
            If it is missing, damaged or of another version, has changed since it was written, or
            holds weights that are not finite.
        """
        try:
            with regular(path, most=None).open("rb") as file:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    whole = intact(content)
                plain = {} if whole is False else torch.load(file, "cpu", weights_only=True)
            if not whole and plain.get("format") != 2:  # which had no seal
                raise TrainingError(f"{path}: has changed since it was written; {_HEALS}")
            if plain.pop("format") not in (2, FORMAT):
                raise TrainingError(f"{path}: a checkpoint of another version; train anew")
            plain["config"] = TrainingConfig.from_dict(plain["config"])
            plain["vocabulary"] = Vocabulary(**plain["vocabulary"])
            loaded = cls(**plain)
            weights = [*loaded.network.values(), *loaded.average.values()]
            if not all(bool(torch.isfinite(weight).all()) for weight in weights):
                raise TrainingError(f"{path}: holds weights that are not finite; {_HEALS}")
            return loaded
        except FileNotFoundError:
            raise TrainingError(f"{path}: no such checkpoint") from None
        except OSError as error:
            raise TrainingError(f"{path}: cannot be read: {error.strerror}") from None
        except TrainingError:
            raise
        except Exception as error:  # torch.load raises many kinds for a damaged file
            first_line = str(error).partition("\n")[0]
            raise TrainingError(f"{path}: not a checkpoint ({first_line}); {_HEALS}") from error

    def resumed(self, config: TrainingConfig, dataset: Dataset, path: Path) -> Checkpoint:
        """Return the checkpoint with settings of another length; `TrainingError` on any other."""
        before, now = self.config.to_dict(), config.to_dict()
        changed = sorted(name for name in now if name not in _LENGTH and now[name] != before[name])
        if self.vocabulary != dataset.vocabulary:
            changed.append("vocabulary")
        if changed:
            raise TrainingError(
                f"{path}: the run was begun with other settings: {', '.join(changed)}; "
                "resume it with those, or choose another folder"
            )
        if self.dataset not in ("", dataset.sha256):
            raise TrainingError(
                f"{path}: the run was begun on another dataset than {dataset.folder} is now; "
                "resume it with that, or choose another folder"
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
