"""Ask the package index whether all that espressivo needs has wheels, for each Python and system.

    python tools/wheels.py                       # every extra but dev, docs and peers
    python tools/wheels.py --extra live --python 3.14

Nothing is installed. pip looks requirements up by ``--dry-run --no-deps --only-binary=:all:``,
``--platform`` and ``--python-version``. What these need in turn is followed here: pip judges
markers (as ``platform_system == "Linux"``) by the machine that it runs on. Needs the package
``packaging``. Exits with 1 if a wheel is missing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MARKERS = {
    "linux": {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": "x86_64",
    },
    "macos": {
        "sys_platform": "darwin",
        "platform_system": "Darwin",
        "os_name": "posix",
        "platform_machine": "arm64",
    },
    "windows": {
        "sys_platform": "win32",
        "platform_system": "Windows",
        "os_name": "nt",
        "platform_machine": "AMD64",
    },
}
PLATFORMS = {  # pip knows older macOS of itself, and of Linux only the names without underscores
    "linux": ("manylinux2014_x86_64", *(f"manylinux_2_{n}_x86_64" for n in range(17, 29))),
    "macos": ("macosx_14_0_arm64",),
    "windows": ("win_amd64",),
}


def metadata(requirements: list[str], python: str, system: str) -> dict[str, dict[str, Any]]:
    """Return the metadata of the wheels that pip would take, by name; those without one lack."""
    if not requirements:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        command += ["--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:"]
        command += ["--target", folder, "--report", str(report), "--python-version", python]
        command += [f"--platform={name}" for name in PLATFORMS[system]]
        done = subprocess.run([*command, *requirements], capture_output=True, text=True)
        if not done.returncode:
            found = json.loads(report.read_text(encoding="utf-8"))["install"]
            return {canonicalize_name(each["metadata"]["name"]): each["metadata"] for each in found}
    if len(requirements) == 1:
        return {}
    half = len(requirements) // 2  # pip gives up at the first: find which
    return metadata(requirements[:half], python, system) | metadata(
        requirements[half:], python, system
    )


def applies(requirement: Requirement, python: str, system: str, extra: str) -> bool:
    """Tell whether a requirement counts on a system, for one of the extras of who requires it."""
    environment = {
        **MARKERS[system],
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    environment |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    return requirement.marker is None or requirement.marker.evaluate(
        {**environment, "extra": extra}
    )


def missing(requirements: list[str], python: str, system: str) -> list[str]:
    """Return what has no wheel among requirements and all that they need, and who needs it."""
    waiting = [(Requirement(text), "", "espressivo") for text in requirements]
    seen, without = set(), []
    while waiting:
        round_: dict[tuple[str, frozenset[str]], tuple[Requirement, str]] = {}
        for requirement, extra, parent in waiting:
            key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if applies(requirement, python, system, extra) and key not in seen:
                round_.setdefault(key, (requirement, parent))
        seen |= round_.keys()
        asked = {name: f"{each.name}{each.specifier}" for (name, _), (each, _) in round_.items()}
        about = metadata(sorted(asked.values()), python, system)
        waiting = []
        for (name, extras), (requirement, parent) in round_.items():
            if name not in about:
                without.append(f"{asked[name]} (for {parent})")
                continue
            for text in about[name].get("requires_dist", []):
                for extra in ("", *extras):
                    waiting.append((Requirement(text), extra, requirement.name))
    return without


def of_extras(names: list[str]) -> list[str]:
    """Return what the package and some of its extras require, extras that name others resolved."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    found = list(project["dependencies"])
    waiting = list(names)
    while waiting:
        for text in project["optional-dependencies"][waiting.pop()]:
            if Requirement(text).name == "espressivo":
                waiting += sorted(Requirement(text).extras)
            else:
                found.append(text)
    return found


def main() -> None:
    """Print a line for each Python and system, and exit with 1 if one lacks a wheel."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    usual = sorted(extras.keys() - {"dev", "docs", "peers"})
    parser.add_argument("--extra", action="append", choices=sorted(extras))
    parser.add_argument("--python", action="append", choices=PYTHONS)
    parser.add_argument("--system", action="append", choices=sorted(PLATFORMS))
    chosen = parser.parse_args()
    requirements = of_extras(chosen.extra or usual)
    failed = False
    for python in chosen.python or PYTHONS:
        for system in chosen.system or PLATFORMS:
            without = missing(requirements, python, system)
            failed |= bool(without)
            print(
                f"{python} {system:8}",
                f"missing: {', '.join(without)}" if without else "all there",
                flush=True,
            )
    sys.exit(failed)


if __name__ == "__main__":
    main()
