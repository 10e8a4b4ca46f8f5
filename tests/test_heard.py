"""Recordings that the page sends: what is answered, what is refused, and that hearing ends."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession

from espressivo.codes import vocabulary
from espressivo.errors import AudioError
from espressivo.music import Performance
from espressivo.progress import Progress
from espressivo.registry import RECORDINGS
from espressivo.server import app, heard, listening
from espressivo.server.session import Models, Session
from known import posix, runs

pytestmark = posix

EVENTS = [[0.0, 144, 60, 80], [0.5, 128, 60, 0]]
ANSWER = f"""
echo '{{"done":0,"of":4}}'
echo '{{"done":4,"of":4}}'
echo '{{"events":{json.dumps(EVENTS)}}}'
"""


class Page:
    """What a page does with a server."""

    def __init__(self, session: ClientSession, address: str) -> None:
        self.session, self.address = session, address

    async def send(
        self, data: Any = b"sound", name: str = "a take.mp3", origin: str | None = None
    ) -> tuple[int, list[Any] | str]:
        headers = {"Origin": self.address.rstrip("/") if origin is None else origin}
        async with self.session.post(
            f"{self.address}transcribe", params={"name": name}, data=data, headers=headers
        ) as answer:
            text = await answer.text()
            found = text if answer.status != 200 else [json.loads(t) for t in text.splitlines()]
            return answer.status, found


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard, "hears", lambda: True)


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Runs a talk with a server, in which a script stands for the process that hears."""

    def run(script: str, talk: Callable[[Page], Awaitable[None]]) -> None:
        program = tmp_path / "hears"
        program.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(heard, "sys", SimpleNamespace(executable=program, path=[]))

        async def talking() -> None:
            made = app.make(SimpleNamespace())  # type: ignore[arg-type]
            async with (
                listening.serving(made, "127.0.0.1", 0) as address,
                ClientSession() as session,
            ):
                await talk(Page(session, address))

        asyncio.run(talking())

    return run


async def until(there: Callable[[], object]) -> None:
    while not there():
        await asyncio.sleep(0.005)


STUCK = "echo $$ > number.part; mv number.part number; exec sleep 60"


def test_a_recording_becomes_events_and_its_file_does_not_stay(
    serving: Callable[..., None], tmp_path: Path
) -> None:
    async def talk(page: Page) -> None:
        assert await page.send(io.BytesIO(b"x" * 600_000)) == (
            200,
            [{"done": 0, "of": 4}, {"done": 4, "of": 4}, {"events": EVENTS}],
        )
        kept = Path((tmp_path / "path").read_text().strip())
        assert kept.name == "sound.mp3" and not kept.parent.exists()
        assert (tmp_path / "size").read_text().strip() == "600000"

    serving(
        f'echo "$3" > path; wc -c < "$3" > size; test "$4" = "a take.mp3" || exit 1{ANSWER}', talk
    )


def test_what_is_not_taken_is_said_in_a_line(
    serving: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heard, "MOST_BYTES", 1 << 20)

    async def pieces() -> Any:
        for _ in range(5):
            yield b"x" * (1 << 18)

    async def talk(page: Page) -> None:
        assert (await page.send(origin="http://elsewhere"))[0] == 403
        status, said = await page.send(name="a.pdf\n")
        assert (
            status == 400
            and said == r"a.pdf\n: is no recording: give .wav, .flac, .mp3, .m4a, .ogg or the like"
        )
        for data in (io.BytesIO(b"x" * ((1 << 20) + 1)), pieces()):
            assert await page.send(data) == (
                413,
                "this recording is too large: at most 1 MB are taken",
            )
        monkeypatch.setattr(heard, "hears", lambda: False)
        status, said = await page.send()
        assert status == 501 and "pip install 'espressivo[transcribe]'" in said

    serving(ANSWER, talk)


