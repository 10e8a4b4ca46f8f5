"""What the package wrote at commit 154e66b, before its folders were made, is still read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import espressivo
from espressivo.codes import NO_ID, NOTE_ON, steps
from espressivo.data import Augmentation, Dataset
from espressivo.data.augment import stretch
from espressivo.engine import Engine
from espressivo.networks import Notewise, load_pretrained
from espressivo.training import Checkpoint, load_network, train

ARCHIVE = Path(__file__).parent / "data" / "154e66b.tar.xz"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    shutil.unpack_archive(ARCHIVE, tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def stored(earlier: Path) -> dict[str, np.ndarray]:
    with np.load(earlier / "logits.npz") as file:
        return dict(file)


def logits(network: Notewise, dataset: Dataset, stored: dict[str, np.ndarray]) -> np.ndarray:
    rows = steps(stored["read"][1:], dataset.vocabulary).astype(np.int64)
    targets = torch.from_numpy(rows)[:, None]
    inputs = torch.full_like(targets, NO_ID)
    inputs[0, :, 0], inputs[1:] = dataset.vocabulary.size, targets[:-1]
    controls = torch.from_numpy(stored["controls"]).expand(*targets.shape[:2], -1)
    with torch.no_grad():
        return network(inputs, None, {"controls": controls}, targets)[0].numpy()


def augmented_then(self, ids, v, rng):
    """Augment as was done then: rounding to the nearest step, and no further than all notes fit."""
    semitones = int(rng.integers(-self.semitones, self.semitones + 1))
    ids = stretch(ids, 1 + self.stretch * int(rng.integers(-2, 3)) / 2, v)
    pitches = v.values[ids[v.kinds[ids] == NOTE_ON]]
    down, up = v.lowest_pitch - int(pitches.min()), v.highest_pitch - int(pitches.max())
    moved = ids.copy()
    moved[v.kinds[ids] == NOTE_ON] += min(max(semitones, down), up)
    return moved


def close(found: np.ndarray, expected: np.ndarray, within: float = 1e-5) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=within)


def test_a_checkpoint_and_a_pretrained_folder_give_the_same_logits(earlier, stored) -> None:
    dataset = Dataset(earlier / "dataset")
    network, checkpoint = load_network(earlier / "last.ckpt")
    pretrained = load_pretrained(earlier / "pretrained")
    assert checkpoint.vocabulary == pretrained.vocabulary == dataset.vocabulary
    assert network.config == pretrained.network.config
    close(logits(network, dataset, stored), stored["network"])
    close(logits(pretrained.network, dataset, stored), stored["network"])


def test_a_model_file_gives_the_same_logits_and_plays(earlier, stored) -> None:
    engine = Engine(earlier / "tiny.onnx")
    read, controls = stored["read"][:, None], stored["controls"][None]
    close(engine.run(read, engine.initial_state(), controls)[0], stored["engine"])
    assert len(espressivo.load(earlier / "tiny.onnx").generate(events=30, seed=1))


def test_a_stopped_run_goes_on_and_ends_as_it_did_then(earlier, stored, monkeypatch) -> None:
    monkeypatch.setattr(Augmentation, "__call__", augmented_then)
    dataset, config = Dataset(earlier / "dataset"), Checkpoint.load(earlier / "last.ckpt").config
    outcome = train(dataset, earlier, config, resume=True, accelerator="cpu")
    assert outcome.ended == "finished"
    network, _ = load_network(earlier / "last.ckpt")
    # Muon multiplies in bfloat16 on some processors, so the last digits may differ.
    close(logits(network, dataset, stored), stored["finished"], 0.01)
    assert np.abs(stored["finished"] - stored["network"]).max() > 0.1


def test_a_run_starts_from_a_pretrained_folder(earlier, tmp_path) -> None:
    dataset, config = Dataset(earlier / "dataset"), Checkpoint.load(earlier / "last.ckpt").config
    start = load_pretrained(earlier / "pretrained")
    outcome = train(dataset, tmp_path / "run", config, start=start, accelerator="cpu")
    assert outcome.ended == "finished"
