"""Laws of the package as a whole: what imports what, and what a user of it meets first."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import espressivo

SOURCE = Path(espressivo.__file__).parent

# Each module may import those before it in its row, and whatever those may import.
LAYERS = (
    ("errors",),
    ("files", "performance", "harmony", "progress", "ports"),
    ("vocabulary", "smf"),
    ("midi", "codec", "sampling", "primers", "guard", "audio", "features"),
    ("augment", "bridges", "fingerprint", "controls"),
    ("engine",),
    ("shards", "dataset", "settings", "statistics", "degeneration", "plots"),
    ("grammar", "memory", "notebook", "heard"),
    ("player", "batch", "ending"),
    ("beam",),
    ("streaming",),
    ("generation",),
    ("server", "live", "corpus", "networks", "baselines", "muon"),
    ("checkpoint", "graphs", "pretrained"),
    ("training", "export", "evaluation"),
    ("cli",),
)
LEARN = {"networks", "checkpoint", "training", "graphs", "export", "pretrained", "muon"}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports when it is imported itself."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("espressivo."):
            found.add((node.module or "").split(".")[1])
    return found


def modules() -> list[tuple[str, Path]]:
    files = [path for path in SOURCE.rglob("*.py") if not path.name.startswith("__main__")]
    return [(path.relative_to(SOURCE).parts[0].removesuffix(".py"), path) for path in files]


def test_every_module_has_its_place() -> None:
    named = {name for layer in LAYERS for name in layer}
    assert {name for name, _ in modules()} - {"__init__"} == named


def test_imports_go_in_one_direction() -> None:
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    for name, path in modules():
        for other in imported(path) - {name} if name != "__init__" else ():
            assert level[other] < level[name], f"{path.name} imports {other}"


def test_nothing_of_the_playing_half_imports_the_learning_half() -> None:
    for name, path in modules():
        if name not in LEARN | {"cli"}:
            assert not imported(path) & LEARN, path.name


@pytest.mark.parametrize(
    "statement",
    [
        "import espressivo",
        "from espressivo import read, load, prepare, Dataset, Model, write",
        "import espressivo.cli",
    ],
)
def test_importing_loads_neither_torch_nor_what_is_heavy(statement: str) -> None:
    heavy = ("torch", "lightning", "onnx", "onnxruntime", "matplotlib", "tensorboard", "dask")
    code = f"import sys; {statement}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_there_and_sorted() -> None:
    assert espressivo.__all__ == sorted(espressivo.__all__)
    for name in espressivo.__all__:
        assert getattr(espressivo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = espressivo.nothing


def test_the_errors_are_one_family() -> None:
    from espressivo import errors

    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.EspressivoError)
        assert name in (errors.__doc__ or "")


def test_only_the_command_line_prints() -> None:
    for name, path in modules():
        calls = [
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        if name not in ("cli", "progress"):  # progress writes to the stream that it is given
            assert "print" not in calls, path.name
