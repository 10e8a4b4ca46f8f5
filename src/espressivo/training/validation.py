"""Validation: what a network in training is measured by, the same all through a run.

- passages of held-out pieces, four windows long and mostly far from the beginning, their state
  carried; what the first window holds is read and not scored, unless it begins the piece;
- as many windows of the training pieces as they are, by half: how much is learned by heart;
- probes of memory (`espressivo.data.probes`): a passage alone, after itself, and so on; and after
  more or less of its own past.

It reads at most a share, usually a twentieth, of the events that are learned from between two
validations, side by side as these are, and so takes less of the time, as an update also goes
backwards.
Where validations are so close that a piece with its probes is more than that, there are no probes.
Processes share all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from espressivo.data import Dataset, Material, Passage, Probe, copies, passages, past
from espressivo.networks import Network
from espressivo.training.config import TrainingConfig
from espressivo.training.loss import cleared, nats_of_rows, read, tensors

__all__ = ["Validation"]

_HELD_OUT, _TRAINED, _PROBED = 0.4, 0.2, 0.4  # shares of what a validation reads
_WINDOWS = 4  # of a passage; the first is not scored
_PROBE_WINDOW = 128
_COPIES = ("alone", "after itself", "10 s later", "two semitones higher")
_PAST_S = (0.0, 5.0, 80.0)
_PROBE_S = 80.0 + 130.0  # read of each piece in all of its copies, and with all of its pasts


class Validation:
    """Passages, drawn once, whose nats are measured now and then.

    Parameters
    ----------
    dataset : Dataset
    config : TrainingConfig
        Of the run; it decides how much is read.
    fabric : Fabric
        Of the run.
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig, fabric: Fabric) -> None:
        self._vocabulary, self._network, self._fabric = dataset.vocabulary, config.network, fabric
        self._cut = config.cut
        self._sides = ("pointers",) if "pointers" in config.network.sides else ()
        learned = config.cut.rows * config.cut.events * fabric.world_size * config.validate_every
        events = config.validation_share * learned
        self._in_pieces = {
            name: self._passages(dataset, split, share * events)
            for name, split, share in (
                ("validation_nats", "validation", _HELD_OUT),
                ("training_nats", "train", _TRAINED),
            )
        }
        self._probes = self._probed(dataset, _PROBED * events)

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Return ``validation_nats`` and ``training_nats``, in nats per event, and those of probes.

        Probes are in nats per note; there are none where pieces are too short for them.
        """
        training = network.training
        network.eval()
        window, rows = self._cut.events, self._cut.rows
        names, sums = [], []
        with torch.no_grad(), self._fabric.autocast():
            for name, every in self._in_pieces.items():
                names.append(name)
                sums.append(self._read(network, every, rows, window))
            names += self._probes
            sums += self._read_probes(network, max(rows * window // _PROBE_WINDOW, 1))
        network.train(training)
        totals = torch.tensor(sums, device=self._fabric.device)
        totals = torch.as_tensor(self._fabric.all_reduce(totals, reduce_op="sum"))
        return {
            name: nats / max(count, 1)
            for name, (nats, count) in zip(names, totals.tolist(), strict=True)
        }

    @property
    def _mine(self) -> slice:
        return slice(self._fabric.global_rank, None, self._fabric.world_size)

    def _read(
        self, network: nn.Module, every: Sequence[Passage], rows: int, window: int
    ) -> tuple[float, float]:
        """Return the nats of this process's share of passages, and how many events they are of."""
        nats, events = 0.0, 0
        for of_rows, count in self._batches(network, every[self._mine], rows, window):
            nats += float(of_rows.sum())
            events += count
        return nats, events

    def _read_probes(self, network: nn.Module, rows: int) -> list[tuple[float, float]]:
        """Return nats and notes of this process's share of the probes of each name."""
        every = [(name, probe) for name, probes in self._probes.items() for probe in probes]
        # Of like length side by side, whatever they probe.
        every.sort(key=lambda pair: -len(pair[1].ids))
        mine, sums = every[self._mine], {name: [0.0, 0.0] for name in self._probes}
        window = min(self._cut.events, _PROBE_WINDOW)
        for start in range(0, len(mine), rows):
            group = mine[start : start + rows]
            read_ = [self._passage(probe) for _, probe in group]
            nats = sum(of_rows for of_rows, _ in self._batches(network, read_, len(group), window))
            for (name, probe), its in zip(group, torch.as_tensor(nats).tolist(), strict=True):
                sums[name][0] += its
                sums[name][1] += probe.notes
        return [(nats, notes) for nats, notes in sums.values()]

    def _batches(
        self, network: nn.Module, every: Sequence[Passage], rows: int, window: int
    ) -> Iterator[tuple[Tensor, int]]:
        """Read passages, so many side by side; yield nats of each row, and how many events."""
        state = None
        for batch in passages(every, rows, window, self._sides) if every else ():
            inputs, targets, sides = tensors(batch, self._fabric.device)
            first = None
            if self._network.style:
                first = cast("Network", network).initial_state(inputs.shape[1])
            before = cleared(state, batch, self._fabric.device, first)
            logits, state = read(network, inputs, targets, before, sides)
            yield nats_of_rows(logits, targets, self._vocabulary).cpu(), batch.events

    def _material(self, ids: np.ndarray) -> Material:
        return Material(ids, self._vocabulary, self._network.notewise)

    def _passages(self, dataset: Dataset, split: str, events: float) -> list[Passage]:
        """Return passages of a split at even distances, of so many events in all."""
        pieces, length = dataset.split(split), _WINDOWS * self._cut.events
        ends = np.cumsum([piece.events for piece in pieces])
        most = dataset.count_events(split, self._network.notewise)
        count = max(int(min(events, most)) // length, 1)
        found = []
        for place in (np.arange(count) + 0.5) / count * ends[-1]:
            index = int(np.searchsorted(ends, place, "right"))
            piece = self._material(dataset.ids(pieces[index]))
            share = 1 - (ends[index] - place) / pieces[index].events
            begin = max(min(int(share * piece.count), piece.count - length), 0)
            scored_from = begin + self._cut.events if begin else 0
            found.append(Passage(piece, begin, begin + length, scored_from))
        return found

    def _probed(self, dataset: Dataset, events: float) -> dict[str, list[Probe]]:
        """Return the probes of some validation pieces, of about so many events in all."""
        v, pieces = dataset.vocabulary, dataset.split("validation")
        seconds = sum(piece.seconds for piece in pieces)
        per_second = dataset.count_events("validation", self._network.notewise) / max(seconds, 1.0)
        count = min(int(events / (_PROBE_S * max(per_second, 1.0))), len(pieces))
        drawn = [pieces[i * len(pieces) // count] for i in range(count)]
        performances = [v.decode(dataset.ids(piece)) for piece in drawn]
        copied, given = copies(performances, v), past(performances, v)
        probes = {f"copy_{name.replace(' ', '_')}": copied[name] for name in _COPIES}
        probes |= {f"past_{before_s:.0f}_s": given[before_s] for before_s in _PAST_S}
        return {name: found for name, found in probes.items() if found}

    def _passage(self, probe: Probe) -> Passage:
        before = self._material(probe.ids[: probe.begin])
        return Passage(self._material(probe.ids), scored_from=before.count)
