"""Locks, which the system lifts when their holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["lock", "locked"]

_FAR = 1 << 30  # Windows locks bytes, and what is locked cannot be read


def lock(handle: int, *, wait: bool = False) -> bool:
    """Lock an open file, and tell whether it is locked; closing it ends that.

    On a file system without locks every file counts as locked.
    """
    try:
        if sys.platform == "win32":
            os.lseek(handle, _FAR, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True


@contextlib.contextmanager
def locked(folder: Path, error: type[Exception]) -> Iterator[None]:
    """Keep other processes off a folder, in which a file ``.lock`` says who uses it.

    Raises
    ------
    error
        If another process uses the folder; the message says which.
    OSError
        If the folder cannot be written.
    """
    path = folder / ".lock"
    handle, free = _opened(path)
    try:
        if not free:
            os.lseek(handle, 0, os.SEEK_SET)
            holder = os.read(handle, 200).decode("utf-8", "replace") or "another process"
            raise error(
                f"{folder}: is in use by {holder}: wait until that ends, or choose another folder"
            )
        try:
            os.truncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {platform.node()}".encode())
        except OSError as problem:  # such as a full disk
            problem.filename = str(path)
            raise
        yield
    finally:
        if free:
            with contextlib.suppress(OSError):  # Windows keeps a file that is open
                path.unlink()
        os.close(handle)


def _opened(path: Path) -> tuple[int, bool]:
    """Open a lock's file, and tell whether it is ours now."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not lock(handle):
            return handle, False
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle, True
        os.close(handle)  # whoever had it has removed it meanwhile
