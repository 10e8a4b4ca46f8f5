"""What is recorded on the page is not lost; in a real browser."""

from __future__ import annotations

import contextlib
import json
import wave

import numpy as np
import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.keys import Keys

import espressivo
from browsing import browser, page, server
from espressivo import midi
from espressivo.midi import read_provenance
from espressivo.music import CONTROL_DTYPE
from espressivo.server.messages import events as server_events
from played import played

__all__ = ["browser", "page", "server"]  # fixtures

pytestmark = pytest.mark.slow

TAKE = "espressivo.takes.events(espressivo.state.takes[0])"


def events(page, take=TAKE):
    """Return the events of a take, as they are kept."""
    script = f"const done = arguments[0]; {take}.then(done)"
    return page.browser.execute_async_script(script)


def struck(events):
    """Return onset and pitch of the notes of a take."""
    return [(round(time_s, 2), one) for time_s, status, one, two, _ in events if status == 144]


def record(page, seconds=2.0):
    page.press("record")
    page.play()
    page.until(f"espressivo.recorder.seconds() > {seconds}")


def stop_recording(page):
    page.press("record")
    page.until("espressivo.state.recording === null")


def shelf(page):
    """Open the list of takes and return the first row's elements by their text."""
    if not page.find("shelf").is_displayed():
        page.press("takes")
    row = page.browser.find_element("css selector", "#list li")
    buttons = {each.text: each for each in row.find_elements("tag name", "button")}
    return {**buttons, "name": row.find_element("tag name", "input")}


def test_a_tab_that_is_killed_twenty_times_loses_the_last_second_at_most(page, browser):
    first = browser.current_window_handle
    browser.get("about:blank")
    for number in range(1, 21):
        browser.switch_to.new_window("tab")
        page.open(f"#seed={number}")
        record(page, 2 + number % 3)
        script = "return [espressivo.recorder.seconds(), espressivo.music.notes]"
        seconds, notes = browser.execute_script(script)
        with contextlib.suppress(WebDriverException):  # nobody answers any more
            browser.execute_cdp_cmd("Page.crash", {})
        browser.switch_to.window(first)
        browser.switch_to.new_window("tab")
        page.open()
        page.until(f"espressivo.state.takes.length === {number}")
        assert page.ask("espressivo.state.takes[0].seconds") > seconds - 1
        kept = [pitch for _, pitch in struck(events(page))]
        heard = [note["pitch"] for note in notes if note["start"] < seconds - 1]
        assert len(heard) > 2 and kept[: len(heard)] == heard
        for handle in set(browser.window_handles) - {first}:
            browser.switch_to.window(handle)
            with contextlib.suppress(WebDriverException):  # the one that was killed
                browser.close()
        browser.switch_to.window(first)
    page.open()
    page.until("espressivo.state.takes.length === 20")
    assert len({take["id"] for take in page.ask("espressivo.state.takes")}) == 20


def test_a_recording_goes_through_new_files_going_back_and_reconnecting(page, server):
    record(page)
    page.press("new")
    page.play()
    page.until("espressivo.now() > 1")
    page.press("back")
    page.until("espressivo.state.mode === 'playing' && espressivo.now() > 1")
    piece = played(1, notes=20)
    page.drop(midi.to_bytes(piece))
    page.until("espressivo.state.undo === 'Open a file'")
    page.until("espressivo.state.mode === 'playing' && espressivo.music.notes.length > 24")
    server.stop()
    page.until("document.getElementById('lamp').textContent === 'no server'")
    server.start()
    page.until("espressivo.state.mode === 'playing'")
    page.until("espressivo.music.notes.length > 32")
    assert page.ask("espressivo.state.recording !== null")
    before_s = page.ask("espressivo.recorder.seconds()")
    stop_recording(page)
    (take,) = page.ask("espressivo.state.takes")
    assert take["seconds"] >= before_s > 5
    kept = events(page)
    assert [row[0] for row in kept] == sorted(row[0] for row in kept)
    sounding = {}
    for _, status, one, two, _ in kept:
        sounding[status == 176, one] = two
    assert not any(sounding.values())
    pitches = [pitch for _, pitch in struck(kept)]
    ending = piece.notes["pitch"][piece.notes["onset_s"] >= piece.seconds - 4].tolist()
    assert any(pitches[n : n + len(ending)] == ending for n in range(len(pitches)))


def test_a_take_outlasts_the_page_and_is_named_and_deleted_with_undo(page):
    record(page)
    stop_recording(page)
    page.press("play")
    kept = events(page)
    page.open()
    page.until("espressivo.state.takes.length === 1")
    assert events(page) == kept
    shelf(page)["name"].send_keys(Keys.CONTROL, "a")
    shelf(page)["name"].send_keys("Rain", Keys.TAB)
    page.until("espressivo.state.takes[0].name === 'Rain'")
    shelf(page)["Delete"].click()
    page.until("espressivo.state.takes.length === 0")
    assert page.find("deleted").text.startswith("Rain is deleted.")
    page.find("deleted").find_element("tag name", "button").click()
    page.until("espressivo.state.takes.length === 1")
    page.undo()
    page.until("espressivo.state.takes[0].name === 'Take 1'")
    page.open()
    page.until("espressivo.state.takes.length === 1")
    assert page.ask("espressivo.state.takes[0].name") == "Take 1"
    assert events(page) == kept


