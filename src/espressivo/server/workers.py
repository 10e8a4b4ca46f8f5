"""Workers: processes that play, among which the server deals its listeners.

Python computes in one process on little more than one core. So the server, which listeners reach,
plays for nobody itself then: it passes on what a listener and a worker say. A listener stays with
one worker for as long as their WebSocket lasts, and comes to the one with the fewest. When a worker
dies, its listeners are disconnected, come back by themselves to another, and send what was played;
a new worker takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import secrets
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSCloseCode,
    WSMsgType,
    web,
)

from espressivo.data import follow_parent
from espressivo.errors import ServerError
from espressivo.server.conversation import PATIENCE_S, accepted, converse
from espressivo.server.listening import known, run
from espressivo.server.session import Models

__all__ = ["Workers"]

_SECRET = "X-Espressivo-Worker"  # noqa: S105 (the name of a header)
_AGAIN_S = 1.0  # from the death of a worker to the start of the next
_PATIENCE = ClientTimeout(total=5.0)
_FAREWELL = ClientWSTimeout(ws_close=1.0)
_Link = web.WebSocketResponse | ClientWebSocketResponse


class _Worker:
    """A worker's place: the process in it, if there is one now, and how many listeners it has."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.listeners = 0


class Workers:
    """Processes that play, which start on entering and end on leaving.

    Parameters
    ----------
    count : int
        How many, at least 1.
    names, styles : sequence of str
        As of `Models`.
    """

    def __init__(self, count: int, names: Sequence[str], styles: Sequence[str]) -> None:
        self._models = names, styles
        self._places = {str(number): _Worker() for number in range(1, count + 1)}
        self._secret = secrets.token_hex(16)
        self._keepers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Workers:
        self._client = ClientSession(headers={_SECRET: self._secret}, trust_env=False)
        first = [asyncio.Event() for _ in self._places]
        self._keepers = [
            asyncio.create_task(self._keep(worker, started))
            for worker, started in zip(self._places.values(), first, strict=True)
        ]
        try:
            await asyncio.gather(*(started.wait() for started in first))
            if not self.ready:
                raise ServerError("a worker does not start: see what it has printed above")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await self._client.close()

    @property
    def ready(self) -> bool:
        """Whether all of them can play."""
        return all(worker.address for worker in self._places.values())

    @property
    def playing(self) -> dict[str, int]:
        """Listeners of each worker, by its name."""
        return {name: worker.listeners for name, worker in self._places.items()}

    async def counts(self) -> dict[str, dict[str, float]]:
        """Return what each worker that answers has counted, by its name."""
        found = {}
        for name, worker in self._places.items():
            with contextlib.suppress(ClientError, TimeoutError):
                if worker.address:
                    url = f"{worker.address}counts"
                    async with self._client.get(url, timeout=_PATIENCE) as answer:
                        found[name] = await answer.json()
        return found

    async def converse(self, request: web.Request, link: web.WebSocketResponse) -> None:
        """Let a listener and a worker talk until one of them goes."""
        talked = False
        for worker in sorted(self._places.values(), key=lambda worker: worker.listeners):
            if worker.address and not talked:
                worker.listeners += 1
                try:
                    talked = await self._between(link, worker.address)
                except TimeoutError:  # the listener takes nothing
                    if request.transport is not None:
                        request.transport.abort()
                    return
                finally:
                    worker.listeners -= 1
        await link.close(code=WSCloseCode.SERVICE_RESTART, message=b"the worker has gone")

    async def _between(self, link: web.WebSocketResponse, address: str) -> bool:
        """Return False if the worker at an address could not be reached: it may just have died."""
        try:
            playing = await self._client.ws_connect(
                f"{address}play", max_msg_size=0, timeout=_FAREWELL
            )
        except (ClientError, ConnectionError):
            return False
        async with playing:
            with contextlib.suppress(ConnectionError, ClientError):
                await _first(_pass_on(link, playing), _pass_on(playing, link, PATIENCE_S))
        return True

    async def _keep(self, worker: _Worker, started: asyncio.Event) -> None:
        """Start a process again whenever it has ended, until this is cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="worker") as waiting:
            while True:
                process, end = self._started()
                try:
                    with contextlib.suppress(EOFError):  # it has died
                        worker.address = await loop.run_in_executor(waiting, end.recv)
                    started.set()
                    await loop.run_in_executor(waiting, process.join)
                finally:
                    worker.address = None
                    process.terminate()
                logging.getLogger(__name__).error("a worker died: another takes its place")
                await asyncio.sleep(_AGAIN_S)

    def _started(self) -> tuple[BaseProcess, Connection]:
        """Start a process; it sends its address once it can play."""
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe(duplex=False)
        arguments = (*self._models, self._secret, theirs)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return process, mine


async def _pass_on(source: _Link, sink: _Link, patience_s: float | None = None) -> None:
    """Pass on messages until either side closes; `TimeoutError` if one is not taken in time."""
    async for message in source:
        async with asyncio.timeout(patience_s):
            if message.type is WSMsgType.TEXT:
                await sink.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await sink.send_bytes(message.data)


async def _first(*ways: Coroutine[None, None, None]) -> None:
    """Do several things at once until one is done, and no more of the others."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _work(names: Sequence[str], styles: Sequence[str], secret: str, ready: Connection) -> None:
    """Play for those whom the server sends, in a process of its own, which ends with its parent."""
    follow_parent()
    models = Models(names, styles)
    models.get(models.names[0])
    run(_application(models, secret), "127.0.0.1", 0, ready.send)


def _application(models: Models, secret: str) -> web.Application:
    """Return what a worker answers, to nobody but the server."""

    async def play(request: web.Request) -> web.StreamResponse:
        _check(request, secret)
        link = await accepted(request)
        await converse(request, link, models)
        return link

    async def counts(request: web.Request) -> web.StreamResponse:
        _check(request, secret)
        return web.json_response(models.counts.numbers())

    app = web.Application()
    app.router.add_get("/play", play)
    app.router.add_get("/counts", counts)
    return app


def _check(request: web.Request, secret: str) -> None:
    if not known(secret, request.headers.get(_SECRET)):
        raise web.HTTPForbidden(text="open the page of espressivo serve")
