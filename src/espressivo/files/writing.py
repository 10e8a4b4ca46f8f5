"""Writing files so that none is ever half-written, and nothing that was there is lost."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from espressivo.files.locks import lock

__all__ = ["check_folder", "check_writable", "is_stdout", "is_stream", "replacing"]

_STDOUT = 1
_PREFIX, _SUFFIX = ".espressivo-", ".partial"
# What Windows 10 takes for a device, whatever ending follows.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]) *\..*", re.IGNORECASE)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path, whose file becomes that of `path` when the block succeeds.

    - If the block raises, what was at `path` stays as it was, and the temporary file is removed.
      That of a process that was killed is removed when another writes into the same folder.
    - A file that is replaced passes on its mode, owner and group. A link stays a link, and what it
      points at is replaced.
    - A stream (`is_stream`) is written to when the block has succeeded, and never replaced.

    The temporary file stands beside the other; its name ends in ``.partial``.

    Raises
    ------
    OSError
        If `path` is a folder, a socket or a disk, is in none, or cannot be written; before the
        block runs, wherever that can be known.
    """
    path = Path(path)
    try:
        _check_name(path)
        if is_stream(path):
            with tempfile.TemporaryDirectory(prefix="espressivo-") as folder:
                temporary = Path(folder) / f"{_PREFIX}stream"
                yield temporary
                _pour(temporary, path)
            return
        target, before = _target(path)
        _sweep(target.parent)
        handle, temporary = _begun(target.parent, private=before is not None)
        try:
            if before is not None:
                _keep_owner(temporary, before)
            yield temporary
            if before is not None:
                temporary.chmod(stat.S_IMODE(before.st_mode))
            os.fsync(handle)
            if sys.platform == "win32":
                os.close(handle)  # it renames no file that is open
                handle = -1
            _rename(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                os.close(handle)
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is None or Path(str(error.filename)).name.startswith(_PREFIX):
            error.filename = str(path)  # which a user knows
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise what `replacing` would raise before any work is done for it; nothing is changed."""

    class Enough(Exception):
        pass

    _check_name(Path(path))
    if not is_stream(path):  # opening one may wait for its reader
        with contextlib.suppress(Enough), replacing(path):
            raise Enough


def check_folder(path: str | os.PathLike[str]) -> Path:
    """Return the path of a folder that may be yet to be made; `OSError` if a file is there."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise _refusal(errno.ENOTDIR, "is a file and no folder: choose another name", path)
    return path


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is written to as it stands: a pipe, a terminal, ``-``, ``/dev/stdout``.

    The last two are standard output, whatever file that goes to.
    """
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError):
        kind = 0
    return stat.S_ISFIFO(kind) or stat.S_ISCHR(kind) or is_stdout(path)


def is_stdout(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is standard output."""
    if os.fspath(path) == "-":
        return True
    try:
        here, stdout = os.stat(path), os.fstat(_STDOUT)
    except (OSError, ValueError):
        return False
    return stdout.st_ino != 0 and os.path.samestat(here, stdout)  # 0: of all devices of Windows


def _pour(source: Path, stream: Path) -> None:
    if is_stdout(stream):
        sys.stdout.flush()
    with (
        source.open("rb") as written,
        open(os.dup(_STDOUT) if is_stdout(stream) else stream, "wb") as out,
    ):
        shutil.copyfileobj(written, out)


def _target(path: Path) -> tuple[Path, os.stat_result | None]:
    """Return the file that links lead to, and what is known of it if there is one."""
    target = Path(os.path.realpath(path))
    try:
        status = path.stat()
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise _refusal(errno.ENOENT, f"there is no folder {target.parent}", path) from None
        return target, None
    if stat.S_ISDIR(status.st_mode):
        raise _refusal(errno.EISDIR, "is a folder", path)
    if not stat.S_ISREG(status.st_mode):
        raise _refusal(errno.EINVAL, "is neither a file nor a stream", path)
    if not os.access(path, os.W_OK):
        raise _refusal(errno.EACCES, "is write-protected", path)
    return target, status


def _check_name(path: Path) -> None:
    if sys.platform == "win32" and _DEVICE.fullmatch(path.name):
        raise _refusal(errno.EINVAL, "is the name of a device on Windows: choose another", path)


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.replace(target)
    except PermissionError:
        if sys.platform == "win32" and target.exists():
            raise _refusal(errno.EACCES, "is open in another program: close it", target) from None
        raise


def _refusal(number: int, reason: str, path: Path) -> OSError:
    return OSError(number, reason, str(path))


def _begun(folder: Path, *, private: bool) -> tuple[int, Path]:
    """Make a temporary file that is locked for as long as it is open."""
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(4)}{_SUFFIX}"
        try:
            handle = os.open(
                path,
                os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
                0o600 if private else 0o666,
            )
        except FileExistsError:
            continue
        if sys.platform == "win32" or (lock(handle, wait=True) and path.exists()):
            return handle, path
        os.close(handle)  # it was swept away before it was locked


@functools.cache
def _sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder; done once by a process."""
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                path.unlink()  # fails while the file is open
                continue
            handle = os.open(path, os.O_RDWR)
            try:
                if lock(handle):
                    path.unlink()
            finally:
                os.close(handle)


def _keep_owner(temporary: Path, before: os.stat_result) -> None:
    now = temporary.stat()
    if (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid):
        return
    try:
        os.chown(temporary, before.st_uid, before.st_gid)
    except PermissionError:
        raise _refusal(
            errno.EPERM, "cannot be replaced: only its owner can keep its owner", temporary
        ) from None
