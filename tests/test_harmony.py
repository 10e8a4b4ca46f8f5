import pytest

from espressivo.errors import GenerationError
from espressivo.music.harmony import QUALITIES, Chord, Key, parse_chord, parse_key

TRIAD, MINOR, SEVENTH = (0, 4, 7), (0, 3, 7), (0, 4, 7, 10)


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            "Am|A minor|a minor|A min|am|Amin|A MINOR|Aminor|  A   minor ",
            Key(9, "minor", "A minor"),
        ),
        ("C|Cmaj|C major|C Major|CM|c major|C maj|cM", Key(0, "major", "C major")),
        ("E♭ major|Eb major|Eb|E flat major|E-flat|eb maj|E Flat", Key(3, "major", "Eb major")),
        ("Ebm|E♭m|Eb minor|e♭ minor|E-flat minor", Key(3, "minor", "Eb minor")),
        ("F# minor|F♯m|f#m|F sharp minor", Key(6, "minor", "F# minor")),
        ("C-sharp minor|C#m", Key(1, "minor", "C# minor")),
        ("Bb|B♭|bb major", Key(10, "major", "Bb major")),
        ("B♭m|bbm", Key(10, "minor", "Bb minor")),
        ("bm|b minor", Key(11, "minor", "B minor")),
        ("Cb", Key(11, "major", "Cb major")),
        ("B#m", Key(0, "minor", "B# minor")),
    ],
)
def test_keys_by_name(names, expected):
    for name in names.split("|"):
        assert parse_key(name) == expected, name


@pytest.mark.parametrize(
    ("wrong", "suggested"),
    [
        ("H major", "'B major'"),
        ("Hm", "'Bm'"),
        ("C dorian", "'C major'"),
        ("C## major", "'C# major'"),
        ("A mino", "'A minor'"),
        ("C- minor", "'C minor'"),
        ("f#", "'F# major' or 'F# minor'"),
        ("b", "'B major' or 'B minor'"),
    ],
)
def test_a_wrong_key_is_told_the_nearest_one(wrong, suggested):
    with pytest.raises(GenerationError) as caught:
        parse_key(wrong)
    assert str(caught.value) == f"'{wrong}' is not a key; did you mean {suggested}?"


@pytest.mark.parametrize("blank", ["", "  ", "12", "As-Dur"])
def test_what_is_like_no_key_is_told_an_example(blank):
    with pytest.raises(GenerationError, match=f"'{blank}' is not a key: give one such as 'F# min"):
        parse_key(blank)


@pytest.mark.parametrize(
    ("name", "sharps"),
    [
        ("C", 0), ("Am", 0), ("G", 1), ("Em", 1), ("F", -1), ("Dm", -1), ("F# minor", 3),
        ("Bb minor", -5), ("Eb minor", -6), ("D# minor", 6), ("F#", 6), ("Gb", -6), ("C#", 7),
        ("Cb", -7), ("A# minor", 7), ("Ab minor", -7),
        # More than seven: as Ab major, C major, E major, F minor, C minor and E minor.
        ("G# major", -4), ("B#", 0), ("Fb", 4), ("E# minor", -4), ("B# minor", -3), ("Fb minor", 1),
    ],
)  # fmt: skip
def test_key_signatures(name, sharps):
    assert parse_key(name).sharps == sharps


def test_every_key_has_a_signature_that_midi_can_write():
    for letter in "CDEFGAB":
        for accidental in ("", "#", "b"):
            for mode in ("major", "minor"):
                key = parse_key(f"{letter}{accidental} {mode}")
                assert -7 <= key.sharps <= 7
                # Counted in fifths from C (for minor from A), the signature leads to the tonic.
                assert (7 * key.sharps + (0 if mode == "major" else 9)) % 12 == key.tonic


def test_the_weights_begin_with_the_tonic():
    major = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
    minor = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
    assert parse_key("C").pitch_weights == major
    assert parse_key("Cm").pitch_weights == minor
    for name, tonic, shares in (("F#m", 6, minor), ("Bb", 10, major), ("B", 11, major)):
        weights = parse_key(name).pitch_weights
        assert [weights[(tonic + above) % 12] for above in range(12)] == list(shares)


