"""The documentation: its links lead somewhere, and what the tutorial says can be done."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import espressivo
from espressivo.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")])
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
NOT_RUN = ("python -m venv", "source ", "pip install", "espressivo serve")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_reference_has_every_public_name() -> None:
    text = (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
    missing = [name for name in espressivo.__all__ if name not in re.findall(r"\w+", text)]
    assert missing == []


@pytest.mark.slow
def test_every_command_and_line_of_the_tutorial_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(\w*)\n(.*?)```", TUTORIAL, re.DOTALL)
    shell = [line for kind, block in blocks if kind == "" for line in block.splitlines()]
    for line in (line for line in shell if not line.startswith(NOT_RUN)):
        least = 18 if "--form" in line else 2
        short = re.sub(r"--seconds \d+", f"--seconds {least}", line).replace('"15:', '"1:')
        short = short.removeprefix("espressivo ")
        short += " --seconds 2" * (short == "demo")
        result = CliRunner().invoke(cli, shlex.split(short))
        assert result.exit_code == 0, (line, result.output, result.exception)
    (python,) = [block for kind, block in blocks if kind == "python"]
    exec(compile(python.replace("seconds=30", "seconds=2"), "tutorial", "exec"), {})  # noqa: S102
    made = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    named = set(re.findall(r"[\w-]+\.(?:mid|wav|png)\b", TUTORIAL))
    assert made == named


@pytest.mark.slow
def test_what_is_said_of_other_libraries_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "other-libraries.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "other-libraries", "exec"), {})  # noqa: S102