def test_a_take_is_played_back_with_a_cursor_and_a_loop(page):
    page.keys("adgh")
    page.until("espressivo.music.notes.length >= 4 && espressivo.state.mode === 'playing'")
    page.press("play")
    page.press("takes")
    page.press("keep")
    page.until("espressivo.state.takes.length === 1")
    shelf(page)["Listen"].click()
    page.until("espressivo.loudness() > 0.002")
    assert [note[2] for note in page.notes()][:4] == [60, 64, 67, 69]
    assert page.find("playback").is_displayed() and page.find("playing").text == "Take 1"
    page.press("loop")
    page.find("cursor").send_keys(Keys.END)
    page.until("espressivo.state.running && espressivo.now() < 1")
    page.press("loop")
    page.find("cursor").send_keys(Keys.END)
    page.until("!espressivo.state.running")
    assert page.ask("espressivo.now()") == page.ask("espressivo.music.end")
    page.press("play")
    page.until("espressivo.state.running")
    page.press("leave")
    page.until("espressivo.loudness() < 1e-4")
    assert not page.find("playback").is_displayed()
    assert page.ask("espressivo.state.mode") == "stopped"


def test_the_model_goes_on_from_a_moment_of_a_take(page):
    record(page, 3)
    stop_recording(page)
    page.press("new")
    shelf(page)["Listen"].click()
    page.until("espressivo.now() > 1")
    page.press("play")
    page.find("roll").send_keys(Keys.ARROW_UP)
    page.find("roll").send_keys(Keys.ENTER)
    page.until("espressivo.state.mode === 'playing' && espressivo.state.replaying === null")
    assert 0 < page.ask("espressivo.music.notes.length")


def test_a_take_says_how_it_was_made_as_midi_and_as_sound(page):
    page.open("#seed=11&temperature=0.9")
    record(page)
    page.browser.find_element("css selector", "[data-name=top_p] input").send_keys(Keys.ARROW_LEFT)
    page.until("espressivo.recorder.seconds() > 3")
    stop_recording(page)
    page.press("play")
    path = page.saved("save-midi")
    made = read_provenance(path)
    model = espressivo.load("seed")
    assert (made.model, made.model_sha256) == ("seed", model.engine.sha256)
    assert (made.licence, made.seed, made.command) == (model.card["licence"], 11, "page")
    ((at_s, changed),) = made.settings["changes"]
    assert made.settings["temperature"] == 0.9 and 2 <= at_s <= 3
    assert changed == {"temperature": 0.9, "top_p": 0.99}
    file = espressivo.read(path)
    assert len(file) == page.ask("espressivo.state.takes[0].notes")
    path.unlink()
    path = page.saved("save-wav")
    with wave.open(str(path)) as sound:
        assert sound.getnframes() / sound.getframerate() > 5
    text = path.read_bytes().split(b"espressivo:", 1)[1].split(b"\0")[0]
    assert json.loads(text) == made.to_dict()


def test_files_of_the_page_are_those_of_python(page):
    rng = np.random.default_rng(3)
    onset_s = np.cumsum(rng.integers(0, 300, 200)) / 1000
    piece = espressivo.Performance.from_arrays(
        onset_s=onset_s - onset_s[0],
        offset_s=onset_s - onset_s[0] + rng.integers(1, 900, 200) / 1000,
        pitch=30 + np.arange(200) % 60,
        velocity=rng.integers(1, 128, 200),
        controls=np.array([(0.5, 64, 127), (1.25, 64, 0)], CONTROL_DTYPE),
    )
    script = """
      const done = arguments[1];
      import("/midi_file.js").then(({ midiFile }) => done([...midiFile(arguments[0])]));"""
    written = page.browser.execute_async_script(script, server_events(piece))
    assert bytes(written) == midi.to_bytes(piece)


def test_leaving_asks_while_something_is_recorded(page):
    asks = "const e = new Event('beforeunload', { cancelable: true }); return !dispatchEvent(e)"
    page.play()
    assert not page.browser.execute_script(asks)
    page.press("record")
    assert page.browser.execute_script(asks)
    stop_recording(page)
    assert not page.browser.execute_script(asks)


def test_a_browser_that_keeps_nothing_is_told_of_and_leaving_asks(page):
    source = "Object.defineProperty(window, 'indexedDB', { value: undefined })"
    command = "Page.addScriptToEvaluateOnNewDocument"
    added = page.browser.execute_cdp_cmd(command, {"source": source})
    try:
        page.open()
        record(page)
        stop_recording(page)
        page.press("play")
        assert len(struck(events(page))) > 3
        page.press("takes")
        assert "keeps no recordings" in page.find("kept").text
        asks = "const e = new Event('beforeunload', { cancelable: true }); return !dispatchEvent(e)"
        assert page.browser.execute_script(asks)
    finally:
        command = "Page.removeScriptToEvaluateOnNewDocument"
        page.browser.execute_cdp_cmd(command, added)


def test_edits_are_undone_by_buttons_and_keys(page):
    page.keys("ad")
    page.until("espressivo.state.mode === 'playing' && espressivo.music.notes.length > 4")
    page.press("play")
    before = page.notes()
    page.press("new")
    assert page.notes() == []
    assert page.find("undo").get_attribute("title") == "Undo: New (Ctrl+Z)"
    page.undo()
    assert page.notes() == before
    page.press("redo")
    assert page.notes() == []
    page.press("undo")
    knob = page.browser.find_element("css selector", "[data-name=temperature] input")
    knob.send_keys(Keys.HOME)
    page.press("undo")
    assert page.ask("espressivo.state.settings") == {}
    assert knob.get_attribute("aria-valuetext") == "1.00"
    assert page.notes() == before
