"""Reports side by side: on the same pieces, with the same pieces in every bootstrap sample."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from espressivo import cli
from espressivo.errors import DataError
from espressivo.evaluation.comparison import compare
from espressivo.evaluation.intervals import differing, ratios, resamples, share

EVENTS = np.array([100, 250, 80, 400, 120, 60])
HARD = np.array([1.0, 3.0, 2.0, 1.5, 2.5, 4.0])  # nats per event that any model needs


def report(
    path,
    name,
    extra,
    *,
    pieces=range(6),
    vocabulary="seed",
    first_events=None,
    music=None,
    passed=None,
):
    """A report of a model that needs some nats per event more than any must."""
    scored = []
    for piece in pieces:
        by_class = np.zeros((7, 4))
        by_class[0] = EVENTS[piece], EVENTS[piece] * (HARD[piece] + extra), 0, 0
        scored.append(
            {
                "name": f"{piece}.mid",
                "sha256": f"{piece:016}",
                "notes": int(EVENTS[piece] // 4),
                "seconds": EVENTS[piece] / 40,
                "by_class": by_class.tolist(),
            }
        )
    path.mkdir()
    about = {
        "format": 3,
        "recall": {"past": {"0 s": [[40.0, 4], [60.0, 5]]}, "copy": {}},
        "model": {"name": name, "vocabulary": vocabulary, "passed": passed},
        "data": {"first_events": first_events},
        "music": music,
        "pieces": scored,
    }
    (path / "report.json").write_text(json.dumps(about))
    return path


def music(overlap, looping, people=0.0):
    """What a model of 40 samples was found to play: its overlap in pitch, and loops."""
    rng = np.random.default_rng(0)
    replicates = overlap + rng.normal(0, 0.01, 200)
    loops = np.stack((np.arange(40) < 40 * looping, np.ones(40)), axis=1)
    humans = np.stack((np.arange(60) < 60 * people, np.ones(60)), axis=1)
    return {
        "features": [
            {
                "feature": "pitch",
                "model": {"overlap": overlap},
                "replicates": replicates.tolist(),
            }
        ],
        "model": {"loops": loops.tolist()},
        "people": {"loops": humans.tolist()},
        "references": {"loop": {"loops": {"value": 1.0, "low": None, "high": None}}},
        "beside_people": {"loop": {"loops": "more than people"}},
    }


def test_differences_are_those_of_the_models_and_not_of_the_pieces(tmp_path):
    one, other = report(tmp_path / "a", "one", 0.5), report(tmp_path / "b", "other", 0.8)
    first, second = compare([one, other / "report.json"]).columns
    assert first.nats["event"].value == pytest.approx((EVENTS * HARD).sum() / EVENTS.sum() + 0.5)
    assert (first.more["event"], first.by_class) == (None, {"note_on": first.nats["event"].value})
    more = second.more["event"]
    assert (more.value, more.low, more.high) == pytest.approx((0.3, 0.3, 0.3))
    assert second.more["second"].value == pytest.approx(0.3 * 40)
    assert second.nats["event"].high - second.nats["event"].low > 0.5  # pieces do differ


def test_a_paired_interval_covers_as_often_as_it_says():
    rng, drawn, hits, narrower = np.random.default_rng(1), resamples(50), 0, 0
    for _ in range(300):
        events = rng.integers(50, 500, 50).astype(float)
        hard = rng.normal(2, 0.5, 50)
        one, other = (events * (hard + rng.normal(extra, 0.1, 50)) for extra in (0.2, 0.0))
        replicates = (ratios(np.stack((nats, events), axis=1), drawn) for nats in (one, other))
        value = (one.sum() - other.sum()) / events.sum()
        estimate = differing(value, next(replicates) - next(replicates))
        hits += estimate.low <= 0.2 <= estimate.high
        alone = share(one, events, drawn)
        narrower += estimate.high - estimate.low < (alone.high - alone.low) / 2
    assert 0.90 <= hits / 300 <= 0.98
    assert narrower == 300


def test_only_pieces_that_all_have_count(tmp_path):
    one = report(tmp_path / "a", "one", 0, pieces=(0, 1, 2, 5))
    other = report(tmp_path / "b", "other", 0, pieces=(5, 4, 2))
    found = compare([one, other])
    assert found.pieces == 2
    both = EVENTS[[2, 5]] @ HARD[[2, 5]] / EVENTS[[2, 5]].sum()
    for column in found.columns:
        assert column.nats["event"].value == pytest.approx(both)
    third = report(tmp_path / "c", "third", 0, pieces=(0,))
    with pytest.raises(DataError, match="no piece in common"):
        compare([other, third])


def test_events_of_different_vocabularies_are_not_compared(tmp_path):
    one = report(tmp_path / "a", "one", 0)
    other = report(tmp_path / "b", "other", 0.1, vocabulary="maestro")
    more = compare([one, other]).columns[1].more
    assert more["event"] is None
    assert more["note"].value == pytest.approx(0.4, rel=0.02)


def test_nearer_and_farther_are_said_only_where_it_is_shown(tmp_path):
    first = report(tmp_path / "a", "one", 0.5, music=music(0.9, 0.1))
    others = {
        "same": (0.5, music(0.9, 0.1)),
        "worse": (0.8, music(0.7, 0.7)),
        "better": (0.2, music(0.97, 0.0)),
        "hardly": (0.5, music(0.9, 0.15)),
    }
    folders = [
        report(tmp_path / name, name, extra, music=plays) for name, (extra, plays) in others.items()
    ]
    found = {column.name: column.verdicts for column in compare([first, *folders]).columns}
    assert found["one"] == {}
    nothing = "no difference shown"
    assert found["same"] == {"nats": nothing, "loops": nothing, "pitch": nothing}
    far = "farther from people"
    assert found["worse"] == {"nats": "worse", "loops": far, "pitch": far}
    assert found["better"]["nats"] == "better"
    assert found["better"]["pitch"] == "nearer to people"
    assert found["hardly"]["loops"] == nothing


def test_what_tells_a_player_from_people_is_said(tmp_path):
    straight = report(tmp_path / "a", "a", 0.2, music=music(0.9, looping=0.0))
    looping = report(tmp_path / "b", "b", 0.2, music=music(0.9, looping=0.5))
    side = compare([straight, looping])
    table = next(one for one in side.tables() if one.title.startswith("What each sign"))
    assert table.head == ("", "people", "loop", "a", "b")
    assert [row[1:] for row in table.rows] == [("0.000", "1.000 differs", "0.000", "0.500 differs")]


def test_what_is_learned_by_heart_stands_by_the_share_of_training_passed(tmp_path):
    def heard(notes):
        runs = np.stack((np.full(40, float(notes)), np.ones(40)), axis=1)
        people = np.stack((np.full(60, 12.0), np.ones(60)), axis=1)
        played = music(0.9, looping=0.0)
        return played | {
            "model": {"shared_run": runs.tolist(), "copied": (runs * [0, 1]).tolist()},
            "people": {"shared_run": people.tolist()},
        }

    reports = [
        report(tmp_path / f"{passed}", f"at {passed}", 0.2, music=heard(notes), passed=passed)
        for passed, notes in ((1.0, 60), (0.25, 9), (0.5, 20))
    ]
    unknown = report(tmp_path / "unknown", "unknown", 0.2, music=heard(7))
    tables = compare([*reports, unknown]).tables()
    table = next(one for one in tables if one.title.startswith("Memorisation, by"))
    assert [row[:2] for row in table.rows] == [
        ("25 %", "at 0.25"),
        ("50 %", "at 0.5"),
        ("100 %", "at 1.0"),
    ]
    assert [row[2].split(" ")[0] for row in table.rows] == ["9.000", "20.000", "60.000"]
    assert {row[3].split(" ")[0] for row in table.rows} == {"12.000"}
    assert all("Memorisation, by" not in one.title for one in compare([unknown]).tables())


def test_quick_reports_are_compared_with_quick_ones_alone(tmp_path):
    one = report(tmp_path / "a", "one", 0)
    other = report(tmp_path / "b", "other", 0, first_events=500)
    with pytest.raises(DataError, match="quick"):
        compare([one, other])


def test_models_of_one_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r").mkdir()
    folders = [report(tmp_path / "r" / name, "same", 0) for name in "ab"]
    names = [column.name for column in compare(folders).columns]
    assert names == [f"same ({folder})" for folder in folders]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("{", "is no report"),
        ("[]", "is no report"),
        ('{"format": 1}', "format 1"),
        ('{"format": 3, "pieces": [{}]}', "is no report"),
        ('{"format": 3, "pieces": []}', "is no report"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, text, words):
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(DataError, match=words):
        compare([tmp_path])


def test_the_command_shows_and_writes_all(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report(tmp_path / "a", "one", 0, music=music(0.75, 0.125))
    report(tmp_path / "b", "<other>", 0.25)
    monkeypatch.setattr(sys, "argv", "espressivo compare a b --out side".split())
    cli.main()
    printed = capsys.readouterr().out
    assert "+0.2500 (+0.2500 to +0.2500)" in printed
    assert "0.750" in printed and "0.125" in printed
    page = (tmp_path / "side" / "compare.html").read_text(encoding="utf-8")
    assert "&lt;other&gt;" in page and "0.750" in page
    text = (tmp_path / "side" / "compare.md").read_text(encoding="utf-8")
    assert "## Recall" not in text and "| &lt;other> | seed |" in text and "| 0.750 " in text
    written = json.loads((tmp_path / "side" / "compare.json").read_text())
    assert written["columns"][1]["more"]["event"]["value"] == pytest.approx(0.25)
