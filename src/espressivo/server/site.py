"""Site: the page as a folder of files, which any web host serves and which needs no server to play.

The engine runs in the browser: ``web/engine`` on ONNX Runtime for WebAssembly, which is put into
``web/onnxruntime`` when the package is built (``make page``). Large files are compressed here, so
that hosts need not do it.
"""

from __future__ import annotations

import gzip
import importlib.resources
import json
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

from espressivo.errors import ServerError
from espressivo.files import replacing
from espressivo.play import bundled, load
from espressivo.server.controls import PAGE_CONTROLS
from espressivo.version import __version__

__all__ = ["POLICY", "write_site"]

_SITE = "site.json"
_ENGINE = "ort.wasm"  # what of ONNX Runtime is large
_UNREAD = {"index.html", "LICENSE", "LICENSE-soundfont", "ThirdPartyNotices.txt"}  # by the page
_ROOT, _ALONE = '<html lang="en">', '<html lang="en" data-engine="worker">'
_CHARSET = '<meta charset="utf-8">'
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'"
)
"""Where the page may load from, for its head, and for hosts that can send headers."""


def write_site(
    out: str | os.PathLike[str], models: Sequence[str], soundfont: Path | None = None
) -> None:
    """Write the page, its engine, models and piano into a folder.

    Parameters
    ----------
    out : path
        A folder that is new or empty, or that this has written before: then files of the same
        names are replaced.
    models : sequence of str
        Bundled names and paths of model files, at least one; the page begins with the first. Paths
        are known by the names of their files.
    soundfont : path, optional
        An SF2 or SF3 file; by default the bundled piano.

    Raises
    ------
    ModelError
        If a model file cannot be used.
    ServerError
        If the package was built without the engine, two models have one name, or the folder holds
        something else.
    OSError
        If a file cannot be written.
    """
    folder = Path(out)
    if not (_runtime() / _ENGINE).is_file():
        raise ServerError(
            "this espressivo was built without the engine of the page: in a clone of the "
            "repository run `make page` once (which needs node 20 or later)"
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _SITE).is_file():
        raise ServerError(f"{folder}: holds files that are not a page's: give a new folder")
    chosen = _chosen(models)
    contents = dict(_contents(soundfont, chosen))
    read = [name for name in contents if Path(name).name not in _UNREAD]
    described = {
        "version": __version__,
        "models": [
            {"name": name, "file": _model_file(name, path)} for name, path in chosen.items()
        ],
        "controls": [vars(control) for control in PAGE_CONTROLS],
        "files": ["./", _SITE, *sorted(read)],
    }
    # What says that the folder is a page's comes first.
    for name, content in {_SITE: json.dumps(described).encode(), **contents}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def _package() -> Path:
    return Path(str(importlib.resources.files("espressivo")))


def _runtime() -> Path:
    """Return the folder into which ``make page`` puts ONNX Runtime."""
    return _package() / "server" / "web" / "onnxruntime"


def _chosen(models: Sequence[str]) -> dict[str, Path]:
    """Return the paths of models by the names that the page has for them."""
    chosen: dict[str, Path] = {}
    for model in dict.fromkeys(models):
        known = model in bundled()
        path = _package() / "models" / f"{model}.onnx" if known else Path(model)
        name = model if known else path.name
        if name in chosen:
            raise ServerError(f"{path}: {chosen[name]} has the same name: rename one of the two")
        load(model)  # a file that is none is an error now
        chosen[name] = path
    return chosen


def _model_file(name: str, path: Path) -> str:
    ours = path.parent == _package() / "models"
    return f"models/{name}.onnx.gz" if ours else f"own/{name}.gz"


def _contents(soundfont: Path | None, models: dict[str, Path]) -> Iterator[tuple[str, bytes]]:
    """Give the files of the site by their names within it."""
    package, runtime = _package(), _runtime()
    web = package / "server" / "web"
    for folder, name in ((web, "."), (web / "engine", "engine"), (runtime, "onnxruntime")):
        for path in folder.iterdir():
            if path.is_file() and path.name != _ENGINE:
                yield (PurePosixPath(name) / path.name).as_posix(), path.read_bytes()
    yield f"onnxruntime/{_ENGINE}.gz", _compressed(runtime / _ENGINE)
    page = (web / "index.html").read_text(encoding="utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = page.replace(_ROOT, _ALONE, 1).replace(_CHARSET, f"{_CHARSET}\n{policy}", 1)
    yield "index.html", page.encode()
    for name, path in models.items():
        yield _model_file(name, path), _compressed(path)
    yield "soundfont", (soundfont or package / "sounds" / "piano.sf3").read_bytes()
    yield "LICENSE", (distribution("espressivo").read_text("licenses/LICENSE") or "").encode()
    if set(models) & set(bundled()):
        yield "models/LICENSE", (package / "models" / "LICENSE").read_bytes()
    if soundfont is None:
        yield "LICENSE-soundfont", (package / "sounds" / "LICENSE").read_bytes()


def _compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9, mtime=0)
