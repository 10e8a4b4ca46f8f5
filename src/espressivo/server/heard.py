"""Heard: a recording that a page sends becomes music, in a process of its own, one at a time.

Transcribing takes longer than the recording lasts. That process goes behind everything else and
ends with whoever waits for it, so nobody who listens hears anything of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import math
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from espressivo.errors import EspressivoError, ServerError
from espressivo.files import printable
from espressivo.progress import Silent
from espressivo.registry import RECORDINGS
from espressivo.server.messages import MAX_EVENTS, events

__all__ = ["LONGEST_S", "MOST_BYTES", "Recordings", "hears", "serve"]

LONGEST_S = 600.0
"""Longer recordings are for the command line."""

MOST_BYTES = 128 << 20
"""So large a file is taken: ten minutes that are not compressed."""

_PATIENCE_S = 1200.0  # for a process that says nothing: it loads the network, or is stuck
_UPLOAD_S = 300.0
_WORD_S = 20.0  # after which who waits for a turn is told so again, for proxies give up in silence
_WAITING = 8  # recordings that wait, or are heard
_OF_ONE = 2  # of these from one address
_NAME = 200  # letters of a file's name that errors begin with
_LINE = 16 << 20  # bytes, more than `MAX_EVENTS` need
_NEEDED = ("av", "torch", "transkun")


def hears() -> bool:
    """Tell whether the extra `transcribe` is there."""
    return all(importlib.util.find_spec(name) for name in _NEEDED)


class Recordings:
    """Hears recordings for pages, one after another."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._of = Counter[str]()

    async def answer(
        self, request: web.Request, address: str, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer a recording, the body of a post, with its music and how far that is.

        Parameters
        ----------
        request : Request
            Its query says the `name` of the file, of which the ending counts.
        address : str
            From which it comes.
        headers : mapping
            Of the answer.

        Returns
        -------
        StreamResponse
            Lines of JSON: ``{"waiting": true}`` while others have their turn, ``{"done": ...,
            "of": ...}`` in seconds, ``of`` being 0 if the file does not say how long it is, and
            last ``{"events": ...}``, or ``{"error": ...}`` with a line that says what is wrong.

        Raises
        ------
        HTTPException
            If it is not taken; the text says why.
        """
        name = printable(request.query.get("name", "")[:_NAME])
        self._check(name, request.content_length, address)
        self._of[address] += 1
        try:
            with tempfile.TemporaryDirectory(prefix="espressivo-") as folder:
                path = Path(folder) / f"sound{Path(name).suffix}"
                await _kept(request, path)
                kind = {"Content-Type": "application/x-ndjson", "X-Accel-Buffering": "no"}
                answer = web.StreamResponse(headers={**headers, **kind})
                await answer.prepare(request)
                async with contextlib.aclosing(self._lines(path, name)) as lines:
                    async for line in lines:
                        await answer.write(line)
                await answer.write_eof()
                return answer
        finally:
            self._of[address] -= 1

    def _check(self, name: str, size: int | None, address: str) -> None:
        if not hears():
            raise web.HTTPNotImplemented(
                text="recordings are not transcribed here: pip install 'espressivo[transcribe]'"
            )
        if Path(name).suffix.lower() not in RECORDINGS:
            few = ", ".join(RECORDINGS[:5])
            raise web.HTTPBadRequest(text=f"{name}: is no recording: give {few} or the like")
        if size is not None and size > MOST_BYTES:
            raise _too_large(size)
        if self._of[address] >= _OF_ONE:
            raise web.HTTPServiceUnavailable(text="your last recording is still heard: wait")
        if self._of.total() >= _WAITING:
            raise web.HTTPServiceUnavailable(text="too many recordings are waiting: try later")

    async def _lines(self, path: Path, name: str) -> AsyncGenerator[bytes, None]:
        """Yield what is answered, once it is this recording's turn."""
        while True:
            try:
                async with asyncio.timeout(_WORD_S):
                    await self._turn.acquire()
                break
            except TimeoutError:
                yield _line(waiting=True)
        try:
            async with contextlib.aclosing(_heard(path, name)) as lines:
                async for line in lines:
                    yield line
        except ServerError as error:
            yield _line(error=str(error))
        finally:
            self._turn.release()


async def _kept(request: web.Request, path: Path) -> None:
    """Write what is posted into a file, as it comes."""
    size = 0
    try:
        async with asyncio.timeout(_UPLOAD_S):
            with path.open("wb") as file:
                async for block in request.content.iter_chunked(1 << 18):
                    size += len(block)
                    if size > MOST_BYTES:
                        raise _too_large(size)
                    await asyncio.to_thread(file.write, block)
    except TimeoutError:
        raise web.HTTPRequestTimeout(
            text="the recording came too slowly: give a shorter one"
        ) from None
    except ConnectionError:
        raise
    except OSError as error:
        raise web.HTTPInsufficientStorage(
            text=f"the server has no room for the recording ({error.strerror}): try later"
        ) from None


def _too_large(size: int) -> web.HTTPException:
    text = f"this recording is too large: at most {MOST_BYTES >> 20} MB are taken"
    return web.HTTPRequestEntityTooLarge(MOST_BYTES, size, text=text)


async def _heard(path: Path, name: str) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a process that hears a recording; it ends when this is closed.

    `ServerError` if it dies, or says nothing for too long.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"from {__name__} import serve; serve()",
        path,
        name,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LINE,
    )
    try:
        said: Any = process.stdout
        line = b""
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    line = await said.readline()
            except TimeoutError:
                raise ServerError(
                    f"{name}: hearing this takes too long: give a shorter one"
                ) from None
            if not line.endswith(b"\n"):
                break
            yield line
        if await process.wait():
            raise ServerError(f"{name}: cannot be heard: give another recording")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def serve() -> None:
    """Hear a recording as `Recordings` asks, and write what it answers; end with who asks."""
    if hasattr(os, "nice"):
        os.nice(15)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # nothing that a library prints is taken for an answer

        def tell(line: bytes) -> None:
            out.write(line)
            out.flush()

        _hear(Path(sys.argv[1]), sys.argv[2], tell)


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing ever comes but the end
    os._exit(1)


def _hear(path: Path, name: str, tell: Callable[[bytes], None]) -> None:
    from espressivo.transcribe import transcribe

    try:
        heard = transcribe(path, name=name, longest_s=LONGEST_S, progress=_Told(tell))
        found = events(heard)
        if not len(heard):
            raise ServerError(f"{name}: nothing is heard in it")
        if len(found) > MAX_EVENTS:
            raise ServerError(f"{name}: has {len(found)} events: at most {MAX_EVENTS} are taken")
        tell(_line(events=found))
    except EspressivoError as error:
        tell(_line(error=str(error)))


class _Told(Silent):
    """Progress that is told in lines."""

    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self._tell, self._done, self._of = tell, 0, 0

    def start(self, total: int, unit: str, label: str) -> None:
        """Tell how much there is."""
        self._of = total
        self.advance(0)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Tell how much is done."""
        self._done += n
        self._tell(_line(done=min(self._done, self._of or math.inf), of=self._of))


def _line(**said: Any) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"
