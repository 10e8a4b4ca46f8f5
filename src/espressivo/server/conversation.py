"""Conversation: what one listener and their session say to each other, over a WebSocket."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import WSMsgType, web

from espressivo.server.allowance import Allowance, measured
from espressivo.server.messages import MAX_BYTES
from espressivo.server.session import Models, Session
from espressivo.version import __version__

__all__ = ["PATIENCE_S", "accepted", "converse"]

PATIENCE_S = 60.0
"""A listener that takes nothing for so long has gone."""

_FAREWELL_S = 1.0  # so long an answer is waited for when the server ends


async def accepted(request: web.Request) -> web.WebSocketResponse:
    """Return the WebSocket of a request, open."""
    link = web.WebSocketResponse(max_msg_size=MAX_BYTES, heartbeat=PATIENCE_S, timeout=_FAREWELL_S)
    await link.prepare(request)
    return link


async def converse(request: web.Request, link: web.WebSocketResponse, models: Models) -> None:
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
    patience_s = PATIENCE_S
    while True:
        try:
            return future.result(min(1.0, patience_s))
        except TimeoutError:
            patience_s -= 1.0
            if patience_s <= 0:
                raise
            if loop.is_closed():
                raise ConnectionError from None
