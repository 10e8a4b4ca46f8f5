"""The page, in a real browser: what is pressed, seen, heard and saved."""

from __future__ import annotations

import time
import wave

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

import espressivo
from browsing import Page, Server, browser, page, server
from espressivo import midi
from espressivo.music import CONTROL_DTYPE
from espressivo.server.app import MAX_LISTENERS
from played import played

__all__ = ["browser", "page", "server"]  # fixtures

pytestmark = pytest.mark.slow


FAILING = """
from espressivo.cli import main
from espressivo.engine import Engine

left, step = 400, Engine.step

def failing(self, *arguments):
    global left
    left -= 1
    if left == 0:
        raise RuntimeError("out of memory")
    return step(self, *arguments)

Engine.step = failing
main()
"""  # the command line, with a model that fails once, some seconds into the music


def test_play_is_heard_and_seen_and_stop_ends_it(page):
    picture = "document.getElementById('roll').toDataURL()"
    before = page.ask(picture)
    assert page.ask("espressivo.loudness()") < 1e-4
    page.play()
    page.until("espressivo.loudness() > 0.005")
    page.until("espressivo.now() > 1")
    assert page.ask(picture) != before
    page.press("play")
    assert page.ask("espressivo.state.mode") == "stopped"
    end = page.ask("espressivo.music.end")
    assert all(start < end and stop is not None and stop <= end for start, stop, *_ in page.notes())
    page.until("espressivo.loudness() < 1e-4")
    assert page.ask("espressivo.music.end") == end


def test_it_plays_on_from_where_it_was_stopped(page):
    page.play()
    page.press("play")
    first = page.notes()
    page.play(len(first) + 8)
    notes = page.notes()
    assert notes[: len(first)] == first
    assert all(note[0] >= first[-1][1] - 1e-3 for note in notes[len(first) :])


def test_knobs_steer_while_it_plays(page):
    page.play()
    knob = page.browser.find_element("css selector", "[data-name=highest_pitch] input")
    knob.send_keys(Keys.HOME)
    assert "highest_pitch=33" in page.browser.current_url
    page.until("espressivo.music.notes.slice(-6).every((n) => n.pitch <= 33)")
    output = page.browser.find_element("css selector", "[data-name=highest_pitch] .value")
    assert output.text == "A1"
    knob.send_keys(Keys.END)
    page.until("espressivo.music.notes.slice(-6).some((n) => n.pitch > 33)")
    dial = page.browser.find_element("css selector", "[data-name=temperature] svg")
    ActionChains(page.browser).drag_and_drop_by_offset(dial, 0, -40).perform()
    assert page.ask("espressivo.state.settings.temperature") > 1.2
    assert not page.find("message").is_displayed()


def test_the_address_holds_the_state_and_the_same_seed_plays_the_same(page):
    def first_notes(address):
        page.open(address)
        page.play(12)
        return [note[2:4] for note in page.notes()[:12]]

    same = [first_notes("#seed=11&temperature=0.9") for _ in range(2)]
    assert same[0] == same[1] != first_notes("#seed=12&temperature=0.9")
    assert page.ask("espressivo.state.settings") == {"temperature": 0.9}
    output = page.browser.find_element("css selector", "[data-name=temperature] .value")
    assert output.text == "0.90"


def test_the_model_takes_over_when_a_person_pauses(page):
    ActionChains(page.browser).key_down("a").perform()
    page.until("espressivo.loudness() > 0.005")
    page.keys("d", "g")
    page.until("espressivo.now() > espressivo.music.notes[2].end")
    ActionChains(page.browser).key_up("a").perform()
    mine = [note for note in page.notes() if note[4] == 1]
    assert [note[2] for note in mine] == [60, 64, 67]
    assert mine[0][1] > mine[2][1]
    page.until("espressivo.state.mode === 'playing'")
    page.until("espressivo.music.notes.some((n) => n.hand === 0)")
    theirs = [note for note in page.notes() if note[4] == 0]
    assert theirs[0][0] >= mine[0][1]
    page.keys("s")  # and a person can join
    assert [note[2] for note in page.notes() if note[4] == 1] == [60, 64, 67, 62]
    page.keys(Keys.ESCAPE)
    assert page.ask("espressivo.state.mode") == "stopped"
    page.until("espressivo.loudness() < 1e-4")


