"""What the package says of itself to an index and to a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import espressivo
from espressivo.live import ports

ROOT = Path(__file__).parents[1]
COMMAND = "import sys; sys.argv = ['espressivo']; from espressivo.cli import main; main()"


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_readme_of_an_index_links_nothing_that_is_not_there(pyproject: dict[str, Any]) -> None:
    hook = pyproject["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    readme = "".join(
        (ROOT / part["path"]).read_text(encoding="utf-8") for part in hook["fragments"]
    )
    links = re.findall(r"\]\(([^)]+)\)", readme)
    for each in hook["substitutions"]:
        readme = re.sub(each["pattern"], each["replacement"], readme)
    left = re.findall(r"\]\(([^)]+)\)", readme)
    assert left == [link for link in links if link.startswith("https://")] != links
    assert "in docs/samples.*" in readme  # the words of a link stay


def test_the_same_pythons_are_named_tried_and_asked_for(pyproject: dict[str, Any]) -> None:
    said = re.findall(r"Python :: (3\.\d+)'", str(pyproject["project"]["classifiers"]))
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    asked = (ROOT / "tools" / "wheels.py").read_text(encoding="utf-8")
    pattern = r"^ *{}[\[(](.*)[\])]$"
    for text, name in ((workflow, "python: "), (asked, "PYTHONS = ")):
        found = re.search(pattern.format(name), text, re.MULTILINE)
        assert found is not None and re.findall(r"3\.\d+", found[1]) == said
    assert pyproject["project"]["requires-python"] == f">={said[0]}"


def test_a_release_is_one_version(pyproject: dict[str, Any]) -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {espressivo.__version__}\n" in citation
    assert "version" in pyproject["project"]["dynamic"]  # and nowhere else
    where = pyproject["tool"]["hatch"]["version"]["path"]
    assert ROOT / where == Path(espressivo.__file__).with_name("version.py")
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert where in release


def test_live_is_installed_where_its_wheels_are(pyproject: dict[str, Any]) -> None:
    live, sound = map(Requirement, pyproject["project"]["optional-dependencies"]["live"])
    major, minor = ports._NO_WHEELS_FROM
    assert live.marker is not None
    assert not live.marker.evaluate({"python_version": f"{major}.{minor}"})
    assert live.marker.evaluate({"python_version": f"{major}.{minor - 1}"})
    assert sound.marker is None


def test_a_shell_completes_options() -> None:
    asked = {"COMP_WORDS": "espressivo demo --se", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        env={**os.environ, **asked, "_ESPRESSIVO_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "plain,--seconds" in done.stdout.splitlines()
