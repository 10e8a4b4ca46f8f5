"""Notation: what was played is written in measures, every note once, and can be drawn."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import espressivo
from espressivo import Beats, Performance, Score
from espressivo.cli import cli
from espressivo.errors import ScoreError
from espressivo.music import METRE_DTYPE
from espressivo.notation import musicxml, notate, spelled, write_score
from espressivo.notation.layout import VALUES, laid_out
from espressivo.notation.spelling import STEPS
from strategies import performances


def scale(count: int = 33, step_s: float = 0.25, uneven: float = 0.01) -> Performance:
    """Eighths up and down C major over a bass, not quite in time, and its last note long."""
    random = np.random.default_rng(0)
    at = np.arange(count) * step_s + 1.0
    onset_s = at + random.uniform(-uneven, uneven, count)
    up = np.array((72, 74, 76, 77, 79, 81, 83, 84))
    pitch = np.concatenate((up, up[::-1]))[np.arange(count) % 16]
    bass = np.arange(0, count - 1, 4)
    return Performance.from_arrays(
        onset_s=np.concatenate((onset_s, onset_s[bass])),
        offset_s=np.concatenate((onset_s + 0.9 * step_s, onset_s[bass] + 3.6 * step_s)),
        pitch=np.concatenate((pitch, np.full(len(bass), 48))),
        velocity=np.full(count + len(bass), 60),
    )


def beats_of(seconds: float, period_s: float = 0.5, per: int = 4, quarters: float = 1.0) -> Beats:
    times = np.arange(1.0, seconds, period_s)
    return Beats(times, np.arange(len(times)) % per == 0, np.full(len(times), quarters))


def tree(text: str) -> ET.Element:
    return ET.fromstring(text.split('partwise.dtd">')[1])  # noqa: S314  # our own text


def symbols(text: str) -> list[tuple[str, ...]]:
    """Step and octave, type and staff of each note that is not a rest."""
    found = []
    for note in tree(text).iter("note"):
        if note.find("rest") is None:
            found.append(
                (
                    f"{note.findtext('pitch/step')}{note.findtext('pitch/octave')}",
                    note.findtext("type") or "",
                    note.findtext("staff") or "",
                )
            )
    return found


def well_formed(text: str, notes: int) -> None:
    """Check that voices fill bars, that ties and tuplets close, and that no note is lost."""
    begun = Counter[str]()
    for measure in tree(text).iter("measure"):
        now, ends = 0, set[int]()
        for element in measure:
            duration = int(element.findtext("duration") or 0)
            if element.tag == "backup":
                ends.add(now)
                now -= duration
            elif element.tag == "forward" or (
                element.tag == "note" and element.find("chord") is None
            ):
                now += duration
            assert now >= 0
            if element.tag == "note":
                ties = [tie.get("type") for tie in element.findall("tie")]
                begun["notes"] += element.find("rest") is None and "stop" not in ties
                begun["ties"] += ("start" in ties) - ("stop" in ties)
                for tuplet in element.iter("tuplet"):
                    begun["tuplets"] += {"start": 1, "stop": -1}[tuplet.get("type") or ""]
                assert begun["tuplets"] in (0, 1)
        ends.add(now)
        assert len(ends) == 1
    assert begun["notes"] == notes
    assert begun["ties"] == begun["tuplets"] == 0


def test_eighths_are_written_as_eighths_and_the_bass_in_the_lower_staff() -> None:
    performance = scale()
    score = notate(performance, beats_of(9))
    assert score.notes["onset"][score.notes["staff"] == 1].tolist() == [n / 2 for n in range(33)]
    assert set(score.notes["onset"][score.notes["staff"] == 2].tolist()) == {
        2.0 * n for n in range(8)
    }
    text = musicxml(score, "A & B")
    well_formed(text, len(score))
    assert "<work-title>A &amp; B</work-title>" in text
    written = symbols(text)
    assert written[:2] == [("C5", "eighth", "1"), ("D5", "eighth", "1")]
    assert [row for row in written if row[2] == "2"] == [("C3", "half", "2")] * 8


def test_triplets_are_bracketed() -> None:
    onset_s = 1.0 + np.arange(24) / 6
    performance = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.15, pitch=72 + np.arange(24) % 5, velocity=[60] * 24
    )
    score = notate(performance, beats_of(6))
    text = musicxml(score)
    well_formed(text, 24)
    assert text.count('<tuplet type="start"') == text.count('<tuplet type="stop"') >= 7
    assert "<actual-notes>3</actual-notes>" in text


def test_what_is_held_beside_a_moving_voice_is_a_voice_of_its_own() -> None:
    onset_s = np.array([1.0, 1.0, 1.5, 2.0, 2.5, 3.0])
    performance = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=[3.0, 1.5, 2.0, 2.5, 3.0, 3.5],
        pitch=[84, 72, 74, 76, 77, 79],
        velocity=[60] * 6,
    )
    score = notate(performance, beats_of(6))
    held = score.notes[score.notes["pitch"] == 84][0]
    assert (int(held["voice"]), float(held["duration"])) == (2, 4.0)
    well_formed(musicxml(score), 6)


def test_a_short_note_before_its_neighbour_is_a_grace_note() -> None:
    performance = Performance.from_arrays(
        onset_s=[1.0, 1.44, 1.5, 2.0],
        offset_s=[1.4, 1.5, 2.0, 2.5],
        pitch=[72, 75, 76, 77],
        velocity=[60] * 4,
    )
    text = musicxml(notate(performance, beats_of(4)))
    assert text.count("<grace ") == 1
    well_formed(text, 4)


def test_notes_before_the_first_downbeat_are_a_pickup() -> None:
    performance = scale(20)
    times = np.arange(1.0, 8, 0.5)
    beats = Beats(times, np.arange(len(times)) % 4 == 1, np.ones(len(times)))
    text = musicxml(notate(performance, beats))
    measures = list(tree(text).iter("measure"))
    assert measures[0].get("implicit") == "yes"
    assert measures[0].findtext("attributes/time/beats") == "4"
    well_formed(text, len(performance))


def test_the_lowest_pitches_have_octaves_that_musicxml_knows() -> None:
    onset_s = 0.5 * np.arange(16)
    performance = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.4, pitch=[0, 5, 11, 127] * 4, velocity=[60] * 16
    )
    beats = Beats(onset_s, np.arange(16) % 4 == 0, np.ones(16))
    text = musicxml(espressivo.notate(performance, beats))
    octaves = {int(found) for found in re.findall(r"<octave>(-?\d+)</octave>", text)}
    assert octaves == {0, 9}


def test_too_little_cannot_be_written() -> None:
    one = Performance.from_arrays(onset_s=[1.0], offset_s=[2.0], pitch=[60], velocity=[1])
    with pytest.raises(ScoreError, match="no beats"):
        espressivo.notate(one)


@pytest.mark.parametrize(
    ("pitches", "sharps", "names"),
    [
        ([62, 64, 66, 67, 69, 71, 73, 74], 2, "D E F# G A B C# D"),
        ([65, 67, 68, 70, 72, 73, 75, 77], -4, "F G Ab Bb C Db Eb F"),
        ([69, 71, 72, 74, 76, 77, 80, 81], 0, "A B C D E F G# A"),
        ([66, 68, 70, 71, 73, 75, 77, 78], 6, "F# G# A# B C# D# E# F#"),
        ([66, 68, 70, 71, 73, 75, 77, 78], -6, "Gb Ab Bb Cb Db Eb F Gb"),
    ],
)
def test_scales_are_spelled_as_their_key_signature_says(
    pitches: list[int], sharps: int, names: str
) -> None:
    step, alter = spelled(pitches, sharps)
    signs = {-1: "b", 0: "", 1: "#"}
    assert " ".join(STEPS[s] + signs[a] for s, a in zip(step, alter, strict=True)) == names


@given(st.lists(st.integers(0, 127), max_size=40), st.integers(-7, 7))
def test_a_spelling_sounds_as_what_it_spells(pitches: list[int], sharps: int) -> None:
    step, alter = spelled(pitches, sharps)
    natural = np.array((0, 2, 4, 5, 7, 9, 11))[step]
    assert ((natural + alter - np.array(pitches, int)) % 12 == 0).all()
    assert (np.abs(alter) <= 2).all()


@given(performances(max_notes=14), st.integers(1, 5), st.sampled_from((0.5, 1.0, 1.5, 2.0)))
def test_whatever_is_played_can_be_written(
    performance: Performance, per: int, quarters: float
) -> None:
    if not len(performance):
        return
    beats = Beats(np.arange(0.3, 6, 0.7), np.arange(9) % per == per - 1, np.full(9, quarters))
    score = notate(performance, beats)
    assert sorted(score.notes["pitch"].tolist()) == sorted(performance.notes["pitch"].tolist())
    well_formed(musicxml(score), len(score))


@given(
    st.lists(
        st.tuples(st.floats(0, 9), st.floats(0.01, 5), st.integers(0, 127), st.integers(0, 2)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(((4, 4), (3, 4), (6, 8), (3, 8), (5, 16), (2, 2), (7, 8), (12, 8))),
)
def test_any_score_is_laid_out_in_values_that_exist(
    rows: list[tuple[float, float, int, int]], metre: tuple[int, int]
) -> None:
    onset, duration, pitch, voice = zip(*rows, strict=True)
    score = Score.from_arrays(
        onset=onset,
        duration=duration,
        pitch=pitch,
        voice=voice,
        metres=np.array([(0, *metre)], METRE_DTYPE),
    )
    for bar in laid_out(score):
        for (_, voice_), row in bar.voices.items():
            ends = 0
            for symbol in row:
                assert symbol.begin >= ends
                ends = symbol.begin + symbol.size
                value = symbol.size * 3 // 2 if symbol.third else symbol.size
                assert value in VALUES or (not symbol.notes and symbol.size == bar.size)
            assert voice_ > 1 or ends == bar.size
    well_formed(musicxml(score), len(score))


def test_the_command_writes_musicxml_and_says_what(tmp_path: Path) -> None:
    take = str(tmp_path / "take.mid")
    scale().write(take)
    out = tmp_path / "take.musicxml"
    run = CliRunner().invoke(
        cli,
        ["notate", take, "-o", str(out), "--json", "--tempo-map", str(tmp_path / "bars.mid")],
    )
    assert run.exit_code == 0, run.output
    about = json.loads(run.output)
    assert about["notes"] == len(scale())
    assert about["files"] == [str(out), str(tmp_path / "bars.mid")]
    well_formed(out.read_text(encoding="utf-8"), len(scale()))


def test_a_score_is_drawn_in_pages(tmp_path: Path) -> None:
    pytest.importorskip("verovio")
    score = notate(scale(), beats_of(9))
    files = write_score(score, tmp_path / "take.svg", title="Scale")
    assert "<svg" in Path(files[0]).read_text(encoding="utf-8")[:500]


def test_an_ending_that_nothing_writes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"\.musicxml"):
        write_score(notate(scale(), beats_of(9)), tmp_path / "take.doc")
