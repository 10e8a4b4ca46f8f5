"""Whatever takes a number says its range, refuses what is none, and takes those of numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from espressivo import vocabulary
from espressivo.codes import Controls
from espressivo.data import Augmentation, Cut
from espressivo.engine import Sampling, generator
from espressivo.errors import GenerationError
from espressivo.networks import RecurrentConfig, StackConfig
from espressivo.numeric import within
from espressivo.play.model import Model
from espressivo.training import TrainingConfig
from known import Mock

MODEL = Model(Mock(vocabulary("seed")))  # type: ignore[arg-type]

TAKERS: dict[str, Callable[[Any], object]] = {
    "temperature": lambda value: Sampling(temperature=value),
    "top_k": lambda value: Sampling(top_k=value),
    "top_p": lambda value: Sampling(top_p=value),
    "min_p": lambda value: Sampling(min_p=value),
    "density": lambda value: Controls(density=value),
    "loudness": lambda value: Controls(loudness=value),
    "onset_rate": lambda value: Controls(onset_rate=value),
    "pitch_weights": lambda value: Controls(pitch_weights=(value,) * 12),
    "seed": generator,
    "seed of takes": lambda value: MODEL.generate_batch(1, events=1, seed=value),
    "count": lambda value: MODEL.generate_batch(value, events=1),
    "top": lambda value: MODEL.next_events(top=value),
    "width": lambda value: MODEL.beam_search(events=1, width=value),
    "events": lambda value: MODEL.beam_search(events=value, width=1),
    "second": lambda value: MODEL.generate(seconds=9, seed=0, changes={value: {"temperature": 1}}),
    "pitch": lambda value: MODEL.stream().hear(value, 1),
    "velocity": lambda value: MODEL.stream().hear(60, value),
    "primer": lambda value: MODEL.generate(events=1, primer_pitches=[value]),
    "lead_s": lambda value: MODEL.stream(lead_s=value),
    "rounds": lambda value: TrainingConfig(rounds=value),
    "max_time_s": lambda value: TrainingConfig(max_time_s=value),
    "learning_rate": lambda value: TrainingConfig(learning_rate=value),
    "weight_decay": lambda value: TrainingConfig(weight_decay=value),
    "clip": lambda value: TrainingConfig(clip=value),
    "warmup_updates": lambda value: TrainingConfig(warmup_updates=value),
    "decay": lambda value: TrainingConfig(decay=value),
    "accumulate": lambda value: TrainingConfig(accumulate=value),
    "validate_every": lambda value: TrainingConfig(validate_every=value),
    "patience": lambda value: TrainingConfig(patience=value),
    "checkpoint_every_s": lambda value: TrainingConfig(checkpoint_every_s=value),
    "training seed": lambda value: TrainingConfig(seed=value),
    "rows": lambda value: Cut(rows=value),
    "seconds": lambda value: Cut(seconds=value),
    "jump": lambda value: Cut(carried=True, jump=value),
    "semitones": lambda value: Augmentation(semitones=value),
    "hidden": lambda value: RecurrentConfig(hidden=value),
    "layers": lambda value: RecurrentConfig(layers=value),
    "heads": lambda value: StackConfig(heads=value),
    "window": lambda value: StackConfig(window=value),
    "expansion": lambda value: StackConfig(expansion=value),
}
NONE = (math.nan, math.inf, -math.inf, np.float32("nan"), float("1e400"), 10**400, -1, "1", True)


@pytest.mark.parametrize("name", TAKERS)
def test_what_is_no_number_in_range_is_refused_in_one_line(name: str) -> None:
    for value in (*NONE, [1], 1j, np.array([1.0, 2.0]), "x\n" * 99):
        if name == "second" and isinstance(value, list | np.ndarray):
            continue  # which cannot be a key
        with pytest.raises(ValueError) as caught:
            TAKERS[name](value)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
        assert "must be" in str(caught.value)


@pytest.mark.parametrize("name", TAKERS)
def test_numbers_of_numpy_are_taken(name: str) -> None:
    for value in (np.float64(1), np.int64(1), np.uint8(1), np.array(1)):
        if name == "second" and isinstance(value, np.ndarray):
            continue
        TAKERS[name](value)


@pytest.mark.parametrize(
    ("range_", "said"),
    [
        ({}, "finite"),
        ({"least": 0}, "at least 0 and finite"),
        ({"above": 0}, "above 0 and finite"),
        ({"above": 0, "most": 1}, "above 0 and at most 1"),
        ({"least": 0, "below": 0.5}, "at least 0 and less than 0.5"),
        ({"least": 0, "most": 127, "whole": True}, "within 0..127"),
        ({"least": 1, "whole": True}, "at least 1"),
    ],
)
def test_a_range_is_said(range_: Any, said: str) -> None:
    wrong = -math.inf if not range_.get("whole") else -1
    with pytest.raises(GenerationError, match=rf"^x must be {said}, not {wrong}$"):
        within("x", wrong, **range_)


def test_bounds_are_inclusive_or_not_as_is_said() -> None:
    assert [within("x", value, least=0, most=2) for value in (0, 2)] == [0, 2]
    for bound in ({"above": 0}, {"below": 0}):
        with pytest.raises(GenerationError):
            within("x", 0, **bound)  # type: ignore[arg-type]
    assert within("x", None, least=0, optional=True) is None
    with pytest.raises(GenerationError, match="not None"):
        within("x", None, least=0)
