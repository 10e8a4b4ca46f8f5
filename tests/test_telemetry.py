"""Playing, serving and training touch no file but their own, and no socket but the page's."""

import contextlib
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from espressivo import Performance

STRACE = shutil.which("strace")
# What the system is asked for: writing, making, renaming and removing files, and sockets.
TRACED = "openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,%network"
WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|^mkdir|^rename|^unlink|^creat")


def command(home: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return a command of espressivo, and an environment with an empty home."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_"))}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    return [sys.executable, "-m", "espressivo", *arguments], environment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_playing_leaves_the_home_folder_empty(home: Path, tmp_path: Path) -> None:
    play, environment = command(
        home, "generate", "--model", "seed", "--events", "20", "-o", "a.mid"
    )
    subprocess.run(play, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "a.mid").stat().st_size > 0
    assert list(home.iterdir()) == []


def traced(log: Path, folder: Path) -> list[str]:
    """Return the calls in a log of strace that write outside a folder or use the network."""
    strange = []
    for line in log.read_text(errors="replace").splitlines():
        call = line.partition(" ")[2].lstrip()
        if call.startswith(("<...", "---", "+++")) or " = -1 E" in call:
            continue
        names = re.findall(r'"([^"]*)"', call.partition(" = ")[0])
        inside = all((folder / name).is_relative_to(folder) for name in names)
        if WRITING.search(call):
            if not inside and "/dev/null" not in names:
                strange.append(call)
        elif re.match(r"(socket|connect|bind|sendto|sendmsg)\(", call):
            strange.append(call)
    return strange


needs_strace = pytest.mark.skipif(STRACE is None, reason="needs strace")


def trace(folder: Path, home: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    words, environment = command(home, *arguments)
    environment["TMPDIR"] = str(folder)
    return [
        str(STRACE),
        "-f",
        "-qq",
        "-o",
        "strace.log",
        "-e",
        f"trace={TRACED}",
        *words,
    ], environment


@needs_strace
@pytest.mark.slow
def test_playing_and_rendering_touch_nothing_else(home: Path, tmp_path: Path) -> None:
    for arguments in (
        ("generate", "--seconds", "2", "-o", "a.mid"),
        ("render", "a.mid", "-o", "a.wav"),
    ):
        words, environment = trace(tmp_path, home, *arguments)
        subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True)
        assert traced(tmp_path / "strace.log", tmp_path) == []
    assert list(home.iterdir()) == []


@needs_strace
@pytest.mark.slow
def test_serving_has_no_socket_but_the_page_s(home: Path, tmp_path: Path) -> None:
    words, environment = trace(tmp_path, home, "serve", "--no-browser", "--port", "0")
    server = subprocess.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, process_group=0
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        with urllib.request.urlopen(address) as page:  # noqa: S310 (it is ours)
            assert b"<!doctype html>" in page.read()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGINT)
        server.communicate()
    calls = [re.sub(r"\(\d+, ", "(n, ", call) for call in traced(tmp_path / "strace.log", tmp_path)]
    sockets = [call for call in calls if call.startswith("socket(")]
    assert len(sockets) == 1
    assert "AF_INET, SOCK_STREAM" in sockets[0]
    assert [call for call in calls if call.startswith("connect(")] == []
    assert ["127.0.0.1" in call for call in calls if call.startswith("bind(")] == [True]
    assert list(home.iterdir()) == []


@needs_strace
@pytest.mark.slow
def test_training_touches_nothing_else(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    rng = np.random.default_rng(0)
    (tmp_path / "mid").mkdir()
    with (tmp_path / "splits.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "split", "composition"))
        for number, split in enumerate(("train", "train", "validation", "test")):
            onset_s = np.sort(rng.random(100)) * 20
            Performance.from_arrays(
                onset_s=onset_s,
                offset_s=onset_s + 0.2,
                pitch=rng.integers(30, 90, 100),
                velocity=rng.integers(1, 128, 100),
            ).write(tmp_path / "mid" / f"{number}.mid")
            rows.writerow((f"mid/{number}.mid", split, f"piece {number}"))
    prepare, environment = command(home, "prepare", "mid", "--csv", "splits.csv", "--out", "data")
    subprocess.run(prepare, cwd=tmp_path, env=environment, check=True, capture_output=True)
    words, environment = trace(
        tmp_path, home, "train", "data", "--hidden", "16", "--batch", "2", "--window", "64",
        "--rounds", "1", "--max-time", "00:00:20", "--out", "run",
    )  # fmt: skip
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "run" / "best.ckpt").stat().st_size > 0
    strange = traced(tmp_path / "strace.log", tmp_path)
    # matplotlib lists the fonts in a file of its own, and urllib3 tries whether there is IPv6.
    harmless = re.compile(r"matplotlib|^socket|^bind.*htons\(0\).*::1")
    assert [call for call in strange if not harmless.search(call)] == []
    assert {path.name for path in home.glob("*/*")} <= {"matplotlib"}
