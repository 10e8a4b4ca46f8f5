"""App: the page and its WebSocket over HTTP, for browsers on this machine or with a token.

Nobody who listens can disturb another. Each listener has a thread of their own, and an allowance of
the work that their messages make; who takes nothing, sends nothing or holds too many connections is
dropped.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ctypes
import functools
import hmac
import importlib.resources
import ipaddress
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from espressivo.errors import EspressivoError
from espressivo.server.allowance import Allowance, measured
from espressivo.server.messages import MAX_BYTES
from espressivo.server.notated import drawn
from espressivo.server.scores import Scores
from espressivo.server.session import Models, Session
from espressivo.version import __version__

__all__ = ["MAX_LISTENERS", "loopback", "make", "run", "serving"]

MAX_LISTENERS = 8
"""So many can play at once, unless another number is given."""

_PATIENCE_S = 60.0  # a listener that takes nothing for so long has gone
_TURN_S = 0.0005  # so long music waits at most, each time, for a thread that reads messages
_FAREWELL_S = 1.0  # so long an answer is waited for when the server ends
_IDLE_S = 20.0  # and a connection on which nothing has been asked for so long
_WAITING = 8  # scores that wait to be performed, or are; and takes to be drawn
_TITLE = 200  # letters of a take's name that stand above its notes
_CONNECTIONS = 256  # most at once: a browser opens about six for a page
_COOKIE = "espressivo"
_M_ARENA_MAX = -8  # of malloc.h
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # kept, but revalidated, so that an update is seen
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make(
    models: Models,
    soundfont: Path | None = None,
    *,
    host: str = "",
    listeners: int = MAX_LISTENERS,
    token: str | None = None,
) -> web.Application:
    """Return the server, ready to be run.

    It serves the files of the page, the soundfont, the WebSocket ``/play``, ``/notation``, to which
    takes are posted that are drawn as notes, and the page of scores under ``/score/``, which posts
    to ``/score/perform``; and nothing else. A request must name
    the server by an IP address, as ``localhost`` or as `host`, and a WebSocket or a post must come
    from the page itself, so that no other site that a browser visits can reach the server. A
    request from another machine must bring the token: ``/?token=...`` gives it once, and a cookie
    from then on.

    Parameters
    ----------
    models : Models
    soundfont : path, optional
        An SF2 or SF3 file; by default the bundled piano.
    host : str
        A name that the server also answers to.
    listeners : int
        How many can play at once, at least 1.
    token : str, optional
        What other machines must know; without one only this machine is answered.
    """
    folder = _package() / "server" / "web"
    files = {f"/{path.name}": path for path in folder.iterdir() if path.suffix in _TYPES}
    files["/"] = files.pop("/index.html")
    files |= {f"/score/{path.name}": path for path in (folder / "score").iterdir()}
    files["/score/"] = files.pop("/score/index.html")
    files["/soundfont"] = soundfont or _package() / "sounds" / "piano.sf3"
    names = {"localhost", host.lower()} - {""}
    playing: set[web.WebSocketResponse] = set()
    scores, performing = Scores(), ThreadPoolExecutor(1, thread_name_prefix="scores")
    waiting = asyncio.Semaphore(_WAITING)
    drawing, takes = asyncio.Semaphore(1), asyncio.Semaphore(_WAITING)

    @web.middleware
    async def checked(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not _known(request.host, names):
            raise web.HTTPForbidden(text=f"open http://localhost instead of {request.host[:80]!r}")
        if token is not None and _is(token, request.query.get("token")):
            answer = web.HTTPFound("/")  # so that the token stands in no list of visited pages
            answer.set_cookie(_COOKIE, token, httponly=True, samesite="Lax")
            raise answer
        if not (loopback(request.remote) or _is(token, request.cookies.get(_COOKIE))):
            raise web.HTTPForbidden(
                text="open the address with the token that espressivo serve has printed"
            )
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def file(request: web.Request) -> web.StreamResponse:
        path = files[request.path]
        kind = _TYPES.get(path.suffix, "application/octet-stream")
        return web.FileResponse(path, headers={"Content-Type": kind})

    async def play(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden(text="only the page itself may play")
        link = web.WebSocketResponse(
            max_msg_size=MAX_BYTES, heartbeat=_PATIENCE_S, timeout=_FAREWELL_S
        )
        await link.prepare(request)
        if len(playing) >= listeners:
            busy = f"{listeners} are playing, and no more can: close another page"
            await link.send_str(json.dumps({"type": "error", "run": None, "message": busy}))
            await link.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many listeners")
            return link
        playing.add(link)
        try:
            await _converse(request, link, models)
        finally:
            playing.remove(link)
        return link

    async def perform(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden(text="only the page itself may perform")
        if waiting.locked():
            raise web.HTTPServiceUnavailable(text="too many scores are being performed: wait")
        async with waiting:
            data = await request.read()
            asked = (request.query.get(name, "") for name in ("name", "dials", "form"))
            name, dials, form = asked
            work = functools.partial(scores.answer, name, data, dials, form)
            if form == "take":  # which follows the score
                length = request.query.get("length", "")
                end = int(length) if length.isdecimal() and len(length) < 9 else 0
                work = functools.partial(scores.taken, name, data[:end], data[end:])
            try:
                answer = await asyncio.get_running_loop().run_in_executor(performing, work)
            except EspressivoError as error:
                raise web.HTTPBadRequest(text=str(error)) from None
        kind = "application/json" if form in ("music", "take") else "audio/midi"
        return web.Response(body=answer, content_type=kind)

    async def notation(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden(text="only the page itself may have takes written down")
        if takes.locked():
            raise web.HTTPServiceUnavailable(text="too many takes are being written down: wait")
        async with takes:
            take = await request.read()
            try:
                async with drawing:
                    answer = await drawn(take, request.query.get("title", "")[:_TITLE])
            except EspressivoError as error:
                raise web.HTTPBadRequest(text=str(error)) from None
        return web.Response(body=answer, content_type="application/json")

    async def farewell(_: web.Application) -> None:
        ends = functools.partial(
            web.WebSocketResponse.close, code=WSCloseCode.GOING_AWAY, message=b"the server ends"
        )
        await asyncio.gather(*map(ends, playing), return_exceptions=True)
        performing.shutdown(wait=False, cancel_futures=True)

    app = web.Application(middlewares=[checked], client_max_size=MAX_BYTES)
    for path in files:
        app.router.add_get(path, file)
    app.router.add_get("/play", play)
    app.router.add_post("/score/perform", perform)
    app.router.add_post("/notation", notation)
    app.on_shutdown.append(farewell)
    return app


def run(app: web.Application, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; `ready` is given the address once it answers.

    Raises
    ------
    OSError
        If it cannot listen there.
    """

    async def forever() -> None:
        async with serving(app, host, port) as address:
            ready(address)
            await asyncio.Event().wait()

    _share_heaps()
    sys.setswitchinterval(_TURN_S)
    asyncio.run(forever())


