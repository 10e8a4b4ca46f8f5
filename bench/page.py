"""The page in a real browser: how soon it sounds, how late keys are heard, how often it starves.

Starts `espressivo serve` and headless Chromium (Debian: chromium, chromium-driver). Measured are
the seconds from pressing play to the first sound, over several pages; from a key to its sound, by
the samples that leave the page; and events that come after their time while it plays, alone and
beside four more listeners, which take music from the server as the page does but do not draw it.

    python bench/page.py [--minutes 10] [--soundfont FILE] [--json]
    python bench/page.py --alone [--share 0.25] [--minutes 5] [--json]

With --alone the page plays without a server (`espressivo page`), from any web host. The browser,
its worker with the engine included, then gets that share of one core (by a control group, which
takes root on Linux). It has been opened once before it is timed.

    python bench/page.py --workers 2 --listeners 16 [--minutes 10] [--json]

With --workers there is no browser: so many listeners take music from a server of so many processes,
and what it says of itself (/metrics) is shown beside what they find.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

LEVEL = 1e-3  # root of the mean square of the latest samples: a sound
DELAY_S = 0.12  # as in player.js
PRESSES, KEYS = 5, 40

WATCH = """
window.waited = null;
let pressed = Infinity;
document.getElementById("play").addEventListener("click", () => (pressed = performance.now()));
const poll = setInterval(() => {
  if (espressivo.loudness() < LEVEL) return;
  clearInterval(poll);
  window.waited = performance.now() - pressed;
}, 2);
""".replace("LEVEL", str(LEVEL))
KEY = """
const done = arguments[0], press = (kind) =>
  document.body.dispatchEvent(new KeyboardEvent(kind, { code: "KeyA", bubbles: true }));
const quiet = setInterval(() => {
  if (espressivo.loudness() > LEVEL) return;
  clearInterval(quiet);
  const begin = performance.now();
  press("keydown");
  const poll = setInterval(() => {
    if (espressivo.loudness() < LEVEL) return;
    clearInterval(poll);
    press("keyup");
    done(performance.now() - begin);
  }, 1);
}, 20);
""".replace("LEVEL", str(LEVEL))


def browser(chromedriver: str | None = None) -> Any:
    """Return headless Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "mute-audio"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(
        options=options,
        service=webdriver.ChromeService(chromedriver or shutil.which("chromedriver")),
    )
    driver.set_script_timeout(120)
    return driver


def opened(driver: Any, url: str) -> None:
    """Open the page and wait until it can play."""
    driver.get("about:blank")
    driver.get(url)
    ready = "return document.body.classList.contains('ready') && espressivo.state.model !== null"
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script(ready))


def first_sound_s(driver: Any, url: str) -> float:
    """Return the seconds from pressing play to the first sound."""
    opened(driver, url)
    driver.execute_script(WATCH)
    driver.find_element("id", "play").click()
    waited = WebDriverWait(driver, 60).until(lambda _: driver.execute_script("return waited"))
    return float(waited) / 1000


def key_to_sound_ms(driver: Any, url: str) -> np.ndarray[Any, Any]:
    """Return the milliseconds from keys to their sound; the page does not answer."""
    opened(driver, url)
    driver.find_element("id", "answer").click()
    return np.array([driver.execute_async_script(KEY) for _ in range(KEYS)])


async def listen(url: str, minutes: float) -> dict[str, int]:
    """Take music as the page does; count events, and those after their time."""
    counts = {"events": 0, "underruns": 0}
    socket_url, origin = f"{url}play", url.rstrip("/")
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(socket_url, origin=origin) as socket,
    ):
        await socket.send_json(
            {"type": "begin", "run": 1, "time_s": 0, "events": [], "settings": {}, "seed": None}
        )
        zero, end = 0.0, time.monotonic() + 60 * minutes
        async for message in socket:
            now, given = time.monotonic(), message.json()
            if given["type"] == "error":
                raise ConnectionError(given["message"])
            if given["type"] == "begun":
                zero = now + DELAY_S
            for event in given.get("events", ()):
                counts["events"] += 1
                if zero + event[0] < now:
                    counts["underruns"] += 1
                    zero = now + DELAY_S - event[0]
            if now > end:
                return counts
    raise ConnectionError(f"the server has gone: {socket.close_code}, {socket.exception()}")


