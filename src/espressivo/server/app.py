"""App: the page and its WebSocket over HTTP, for browsers on this machine or with a token.

Nobody who listens can disturb another. Each listener has a thread of their own, and an allowance of
the work that their messages make; who takes nothing, sends nothing or holds too many connections is
dropped.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.resources
import ipaddress
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, web

from espressivo.errors import EspressivoError
from espressivo.server.conversation import accepted, converse
from espressivo.server.counts import METRICS_TYPE, metrics
from espressivo.server.heard import Recordings
from espressivo.server.listening import known, loopback
from espressivo.server.messages import MAX_BYTES
from espressivo.server.notated import drawn
from espressivo.server.scores import Scores
from espressivo.server.session import Models
from espressivo.server.workers import Workers
from espressivo.version import __version__

__all__ = ["MAX_LISTENERS", "make"]

MAX_LISTENERS = 8
"""So many can play at once with each worker, unless another number is given."""

_WAITING = 8  # scores that wait to be performed, or are; and takes to be drawn
_TITLE = 200  # letters of a take's name that stand above its notes
_COOKIE = "espressivo"
_FORWARDED = "X-Forwarded-For"
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
    listeners: int | None = None,
    per_address: int | None = None,
    token: str | None = None,
    behind: str | None = None,
    workers: int = 1,
) -> web.Application:
    """Return the server, ready to be run.

    It serves the files of the page, the soundfont, the WebSocket ``/play``, ``/notation``, to which
    takes are posted that are drawn as notes, ``/transcribe``, to which recordings are posted that
    become music, the page of scores under ``/score/``, which posts to
    ``/score/perform``, and for those who look after it ``/healthz`` and ``/metrics``; and nothing
    else. A request must name the server by an IP address, as ``localhost`` or as `host`, and a
    WebSocket or a post must come from the page itself, so that no other site that a browser visits
    can reach the server. A request from another machine must bring the token: ``/?token=...`` gives
    it once, and a cookie from then on. ``/healthz`` is answered to everybody, and ``/metrics`` to
    nobody for whom a proxy asks.

    Parameters
    ----------
    models : Models
    soundfont : path, optional
        An SF2 or SF3 file; by default the bundled piano.
    host : str
        A name that the server also answers to.
    listeners : int, optional
        How many can play at once, at least 1; by default `MAX_LISTENERS` for each worker.
    per_address : int, optional
        How many of these from one address, at least 1; by default all. A proxy says in
        ``X-Forwarded-For`` for whom it asks.
    token : str, optional
        What other machines must know; without one only this machine is answered.
    behind : str, optional
        Where a proxy answers for this server, such as ``https://piano.example.org``, without a
        path. It then decides who may come: there is no need of a token.
    workers : int
        Processes that play, at least 1; with 1, this one.
    """
    folder = _package() / "server" / "web"
    files = {f"/{path.name}": path for path in folder.iterdir() if path.suffix in _TYPES}
    files["/"] = files.pop("/index.html")
    files |= {f"/score/{path.name}": path for path in (folder / "score").iterdir()}
    files["/score/"] = files.pop("/score/index.html")
    files["/soundfont"] = soundfont or _package() / "sounds" / "piano.sf3"
    public = urlsplit(behind or "")
    names = {"localhost", host.lower(), public.hostname or ""} - {""}
    room = listeners or MAX_LISTENERS * workers
    playing: dict[web.WebSocketResponse, str] = {}  # and the addresses from which they came
    refused = Counter[str]()
    several = Workers(workers, models.names, models.styles) if workers > 1 else None
    scores, performing = Scores(), ThreadPoolExecutor(1, thread_name_prefix="scores")
    waiting, recordings = asyncio.Semaphore(_WAITING), Recordings()
    drawing, takes = asyncio.Semaphore(1), asyncio.Semaphore(_WAITING)

    def of_page(request: web.Request) -> bool:
        return request.headers.get("Origin") in {f"http://{request.host}", behind} - {None}

    def origin(request: web.Request) -> str:
        given = request.headers.get(_FORWARDED, "") if behind else ""
        return given.rpartition(",")[2].strip() or request.remote or ""

    @web.middleware
    async def checked(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path not in ("/healthz", "/metrics") and not _named(request.host, names):
            raise web.HTTPForbidden(text=f"open http://localhost instead of {request.host[:80]!r}")
        if token is not None and known(token, request.query.get("token")):
            answer = web.HTTPFound("/")  # so that the token stands in no list of visited pages
            answer.set_cookie(_COOKIE, token, httponly=True, samesite="Lax")
            raise answer
        own = loopback(request.remote) or known(token, request.cookies.get(_COOKIE))
        if not (own or behind or request.path == "/healthz"):
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
        if not of_page(request):
            raise web.HTTPForbidden(text="only the page itself may play")
        link, address = await accepted(request), origin(request)
        busy = ""
        if len(playing) >= room:
            busy = f"{room} are playing, and no more can: close another page"
        elif per_address and list(playing.values()).count(address) >= per_address:
            busy = f"{per_address} are playing from your address, and no more can: close one"
        if busy:
            refused["listeners"] += 1
            await link.send_str(json.dumps({"type": "error", "run": None, "message": busy}))
            await link.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many listeners")
            return link
        playing[link] = address
        try:
            if several is None:
                await converse(request, link, models)
            else:
                await several.converse(request, link)
        finally:
            del playing[link]
        return link

    async def perform(request: web.Request) -> web.StreamResponse:
        if not of_page(request):
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
        if not of_page(request):
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

    async def transcribe(request: web.Request) -> web.StreamResponse:
        if not of_page(request):
            raise web.HTTPForbidden(text="only the page itself may have recordings transcribed")
        return await recordings.answer(request, origin(request), _HEADERS)

    async def health(_: web.Request) -> web.StreamResponse:
        ready = several is None or several.ready
        about = {"ready": ready, "version": __version__, "listeners": len(playing), "room": room}
        return web.json_response(about, status=200 if ready else 503)

    async def measured(request: web.Request) -> web.StreamResponse:
        if _FORWARDED in request.headers:
            raise web.HTTPForbidden(text="ask the server itself, not by way of a proxy")
        if several is None:
            each, counted = {"1": len(playing)}, {"1": models.counts.numbers()}
        else:
            each, counted = several.playing, await several.counts()
        body = metrics(each, refused["listeners"], counted)
        return web.Response(body=body, headers={"Content-Type": METRICS_TYPE})

    async def working(_: web.Application) -> AsyncIterator[None]:
        if several is None:
            yield
            return
        async with several:
            yield

    async def farewell(_: web.Application) -> None:
        ends = functools.partial(
            web.WebSocketResponse.close, code=WSCloseCode.GOING_AWAY, message=b"the server ends"
        )
        await asyncio.gather(*map(ends, list(playing)), return_exceptions=True)
        performing.shutdown(wait=False, cancel_futures=True)

    app = web.Application(middlewares=[checked], client_max_size=MAX_BYTES)
    for path in files:
        app.router.add_get(path, file)
    app.router.add_get("/play", play)
    app.router.add_get("/healthz", health)
    app.router.add_get("/metrics", measured)
    app.router.add_post("/score/perform", perform)
    app.router.add_post("/notation", notation)
    app.router.add_post("/transcribe", transcribe)
    app.cleanup_ctx.append(working)
    app.on_shutdown.append(farewell)
    return app


def _named(host: str, names: set[str]) -> bool:
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
