"""Takes that the page shows as notes: what is drawn, what is refused, and that it ends."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession

from espressivo import midi
from espressivo.errors import EspressivoError, ServerError
from espressivo.music import Performance
from espressivo.server import app, listening, notated
from known import posix, runs

ONSET = np.arange(24) / 2
TAKE = midi.to_bytes(
    Performance.from_arrays(
        onset_s=ONSET,
        offset_s=ONSET + 0.45,
        pitch=60 + np.arange(24) % 12,
        velocity=np.full(24, 70),
    )
)


@pytest.fixture
def verovio() -> None:
    pytest.importorskip("verovio", reason="needs the extra score")


def test_the_server_draws_for_its_own_page_only(verovio: None) -> None:
    async def talk() -> list[Any]:
        seen: list[Any] = []
        made = app.make(SimpleNamespace())
        async with listening.serving(made, "127.0.0.1", 0) as address, ClientSession() as session:
            own = {"Origin": address.rstrip("/")}
            for headers, data in (
                ({}, TAKE),
                ({"Origin": "http://elsewhere"}, TAKE),
                (own, TAKE[:40]),
                (own, io.BytesIO(b"0" * (5 << 20))),
                (own, TAKE),
            ):
                query = {"title": "<b>&" + 300 * "x"}
                async with session.post(
                    f"{address}notation", params=query, data=data, headers=headers
                ) as answer:
                    seen.append((answer.status, await answer.text()))
        return seen

    strange, other, damaged, large, drawn = asyncio.run(talk())
    assert strange[0] == other[0] == 403
    assert damaged[0] == 400 and damaged[1].startswith("the take: truncated")
    assert large[0] == 413
    said = json.loads(drawn[1])
    assert drawn[0] == 200 and said["tempo"] > 0 and "/" in said["meter"]
    (page,) = said["pages"]
    assert page.startswith("<svg") and "<b>" not in page and "&lt;b&gt;&amp;" in page
    assert "x" * 300 not in page


def test_a_take_without_beats_or_with_too_many_notes_is_refused(
    verovio: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = midi.to_bytes(Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[]))
    for take in (empty, b"", b"RIFF"):
        with pytest.raises(EspressivoError) as refused:
            notated._pages(take, "")
        assert "\n" not in str(refused.value)
    monkeypatch.setattr(notated, "MOST_NOTES", 9)
    with pytest.raises(ServerError, match=r"24 notes are too many .* use espressivo notate"):
        notated._pages(TAKE, "")


def test_without_verovio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verovio", None)
    with pytest.raises(EspressivoError, match=r"pip install 'espressivo\[score\]'"):
        notated._pages(TAKE, "")


@pytest.fixture
def sleeping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A process that says its number and draws for ever."""
    file = tmp_path / "number"
    (tmp_path / "slow").write_text(
        f"#!/bin/sh\necho $$ > {file}.part\nmv {file}.part {file}\nexec sleep 60\n"
    )
    (tmp_path / "slow").chmod(0o700)
    monkeypatch.setattr(notated, "sys", SimpleNamespace(executable=tmp_path / "slow", path=[]))
    return file


@posix
def test_what_takes_too_long_is_given_up(sleeping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def give_up() -> None:
        task = asyncio.create_task(notated.drawn(TAKE, ""))
        while not sleeping.exists():
            await asyncio.sleep(0.01)
        await task

    monkeypatch.setattr(notated, "PATIENCE_S", 1.0)
    with pytest.raises(ServerError, match="takes too long: give a shorter one"):
        asyncio.run(give_up())
    assert not runs(sleeping)


@posix
def test_the_process_ends_when_the_page_has_gone(sleeping: Path) -> None:
    async def leave() -> None:
        task = asyncio.create_task(notated.drawn(TAKE, ""))
        while not sleeping.exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not runs(sleeping)  # before the loop ends, which would end it

    asyncio.run(leave())
