"""What is read must end: pipes without a writer and endless devices are refused in one line."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Run
from espressivo import Performance
from espressivo.data import Dataset
from espressivo.errors import DataError
from espressivo.files import regular

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """Fail a test that waits for what never comes, or reads what never ends."""

    def give_up(*_: object) -> None:
        raise TimeoutError("hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return the path of a pipe into which nobody writes."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize(
    "command",
    [
        "generate --seconds 1 -o out.mid --model {}",
        "generate --seconds 1 -o out.mid --primer {}",
        "generate --again {} -o out.mid",
        "events {}",
        "info {}",
        "next --primer scale.mid --model {}",
        "models {}",
        "render scale.mid -o out.wav --soundfont {}",
        "render {} -o out.wav",
        "plot {} -o out.png",
        "serve --soundfont {}",
        "serve --model {}",
        "prepare {} --out data",
        "prepare . --out data --csv {}",
        "evaluate {} scale.mid",
        "evaluate seed {}",
        "evaluate seed . --csv {} --split test",
        "evaluate 4gram:{} scale.mid",
        "compare {}",
        "train {} --out run",
        "export {} -o out.onnx",
    ],
)
@pytest.mark.usefixtures("scale")
def test_what_never_ends_is_refused_in_one_line(run: Run, pipe: Path, command: str) -> None:
    status, out, err = run(*command.format(pipe).split())
    lines = [line for line in err.splitlines() if line.startswith("espressivo: ")]
    assert (status, out) == (1, "")
    assert lines[-1].startswith(f"espressivo: {pipe}")
    assert not list(Path().glob("out.*"))


def test_an_endless_device_is_no_file() -> None:
    with pytest.raises(OSError, match="is a pipe, a socket or a device"):
        regular("/dev/zero")


@pytest.mark.parametrize("name", ["dataset.json", "manifest.csv"])
def test_a_dataset_whose_files_never_end_is_refused(tmp_path: Path, name: str) -> None:
    for each in ("dataset.json", "manifest.csv"):
        (tmp_path / each).write_text('{"format": 1}')
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"is a pipe.*{name}"):
        Dataset(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "best.ckpt"])
def test_a_network_whose_file_never_ends_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / name)
    if name == "model.safetensors":
        (tmp_path / "run" / "config.json").write_text('{"model_type": "espressivo"}')
    status, _, err = run("export", "run", "-o", "out.onnx")
    assert (status, err.count("\n")) == (1, 1)
    assert "run" in err


def test_a_file_may_be_so_large_and_no_larger(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    assert regular(path, most=10) == path
    assert regular(path, most=None) == path
    with pytest.raises(OSError, match="10 bytes, and 9 are the most"):
        regular(path, most=9)


def test_a_file_with_holes_that_is_too_large_is_refused(run: Run, tmp_path: Path) -> None:
    Performance.from_arrays(onset_s=[0], offset_s=[1], pitch=[60], velocity=[9]).write("a.mid")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(1 << 40)
    status, _, err = run("generate", "--seconds", 1, "-o", "out.mid", "--model", "huge.onnx")
    assert status == 1
    assert err.startswith("espressivo: huge.onnx: cannot be read: it has 1099511627776 bytes")


@pytest.mark.parametrize(
    "command", ["prepare . --out {}", "train . --out {}", "evaluate seed . --out {}"]
)
@pytest.mark.usefixtures("scale")
def test_a_file_where_a_folder_is_to_be_is_refused_before_the_work(run: Run, command: str) -> None:
    Path("file").write_bytes(b"mine")
    status, out, err = run(*command.format("file").split())
    assert (status, out) == (1, "")
    assert err == "espressivo: file: is a file and no folder: choose another name\n"
    assert Path("file").read_bytes() == b"mine"
