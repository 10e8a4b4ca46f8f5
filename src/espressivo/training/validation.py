"""Validation: what a network in training is measured by, the same all through a run.

- passages of held-out pieces, four windows long and mostly far from the beginning, their state
  carried; what the first window holds is read and not scored, unless it begins the piece;
- as many windows of the training pieces as they are, by half: how much is learned by heart;
- probes of memory (`espressivo.data.probes`): a passage alone, after itself, and so on; and after
  more or less of its own past.

It reads a twentieth of the events that are learned from between two validations, and so takes less
than a twentieth of the time. Processes share it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn

from espressivo.data import Dataset, Material, Passage, Probe, copies, passages, past
from espressivo.training.config import TrainingConfig
from espressivo.training.loss import cleared, read, summed_nats, tensors

__all__ = ["Validation"]

_SHARE = 0.05  # of the events that are learned from between two validations
_HELD_OUT, _TRAINED, _PROBED = 0.4, 0.2, 0.4  # shares of that
_WINDOWS = 4  # of a passage; the first is not scored
_PROBE_EVENTS = 1800  # read for each piece in all probes, about
_PROBE_WINDOW = 128
_COPIES = ("alone", "after itself", "10 s later", "two semitones higher")
_PAST_S = (0.0, 5.0, 80.0)


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
        self._sides = tuple(name for name in config.network.sides if name != "controls")
        learned = config.cut.rows * config.cut.events * fabric.world_size * config.validate_every
        self._in_pieces = {
            name: self._passages(dataset, split, share * _SHARE * learned)
            for name, split, share in (
                ("validation_nats", "validation", _HELD_OUT),
                ("training_nats", "train", _TRAINED),
            )
        }
        self._probes = self._probed(dataset, _PROBED * _SHARE * learned)

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
            rows = max(rows * window // _PROBE_WINDOW, 1)
            for name, probes in self._probes.items():
                every = [self._passage(probe) for probe in probes]
                notes = sum(probe.notes for probe in probes[self._mine])
                nats, _ = self._read(network, every, rows, min(window, _PROBE_WINDOW))
                names.append(name)
                sums.append((nats, notes))
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
        nats, events, state = 0.0, 0, None
        mine = every[self._mine]
        for batch in passages(mine, rows, window, self._sides) if mine else ():
            inputs, targets, sides = tensors(batch, self._fabric.device)
            before = cleared(state, batch, self._fabric.device)
            logits, state = read(network, inputs, targets, before, sides)
            nats += float(summed_nats(logits, targets, self._vocabulary))
            events += batch.events
        return nats, events

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
        count = min(max(int(events / _PROBE_EVENTS), 2), len(pieces))
        drawn = [pieces[i * len(pieces) // count] for i in range(count)]
        performances = [v.decode(dataset.ids(piece)) for piece in drawn]
        copied, given = copies(performances, v), past(performances, v)
        probes = {f"copy_{name.replace(' ', '_')}": copied[name] for name in _COPIES}
        probes |= {f"past_{before_s:.0f}_s": given[before_s] for before_s in _PAST_S}
        return {name: found for name, found in probes.items() if found}

    def _passage(self, probe: Probe) -> Passage:
        before = self._material(probe.ids[: probe.begin])
        return Passage(self._material(probe.ids), scored_from=before.count)
