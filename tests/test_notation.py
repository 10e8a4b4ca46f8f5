"""Scores in MusicXML, MEI and kern, which partitura reads; skipped where it is not installed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

import espressivo
from espressivo import Score
from espressivo.errors import ScoreError
from espressivo.music import Direction, Mark
from espressivo.play import perform

NOTES = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69, "B": 71}


def note(
    name: str, length: int, *, staff: int = 1, voice: int = 1, tie: str = "", slur: str = "",
    signs: str = "", grace: str = "", chord: bool = False,
) -> str:  # fmt: skip
    """A note such as "C5", so many eighths long."""
    pitch = f"<pitch><step>{name[0]}</step><octave>{name[1:]}</octave></pitch>"
    begin = f"<grace {grace}/>" if grace else ""
    head = ("<chord/>" if chord else "") + pitch
    lasts = "" if grace else f"<duration>{length}</duration>"
    ties = f'<tie type="{tie}"/>' if tie else ""
    tied = f'<tied type="{tie}"/>' if tie else ""
    slurred = f'<slur type="{slur}" number="1"/>' if slur else ""
    notations = f"<notations>{tied}{slurred}{signs}</notations>"
    return (
        f"<note>{begin}{head}{lasts}{ties}<voice>{voice}</voice><type>eighth</type>"
        f"<staff>{staff}</staff>{notations}</note>"
    )


def direction(inner: str, staff: int = 1) -> str:
    return f"<direction><direction-type>{inner}</direction-type><staff>{staff}</staff></direction>"


def measure(number: int, *inner: str) -> str:
    return f'<measure number="{number}">{"".join(inner)}</measure>'


BACK = "<backup><duration>{}</duration></backup>"
STACCATO = "<articulations><staccato/></articulations>"
ATTRIBUTES = (
    "<attributes><divisions>2</divisions><key><fifths>-1</fifths><mode>minor</mode></key>"
    "<time><beats>3</beats><beat-type>4</beat-type></time><staves>2</staves></attributes>"
)
TEMPO = (
    "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>90"
    '</per-minute></metronome></direction-type><sound tempo="90"/></direction>'
)
PIECE = (
    measure(0, ATTRIBUTES, TEMPO, note("G4", 2, slur="start"))
    + measure(
        1,
        direction("<dynamics><p/></dynamics>"),
        direction('<pedal type="start" line="no"/>'),
        note("A4", 1, signs=STACCATO),
        note("B4", 1, slur="stop"),
        note("B4", 1, grace='slash="yes"'),
        note("C5", 4, tie="start"),
        BACK.format(6),
        note("C3", 6, staff=2, voice=5),
        note("E3", 6, staff=2, voice=5, chord=True),
        direction('<pedal type="stop" line="no"/>'),
    )
    + measure(
        2,
        note("C5", 2, tie="stop"),
        note("E5", 1, grace=" "),
        note("D5", 2, signs="<fermata/>"),
        note("F5", 2, signs="<ornaments><trill-mark/></ornaments>"),
        '<barline location="right"><repeat direction="backward"/></barline>',
    )
)


def xml(measures: str = PIECE, *others: str) -> str:
    parts = [measures, *others]
    names = "".join(
        f'<score-part id="P{n}"><part-name>Part {n}</part-name></score-part>'
        for n, _ in enumerate(parts, 1)
    )
    bodies = "".join(f'<part id="P{n}">{one}</part>' for n, one in enumerate(parts, 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="3.1">'
        f"<part-list>{names}</part-list>{bodies}</score-partwise>"
    )


@pytest.fixture
def partitura() -> Any:
    return pytest.importorskip("partitura")


@pytest.fixture
def score(tmp_path: Path, partitura: Any) -> Score:
    path = tmp_path / "piece.musicxml"
    path.write_text(xml(), encoding="utf-8")
    return espressivo.read_score(path)


def test_musicxml_is_read_note_by_note(score: Score) -> None:
    once = [
        (0.0, 1.0, 67, 1, Mark.SLUR_START),
        (1.0, 3.0, 48, 2, Mark(0)),
        (1.0, 3.0, 52, 2, Mark(0)),
        (1.0, 0.5, 69, 1, Mark.STACCATO | Mark.SLURRED),
        (1.5, 0.5, 71, 1, Mark.SLUR_END),
        (1.875, 0.125, 71, 1, Mark.GRACE),
        (2.0, 3.0, 72, 1, Mark.TIED),
        (5.0, 0.5, 76, 1, Mark.GRACE),
        (5.5, 0.5, 74, 1, Mark.FERMATA),
        (6.0, 1.0, 77, 1, Mark.ORNAMENT),
    ]
    rows = [
        (n["onset"], n["duration"], n["pitch"], n["staff"], Mark(int(n["marks"])))
        for n in score.notes
    ]
    assert rows[: len(once)] == once
    assert rows[len(once) :] == [(onset + 7, *rest) for onset, *rest in once]
    assert not score.notes["velocity"].any()


def test_signs_of_a_score_are_read(score: Score) -> None:
    assert score.metres.tolist()[:2] == [(0.0, 1, 4), (1.0, 3, 4)]
    assert score.measures.tolist() == [0, 1, 4, 7, 8, 11]
    assert score.keys.tolist()[0] == (0.0, -1, True)
    assert score.tempos["quarter_s"].tolist()[0] == pytest.approx(60 / 90)
    assert score.moves.tolist()[:2] == [(1.0, 64, 127), (4.0, 64, 0)]
    assert Direction(1.0, 1.0, "p", 1) in score.directions
    assert Direction(1.0, 4.0, "pedal", 1) in score.directions


def test_a_zipped_score_is_the_same(score: Score, tmp_path: Path) -> None:
    path = tmp_path / "piece.mxl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container><rootfiles><rootfile full-path="piece.xml"/></rootfiles></container>',
        )
        archive.writestr("piece.xml", xml())
    assert espressivo.read_score(path) == score


def test_a_score_at_0_becomes_a_midi_file_of_the_same_notes(score: Score, tmp_path: Path) -> None:
    rendition = perform(score, timing=0, dynamics=0, articulation=0, pedal=0)
    out = tmp_path / "out.mid"
    rendition.write(out)
    again = espressivo.read_score(out)
    for field in ("onset", "duration", "pitch", "staff"):
        assert (again.notes[field] == score.notes[field]).all(), field
    assert (again.metres == score.metres).all()
    assert (again.keys == score.keys).all()
    assert (again.moves == score.moves).all()


def test_several_parts_are_told_apart(tmp_path: Path, partitura: Any) -> None:
    path = tmp_path / "duo.musicxml"
    attributes = "<attributes><divisions>4</divisions></attributes>"
    drum = (
        "<note><unpitched><display-step>C</display-step><display-octave>5</display-octave>"
        "</unpitched><duration>8</duration><voice>1</voice></note>"
    )
    path.write_text(xml(PIECE, measure(0, attributes, note("C5", 4)), measure(0, attributes, drum)))
    score = espressivo.read_score(path)
    assert [part.name for part in score.parts] == ["Part 1", "Part 2", "Part 3"]
    assert score.notes[score.notes["part"] == 1]["duration"].tolist() == [1.0]
    assert not (score.notes["part"] == 2).any()


def test_mei_and_kern_are_read(tmp_path: Path, partitura: Any) -> None:
    kern = tmp_path / "piece.krn"
    kern.write_text("**kern\n*M2/4\n=1-\n4c\n8d\n8e\n=2\n2f\n==\n*-\n")
    score = espressivo.read_score(kern)
    assert score.notes["pitch"].tolist() == [60, 62, 64, 65]
    assert score.notes["onset"].tolist() == [0, 1, 1.5, 2]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.musicxml", b"<score-partwise>"),
        ("a.musicxml", b"not xml at all"),
        ("a.xml", b""),
        ("a.mxl", b"PK\x03\x04 broken"),
        ("a.mei", b"<mei/>"),
        ("a.krn", b"\x00\xff\xfe"),
        ("a.musicxml", xml("<measure><note><pitch/></note></measure>").encode()),
    ],
)
def test_what_is_broken_is_one_line(
    tmp_path: Path, partitura: Any, name: str, data: bytes, run: Any
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    status, out, err = run("perform", path, "-o", "out.mid")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"espressivo: {path}: ")


def test_without_partitura_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "partitura", None)
    path = tmp_path / "piece.musicxml"
    path.write_text(xml())
    with pytest.raises(ScoreError, match=r"pip install 'espressivo\[score\]'; or export"):
        espressivo.read_score(path)


@pytest.mark.parametrize("name", ["missing.mid", "missing.musicxml", "notes.txt"])
def test_what_is_no_score_is_refused(tmp_path: Path, name: str) -> None:
    if name == "notes.txt":
        (tmp_path / name).write_text("C D E")
    with pytest.raises(ScoreError, match=f"{name}: cannot"):
        espressivo.read_score(tmp_path / name)
