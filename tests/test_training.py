"""Training on a tiny prepared dataset, made here by code."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch.optim.swa_utils import AveragedModel

import espressivo
from espressivo.codes.controls import SIZE
from espressivo.data.augment import Augmentation
from espressivo.data.dataset import Dataset
from espressivo.data.windows import Batch, Cut, batches
from espressivo.errors import TrainingError
from espressivo.files import SEAL
from espressivo.networks import RecurrentConfig, StackConfig, build
from espressivo.networks.pretrained import Pretrained
from espressivo.progress import Silent
from espressivo.training import run as training_run
from espressivo.training import validation as training_validation
from espressivo.training.checkpoint import Checkpoint, load_network
from espressivo.training.config import TrainingConfig
from espressivo.training.loss import cleared, read, summed_nats, tensors
from espressivo.training.run import train
from espressivo.training.setup import optimizers
from espressivo.training.validation import Validation
from known import posix

SMALL = TrainingConfig(
    network=RecurrentConfig("gru", hidden=24, layers=2, dropout=0.1),
    cut=Cut(rows=4, events=16, carried=True),
    augmentation=Augmentation(2, 0.05),
    rounds=3,
    learning_rate=5e-3,
    warmup_updates=5,
    validate_every=20,
    precision="32-true",
)
OVER_NOTES = StackConfig("da", width=16, heads=2, window=8, controls=SIZE, notewise=True)
# Two phrases that a network can only learn by heart.
PHRASES = ([60, 64, 67, 72, 67, 64], [62, 65, 69, 74, 69, 65])


def write_dataset(folder: Path, pieces: int = 6, notes: int = 60, code: str = "seed") -> Dataset:
    v = espressivo.vocabulary(code)
    (folder / "shards").mkdir(parents=True)
    rows, everything, start = [], [], 0
    for number in range(pieces):
        onset_s = np.arange(notes) * 0.25
        pitch = np.resize(PHRASES[number % 2], notes)
        p = espressivo.Performance.from_arrays(
            onset_s=onset_s, offset_s=onset_s + 0.2, pitch=pitch, velocity=60 + 8 * (pitch % 3)
        )
        ids = v.encode(p)
        rows.append(
            {
                "path": f"{number}.mid",
                "status": "kept",
                "split": "validation" if number >= pieces - 2 else "train",
                "composition": str(number),
                "shard": "00000",
                "start": start,
                "events": len(ids),
                "notes": notes,
                "seconds": p.seconds,
            }
        )
        everything.append(ids)
        start += len(ids)
    np.concatenate(everything).astype("<u2").tofile(folder / "shards" / "00000.ids")
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    about = {"format": 1, "vocabulary": v.to_dict()}
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    return Dataset(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def in_notes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("data") / "notes", code="notes")


class Stopper(Silent):
    """Asks the run to stop after a number of steps, as a scheduler does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, n: int = 1, note: str = "") -> None:
        if not self.left:
            signal.raise_signal(signal.SIGTERM)
        self.left -= 1


