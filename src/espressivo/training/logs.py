"""Logs: what a run says of itself as it goes on."""

from __future__ import annotations

import csv
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espressivo.files import replacing

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["Since", "open_tensorboard", "write_log"]


class Since:
    """Loss and speed since the last report, over all processes."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.sums = torch.zeros(2, device=fabric.device)  # nats, and the events that they are of
        self.time = time.monotonic()

    def add(self, nats: Tensor, events: int) -> None:
        """Count a batch of this process."""
        self.sums += torch.stack((nats, nats.new_tensor(events)))

    def take(self) -> tuple[float, float]:
        """Return nats per event and events per second, and begin anew."""
        nats, events = torch.as_tensor(self.fabric.all_reduce(self.sums, reduce_op="sum")).tolist()
        seconds = max(time.monotonic() - self.time, 1e-9)
        self.sums.zero_()
        self.time = time.monotonic()
        return nats / max(events, 1), events / seconds

    def skip_time(self) -> None:
        """Leave the time until now out of the speed."""
        self.time = time.monotonic()


def open_tensorboard(out: Path, update: int) -> SummaryWriter | None:
    """Open TensorBoard's log, forgetting what lies after an update; None if it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(out / "tensorboard", purge_step=update)


def write_log(out: Path, log: list[dict[str, float]]) -> None:
    """Write log.csv, and curves.png if matplotlib is installed."""
    columns = list(dict.fromkeys(name for row in log for name in row))
    with replacing(out / "log.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(log)
    if find_spec("matplotlib"):
        from espressivo.views import training_curves

        training_curves(log, out / "curves.png")
