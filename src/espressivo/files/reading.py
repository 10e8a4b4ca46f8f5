"""Files that are read: each of them ends, and is of a size that fits into memory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["regular"]

_MOST = 2 << 30  # bytes, more than ONNX allows a model file


def regular(path: str | os.PathLike[str], *, most: int | None = _MOST) -> Path:
    """Return a path that is going to be read, once it is known to be that of a file.

    A pipe without a writer, a terminal or ``/dev/zero`` would be read for ever.

    Parameters
    ----------
    path : path
    most : int, optional
        Bytes that the file may have; None for any number, if it is not read as a whole.

    Raises
    ------
    OSError
        If it is missing, is a folder, a pipe, a socket or a device, or is too large.
    """
    path = Path(path)
    try:
        status = path.stat()
    except ValueError as error:  # a path that no system allows
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a file", str(path))
    if most is not None and status.st_size > most:
        raise OSError(
            errno.EFBIG, f"it has {status.st_size} bytes, and {most} are the most", str(path)
        )
    return path
