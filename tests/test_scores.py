"""The page of scores: what the server answers, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession

from espressivo import midi
from espressivo.errors import EspressivoError
from espressivo.music import Score
from espressivo.play import perform
from espressivo.server import app, listening, scores
from espressivo.server.scores import Scores
from interpreters import Rules

SCORE = Score.from_arrays(
    onset=np.arange(16.0), duration=np.ones(16), pitch=60 + np.arange(16), velocity=np.full(16, 70)
)
DATA = midi.song_of(SCORE).to_bytes()


class Counting(Rules):
    asked = 0

    def interpret(self, score: Score, **options: Any) -> Any:
        self.asked += 1
        return super().interpret(score, **options)


def test_a_score_is_answered_as_it_is_performed() -> None:
    answer = json.loads(Scores(Rules).answer("x.mid", DATA, '{"seed": 1}', "music"))
    rendition = perform(SCORE, model=Rules(), seed=1)
    columns = np.array(answer["notes"]).T
    rendered = rendition.rendered
    expected = (
        SCORE.notes["onset"], rendered.onset_s, rendered.end_s, SCORE.notes["pitch"],
        rendered.velocity, SCORE.notes["velocity"],
    )  # fmt: skip
    for column, one in zip(columns, expected, strict=True):
        assert np.allclose(column, one, atol=1e-4)
    assert answer["beats"][-1][0] == 16
    assert answer["measures"] == [0, 4, 8, 12]
    assert (answer["model"], answer["licence"]) == ("rules", "MIT")


def test_files_are_those_that_the_command_writes() -> None:
    dials = '{"timing": 0.5, "keep_dynamics": true, "seed": 3}'
    for form in ("midi", "tempo_map"):
        rendition = perform(SCORE, model=Rules(), timing=0.5, keep_dynamics=True, seed=3)
        data = Scores(Rules).answer("x.mid", DATA, dials, form)
        assert data == rendition.to_bytes(tempo_map=form == "tempo_map")


def test_turning_a_dial_asks_the_model_no_more() -> None:
    model = Counting()
    asked = Scores(lambda: model)
    for timing in (0.2, 0.4, 2):
        asked.answer("x.mid", DATA, json.dumps({"timing": timing}), "music")
    assert model.asked == 1
    for dials in ({"seed": 1}, {"freedom": 1}, {"tempo": 60}, {"keep_dynamics": True}):
        asked.answer("x.mid", DATA, json.dumps(dials), "music")
    assert model.asked == 5


def test_a_score_is_found_in_what_somebody_plays() -> None:
    rendition = perform(SCORE, model=Rules(), seed=1)
    take = midi.to_bytes(rendition.performance)
    answer = json.loads(Scores(Rules).taken("x.mid", DATA, take))
    assert answer["found"] == 1
    assert answer["velocity"] == rendition.rendered.velocity.tolist()
    assert np.allclose(answer["beats"][:-1], rendition.beats_s[:-1], atol=0.03)
    assert answer["beats"][-1] is None  # nothing begins there


@pytest.mark.parametrize(
    ("name", "data", "dials", "form", "words"),
    [
        ("x.mid", DATA, "{}", "pdf", "form must be one of"),
        ("x.mid", DATA, "[]", "music", "dials must be an object"),
        ("x.mid", DATA, "{", "music", "dials must be an object"),
        ("x.mid", DATA, '{"speed": 1}', "music", "there is no dial 'speed'"),
        ("x.mid", DATA, '{"timing": 9}', "music", "timing must be within 0..2"),
        ("x.mid", DATA, '{"timing": "1"}', "music", "timing must be a number"),
        ("x.mid", DATA, '{"keep_tempo": 1}', "music", "must be true or false"),
        ("x.mid", DATA, '{"seed": -1}', "music", "seed must be"),
        ("x.txt", DATA, "{}", "music", "is no score: its name must end in"),
        ("x.mid", b"MThd", "{}", "music", "^the score: truncated"),
        ("x.mid", midi.to_bytes(SCORE.performance())[:0], "{}", "music", "the file is empty"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_line(
    name: str, data: bytes, dials: str, form: str, words: str
) -> None:
    with pytest.raises(EspressivoError, match=words) as refused:
        Scores(Rules).answer(name, data, dials, form)
    assert "\n" not in str(refused.value)
    assert "/tmp" not in str(refused.value)  # noqa: S108 - no place of this machine is named


def test_a_very_long_score_is_for_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "MOST_NOTES", 9)
    with pytest.raises(EspressivoError, match=r"16 notes are too many .* use espressivo perform"):
        Scores(Rules).answer("x.mid", DATA, "{}", "music")


def test_the_server_answers_its_own_page_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Scores", lambda: Scores(Rules))

    async def talk() -> list[tuple[int, str]]:
        seen = []
        made = app.make(SimpleNamespace())
        async with listening.serving(made, "127.0.0.1", 0) as address, ClientSession() as session:
            for path in ("score/", "score/score.js", "score/playing.js", "score/score.css"):
                async with session.get(address + path) as answer:
                    seen.append((answer.status, answer.content_type))
            for headers, dials in (
                ({}, "{}"),
                ({"Origin": "http://elsewhere"}, "{}"),
                ({"Origin": address.rstrip("/")}, "{}"),
                ({"Origin": address.rstrip("/")}, "7"),
                ({"Origin": address.rstrip("/")}, "take"),
            ):
                query = {"name": "a.mid", "dials": dials, "form": "music"}
                if dials == "take":
                    query |= {"form": "take", "length": str(len(DATA) // 2)}
                async with session.post(
                    f"{address}score/perform", params=query, data=DATA, headers=headers
                ) as answer:
                    seen.append((answer.status, answer.content_type))
        return seen

    assert asyncio.run(talk()) == [
        (200, "text/html"),
        (200, "text/javascript"),
        (200, "text/javascript"),
        (200, "text/css"),
        (403, "text/plain"),
        (403, "text/plain"),
        (200, "application/json"),
        (400, "text/plain"),
        (400, "text/plain"),
    ]


def test_the_page_loads_nothing_that_is_not_there() -> None:
    folder = Path(app.__file__).parent / "web" / "score"
    for path in folder.glob("*.js"):
        for line in path.read_text().splitlines():
            if line.startswith("import"):
                assert (folder / line.split('"')[1]).is_file(), line
