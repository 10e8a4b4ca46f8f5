"""Styles that are learned together, with a tiny network and pieces made by code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import espressivo
from espressivo.engine import Engine, Style
from espressivo.export import export, shifts_within
from espressivo.networks import StackConfig, build
from espressivo.play import Model
from espressivo.training import styles as training_of_styles
from espressivo.training.styles import StyleNetwork, learn_styles, nats_in, read_past
from known import CARD
from played import played

NOTES = espressivo.vocabulary("notes")
CONFIG = StackConfig("da", width=16, heads=2, window=8, notewise=True, pointers=True)
PEOPLE = (-12, 0, 12)  # who play so many semitones higher


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build(CONFIG, NOTES).eval()


def pieces(semitones: int, *numbers: int):
    return [NOTES.encode(played(n, notes=30).transpose(semitones)) for n in numbers]


def learned(network, kept: Path, rounds: int = 15, tell=lambda line: None):
    styles = StyleNetwork(network, NOTES, len(PEOPLE))
    own = [list(read_past(network, pieces(semitones, 1, 2), NOTES)) for semitones in PEOPLE]
    learn_styles(styles, own, ["a", "a", "a"], kept, rounds=rounds, rate=0.05, tell=tell)
    return styles


def test_pieces_are_likeliest_in_their_own_style(network, tmp_path: Path) -> None:
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    styles = learned(network, tmp_path / "kept.pt")
    assert all(torch.equal(weight, before[n]) for n, weight in network.state_dict().items())
    for number, semitones in enumerate(PEOPLE):
        unheard = list(read_past(network, pieces(semitones, 5, 6, 7), NOTES))
        nats = nats_in(styles, unheard, len(PEOPLE))
        assert nats.shape == (3, 4)
        assert (nats[:, 1:].argmin(1) == number).all()
        assert (nats[:, 1 + number] < nats[:, 0]).all()


def test_an_engine_finds_a_piece_as_likely_as_the_style_that_was_learned(
    network, tmp_path: Path
) -> None:
    export(network, NOTES, tmp_path / "tiny.onnx", card=CARD, weights="fp32")
    engine = Engine(tmp_path / "tiny.onnx")
    styles = learned(network, tmp_path / "kept.pt", rounds=3)
    (ids,) = pieces(0, 3)
    (expected,) = nats_in(styles, list(read_past(network, [ids], NOTES)), len(PEOPLE))
    for number in range(len(PEOPLE)):
        shifts = shifts_within(CONFIG, styles.of(number))
        assert shifts.keys() == {"then_heads_bias", "output_bias"}
        style = Style("s", "tiny", engine.sha256, {}, None, shifts)
        nats = -Model(engine.styled([(style, 1.0)])).score(ids).sum() / 30
        assert nats == pytest.approx(expected[1 + number], abs=2e-3)


def test_what_was_stopped_goes_on_and_comes_to_the_same(
    network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_of_styles, "_KEPT_EVERY", 4)
    whole = learned(network, tmp_path / "whole.pt", 3)

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learned(network, tmp_path / "kept.pt", 3, stop)
    resumed = learned(network, tmp_path / "kept.pt", 3)
    for number in range(len(PEOPLE)):
        for name, shift in whole.of(number).items():
            assert np.array_equal(resumed.of(number)[name], shift)
            assert shift.any()
