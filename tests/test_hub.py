"""Models in folders as on Hugging Face's hub, and from a server that answers as the hub does."""

from __future__ import annotations

import importlib.resources
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

import espressivo
from espressivo.errors import ModelError
from espressivo.networks.card import markdown
from espressivo.play.hub import fetch

COMMIT = "0123456789abcdef" * 2 + "01234567"
BUNDLED = Path(str(importlib.resources.files("espressivo"))) / "models" / "seed.onnx"


class Answers(BaseHTTPRequestHandler):
    """The part of the hub that a download of one file needs."""

    asked: ClassVar[list[str]]
    files: ClassVar[dict[str, Path]] = {
        f"/org/piano/resolve/{revision}/model.onnx": BUNDLED for revision in ("main", COMMIT)
    }

    def do_HEAD(self) -> None:
        self._answer(whole=False)

    def do_GET(self) -> None:
        self._answer(whole=True)

    def _answer(self, *, whole: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        path = self.files.get(self.path)
        self.send_response(200 if path else 404)
        content = path.read_bytes() if path else b""
        if path:
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", '"abc"')
        else:
            known = self.path.startswith("/org/empty/")
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if whole:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a server on this machine, which stands for the hub, has been asked for."""
    constants = pytest.importorskip("huggingface_hub.constants")
    Answers.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"  # HF_ENDPOINT is read at import
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    yield Answers.asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_is_fetched_once_and_plays(asked: list[str]) -> None:
    model = espressivo.load("hf:org/piano")
    assert model.engine.sha256 == espressivo.load("seed").engine.sha256
    assert [each for each in asked if each.startswith("GET /org")] == [
        "GET /org/piano/resolve/main/model.onnx"
    ]
    path = fetch(f"hf:org/piano@{COMMIT}")  # the same commit is here already
    assert path.read_bytes() == BUNDLED.read_bytes()
    assert sum(each.startswith("GET /org") for each in asked) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:org/empty", r"hf:org/empty: has no model\.onnx"),
        ("hf:org/nothing", "hf:org/nothing: there is no such model, or it is not public"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(asked: list[str], name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as raised:
        espressivo.load(name)
    assert "\n" not in str(raised.value) and asked


@pytest.mark.parametrize(
    "name", ["hf:", "hf:piano", "hf:a/b/c", "hf:../../etc", "hf:a/b@", "hf:a b/c"]
)
def test_what_is_no_name_is_not_asked_for(name: str) -> None:
    with pytest.raises(ModelError, match="is no name of a model on the hub: write hf:organisation"):
        espressivo.load(name)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'espressivo\[hub\]'"):
        espressivo.load("hf:org/piano")


def test_a_folder_with_a_model_file_plays(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no model\.onnx: espressivo export"):
        espressivo.load(tmp_path)
    shutil.copy(BUNDLED, tmp_path / "model.onnx")
    assert espressivo.load(tmp_path).card["name"] == "seed"


@pytest.mark.parametrize(
    ("licence", "lines"),
    [
        ("CC BY-NC-SA 4.0", ["license: cc-by-nc-sa-4.0"]),
        ("MIT", ["license: mit"]),
        ('my "own"', ["license: other", 'license_name: "my \\"own\\""']),
    ],
)
def test_a_card_begins_with_what_the_hub_reads(licence: str, lines: list[str]) -> None:
    text = markdown({"name": "two\nlines", "licence": licence, "nats": 2.5})
    head, _, body = text.removeprefix("---\n").partition("---\n")
    assert head.splitlines()[: len(lines)] == lines
    assert "\n# two lines\n" in body and '"nats": 2.5' in body