@contextlib.asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve, and give the address under which the server can be reached."""
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=1.0,
        keepalive_timeout=_IDLE_S,
        handler_cancellation=True,  # of whatever is done or waited for, once its listener has gone
    )
    await runner.setup()
    requests: Any = runner.server

    def connected() -> asyncio.BaseProtocol:
        return requests() if len(requests.connections) < _CONNECTIONS else _Refusal()

    try:
        listening = await asyncio.get_running_loop().create_server(connected, host, port)
        try:
            name, number = listening.sockets[0].getsockname()[:2]
            name = _reached_at(name)
            yield f"http://[{name}]:{number}/" if ":" in name else f"http://{name}:{number}/"
        finally:
            listening.close()
    finally:
        await runner.cleanup()


def _share_heaps() -> None:
    """Let all threads take their memory from the same two heaps, with glibc.

    Else it gives threads up to eight heaps for each core, and what a listener's thread has freed
    in one is of no use to the others.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


class _Refusal(asyncio.Protocol):
    """What becomes of a connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def _converse(request: web.Request, link: web.WebSocketResponse, models: Models) -> None:
    """Hand messages to a session one after another until the listener goes."""
    loop = asyncio.get_running_loop()
    own = ThreadPoolExecutor(1, thread_name_prefix="listener")  # nobody waits for another's work
    session: Session | None = None
    try:
        session = await loop.run_in_executor(own, Session, models, _sender(request, link, loop))
        await loop.run_in_executor(own, session.greet, __version__)
        allowance = Allowance(loop.time)
        async for message in link:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                work = functools.partial(session.handle, message.data)
                work_s = await loop.run_in_executor(own, measured, work)
                await asyncio.sleep(allowance.spend(work_s))
    except ConnectionError:
        pass
    finally:
        if session is not None:
            session.close()
            own.submit(session.wait)
        own.shutdown(wait=False)


def _sender(
    request: web.Request, link: web.WebSocketResponse, loop: asyncio.AbstractEventLoop
) -> Callable[[str], None]:
    """Return a function that sends from any other thread, and waits while the listener is slow.

    Who takes nothing for a minute is disconnected.
    """

    def drop() -> None:
        if request.transport is not None:
            request.transport.abort()

    def send(message: str) -> None:
        coroutine = link.send_str(message)
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the server has been stopped
            coroutine.close()
            raise ConnectionError from None
        try:
            _waited(future, loop)
        except ConnectionError:
            coroutine.close()
            raise
        except TimeoutError:
            future.cancel()
            with contextlib.suppress(RuntimeError):  # the server has been stopped
                loop.call_soon_threadsafe(drop)
            raise ConnectionError from None
        except (concurrent.futures.CancelledError, RuntimeError):
            raise ConnectionError from None

    return send


def _waited(future: concurrent.futures.Future[None], loop: asyncio.AbstractEventLoop) -> None:
    """Wait until something is sent; what a loop has not begun when it ends never is."""
    patience_s = _PATIENCE_S
    while True:
        try:
            return future.result(min(1.0, patience_s))
        except TimeoutError:
            patience_s -= 1.0
            if patience_s <= 0:
                raise
            if loop.is_closed():
                raise ConnectionError from None


def _is(token: str | None, given: str | None) -> bool:
    """Compare a token with what is given for it, in a time that tells nothing of it."""
    if token is None or given is None:
        return False
    return hmac.compare_digest(token.encode(), given.encode("utf-8", "replace"))


def loopback(address: str | None) -> bool:
    """Tell whether an IP address is of this machine itself."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def _reached_at(address: str) -> str:
    """Return the address at which others reach a server that listens on all of them."""
    if not ipaddress.ip_address(address).is_unspecified:
        return address
    kind, other = (
        (socket.AF_INET6, "2001:db8::1") if ":" in address else (socket.AF_INET, "192.0.2.1")
    )
    with contextlib.suppress(OSError), socket.socket(kind, socket.SOCK_DGRAM) as way:
        way.connect((other, 9))  # which chooses an interface, and sends nothing
        return str(way.getsockname()[0])
    return "::1" if ":" in address else "127.0.0.1"


def _known(host: str, names: set[str]) -> bool:
    """Tell whether a request for this host can only be meant for this server.

    A name of another site may be made to point here (DNS rebinding); an address cannot.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name in names:
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _package() -> Path:
    return Path(str(importlib.resources.files("espressivo")))
