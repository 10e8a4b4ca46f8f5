"""Notated: a take as pages of notes, for the page. They are drawn in a process of its own.

Finding beats and drawing take seconds of work, and that process goes behind everything else, so
nobody who listens hears anything of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

from espressivo import midi
from espressivo.errors import EspressivoError, ServerError
from espressivo.notation import beats, draw, notate

__all__ = ["MOST_NOTES", "PATIENCE_S", "drawn", "serve"]

MOST_NOTES = 5000
"""Notes of a take that is drawn; five minutes have fewer."""

PATIENCE_S = 90.0
"""Seconds after which a take is given up. So many notes take far less on a quiet machine."""


async def drawn(take: bytes, title: str) -> bytes:
    """Return a take, a MIDI file, as pages of notes.

    If this is cancelled, the process that draws ends.

    Parameters
    ----------
    take : bytes
    title : str
        What stands above the music.

    Returns
    -------
    bytes
        A JSON object: ``pages`` as SVG; ``tempo``, beats a minute; ``meter``, as 3/4.

    Raises
    ------
    ServerError
        If the take cannot be read, has no beats or too many notes, takes too long, or verovio is
        missing.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"from {__name__} import serve; serve()",
        title,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            answer, _ = await process.communicate(take)
    except TimeoutError:
        raise ServerError("writing this take down takes too long: give a shorter one") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise ServerError("this take cannot be written down: give another one")
    said: dict[str, Any] = json.loads(answer)
    if "error" in said:
        raise ServerError(said["error"])
    return answer


def serve() -> None:
    """Draw the take on standard input, as `drawn` asks, and write what it returns or an error."""
    if hasattr(os, "nice"):
        os.nice(15)
    try:
        said = _pages(sys.stdin.buffer.read(), sys.argv[1])
    except EspressivoError as error:
        said = {"error": str(error)}
    sys.stdout.write(json.dumps(said))


def _pages(take: bytes, title: str) -> dict[str, Any]:
    performance = midi.from_bytes(take, "the take")
    if len(performance) > MOST_NOTES:
        raise ServerError(
            f"{len(performance)} notes are too many for the page, which writes {MOST_NOTES}: "
            "use espressivo notate"
        )
    found = beats(performance)
    sheets = draw(notate(performance, found), title)
    return {"pages": sheets, "tempo": round(found.tempo, 1), "meter": found.meter}
