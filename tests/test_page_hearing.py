"""Recordings that are dropped on the page: heard by a stand-in for the transcriber."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from browsing import Page, Server, browser
from espressivo.server.messages import events
from played import played
from test_page_looks import violations

__all__ = ["browser"]  # a fixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="needs a shell"),
]

PIECE = played(1, notes=40)
SERVE = """
import sys
from types import SimpleNamespace
from espressivo.cli import main
from espressivo.server import heard, session
heard.hears = session.hears = lambda: {there}
heard.sys = SimpleNamespace(executable={program!r}, path=[])
main()
"""
HEARS = """#!/bin/sh
cd {folder}
echo $$ > number
echo '{{"done":8,"of":16}}'
while ! test -e go; do sleep 0.05; done
cat answer
"""


def opened(browser, folder: Path, there: bool) -> Page:
    (folder / "hears").write_text(HEARS.format(folder=folder))
    (folder / "hears").chmod(0o700)
    (folder / "answer").write_text(json.dumps({"events": events(PIECE)}) + "\n")
    code = SERVE.format(there=there, program=str(folder / "hears"))
    page = Page(browser, Server(folder, ("-c", code)), folder)
    page.forget()
    page.open()
    return page


def test_a_dropped_recording_is_heard_with_progress_and_gone_on_from(browser, tmp_path):
    page = opened(browser, tmp_path, there=True)
    try:
        page.find("roll").click()
        page.drop(b"sound", "Für Elise.m4a")
        told = "document.getElementById('heard').textContent"
        page.until(f"{told} === 'Für Elise.m4a is being heard: 0:08 of 0:16'")
        assert page.find("hearing").is_displayed()
        assert page.ask("document.getElementById('far').value") == 0.5
        assert violations(page, "#hearing") == []
        page.press("unhear")
        assert not page.find("hearing").is_displayed()
        number = int((tmp_path / "number").read_text())
        for _ in range(100):
            try:
                os.kill(number, 0)
            except ProcessLookupError:
                break
            page.browser.execute_async_script("setTimeout(arguments[0], 50)")
        else:
            pytest.fail("what was cancelled goes on")
        assert page.notes() == []
        (tmp_path / "go").touch()
        page.drop(b"sound", "take.wav")
        page.until("espressivo.music.notes.length > 40")
        assert [note[2] for note in page.notes()[:40]] == PIECE.notes["pitch"].tolist()
        assert not page.find("hearing").is_displayed()
        (tmp_path / "answer").write_text('{"error": "take.wav: nothing is heard in it"}\n')
        page.drop(b"sound", "take.wav")
        assert page.told() == "take.wav: nothing is heard in it"
    finally:
        page.server.stop()


def test_without_the_extra_the_page_says_what_is_missing(browser, tmp_path):
    page = opened(browser, tmp_path, there=False)
    try:
        page.drop(b"sound", "take.wav")
        assert "pip install 'espressivo[transcribe]'" in page.told()
        assert not (tmp_path / "number").exists()
    finally:
        page.server.stop()
