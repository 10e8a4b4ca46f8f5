"""The tab of the page that shows the take as notes."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from browsing import browser, page, server
from test_page_looks import violations

__all__ = ["browser", "page", "server"]  # fixtures

pytestmark = pytest.mark.slow

DRAWN = """(() => {
  const sheets = [...document.querySelectorAll('#sheets img')];
  return sheets.length > 0 && sheets.every((sheet) => sheet.complete && sheet.naturalWidth > 0);
})()"""


def test_what_was_played_is_shown_as_notes_and_the_music_goes_on(page):
    pytest.importorskip("verovio", reason="needs the extra score")
    page.press("as-notation")
    assert page.find("written").text == "Nothing has been played yet."
    page.play(20)
    page.press("write")
    page.until(DRAWN)
    assert "beats a minute" in page.find("written").text
    assert page.ask("document.querySelector('#sheets img').alt").startswith("Page 1 of ")
    assert page.ask("espressivo.state.mode") == "playing"
    assert not page.find("roll").is_displayed()
    assert violations(page, "body") == []
    page.keys(Keys.ESCAPE)
    page.press("as-notation")
    page.keys(Keys.ARROW_LEFT)
    assert page.find("roll").is_displayed() and not page.find("notation").is_displayed()
    assert page.ask("document.activeElement.id") == "as-roll"
    assert page.find("as-roll").get_attribute("aria-selected") == "true"


def test_a_take_that_is_played_back_is_written_instead(page):
    pytest.importorskip("verovio", reason="needs the extra score")
    page.press("record")
    page.play(12)
    page.press("record")
    page.press("play")
    page.press("takes")
    page.browser.execute_script("document.querySelector('#list button').click()")
    page.until("espressivo.state.replaying !== null")
    page.press("as-notation")
    page.until(DRAWN)
    svg = page.ask("decodeURIComponent(document.querySelector('#sheets img').src)")
    assert "Take 1" in svg
