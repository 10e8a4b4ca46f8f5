"""Every example that `--help` shows runs as it is printed, on small data."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

import shown

RUN = [words for words in shown.examples() if not shown.of(shown.NOT_RUN, words)]
FRESH = {  # folders that must not be there yet
    "espressivo prepare": "data",
    "espressivo train data --network": "runs",
    "espressivo train data --out runs/gru --carry": "runs",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has everything that examples take up."""
    home = tmp_path_factory.mktemp("home")
    shown.lay_out(home)
    shown.lay_out_tiny_model(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for line in (
            "prepare maestro --csv maestro/maestro-v3.0.0.csv --out data",
            "train data --network gru --out runs/gru",
            "export runs/gru -o gru.onnx",
            "export runs/gru -o gru-pretrained",
            "generate --count 1 -o take-3.mid",
            "evaluate gru.onnx recordings --out reports/seed",
        ):
            shown.run(shlex.split(f"espressivo {line}"))
    for name in ("lstm", "4gram"):
        shutil.copytree(home / "reports" / "seed", home / "reports" / name)
    return home


def test_the_tables_speak_of_what_is_shown() -> None:
    lines = [" ".join(words) for words in (*shown.examples(), *shown.documented())]
    for begin in (*shown.NOT_RUN, *shown.SHORTER, *FRESH):
        assert any(line.startswith(begin) for line in lines), begin


@pytest.mark.parametrize("words", RUN, ids=lambda words: shlex.join(words[1:]))
def test_an_example_runs(
    words: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    if shown.of(FRESH, words):
        shutil.rmtree(shown.of(FRESH, words))
    shown.run(words)
