"""Whoever stops a command, or a disk that is full, leaves the old file and nothing half-written."""

from __future__ import annotations

import builtins
import dataclasses
import errno
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Run
from espressivo import Performance, data, vocabulary
from espressivo.__main__ import main
from espressivo.data import Dataset
from espressivo.errors import DataError
from espressivo.networks import load_pretrained, save_pretrained
from espressivo.training import Checkpoint, load_network, train
from known import posix
from test_training import SMALL, write_dataset

CONFIG = dataclasses.replace(SMALL, rounds=0.5, validate_every=2)
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
Interrupt = Callable[..., None]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STATUS}
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what runs in the background ignores it
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def at_writing(monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    """Let something happen each time that a file is whole and has not its name yet, from the n-th.

    Then the temporary file stands beside what is there.
    """
    sync = os.fsync

    def at_writing(happen: Callable[[], None], after: int = 0) -> None:
        times = iter(range(1000))

        def synced(handle: int) -> None:
            if next(times) >= after:
                happen()
            sync(handle)

        monkeypatch.setattr(os, "fsync", synced)

    return at_writing


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a corpus, a dataset and a run."""
    folder = tmp_path_factory.mktemp("trained")
    write_dataset(folder / "data", notes=20)
    (folder / "corpus").mkdir()
    onset_s = np.arange(9.0)
    Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.5, pitch=np.arange(50, 59), velocity=np.full(9, 60)
    ).write(folder / "corpus" / "a.mid")
    train(Dataset(folder / "data"), folder / "run", CONFIG, accelerator="cpu")
    return folder


def left(folder: Path) -> list[str]:
    """Return the names of temporary files and locks."""
    found = [path.name for path in folder.rglob(".*") if path.is_file()]
    return [name for name in found if name.endswith((".partial", ".lock"))]


COMMANDS = {
    "old.mid": "generate --events 9 -o old.mid",
    "old.wav": "render scale.mid -o old.wav",
    "old.png": "plot scale.mid -o old.png",
    "old.onnx": "export {}/run -o old.onnx",
    "old/model.safetensors": "export {}/run -o old",
    "old/report.json": "evaluate seed scale.mid --out old --quick --samples 0 --workers 1",
}


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
    ids=["SIGINT", "SIGTERM"],
)
@pytest.mark.parametrize("output", COMMANDS)
def test_what_was_there_stays_when_a_command_is_stopped(
    run: Run, at_writing: Interrupt, trained: Path, scale: Path, output: str, number: signal.Signals
) -> None:
    folder, old = scale.parent, scale.parent / output
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"old")
    at_writing(lambda: signal.raise_signal(number))
    status, out, err = run(*COMMANDS[output].format(trained).split())
    assert (status, out) == (STATUS[number], "")
    assert old.read_bytes() == b"old"
    assert not left(folder)
    assert "Traceback" not in err


@pytest.mark.parametrize("output", COMMANDS)
def test_what_was_there_stays_when_the_disk_is_full(
    run: Run, at_writing: Interrupt, trained: Path, scale: Path, output: str
) -> None:
    folder, old = scale.parent, scale.parent / output
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"old")
    at_writing(full)
    status, out, err = run(*COMMANDS[output].format(trained).split())
    assert (status, out) == (1, "")
    (said,) = [line for line in err.splitlines() if line.startswith("espressivo: ")]
    assert "old" in said and said.endswith(f": {os.strerror(errno.ENOSPC)}")
    assert old.read_bytes() == b"old"
    assert not left(folder)


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_network_stays_until_the_next_one_is_whole(
    at_writing: Interrupt, trained: Path, tmp_path: Path
) -> None:
    network, checkpoint = load_network(trained / "run" / "last.ckpt")
    save_pretrained(network, checkpoint.vocabulary, tmp_path, card={"name": "old"})
    at_writing(full)
    with pytest.raises(OSError, match=r"safetensors"):
        save_pretrained(network, checkpoint.vocabulary, tmp_path, card={"name": "new"})
    assert load_pretrained(tmp_path).card == {"name": "old"}
    assert not left(tmp_path)


# A dataset


@pytest.mark.parametrize("happen", [*STATUS, None], ids=["SIGINT", "SIGTERM", "full"])
def test_a_dataset_stays_until_the_next_one_is_whole(
    at_writing: Interrupt, trained: Path, tmp_path: Path, happen: signal.Signals | None
) -> None:
    def prepare(name: str) -> None:
        with ThreadPoolExecutor(1) as executor:
            data.prepare(
                [trained / "corpus"],
                tmp_path / "set",
                vocabulary=vocabulary(name),
                executor=executor,
            )

    def stop(*_: object) -> None:
        raise SystemExit

    prepare("seed")
    for number in STATUS:
        signal.signal(number, stop)
    at_writing(full if happen is None else lambda: signal.raise_signal(happen), after=2)
    with pytest.raises(DataError if happen is None else SystemExit):
        prepare("magenta")
    dataset = Dataset(tmp_path / "set")
    assert dataset.vocabulary.name == "seed"
    assert [len(dataset.ids(piece)) for piece in dataset.pieces]
    assert not left(tmp_path)


# A run


@pytest.mark.parametrize("happen", [signal.SIGTERM, None], ids=["SIGTERM", "full"])
def test_a_run_that_cannot_write_its_checkpoint_goes_on_from_the_last(
    at_writing: Interrupt, trained: Path, tmp_path: Path, happen: signal.Signals | None
) -> None:
    def stop(*_: object) -> None:
        raise SystemExit

    def ask() -> None:
        for _ in range(2):  # the first one would wait for the checkpoint
            signal.raise_signal(signal.SIGTERM)

    dataset = Dataset(trained / "data")
    signal.signal(signal.SIGTERM, stop)
    at_writing(full if happen is None else ask, after=5)
    with pytest.raises(OSError if happen is None else SystemExit):
        train(dataset, tmp_path, CONFIG, accelerator="cpu")
    assert not left(tmp_path)
    whole = Checkpoint.load(trained / "run" / "last.ckpt")
    assert 0 < Checkpoint.load(tmp_path / "last.ckpt").step < whole.step
    at_writing(lambda: None)
    train(dataset, tmp_path, CONFIG, accelerator="cpu", resume=True)
    again = Checkpoint.load(tmp_path / "last.ckpt")
    assert again.step == whole.step
    assert all(torch.equal(whole.network[name], weight) for name, weight in again.network.items())


@posix
def test_a_checkpoint_that_does_not_fit_on_the_disk_says_so(trained: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    checkpoint = Checkpoint.load(trained / "run" / "last.ckpt")
    (tmp_path / "last.ckpt").write_bytes(b"old")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        with pytest.raises(OSError, match=f"{os.strerror(errno.EFBIG)}.*last.ckpt"):
            checkpoint.save(tmp_path / "last.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_command_that_is_interrupted_while_it_loads_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def interrupted(name: str, *arguments: object) -> object:
        if name == "espressivo.cli":
            raise KeyboardInterrupt
        return real(name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", interrupted)
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, capsys.readouterr().err) == (130, "espressivo: interrupted\n")
