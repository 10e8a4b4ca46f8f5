"""The page without a server as a folder of files: what it holds, and what is refused."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import espressivo
from espressivo.errors import ModelError, ServerError
from espressivo.server import site
from soundfont import soundfont

MODELS = Path(espressivo.__file__).parent / "models"


@pytest.fixture
def bank(tmp_path):
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont())
    return path


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A package whose engine has been built, in which nothing is large."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in ("ort.js", "ort.wasm", "LICENSE", "ThirdPartyNotices.txt"):
        (folder / name).write_text(name)
    monkeypatch.setattr(site, "_runtime", lambda: folder)


def test_a_site_holds_all_that_its_pages_read_and_every_licence(built, tmp_path, bank):
    own = tmp_path / "mine.onnx"
    own.write_bytes((MODELS / "seed.onnx").read_bytes())
    out = tmp_path / "site"
    site.write_site(out, ["seed", str(own)], bank)
    described = json.loads((out / "site.json").read_text())
    assert described["version"] == espressivo.__version__
    names = [(model["name"], model["file"]) for model in described["models"]]
    assert names == [("seed", "models/seed.onnx.gz"), ("mine.onnx", "own/mine.onnx.gz")]
    for _, file in names:
        assert gzip.decompress((out / file).read_bytes()) == own.read_bytes()
    assert gzip.decompress((out / "onnxruntime" / "ort.wasm.gz").read_bytes()) == b"ort.wasm"
    assert (out / "soundfont").read_bytes() == bank.read_bytes()
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    licences = {"LICENSE", "models/LICENSE", "onnxruntime/LICENSE"}
    licences.add("onnxruntime/ThirdPartyNotices.txt")
    assert files == {*described["files"], "index.html", *licences} - {"./"}
    assert "MIT" in (out / "LICENSE").read_text()
    for script in out.rglob("*.js"):  # a module that is imported is there
        for name in re.findall(r'(?:from|import) "(\./[^"]+|\.\./[^"]+)"', script.read_text()):
            assert (script.parent / name).is_file(), (script.name, name)


def test_its_page_may_load_from_beside_it_only(built, tmp_path, bank):
    site.write_site(tmp_path / "site", ["seed"], bank)
    page = (tmp_path / "site" / "index.html").read_text()
    assert f'<meta http-equiv="Content-Security-Policy" content="{site.POLICY}">' in page
    assert '<html lang="en" data-engine="worker">' in page
    allowed = set(re.findall(r"'[^']+'|\S+:(?=\s|;|$)", site.POLICY))
    assert allowed == {"'self'", "'wasm-unsafe-eval'", "'none'", "data:"}


def test_a_site_is_written_again_and_other_folders_are_left_alone(built, tmp_path, bank):
    out = tmp_path / "site"
    site.write_site(out, ["seed"], bank)
    (out / "main.js").write_text("broken")
    site.write_site(out, ["seed"], bank)
    assert (out / "main.js").read_text() != "broken"
    with pytest.raises(ServerError, match="holds files that are not a page's: give a new folder"):
        site.write_site(tmp_path, ["seed"], bank)


def test_models_are_checked_before_anything_is_written(built, tmp_path, bank):
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"wrong\.onnx: is not a whole model file"):
        site.write_site(tmp_path / "site", [str(wrong)], bank)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.onnx").write_bytes((MODELS / "seed.onnx").read_bytes())
    paths = [str(tmp_path / folder / "same.onnx") for folder in ("one", "two")]
    with pytest.raises(ServerError, match="has the same name: rename one of the two"):
        site.write_site(tmp_path / "site", paths, bank)
    assert not (tmp_path / "site").exists()


def test_without_the_engine_one_line_says_how_it_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "_runtime", lambda: tmp_path / "nowhere")
    with pytest.raises(ServerError, match="run `make page` once"):
        site.write_site(tmp_path / "site", ["seed"])


def test_the_command_line_refuses_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "espressivo", "page", "--out", str(tmp_path / "site")]
    command += ["--soundfont", str(tmp_path / "none.sf2")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "none.sf2: no such soundfont" in done.stderr
