"""Listening: a server on an address, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import hmac
import ipaddress
import socket
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

__all__ = ["known", "loopback", "run", "serving"]

_TURN_S = 0.0005  # so long music waits at most, each time, for a thread that reads messages
_IDLE_S = 20.0  # so long a connection may ask for nothing
_CONNECTIONS = 256  # most at once: a browser opens about six for a page
_M_ARENA_MAX = -8  # of malloc.h


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


def known(token: str | None, given: str | None) -> bool:
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
