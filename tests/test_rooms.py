"""Law 1: imports go to lower floors, by the front door, and never in a circle.

A folder of the package is a room, and so is a module beside them. Every import counts, wherever it
stands: in functions, under TYPE_CHECKING, and `import_module` with a literal.
"""

from __future__ import annotations

import ast
import importlib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import espressivo

SOURCE = Path(espressivo.__file__).parent
FLOORS = (
    ("errors", "files", "progress", "registry", "telemetry", "version"),
    ("music", "numeric"),
    ("codes", "midi", "transcribe", "views"),
    ("engine", "networks"),
    ("interpreter", "latent", "notation"),
    ("data", "export"),
    ("play", "training"),
    ("evaluation", "live", "similar"),
    ("__init__", "learn", "server"),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, 1) for room in rooms}
LEARNING = {
    "networks",
    "export",
    "training",
    "learn",
}  # these need torch or onnx, and playing does not
LONGEST = 500  # lines of a file

FILES = {  # by the name under which each is imported
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}


def room_of(module: str) -> str:
    """The room of a module of the package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def found_in(tree: ast.AST) -> set[tuple[str, str | None]]:
    """Modules that a file imports, each with the name that it takes from it, or None."""
    found: set[tuple[str, str | None]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, None) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {(node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in ("import_module", "__import__"):
                found.add((str(node.args[0].value), None))
    return found


def imports(module: str) -> set[tuple[str, str | None]]:
    """Files of the package that a module imports, each with the name that it takes, or None."""
    found = set()
    for target, name in found_in(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if f"{target}.{name}" in FILES and (target, name) != (module, None):
            found.add((f"{target}.{name}", None))  # a module, taken from its package
        elif target in FILES:
            found.add((target, name))
    return found


@pytest.mark.parametrize(
    "line",
    [
        "import espressivo.play",
        "def f():\n    from espressivo.play import load",
        "if TYPE_CHECKING:\n    from espressivo.play import load",
        "import_module('espressivo.play')",
        "importlib.import_module('espressivo.play')",
    ],
)
def test_an_import_is_seen_wherever_it_stands(line: str) -> None:
    assert {module for module, _ in found_in(ast.parse(line))} == {"espressivo.play"}


def test_every_room_has_a_floor() -> None:
    assert {room_of(module) for module in FILES} == set(FLOOR)


@pytest.mark.parametrize("module", FILES)
def test_imports_go_to_lower_floors_and_by_the_front_door(module: str) -> None:
    room = room_of(module)
    for target, name in imports(module):
        other = room_of(target)
        if other == room:
            continue
        assert FLOOR[other] < FLOOR[room], f"{module} imports {target}, which is not below it"
        assert target.count(".") <= 1, f"{module} imports {target}, past the face of its room"
        if name is not None:
            face = importlib.import_module(target)
            assert name in face.__all__, f"{module} takes {name}, which {target} does not offer"


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {module: {target for target, _ in imports(module)} for module in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_playing_imports_nothing_that_needs_torch() -> None:
    for module in FILES:
        if room_of(module) not in LEARNING | {"cli"}:
            rooms = {room_of(target) for target, _ in imports(module)}
            assert not rooms & LEARNING, module


@pytest.mark.parametrize("module", FILES)
def test_files_are_short_enough_to_be_read(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) < LONGEST
