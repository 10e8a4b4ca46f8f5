from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from espressivo.files import (
    SEAL,
    check_writable,
    ending,
    intact,
    is_stream,
    locked,
    printable,
    replacing,
    seal,
)
from espressivo.files.writing import _sweep
from known import posix


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_file_has_the_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual.txt"
    usual.write_text("")
    with replacing(tmp_path / "a.txt"):
        pass
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "no" / "a.txt"
    with pytest.raises(FileNotFoundError) as raised, replacing(path):
        pass
    assert raised.value.filename == str(path)


# What stands at a path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@posix
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    for mode in (0o640, 0o600, 0o755):
        path.chmod(mode)
        with replacing(path) as temporary:
            assert stat.S_IMODE(temporary.stat().st_mode) == 0o600  # read by nobody before it is
            temporary.write_text("new")
        assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root gives files away")
def test_a_file_that_is_replaced_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    os.chown(path, 1234, 4321)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


@posix
def test_the_mask_of_the_process_is_followed_and_never_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patched:
            patched.delattr(os, "umask")
            with replacing(tmp_path / "a.txt") as temporary:
                temporary.write_text("new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


@posix
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(tmp_path: Path, there: bool) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "a.txt", tmp_path / "link.txt"
    if there:
        target.write_text("old")
    link.symlink_to(Path("far") / "a.txt")
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"
    assert (names(tmp_path), names(target.parent)) == (["far", "link.txt"], ["a.txt"])


@posix
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    check_writable(pipe)  # does not wait for a reader
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with replacing(pipe) as temporary:
        temporary.write_bytes(b"new" * 100_000)
    reader.join()
    assert read == [b"new" * 100_000]
    assert pipe.is_fifo() and names(tmp_path) == ["pipe"]


@posix
@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
@pytest.mark.parametrize("appended", [True, False])
def test_standard_output_is_written_to_wherever_it_goes(
    tmp_path: Path, name: str, appended: bool
) -> None:
    script = f"""
from espressivo.files import replacing
print("before")
with replacing({name!r}) as temporary:
    temporary.write_text("new\\n")
print("after")
"""
    goes_to = tmp_path / "out.txt"
    goes_to.write_text("old\n")
    with goes_to.open("a" if appended else "w") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True, cwd=tmp_path)
    assert goes_to.read_text() == "old\n" * appended + "before\nnew\nafter\n"
    assert names(tmp_path) == ["out.txt"]
    piped = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=tmp_path)
    assert (piped.stdout, piped.stderr) == (b"before\nnew\nafter\n", b"")


@posix
def test_devices_are_streams_and_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    assert is_stream("/dev/null") and is_stream("-")
    assert not is_stream(tmp_path / "a.txt") and not is_stream(tmp_path / "none")
    assert [ending(path, ".mid") for path in ("-", "/dev/null", "a.WAV", "a")] == [
        ".mid",
        ".mid",
        ".wav",
        "",
    ]


def refused(path: Path, words: str) -> None:
    before = names(path.parent) if path.parent.is_dir() else []
    for opened in (replacing, lambda path: _checked(path)):
        with pytest.raises(OSError) as raised, opened(path):
            raise AssertionError("the block does not run")
        assert words in str(raised.value.strerror) and raised.value.filename == str(path)
    assert before == (names(path.parent) if path.parent.is_dir() else [])


class _checked:
    def __init__(self, path: Path) -> None:
        check_writable(path)


@posix
def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "is a folder")
    refused(tmp_path / "none" / "a.txt", f"there is no folder {tmp_path / 'none'}")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file" / "a.txt", "Not a directory")
    (tmp_path / "self").symlink_to("self")
    refused(tmp_path / "self", "Too many levels of symbolic links")
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    refused(tmp_path / "socket", "is neither a file nor a stream")


def test_to_check_a_path_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    check_writable(path)
    assert names(tmp_path) == []
    path.write_text("old")
    before = path.stat()
    check_writable(path)
    assert path.stat() == before and names(tmp_path) == ["a.txt"]


# What is left behind

KILLED = """
import os, signal, sys
from espressivo.files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.txt")], check=False)
    (left,) = names(tmp_path)
    assert done.returncode == -9 and left.endswith(".partial")
    with replacing(tmp_path / "b.txt") as b:
        b.write_text("b")
        assert names(tmp_path) == [b.name]
        _sweep.cache_clear()
        with replacing(tmp_path / "c.txt") as c:
            c.write_text("c")
        assert names(tmp_path) == [b.name, "c.txt"]
    assert names(tmp_path) == ["b.txt", "c.txt"]


# Locks

HELD = """
import sys, time
from pathlib import Path
from espressivo.files import locked
with locked(Path(sys.argv[1]), RuntimeError):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HELD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        words = f"{tmp_path}: is in use by process {holder.pid} on "
        with pytest.raises(RuntimeError, match=words), locked(tmp_path, RuntimeError):
            pass
        holder.kill()
    assert names(tmp_path) == [".lock"]
    with locked(tmp_path, RuntimeError):
        pass
    assert names(tmp_path) == []


# Seals


def test_no_byte_of_a_sealed_content_can_change_unnoticed() -> None:
    content = bytearray(b"before " + SEAL.encode() + b" after")
    seal(content)
    assert intact(bytes(content)) and SEAL.encode() not in content
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 4
        assert not intact(bytes(changed))
    for length in range(len(content)):
        assert not intact(bytes(content[:length]))
    assert intact(b"never sealed") is None


# Names


def test_names_are_shown_in_one_line_without_their_effects() -> None:
    assert printable("Für Elise.mid") == "Für Elise.mid"
    assert printable("\x1b[31mred\n\r\u202e.mid") == "\\x1b[31mred\\n\\r\\u202e.mid"
    assert printable("caf\udce9 \ud800") == "caf\\xe9 \\ud800"
