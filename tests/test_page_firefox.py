"""The page in Firefox, over WebDriver BiDi, which it speaks by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess

import aiohttp
import pytest

from browsing import PATIENCE_S, Server
from test_page_alone import host, site

__all__ = ["host", "site"]  # fixtures

pytestmark = pytest.mark.slow

PREFERENCES = """
user_pref("media.autoplay.default", 0);
user_pref("media.volume_scale", "0.0");
user_pref("intl.accept_languages", "en");
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
"""
KEYS = [{"type": kind, "value": "a"} for kind in ("keyDown", "keyUp")]


class Firefox:
    """A window of Firefox."""

    def __init__(self, socket, context=None):
        self.socket, self.context, self.number = socket, context, 0

    async def do(self, method, **parameters):
        """Send a command and return its result."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        await self.socket.send_json(command)
        while True:
            answer = await asyncio.wait_for(self.socket.receive_json(), PATIENCE_S)
            if answer.get("id") == self.number:
                assert answer["type"] == "success", answer
                return answer["result"]

    async def ask(self, expression):
        target = {"context": self.context}
        parameters = {"expression": expression, "target": target, "awaitPromise": True}
        answer = await self.do("script.evaluate", **parameters)
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    async def until(self, expression):
        script = f"""new Promise((done, failed) => {{
          const from = performance.now(), look = setInterval(() => {{
            const late = performance.now() - from > {1000 * PATIENCE_S};
            if (!({expression}) && !late) return;
            clearInterval(look);
            done(!late);
          }}, 50);
        }})"""
        assert await self.ask(script), expression

    async def press(self, *actions):
        keys = [{"type": "key", "id": "keys", "actions": list(actions)}]
        await self.do("input.performActions", context=self.context, actions=keys)


@pytest.fixture
def port(tmp_path):
    """Of a Firefox that listens, and has a sound server, without which its sound stands still."""
    firefox, pulseaudio = shutil.which("firefox-esr"), shutil.which("pulseaudio")
    if not (firefox and pulseaudio):
        absent = "no Firefox to try the page in: apt-get install firefox-esr pulseaudio"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    socket = tmp_path / "sound"
    modules = ("-L", "module-null-sink", "-L", f"module-native-protocol-unix socket={socket}")
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": f"unix:{socket}"}
    command = [pulseaudio, "-n", "--exit-idle-time=-1", "--daemonize=no", *modules]
    sound = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    (tmp_path / "user.js").write_text(PREFERENCES)
    command = [firefox, "--headless", "--remote-debugging-port", "0", "--profile", str(tmp_path)]
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if "WebDriver BiDi listening on" in line:
            break
    yield int(line.strip().rsplit(":", 1)[1])
    for process in (running, sound):
        process.terminate()
        process.wait()
    running.stderr.close()


@pytest.fixture
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.stop()


@pytest.mark.parametrize("kind", ["server", "host"])  # which has a model of its own, or none
def test_it_plays_records_and_keeps_the_take_in_firefox(port, kind, request):
    async def visit(server):
        address = f"ws://127.0.0.1:{port}/session"
        async with aiohttp.ClientSession() as client, client.ws_connect(address) as socket:
            firefox = Firefox(socket)
            await firefox.do("session.new", capabilities={})
            tree = await firefox.do("browsingContext.getTree")
            firefox.context = tree["contexts"][0]["context"]
            place = {"context": firefox.context, "url": server.url, "wait": "complete"}
            await firefox.do("browsingContext.navigate", **place)
            await firefox.until("window.espressivo?.state.model")
            await firefox.until("document.body.classList.contains('ready')")
            await firefox.press(*KEYS)
            await firefox.until("espressivo.loudness() > 0.002")
            await firefox.until("espressivo.state.mode === 'playing'")
            await firefox.press(*({**key, "value": "r"} for key in KEYS))
            await firefox.until("espressivo.recorder.seconds() > 2")
            assert await firefox.ask("espressivo.music.notes.some((n) => n.hand === 0)")
            await firefox.do("browsingContext.reload", context=firefox.context, wait="complete")
            await firefox.until("window.espressivo?.state.takes.length === 1")
            assert await firefox.ask("espressivo.state.takes[0].seconds") > 1
            assert await firefox.ask("espressivo.state.takes[0].notes") > 3
            await firefox.do("session.end")

    asyncio.run(visit(request.getfixturevalue(kind)))
