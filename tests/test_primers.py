import numpy as np
import pytest

from espressivo.errors import GenerationError
from espressivo.music import CONTROL_DTYPE, Performance
from espressivo.play import primers


def test_pitches_are_one_chord():
    p = primers.pitches([67, 60, 64, 60])
    assert p.notes.tolist() == [(0.0, 1.0, 60, 64), (0.0, 1.0, 64, 64), (0.0, 1.0, 67, 64)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("C", [60, 64, 67]),
        ("Am", [57, 60, 64]),
        ("F#", [66, 70, 73]),
        ("Gb", [66, 70, 73]),
        ("G7", [55, 59, 62, 65]),
        ("Bbmaj7", [58, 62, 65, 69]),
        ("Cb", [59, 63, 66]),
        ("B#m7b5", [60, 63, 66, 70]),
        ("Ebdim7", [63, 66, 69, 72]),
        ("Dsus4", [62, 67, 69]),
        ("Aaug", [57, 61, 65]),
        ("C/G", [43, 60, 64, 67]),
        ("F/C", [48, 65, 69, 72]),
        ("Dm/F#", [54, 62, 65, 69]),
        ("B♭9", [58, 62, 65, 68, 72]),
        ("C6/9/E", [52, 60, 64, 67, 69, 74]),
    ],
)
def test_chords_by_name(name, expected):
    assert primers.chords(name).notes["pitch"].tolist() == expected


def test_chords_follow_each_other_a_second_each():
    p = primers.chords("C Am,F  G")
    assert len(p) == 12 and p.seconds == 4.0
    assert p.notes["onset_s"].tolist() == [0.0] * 3 + [1.0] * 3 + [2.0] * 3 + [3.0] * 3
    assert (p.notes["offset_s"] == p.notes["onset_s"] + 1).all()
    assert set(p.notes["velocity"].tolist()) == {64}


@pytest.mark.parametrize("name", ["H", "c", "Cmen", "C##", "C/", "C/X", "/C", "m", "Cm7/", "xyz"])
def test_a_chord_that_is_not_understood_is_named(name):
    with pytest.raises(GenerationError, match=f"'{name}' is not a chord"):
        primers.chords(f"C {name} G")


def test_nothing_is_no_primer():
    for make, nothing in ((primers.chords, " , "), (primers.pitches, [])):
        with pytest.raises(GenerationError):
            make(nothing)
    with pytest.raises(GenerationError, match=r"within 0\.\.127, not 128"):
        primers.pitches([60, 128])


def test_the_lowest_and_the_highest_pitch_are_pitches():
    assert primers.pitches([0, 127]).notes["pitch"].tolist() == [0, 127]


def test_a_pedal_just_down_is_lifted_after_an_included_primer():
    for value, lifted in ((63, 0), (64, 1)):
        held = Performance.from_arrays(
            onset_s=[0.0],
            offset_s=[1.0],
            pitch=[60],
            velocity=[64],
            controls=np.array([(0.5, 64, value)], CONTROL_DTYPE),
        )
        joined = primers.continued(held, primers.pitches([60]), 2.0)
        assert len(joined.controls) == 1 + lifted
