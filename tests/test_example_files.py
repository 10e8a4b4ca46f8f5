"""Every file of examples/ runs, and says and leaves what it should."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from espressivo import Performance, Score
from espressivo.midi import song_of
from espressivo.play import chords

EXAMPLES = Path(__file__).parents[1] / "examples"
CASES = {  # arguments, files that are left, and words of the output
    "play": ([], ["piece.mid", "piece.wav"], "notes in"),
    "continue": (["mine.mid"], ["continued.mid"], "s of yours"),
    "steer": (["2"], [], "note_on"),
    "batch": ([], ["take-1.mid", "take-4.mid"], "nats an event"),
    "evaluate": (["recordings"], [], "nats a note"),
    "perform": (["score.mid"], ["performed-2.mid", "humanised.mid"], "seed 2: "),
    "provenance": ([], ["made.mid"], "'seconds': 10}: the same"),
}
SLOW = {"batch", "evaluate", "perform", "play", "provenance", "steer"}


def test_every_example_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == CASES.keys()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in CASES]
)
def test_an_example_runs(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, files, words = CASES[name]
    monkeypatch.chdir(tmp_path)
    song = chords("C Am F G7 C F G7 C")
    song.write("mine.mid")
    score = Score.from_arrays(onset=np.arange(32), duration=np.ones(32), pitch=40 + np.arange(32))
    song_of(score).write("score.mid")
    Path("recordings").mkdir()
    for number in range(2):
        Performance.join([song, song.transpose(number)]).write(f"recordings/{number}.mid")
    monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert words in capsys.readouterr().out
    assert [file for file in files if not Path(file).exists()] == []


NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_clean(path: Path) -> None:
    book = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert (book["nbformat"], len(NOTEBOOKS)) == (4, 3)
    assert code and all(cell["outputs"] == [] and not cell["execution_count"] for cell in code)
    for cell in code:
        compile("".join(cell["source"]), path.name, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), path.name, "exec"), names)  # noqa: S102
