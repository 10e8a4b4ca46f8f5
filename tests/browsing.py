"""A server and a real browser, for the tests of the page."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from soundfont import soundfont

PATIENCE_S = 60  # a busy machine is slow


class Server:
    """`espressivo serve`, in a process of its own."""

    def __init__(self, folder, program=("-m", "espressivo"), models=("seed",), listeners=8):
        self.program, self.models, self.listeners = program, models, listeners
        self.bank = folder / "sine.sf2"
        self.bank.write_bytes(soundfont())
        self.port = 0
        self.start()

    def start(self):
        command = [sys.executable, *self.program, "serve", "--no-browser"]
        for model in self.models:
            command += ["--model", model]
        command += ["--port", str(self.port), "--soundfont", str(self.bank)]
        command += ["--listeners", str(self.listeners)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[0]
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser():
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        absent = "no browser to try the page in: apt-get install chromium chromium-driver"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "mute-audio"):
        options.add_argument(f"--{argument}")
    options.add_argument("--window-size=1100,840")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.set_script_timeout(PATIENCE_S)
    yield driver
    driver.quit()


class Page:
    """A page that has been opened and is ready to play."""

    def __init__(self, browser, server, downloads):
        self.browser, self.server, self.downloads = browser, server, downloads
        behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)

    def forget(self):
        """Let the browser forget what it has kept of the page."""
        origin = {"origin": self.server.url.rstrip("/"), "storageTypes": "all"}
        self.browser.get("about:blank")
        self.browser.execute_cdp_cmd("Storage.clearDataForOrigin", origin)

    def open(self, address=""):
        self.browser.get("about:blank")
        self.browser.get(self.server.url + address)
        self.until("document.body.classList.contains('ready')")
        self.until("document.getElementById('lamp').classList.contains('on')")
        self.until("espressivo.state.model !== null")

    def ask(self, expression):
        return self.browser.execute_script(f"return {expression}")

    def until(self, expression):
        WebDriverWait(self.browser, PATIENCE_S).until(lambda _: self.ask(expression), expression)

    def find(self, name):
        return self.browser.find_element("id", name)

    def press(self, name):
        self.find(name).click()

    def keys(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()

    def undo(self):
        """Press the keys for it."""
        ActionChains(self.browser).key_down(Keys.CONTROL).send_keys("z").key_up(
            Keys.CONTROL
        ).perform()

    def notes(self):
        """Onset, end, pitch, velocity and hand of each note of the take."""
        rows = "espressivo.music.notes.map((n) => [n.start, n.end, n.pitch, n.velocity, n.hand])"
        return self.ask(rows)

    def told(self):
        """Return the message that the page shows, once it shows one."""
        self.until("document.getElementById('message').matches(':popover-open')")
        return self.find("message").text

    def play(self, notes=8):
        self.press("play")
        self.until(
            f"espressivo.state.mode === 'playing' && espressivo.music.notes.length >= {notes}"
        )

    def drop(self, data, name="dropped.mid"):
        """Drop a file on the page."""
        script = """
      const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
      const carried = new DataTransfer();
      carried.items.add(new File([bytes], arguments[1]));
      for (const kind of ["dragover", "drop"]) {
        document.querySelector("main").dispatchEvent(
          new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried }));
      }"""
        self.browser.execute_script(script, base64.b64encode(data).decode(), name)

    def size(self, width, height, mobile=False):
        """Give the page the size of a screen, until `unsized`."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def unsized(self):
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def saved(self, button):
        """Press a button and return the path of what it downloads."""
        self.press(button)

        def done(_):
            found = [path for path in self.downloads.iterdir() if path.suffix in (".mid", ".wav")]
            return found[0] if found else None

        return WebDriverWait(self.browser, PATIENCE_S).until(done)


@pytest.fixture
def page(browser, server, tmp_path):
    opened = Page(browser, server, tmp_path)
    opened.forget()
    opened.open()
    yield opened
    wrong = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [entry for entry in wrong if "ERR_CONNECTION_REFUSED" not in entry["message"]]
