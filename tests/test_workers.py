"""Several processes play, and whoever looks after the server learns how it does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing import Pipe, active_children
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import ClientSession, WSCloseCode, WSMessage, WSMsgType
from click.testing import CliRunner

from espressivo.cli import cli, serve
from espressivo.codes import vocabulary
from espressivo.errors import ServerError
from espressivo.play.model import Model
from espressivo.server import app, listening, session, workers
from espressivo.server.session import Models
from known import Clock, Mock

BEGIN = {"type": "begin", "run": 1, "time_s": 0, "events": [], "settings": {}, "seed": 3}
SITE = "https://piano.example.org"


class Swift(Model):
    """A model whose streams play as fast as they are taken."""

    def stream(self, **arguments):
        clock = Clock()
        return super().stream(clock=clock, sleep=clock.sleep, **arguments)


@asynccontextmanager
async def server(names=("seed",), **options):
    async with (
        listening.serving(app.make(Models(names), **options), "127.0.0.1", 0) as address,
        ClientSession() as client,
    ):
        yield client, address.rstrip("/")


async def begun(socket, seed=3):
    """Begin to play; the first events."""
    await socket.send_json({**BEGIN, "seed": seed})
    while (message := await socket.receive_json(timeout=60))["type"] != "events":
        pass
    return message["events"]


async def counted(client, url):
    """What /metrics says, by the whole name of each number."""
    async with client.get(url + "/metrics") as answer:
        assert answer.status == 200 and answer.content_type == "text/plain"
        lines = (await answer.text()).splitlines()
    return {name: float(value) for name, value in (x.split() for x in lines if x[0] != "#")}


async def until(client, url, **least):
    """What /metrics says once all workers have counted so many: they count what they have sent."""
    async with asyncio.timeout(30):
        while True:
            numbers = await counted(client, url)
            if all(
                value >= least[kind]
                for name, value in numbers.items()
                for kind in least
                if name.startswith(f"espressivo_{kind}_total")
            ):
                return numbers
            await asyncio.sleep(0.05)


def test_listeners_are_dealt_to_processes_which_may_die(monkeypatch):
    monkeypatch.setattr(workers, "_AGAIN_S", 0.0)

    async def visit():
        async with server(workers=2) as (client, url), AsyncExitStack() as several:

            async def connect():
                return await several.enter_async_context(
                    client.ws_connect(url + "/play", origin=url)
                )

            one, other = await connect(), await connect()
            # A seed brings the same music whoever plays it.
            assert await begun(one) == await begun(other)
            numbers = await until(client, url, runs=1, events=1)
            for worker in "12":
                assert numbers[f'espressivo_listeners{{worker="{worker}"}}'] == 1
                assert numbers[f'espressivo_runs_total{{worker="{worker}"}}'] == 1
            os.kill(active_children()[0].pid, signal.SIGTERM)
            done, _ = await asyncio.wait(
                [asyncio.ensure_future(closed(socket)) for socket in (one, other)],
                return_when=asyncio.FIRST_COMPLETED,
            )
            (lost,) = (task.result() for task in done)
            kept = other if lost is one else one
            assert lost.close_code == WSCloseCode.SERVICE_RESTART
            assert await begun(await connect()) and not kept.closed
            while (await health(client, url))[0] != 200:
                await asyncio.sleep(0.1)
            assert (await counted(client, url))['espressivo_runs_total{worker="1"}'] <= 2
        assert not active_children()

    asyncio.run(visit())


async def closed(socket):
    """Take what comes until the other side closes the socket."""
    async for _ in socket:
        pass
    return socket


async def health(client, url):
    async with client.get(url + "/healthz") as answer:
        return answer.status, await answer.json()


def test_workers_that_do_not_start_are_one_error(monkeypatch):
    class Dying(workers.Workers):
        def _started(self):
            mine, theirs = Pipe(duplex=False)
            theirs.close()
            return SimpleNamespace(join=lambda: None, terminate=lambda: None), mine

    monkeypatch.setattr(app, "Workers", Dying)

    async def visit():
        async with server(workers=2):
            pass

    with pytest.raises(ServerError, match="a worker does not start"):
        asyncio.run(visit())


def test_a_worker_answers_its_server_only():
    async def visit():
        made = workers._application(Models(["seed"]), "secret")
        async with listening.serving(made, "127.0.0.1", 0) as url, ClientSession() as client:
            for path in ("play", "counts"):
                for headers in ({}, {"X-Espressivo-Worker": "other"}):
                    async with client.get(url + path, headers=headers) as answer:
                        assert answer.status == 403

    asyncio.run(visit())


def test_a_listener_who_takes_nothing_is_given_up_by_the_server_between():
    class Source:
        def __aiter__(self):
            return self

        async def __anext__(self):
            return WSMessage(WSMsgType.TEXT, "music", "")

    class Deaf:
        async def send_str(self, _):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(workers._pass_on(Source(), Deaf(), 0.01))


# ---- For those who look after it


@pytest.fixture
def swift(monkeypatch):
    monkeypatch.setattr(session, "load", lambda name, styles: Swift(Mock(vocabulary("seed"))))


def test_health_is_told_to_everybody_and_metrics_to_no_proxy(swift, monkeypatch):
    async def visit():
        async with server() as (client, url):
            async with client.ws_connect(url + "/play", origin=url) as socket:
                await begun(socket)
                assert (await counted(client, url))['espressivo_listeners{worker="1"}'] == 1
            monkeypatch.setattr(app, "loopback", lambda address: False)
            about = {"ready": True, "version": app.__version__, "room": 8}
            elsewhere = {"Host": "espressivo:8321"}
            async with client.get(url + "/healthz", headers=elsewhere) as answer:
                assert answer.status == 200 and about.items() <= (await answer.json()).items()
            async with client.get(url + "/metrics") as answer:
                assert answer.status == 403
        async with server(behind=SITE) as (client, url):
            async with client.get(url + "/metrics", headers=elsewhere) as answer:
                assert answer.status == 200
            forwarded = {"X-Forwarded-For": "192.0.2.1"}
            async with client.get(url + "/metrics", headers=forwarded) as answer:
                assert answer.status == 403

    asyncio.run(visit())


def test_gaps_and_failures_are_counted(swift, monkeypatch):
    monkeypatch.setattr(session, "_DELAY_S", -1e9)  # all music comes too late
    monkeypatch.setattr(Model, "fill", lambda *_, **__: 1 / 0)

    async def visit():
        async with (
            server() as (client, url),
            client.ws_connect(url + "/play", origin=url) as socket,
        ):
            await begun(socket)
            fill = {"type": "fill", "run": 2, "from_s": 0.5, "to_s": 2, "keep": None, "amount": 1}
            piece = [[0.0, 144, 60, 80], [3.0, 128, 60, 0]]
            await socket.send_json({**fill, "events": piece, "settings": {}, "seed": 1})
            while (message := await socket.receive_json(timeout=30))["type"] != "unfilled":
                assert message["type"] == "events"
            numbers = await until(client, url, gaps=1, failures=1)
            assert numbers['espressivo_failures_total{worker="1"}'] == 1

    asyncio.run(visit())


def test_behind_a_proxy_its_site_is_answered_and_no_other(swift, monkeypatch):
    monkeypatch.setattr(app, "loopback", lambda address: False)
    here = {"Host": "piano.example.org"}

    async def visit():
        async with server(behind=SITE) as (client, url):
            for host, status in (("piano.example.org", 200), ("evil.example", 403)):
                async with client.get(url + "/", headers={"Host": host}) as answer:
                    assert answer.status == status
            async with client.ws_connect(url + "/play", origin=SITE, headers=here) as socket:
                assert (await socket.receive_json())["type"] == "hello"
            for wrong in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
                async with client.get(url + "/play", headers={**here, **wrong}) as answer:
                    assert answer.status == 403

    asyncio.run(visit())


def test_one_address_may_have_a_share_of_the_listeners_only(swift):
    async def visit():
        async with (
            server(behind=SITE, per_address=1, listeners=3) as (client, url),
            AsyncExitStack() as several,
        ):

            async def greeted(whom):
                connection = client.ws_connect(
                    url + "/play", origin=SITE, headers={"X-Forwarded-For": whom}
                )
                socket = await several.enter_async_context(connection)
                return (await socket.receive_json())["type"]

            # What a listener says by themselves stands before what the proxy says.
            whom = ["192.0.2.1", "192.0.2.2", "192.0.2.9, 192.0.2.2", "192.0.2.3", "192.0.2.4"]
            told = [await greeted(address) for address in whom]
            assert told == ["hello", "hello", "error", "hello", "error"]
            assert (await counted(client, url))["espressivo_refused_total"] == 2

    asyncio.run(visit())


@pytest.mark.parametrize(
    "wrong",
    [
        "piano",
        "piano.example.org",
        "ftp://a.b",
        "https://",
        "https://a.b/c",
        "https://u@a.b",
        "//[",
    ],
)
def test_a_proxys_address_has_no_path(wrong):
    done = CliRunner().invoke(cli, ["serve", "--behind", wrong])
    assert done.exit_code == 2 and "is no address like https://piano.example.org" in done.output


def test_the_containers_start_what_there_is():
    folder = Path(__file__).parents[1] / "examples" / "serving"
    lists = [
        json.loads(found)
        for name, line in (("Containerfile", "ENTRYPOINT "), ("compose.yaml", "    command: "))
        for found in re.findall(f"^{line}(.*)$", (folder / name).read_text(), re.MULTILINE)
    ]
    assert [words[:2] for words in lists] == [["espressivo", "serve"], ["--workers", "2"]]
    words = " ".join(lists[0][2:] + lists[1])
    options = words.replace("${SITE:-localhost}", "localhost").split()
    context = serve.COMMANDS[0].make_context("serve", options)
    assert context.params["behind"] == "https://localhost" and context.params["workers"] == 2