def validated(network: torch.nn.Module, dataset: Dataset, config: TrainingConfig) -> float:
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    return Validation(dataset, config, fabric).measure(network)["validation_nats"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return Checkpoint.load(run / "last.ckpt").network


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_tiny_network_learns_two_phrases_by_heart(dataset: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(
        SMALL,
        network=RecurrentConfig("gru", hidden=48),
        augmentation=None,
        rounds=80,
        learning_rate=1e-2,
        validate_every=1000,
    )
    outcome = train(dataset, tmp_path / "run", config, accelerator="cpu")
    assert outcome.ended == "finished"
    assert outcome.nats < 0.1
    network, checkpoint = load_network(tmp_path / "run" / "best.ckpt")
    v = checkpoint.vocabulary
    ids = dataset.ids(dataset.split("train")[0])
    state, heard = network.initial_state(1), []
    with torch.no_grad():
        for id_ in [v.size, *ids[:-1].tolist()]:
            logits, state = network(torch.tensor([[id_]]), state)
            heard.append(int(logits.argmax()))
    assert np.mean(np.array(heard[4:]) == ids[4:]) > 0.98


@pytest.mark.slow
def test_a_network_over_notes_learns_two_phrases_by_heart(
    in_notes: Dataset, tmp_path: Path
) -> None:
    config = dataclasses.replace(
        SMALL,
        network=dataclasses.replace(OVER_NOTES, pattern="d", width=32, controls=0),
        augmentation=None,
        rounds=60,
        learning_rate=1e-2,
        validate_every=1000,
    )
    outcome = train(in_notes, tmp_path / "run", config, accelerator="cpu")
    assert outcome.ended == "finished"
    assert outcome.nats < 0.05
    # Rounds are of events, of which there are fewer than ids: each event has several to learn.
    assert outcome.updates == -(-60 * in_notes.count_events("train", notewise=True) // (4 * 16))
    assert outcome.events > 3 * 60 * in_notes.count_events("train", notewise=True)
    network, checkpoint = load_network(tmp_path / "run" / "best.ckpt")
    again = validated(network, in_notes, checkpoint.config)
    assert again == pytest.approx(checkpoint.best_nats, rel=1e-5)


def test_a_run_leaves_its_curve_and_its_checkpoints(dataset: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    outcome = train(dataset, run, dataclasses.replace(SMALL, keep=2), accelerator="cpu")
    with (run / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    measured = [float(row["validation_nats"]) for row in rows if row["validation_nats"]]
    assert min(measured) == pytest.approx(outcome.nats)
    assert int(rows[-1]["update"]) == outcome.updates
    assert float(rows[-1]["train_nats"]) < float(rows[0]["train_nats"])
    assert {"best.ckpt", "last.ckpt", "curves.png", "tensorboard"} <= {
        p.name for p in run.iterdir()
    }
    assert not list(run.glob(".*"))
    kept = {p.name: Checkpoint.load(p).step for p in run.glob("passed-*")}
    thirds = [-(-part * outcome.updates // 3) for part in (1, 2)]
    assert kept == {"passed-33.ckpt": thirds[0], "passed-67.ckpt": thirds[1]}
    network, checkpoint = load_network(run / "best.ckpt")
    again = validated(network, dataset, SMALL)
    assert again == pytest.approx(checkpoint.best_nats, rel=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"cut": Cut(rows=4, events=16)},
        {"network": RecurrentConfig("lstm", hidden=16, layers=1), "optimizer": "adam"},
        {
            "network": StackConfig("da", width=16, heads=2, window=8, controls=SIZE),
            "optimizer": "muon",
        },
        {"network": OVER_NOTES, "optimizer": "muon", "rounds": 5},
        {"average": 0.9},
    ],
    ids=["carried", "segments", "lstm", "stack", "notewise", "averaged"],
)
def test_stopping_and_resuming_changes_no_bit(
    dataset: Dataset, in_notes: Dataset, tmp_path: Path, change: dict[str, object]
) -> None:
    config = dataclasses.replace(SMALL, **change)
    dataset = in_notes if config.network.notewise else dataset
    train(dataset, tmp_path / "whole", config, accelerator="cpu")
    parts, stopper = tmp_path / "parts", Stopper(after=13)
    outcome = train(dataset, parts, config, accelerator="cpu", progress=stopper)
    assert outcome.ended == "stopped by SIGTERM"
    assert 13 <= outcome.updates < 20
    train(dataset, parts, config, resume=True, accelerator="cpu")
    assert same(weights(tmp_path / "whole"), weights(parts))
    whole = Checkpoint.load(tmp_path / "whole" / "last.ckpt").average
    assert bool(whole) == bool(config.average)
    assert same(whole, Checkpoint.load(parts / "last.ckpt").average)


def test_the_weights_are_averaged_over_the_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    update = AveragedModel.update_parameters

    def recorded(averaged: AveragedModel, network: torch.nn.Module) -> None:
        seen.append(network.output.weight.detach().clone())
        update(averaged, network)

    monkeypatch.setattr(AveragedModel, "update_parameters", recorded)
    config = dataclasses.replace(SMALL, average=0.8, rounds=0.5)
    train(dataset, tmp_path, config, accelerator="cpu")
    expected, *others = seen
    for weight in others:
        expected = 0.8 * expected + 0.2 * weight
    network, checkpoint = load_network(tmp_path / "best.ckpt")
    assert len(others) > 5 and not torch.allclose(expected, seen[-1], atol=1e-4)
    torch.testing.assert_close(network.output.weight, expected)
    torch.testing.assert_close(checkpoint.network["output.weight"], seen[-1])
    again = validated(network, dataset, config)
    assert again == pytest.approx(checkpoint.best_nats, rel=1e-5)


@pytest.mark.parametrize("code", ["seed", "notes"])
def test_a_validation_reads_passages_far_into_pieces_and_probes_of_memory(
    tmp_path: Path, code: str
) -> None:
    dataset = write_dataset(tmp_path / "data", pieces=5, notes=600, code=code)
    network = OVER_NOTES if code == "notes" else SMALL.network
    config = dataclasses.replace(
        SMALL, network=network, cut=Cut(4, 32, carried=True), validate_every=5000
    )
    torch.manual_seed(0)
    built = build(network, dataset.vocabulary)
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    validation = Validation(dataset, config, fabric)
    for every in validation._in_pieces.values():
        assert len(every) > 3
        for passage in every:
            assert passage.end - passage.begin == 4 * 32
            assert passage.scored_from - passage.begin in (0, 32)
            assert passage.scored_from == passage.begin or passage.begin
        assert max(passage.begin for passage in every) > 200
    figures = validation.measure(built)
    assert list(figures) == [
        "validation_nats",
        "training_nats",
        *("copy_alone", "copy_after_itself", "copy_10_s_later"),
        "copy_two_semitones_higher",
        *("past_0_s", "past_5_s", "past_80_s"),
    ]
    assert all(math.isfinite(nats) and nats > 0 for nats in figures.values())
    assert figures == validation.measure(built)
    for first, name in (("copy_alone", "copy_after_itself"), ("past_0_s", "past_80_s")):
        assert figures[first] != figures[name]
        # Of the same notes: a uniform network would say the same of them.
        with torch.no_grad():
            flat = build(network, dataset.vocabulary)
            flat.output.weight.zero_()
            flat.output.bias.zero_()
        same = validation.measure(flat)
        assert same[first] == pytest.approx(same[name], rel=0.02)


def test_a_validation_reads_a_twentieth_of_what_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = write_dataset(tmp_path / "data", pieces=5, notes=600, code="notes")
    config = dataclasses.replace(
        SMALL, network=OVER_NOTES, cut=Cut(4, 32, carried=True), validate_every=1000
    )
    seen = []

    def counted(network: torch.nn.Module, inputs: torch.Tensor, *others: Any) -> Any:
        seen.append(inputs.shape[0] * inputs.shape[1])
        return read(network, inputs, *others)

    monkeypatch.setattr(training_validation, "read", counted)
    validated(build(OVER_NOTES, dataset.vocabulary), dataset, config)
    assert 0.03 < sum(seen) / (1000 * 4 * 32) < 0.05


def test_another_seed_gives_other_weights(dataset: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, rounds=0.5)
    train(dataset, tmp_path / "a", config, accelerator="cpu")
    train(dataset, tmp_path / "b", config, accelerator="cpu")
    train(dataset, tmp_path / "c", dataclasses.replace(config, seed=1), accelerator="cpu")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_the_learning_rate_rises_stays_and_falls_to_nothing() -> None:
    config = dataclasses.replace(SMALL, warmup_updates=9, decay=0.2, learning_rate=1.0)
    rates = [config.learning_rate_at(step, 100) for step in range(101)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert rates[10:80] == [1.0] * 70
    assert rates[90] == pytest.approx(0.5)
    assert rates[100] == 0.0


def test_training_warns_and_stops_when_validation_turns_up(tmp_path: Path) -> None:
    # Validation pieces that are nothing like the training pieces get worse and worse.
    dataset = write_dataset(tmp_path / "data")
    shard = tmp_path / "data" / "shards" / "00000.ids"
    ids = np.fromfile(shard, "<u2")
    begin = dataset.split("validation")[0].start
    ids[begin:] = np.random.default_rng(0).integers(0, 310, len(ids) - begin)
    ids.tofile(shard)

    class Notes:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def start(self, total: int, unit: str, label: str) -> None: ...
        def advance(self, n: int = 1, note: str = "") -> None: ...
        def expect(self, total: int) -> None: ...
        def close(self) -> None: ...
        def note(self, line: str) -> None:
            self.lines.append(line)

    notes = Notes()
    config = dataclasses.replace(SMALL, rounds=200, patience=3)
    outcome = train(
        Dataset(tmp_path / "data"), tmp_path / "run", config, accelerator="cpu", progress=notes
    )
    assert outcome.ended == "validation stopped improving"
    assert any(line.startswith("warning: validation is") for line in notes.lines)
    assert Checkpoint.load(tmp_path / "run" / "best.ckpt").step == outcome.best_update


def test_a_run_starts_from_a_pretrained_network(dataset: Dataset, tmp_path: Path) -> None:
    network = build(SMALL.network, dataset.vocabulary)
    start = Pretrained(network, dataset.vocabulary, {})
    still = dataclasses.replace(SMALL, rounds=0.1, learning_rate=1e-12)
    train(dataset, tmp_path / "run", still, start=start, accelerator="cpu")
    for name, weight in weights(tmp_path / "run").items():
        torch.testing.assert_close(weight, network.state_dict()[name], rtol=0, atol=1e-6)
    other = Pretrained(network, espressivo.vocabulary("pedal"), {})
    with pytest.raises(TrainingError, match="'seed' is not that of the network to start from"):
        train(dataset, tmp_path / "other", SMALL, start=other, accelerator="cpu")
    assert not (tmp_path / "other").exists()


def test_a_time_budget_ends_the_run_with_a_validation(dataset: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, rounds=1e6, max_time_s=2.0, validate_every=5)
    outcome = train(dataset, tmp_path / "run", config, accelerator="cpu")
    saved = Checkpoint.load(tmp_path / "run" / "last.ckpt")
    assert outcome.ended in ("finished", "time is up")
    assert saved.steps < 1e5  # planned from the speed, not from the rounds
    assert "validation_nats" in saved.log[-1]


class Planned(Silent):
    """Keeps what a run says of its number of updates."""

    def __init__(self) -> None:
        self.expected: list[int] = []

    def expect(self, total: int) -> None:
        self.expected.append(total)


def timed(monkeypatch: pytest.MonkeyPatch, lasts_s: Callable[[int], float]) -> list[float]:
    """Let a run's clock stand still but for the time that each of its updates, 0, 1, ..., takes.

    The seconds that it shows are the only element of what is returned.
    """
    now_s = [0.0]

    def source(*arguments: Any, **options: Any) -> Iterator[Batch]:
        for number, batch in enumerate(batches(*arguments, **options)):
            now_s[0] += lasts_s(number)
            yield batch

    monkeypatch.setattr(training_run, "batches", source)
    monkeypatch.setattr(training_run, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    return now_s


def test_updates_are_planned_from_the_speed_and_the_rate_falls_to_their_end(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 1 s for each of the first 10 updates, 0.5 s until update 30, and then 0.25 s.
    timed(monkeypatch, lambda number: 1.0 if number < 10 else 0.5 if number < 30 else 0.25)
    config = dataclasses.replace(SMALL, rounds=1e6, max_time_s=30.0, validate_every=5, decay=0.3)
    plans = Planned()
    outcome = train(dataset, tmp_path / "run", config, accelerator="cpu", progress=plans)
    # After 10 s there is time for 20 updates as long; at half a second each, for 40. The learning
    # rate begins to fall while half of them are left, and again as many fit, being faster.
    assert plans.expected[:8] == [30] * 8
    assert {50, 70} <= set(plans.expected)
    assert outcome.ended == "finished"
    assert outcome.seconds == pytest.approx(30, abs=0.5)
    assert outcome.updates == pytest.approx(30 + 10 / 0.25, abs=2)
    saved = Checkpoint.load(tmp_path / "run" / "last.ckpt")
    assert 33 <= saved.falls_from <= 50
    rates = [row["learning_rate"] for row in saved.log]
    assert rates[-1] < 0.06 * config.learning_rate
    falling = [row["learning_rate"] for row in saved.log if row["update"] > saved.falls_from + 5]
    assert falling == sorted(falling, reverse=True)


def test_the_rate_falls_also_in_a_run_that_is_shorter_than_a_validation(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first updates, in which a network is compiled, say nothing of the speed.
    timed(monkeypatch, lambda number: 60.0 if number < 2 else 1.0)
    config = dataclasses.replace(SMALL, rounds=1e6, max_time_s=150.0, validate_every=1000)
    outcome = train(dataset, tmp_path / "run", config, accelerator="cpu")
    saved = Checkpoint.load(tmp_path / "run" / "last.ckpt")
    assert (outcome.ended, outcome.updates) == ("finished", 32)
    assert saved.falls_from == 23
    assert saved.log[-1]["learning_rate"] == pytest.approx(config.learning_rate / 9)


def test_validations_are_planned_with_their_own_time(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = timed(monkeypatch, lambda _: 1.0)

    def measured(*arguments: object) -> dict[str, float]:
        now_s[0] += 10
        return {"validation_nats": 1.0}

    monkeypatch.setattr(Validation, "measure", measured)
    config = dataclasses.replace(SMALL, rounds=1e6, max_time_s=100.0, validate_every=10)
    plans = Planned()
    outcome = train(dataset, tmp_path / "run", config, accelerator="cpu", progress=plans)
    assert outcome.seconds == pytest.approx(100, abs=10)
    assert set(plans.expected[10:]) <= set(range(44, 52))


def test_the_end_of_a_run_can_be_moved(dataset: Dataset, tmp_path: Path) -> None:
    run, short = tmp_path / "run", dataclasses.replace(SMALL, rounds=1)
    first = train(dataset, run, short, accelerator="cpu")
    longer = dataclasses.replace(SMALL, rounds=5)
    outcome = train(dataset, run, longer, resume=True, accelerator="cpu")
    assert outcome.updates == pytest.approx(5 * first.updates, abs=5)
    rates = {row["update"]: row["learning_rate"] for row in Checkpoint.load(run / "last.ckpt").log}
    assert rates[first.updates] < 0.2 * SMALL.learning_rate
    assert rates[40] == SMALL.learning_rate  # the highest again
    assert rates[outcome.updates] < 0.1 * SMALL.learning_rate


def test_the_rate_falls_when_told(dataset: Dataset, tmp_path: Path) -> None:
    run, config = tmp_path / "run", dataclasses.replace(SMALL, decay=0.0)
    train(dataset, run, config, accelerator="cpu", progress=Stopper(after=19))
    outcome = train(dataset, run, config, resume=True, decay_now=True, accelerator="cpu")
    saved = Checkpoint.load(run / "last.ckpt")
    rates = {row["update"]: row["learning_rate"] for row in saved.log}
    assert rates[20] == SMALL.learning_rate
    for update in (40, outcome.updates):
        left = (outcome.updates - update + 1) / (outcome.updates - saved.falls_from)
        assert rates[update] == pytest.approx(left * SMALL.learning_rate)
    with pytest.raises(TrainingError, match="move the end with --max-time or --rounds"):
        train(dataset, run, config, resume=True, decay_now=True, accelerator="cpu")


def test_gradients_that_are_not_finite_are_left_out_and_counted(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def broken(logits: torch.Tensor, *others: Any) -> torch.Tensor:
        calls.append(summed_nats(logits, *others))
        return calls[-1] * (math.nan if len(calls) in (3, 9) else 1.0)

    monkeypatch.setattr(training_run, "summed_nats", broken)
    outcome = train(dataset, tmp_path / "run", SMALL, accelerator="cpu")
    assert (outcome.ended, outcome.skipped) == ("finished", 2)
    saved = Checkpoint.load(tmp_path / "run" / "last.ckpt")
    assert saved.log[-1]["skipped"] == 2
    assert all(math.isfinite(row["train_nats"]) for row in saved.log)
    assert all(weight.isfinite().all() for weight in saved.network.values())


def test_a_run_whose_gradients_are_never_finite_ends(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        training_run, "summed_nats", lambda *arguments: summed_nats(*arguments) * math.inf
    )
    with pytest.raises(TrainingError, match="gradients of 20 updates in a row are not finite"):
        train(dataset, tmp_path / "run", SMALL, accelerator="cpu")


@pytest.mark.parametrize("network", [SMALL.network, OVER_NOTES])
def test_rows_read_in_parts_teach_the_same(
    dataset: Dataset, in_notes: Dataset, tmp_path: Path, network: Any
) -> None:
    dataset = in_notes if network.notewise else dataset
    network = dataclasses.replace(network, dropout=0.0)
    config = dataclasses.replace(SMALL, network=network, rounds=0.5)
    for parts in (1, 4):
        each = dataclasses.replace(config, accumulate=parts)
        train(dataset, tmp_path / str(parts), each, accelerator="cpu")
    whole, split = (weights(tmp_path / parts) for parts in "14")
    for name, weight in whole.items():
        torch.testing.assert_close(split[name], weight, rtol=0, atol=1e-4, msg=name)
    with pytest.raises(ValueError, match="accumulate must divide the rows"):
        dataclasses.replace(SMALL, accumulate=3)


def test_a_log_of_before_updates_were_named_is_gone_on_with(
    dataset: Dataset, tmp_path: Path
) -> None:
    config = dataclasses.replace(SMALL, rounds=2)
    train(dataset, tmp_path, config, accelerator="cpu", progress=Stopper(after=20))
    last = tmp_path / "last.ckpt"
    plain = torch.load(last, weights_only=True)
    plain["format"] = 2
    plain["config"]["warmup_steps"] = plain["config"].pop("warmup_updates")
    for row in plain["log"]:
        row["step"] = row.pop("update")
    torch.save(plain, last)
    outcome = train(dataset, tmp_path, config, resume=True, accelerator="cpu")
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert int(rows[0]["update"]) == 20
    assert int(rows[-1]["update"]) == outcome.updates
    assert "step" not in rows[0]


def test_a_strategy_that_splits_weights_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="strategy 'fsdp' splits up the weights"):
        train(dataset, tmp_path / "run", SMALL, accelerator="cpu", strategy="fsdp")
    assert not (tmp_path / "run").exists()


def test_at_least_one_update_is_planned_when_the_time_is_almost_up(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, lambda _: 1.0)
    config = dataclasses.replace(SMALL, rounds=1e6, max_time_s=3.5, validate_every=4)
    plans = Planned()
    outcome = train(dataset, tmp_path / "run", config, accelerator="cpu", progress=plans)
    assert plans.expected == [4]
    assert (outcome.ended, outcome.updates) == ("finished", 4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_gradient_of_a_step_is_no_longer_than_clip(
    dataset: Dataset, tmp_path: Path, optimizer: str
) -> None:
    """Both optimizers begin to average gradients at 0: what they have after a step tells it."""
    taken = {"exp_avg": 0.1, "momentum": 0.05}  # the part of a gradient that goes into the average
    config = dataclasses.replace(
        SMALL, network=dataclasses.replace(OVER_NOTES, notewise=False), optimizer=optimizer
    )
    config = dataclasses.replace(config, rounds=1e-9)  # one step
    lengths = {}
    for clip in (0.03, 1e9):
        run = tmp_path / str(clip)
        train(dataset, run, dataclasses.replace(config, clip=clip), accelerator="cpu")
        saved = Checkpoint.load(run / "last.ckpt")
        assert saved.step == 1
        lengths[clip] = [
            math.hypot(
                *(
                    float(state[name].norm()) / taken[name]
                    for state in plain["state"].values()
                    for name in taken.keys() & state.keys()
                )
            )
            for plain in saved.optimizers
        ]
    assert len(lengths[0.03]) == (2 if optimizer == "muon" else 1)
    assert lengths[0.03] == pytest.approx([0.03] * len(lengths[0.03]), rel=1e-3)
    assert min(lengths[1e9]) > 0.06  # what is short enough stays as it is


@pytest.mark.parametrize(
    ("optimizer", "network"),
    [
        ("adam", RecurrentConfig("gru", hidden=8)),
        ("adamw", RecurrentConfig("gru", hidden=8)),
        ("adamw", StackConfig("da", width=16, heads=2, window=8)),
        ("muon", StackConfig("da", width=16, heads=2, window=8)),
    ],
)
def test_weight_decay_is_of_matrices_alone(
    dataset: Dataset, optimizer: str, network: RecurrentConfig | StackConfig
) -> None:
    config = TrainingConfig(
        network=network, optimizer=optimizer, learning_rate=0.1, weight_decay=0.5
    )
    torch.manual_seed(0)
    built = build(network, dataset.vocabulary)
    before = {name: weight.detach().clone() for name, weight in built.named_parameters()}
    assert {weight.ndim for weight in before.values()} >= {1, 2}
    for weight in built.parameters():
        weight.grad = torch.zeros_like(weight)
    for each in optimizers(built, config):
        each.step()
    for name, weight in built.named_parameters():
        share = 1 - 0.1 * 0.5 if weight.ndim > 1 and optimizer != "adam" else 1.0
        torch.testing.assert_close(weight.detach(), share * before[name], msg=name)


def test_runs_are_not_overwritten_and_not_resumed_with_other_settings(
    dataset: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="no such checkpoint"):
        train(dataset, run, SMALL, resume=True, accelerator="cpu")
    short = dataclasses.replace(SMALL, rounds=0.2)
    train(dataset, run, short, accelerator="cpu")
    with pytest.raises(TrainingError, match="holds a run already"):
        train(dataset, run, short, accelerator="cpu")
    other = dataclasses.replace(short, clip=0.5, seed=3)
    with pytest.raises(TrainingError, match="other settings: clip, seed"):
        train(dataset, run, other, resume=True, accelerator="cpu")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04" + bytes(100)])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"last\.ckpt: not a checkpoint"):
        Checkpoint.load(path)


def test_loading_a_checkpoint_runs_no_code_from_it(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'owned'}",)

    torch.save({"format": 1, "config": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        Checkpoint.load(tmp_path / "last.ckpt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("notewise", [False, True])
def test_every_weight_of_a_stack_is_learned(
    dataset: Dataset, in_notes: Dataset, tmp_path: Path, optimizer: str, notewise: bool
) -> None:
    network = dataclasses.replace(OVER_NOTES, notewise=notewise)
    dataset = in_notes if notewise else dataset
    config = dataclasses.replace(SMALL, network=network, optimizer=optimizer)
    torch.manual_seed(config.seed)
    before = build(network, dataset.vocabulary).state_dict()
    train(dataset, tmp_path / "run", config, accelerator="cpu")
    after = weights(tmp_path / "run")
    assert before.keys() == after.keys()
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_what_a_network_or_its_windows_cannot_do_is_said() -> None:
    for network in (StackConfig(controls=SIZE), StackConfig(notewise=True)):
        with pytest.raises(
            ValueError, match="side inputs and note-wise networks need carried windows"
        ):
            TrainingConfig(network=network)
    with pytest.raises(ValueError, match="muon needs a stack"):
        TrainingConfig(optimizer="muon")


def test_a_network_over_notes_refuses_data_in_events(dataset: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, network=OVER_NOTES)
    with pytest.raises(TrainingError, match="needs a note-wise vocabulary, which 'seed' is not"):
        train(dataset, tmp_path / "run", config, accelerator="cpu")
    assert not (tmp_path / "run").exists()


def test_settings_say_all_that_is_wrong_at_once() -> None:
    with pytest.raises(ValueError, match=r"rounds .*; decay .*; optimizer"):
        TrainingConfig(rounds=0, optimizer="sgd", decay=2)


@pytest.mark.slow
def test_two_processes_train_one_network(dataset: Dataset, tmp_path: Path) -> None:
    options = "--network delta --pattern da --hidden 8 --optimizer muon --batch 2 --window 16"
    options += " --carry --rounds 2 --validate-every 20 --precision 32-true --accelerator cpu"
    options += " --devices 2 --strategy ddp"
    command = [sys.executable, "-m", "espressivo", "train", str(dataset.folder), "--out"]
    command += [str(tmp_path / "run"), *options.split(), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ended"] == "finished"
    saved = Checkpoint.load(tmp_path / "run" / "last.ckpt")
    assert len(saved.positions) == len(saved.carried) == 2
    assert saved.positions[0] != saved.positions[1]
    assert saved.log[-1]["train_nats"] < saved.log[0]["train_nats"]
    begun, alone = reference(dataset, saved)
    for name, weight in alone.items():
        moved = (weight - begun[name]).norm()
        assert (saved.network[name] - weight).norm() < 0.01 * moved, name


@pytest.mark.slow
def test_two_nodes_train_as_one_of_two_processes_and_resume_as_two_only(
    dataset: Dataset, tmp_path: Path
) -> None:
    options = "--hidden 8 --layers 1 --batch 2 --window 16 --carry --rounds 0.3 --seed 1"
    options += " --precision 32-true --accelerator cpu --strategy ddp"

    def start(out: str, more: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "espressivo", "train", str(dataset.folder), "--out"]
        return subprocess.Popen(
            [*command, str(tmp_path / out), *options.split(), *more.split()],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    nodes = [
        start("two", "--devices 1 --num-nodes 2", NODE_RANK=rank, **where) for rank in ("0", "1")
    ]
    said = [node.communicate()[1] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    one = start("one", "--devices 2")
    assert one.communicate()[1] and one.returncode == 0
    two, same = (Checkpoint.load(tmp_path / name / "last.ckpt") for name in ("two", "one"))
    assert two.step == same.step > 1 and len(two.positions) == 2
    for name, weight in same.network.items():
        assert torch.equal(two.network[name], weight), name
    with pytest.raises(TrainingError, match="2 processes trained it; resume with as many"):
        train(dataset, tmp_path / "one", same.config, resume=True, accelerator="cpu", devices=1)


def reference(
    dataset: Dataset, saved: Checkpoint
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Train in one process on what two were given, each having half a say; the weights before
    and after."""
    config = saved.config
    torch.manual_seed(config.seed)
    network = build(config.network, dataset.vocabulary)
    begun = {name: weight.clone() for name, weight in network.state_dict().items()}
    made = optimizers(network, config)
    sources = [
        batches(dataset, config.cut, config.augmentation, seed=config.seed, part=part, parts=2)
        for part in range(2)
    ]
    states: list[object] = [None, None]
    for step in range(saved.steps):
        network.zero_grad()
        for part, source in enumerate(sources):
            batch = next(source)
            inputs, targets, sides = tensors(batch, None)
            state = cleared(states[part], batch, inputs.device)
            logits, state = read(network, inputs, targets, state, sides)
            nats = summed_nats(logits, targets, dataset.vocabulary)
            (nats / batch.events / 2).backward()
            states[part] = tuple(each.detach() for each in state)
        for optimizer in made:
            taken = [weight for group in optimizer.param_groups for weight in group["params"]]
            torch.nn.utils.clip_grad_norm_(taken, config.clip)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate_at(step, saved.steps)
            optimizer.step()
    return begun, dict(network.state_dict())


@posix
@pytest.mark.slow
def test_killing_at_any_moment_and_resuming_changes_no_bit(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_dataset(data, pieces=8, notes=400)
    options = (
        "--hidden 64 --batch 4 --window 32 --carry --dropout 0.1 --rounds 12 --precision 32-true"
    )
    options += " --validate-every 50 --checkpoint-every 0.5 --accelerator cpu"
    command = [sys.executable, "-m", "espressivo", "train", str(data), "--out"]
    subprocess.run([*command, str(tmp_path / "whole"), *options.split()], check=True)

    killed, rng = 0, np.random.default_rng(0)
    arguments = options.split()
    while True:
        process = subprocess.Popen([*command, str(tmp_path / "parts"), *arguments])
        while killed < 5 and not (tmp_path / "parts" / "last.ckpt").exists():
            time.sleep(0.05)
            assert process.poll() is None
        if killed == 5:
            assert process.wait() == 0
            break
        time.sleep(5 + rng.random() * 3)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        arguments = ["--resume", "--accelerator", "cpu"]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


# What is not believed, and who is kept out


@pytest.fixture(scope="module")
def finished(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "finished"
    train(dataset, run, dataclasses.replace(SMALL, rounds=0.3), accelerator="cpu")
    return run


def test_a_changed_byte_of_a_checkpoint_is_refused(finished: Path, tmp_path: Path) -> None:
    content = (finished / "last.ckpt").read_bytes()
    path = tmp_path / "last.ckpt"
    end = len(content) - len(SEAL)
    for place in (0, len(content) // 2, end - 2, end - 1, end, end + 17, end + 18, -1):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(TrainingError, match=r"last\.ckpt: .*copy the other of best\.ckpt and"):
            Checkpoint.load(path)
    for length in (0, 10, len(content) // 2, end, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(TrainingError, match=r"last\.ckpt: .*copy the other of best\.ckpt and"):
            Checkpoint.load(path)


def test_a_damaged_checkpoint_is_healed_by_the_other(
    dataset: Dataset, finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "last.ckpt").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="copy the other"):
        train(dataset, run, SMALL, resume=True, accelerator="cpu")
    shutil.copy(run / "best.ckpt", run / "last.ckpt")
    config = dataclasses.replace(SMALL, rounds=0.3)
    assert train(dataset, run, config, resume=True, accelerator="cpu").ended == "finished"


def test_a_checkpoint_is_one_that_torch_reads(finished: Path) -> None:
    plain = torch.load(finished / "last.ckpt", weights_only=True)
    assert plain["step"] == Checkpoint.load(finished / "last.ckpt").step
    with zipfile.ZipFile(finished / "last.ckpt") as archive:
        assert archive.testzip() is None


def test_weights_that_are_not_finite_are_not_loaded(finished: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.load(finished / "last.ckpt")
    checkpoint.network["output.bias"][3] = math.nan
    checkpoint.save(tmp_path / "last.ckpt")
    with pytest.raises(TrainingError, match=r"last\.ckpt: holds weights that are not finite"):
        load_network(tmp_path / "last.ckpt")


def test_a_run_is_not_resumed_on_another_dataset(
    dataset: Dataset, finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    other = write_dataset(tmp_path / "other", notes=61)
    with pytest.raises(TrainingError, match=f"begun on another dataset than {other.folder} is"):
        train(other, run, SMALL, resume=True, accelerator="cpu")
    moved = Dataset(shutil.copytree(dataset.folder, tmp_path / "moved"))
    assert train(moved, run, SMALL, resume=True, accelerator="cpu").ended == "finished"


def test_a_second_training_in_a_folder_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    class Second(Silent):
        """Starts another run in the midst of this one."""

        def start(self, total: int, unit: str, label: str) -> None:
            with pytest.raises(TrainingError, match=f"is in use by process {os.getpid()} on "):
                train(dataset, tmp_path, SMALL, accelerator="cpu")

    config = dataclasses.replace(SMALL, rounds=0.3)
    assert train(dataset, tmp_path, config, accelerator="cpu", progress=Second()).updates
    assert not (tmp_path / ".lock").exists()


def test_pointers_are_added_to_a_network_and_trained_alone(
    in_notes: Dataset, tmp_path: Path
) -> None:
    sizes = StackConfig("d", width=16, heads=2, notewise=True)
    plain = Pretrained(build(sizes, in_notes.vocabulary), in_notes.vocabulary, {})
    config = dataclasses.replace(
        SMALL,
        network=dataclasses.replace(sizes, pointers=True),
        cut=Cut(rows=2, events=16, carried=True),
        rounds=1,
        only="pointers",
    )
    train(in_notes, tmp_path / "run", config, start=plain, accelerator="cpu")
    after, before = weights(tmp_path / "run"), plain.network.state_dict()
    assert same(before, after)
    new = after.keys() - before.keys()
    assert {name.split(".")[0] for name in new} == {"pointers"}
    gates = after["pointers.gates"]
    assert gates.abs().max() > 0
    config = dataclasses.replace(config, only="pedals")
    with pytest.raises(TrainingError, match="the network has no part 'pedals': it has embedding"):
        train(in_notes, tmp_path / "other", config, accelerator="cpu")
