"""Setup: where a run computes, and the optimizers of its network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from espressivo import telemetry
from espressivo.errors import TrainingError
from espressivo.networks import Network, hidden_matrices, is_change
from espressivo.training.config import TrainingConfig
from espressivo.training.muon import Muon

if TYPE_CHECKING:
    from lightning.fabric import Fabric

__all__ = ["launched", "optimizers", "train_only"]


def launched(
    out: Path, precision: str, accelerator: str, devices: int | str, nodes: int, strategy: str
) -> Fabric:
    """Return Fabric, with its processes running, for a run in a folder."""
    telemetry.forbid()
    from lightning.fabric import Fabric
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    if strategy not in ("auto", "ddp"):
        raise TrainingError(
            f"{out}: strategy {strategy!r} splits up the weights, which this training needs whole: "
            "choose auto or ddp"
        )
    if nodes > 1:
        strategy = "ddp"
    if devices == "auto" and strategy == "auto":
        devices = 1
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=_precision(precision, accelerator),  # type: ignore[arg-type]  # a str
        )
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"{out}: cannot be trained so on this machine: {reason}") from error
    fabric.launch()
    return fabric


def _precision(wanted: str, accelerator: str) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    native = torch.cpu._is_avx512_bf16_supported()  # no public name asks for it
    on_cpu = accelerator == "cpu" or not torch.backends.mps.is_available()
    return "bf16-mixed" if native and on_cpu else "32-true"


_BESIDE = ("style", "rank")  # parts with what is learned beside weights


def train_only(network: Network, part: str | None, out: Path) -> None:
    """Keep all weights as they are but those of a part of the network, if one is named."""
    parts = [name for name, _ in network.named_children()]
    parts += ["rank"] if getattr(network.config, "rank", 0) else []
    if part is not None and part not in parts:
        raise TrainingError(f"{out}: the network has no part {part!r}: it has {', '.join(parts)}")
    for name, weight in network.named_parameters():
        own = name.startswith(f"{part}.") or (part in _BESIDE and is_change(name))
        weight.requires_grad_(part is None or own)


def optimizers(network: Network, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    """Return the optimizers of a network, whose weights are on their device already."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adam":
        learning = [weight for weight in network.parameters() if weight.requires_grad]
        return [torch.optim.Adam(learning, rate, fused=True)]
    made: list[torch.optim.Optimizer] = []
    if config.optimizer == "muon":
        hidden = [weight for weight in hidden_matrices(network) if weight.requires_grad]
        made += [Muon(hidden, rate, decay)] if hidden else []
    taken = {id(p) for optimizer in made for p in optimizer.param_groups[0]["params"]}
    left = [p for p in network.parameters() if p.requires_grad and id(p) not in taken]
    groups = [
        {"params": [p for p in left if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in left if p.ndim == 1], "weight_decay": 0.0},
    ]
    made.append(torch.optim.AdamW(groups, rate, fused=True))
    return made
