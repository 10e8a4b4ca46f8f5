import json

import numpy as np
import pytest

from espressivo import Performance, midi
from espressivo.errors import MidiError
from espressivo.midi import ChannelInfo
from espressivo.music import CONTROL_DTYPE, NOTE_DTYPE
from midi_bytes import control, meta, midi_file, off, on, one_track, program, smpte, tempo, track
from test_provenance import JSON_TEXT, LINE, MADE

NOTE = ((0, on(60)), (480, off(60)))


@pytest.fixture
def describe(tmp_path):
    def described(data):
        path = tmp_path / "file.mid"
        path.write_bytes(data)
        return midi.describe(path)

    return described


def test_a_written_file(describe):
    performance = Performance(
        np.array([(0.01, 0.5, 60, 70), (1, 2, 62, 1)], NOTE_DTYPE),
        np.array([(0.01, 64, 127), (3, 64, 0), (3, 67, 1)], CONTROL_DTYPE),
    )
    info = describe(midi.to_bytes(performance, provenance=MADE, key_signature=(3, True)))
    assert info.to_dict() == {
        "type": 1,
        "ticks_per_quarter": 480,
        "smpte": None,
        "seconds": 3.0,
        "tracks": ("", "Piano"),
        "tempo_events": 1,
        "tempo_range": (125.0, 125.0),
        "time_signatures": ("4/4",),
        "key_signatures": ((3, True),),
        "channels": ({"channel": 1, "program": 0, "notes": 2},),
        "pedals": {"sustain": 2, "sostenuto": 0, "soft": 1},
        "texts": (("copyright", "CC BY-NC-SA 4.0"), ("text", LINE.decode())),
        "provenance": MADE.to_dict(),
        "provenance_error": None,
        "oddities": (),
    }
    assert info.provenance == MADE
    json.dumps(info.to_dict(), allow_nan=False)
    assert info.lines() == [
        "type 1, 480 ticks per quarter note, 3.00 s",
        "track 1: (no name)",
        "track 2: Piano",
        "tempo: 125 quarter notes a minute (tempo events: 1)",
        "time signature: 4/4",
        "key signature: F# minor",
        "notes on channel 1, program 0: 2",
        "pedal movements: sustain 2, soft 1",
        "copyright: CC BY-NC-SA 4.0",
        f"text: {LINE.decode()}",
        "model: espressivo",
        f"model_sha256: {MADE.model_sha256}",
        "licence: CC BY-NC-SA 4.0",
        "seed: 7",
        'settings: {"changes": [[20.0, {"density": 12}]], "key": "F# minor", "temperature": 0.9}',
        f"primer_sha256: {MADE.primer_sha256}",
        "command: generate",
        "version: 0.1.0",
    ]


def test_a_file_of_others(describe):
    info = describe(
        midi_file(
            track(
                [
                    (0, tempo(1_000_000)), (0, tempo(250_000)), (9, tempo(500_000)),
                    (0, meta(0x58, b"\x03\x02\x18\x08")), (0, meta(0x58, b"\x06\x03\x18\x08")),
                    (0, meta(0x58, b"\x03\x02\x18\x08")), (0, meta(0x58, b"\x03")),
                    (0, meta(0x58, b"\x03\xff\x18\x08")),
                    (0, meta(0x59, b"\xf9\x00")), (0, meta(0x59, b"\x00\x01")),
                    (0, meta(0x59, b"\x08\x00")), (0, meta(0x59, b"\x05\x02")),
                    (0, meta(0x59, b"\x00")), (0, meta(5, b"la\r\n")), (0, meta(6, b"\x1b[1mA")),
                ]
            ),
            track([(0, meta(3, b"na\xefve")), (0, meta(3, b"other")), *NOTE, *NOTE]),
            track([(0, program(40, 1)), (0, on(60, 9, 1)), (9, on(60, 0, 1)), (0, program(7, 1)),
                   (0, on(61, 9, 1)), (9, off(61, 1)), (0, control(66, 1, 1)), *NOTE,
                   (0, on(35, 9, 9)), (1, off(35, 9))]),
        )
    )  # fmt: skip
    assert info.tracks == ("", "naïve", "")
    assert (info.tempo_events, info.tempo_range) == (3, (60.0, 240.0))
    assert info.time_signatures == ("3/4", "6/8")
    assert info.key_signatures == ((-7, False), (0, True))
    assert info.channels == (
        ChannelInfo(1, 0, 3), ChannelInfo(2, 7, 1), ChannelInfo(2, 40, 1), ChannelInfo(10, 0, 1),
    )  # fmt: skip
    assert info.pedals == {"sustain": 0, "sostenuto": 1, "soft": 0}
    assert info.texts == (("lyric", "la"), ("marker", "[1mA"))
    assert info.provenance is info.provenance_error is None
    lines = info.lines()
    assert "tempo: 60 to 240 quarter notes a minute (tempo events: 3)" in lines
    assert "key signature: Cb major, A minor" in lines
    assert "notes on channel 10, drums: 1" in lines


