"""Defects that the page once had, each in a real browser."""

from __future__ import annotations

import importlib.resources
import shutil

import pytest
from selenium.webdriver.common.keys import Keys

import espressivo
from browsing import Page, Server, browser, page, server
from soundfont import soundfont

__all__ = ["browser", "page", "server"]  # fixtures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A server with two models of one file name."""
    folder = tmp_path_factory.mktemp("models")
    paths = [folder / name / "mine.onnx" for name in ("first", "second")]
    for path, name in zip(paths, ("seed", "espressivo"), strict=True):
        path.parent.mkdir()
        shutil.copy(str(importlib.resources.files("espressivo") / "models" / f"{name}.onnx"), path)
    running = Server(folder, models=[str(path) for path in paths])
    yield running
    running.stop()


def knob(page, name):
    return page.browser.find_element("css selector", f"[data-name={name}] input")


def test_models_of_one_file_name_are_told_apart(browser, two, tmp_path):
    page = Page(browser, two, tmp_path)
    page.open()
    options = page.find("model").find_elements("tag name", "option")
    assert [option.text for option in options] == ["first/mine", "second/mine"]
    options[1].click()
    page.until("espressivo.state.model.title === 'espressivo'")
    assert "second" in page.browser.current_url


def test_a_reconnect_goes_on_by_the_model_that_was_chosen(browser, two, tmp_path):
    page = Page(browser, two, tmp_path)
    page.open()
    page.find("model").find_elements("tag name", "option")[1].click()
    page.until("espressivo.state.model.title === 'espressivo'")
    page.play()
    two.stop()
    page.until("espressivo.state.link === 'lost'")
    count = len(page.notes())
    two.start()
    page.until("espressivo.state.mode === 'playing'")
    page.until(f"espressivo.music.notes.length > {count + 5}")
    assert page.ask("espressivo.state.model.title") == "espressivo"


def test_the_lowest_pitch_pushes_the_highest_and_it_still_plays(page):
    knob(page, "highest_pitch").send_keys(Keys.HOME)
    knob(page, "lowest_pitch").send_keys(Keys.END)
    assert page.ask("espressivo.state.settings") == {"lowest_pitch": 96, "highest_pitch": 107}
    assert knob(page, "highest_pitch").get_attribute("aria-valuetext") == "B7"
    page.play()
    assert all(96 <= note[2] <= 107 for note in page.notes())


def test_values_out_of_range_in_the_address_are_put_right_and_said(page):
    page.open("#temperature=9&lowest_pitch=90&highest_pitch=50&top_p=x&seed=-4")
    assert page.told() == "Boldness 9 is out of range: it is 2. Variety cannot be x"
    settings = {"temperature": 2, "lowest_pitch": 90, "highest_pitch": 101}
    assert page.ask("espressivo.state.settings") == settings
    assert "temperature=2&" in page.browser.current_url
    page.play()


def test_back_and_forward_go_through_the_settings(page):
    page.open("#seed=3")
    knob(page, "temperature").send_keys(Keys.HOME)
    page.until("location.hash.includes('temperature=0.1')")
    page.browser.execute_script("history.back()")
    page.until("!location.hash.includes('temperature')")
    assert page.ask("espressivo.state.settings") == {}
    assert knob(page, "temperature").get_attribute("aria-valuetext") == "0.95"
    page.browser.execute_script("history.forward()")
    page.until("espressivo.state.settings.temperature === 0.1")
    page.browser.execute_script("location.hash = '#seed=3&temperature=1.5'")
    page.until("espressivo.state.settings.temperature === 1.5")


def test_a_listener_too_many_is_told_and_let_in_when_there_is_room(browser, tmp_path):
    small = Server(tmp_path, listeners=1)
    try:
        page = Page(browser, small, tmp_path)
        page.open()
        first = browser.current_window_handle
        browser.switch_to.new_window("tab")
        browser.get(small.url)
        page.until("document.getElementById('message').textContent.startsWith('Too many pages')")
        assert page.find("lamp").get_attribute("class") == ""
        second = browser.current_window_handle
        browser.switch_to.window(first)
        browser.get("about:blank")
        browser.switch_to.window(second)
        page.until("espressivo.state.model !== null")
        page.until("!document.getElementById('message').matches(':popover-open')")
        browser.close()
        browser.switch_to.window(first)
    finally:
        small.stop()


