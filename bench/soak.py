"""The page's server with eight listeners for half an hour, of whom three misbehave.

Starts `espressivo serve`. Five listeners take music as the page does, steer, and begin anew every
minute. One sends floods of messages that are no messages, of huge pieces to go on from and of odd
files; one begins and takes nothing; one opens sockets that ask for nothing or are left half open,
comes and goes, and loads other models. Counted are events that come to the five after their time,
by the page's own rule, and the memory of the server, after the first tenth and at the end.

    python bench/soak.py [--minutes 30] [--json]

Exits with 1 if an event is late, a listener is dropped or the memory grows by more than 5 %.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

DELAY_S = 0.12  # as in main.js: from the first events of a run to their sound
LISTENERS = 5
TAKEN_MORE = 1.05  # of the memory, at most
BEGIN = {"type": "begin", "run": 1, "time_s": 0, "events": [], "settings": {}, "seed": None}


class Tally:
    """What happened to the listeners who behave."""

    def __init__(self) -> None:
        self.events = self.late = self.lost = 0
        self.worst_s = 0.0


async def listen(client: aiohttp.ClientSession, url: str, end: float, tally: Tally) -> None:
    """Take music as the page does, steer, and begin anew every minute."""
    run, zero, again = 0, 0.0, 0.0
    async with client.ws_connect(f"{url}/play", origin=url) as link:
        while (now := time.monotonic()) < end:
            if now > again:
                run, again = run + 1, now + 60
                await link.send_json({**BEGIN, "run": run})
                await link.send_json({"type": "steer", "settings": {"temperature": 0.9}})
            try:
                message = await link.receive_json(timeout=30)
            except (TypeError, ValueError, TimeoutError):  # the link has been closed
                tally.lost += 1
                return
            now = time.monotonic()
            if message["type"] == "begun":
                zero = now + DELAY_S
            for event in message.get("events", ()):
                tally.events += 1
                late_s = now - (zero + event[0])
                if message["run"] == run and late_s > 0:
                    tally.late += 1
                    tally.worst_s = max(tally.worst_s, late_s)
                    zero = now + DELAY_S - event[0]


async def flood(client: aiohttp.ClientSession, url: str, end: float) -> None:
    """Send what is no message, huge pieces and odd files, as fast as they are taken."""
    piece = [[n / 10, 144 - 16 * (n % 2), 60, 64] for n in range(100_000)]
    huge = json.dumps({**BEGIN, "events": piece})
    chaos = random.Random(0)  # noqa: S311
    odd = b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\x0f\xff\xff" + b"\0\xf4" * (0x0FFFFF // 2) + b"\0"
    while time.monotonic() < end:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            async with client.ws_connect(f"{url}/play", origin=url, max_msg_size=0) as link:
                drain = asyncio.create_task(_drained(link))
                try:
                    while time.monotonic() < end:
                        kind = chaos.randrange(6)
                        if kind == 0:
                            await link.send_str(huge)
                        elif kind == 1:
                            await link.send_bytes(odd)
                        elif kind == 2:
                            await link.send_str("[" * 100_000)
                        elif kind == 3:
                            await link.send_str(json.dumps({**BEGIN, "time_s": 10**400}))
                        else:
                            for _ in range(1000):
                                await link.send_str('{"type":"hear","pitch":60,"velocity":1}')
                finally:
                    drain.cancel()


async def _drained(link: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in link:
        pass


async def deaf(url: str, end: float) -> None:
    """Begin, and take nothing of what comes; come again when dropped."""
    host, port = url.removeprefix("http://").split(":")
    begin = json.dumps(BEGIN).encode()
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, int(port), limit=1)
            writer.write(
                f"GET /play HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {url}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            writer.write(bytes((0x81, 0x80 | len(begin), 0, 0, 0, 0)) + begin)
            until = min(end, time.monotonic() + 300)
            while time.monotonic() < until and not writer.transport.is_closing():
                writer.write(bytes((0x8A, 0x80, 0, 0, 0, 0)))  # an empty pong, as a sign of life
                await asyncio.sleep(1)
            writer.transport.abort()
            del reader


async def restless(client: aiohttp.ClientSession, url: str, end: float) -> None:
    """Open sockets that ask for nothing, come and go, and load other models."""
    host, port = url.removeprefix("http://").split(":")
    while time.monotonic() < end:
        with contextlib.suppress(OSError, aiohttp.ClientError, TypeError, ValueError):
            held = []
            for begin in (b"", b"GET / HTTP/1.1\r\nHost: 127") * 30:
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(begin)
                held.append(writer)
            async with client.ws_connect(f"{url}/play", origin=url) as link:
                for name in (await link.receive_json(timeout=60))["models"]:
                    await link.send_json({"type": "choose_model", "name": name})
                    await link.send_json(BEGIN)
            async with client.get(f"{url}/soundfont") as answer:
                await answer.content.read(1000)
            await asyncio.sleep(5)
            for writer in held:
                writer.transport.abort()
        await asyncio.sleep(1)


def memory_mb(process: int) -> float:
    """Return the memory that a process holds (Linux)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise ValueError("no VmRSS")


async def misbehave(url: str, minutes: float) -> None:
    """Do what the three do."""
    end = time.monotonic() + 60 * minutes
    async with aiohttp.ClientSession() as client:
        await asyncio.gather(flood(client, url, end), deaf(url, end), restless(client, url, end))


async def soak(url: str, process: int, minutes: float) -> dict[str, Any]:
    """Return what was counted."""
    tally, end = Tally(), time.monotonic() + 60 * minutes
    memory: list[float] = []

    async def watch() -> None:
        while time.monotonic() < end:
            await asyncio.sleep(min(5.0, 3 * minutes))
            memory.append(memory_mb(process))

    async with aiohttp.ClientSession() as client:
        await asyncio.gather(
            watch(),
            *(listen(client, url, end, tally) for _ in range(LISTENERS)),
        )
    tenth = max(1, len(memory) // 10)
    return {
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "minutes": minutes,
        "events": tally.events,
        "late": tally.late,
        "latest_s": round(tally.worst_s, 3),
        "dropped": tally.lost,
        "memory_mb_after_a_tenth": round(max(memory[: 2 * tenth]), 1),
        "memory_mb_at_the_end": round(max(memory[-tenth:]), 1),
    }


def main() -> int:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--misbehave", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.misbehave:
        asyncio.run(misbehave(arguments.misbehave, arguments.minutes))
        return 0
    command = [sys.executable, "-m", "espressivo", "serve", "--no-browser", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().split()[0].rstrip("/")
        # In a process of their own, so that what they do keeps no listener waiting by itself.
        three = [sys.executable, __file__, "--minutes", str(arguments.minutes), "--misbehave", url]
        with subprocess.Popen(three) as misbehaving:
            try:
                result = asyncio.run(soak(url, server.pid, arguments.minutes))
            finally:
                misbehaving.kill()
    finally:
        server.terminate()
        server.wait()
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:24} {value}")
    grown = result["memory_mb_at_the_end"] > TAKEN_MORE * result["memory_mb_after_a_tenth"]
    return 1 if result["late"] or result["dropped"] or grown else 0


if __name__ == "__main__":
    sys.exit(main())
