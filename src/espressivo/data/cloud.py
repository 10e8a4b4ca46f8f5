"""Prepared datasets at URLs, such as s3://bucket/data: written and read by way of a local folder.

Training maps a dataset into memory, and preparing takes shards over, so both need local files; they
are kept for the next time. At the URL there is the description, and beside it a folder with the
rest, named after the manifest's hash. The description is written last and as one object: until then
what was there before stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from espressivo.data.layout import DESCRIPTION, IDS, MANIFESTS, kind_of
from espressivo.errors import DataError
from espressivo.files import intact, replacing
from espressivo.progress import Progress, Silent, counted

__all__ = ["check_url", "fetched", "kept_at", "upload"]

_CACHE = "ESPRESSIVO_CACHE"
_OURS = re.compile("[0-9a-f]{32}")


def kept_at(url: str) -> Path:
    """Return the local folder in which the dataset of a URL is prepared, again and again.

    It is in the folder that ``ESPRESSIVO_CACHE`` names, by default ``~/.cache/espressivo``.
    """
    return _cache() / "prepared" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:32]


def check_url(url: str) -> None:
    """Refuse a URL that cannot be reached, or at which something else than a dataset is.

    Raises
    ------
    DataError
        If it is so, or the extra `cloud` is missing.
    """
    with _opened(url) as (system, root):
        try:
            content = system.cat_file(f"{root}/{DESCRIPTION}")
        except FileNotFoundError:
            return
        if intact(content) is not True:
            raise DataError(f"{url}/{DESCRIPTION}: is no part of a dataset: choose another folder")


def upload(folder: Path, url: str, progress: Progress | None = None) -> None:
    """Put a prepared dataset at a URL, in place of one that was there.

    However this is stopped, what is there is a whole dataset: the new one, the one before, or none.

    Parameters
    ----------
    folder : path
    url : str
        A folder, as fsspec reads it.
    progress : Progress, optional
        Told of bytes.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    with _opened(url) as (system, root):
        description = (folder / DESCRIPTION).read_bytes()
        about = json.loads(description)
        name = _name(about)
        for file in (IDS, MANIFESTS[kind_of(about)]):
            source, target = folder / file, f"{root}/{name}/{file}"
            with _told(progress or Silent(), f"sending {file}", source.stat().st_size) as told:
                system.put_file(str(source), target, callback=told)
        system.pipe_file(f"{root}/{DESCRIPTION}", description)
        for path in system.ls(root, detail=False):
            before = posixpath.basename(path.rstrip("/"))
            if _OURS.fullmatch(before) and before != name:
                system.rm(path, recursive=True)


def fetched(url: str, progress: Progress | None = None) -> Path:
    """Return the local folder of the dataset at a URL, which is fetched unless it has been before.

    A dataset's folder that was put there as it is will do, too.

    Parameters
    ----------
    url : str
        A folder, as fsspec reads it.
    progress : Progress, optional
        Told of bytes.

    Raises
    ------
    DataError
        If it cannot be read, or there is no dataset.
    """
    with _opened(url) as (system, root):
        try:
            content = system.cat_file(f"{root}/{DESCRIPTION}")
        except FileNotFoundError:
            raise DataError(
                f"{url}: not a prepared dataset, {DESCRIPTION} is missing; make one with "
                f"'espressivo prepare --out {url}'"
            ) from None
        if intact(content) is not True:
            raise DataError(f"{url}: damaged ({DESCRIPTION} has changed); prepare it again")
        folder = _cache() / "fetched" / hashlib.sha256(content).hexdigest()[:32]
        if (folder / DESCRIPTION).exists():
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        about = json.loads(content)
        apart, manifest = f"{root}/{_name(about)}", MANIFESTS[kind_of(about)]
        source = apart if system.exists(f"{apart}/{manifest}") else root
        for name in (manifest, IDS):
            if not (folder / name).exists():  # else a fetch was stopped after it
                _fetch(system, f"{source}/{name}", folder / name, progress or Silent())
        with replacing(folder / DESCRIPTION) as temporary:
            temporary.write_bytes(content)
        return folder


def _fetch(system: Any, source: str, target: Path, progress: Progress) -> None:
    size = system.info(source)["size"]
    with replacing(target) as temporary:
        with _told(progress, f"fetching {target.name}", size) as told:
            system.get_file(source, str(temporary), callback=told)
        if temporary.stat().st_size != size:
            raise DataError(f"{source}: has not come whole: try again")


@contextmanager
def _told(progress: Progress, label: str, size: int) -> Iterator[Any]:
    """Give what fsspec tells how many bytes are done."""
    from fsspec.callbacks import Callback

    with counted(progress, "bytes", label) as tell:
        yield Callback(size=size, hooks={"bytes": lambda size, value, **_: tell(value, size)})


def _name(about: dict[str, Any]) -> str:
    """Return what the folder of a dataset's large files is called, after its description."""
    return str(about["manifest_sha256"])[:32]


def _cache() -> Path:
    given = os.environ.get(_CACHE)
    return Path(given) if given else Path.home() / ".cache" / "espressivo"


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    """Give the file system of a URL, and the folder in it; what fails there is a `DataError`."""
    try:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(url.rstrip("/"), skip_instance_cache=True)
    except ImportError as error:
        raise DataError(
            f"{url}: this needs {error.name or 'a library'}: pip install 'espressivo[cloud]'"
        ) from None
    except ValueError as error:
        raise DataError(f"{url}: is no URL that can be read ({error})") from None
    try:
        yield system, root
    except DataError:
        raise
    except Exception as error:  # each kind of storage has errors of its own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{url}: {reason}") from None
