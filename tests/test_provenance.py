import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espressivo import Performance, __version__, midi
from espressivo.errors import MidiError
from espressivo.midi import provenance
from espressivo.midi.provenance import Provenance, read_provenance
from espressivo.music import NOTE_DTYPE
from midi_bytes import exclusive, meta, midi_file, off, on, one_track, track

PERFORMANCE = Performance(np.array([(0.01, 0.5, 60, 70)], NOTE_DTYPE))
MADE = Provenance(
    model="espressivo",
    model_sha256="0123456789abcdef" * 4,
    licence="CC BY-NC-SA 4.0",
    seed=7,
    settings={"temperature": 0.9, "key": "F# minor", "changes": [[20.0, {"density": 12}]]},
    primer_sha256="f" * 64,
    version="0.1.0",
)
PLAIN = MADE.to_dict()
JSON_TEXT = (
    b'espressivo:{"command":"generate","licence":"CC BY-NC-SA 4.0","model":"espressivo",'
    b'"model_sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",'
    b'"primer_sha256":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","seed":7,'
    b'"settings":{"changes":[[20.0,{"density":12}]],"key":"F# minor","temperature":0.9},'
    b'"version":"0.1.0"}'
)
LINE = b"Made with espressivo 0.1.0; model espressivo; seed 7; licence CC BY-NC-SA 4.0"
NOTE = ((0, on(60)), (480, off(60)))


def texts(data):
    """Text events of the first track of a written file, decoded by hand, until the tempo."""
    at, found = 22, []
    assert data[14:18] == b"MTrk"
    while data[at : at + 3] != b"\x00\xff\x51":
        assert data[at : at + 2] == b"\x00\xff"
        kind, length, at = data[at + 2], 0, at + 3
        while True:
            length, at = length << 7 | data[at] & 0x7F, at + 1
            if data[at - 1] < 0x80:
                break
        found.append((kind, data[at : at + length]))
        at += length
    return found


def holding(*contents, kind=1):
    return one_track(*((0, meta(kind, content)) for content in contents), *NOTE)


def with_fields(**changes):
    """Return a file whose provenance has other fields; ... leaves one out."""
    plain = {name: value for name, value in (PLAIN | changes).items() if value is not ...}
    return holding(b"espressivo:" + json.dumps(plain).encode())


# Writing


def test_the_conductor_track_begins_with_the_licence_a_line_and_json():
    data = midi.to_bytes(PERFORMANCE, provenance=MADE)
    assert texts(data) == [(2, b"CC BY-NC-SA 4.0"), (1, LINE), (1, JSON_TEXT)]


def test_a_file_without_provenance_has_no_texts():
    assert texts(midi.to_bytes(PERFORMANCE)) == []
    assert read_provenance(midi.to_bytes(PERFORMANCE)) is None


def test_the_music_is_the_same_with_provenance_and_without():
    with_it = midi.to_bytes(PERFORMANCE, provenance=MADE, key_signature=(2, False))
    assert midi.from_bytes(with_it) == midi.from_bytes(midi.to_bytes(PERFORMANCE)) == PERFORMANCE


def test_the_same_provenance_gives_the_same_bytes_in_whatever_order_its_settings_came():
    turned = dataclasses.replace(MADE, settings=dict(reversed(MADE.settings.items())))
    data = midi.to_bytes(PERFORMANCE, provenance=MADE)
    assert midi.to_bytes(PERFORMANCE, provenance=turned) == data
    assert midi.to_bytes(midi.from_bytes(data), provenance=read_provenance(data)) == data


def test_the_json_is_ascii():
    made = dataclasses.replace(MADE, model="Flügel", settings={"composer": "Dvořák\n\x1b"})
    data = midi.to_bytes(PERFORMANCE, provenance=made)
    assert texts(data)[2][1].isascii()
    assert b'"model":"Fl\\u00fcgel"' in texts(data)[2][1]
    assert read_provenance(data) == made


def test_settings_are_a_copy_in_which_tuples_are_lists():
    settings = {"pitch_weights": (1.0, 0.0), "inner": {"a": [1]}}
    made = dataclasses.replace(MADE, settings=settings)
    settings["inner"]["a"].append(2)
    assert made.settings == {"pitch_weights": [1.0, 0.0], "inner": {"a": [1]}}


