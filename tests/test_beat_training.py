"""Training of the networks for beats: what is true of groups and beats, windows, export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from espressivo.data import Annotation
from espressivo.export import export_beats
from espressivo.networks import BeatNetwork
from espressivo.notation import QUARTERS, BeatModel, Notes
from espressivo.training.beat_windows import (
    Piece,
    Taught,
    beat_targets,
    beat_window,
    group_targets,
    group_window,
)
from espressivo.training.beats import BEATS, GROUPS, Subject, load_beat_network, train_beats
from known import CARD

SUBJECTS = pytest.mark.parametrize("subject", [GROUPS, BEATS], ids=["groups", "beats"])


def march(measures: int = 30, beat_s: float = 0.5) -> Taught:
    """Four beats a measure: bass, chord, bass, chord, with eighths above."""
    beats = 4 * measures
    time_s = 1 + beat_s * np.arange(beats)
    onset_s = np.repeat(1 + beat_s / 2 * np.arange(2 * beats), 2)
    pitch = np.empty(len(onset_s), int)
    pitch[::2] = 72 + np.arange(2 * beats) % 8
    pitch[1::2] = np.tile((36, 60, 55, 60, 43, 60, 55, 60), measures)
    notes = Notes(
        onset_s,
        np.full(len(onset_s), 0.2),
        pitch,
        np.full(len(onset_s), 60),
        np.zeros(len(onset_s), bool),
    )
    count = np.arange(beats)
    nothing = np.zeros(beats, int)
    return Taught(
        notes,
        Annotation(time_s, count % 4 == 0, nothing.astype(bool), np.ones(beats), nothing),
    )


def test_groups_on_beats_are_known_and_those_in_free_passages_are_not() -> None:
    beats = march(2).beats
    free = beats.free.copy()
    free[4:] = True
    first_s = np.array([0.2, 1.0, 1.25, 1.52, 2.0, 3.4, 9.0])
    true = group_targets(
        first_s, first_s, Annotation(beats.time_s, beats.downbeat, free, beats.quarters, free * 0)
    )
    assert true.beat.tolist() == [0, 1, 0, 1, 1, 0, 0]
    assert true.downbeat.tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert true.known.tolist() == [0, 1, 1, 1, 1, 0, 0]
    assert true.period[1:5].tolist() == pytest.approx([0.0] * 4)  # log2 of 2 x 0.5 s


def test_beats_that_are_twice_as_many_have_measures_of_twice_as_many() -> None:
    beats = march(4).beats
    right = beat_targets(beats.time_s, beats)
    assert right.begins.tolist() == beats.downbeat.tolist()
    assert set(right.meter[:12].tolist()) == {3}
    assert set(QUARTERS[right.unit].tolist()) == {1.0}
    twice = beat_targets(1 + 0.25 * np.arange(31), beats)
    assert np.flatnonzero(twice.begins).tolist() == [0, 8, 16, 24]
    assert set(twice.meter[:24].tolist()) == {7}
    assert set(QUARTERS[twice.unit].tolist()) == {0.5}
    between = beat_targets(beats.time_s + 0.25, beats)
    assert not between.begins.any()


@pytest.mark.parametrize("window", [group_window, beat_window])
def test_windows_hold_what_is_finite_and_of_one_length(window: object) -> None:
    taught = march()
    random = np.random.default_rng(0)
    begins = 0
    for _ in range(40):
        numbers, true = window(Piece([taught], taught), 64, random)  # type: ignore[operator]
        assert 0 < len(numbers) <= 64
        assert np.isfinite(numbers).all()
        assert {len(values) for values in true} == {len(numbers)}
        begins += int(true[0].sum())
    assert begins > 100


@SUBJECTS
def test_training_lowers_the_loss_and_goes_on_from_its_file(
    subject: Subject, tmp_path: Path
) -> None:
    pieces = [Piece([march()], None)]
    small = Subject(
        type(subject.config)(subject.config.inputs, subject.config.outputs, 16, (1, 2, 4)),
        subject.window,
        subject.losses,
        subject.shares,
        rows=4,
        length=64,
    )
    lines: list[str] = []
    out = tmp_path / "network.pt"
    for seconds in (0.01, 2.0):
        train_beats(small, pieces, pieces, out, seconds=seconds, rate=0.01, tell=lines.append)
    first, last = (float(line.split()[5]) for line in lines)
    assert last < 0.9 * first
    assert load_beat_network(out).config == small.config


def test_the_file_says_what_the_networks_say(tmp_path: Path) -> None:
    torch.manual_seed(0)
    networks = [[BeatNetwork(subject.config) for _ in range(2)] for subject in (GROUPS, BEATS)]
    export_beats(*networks, tmp_path / "beats.onnx", card=CARD)
    model = BeatModel(tmp_path / "beats.onnx")
    assert model.card["name"] == CARD["name"]
    random = np.random.default_rng(0)
    for pair, reads in zip(networks, (model.of_groups, model.of_beats), strict=True):
        rows = random.normal(size=(70, pair[0].config.inputs)).astype(np.float32)
        with torch.no_grad():
            said = sum(network(torch.from_numpy(rows)[None])[0].numpy() for network in pair) / 2
        assert np.abs(reads(rows) - said).max() < 0.01
        assert np.abs(said).max() > 0.1
