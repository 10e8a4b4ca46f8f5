"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from espressivo import Performance
from espressivo.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["espressivo", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    onset_s = np.arange(8) * 0.25
    pitch = [60, 62, 64, 65, 67, 69, 71, 72]
    path = tmp_path / "scale.mid"
    Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.2, pitch=pitch, velocity=60 + 4 * np.arange(8)
    ).write(path)
    return path
