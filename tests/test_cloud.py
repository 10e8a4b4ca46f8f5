"""Datasets at URLs: whole or not there, however the way to them ends."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from espressivo.cli.options import PLACE, Folder
from espressivo.codes import vocabulary
from espressivo.data import Dataset, prepare, shards
from espressivo.data.cloud import kept_at
from espressivo.errors import DataError
from played import played

fsspec = pytest.importorskip("fsspec", reason="needs the extra cloud")

URL = "memory://bucket/data"


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("ESPRESSIVO_CACHE", str(tmp_path / "cache"))
    yield
    system = fsspec.filesystem("memory")
    if system.exists("/bucket"):
        system.rm("/bucket", recursive=True)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(3):
        played(number).write(folder / f"{number}.mid")
    return folder


def make(corpus: Path, out: str | Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        prepare([corpus], out, vocabulary=vocabulary("seed"), executor=executor)


def read(place: str | Path) -> list[Any]:
    dataset = Dataset(place)
    return [(piece, dataset.ids(piece).tolist()) for piece in dataset.pieces]


def objects() -> list[str]:
    found: list[str] = fsspec.filesystem("memory").find("/bucket")
    return sorted(path.rpartition("/")[2] for path in found)


def test_a_dataset_at_a_url_is_that_of_a_folder(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(corpus, tmp_path / "out")
    make(corpus, URL + "/")
    assert objects() == ["dataset.json", "manifest.csv", "pieces.ids"]
    assert read(URL) == read(tmp_path / "out")
    encoded: list[Path] = []
    encode = shards._encode
    monkeypatch.setattr(
        shards, "_encode", lambda path, *rest: (encoded.append(path), encode(path, *rest))[1]
    )
    played(3).write(corpus / "3.mid")
    make(corpus, URL)
    assert [path.name for path in encoded] == ["3.mid"]
    assert objects() == ["dataset.json", "manifest.csv", "pieces.ids"]  # and none of before
    assert len(read(URL)) == 4


def test_it_is_fetched_once(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(corpus, URL)
    first = Dataset(URL).folder
    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", None)
    assert Dataset(URL).folder == first
    assert first.is_relative_to(os.environ["ESPRESSIVO_CACHE"])


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("fails", ["put_file", "pipe_file"])
def test_sending_that_ends_on_the_way_changes_nothing(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, fails: str, before: bool
) -> None:
    if before:
        make(corpus, URL)
        known = read(URL)
    played(3).write(corpus / "3.mid")

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route\nto host")

    with monkeypatch.context() as patched:
        patched.setattr(fsspec.get_filesystem_class("memory"), fails, fail)
        with pytest.raises(DataError, match=f"^{URL}: no route to host$"):
            make(corpus, URL)
    if before:
        assert read(URL) == known
    else:
        with pytest.raises(DataError, match=r"not a prepared dataset, dataset.json is missing"):
            Dataset(URL)
    make(corpus, URL)
    assert len(read(URL)) == 4
    assert objects() == ["dataset.json", "manifest.csv", "pieces.ids"]


def test_fetching_that_ends_on_the_way_goes_on(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(corpus, URL)
    memory = fsspec.get_filesystem_class("memory")
    fetched: list[str] = []
    get_file = memory.get_file

    def short(self: Any, source: str, target: str, **options: Any) -> None:
        fetched.append(source.rpartition("/")[2])
        get_file(self, source, target, **options)
        if fetched == ["manifest.csv", "pieces.ids"]:
            os.truncate(target, 10)

    monkeypatch.setattr(memory, "get_file", short)
    with pytest.raises(DataError, match=r"pieces.ids: has not come whole: try again"):
        Dataset(URL)
    assert len(read(URL)) == 3
    assert fetched == ["manifest.csv", "pieces.ids", "pieces.ids"]


def test_a_folder_that_was_copied_there_is_read(corpus: Path, tmp_path: Path) -> None:
    make(corpus, tmp_path / "out")
    fsspec.filesystem("memory").put(str(tmp_path / "out") + "/", "/bucket/data", recursive=True)
    assert read(URL) == read(tmp_path / "out")


def test_what_is_no_dataset_is_neither_read_nor_replaced(corpus: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/data/dataset.json", b'{"mine": 1}')
    with pytest.raises(DataError, match=r"dataset.json: is no part of a dataset: choose another"):
        make(corpus, URL)
    assert not kept_at(URL).exists()  # it was said before any work
    with pytest.raises(DataError, match=r"damaged \(dataset.json has changed\)"):
        Dataset(URL)


@pytest.mark.parametrize("url", ["s3://bucket/data", "gs://bucket/data", "nowhere://bucket/data"])
def test_what_is_missing_is_said_in_a_line(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    for name in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, name, None)
    for use in (Dataset, lambda url: make(corpus, url)):
        with pytest.raises(DataError) as refused:
            use(url)  # type: ignore[operator]
        assert str(refused.value).startswith(f"{url}: ") and "\n" not in str(refused.value)
        assert ("espressivo[cloud]" in str(refused.value)) is not url.startswith("nowhere")


def test_commands_leave_urls_as_they_are(tmp_path: Path) -> None:
    for kind in (PLACE, Folder(urls=True)):
        assert kind.convert("s3://bucket/data", None, None) == "s3://bucket/data"
        assert kind.convert(str(tmp_path), None, None) == tmp_path
    assert Folder().convert("s3://bucket", None, None) == Path("s3:/bucket")


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a local server that stands for Amazon's."""
    for name in ("moto", "flask", "s3fs"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}: pip install 'moto[s3,server]' s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
        yield "s3://bucket/data"
    finally:
        process.kill()
        process.wait()


KILLED = """
import os, sys, s3fs
from test_cloud import make
sent = []
put_file = s3fs.S3FileSystem.put_file
def put(self, *arguments, **options):
    if sent:
        os._exit(9)
    sent.append(1)
    put_file(self, *arguments, **options)
s3fs.S3FileSystem.put_file = put
make(sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_bucket_holds_a_dataset_whole_though_sending_is_killed(
    s3: str, corpus: Path, tmp_path: Path
) -> None:
    make(corpus, tmp_path / "out")
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", KILLED, str(corpus), s3]

    def killed() -> None:
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)
        assert done.returncode == 9

    killed()
    with pytest.raises(DataError, match=r"dataset.json is missing"):
        Dataset(s3)
    make(corpus, s3)
    assert read(s3) == read(tmp_path / "out")
    played(3).write(corpus / "3.mid")
    killed()
    shutil.rmtree(tmp_path / "cache" / "fetched")
    assert read(s3) == read(tmp_path / "out")
    make(corpus, s3)
    assert len(read(s3)) == 4
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    assert len(system.find("bucket/data")) == 3
