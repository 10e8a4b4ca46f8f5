"""Laws of the package as a whole: what imports what, and what a user of it meets first."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import espressivo

SOURCE = Path(espressivo.__file__).parent


def modules() -> list[tuple[str, Path]]:
    files = [path for path in SOURCE.rglob("*.py") if not path.name.startswith("__main__")]
    return [(path.relative_to(SOURCE).parts[0].removesuffix(".py"), path) for path in files]


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

    for name in set(errors.__all__) - {"brief"}:  # which describes a value in them
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