def test_a_file_that_cannot_be_read_is_said(page):
    script = """
      const file = new File(["MThd"], "x.mid");
      file.arrayBuffer = () => Promise.reject(new Error("it is a folder"));
      const carried = { files: [file] };
      const event = new Event("drop", { bubbles: true, cancelable: true });
      event.dataTransfer = carried;
      document.querySelector("main").dispatchEvent(event);"""
    page.browser.execute_script(script)
    assert page.told() == "The file cannot be read: it is a folder"


def test_a_sample_that_cannot_be_decoded_is_said(browser, tmp_path):
    damaged = Server(tmp_path)
    bank = bytearray(soundfont())
    headers = bank.index(b"shdr") + 8
    for at in range(headers, len(bank) - 46, 46):
        bank[at + 44] |= 0x10  # it says that its samples are Ogg Vorbis, which they are not
    damaged.bank.write_bytes(bank)
    try:
        page = Page(browser, damaged, tmp_path)
        page.open()
        page.keys("a")
        assert "cannot be decoded" in page.told()
    finally:
        browser.get("about:blank")
        browser.get_log("browser")
        damaged.stop()


def test_a_pedal_pressed_before_the_first_note_holds_it(page):
    page.press("answer")
    script = """
      const { player, piano, music } = espressivo;
      player.pedal(127);
      player.strike(60, 80);
      player.release(60);
      return [piano.hands[1].sustained.length, music.pedals[0].start, music.notes[0].end];"""
    sustained, pressed_s, end_s = page.browser.execute_script(script)
    assert sustained > 0 and pressed_s == 0 and end_s is not None


def test_the_wheel_turns_only_the_knob_that_is_chosen(page):
    wheel = """
      document.querySelector("[data-name=temperature] svg").dispatchEvent(
        new WheelEvent("wheel", { deltaY: -100, bubbles: true, cancelable: true }));"""
    page.browser.execute_script(wheel)
    assert page.ask("espressivo.state.settings") == {}
    page.ask("document.querySelector('[data-name=temperature] input').focus()")
    page.browser.execute_script(wheel)
    assert page.ask("espressivo.state.settings.temperature") == 1


def test_a_moment_is_chosen_and_gone_on_from_by_keys(page):
    page.play()
    page.until("espressivo.now() > 4")
    page.press("play")
    end_s = page.ask("espressivo.music.end")
    roll = page.find("roll")
    roll.send_keys(Keys.ARROW_UP)
    roll.send_keys(Keys.ARROW_UP)
    assert page.ask("espressivo.state.mark") == pytest.approx(end_s - 2)
    assert roll.get_attribute("aria-valuetext") == page.ask(
        "document.getElementById('resume').textContent.split(' ').pop()"
    )
    roll.send_keys(Keys.END)
    assert page.ask("espressivo.state.mark") is None
    roll.send_keys(Keys.HOME)
    roll.send_keys(Keys.PAGE_DOWN, Keys.PAGE_UP, Keys.ARROW_DOWN)
    assert page.ask("espressivo.state.mark") == pytest.approx(1)
    before = page.notes()
    roll.send_keys(Keys.ENTER)
    page.until("espressivo.state.mode === 'playing'")
    page.until(f"espressivo.music.notes.length > {len([n for n in before if n[0] < 1])}")
    page.press("play")
    page.press("undo")
    assert page.notes() == before


def test_the_clock_is_in_no_live_region(page):
    live = page.ask(
        "[...document.querySelectorAll('output, [aria-live], [role=status], [role=alert]')]"
        ".map((e) => e.id)"
    )
    assert sorted(live) == ["deleted", "lamp", "message", "which", "written"]
    assert page.find("time").get_attribute("role") == "timer"


def test_the_page_is_told_which_model_plays_under_which_licence(page):
    page.press("about")
    card = espressivo.load("seed").card
    facts = page.find("facts").text
    assert card["name"] in facts and card["licence"] in facts and card["trained_on"] in facts
