"""Two slots of the page and the slider between them, in a real browser, while the model plays."""

from __future__ import annotations

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from browsing import Page, Server, browser
from espressivo import Performance, midi
from test_page_looks import SIZES, violations

__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser, tmp_path):
    running = Server(tmp_path, models=("espressivo", "seed"))
    try:
        opened = Page(browser, running, tmp_path)
        opened.forget()
        opened.open()
        yield opened
        browser.get("about:blank")
    finally:
        running.stop()


def keep(page, slot, pitch, velocity, name):
    """Drop a file, and keep its end in a slot."""
    at = np.arange(60) / 6
    piece = Performance.from_arrays(
        onset_s=at, offset_s=at + 0.15, pitch=pitch + np.arange(60) % 5, velocity=velocity + 0 * at
    )
    page.drop(midi.to_bytes(piece), f"{name}.mid")
    page.until("espressivo.music.notes.length >= 60")
    page.until("espressivo.state.mode !== 'stopped'")
    page.press("play")
    page.until("espressivo.state.mode === 'stopped'")
    page.press(slot)


def test_a_slider_between_two_slots_steers_what_plays(page):
    slider, latest = page.find("share"), "espressivo.music.notes.slice(-8)"
    page.press("slot-a")
    assert page.told() == "Nothing is played there."
    assert not slider.is_enabled()
    keep(page, "slot-a", 40, 30, "low")
    assert page.find("slot-a").get_attribute("aria-label").startswith("Slot A: 0:")
    assert not slider.is_enabled()
    page.press("new")
    keep(page, "slot-b", 88, 100, "high")
    assert slider.is_enabled()
    slider.send_keys(Keys.END)
    assert page.ask("espressivo.state.share") == 1
    page.play(len(page.notes()) + 8)
    page.until(f"{latest}.every((n) => n.hand === 0 && n.pitch > 65 && n.velocity > 60)")
    slider.send_keys(Keys.HOME)
    assert slider.get_attribute("aria-valuetext") == "0 % of the way from A to B"
    page.until(f"{latest}.every((n) => n.pitch < 65 && n.velocity < 60)")
    try:
        for size in SIZES:
            page.size(*size)
            assert page.ask("document.documentElement.scrollWidth") <= size[0]
            assert slider.size["width"] >= 80
    finally:
        page.unsized()
    page.press("free")
    assert page.ask("espressivo.state.slots.every((slot) => slot === null)")
    assert page.find("slot-a").text == "A" and not slider.is_enabled()
    Select(page.find("model")).select_by_visible_text("seed")
    page.until("espressivo.state.model.name === 'seed'")
    assert not page.find("between").is_displayed()


def test_the_slots_keep_nobody_out(page):
    assert page.find("between").is_displayed()
    assert violations(page, "footer") == []