def test_the_version_and_the_command_have_defaults():
    made = Provenance("m", "0" * 64, "MIT", 0)
    assert (made.version, made.command, made.settings) == (__version__, "generate", {})
    assert made.primer_sha256 is None


# Reading


def test_write_and_read_of_a_file(tmp_path):
    path = tmp_path / "take.mid"
    midi.write(PERFORMANCE, path, provenance=MADE, key_signature=(-3, True), name="Take")
    expected = midi.to_bytes(PERFORMANCE, provenance=MADE, key_signature=(-3, True), name="Take")
    assert path.read_bytes() == expected
    assert read_provenance(path) == read_provenance(str(path)) == MADE
    assert read_provenance(path.read_bytes()) == MADE


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
).filter(lambda value: len(json.dumps(value)) < 1000 and depth(value) <= 7)  # fmt: skip


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=4), st.integers(0))
def test_any_settings_and_seed_come_back(settings, seed):
    made = dataclasses.replace(MADE, settings=settings, seed=seed)
    assert read_provenance(midi.to_bytes(PERFORMANCE, provenance=made)) == made


@pytest.mark.parametrize("kind", [1, 2, 5, 6, 15])
@pytest.mark.parametrize("around", [(b"", b""), (b"  ", b"\n"), (b"", b"\0")])
def test_it_is_found_in_any_track_and_kind_of_text(kind, around):
    text = around[0] + JSON_TEXT + around[1]
    data = midi_file(track(NOTE), track([]), track([*NOTE, (7, meta(kind, text))]))
    assert read_provenance(data) == MADE


def test_it_is_found_only_in_texts():
    for hidden in (meta(0x7F, JSON_TEXT), meta(0x10, JSON_TEXT), exclusive(JSON_TEXT)):
        assert read_provenance(one_track((0, hidden), *NOTE)) is None


@pytest.mark.parametrize(
    "text", [b"espressivo", b"espressivo:", b"espressivo: dolce", b"Made {}", b"x" + JSON_TEXT]
)
def test_other_texts_are_none(text):
    assert read_provenance(holding(text)) is None


def test_the_same_provenance_twice_is_one_and_two_are_refused():
    assert read_provenance(holding(JSON_TEXT, JSON_TEXT)) == MADE
    with pytest.raises(MidiError, match="<bytes>: provenance: the file holds 2 that differ"):
        read_provenance(holding(JSON_TEXT, JSON_TEXT.replace(b'"seed":7', b'"seed":8')))


DEEP = {"a": 1}  # 8 levels
for _ in range(7):
    DEEP = {"a": DEEP}

