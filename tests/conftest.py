"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from espressivo import Performance, telemetry
from espressivo.cli import main

Run = Callable[..., tuple[int, str, str]]

# How many inputs a property is tried with; `make test-all` asks for the thorough ones.
settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=200, deadline=None)
settings.load_profile("quick")


@pytest.fixture(autouse=True, scope="session")
def _one_session_for_each_file() -> Iterator[None]:
    """Make a session of ONNX Runtime once for each content: it holds nothing of what is played."""
    telemetry.forbid()
    import onnxruntime

    made, make = {}, onnxruntime.InferenceSession

    def session(content: bytes, options: Any, *others: Any, **named: Any) -> Any:
        key = (content, options.intra_op_num_threads)
        if key not in made:
            made[key] = make(content, options, *others, **named)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "InferenceSession", session)
        yield


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
