"""How the page looks, and whether everybody can use it: sizes, themes, keys, languages, offline."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from browsing import browser, page, server

__all__ = ["browser", "page", "server"]  # fixtures

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
SIZES = [(1280, 800), (768, 1024), (375, 740), (320, 568)]
ZOOMED = (640, 400)  # what is left of 1280 x 800 at 200 %


def violations(page, place):
    """Return what axe-core finds in a part of the page."""
    if not AXE.exists():
        absent = "axe-core is not installed: npm ci"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    if not page.ask("'axe' in window"):
        page.browser.execute_script(AXE.read_text())
    script = """
      const done = arguments[1];
      const told = ({ html, any }) => html.slice(0, 90) + any.map(({ message }) => message);
      axe.run(arguments[0]).then(({ violations }) =>
        done(violations.map(({ id, nodes }) => [id, ...nodes.map(told)])));"""
    return page.browser.execute_async_script(script, place)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [*SIZES, ZOOMED], ids=str)
def test_nothing_keeps_anybody_out(page, size, theme):
    feature = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    page.size(*size)
    try:
        page.open("#seed=1")
        assert violations(page, "body") == []
        assert page.ask("document.documentElement.scrollWidth") <= size[0]
        page.play(4)
        page.press("record")
        page.press("record")
        page.press("play")
        for button, dialog in (("takes", "shelf"), ("help", "keys"), ("about", "card")):
            page.press(button)
            assert violations(page, f"#{dialog}") == []
            page.keys(Keys.ESCAPE)
    finally:
        page.unsized()
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("size", [*SIZES, ZOOMED, (667, 375), (844, 390), (390, 844)], ids=str)
def test_notes_and_keyboard_have_room_at_every_size(page, size):
    page.size(*size, mobile=size[0] < 900)
    try:
        page.open()
        width, height = page.ask("[innerWidth, document.getElementById('roll').clientHeight]")
        assert width == size[0] and height >= 220
        assert page.ask("document.documentElement.scrollWidth") <= width
        boxes = page.ask(
            "[...document.querySelectorAll('header button, header select, .transport button')]"
            ".filter((e) => e.offsetParent)"
            ".map((e) => e.getBoundingClientRect()).map((b) => [b.left, b.right, b.height])"
        )
        assert len(boxes) > 14
        for left, right, tall in boxes:
            assert left >= 0 and right <= width and tall >= 24
        page.browser.execute_script("document.getElementById('knobs').scrollIntoView()")
        bottom = page.ask("document.getElementById('knobs').getBoundingClientRect().bottom")
        assert bottom <= size[1] + 1  # it can be scrolled to
    finally:
        page.unsized()


def test_keys_play_record_go_back_mute_and_open_dialogs(page):
    page.keys(" ")
    page.until("espressivo.state.mode === 'playing'")
    page.keys("r")
    page.until("espressivo.recorder.seconds() > 8")
    page.keys("r")
    page.keys(Keys.BACKSPACE)
    page.until("espressivo.state.undo === 'Back five seconds'")
    page.keys(Keys.ESCAPE)
    assert page.ask("espressivo.state.mode") == "stopped"
    page.keys("m")
    assert page.find("mute").get_attribute("aria-pressed") == "true"
    page.keys("m", "n")
    assert page.find("shelf").is_displayed()
    name = "document.querySelector('#list input').value"
    assert page.ask(name) == "Take 1"
    page.keys(Keys.END, "!")  # a new name, which writes the list anew
    for _ in range(2):
        page.keys(Keys.TAB)
        if page.ask("document.activeElement.textContent") == "Listen":
            break
    page.until("espressivo.state.takes[0].name === 'Take 1!'")
    page.keys(Keys.ENTER)
    page.until("espressivo.state.running")
    page.keys(" ")
    page.until("!espressivo.state.running")
    page.keys(Keys.ESCAPE)
    page.until("espressivo.state.replaying === null")
    page.keys("?")
    assert page.find("keys").is_displayed()
    page.keys(Keys.ESCAPE)
    assert not page.find("keys").is_displayed()


def test_the_volume_is_heard_and_remembered(page):
    page.press("answer")
    volume = page.find("volume")
    volume.send_keys(Keys.HOME)
    page.keys("a")
    page.until("espressivo.music.notes.length === 1")
    assert page.ask("espressivo.state.volume") == 0
    page.until("espressivo.loudness() < 1e-4")
    page.open()
    assert page.find("volume").get_attribute("value") == "0"


def test_the_page_speaks_german_and_remembers_it(page):
    page.press("help")
    Select(page.find("language")).select_by_value("de")
    page.keys(Keys.ESCAPE)
    assert page.find("open").text == "Öffnen…"
    assert page.find("play").get_attribute("aria-label") == "Wiedergabe"
    assert (
        page.browser.find_element("css selector", "[data-name=temperature] .name").text
        == "Kühnheit"
    )
    page.browser.refresh()
    page.until("espressivo.state.model !== null")
    assert page.ask("document.documentElement.lang") == "de"
    assert page.find("lamp").text == "verbunden"
    page.press("help")
    Select(page.find("language")).select_by_value("en")
    page.keys(Keys.ESCAPE)
    assert page.find("open").text == "Open…"


def test_takes_are_heard_and_the_page_opens_while_the_server_is_away(page, server):
    page.ask("navigator.serviceWorker.ready.then(() => true)")
    page.open()  # this time through the service worker
    page.until("navigator.serviceWorker.controller !== null")
    page.open()
    page.press("record")
    page.press("play")
    page.until("espressivo.state.recording?.notes >= 8")
    page.press("record")
    page.press("play")
    server.stop()
    try:
        page.browser.refresh()
        page.until("document.body.classList.contains('ready')")
        page.until("espressivo.state.takes.length === 1")
        page.press("takes")
        page.browser.find_element("css selector", "#list li button").click()
        page.until("espressivo.loudness() > 0.002")
    finally:
        server.start()
    page.until("espressivo.state.link === 'connected'")


def test_the_page_can_be_installed(page):
    manifest = page.browser.execute_cdp_cmd("Page.getAppManifest", {})
    assert manifest["errors"] == [] and '"name": "espressivo"' in manifest["data"]
    wrong = page.browser.execute_cdp_cmd("Page.getInstallabilityErrors", {})
    assert [each["errorId"] for each in wrong["installabilityErrors"]] in ([], ["in-incognito"])
