"""The page of scores in a browser: a score is dropped, performed, turned and downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from browsing import PATIENCE_S, browser, server  # noqa: F401 - fixtures
from espressivo import midi
from espressivo.music import Score

pytestmark = pytest.mark.slow


def test_a_score_plays_on_while_its_dials_are_turned(
    server: Any,  # noqa: F811
    browser: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    path = tmp_path / "score.mid"
    onset = np.arange(64) / 2
    midi.song_of(
        Score.from_arrays(onset=onset, duration=np.full(64, 0.5), pitch=40 + np.arange(64) % 40)
    ).write(path)
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    browser.get(server.url + "score/")

    def ask(expression: str) -> Any:
        return browser.execute_script(f"return {expression}")

    def until(expression: str) -> None:
        WebDriverWait(browser, PATIENCE_S).until(lambda _: ask(expression), expression)

    def turn(name: str, value: float) -> None:
        browser.execute_script(
            "const dial = document.getElementById(arguments[0]); dial.value = arguments[1];"
            "dial.dispatchEvent(new Event('input'));", name, value,
        )  # fmt: skip

    until("typeof espressivo === 'object' && espressivo.piano.bank !== null")
    for name in ("timing", "dynamics", "articulation", "pedal"):  # no model is asked
        turn(name, 0)
    browser.find_element(By.ID, "file").send_keys(str(path))
    until("espressivo.playing.rendered?.notes.length === 64")
    browser.find_element(By.ID, "play").click()
    until("espressivo.playing.quarter() > 2")
    first = ask("espressivo.playing.rendered.seconds")
    browser.execute_script("espressivo.dials.tempo = 240")
    turn("timing", 0)
    until(f"espressivo.playing.rendered.seconds < {first} - 1")
    assert 2 < ask("espressivo.playing.quarter()") < 31
    until("document.getElementById('play').textContent === 'Play'")
    assert ask("espressivo.piano.played") == 64
    assert ask("espressivo.piano.late") == 0
    browser.find_element(By.ID, "grid").click()
    made = tmp_path / "score-performed.mid"
    WebDriverWait(browser, PATIENCE_S).until(lambda _: made.exists())
    assert len(midi.read_score(made)) == 64
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_page_of_scores_speaks_the_language_that_was_chosen_on_the_other(
    server: Any,  # noqa: F811
    browser: Any,  # noqa: F811
) -> None:
    browser.get(server.url + "score/")
    for language, play, dial in (("de", "Wiedergabe", "Dynamik"), ("en", "Play", "Dynamics")):
        browser.execute_script(
            "localStorage.setItem('espressivo', JSON.stringify({ language: arguments[0] }))",
            language,
        )
        browser.refresh()
        WebDriverWait(browser, PATIENCE_S).until(
            lambda there: there.execute_script("return typeof espressivo === 'object'")
        )
        assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == language
        assert browser.find_element(By.ID, "play").text == play
        assert dial in browser.find_element(By.ID, "dials").text
