"""The page without a server, in a real browser: the model plays in it."""

from __future__ import annotations

import functools
import gzip
import http.server
import os
import threading

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from browsing import Page, browser
from espressivo import midi
from espressivo.play import DEFAULT_MODEL, load
from espressivo.server.site import POLICY, _runtime, write_site
from soundfont import soundfont
from test_page_looks import violations

__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.slow


class Handler(http.server.SimpleHTTPRequestHandler):
    """Any web host, which lets the page load nothing from elsewhere."""

    def end_headers(self):
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_):
        pass


class Host:
    """A web host of a folder."""

    def __init__(self, folder):
        handler = functools.partial(Handler, directory=folder)
        self.running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.running.server_port}/"
        threading.Thread(target=self.running.serve_forever, daemon=True).start()

    def stop(self):
        self.running.shutdown()
        self.running.server_close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not (_runtime() / "ort.wasm").exists():
        absent = "the engine of the page is not here: make page"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    folder = tmp_path_factory.mktemp("site")
    bank = folder / "sine.sf2"
    bank.write_bytes(soundfont())
    write_site(folder / "page", ["seed", "espressivo"], bank)
    return folder / "page"


@pytest.fixture
def host(site):
    running = Host(site)
    yield running
    running.stop()


@pytest.fixture
def page(browser, host, tmp_path):
    opened = Page(browser, host, tmp_path)
    opened.forget()
    opened.open()
    yield opened
    opened.forget()
    wrong = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [entry for entry in wrong if "ERR_CONNECTION_REFUSED" not in entry["message"]]


def test_it_plays_is_heard_and_steered_and_stops(page):
    assert page.find("lamp").text == "ready"
    assert page.ask("document.getElementById('views')") is None  # the server draws
    page.play()
    page.until("espressivo.loudness() > 0.005")
    knob = page.browser.find_element("css selector", "[data-name=highest_pitch] input")
    knob.send_keys(Keys.HOME)
    page.until("espressivo.music.notes.slice(-6).every((n) => n.pitch <= 33)")
    knob.send_keys(Keys.END)
    page.until("espressivo.music.notes.slice(-6).some((n) => n.pitch > 33)")
    page.press("play")
    assert page.ask("espressivo.state.mode") == "stopped"
    page.until("espressivo.loudness() < 1e-4")
    assert not page.find("message").is_displayed()


def test_a_seed_plays_what_it_plays_in_python(page):
    page.open("#seed=11&temperature=0.9")
    page.play(24)
    events = []
    stream = load("seed").stream(seed=11, lead_s=1e9, temperature=0.9)
    while len(events) < 24:
        event = next(stream)
        events += [[event.time_s, event.pitch, event.velocity]] * (event.kind == "note_on")
    notes = [[start, pitch, velocity] for start, _, pitch, velocity, _ in page.notes()]
    assert notes[:24] == pytest.approx(np.array(events))


def test_it_listens_and_goes_on_when_a_person_pauses(page):
    page.keys("a", "d", "g")
    page.until("espressivo.state.mode === 'playing'")
    page.until("espressivo.music.notes.some((n) => n.hand === 0)")
    ActionChains(page.browser).key_down("k").perform()  # and it hears what is played meanwhile
    page.until("espressivo.music.notes.filter((n) => n.hand === 0).length > 8")
    ActionChains(page.browser).key_up("k").perform()
    mine = [note[2] for note in page.notes() if note[4] == 1]
    assert mine == [60, 64, 67, 72]
    assert not page.find("message").is_displayed()


def test_it_records_and_saves(page):
    page.press("record")
    page.press("play")
    page.until("espressivo.state.recording?.notes >= 8")  # heard, which is later than played
    page.press("record")
    page.press("play")
    page.until("espressivo.state.takes.length === 1 && !espressivo.state.recording")
    assert len(midi.read(page.saved("save-midi"))) >= 8


def test_the_model_is_chosen_and_its_own_controls_are_shown(page):
    controls = "document.querySelectorAll('#knobs [data-name]').length"
    few = page.ask(controls)
    page.play(4)
    Select(page.find("model")).select_by_value("espressivo")
    page.until("espressivo.state.model.name === 'espressivo'")
    page.until("espressivo.state.mode === 'playing' && espressivo.music.notes.length > 16")
    assert page.ask(controls) > few
    assert page.find("licence").text == "CC-BY-NC-SA-4.0"


def test_a_model_of_ones_own_is_dropped_and_a_broken_one_refused(page, site):
    content = gzip.decompress((site / "models" / "seed.onnx.gz").read_bytes())
    page.drop(content, "own.onnx")
    page.until("espressivo.state.model.name === 'own.onnx'")
    page.drop(content, "own.onnx")  # a second one of the same name
    page.until("espressivo.state.model.name === 'own 2.onnx'")
    Select(page.find("model")).select_by_value("seed")
    page.until("espressivo.state.model.name === 'seed'")
    page.drop(content[: len(content) // 2], "half.onnx")
    assert page.told().startswith("half.onnx: is not a whole model file")
    assert page.ask("espressivo.state.model.name") == "seed"
    page.play(4)
    page.drop(b"MThd", "take.mid")
    assert page.told() == "This page opens models (.onnx), and no other files."


def test_what_it_cannot_do_is_hidden(page):
    assert not page.find("open").is_displayed()
    assert page.find("open-model").is_displayed()
    assert "MIDI file" not in page.find("hint").text


def test_it_goes_on_and_opens_again_when_the_host_is_gone(page, host):
    page.ask("navigator.serviceWorker.ready.then(() => true)")
    page.play(4)
    host.stop()
    heard = page.ask("espressivo.music.notes.length")
    page.until(f"espressivo.music.notes.length > {heard + 20}")
    page.open()
    page.play(4)


def test_all_of_it_is_within_16_megabytes(tmp_path, site):
    write_site(tmp_path / "page", [DEFAULT_MODEL])
    files = [path for path in (tmp_path / "page").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 16e6


def test_nothing_keeps_anybody_out(page):
    for width, height in ((1280, 800), (320, 568)):
        page.size(width, height)
        try:
            assert violations(page, "body") == []
            assert page.ask("document.documentElement.scrollWidth") <= width
        finally:
            page.unsized()
