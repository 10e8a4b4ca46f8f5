"""What Windows does otherwise, tried on any system as far as it can be."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from espressivo.data import read_splits
from espressivo.files import check_writable, is_stdout, replacing
from midi_bytes import meta, on, one_track
from test_packaging import COMMAND

SOURCE = Path(__file__).parents[1] / "src"
linux = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="asks for open files in /proc"
)


def _open_here(path: Path) -> bool:
    handles = Path("/proc/self/fd").iterdir()
    return str(path) in {os.path.realpath(handle) for handle in handles}


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file that is open be renamed, replaced or removed."""

    def careful(does: Callable[..., object]) -> Callable[..., object]:
        def do(path: Path, *others: Path, **options: bool) -> object:
            if any(_open_here(each) for each in (path, *others)):
                raise PermissionError(errno.EACCES, "Access is denied", str(path))
            return does(path, *others, **options)

        return do

    monkeypatch.setattr(sys, "platform", "win32")
    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, careful(getattr(Path, name)))


@linux
@pytest.mark.usefixtures("windows")
def test_no_open_file_is_renamed(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    for content in (b"first", b"second"):
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.mid"]


@linux
@pytest.mark.usefixtures("windows")
def test_a_file_in_use_stays_and_is_said_to_be_in_use(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(b"old")
    with (
        path.open("rb"),
        pytest.raises(OSError, match="is open in another program: close it") as raised,
        replacing(path) as temporary,
    ):
        temporary.write_bytes(b"new")
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.mid"]


@pytest.mark.parametrize("name", ["nul.mid", "CON.wav", "com1.tar.gz", "Aux .mid"])
def test_a_device_is_no_name_of_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replacing(tmp_path / name):
        pass  # elsewhere it is one
    monkeypatch.setattr(sys, "platform", "win32")
    for write in (check_writable, lambda path: replacing(path).__enter__()):
        with pytest.raises(OSError, match="the name of a device on Windows: choose another"):
            write(tmp_path / name)
    check_writable(tmp_path / "console.mid")


def test_a_device_of_windows_is_not_taken_for_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = os.stat_result((0o020000, *[0] * 9))  # as Windows describes NUL and a console
    monkeypatch.setattr(os, "stat", lambda *_, **__: nothing)
    monkeypatch.setattr(os, "fstat", lambda _: nothing)
    assert not is_stdout("NUL") and is_stdout("-")


def test_a_table_by_windows_is_read(tmp_path: Path) -> None:
    table = tmp_path / "splits.csv"
    rows = ["path,composition,split", r"2004\a.mid,Étude,train", r"2004\sub\b.mid,Waltz,test"]
    table.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*rows, ""]).encode())
    assert sorted(read_splits(table)) == ["2004/a.mid", "2004/sub/b.mid"]


def test_a_terminal_with_few_letters_is_enough(tmp_path: Path) -> None:
    title = "Dvořák ♯1"
    (tmp_path / "a.mid").write_bytes(
        one_track((0, meta(3, title.encode())), (0, on(60)), (9, on(60, 0)))
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            COMMAND.replace("['espressivo']", "['espressivo', 'info', 'a.mid']"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"Dvo\u0159\xe1k \u266f1" in done.stdout.replace("á".encode("cp1252"), rb"\xe1")


def test_no_text_is_in_the_encoding_of_the_machine() -> None:
    """Windows has another one than others: each text says its own."""
    nameless = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            name, given = node.func.attr, {each.arg for each in node.keywords}
            of = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            words = [ast.unparse(each) for each in node.args]
            opened = name == "open" and of not in ("av", "os", "wave", "webbrowser")
            text = opened and not any("b'" in word for word in words)
            text |= name == "write_text" or (name == "read_text" and not words)
            started = name in ("run", "Popen") and of == "subprocess"
            if (text and "encoding" not in given) or (started and "text" in given):
                nameless.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert nameless == []
