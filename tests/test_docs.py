"""The documentation: its links lead somewhere, and what it shows can be done."""

from __future__ import annotations

import importlib
import inspect
import re
import runpy
import shlex
from pathlib import Path

import pytest

import espressivo
import shown

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")])
COMMANDS = [(block, words) for block in shown.blocks("") for words in shown.commands(block.text)]
PYTHON = shown.blocks("python")
KINDS = {"", "python", "text"}  # for a shell, for Python, and for nobody to run
SLOW = {"README.md", "docs/fill.md", "docs/hub.md", "docs/learn.md", "docs/tutorial.md"}
BEFORE = {  # what a page takes for granted
    "docs/hub.md": (
        "espressivo prepare my-playing --out data",
        "espressivo train data --out runs/mine",
    ),
}
STORIES = sorted({block.page for block in shown.every_block() if block.kind in ("", "python")})


def where(value: object) -> str | None:
    return f"{value.page}:{value.line}" if isinstance(value, shown.Block) else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_reference_has_every_public_name() -> None:
    text = (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
    missing = [name for name in espressivo.__all__ if name not in re.findall(r"\w+", text)]
    assert missing == []


def test_every_name_of_the_reference_says_what_it_is() -> None:
    conf = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    silent = []
    for room in conf["rooms"]():
        told = conf["constants"](room)
        for name in importlib.import_module(room).__all__:
            thing = getattr(importlib.import_module(room), name)
            if not (told[name] if name in told else inspect.getdoc(thing)):
                silent.append(f"{room}.{name}")
    assert silent == []


def test_every_block_is_for_somebody() -> None:
    others = [block for block in shown.every_block() if block.kind not in KINDS]
    assert [block for block in others if not re.fullmatch(r"\{[\w-]+\}", block.kind)] == []
    for page in shown.PAGES:  # and none escapes by being indented, or by other fences
        text = page.read_text(encoding="utf-8")
        found = [block for block in shown.every_block() if ROOT / block.page == page]
        assert 2 * len(found) == len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)), page


@pytest.mark.parametrize("page", shown.PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_commands_is_there(page: Path) -> None:
    for block, words in COMMANDS:
        if ROOT / block.page == page:
            shown.understand(words)
    for words in shown.inline_commands(page.read_text(encoding="utf-8")):
        shown.understand(words)


@pytest.mark.parametrize("block", PYTHON, ids=where)
def test_python_compiles_and_names_what_is_there(block: shown.Block) -> None:
    shown.understand_python(block.text)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what partitura imports
@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=[pytest.mark.slow] if p in SLOW else []) for p in STORIES]
)
def test_a_page_runs_from_top_to_bottom(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown.lay_out(tmp_path)
    if page in SLOW:
        shown.lay_out_tiny_model(tmp_path)
    for line in BEFORE.get(page, ()):
        shown.run(shlex.split(line))
    for block in shown.every_block():
        if block.page != page:
            continue
        if block.kind == "python" and not shown.missing_guests(block.text):
            shown.run_python(block.text, f"{page}:{block.line}")
        elif block.kind == "":
            for words in shown.commands(block.text):
                if not shown.of(shown.NOT_RUN, words):
                    shown.run(words)