# --- chords ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("C Cmaj CM", Chord(0, TRIAD)),
        ("Am Amin A-", Chord(9, MINOR)),
        ("C/E", Chord(0, TRIAD, 4)),
        ("F♯m/C♯ F#m/C#", Chord(6, MINOR, 1)),
        ("Dm7 Dmin7 D-7", Chord(2, (0, 3, 7, 10))),
        ("G7", Chord(7, SEVENTH)),
        ("B♭7/A♭ Bb7/Ab", Chord(10, SEVENTH, 8)),
        ("Cb7", Chord(11, SEVENTH)),
        ("G7sus4 G7sus", Chord(7, (0, 5, 7, 10))),
        ("Gsus4 Gsus", Chord(7, (0, 5, 7))),
        ("Gsus2", Chord(7, (0, 2, 7))),
        ("F#m7b5 F♯m7♭5 F#ø F#ø7", Chord(6, (0, 3, 6, 10))),
        ("Bdim B°", Chord(11, (0, 3, 6))),
        ("Bdim7 B°7", Chord(11, (0, 3, 6, 9))),
        ("Caug C+", Chord(0, (0, 4, 8))),
        ("C6", Chord(0, (0, 4, 7, 9))),
        ("Cm6", Chord(0, (0, 3, 7, 9))),
        ("C69 C6/9", Chord(0, (0, 4, 7, 9, 14))),
        ("C6/9/G C69/G", Chord(0, (0, 4, 7, 9, 14), 7)),
        ("Cmaj7 CM7 CΔ7 CΔ C∆ C△7", Chord(0, (0, 4, 7, 11))),
        ("Cmmaj7 CmM7", Chord(0, (0, 3, 7, 11))),
        ("C9", Chord(0, (0, 4, 7, 10, 14))),
        ("Cm9", Chord(0, (0, 3, 7, 10, 14))),
        ("Cmaj9 CM9", Chord(0, (0, 4, 7, 11, 14))),
        ("C11", Chord(0, (0, 7, 10, 14, 17))),
        ("C13", Chord(0, (0, 4, 7, 10, 14, 21))),
        ("C7b9 C7♭9", Chord(0, (0, 4, 7, 10, 13))),
        ("C7#9 C7♯9", Chord(0, (0, 4, 7, 10, 15))),
        ("C7#11", Chord(0, (0, 4, 7, 10, 18))),
        ("C7#5 Caug7", Chord(0, (0, 4, 8, 10))),
        ("C7b5", Chord(0, (0, 4, 6, 10))),
        ("Cadd9", Chord(0, (0, 4, 7, 14))),
        ("Bb5", Chord(10, (0, 7))),
    ],
)
def test_chords_by_name(names, expected):
    for name in names.split():
        assert parse_chord(name) == expected, name


def test_every_spelling_of_a_chord_is_understood_on_every_root():
    for root, pitch_class in (("C", 0), ("F#", 6), ("Bb", 10), ("Cb", 11), ("B#", 0)):
        for quality, intervals in QUALITIES.items():
            assert parse_chord(root + quality) == Chord(pitch_class, intervals)
            assert parse_chord(f"{root}{quality}/D") == Chord(pitch_class, intervals, 2)
    assert all(list(i) == sorted(set(i)) and i[0] == 0 for i in QUALITIES.values())


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("H7", "B7"),
        ("h", "B"),
        ("am7", "Am7"),
        ("C##", "C#"),
        ("Cmajor", "Cmaj"),
        ("C maj7", "Cmaj7"),
        ("A♭major7", "Abmaj7"),
        ("G7sus5", "G7sus"),
        ("Cm7/", "Cm7"),
        ("C6/8", "C6/9"),
        ("C7/H", "C7/B"),
        ("Amx/e", "Am/E"),
    ],
)
def test_a_wrong_chord_is_told_the_nearest_one(wrong, nearest):
    with pytest.raises(GenerationError) as caught:
        parse_chord(wrong)
    assert str(caught.value) == f"'{wrong}' is not a chord; did you mean '{nearest}'?"
    parse_chord(nearest)


@pytest.mark.parametrize("wrong", ["", " \t", "xyz", "8", "x/h"])
def test_what_is_like_no_chord_is_told_an_example(wrong):
    with pytest.raises(GenerationError) as caught:
        parse_chord(wrong)
    assert str(caught.value) == f"{wrong!r} is not a chord: give one such as 'Am7' or 'C/E'"


def test_an_error_is_one_line():
    for parse in (parse_key, parse_chord):
        with pytest.raises(GenerationError) as caught:
            parse("C\nminor\nx")
        assert "\n" not in str(caught.value)