def test_a_process_that_dies_or_says_nothing_is_an_error_of_one_line(
    serving: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def dies(page: Page) -> None:
        error = "a take.mp3: cannot be heard: give another recording"
        assert await page.send() == (200, [{"done": 1, "of": 4}, {"error": error}])

    async def waits(page: Page) -> None:
        error = "a take.mp3: hearing this takes too long: give a shorter one"
        assert await page.send() == (200, [{"error": error}])
        assert not runs(tmp_path / "number")

    serving("""echo '{"done":1,"of":4}'; exit 3""", dies)
    monkeypatch.setattr(heard, "_PATIENCE_S", 0.3)
    serving(STUCK, waits)


def test_a_page_that_goes_ends_the_process_and_leaves_nothing(
    serving: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(heard.tempfile, "tempdir", str(tmp_path / "kept"))
    (tmp_path / "kept").mkdir()

    async def talk(page: Page) -> None:
        sending = asyncio.create_task(page.send())
        await until((tmp_path / "number").exists)
        assert len(list((tmp_path / "kept").iterdir())) == 1
        sending.cancel()
        await until(lambda: not runs(tmp_path / "number"))
        await until(lambda: not list((tmp_path / "kept").iterdir()))

    serving(STUCK, talk)


def test_one_is_heard_at_a_time_and_each_address_has_two(
    serving: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(heard, "_WORD_S", 0.05)

    async def talk(page: Page) -> None:
        first = asyncio.create_task(page.send())
        await until((tmp_path / "begun").exists)
        second = asyncio.create_task(page.send())
        await asyncio.sleep(0.2)
        assert await page.send() == (503, "your last recording is still heard: wait")
        assert (tmp_path / "begun").read_text() == "x\n"
        (tmp_path / "go").touch()
        assert (await first)[1][-1] == {"events": EVENTS}
        said = (await second)[1]
        assert said[0] == {"waiting": True} and said[-1] == {"events": EVENTS}
        assert (await page.send())[0] == 200

    serving(f"echo x >> begun; while ! test -e go; do sleep 0.01; done{ANSWER}", talk)


def hear(monkeypatch: pytest.MonkeyPatch, found: Performance | AudioError) -> list[Any]:
    """Return what the process says that hears a recording in which this is found."""

    def transcribe(path: Path, *, name: str, longest_s: float, progress: Progress) -> Performance:
        assert (name, longest_s) == ("a.wav", heard.LONGEST_S)
        progress.start(16, "seconds", "transcribe")
        for _ in range(3):
            progress.advance(8)
        if isinstance(found, AudioError):
            raise found
        return found

    monkeypatch.setattr("espressivo.transcribe.transcribe", transcribe)
    said: list[bytes] = []
    heard._hear(Path("sound.wav"), "a.wav", said.append)
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in said)
    return [json.loads(line) for line in said]


def notes(count: int) -> Performance:
    onset_s = np.arange(count) / 2
    return Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.25, pitch=onset_s * 0 + 60, velocity=onset_s * 0 + 70
    )


def test_the_process_says_how_far_it_is_and_what_it_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    *told, last = hear(monkeypatch, notes(1))
    assert told == [{"done": done, "of": 16} for done in (0, 8, 16, 16)]
    assert last == {"events": [[0.0, 144, 60, 70], [0.25, 128, 60, 0]]}


def test_what_cannot_be_heard_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hear(monkeypatch, AudioError("a.wav: is too long"))[-1] == {
        "error": "a.wav: is too long"
    }
    assert hear(monkeypatch, notes(0))[-1] == {"error": "a.wav: nothing is heard in it"}
    monkeypatch.setattr(heard, "MAX_EVENTS", 3)
    assert "at most 3 are taken" in hear(monkeypatch, notes(2))[-1]["error"]


def test_what_hears_writes_lines_alone_and_ends_with_who_asks(tmp_path: Path) -> None:
    code = """if True:
        import time
        from espressivo.server import heard
        def hear(path, name, tell):
            print("a library")
            tell(f"{path.name} {name}\\n".encode())
            time.sleep(60)
        heard._hear = hear
        heard.serve()"""
    command = [sys.executable, "-c", code, str(tmp_path / "sound.wav"), "a.wav"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"sound.wav a.wav\n"
        process.stdin.close()
        assert process.wait(20) == 1


def test_the_page_is_told_whether_recordings_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    from espressivo.server import session

    model = SimpleNamespace(
        card={}, engine=SimpleNamespace(sha256="", vocabulary=vocabulary("seed"))
    )
    monkeypatch.setattr(session, "load", lambda name, styles: model)
    monkeypatch.setattr(session, "available_controls", lambda model: {})
    for there in (True, False):
        monkeypatch.setattr(session, "hears", lambda there=there: there)
        said: list[str] = []
        Session(Models(["one"]), said.append).greet("1")
        assert ("sound" in json.loads(said[0])["offers"]) is there


def test_the_page_knows_the_same_names_of_recordings() -> None:
    script = (Path(heard.__file__).parent / "web" / "hearing.js").read_text(encoding="utf-8")
    known = script.partition("SOUNDS = [")[2].partition("]")[0]
    assert tuple(json.loads(f"[{known.strip().rstrip(',')}]")) == RECORDINGS
    assert f"SOUND_BYTES = {heard.MOST_BYTES >> 20} << 20" in script