@pytest.mark.parametrize(
    ("sharps", "major", "minor"),
    [(-7, "Cb", "Ab"), (-3, "Eb", "C"), (0, "C", "A"), (7, "C#", "A#")],
)
def test_keys_have_their_names(describe, sharps, major, minor):
    data = sharps.to_bytes(1, "big", signed=True)
    info = describe(one_track((0, meta(0x59, data + b"\0")), (0, meta(0x59, data + b"\1")), *NOTE))
    assert f"key signature: {major} major, {minor} minor" in info.lines()


def test_smpte_files_have_no_ticks_per_quarter(describe):
    info = describe(one_track(*NOTE, division=smpte(25, 40)))
    assert (info.ticks_per_quarter, info.smpte, info.seconds) == (None, (25, 40), 0.48)
    assert info.lines()[0] == "type 0, SMPTE, 25 frames a second of 40 ticks, 0.48 s"
    assert info.tempo_range is None


def test_of_many_texts_ten_are_shown(describe):
    info = describe(one_track(*((0, meta(5, b"la")) for _ in range(12)), *NOTE))
    assert len(info.texts) == 12
    assert info.lines().count("lyric: la") == 10
    assert info.lines()[-1] == "... and 2 more texts"


def test_of_many_tracks_ten_are_shown(describe):
    info = describe(midi_file(*[track(NOTE)] * 14))
    assert len(info.tracks) == 14
    assert info.lines()[10:12] == ["track 10: (no name)", "... and 4 more tracks"]


def test_oddities_are_listed_each_kind_once(describe):
    events = [(0, on(60, 200)), (0, on(200)), (0, b"\xf5"), *NOTE]
    info = describe(midi_file(track(NOTE), track(events), count=1) + b"more")
    assert info.oddities == (
        "the header says that there are 1 tracks, and there are 2",
        "4 bytes follow the last chunk: left out",
        "track 2, byte 0: a message with a data byte above 127, 2 times",
        "track 2, byte 8: 0xF5, the status of no event",
    )
    assert info.lines()[-4:] == [f"odd: {oddity}" for oddity in info.oddities]
    assert info.channels == (ChannelInfo(1, 0, 2),)


def test_a_damaged_provenance_does_not_hide_the_file(describe):
    info = describe(one_track((0, meta(1, JSON_TEXT[:-1])), *NOTE))
    assert info.provenance is None
    assert info.provenance_error.startswith("provenance: damaged: ")
    assert info.lines()[-1] == info.provenance_error


def test_a_damaged_file_is_refused_as_read_refuses_it(tmp_path):
    path = tmp_path / "bad.mid"
    for data in (b"", one_track((0, b"\x3c\x40"), *NOTE)):
        path.write_bytes(data)
        with pytest.raises(MidiError) as by_read:
            midi.read(path)
        with pytest.raises(MidiError) as caught:
            midi.describe(path)
        assert str(caught.value) == str(by_read.value)
