from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from espressivo import EspressivoError, Performance
from espressivo.performance import CONTROL_DTYPE
from espressivo.plots import piano_roll, training_curves


def performance(seconds: float, velocity: int = 100) -> Performance:
    onset_s = np.arange(0, seconds, 0.5)
    pedal = np.array([(0.2, 64, 127), (1.0, 64, 0), (1.5, 64, 127)], CONTROL_DTYPE)
    pitch = 48 + np.arange(len(onset_s)) % 24
    return Performance.from_arrays(
        onset_s, onset_s + 0.4, pitch, np.full(len(onset_s), velocity), pedal
    )


def brightness(path: Path) -> float:
    return float(image.imread(path)[..., :3].mean())


def test_a_longer_performance_takes_more_rows(tmp_path: Path) -> None:
    heights = []
    for seconds in (20.0, 100.0):
        piano_roll(performance(seconds), tmp_path / "roll.png")
        heights.append(image.imread(tmp_path / "roll.png").shape[0])
    assert heights[1] > 3 * heights[0]


def test_louder_notes_are_brighter(tmp_path: Path) -> None:
    for name, velocity in (("soft", 20), ("loud", 120)):
        piano_roll(performance(20.0, velocity), tmp_path / f"{name}.png")
    assert brightness(tmp_path / "loud.png") > brightness(tmp_path / "soft.png")


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_an_empty_performance_can_be_drawn(tmp_path: Path, kind: str) -> None:
    nothing = Performance.from_arrays([], [], [], [])
    piano_roll(nothing, tmp_path / f"roll.{kind}")
    assert (tmp_path / f"roll.{kind}").stat().st_size > 500


def test_an_unknown_format_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(EspressivoError, match=r"roll\.gif.*\.png, \.svg or \.pdf"):
        piano_roll(performance(2.0), tmp_path / "roll.gif")
    assert not list(tmp_path.iterdir())


def test_curves_of_a_run_with_and_without_validation(tmp_path: Path) -> None:
    log = [{"events": n * 1e6, "train_nats": 5 - n / 10} for n in range(10)]
    training_curves(log, tmp_path / "a.png")
    log[-1]["validation_nats"] = 4.4
    training_curves(log, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