HOSTILE = {
    "cut": (holding(JSON_TEXT[:-1]), "damaged"),
    "cut early": (holding(b"espressivo:{"), "damaged"),
    "more after it": (holding(JSON_TEXT + b"{}"), "damaged"),
    "code": (holding(b"espressivo:{__import__('os').abort()}"), "damaged"),
    "not ASCII": (holding(JSON_TEXT.replace(b"F#", b"F\xff")), "damaged"),
    "UTF-8": (holding(JSON_TEXT.replace(b"F#", "Fü".encode())), "damaged"),
    "huge": (holding(JSON_TEXT.replace(b"F#", b"F" * 66_000)), "at most 65536"),
    "huge and damaged": (holding(b"espressivo:{" + b"x" * 66_000), "at most 65536"),
    "nested": (holding(b'espressivo:{"a":' + b"[" * 60_000), "damaged"),
    "nested objects": (holding(b"espressivo:" + b'{"a":' * 10_000), "damaged"),
    "long number": (holding(JSON_TEXT.replace(b":7,", b":" + b"7" * 5000 + b",")), "damaged"),
    "no fields": (holding(b"espressivo:{}"), "missing field 'command'"),
    "field too many": (with_fields(path="/etc/passwd"), "unknown field 'path'"),
    "long field": (with_fields(**{"x\n" * 9999: 1}), "unknown field 'x\\n"),
    "nested settings": (with_fields(settings={"b": DEEP}), "more than 8 deep"),
    "infinite setting": (with_fields(settings={"a": float("inf")}), "plain JSON values"),
    "NaN setting": (with_fields(settings={"a": [float("nan")]}), "plain JSON values"),
    "overflowing setting": (
        holding(JSON_TEXT.replace(b"0.9", b"1e999")), "plain JSON values"
    ),
    **{
        f"without {name}": (with_fields(**{name: ...}), f"missing field '{name}'")
        for name in PLAIN
    },
    **{
        f"{name} {value!r:.20}": (with_fields(**{name: value}), name)
        for name, values in {
            "model": [None, 7, [], {}, True, "", "x" * 201, "a\nb", "\x1b[31m", "\ud800"],
            "licence": [None, 7, [], "", "x" * 201, "a\0"],
            "command": [None, 7, "", "a\rb"],
            "version": [None, 0.1, [0, 1, 0], ""],
            "model_sha256": [None, 7, "", "0" * 63, "0" * 65, "0" * 64 + "\n", "G" * 64, "A" * 64],
            "primer_sha256": [7, False, "", "0" * 63, "/tmp/primer.mid"],  # noqa: S108 (a value)
            "seed": [None, -1, 7.0, True, "7", [7], float("nan")],
            "settings": [None, [], "{}", 1, True],
        }.items()
        for value in values
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_provenance_is_refused_in_one_short_line(name, tmp_path):
    data, reason = HOSTILE[name]
    with pytest.raises(MidiError) as caught:
        read_provenance(data)
    message = str(caught.value)
    assert message.startswith("<bytes>: provenance: ")
    assert reason in message
    assert "\n" not in message and message.isprintable() and len(message) < 300
    path = tmp_path / "take.mid"
    path.write_bytes(data)
    with pytest.raises(MidiError) as from_file:
        read_provenance(path)
    assert str(from_file.value) == message.replace("<bytes>", str(path), 1)
    assert len(midi.read(path)) == 1  # the music is there all the same


def test_eight_levels_of_settings_are_allowed():
    assert read_provenance(with_fields(settings=DEEP)).settings == DEEP


@given(st.binary(max_size=60), st.integers(0, len(JSON_TEXT)), st.integers(0, len(JSON_TEXT)))
def test_random_damage_gives_a_provenance_none_or_an_error(junk, start, end):
    try:
        found = read_provenance(holding(JSON_TEXT[:start] + junk + JSON_TEXT[end:]))
    except MidiError as error:
        assert str(error).startswith("<bytes>: provenance: ") and "\n" not in str(error)
    else:
        assert found is None or isinstance(found, Provenance)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": -1}, "seed must be a whole number, at least 0, not -1"),
        ({"seed": 10**5000}, "provenance: "),
        ({"settings": {"a": np.int64(1)}}, "not a value of type int64"),
        ({"settings": {1: 2}}, "plain JSON values, not an object"),
        ({"settings": {"a": "x" * 70_000}}, "at most 65536"),
        ({"model": ""}, "model must be a text of 1..200 printable characters, not ''"),
    ],
)
def test_what_could_not_be_read_is_not_made(changes, reason):
    with pytest.raises(MidiError, match=r"^provenance: [^\n]*$") as caught:
        dataclasses.replace(MADE, **changes)
    assert reason in str(caught.value)


def test_what_is_no_midi_file_is_refused(tmp_path):
    for data, reason in ((b"", "empty"), (b"Once upon", "not a MIDI file")):
        with pytest.raises(MidiError, match=f"^<bytes>: .*{reason}"):
            read_provenance(data)
    with pytest.raises(MidiError, match=r"missing\.mid: cannot be read: No such file"):
        read_provenance(tmp_path / "missing.mid")
    broken = midi_file(track(NOTE), track([(0, b"\x3c\x40")]))
    with pytest.raises(MidiError, match="<bytes>: damaged: track 2, byte 0"):
        read_provenance(broken)


def test_the_largest_text_that_is_written_is_read():
    room = provenance.MAX_TEXT_BYTES - len(JSON_TEXT) + len("F# minor")
    made = dataclasses.replace(MADE, settings=MADE.settings | {"key": "x" * room})
    assert read_provenance(midi.to_bytes(PERFORMANCE, provenance=made)) == made
    with pytest.raises(MidiError, match="takes 65537 bytes"):
        dataclasses.replace(MADE, settings=MADE.settings | {"key": "x" * (room + 1)})
