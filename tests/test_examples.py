"""Every example that `--help` shows runs as it is printed, on small data."""

from __future__ import annotations

import csv
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from espressivo.cli import cli
from espressivo.midi import song_of
from espressivo.music import Performance, Score
from soundfont import soundfont

EXAMPLES = [
    line.strip().removeprefix("espressivo ")
    for command in cli.commands.values()
    for line in (command.epilog or "").strip().splitlines()
]
NOT_RUN = {  # by how they begin
    "serve": "serves until it is interrupted; see test_server.py",
    "page": "needs the engine that make page builds; see test_site.py",
    "live": "needs a MIDI driver and a keyboard; see test_ports.py",
    "evaluate pianist": "needs ASAP",
    "learn my-playing -o mine.style": "needs a stack, which learns too slowly; see test_learn.py",
}
_TRAINING = "--hidden 8 --batch 2 --rounds 0.2 --accelerator cpu"
SHORTER = {  # what is added to those that begin so: all that is changed of an example
    "demo": "--seconds 2",
    "generate --seconds": "--seconds 3",
    "generate --primer mine": "--seconds 3",
    "generate --primer-chords": "--seconds 3",
    "generate --count": "--seconds 1",
    "generate --form": "--seconds 30",
    "generate --events": "--events 20",
    "generate --key": "--notes 20",
    "train data --network": _TRAINING,
    "train data --out runs/gru --carry": _TRAINING,
    "train data --out runs/gru --resume": "--accelerator cpu",
    "fill": "--candidates 2",
    "vary": "--candidates 2",
    "evaluate": "--quick --samples 1 --seconds 5 --workers 1",
    "prepare": "--workers 1",
    "learn": "--model gru.onnx --max-time 00:00:02 --accelerator cpu",
}
FRESH = {"prepare": "data", "train data --network": "runs", "train data --out runs/gru --c": "runs"}


def command(line: str) -> None:
    result = CliRunner().invoke(cli, shlex.split(line))
    assert result.exit_code == 0, (line, result.output, result.exception)


def of(table: dict[str, str], line: str) -> str:
    return next((value for begin, value in table.items() if line.startswith(begin)), "")


def music(number: int) -> Performance:
    rng = np.random.default_rng(number)
    onset_s = np.cumsum(rng.choice([0.2, 0.3, 0.4], 90))
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.15,
        pitch=rng.integers(50, 80, 90),
        velocity=rng.integers(40, 90, 90),
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has everything that examples take up."""
    home = tmp_path_factory.mktemp("home")
    folders = "maestro", "recordings", "more-recordings", "my-playing"
    for number, folder in enumerate(folders):
        (home / folder).mkdir()
        for file in range(4):
            music(10 * number + file).write(home / folder / f"{file}.mid")
    splits = ("train", "train", "validation", "test")
    with (home / "maestro" / "maestro-v3.0.0.csv").open("w", newline="") as file:
        rows = [(f"{n}.mid", f"piece {n}", split) for n, split in enumerate(splits)]
        csv.writer(file).writerows([("path", "composition", "split"), *rows])
    shutil.copytree(home / "maestro", home / "maestro-v3.0.0")
    music(50).write(home / "take.mid")
    for name in ("performance", "another", "mine"):
        music(7).slice(0, 5).write(home / f"{name}.mid")
    song_of(
        Score.from_arrays(onset=np.arange(32), duration=np.ones(32), pitch=40 + np.arange(32))
    ).write(home / "score.mid")
    (home / "steinway.sf2").write_bytes(soundfont())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for line in (
            "prepare maestro --csv maestro/maestro-v3.0.0.csv --out data --workers 1",
            f"train data --out runs/gru {_TRAINING}",
            "export runs/gru -o gru.onnx",
            "export runs/gru -o gru-pretrained",
            "generate --seconds 1 -o take-3.mid",
            f"evaluate gru.onnx recordings --out reports/seed {SHORTER['evaluate']}",
        ):
            command(line)
    for name in ("lstm", "4gram"):
        shutil.copytree(home / "reports" / "seed", home / "reports" / name)
    return home


def test_the_tables_speak_of_examples() -> None:
    for begin in (*NOT_RUN, *SHORTER, *FRESH):
        assert any(line.startswith(begin) for line in EXAMPLES), begin


@pytest.mark.parametrize("line", [line for line in EXAMPLES if not of(NOT_RUN, line)])
def test_an_example_runs(
    line: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    if of(FRESH, line):
        shutil.rmtree(of(FRESH, line))
    command(f"{line} {of(SHORTER, line)}")
