"""App: the page and its WebSocket over HTTP, for browsers on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import ipaddress
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from espressivo.server.messages import MAX_BYTES
from espressivo.server.session import Models, Session
from espressivo.version import __version__

__all__ = ["MAX_LISTENERS", "make", "run"]

MAX_LISTENERS = 8
"""So many can play at once, unless another number is given."""

_PATIENCE_S = 60.0  # a listener that takes nothing for so long has gone
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
    models: Models, soundfont: Path | None = None, *, host: str = "", listeners: int = MAX_LISTENERS
) -> web.Application:
    """Return the server, ready to be run.

    It serves the files of the page, the soundfont and the WebSocket ``/play``, and nothing else.
    A request must name the server by an IP address, as ``localhost`` or as `host`, and a WebSocket
    must be opened by the page itself, so that no other site that a browser visits can reach the
    server.

    Parameters
    ----------
    models : Models
    soundfont : path, optional
        An SF2 or SF3 file; by default the bundled piano.
    host : str
        A name that the server also answers to.
    listeners : int
        How many can play at once, at least 1.
    """
    folder = _package() / "server" / "web"
    files = {f"/{path.name}": path for path in folder.iterdir() if path.suffix in _TYPES}
    files["/"] = files.pop("/index.html")
    files["/soundfont"] = soundfont or _package() / "sounds" / "piano.sf3"
    names = {"localhost", host.lower()} - {""}
    playing: dict[Session, web.WebSocketResponse] = {}

    @web.middleware
    async def checked_host(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not _known(request.host, names):
            raise web.HTTPForbidden(text=f"open http://localhost instead of {request.host[:80]!r}")
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
        socket = web.WebSocketResponse(max_msg_size=MAX_BYTES, heartbeat=_PATIENCE_S)
        await socket.prepare(request)
        if len(playing) >= listeners:
            busy = f"{listeners} are playing, and no more can: close another page"
            await socket.send_str(json.dumps({"type": "error", "run": None, "message": busy}))
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many listeners")
            return socket
        session = Session(models, _sender(socket, asyncio.get_running_loop()))
        playing[session] = socket
        try:
            await _converse(socket, session)
        finally:
            del playing[session]
            session.close()
        return socket

    async def farewell(_: web.Application) -> None:
        for session, socket in list(playing.items()):
            session.close()
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends")

    app = web.Application(middlewares=[checked_host])
    for path in files:
        app.router.add_get(path, file)
    app.router.add_get("/play", play)
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
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            address = runner.addresses[0]
            name = f"[{address[0]}]" if ":" in address[0] else address[0]
            ready(f"http://{name}:{address[1]}/")
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    asyncio.run(forever())


async def _converse(socket: web.WebSocketResponse, session: Session) -> None:
    """Hand messages to a session one after another until the listener goes."""
    with contextlib.suppress(ConnectionError):
        await asyncio.to_thread(session.greet, __version__)
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await asyncio.to_thread(session.handle, message.data)


def _sender(
    socket: web.WebSocketResponse, loop: asyncio.AbstractEventLoop
) -> Callable[[str | bytes], None]:
    """Return a function that sends from any other thread, and waits while the listener is slow."""

    async def put(message: str | bytes) -> None:
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_str(message)

    def send(message: str | bytes) -> None:
        coroutine = put(message)
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the server has been stopped
            coroutine.close()
            raise ConnectionError from None
        try:
            future.result(_PATIENCE_S)
        except (TimeoutError, asyncio.CancelledError, RuntimeError):
            future.cancel()
            raise ConnectionError from None

    return send


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
