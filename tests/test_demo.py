"""What `espressivo demo` leaves, and what it says where matplotlib is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Run

SHORT = ("--seconds", 2, "--seed", 3)


def test_a_demo_is_what_generate_render_and_plot_make(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("demo", *SHORT, "--json")
    about = json.loads(out)
    assert status == 0 and about["seed"] == 3 and about["notes"] > 0
    assert [Path(file).name for file in about["files"]] == [
        *("performance.mid", "performance.wav", "performance.png")
    ]
    assert run("generate", *SHORT, "-o", "a.mid")[0] == 0
    assert run("render", "a.mid", "-o", "a.wav")[0] == 0
    for name in ("a.mid", "a.wav"):
        made = Path("demo", f"performance{Path(name).suffix}")
        assert made.read_bytes() == Path(name).read_bytes()
    assert Path("demo/performance.png").read_bytes().startswith(b"\x89PNG")
    assert run("demo", *SHORT)[:2] == (0, "".join(f"{file}\n" for file in about["files"]))


def test_without_matplotlib_it_says_what_the_picture_needs(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espressivo.cli.demo.find_spec", lambda name: None)
    status, out, err = run("demo", *SHORT, "--out", "here")
    assert status == 0 and "performance.wav" in out and "performance.png" not in out
    assert "no picture: it needs matplotlib: pip install 'espressivo[plot]'" in err
    assert not Path("here/performance.png").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(run: Run) -> None:
    Path("demo").write_text("mine")
    status, _, err = run("demo", *SHORT)
    assert status == 1 and err.count("\n") == 1 and "choose another name" in err
