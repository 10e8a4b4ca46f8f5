from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from espressivo import EspressivoError, Performance
from espressivo.music.performance import CONTROL_DTYPE
from espressivo.views.pictures import (
    dynamics,
    onset_rate,
    piano_roll,
    playing_curves,
    training_curves,
    training_log,
)


def performance(seconds: float, velocity: int = 100) -> Performance:
    onset_s = np.arange(0, seconds, 0.5)
    pedal = np.array([(0.2, 64, 127), (1.0, 64, 0), (1.5, 64, 127)], CONTROL_DTYPE)
    pitch = 48 + np.arange(len(onset_s)) % 24
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.4,
        pitch=pitch,
        velocity=np.full(len(onset_s), velocity),
        controls=pedal,
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
    nothing = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    piano_roll(nothing, tmp_path / f"roll.{kind}")
    assert (tmp_path / f"roll.{kind}").stat().st_size > 500


def test_an_unknown_format_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(EspressivoError, match=r"roll\.gif.*\.png, \.svg or \.pdf"):
        piano_roll(performance(2.0), tmp_path / "roll.gif")
    assert not list(tmp_path.iterdir())


def test_the_other_performance_is_drawn_in_another_colour(tmp_path: Path) -> None:
    first, other = performance(20.0, 50), performance(20.0, 50)
    later = Performance(other.notes[:20].copy())
    piano_roll(first, tmp_path / "one.png")
    piano_roll(first, tmp_path / "two.png", other=later)
    # Below the scales of colours at the top:
    one, two = (image.imread(tmp_path / f"{name}.png")[60:, :, :3] for name in ("one", "two"))

    def bluish(picture: np.ndarray) -> float:
        return float((picture[..., 2] > picture[..., 0] + 0.2).mean())

    assert bluish(two) > bluish(one) + 0.001


@pytest.mark.slow
def test_hours_fit_into_one_picture(tmp_path: Path) -> None:
    onset_s = np.linspace(0, 7200, 500)
    long = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 1, pitch=np.full(500, 60), velocity=np.full(500, 80)
    )
    piano_roll(long, tmp_path / "roll.png")
    height, width = image.imread(tmp_path / "roll.png").shape[:2]
    assert height < 12_000 and width < 5_000


def test_the_onset_rate_is_chords_a_second_also_at_the_ends() -> None:
    onset_s = np.repeat(np.arange(0, 60, 0.25), 2)
    onset_s[1::2] += 0.01  # each chord a little broken
    pitch = np.tile([60, 64], len(onset_s) // 2)
    steady = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.2, pitch=pitch, velocity=np.full(len(pitch), 70)
    )
    times_s, chords = onset_rate(steady)
    assert times_s[0] == 0 and abs(times_s[-1] - steady.seconds) <= 0.1
    assert np.abs(chords - 4).max() < 0.25


def test_onset_rate_and_dynamics_follow_what_is_played() -> None:
    onset_s = np.concatenate([np.arange(0, 20, 0.5), np.arange(20, 40, 0.125)])
    velocity = np.where(onset_s < 20, 40, 100)
    played = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.1, pitch=np.full(len(onset_s), 60), velocity=velocity
    )
    (times_s, chords), (_, loudness) = onset_rate(played), dynamics(played)
    early, late = (times_s > 5) & (times_s < 14), (times_s > 26) & (times_s < 35)
    assert np.abs(chords[early] - 2).max() < 0.1 and np.abs(chords[late] - 8).max() < 0.2
    assert np.abs(loudness[early] - 40).max() < 0.1 and np.abs(loudness[late] - 100).max() < 0.1


def test_curves_reach_a_note_that_ends_as_soon_as_it_begins() -> None:
    p = Performance.from_arrays(
        onset_s=[0.0, 1.06], offset_s=[0.5, 1.09], pitch=[60, 64], velocity=[50, 90]
    )
    for curve in (onset_rate, dynamics):
        time_s, values = curve(p)
        assert len(time_s) == len(values)
    assert dynamics(p)[1][-1] > dynamics(p)[1][0]


def test_dynamics_of_a_long_rest_are_unknown() -> None:
    played = Performance.from_arrays(
        onset_s=[0.0, 30.0], offset_s=[0.5, 30.5], pitch=[60, 60], velocity=[50, 90]
    )
    times_s, loudness = dynamics(played)
    assert np.isnan(loudness[np.abs(times_s - 15) < 5]).all()
    assert abs(loudness[0] - 50) < 1e-9


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_curves_of_playing_can_be_drawn(tmp_path: Path, kind: str) -> None:
    nothing = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    for name, one, other in (("a", nothing, None), ("b", performance(9.0), performance(12.0))):
        playing_curves(one, tmp_path / f"{name}.{kind}", other=other)
        assert (tmp_path / f"{name}.{kind}").stat().st_size > 500


def test_the_log_of_a_run_is_read_and_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EspressivoError, match=r"of no training run: no log\.csv"):
        training_log(tmp_path)
    log = tmp_path / "log.csv"
    log.write_text("step,events,train_nats,validation_nats\n1,10,5.5,\n2,20,5.0,5.25\n")
    assert training_log(tmp_path) == [
        {"step": 1, "events": 10, "train_nats": 5.5},
        {"step": 2, "events": 20, "train_nats": 5.0, "validation_nats": 5.25},
    ]
    for damaged in ("events,train_nats\n1,much\n", "train_nats\n5.0\n", "", "a\n1,2,3\n"):
        log.write_text(damaged)
        with pytest.raises(EspressivoError, match="not the log of a training run"):
            training_log(tmp_path)


def test_curves_of_a_run_with_and_without_validation(tmp_path: Path) -> None:
    log = [{"events": n * 1e6, "train_nats": 5 - n / 10} for n in range(10)]
    training_curves(log, tmp_path / "a.png")
    log[-1]["validation_nats"] = 4.4
    training_curves(log, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