def test_the_piano_on_the_screen_can_be_played(page):
    page.press("answer")
    roll = page.find("roll")
    height = roll.size["height"]
    touch = ActionChains(page.browser).move_to_element_with_offset(roll, 5, height // 2 - 8)
    touch.click_and_hold().perform()
    page.until("espressivo.loudness() > 0.002")
    assert page.ask("espressivo.player.held.size") == 1
    ActionChains(page.browser).release().perform()
    ((_, end, pitch, velocity, hand),) = page.notes()
    assert end is not None and 60 <= pitch <= 68 and velocity > 90 and hand == 1
    page.until("espressivo.state.mode === 'stopped'")  # it does not answer


def test_what_is_recorded_is_saved_as_midi(page):
    page.play()
    before = len(page.notes())
    page.press("record")
    page.until("espressivo.recorder.seconds() > 2")
    page.press("record")
    page.until("espressivo.state.recording === null")
    page.press("play")
    file = espressivo.read(page.saved("save-midi"))
    (take,) = page.ask("espressivo.state.takes")
    assert 2 <= take["seconds"] < 4
    assert len(file) == take["notes"] > 3
    found = np.column_stack((file.notes["onset_s"], file.notes["pitch"]))
    rows = sorted((note[0], note[2]) for note in page.notes()[max(0, before - 12) :])
    expected = np.array(rows)
    shifts = expected[:, 0] - found[0, 0]
    assert any(
        len(expected) >= n + len(found)
        and np.allclose(expected[n : n + len(found)] - [shift, 0], found, atol=3e-3)
        for n, shift in enumerate(shifts)
    )


def test_a_dropped_file_is_gone_on_from(page):
    page.find("roll").click()  # browsers give no sound before a person has done something
    piece = played(1, notes=40)
    page.drop(midi.to_bytes(piece))
    page.until("espressivo.music.notes.length >= 40")
    end_s = piece.seconds
    assert page.ask("espressivo.music.end") == pytest.approx(end_s, abs=1e-3)
    page.until("espressivo.loudness() > 0.005")
    page.until("espressivo.state.mode === 'playing' && espressivo.music.notes.length > 45")
    notes = page.notes()
    assert [note[2] for note in notes[:40]] == piece.notes["pitch"].tolist()
    assert min(note[0] for note in notes[40:]) >= end_s - 1e-3
    page.drop(b"MThd")
    assert "truncated" in page.told()


def harmonics(samples, rate, pitch):
    """How strong the first and third harmonic of a pitch are."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) / len(samples)
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    bins = [round(n * frequency * len(samples) / rate) for n in (1, 3)]
    return [spectrum[at - 3 : at + 4].max() for at in bins]


def test_what_was_played_is_saved_as_sound(page):
    page.find("roll").click()
    soft_loud_pedal = espressivo.Performance.from_arrays(
        onset_s=[0.0, 1.0, 2.0, 3.1], offset_s=[0.5, 1.5, 2.2, 3.2],
        pitch=[69, 69, 57, 96], velocity=[50, 110, 110, 30],
        controls=np.array([(2.1, 64, 127), (3.0, 64, 0)], CONTROL_DTYPE),
    )  # fmt: skip
    page.drop(midi.to_bytes(soft_loud_pedal))
    page.until("espressivo.music.notes.length >= 4")
    page.until("espressivo.state.mode === 'playing'")
    page.press("play")
    with wave.open(str(page.saved("save-wav"))) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        rate = file.getframerate()
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32768
    left = sound[:, 0]

    def part(begin_s, end_s):
        return left[int(begin_s * rate) : int(end_s * rate)]

    soft, loud = harmonics(part(0.1, 0.4), rate, 69), harmonics(part(1.1, 1.4), rate, 69)
    assert loud[0] > 2 * soft[0] > 1e-3
    assert loud[1] / loud[0] > 5 * soft[1] / soft[0]  # velocity changes the timbre
    assert harmonics(part(2.5, 2.9), rate, 57)[0] > 2e-3  # the pedal sustains
    assert np.abs(sound).max() < 1
    assert np.abs(left[-rate // 5 :]).max() < 1e-3  # it ends by dying away


def test_an_earlier_moment_is_gone_on_from_differently(page):
    page.play()
    page.until("espressivo.now() > 6.5")
    before = page.notes()
    page.press("back")
    page.until("espressivo.state.mode === 'playing'")
    page.press("play")
    after = page.notes()
    same = sum(old[2:] == new[2:] for old, new in zip(before, after, strict=False))
    assert 0 < same < len(before)
    assert all(note[0] > 1 for note in before[same:])
    page.play(len(after) + 8)
    assert [note[2:] for note in page.notes()[: len(before)]] != [note[2:] for note in before]
    ActionChains(page.browser).move_to_element_with_offset(
        page.find("roll"), 0, 60
    ).click().perform()
    page.until("!document.getElementById('marker').hidden")
    time_s = page.ask("document.getElementById('resume').textContent")
    assert time_s.startswith("Go on from 0:0")
    page.press("resume")
    page.until("espressivo.state.mode === 'playing'")


def test_a_passage_is_filled_heard_chosen_and_undone(page):
    page.play(20)
    within = "(note) => Math.abs(espressivo.now() - 2 - note.start) < 0.5"  # the passage below
    page.until(f"espressivo.now() > 5 && espressivo.music.notes.filter({within}).length > 2")
    page.press("play")
    before = page.notes()
    roll = page.find("roll")
    roll.send_keys(Keys.ARROW_UP)
    roll.send_keys(Keys.SHIFT + Keys.ARROW_UP * 2)
    begin, end = sorted(page.ask("[espressivo.state.mark, espressivo.state.anchor]"))
    assert end - begin == pytest.approx(2)
    assert any(begin <= note[0] < end for note in before)
    roll.send_keys(Keys.ENTER)
    page.until("espressivo.state.filling.found.length === 1 && espressivo.state.running")
    page.press("another")
    page.until("espressivo.state.filling.found.length === 2")
    page.until("espressivo.loudness() > 0.002")
    assert page.find("which").text.endswith("2 of 2")
    page.press("earlier")
    page.until("espressivo.state.filling.at === 0")
    page.press("use")
    page.until("espressivo.state.filling === null && espressivo.state.replaying === null")
    after = page.notes()
    around = [[note for note in notes if not begin <= note[0] < end] for notes in (before, after)]
    assert around[0] == around[1] and before != after
    page.press("undo")
    assert page.notes() == before
    page.press("redo")
    assert page.notes() == after


def test_a_lost_server_silences_the_piano_and_is_found_again(page, server):
    page.play()
    page.until("espressivo.loudness() > 0.005")
    server.stop()
    page.until("document.getElementById('lamp').textContent === 'no server'")
    assert page.ask("espressivo.state.mode") == "stopped"
    assert all(note[1] is not None for note in page.notes())
    assert "lost" in page.told()
    page.until("espressivo.loudness() < 1e-4")
    count = len(page.notes())
    time.sleep(0.5)
    assert page.ask("espressivo.loudness()") < 1e-4
    server.start()
    page.until("document.getElementById('lamp').textContent === 'connected'")
    page.until(
        f"espressivo.state.mode === 'playing' && espressivo.music.notes.length > {count + 5}"
    )
    page.until("espressivo.loudness() > 0.005")


def test_a_model_that_fails_is_told_and_stops_and_can_play_again(browser, tmp_path):
    failing = Server(tmp_path, ("-c", FAILING))
    try:
        page = Page(browser, failing, tmp_path)
        page.open()
        page.play()
        assert page.told() == "the model failed: RuntimeError: out of memory"
        page.until("espressivo.state.mode === 'stopped'")
        assert page.find("play").get_attribute("aria-label") == "Play"
        assert all(note[1] is not None for note in page.notes())
        page.until("espressivo.loudness() < 1e-4")
        page.play(len(page.notes()) + 8)
        page.press("play")
        page.browser.get("about:blank")
    finally:
        failing.stop()


def test_pages_that_are_left_make_room(page):
    for _ in range(MAX_LISTENERS + 1):
        page.open()
        page.play(1)
    assert not page.find("message").is_displayed()


def test_a_model_with_more_to_steer_has_more_knobs(page):
    script = """
      const done = arguments[0];
      import("/knobs.js").then(({ build }) => {
        window.chosen = {};
        const shared = { unit: "", count: 1, default: null, hint: "" };
        build(document.getElementById("knobs"), [
          { ...shared, name: "density", label: "Density", lowest: 1, highest: 30, step: 0.5 },
          { ...shared, name: "pitch_weights", label: "Pitches", lowest: 0, highest: 1, step: 0.25,
            count: 12, default: 1 },
          { name: "composer", label: "Manner of", hint: "", choices: ["Bach", "Ravel"] },
        ], {}, (name, value) => (window.chosen[name] = value));
        done();
      });"""
    page.browser.execute_async_script(script)
    density = page.browser.find_element("css selector", "[data-name=density]")
    assert density.find_element("class name", "value").text == "free"
    density.find_element("tag name", "input").send_keys(Keys.ARROW_RIGHT)
    assert page.ask("chosen.density") == 1
    density.find_element("tag name", "input").send_keys(Keys.HOME)
    assert page.ask("chosen.density") is None
    composer = Select(page.browser.find_element("css selector", "[data-name=composer] select"))
    composer.select_by_visible_text("Ravel")
    assert page.ask("chosen.composer") == "Ravel"
    composer.select_by_visible_text("anyone")
    assert page.ask("chosen.composer") is None
    pitches = page.browser.find_element("css selector", "[data-name=pitch_weights]")
    root, scale = pitches.find_elements("tag name", "select")
    Select(root).select_by_visible_text("D")
    Select(scale).select_by_visible_text("major")
    assert [n for n in range(12) if page.ask("chosen.pitch_weights")[n]] == [1, 2, 4, 6, 7, 9, 11]
    pitches.find_element("css selector", "[data-number='0']").click()
    assert page.ask("chosen.pitch_weights")[0] == 1
    pitches.find_element("css selector", "[data-number='0']").send_keys(Keys.ENTER)
    assert page.ask("chosen.pitch_weights")[0] == 0.5


def test_everything_has_a_name_and_can_be_reached_by_keys(page):
    nameless = page.ask(
        "[...document.querySelectorAll('button, select, input, canvas')]"
        ".filter((e) => e.offsetParent && !e.hasAttribute('aria-hidden') && !e.closest('label')"
        " && !e.getAttribute('aria-label') && !e.textContent.trim()).map((e) => e.id)"
    )
    assert nameless == []
    reached = set()
    for _ in range(50):
        page.keys(Keys.TAB)
        name = "document.activeElement.id || document.activeElement.parentElement?.dataset.name"
        reached.add(page.ask(name))
    assert {"model", "open", "roll", "play", "back", "panic", "save-wav", "temperature"} <= reached
