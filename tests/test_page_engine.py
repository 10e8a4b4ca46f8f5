"""The engine of the page without a server plays what Python plays, to the last bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from espressivo.codes import CONTROLS, POINTER_NUMBERS, SIZE, presets, vocabulary
from espressivo.codes.layout import DURATION, NOTE_ON, SUSTAIN, TIME_SHIFT
from espressivo.play import Model
from espressivo.server import messages
from known import Clock, Mock

WEB = Path(__file__).parent / "web"
NODE = shutil.which("node")
ROWS = 64  # of scores


class Table(Mock):
    """A model whose scores are rows of a table, chosen by all that it has read, and steered."""

    reads, controls = CONTROLS, SIZE

    def __init__(self, name: str, stubborn: bool) -> None:
        super().__init__(vocabulary(name))
        v, chance = self.vocabulary, np.random.default_rng([3, stubborn])
        table = chance.normal(size=(ROWS, v.size))
        if stubborn:  # few pitches, and rests
            table[:, v.first[NOTE_ON] + 40 : v.first[NOTE_ON] + 43] += 8
            table[:, v.first[TIME_SHIFT] + v.counts[TIME_SHIFT] - 1] += 5
            table[:, [v.first[DURATION] % v.size, v.first[SUSTAIN] - 1]] += 5
        else:
            table *= chance.choice([0.5, 3.0, 30.0, 900.0], (ROWS, 1), p=[0.4, 0.4, 0.1, 0.1])
        self.table = table.astype(np.float32)
        self.pointers = POINTER_NUMBERS + 1 if v.notewise else 0  # so that passages come back

    def step(self, id_, state, controls=None, pointers=None):
        (memory,) = state
        mixed = (int(memory[0, 0, 0]) * 31 + id_ + 1) % 1009
        row = mixed + 7 * (controls is not None)
        return self.table[row % ROWS], (np.full((1, 1, 2), mixed, np.float32),)


def node(script: str, given: Path) -> object:
    """Return what a script of tests/web makes of a file."""
    if NODE is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("node 20 or later is not installed")
    run = [NODE, str(WEB / script), str(given)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def music(chance: np.random.Generator, notes: int) -> list[list[float | int]]:
    """Return made-up events as a page sends them, some of which overlap or never end."""
    events: list[list[float | int]] = []
    for _ in range(notes):
        time_s, pitch = float(chance.uniform(5, 12)), int(chance.integers(15, 112))
        events.append([time_s, 144, pitch, int(chance.integers(1, 128))])
        if chance.random() < 0.9:
            events.append([time_s + float(chance.exponential(0.5)), 128, pitch, 0])
        if chance.random() < 0.4:
            events.append([time_s, 176, 64, int(chance.choice([0, 127]))])
    return sorted(events, key=lambda event: event[0])


def settings(chance: np.random.Generator) -> dict[str, object]:
    """Return some settings that a page can steer any model with."""
    low = int(chance.integers(21, 70))
    weights = chance.integers(0, 3, 12) / 2
    weights[int(chance.integers(12))] = 1
    every = {
        "temperature": float(chance.choice([0.0, 0.3, 0.9, 2.0])),
        "top_p": float(chance.choice([0.5, 0.9, 1.0])),
        "min_p": float(chance.choice([0.0, 0.1, 0.3])),
        "polyphony": int(chance.integers(1, 8)),
        "lowest_pitch": low,
        "highest_pitch": low + int(chance.integers(11, 40)),
        "density": float(chance.uniform(0, 30)),
        "pitch_weights": weights.tolist(),
        "guidance": float(chance.choice([0.0, 1.5])),
    }
    return {name: value for name, value in every.items() if chance.random() < 0.5}


def case(number: int) -> dict[str, object]:
    """Return what is played, and what is asked of the stream before which of its events."""
    chance = np.random.default_rng([4, number])
    actions: list[list[object]] = []
    for at in sorted(chance.integers(0, 120, 8).tolist()):
        pitch, what = int(chance.integers(30, 90)), chance.choice(["hear", "steer", "late"])
        if what == "hear":
            actions += [[at, "hear", pitch, 80], [at + 3, "hear", pitch, 0]]
        elif what == "steer":
            actions.append([at, "steer", {"lowest_pitch": 0, "highest_pitch": 127}])
            actions.append([at, "steer", settings(chance)])
        else:
            actions.append([at, "late", float(chance.choice([0.3, 3.0]))])
    if number % 5 == 0:
        actions.append([110, "stop"])
    return {
        "vocabulary": presets()[number % len(presets())],
        "stubborn": number % 4 == 3,
        "seed": int(chance.integers(1 << 32)),
        "primer": music(chance, int(chance.choice([0, 4, 160]))),
        "settings": settings(chance),
        "lead": float(chance.choice([0.0, 0.5])),
        "count": 250 if number % 4 == 3 else 120,
        "actions": actions,
    }


def played(case: dict) -> dict[str, object]:
    """Play a case by Python."""
    model, clock = Model(Table(case["vocabulary"], case["stubborn"])), Clock()
    primer = messages.performance(messages.latest([tuple(e) for e in case["primer"]], 100))
    stream = model.stream(
        seed=case["seed"],
        primer=primer,
        lead_s=case["lead"],
        clock=clock,
        sleep=clock.sleep,
        **case["settings"],
    )
    events: list[list[object]] = []
    for number in range(case["count"]):
        for at, what, *given in case["actions"]:
            if at != number:
                continue
            if what == "late":
                clock.now_s += given[0]
            elif what == "steer":
                stream.steer(**given[0])
            else:
                getattr(stream, what)(*given)
        event = next(stream, None)
        if event is None:
            break
        events.append([event.time_s, event.kind, event.pitch, event.velocity])
    ids = model._primer(primer).tolist()
    return {"primer": ids, "events": events, "recoveries": stream.recoveries}


@pytest.mark.parametrize("count", [40, pytest.param(100, marks=pytest.mark.slow)])
def test_the_same_seed_scores_and_requests_are_the_same_music_on_the_page(tmp_path, count):
    cases = [case(number) for number in range(count)]
    known = {
        name: {
            "vocabulary": vocabulary(name).to_dict(),
            "tables": [Table(name, stubborn).table.tolist() for stubborn in (False, True)],
        }
        for name in presets()
    }
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"vocabularies": known, "cases": cases}))
    theirs = node("streams.js", path)
    mine = [played(each) for each in cases]
    assert sum(len(each["events"]) for each in mine) > 110 * count
    assert all(sum(each["recoveries"][kind] for each in mine) for kind in mine[0]["recoveries"])
    for number, pair in enumerate(zip(mine, theirs, strict=True)):
        assert pair[0] == pair[1], f"case {number} ({cases[number]['vocabulary']})"