def starving(driver: Any, url: str, minutes: float, others: int) -> dict[str, Any]:
    """Play for some minutes beside others."""
    opened(driver, url)
    driver.find_element("id", "play").click()

    async def together() -> list[dict[str, int]]:
        return await asyncio.gather(*(listen(url, minutes) for _ in range(others)))

    counts = asyncio.run(together()) if others else time.sleep(60 * minutes) or []
    script = "return [espressivo.piano.played, espressivo.player.underruns, espressivo.piano.late]"
    notes, underruns, late = driver.execute_script(script)
    return {
        "listeners": 1 + others,
        "minutes": minutes,
        "notes_of_the_page": notes,
        "underruns_of_the_page": underruns,
        "notes_of_the_page_late": late,
        "events_of_the_others": sum(count["events"] for count in counts),
        "underruns_of_the_others": sum(count["underruns"] for count in counts),
    }


class Host(http.server.SimpleHTTPRequestHandler):
    """Any web host."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def bounded(folder: str, share: float) -> str:
    """Return a chromedriver whose processes have a share of a core in all (as root, on Linux)."""
    top = Path("/sys/fs/cgroup")
    second = (top / "cgroup.controllers").exists()
    group = (top if second else top / "cpu") / f"espressivo-{os.getpid()}"
    group.mkdir()
    name, quota = ("cpu.max", "{} 100000") if second else ("cpu.cfs_quota_us", "{}")
    (group / name).write_text(quota.format(int(share * 100_000)))
    driver = Path(folder) / "chromedriver"
    real = shutil.which("chromedriver")
    driver.write_text(f'#!/bin/sh\necho $$ > {group}/cgroup.procs\nexec {real} "$@"\n')
    driver.chmod(0o755)
    return str(driver)


def alone(minutes: float, share: float) -> dict[str, Any]:
    """Measure the page without a server."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        subprocess.run([sys.executable, "-m", "espressivo", "page", "--out", str(site)], check=True)
        host = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Host, directory=site)
        )
        threading.Thread(target=host.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{host.server_port}/"
        driver = browser(bounded(folder, share) if share < 1 else None)
        try:
            opened(driver, url)  # so that the next time all is at hand
            begin = time.monotonic()
            opened(driver, url)
            ready_s = time.monotonic() - begin
            return {
                "share_of_a_core": share,
                "open_until_ready_s": round(ready_s, 2),
                "play_to_first_sound_s": round(first_sound_s(driver, url), 2),
                **starving(driver, url, minutes, 0),
            }
        finally:
            driver.quit()
            host.shutdown()


def served(minutes: float, soundfont: str | None) -> dict[str, Any]:
    """Measure the page of a server."""
    command = [sys.executable, "-m", "espressivo", "serve", "--no-browser", "--port", "0"]
    command += ["--soundfont", soundfont] if soundfont else []
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    driver = browser()
    try:
        url = server.stdout.readline().split()[0]
        sounds = [first_sound_s(driver, url) for _ in range(PRESSES)]
        keys = key_to_sound_ms(driver, url)
        return {
            "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            "play_to_first_sound_s": [round(second, 2) for second in sounds],
            "key_to_sound_ms_p50": round(float(np.percentile(keys, 50)), 1),
            "key_to_sound_ms_p99": round(float(np.percentile(keys, 99)), 1),
            "starving": [starving(driver, url, minutes, others) for others in (0, 4)],
        }
    finally:
        driver.quit()
        server.terminate()
        server.wait()


async def shared(url: str, minutes: float, listeners: int) -> dict[str, Any]:
    """Take music with several listeners, who come a second apart; ask the server about it."""

    async def come(number: int) -> dict[str, int]:
        await asyncio.sleep(number)
        return await listen(url, minutes)

    counts = await asyncio.gather(*map(come, range(listeners)))
    async with aiohttp.ClientSession() as client, client.get(f"{url}metrics") as answer:
        lines = (await answer.text()).splitlines()
    told = dict(line.removeprefix("espressivo_").split() for line in lines if line[0] != "#")
    return {
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "listeners": listeners,
        "minutes": minutes,
        "events": sum(count["events"] for count in counts),
        "underruns": sum(count["underruns"] for count in counts),
        **{name: float(value) for name, value in told.items() if "listeners" not in name},
    }


def dealt(minutes: float, workers: int, listeners: int) -> dict[str, Any]:
    """Measure a server of several processes."""
    command = [sys.executable, "-m", "espressivo", "serve", "--no-browser", "--port", "0"]
    command += ["--workers", str(workers), "--listeners", str(listeners)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        return asyncio.run(shared(server.stdout.readline().split()[0], minutes, listeners))
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--listeners", type=int, default=16)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--soundfont")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.alone:
        result = alone(arguments.minutes, arguments.share)
    elif arguments.workers:
        result = dealt(arguments.minutes, arguments.workers, arguments.listeners)
    else:
        result = served(arguments.minutes, arguments.soundfont)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
