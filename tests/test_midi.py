import io
import multiprocessing
import os
import random
from collections import defaultdict, deque
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from espressivo import Performance, midi
from espressivo.codes import vocabulary
from espressivo.errors import MidiError
from espressivo.midi import reading, smf
from espressivo.music.performance import (
    CONTROL_DTYPE,
    NOTE_DTYPE,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
)
from midi_bytes import (
    END,
    chunk,
    control,
    exclusive,
    header,
    meta,
    midi_file,
    number,
    off,
    on,
    one_track,
    program,
    riff,
    smpte,
    tempo,
    track,
)
from strategies import performances

NOTE = ((0, on(60)), (480, off(60)))  # half a second at the default tempo


def rows(performance):
    return performance.notes.tolist()


def moves(performance):
    return performance.controls.tolist()


def seconds(data):
    """Onset and end of each note."""
    return [(onset_s, offset_s) for onset_s, offset_s, _, _ in rows(midi.from_bytes(data))]


# An independent reader: from events to notes by the rules at the top of the module, in fractions.


def seconds_at(tick, tempos, division):
    """Add up the seconds of a tempo map exactly; `tempos` in the order of the file."""
    at, total, current = 0, Fraction(0), 500_000
    for start, microseconds in sorted(tempos, key=lambda pair: pair[0]):
        if start <= tick:
            total += Fraction((start - at) * current, division * 10**6)
            at, current = start, microseconds
    return total + Fraction((tick - at) * current, division * 10**6)


def interpret(tracks, programs=None):
    """Return notes (start, end, pitch, velocity), pedal moves and tempos in ticks."""
    notes, tempos, pedal_moves, playing = [], [], defaultdict(list), set()
    for events in tracks:
        tick, current, sounding = 0, [0] * 16, defaultdict(deque)
        for gap, message in events:
            tick += gap
            kind, channel = message[0] & 0xF0, message[0] & 0x0F
            key = (channel, message[1] if len(message) > 1 else None)
            if message[:2] == b"\xff\x51":
                tempos.append((tick, int.from_bytes(message[3:], "big")))
            elif kind == 0xC0:
                current[channel] = message[1]
            elif channel == 9 or kind >= 0xF0:
                continue
            elif kind == 0x90 and message[2]:
                if programs is None or current[channel] in programs:
                    sounding[key].append((tick, message[2]))
            elif kind in (0x80, 0x90) and sounding[key]:
                start, velocity = sounding[key].popleft()
                if tick > start:
                    playing.add(channel)
                    notes.append((start, tick, message[1], velocity))
            elif kind == 0xB0 and message[1] in (64, 66, 67):
                pedal_moves[message[1]].append((tick, channel, message[2]))
    if not playing and programs is None:
        playing = set(range(16))
    merged = []
    for pedal, moved in pedal_moves.items():
        moved = sorted((m for m in moved if m[1] in playing), key=lambda move: move[0])
        channels = {channel: 0 for _, channel, _ in moved}
        for position, (tick, channel, value) in enumerate(moved):
            channels[channel] = value
            last_of_tick = position + 1 == len(moved) or moved[position + 1][0] > tick
            if len(channels) == 1:
                merged.append((tick, pedal, value))
            elif last_of_tick:
                merged.append((tick, pedal, max(channels.values())))
    return sorted(notes), sorted(merged, key=lambda move: move[:2]), tempos


GAPS = st.sampled_from([0, 0, 1, 10, 127, 128, 8192, 9000, 16384, 3_000_000])
CHANNELS = st.sampled_from([0, 0, 0, 1, 9, 15])
BYTES = st.integers(0, 127)
PITCHES = st.sampled_from([0, 60, 60, 61, 127])
MESSAGES = st.one_of(
    st.builds(on, PITCHES, st.sampled_from([0, 1, 64, 127]), CHANNELS),
    st.builds(off, PITCHES, CHANNELS),
    st.builds(control, st.sampled_from([1, 64, 64, 66, 67]), BYTES, CHANNELS),
    st.builds(program, st.sampled_from([0, 5]), CHANNELS),
    st.builds(tempo, st.sampled_from([1, 300_000, 500_000, 700_001])),
    st.builds(exclusive, st.sampled_from([b"", b"\xf7", b"\x7e\x09\x01\xf7", b"\x90\xf0"])),
    st.sampled_from([b"\xf7\x03\xf3\x90\x40", b"\xf8", b"\xfe", b"\xf1\x05", b"\xf2\x05\x05"]),
    st.builds(meta, st.sampled_from([1, 3, 5, 0x59]), st.sampled_from([b"", b"\xff\x90", b"abc"])),
    st.builds(lambda c, v: bytes((0xE0 | c, v, v)), CHANNELS, BYTES),
    st.builds(lambda c, v: bytes((0xD0 | c, v)), CHANNELS, BYTES),
    st.builds(lambda c, v: bytes((0xA0 | c, v, v)), CHANNELS, BYTES),
)
TRACKS = st.lists(st.lists(st.tuples(GAPS, MESSAGES), max_size=25), min_size=1, max_size=3)


def running(events):
    """Leave out each status that equals that of the channel message before."""
    before, shorter = None, []
    for gap, message in events:
        status = message[0]
        shorter.append((gap, message[1:] if status == before else message))
        if status < 0xF0:
            before = status
    return shorter


def assert_read_rightly(performance, notes, pedal_moves, tempos, division=480):
    def in_seconds(tick):
        return float(seconds_at(tick, tempos, division))

    got = sorted(rows(performance), key=lambda row: (row[0], row[2], row[1], row[3]))
    want = sorted(
        ((in_seconds(a), in_seconds(b), *rest) for a, b, *rest in notes),
        key=lambda row: (row[0], row[2], row[1], row[3]),
    )
    assert np.array(got).reshape(-1, 4) == pytest.approx(
        np.array(want).reshape(-1, 4), rel=1e-12, abs=1e-9
    )
    for pedal in (64, 66, 67):
        mine = [(time_s, value) for time_s, which, value in moves(performance) if which == pedal]
        other = [(in_seconds(tick), value) for tick, which, value in pedal_moves if which == pedal]
        assert np.array(mine).reshape(-1, 2) == pytest.approx(
            np.array(other).reshape(-1, 2), rel=1e-12, abs=1e-9
        )


@given(TRACKS, st.booleans(), st.sampled_from([None, {0}, {5}, {0, 5}]))
@example([[(0, on(60)), (10, program(5)), (0, control(64, 99)), (5, off(60))]], False, None)
@example([[(0, on(60)), (9000, on(60)), (1, off(60)), (1, off(60))]], True, None)
def test_reading_does_what_its_rules_say(tracks, leave_out_status, programs):
    notes, pedal_moves, tempos = interpret(tracks, programs)
    written = [running(events) if leave_out_status else events for events in tracks]
    performance = midi.from_bytes(midi_file(*map(track, written)), programs=programs)
    assert_read_rightly(performance, notes, pedal_moves, tempos)


# Notes and pedals


def test_a_note_on_without_velocity_ends_a_note():
    assert seconds(one_track((0, on(60)), (480, on(60, 0)))) == [(0, 0.5)]


def test_overlapping_notes_of_a_pitch_end_in_the_order_of_their_beginnings():
    data = one_track((0, on(60, 1)), (480, on(60, 2)), (480, off(60)), (480, off(60)))
    assert rows(midi.from_bytes(data)) == [(0, 1, 60, 1), (0.5, 1.5, 60, 2)]


def test_unmatched_and_empty_notes_are_left_out():
    data = one_track((0, off(60)), (0, on(62)), (0, off(62)), (0, on(64)), (9, off(65)), *NOTE)
    assert len(midi.from_bytes(data)) == 1


def test_channels_are_paired_apart_and_drums_are_left_out():
    data = one_track(
        (0, on(60, 1, 0)), (0, on(60, 2, 1)), (0, on(60, 3, 9)),
        (480, off(60, 1)), (0, off(60, 9)), (480, off(60, 0)),
    )  # fmt: skip
    assert rows(midi.from_bytes(data)) == [(0, 1, 60, 1), (0, 0.5, 60, 2)]


def test_tracks_are_paired_apart_and_merged():
    data = midi_file(track(((480, on(62)), (480, off(62)))), track(NOTE), track([]))
    assert [(row[0], row[2]) for row in rows(midi.from_bytes(data))] == [(0, 60), (0.5, 62)]


def test_only_the_pedals_are_kept_of_the_controllers():
    events = [(0, control(which, 100)) for which in range(128)]
    performance = midi.from_bytes(one_track(*events, *NOTE))
    assert performance.controls["number"].tolist() == [SUSTAIN, SOSTENUTO, SOFT]


def test_simultaneous_movements_of_one_source_are_kept_in_order():
    data = one_track((0, control(67, 5)), *((0, control(64, v)) for v in (127, 0, 90)), *NOTE)
    assert moves(midi.from_bytes(data)) == [(0, 67, 5), (0, 64, 127), (0, 64, 0), (0, 64, 90)]


def test_a_pedal_moved_on_several_channels_is_as_deep_as_the_deepest():
    data = midi_file(
        track([(0, control(64, 100)), (480, control(64, 0)), *NOTE]),
        track(
            [
                (240, control(64, 60, 1)),
                (480, control(64, 0, 1)),
                (0, on(70, 9, 1)),
                (9, off(70, 1)),
            ]
        ),
    )
    assert moves(midi.from_bytes(data)) == [
        (0, 64, 100), (0.25, 64, 100), (0.5, 64, 60), (0.75, 64, 0),
    ]  # fmt: skip


def test_a_pedal_on_a_track_of_its_own_belongs_to_the_notes_of_its_channel():
    data = midi_file(
        track([(0, control(64, 100)), (0, control(64, 90, 3)), (480, control(64, 0))]),
        track(NOTE),
        track([(240, control(64, 50))]),
    )
    assert moves(midi.from_bytes(data)) == [(0, 64, 100), (0.25, 64, 50), (0.5, 64, 0)]
    assert len(midi.from_bytes(data)) == 1


def test_a_note_without_length_does_not_make_its_channel_play():
    data = one_track((0, control(64, 9, 2)), (0, on(60, 9, 2)), (0, off(60, 2)), *NOTE)
    assert moves(midi.from_bytes(data)) == []


def test_the_deepest_of_many_sources_is_found_one_movement_after_another():
    rng = np.random.default_rng(0)
    sources = []
    for count in rng.integers(0, 40, 30).tolist():
        time = np.sort(rng.integers(0, 50, count))
        sources.append((time, rng.choice([64, 66, 67], count), rng.integers(0, 128, count)))
    time, number, value = reading.deepest(sources)
    assert (np.diff(time) >= 0).all()
    for pedal in (64, 66, 67):
        ours = number == pedal
        assert time[ours].tolist() == sorted({t for ts, ns, _ in sources for t in ts[ns == pedal]})
        for at, depth in zip(time[ours], value[ours], strict=True):
            standing = [v[(n == pedal) & (t <= at)][-1:].sum() for t, n, v in sources]
            assert depth == max(standing)


def test_pedals_without_any_note_are_kept():
    data = midi_file(track([(0, tempo(500_000))]), track([(480, control(64, 99, 3))]))
    assert moves(midi.from_bytes(data)) == [(0.5, 64, 99)]
    assert len(midi.from_bytes(data)) == 0


def test_only_chosen_programs_are_kept():
    data = midi_file(
        track(
            [
                (0, program(4)),
                (0, control(64, 9)),
                *NOTE,
                (0, program(5)),
                (0, on(62)),
                (9, off(62)),
            ]
        ),
        track([(0, on(64, 64, 2)), (9, off(64, 2))]),
    )

    def pitches(programs):
        return midi.from_bytes(data, programs=programs).notes["pitch"].tolist()

    assert pitches(None) == [60, 64, 62]
    assert pitches([4]) == [60]
    assert pitches({0, 5}) == [64, 62]
    assert pitches([7]) == pitches([]) == []
    assert len(midi.from_bytes(data, programs=[0]).controls) == 0
    assert len(midi.from_bytes(data, programs=[5]).controls) == 1
    for wrong in (-1, 128):
        with pytest.raises(ValueError, match=r"0\.\.127"):
            midi.from_bytes(data, programs=[wrong])


# Time


def test_without_a_tempo_there_are_120_quarter_notes_a_minute():
    assert seconds(one_track(*NOTE)) == [(0, 0.5)]
    assert seconds(one_track(*NOTE, division=960)) == [(0, 0.25)]


def test_tempo_events_of_every_track_count():
    data = midi_file(
        track([(480, tempo(1_000_000))]), track([(0, on(60)), (1440, off(60))]),
        track([(960, tempo(250_000))]),
    )  # fmt: skip
    assert seconds(data) == [(0, 0.5 + 1 + 0.25)]


@pytest.mark.parametrize("count", [2, 30, 200])
def test_of_several_tempos_at_one_tick_the_last_in_the_file_counts(count):
    tempos = [(0, tempo(1_000 * n)) for n in range(1, count)] + [(0, tempo(600_000))]
    assert seconds(one_track(*tempos, *NOTE)) == [(0, 0.6)]
    assert seconds(midi_file(track([(0, tempo(100_000))]), track([*tempos, *NOTE]))) == [(0, 0.6)]


@given(
    st.sampled_from([1, 96, 384, 480, 9600, 32767]),
    st.lists(
        st.tuples(
            st.integers(0, 2000), st.sampled_from([1, 400_000, 500_000, 612_345, 16_777_215])
        ),
        max_size=30,
    ),
)
def test_times_are_those_of_pretty_midi_to_the_last_bit(division, changes):
    changes = sorted(changes, key=lambda change: change[0])
    gaps = np.diff([0, *(tick for tick, _ in changes)]).tolist()
    tempos = track((gap, tempo(value)) for gap, (_, value) in zip(gaps, changes, strict=True))
    notes = track([(0, on(60)), *[(7, off(60)), (0, on(60))] * 300, (1, off(60))])
    performance = midi.from_bytes(midi_file(tempos, notes, division=division))

    # As pretty_midi builds its table of all ticks.
    scales = [(0, 60.0 / (120.0 * division))]
    for tick, value in changes:
        scale = 60.0 / ((6e7 / value) * division)
        if tick == 0:
            scales = [(0, scale)]
        elif scale != scales[-1][1]:
            scales.append((tick, scale))
    table, last_s = np.zeros(3000), 0.0
    for (start, scale), (end, _) in zip(scales, [*scales[1:], (2999, 0.0)], strict=True):
        table[start : end + 1] = last_s + scale * np.arange(end - start + 1)
        last_s = table[end]
    if performance.seconds < midi.MAX_SECONDS:
        assert performance.notes["onset_s"].tolist() == table[np.arange(301) * 7].tolist()


@pytest.mark.parametrize(
    ("frames", "rate"), [(24, 24), (25, 25), (29, Fraction(30000, 1001)), (30, 30)]
)
@pytest.mark.parametrize("ticks_per_frame", [1, 40, 100, 255])
def test_smpte_divisions_have_no_tempo(frames, rate, ticks_per_frame):
    data = one_track((0, tempo(9_000_000)), *NOTE, division=smpte(frames, ticks_per_frame))
    assert seconds(data) == [(0, pytest.approx(float(480 / (rate * ticks_per_frame))))]


@pytest.mark.parametrize("kind", [0, 1])
def test_types_0_and_1_play_their_tracks_together(kind):
    data = midi_file(track([(0, tempo(1_000_000))]), track(NOTE), kind=kind)
    assert seconds(data) == [(0, 1)]


def test_the_patterns_of_type_2_follow_one_another_each_in_its_own_tempo():
    data = midi_file(
        track([(0, tempo(1_000_000)), (0, control(64, 5)), *NOTE, (480, meta(1, b"rest"))]),
        track([(0, control(64, 6)), *NOTE]),
        kind=2,
    )
    performance = midi.from_bytes(data)
    assert [row[:2] for row in rows(performance)] == [(0, 1), (2, 2.5)]
    assert moves(performance) == [(0, 64, 5), (2, 64, 6)]


def test_absurdly_long_files_are_refused():
    long = one_track(*NOTE, *[(0x0FFFFFFF, control(1, 1))] * 3, *NOTE)
    with pytest.raises(MidiError, match="hours"):
        midi.from_bytes(long)
    with pytest.raises(MidiError, match="too late"):
        midi.from_bytes(one_track(*[(0x0FFFFFFF, control(1, 1))] * 9, *NOTE))


@pytest.mark.parametrize("count", [160_000, 300_000])  # beyond 31 bits, and once around 32
def test_times_beyond_32_bits_are_refused(count):
    data = b"".join((b"\x00\xd0\x01", b"\xef\x7f\x01" * count, track(NOTE)[8:]))
    with pytest.raises(MidiError, match="too late"):
        midi.from_bytes(midi_file(chunk(b"MTrk", data), division=32767))


# Containers


def test_alien_chunks_are_skipped():
    data = midi_file(chunk(b"XFIH", b"abc"), track(NOTE), chunk(b"XFKM", b"abc"), count=1)
    assert seconds(data) == [(0, 0.5)]


@pytest.mark.parametrize("kind", [1, 2])
def test_empty_tracks_are_not_parsed(kind, monkeypatch):
    data = midi_file(*[track([])] * 65_535, kind=kind)
    monkeypatch.delattr("symusic.core.ScoreTick")
    assert len(midi.from_bytes(data)) == 0


def test_a_longer_header_is_read():
    data = chunk(b"MThd", header(0, 1, 480)[8:] + b"more") + track(NOTE)
    assert seconds(data) == [(0, 0.5)]


def test_riff_files_are_unwrapped():
    data = one_track(*NOTE)
    for wrapped in (riff(data), riff(one_track((0, meta(1, b"x")), *NOTE))):
        assert seconds(wrapped) == [(0, 0.5)]
    info = chunk(b"MThd", b"")[:4] + (3).to_bytes(4, "little") + b"odd\x00"
    body = riff(data)[8:12] + info + riff(data)[12:]
    assert seconds(b"RIFF" + len(body).to_bytes(4, "little") + body) == [(0, 0.5)]


def test_a_track_may_lack_its_end():
    assert seconds(midi_file(track(NOTE, end=False))) == [(0, 0.5)]
    assert seconds(midi_file(chunk(b"MTrk", b""), track(NOTE))) == [(0, 0.5)]


@pytest.mark.parametrize("size", [100, 60_000])
def test_long_tracks_are_read_like_short_ones(size):
    performance = midi.from_bytes(one_track(*[(100, on(60)), (100, off(60))] * size))
    assert len(performance) == size
    ticks = np.arange(size) * 200 + 100
    assert performance.notes["onset_s"] == pytest.approx(ticks / 960)


# Faults

GOOD = midi_file(
    track([(0, tempo(400_000)), (0, meta(3, b"name")), (0, exclusive(b"\x01\xf7"))]),
    track([(0, program(1)), (0, control(64, 127)), *NOTE, (9, on(61)), (200, on(61, 0))]),
)


@pytest.mark.parametrize("data", [GOOD, riff(GOOD), one_track(*NOTE)])
def test_a_file_cut_within_a_chunk_is_refused(data):
    midi.from_bytes(data)
    between = {data.rfind(b"MTrk")} if data is GOOD else set()
    for length in set(range(len(data))) - between:
        with pytest.raises(MidiError, match=r"^cut: [^\n]+$"):
            midi.from_bytes(data[:length], "cut")


@pytest.mark.parametrize(
    "inside", [on(60), program(1), tempo(9), exclusive(b"123"), meta(1, b"abc")]
)
def test_a_track_that_ends_within_an_event_is_refused(inside):
    data = b"".join(number(gap) + message for gap, message in NOTE) + b"\x81\x00" + inside
    for length in range(len(data) - len(inside) - 1, len(data)):
        with pytest.raises(MidiError, match="ends within an event"):
            midi.from_bytes(midi_file(chunk(b"MTrk", data[:length]), track(NOTE)))


FAULTS = {
    "empty": (b"", "empty"),
    "text": (b"Once upon a time", "not a MIDI file"),
    "short text": (b"M3", "not a MIDI file"),
    "zeros": (bytes(100), "not a MIDI file"),
    "leading junk": (b"\x00" + GOOD, "not a MIDI file"),
    "wave": (b"RIFF\x04\x00\x00\x00WAVE", "RIFF"),
    "riff without data": (b"RIFF\x04\x00\x00\x00RMID", "RIFF"),
    "riff of text": (riff(b"some text"), "not a MIDI file"),
    "header of 5": (b"MThd\x00\x00\x00\x05" + GOOD[8:], "header"),
    "header of 4 GB": (b"MThd\xff\xff\xff\xff" + GOOD[8:], "truncated"),
    "no tracks": (midi_file(), "no tracks"),
    "no track of two": (midi_file(count=2), "no tracks"),
    "half a track": (midi_file(track(NOTE), track(NOTE)[:-1]), "track 2 of 2"),
    "too many tracks": (midi_file(*[track(NOTE)] * 1025), "1025 of its tracks play"),
    "division 0": (one_track(*NOTE, division=0), "0 ticks per quarter"),
    "26 frames": (one_track(*NOTE, division=smpte(26, 40)), "26 frames"),
    "0 ticks per frame": (one_track(*NOTE, division=smpte(25, 0)), "0 ticks"),
    "tempo 0": (one_track((0, tempo(0)), *NOTE), "tempo"),
    "tempo of 2 bytes": (one_track((0, meta(0x51, b"\x07\xa1")), *NOTE), "tempo"),
    "tempo of 0 bytes": (one_track((0, meta(0x51)), *NOTE), "tempo"),
    "tempo of 4 bytes": (one_track((0, meta(0x51, b"\x07\xa1\x20\x00")), *NOTE), "tempo"),
    "no status": (one_track((0, b"\x3c\x40"), *NOTE), "data byte 60"),
    "no status later": (one_track((0, tempo(9)), (0, b"\x3c\x40"), *NOTE), "data byte 60"),
    "number of 5": (midi_file(chunk(b"MTrk", b"\x81\x80\x80\x80\x00" + on(60))), "four bytes"),
    "text beyond the end": (one_track(*NOTE, (0, b"\xff\x01\x7f" + b"a")), "ends within"),
    "exclusive of 256 MB": (one_track(*NOTE, (0, b"\xf0\xff\xff\xff\x7f")), "ends within"),
    **{
        f"chunk of {length}": (
            header(1, 1, 480) + b"MTrk" + length.to_bytes(4, "big") + b"\x00" * 9,
            "t",
        )
        for length in (10, 1000, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
    },
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_refused_in_one_line_that_names_them(name, tmp_path):
    data, reason = FAULTS[name]
    with pytest.raises(MidiError) as caught:
        midi.from_bytes(data, "the name")
    assert str(caught.value).startswith("the name: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    path = tmp_path / "file.mid"
    path.write_bytes(data)
    with pytest.raises(MidiError) as from_file:
        midi.read(path)
    assert str(from_file.value) == str(caught.value).replace("the name", str(path), 1)


def test_faults_give_the_track_and_the_byte():
    data = midi_file(track(NOTE), track([*NOTE, (0, b"\xf0\x7f")], end=False))
    with pytest.raises(MidiError, match=r"^<bytes>: damaged: track 2, byte 9: the track ends"):
        midi.from_bytes(data)


# Oddities: what is sound is read

ODD_MESSAGE = "a message with a data byte above 127"
ODDITIES = {
    "a track too few": (midi_file(track(NOTE), count=2), "the header says that there are 2 tracks"),
    "no tracks said": (midi_file(track(NOTE), count=0), "the header says that there are 0 tracks"),
    "a track too many": (midi_file(track([]), track(NOTE), count=1), "and there are 2"),
    "65535 tracks": (midi_file(track(NOTE), count=65535), "65535 tracks, and there are 1"),
    "type 3": (midi_file(track(NOTE), kind=3), "type 3, which is unknown: read as type 1"),
    "type 65535": (midi_file(track([]), track(NOTE), kind=65535), "type 65535, which is unknown"),
    "trailing bytes": (midi_file(track(NOTE)) + b"MTrk\xff garbage", "13 bytes follow the last"),
    "trailing zeros": (midi_file(track(NOTE)) + bytes(99), "99 bytes follow the last chunk"),
    "after the end": (
        midi_file(chunk(b"MTrk", track(NOTE)[8:] + b"\x00\x9f\xff\xff\xff")),
        "track 1, byte 13: bytes after the end of the track",
    ),
    **{
        f"status {status:02x}": (
            midi_file(track([]), track([NOTE[0], (0, bytes((status,))), NOTE[1]])),
            f"track 2, byte 4: 0x{status:02X}, the status of no event",
        )
        for status in (0xF4, 0xF5, 0xF9, 0xFD)
    },
    **{
        f"pitch {pitch} on {status:02x}": (
            one_track(*NOTE, (0, bytes((status, pitch, 64))), (9, control(1, 1))),
            f"track 1, byte 9: {ODD_MESSAGE}",
        )
        for status in (0x80, 0x83, 0x8F, 0x90, 0x95, 0x9E, 0x9F)
        for pitch in (*range(128, 256, 11), 255)
    },
    **{
        f"first byte {value} of {status:02x}": (
            one_track((0, bytes((status, value, 0)[: 2 if status < 0xE0 else 3])), *NOTE),
            f"track 1, byte 0: {ODD_MESSAGE}",
        )
        for status in (0xC0, 0xC9, 0xDF, 0xE1)
        for value in (128, 144, 192, 240, 255)
    },
    **{
        f"second byte {value} of {status:02x}": (
            one_track((0, bytes((status, 60, value))), (9, off(60, status & 15)), *NOTE),
            f"track 1, byte 0: {ODD_MESSAGE}",
        )
        for status in (0x90, 0x94, 0x9F, 0xB0, 0xB7)
        for value in (128, 144, 192, 240, 255)
    },
}


@pytest.mark.parametrize("name", ODDITIES)
def test_what_is_sound_in_an_odd_file_is_read_and_the_rest_said_once(name, caplog, tmp_path):
    data, words = ODDITIES[name]
    performance = midi.from_bytes(data, "the name")
    assert len(performance) == 1
    assert performance.seconds - performance.notes["onset_s"][0] == 0.5
    [line] = caplog.messages
    assert line.startswith("the name: ")
    assert words in line
    path = tmp_path / "odd.mid"
    path.write_bytes(data)
    assert f"the name: {'; '.join(midi.describe(path).oddities)}" == line
    assert caplog.messages == [line]


def test_an_odd_message_in_a_long_track_is_found(caplog):
    notes = [(0, on(60)), (9, off(60))] * 50_000
    data = one_track(*notes, (0, on(60, 200)), (5, on(200)), (5, off(60)), *notes)
    assert len(midi.from_bytes(data)) == 100_000
    assert caplog.messages == [f"<bytes>: track 1, byte 400000: {ODD_MESSAGE}, 2 times"]


def test_of_many_oddities_one_is_said(caplog):
    data = midi_file(track([(0, b"\xf4"), *NOTE, (0, on(200))]), kind=9)
    assert len(midi.from_bytes(data)) == 1
    [line] = caplog.messages
    assert line == (
        "<bytes>: the header gives type 9, which is unknown: read as type 1; and 2 more oddities"
    )


def test_a_sound_file_is_not_odd(caplog):
    for data in (GOOD, riff(GOOD), one_track(*NOTE)):
        midi.from_bytes(data)
    assert caplog.messages == []


def test_paths_that_cannot_be_read_are_named(tmp_path):
    for path, reason in (
        (tmp_path / "missing.mid", "No such file"),
        (tmp_path, "a folder"),
        (Path("/dev/null"), "a pipe, a socket or a device"),
        (str(tmp_path / "nul\0byte"), "null"),
    ):
        with pytest.raises(MidiError, match=reason) as caught:
            midi.read(path)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="nothing is forbidden to the superuser, nor in this way on Windows",
)
def test_forbidden_files_are_named(tmp_path):
    path = tmp_path / "secret.mid"
    path.write_bytes(GOOD)
    path.chmod(0)
    with pytest.raises(MidiError, match="Permission denied"):
        midi.read(path)


def test_huge_files_are_refused_unread(tmp_path):
    path = tmp_path / "huge.mid"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: nothing is stored
    with pytest.raises(MidiError, match="are the most"):
        midi.read(path)


def mutated(data, rng):
    """Damage bytes the way transfers and careless writers do."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 10, 40])):
        at = rng.randrange(len(data) + 1)
        way = rng.randrange(5)
        if way == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif way == 1:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        elif way == 2:
            del data[at : at + rng.randrange(1, 9)]
        elif way == 3:
            data[at:at] = data[rng.randrange(len(data) + 1) :][: rng.randrange(200)]
        else:
            data[at:at] = rng.choice([b"\x9f\x80\x40", b"\xf4", b"\xff\x51\x00", b"\xff\x7f", END])
    return bytes(data)


def with_sound_chunks(data):
    """Give each track its right length, so that the damage within is met."""
    tracks = data.split(b"MTrk")[1:]
    return midi_file(*(chunk(b"MTrk", one[4:]) for one in tracks)) if tracks else data


def survive(seed, cases):
    rng = random.Random(seed)  # noqa: S311 (for tests)
    good = [
        GOOD,
        one_track(*NOTE * 20, (0, control(64, 9)), *NOTE * 20),
        midi_file(
            *[
                track([(i, m) for i in (0, 5) for m in (on(60, 64, c), off(60, c))])
                for c in range(16)
            ]
        ),
    ]
    read = refused = 0
    for _ in range(cases):
        data = mutated(rng.choice(good), rng)
        for damaged in (data, with_sound_chunks(data)):
            try:
                performance = midi.from_bytes(damaged)
            except MidiError as error:
                assert "\n" not in str(error)
                refused += 1
            else:
                assert isinstance(performance, Performance)
                read += 1
    assert min(read, refused) > cases / 10


def test_damaged_bytes_give_a_performance_or_a_midi_error():
    # In a process of its own: a fault in native code would end it.
    process = multiprocessing.get_context("spawn").Process(target=survive, args=(3, 2000))
    process.start()
    process.join()
    assert process.exitcode == 0


# Writing


def ticks(time_s):
    return np.rint(np.asarray(time_s) * midi.TICKS_PER_SECOND).astype(int)


@given(performances(max_notes=20, max_controls=20))
def test_what_is_written_is_read_again_to_the_nearest_tick(performance):
    again = midi.from_bytes(midi.to_bytes(performance))
    assert again.controls[["number", "value"]].tolist() == (
        performance.controls[["number", "value"]].tolist()
    )
    assert (
        ticks(again.controls["time_s"]).tolist() == ticks(performance.controls["time_s"]).tolist()
    )
    assert len(again) == len(performance)
    for pitch in range(128):
        mine, other = (p.notes[p.notes["pitch"] == pitch] for p in (performance, again))
        start = ticks(mine["onset_s"])
        # The first to begin is the first to end, and each lasts a tick at least.
        end = np.sort(np.maximum(ticks(mine["offset_s"]), start + 1))
        assert ticks(other["onset_s"]).tolist() == start.tolist()
        assert ticks(other["offset_s"]).tolist() == end.tolist()
        assert other["velocity"].tolist() == mine["velocity"].tolist()


@pytest.mark.parametrize("name", ["magenta", "pedal"])
@given(performance=performances(max_notes=20, max_controls=20))
def test_quantised_times_survive_writing(name, performance):
    v = vocabulary(name)
    quantised = v.quantise(performance)
    again = midi.from_bytes(midi.to_bytes(quantised))
    assert v.encode(again).tolist() == v.encode(quantised).tolist()


def test_times_are_rounded_once_to_a_millisecond_so_errors_do_not_add_up():
    onset_s = np.arange(3000) / 384
    performance = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.0026,
        pitch=[60] * len(onset_s),
        velocity=[64] * len(onset_s),
    )
    again = midi.from_bytes(midi.to_bytes(performance)).notes
    for name in ("onset_s", "offset_s"):
        assert np.abs(again[name] - performance.notes[name]).max() <= 0.0005 + 1e-9


def written(performance, *, conductor=(), name=b"Piano", key=None):
    """Build the bytes that should be written by hand; `performance` as events."""
    return midi_file(
        track(
            [
                *((0, meta(kind, text)) for kind, text in conductor),
                (0, tempo(480_000)),
                (0, meta(0x58, b"\x04\x02\x18\x08")),
                *([(0, meta(0x59, key))] if key else []),
            ]
        ),
        track([(0, meta(3, name)), (0, program(0)), *performance]),
        kind=1,
        division=480,
    )


SHORT = Performance(
    np.array([(0.01, 0.5, 60, 70)], NOTE_DTYPE), np.array([(0.01, 64, 127)], CONTROL_DTYPE)
)
SHORT_EVENTS = [(10, control(64, 127)), (0, on(60, 70)), (490, off(60))]


def test_written_bytes():
    assert midi.to_bytes(SHORT) == written(SHORT_EVENTS)
    assert midi.TICKS_PER_SECOND == 1000


def test_within_a_tick_pedals_come_first_then_the_ends_of_notes_then_beginnings():
    performance = Performance(
        np.array([(1, 2, 60, 1), (2, 3, 60, 2), (2, 2, 62, 3)], NOTE_DTYPE),
        np.array([(2, 64, 9), (2, 64, 0), (2.0004, 67, 1)], CONTROL_DTYPE),
    )
    assert midi.to_bytes(performance) == written(
        [
            (1000, on(60, 1)),
            (1000, control(64, 9)), (0, control(64, 0)), (0, control(67, 1)),
            (0, off(60)),
            (0, on(60, 2)), (0, on(62, 3)),
            (1, off(62)),
            (999, off(60)),
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("signature", "data"),
    [
        ((0, False), b"\x00\x00"),
        ((3, True), b"\x03\x01"),
        ((7, False), b"\x07\x00"),
        ((-1, False), b"\xff\x00"),
        ((-7, True), b"\xf9\x01"),
    ],
)
def test_a_key_signature_is_written_if_it_is_given(signature, data):
    assert midi.to_bytes(SHORT, key_signature=signature) == written(SHORT_EVENTS, key=data)
    assert midi.from_bytes(written(SHORT_EVENTS, key=data)) == SHORT


@pytest.mark.parametrize("sharps", [-8, 8, 1000])
def test_a_key_signature_out_of_range_is_refused(sharps, tmp_path):
    with pytest.raises(MidiError, match=rf"^a key signature has -7\.\.7 sharps .*not {sharps}$"):
        midi.to_bytes(SHORT, key_signature=(sharps, False))
    with pytest.raises(MidiError, match=r"^[^\n]*x\.mid: a key signature"):
        midi.write(SHORT, tmp_path / "x.mid", key_signature=(sharps, False))
    assert list(tmp_path.iterdir()) == []


def test_the_piano_track_can_be_named():
    assert midi.to_bytes(SHORT, name="Flügel") == written(SHORT_EVENTS, name="Flügel".encode())
    for wrong in ("a\nb", "x" * 201, "\x1b[1m"):
        with pytest.raises(MidiError, match=r"^the name of the track [^\n]*$"):
            midi.to_bytes(SHORT, name=wrong)


def test_a_written_file_is_read_by_pretty_midi_s_parser_as_it_was_meant():
    mido = pytest.importorskip("mido")
    file = mido.MidiFile(file=io.BytesIO(midi.to_bytes(SHORT, key_signature=(-3, True))))
    assert (file.type, file.ticks_per_beat, len(file.tracks)) == (1, 480, 2)
    assert file.length == pytest.approx(0.5)
    assert [message.type for message in file.tracks[0]] == [
        "set_tempo", "time_signature", "key_signature", "end_of_track",
    ]  # fmt: skip
    assert file.tracks[0][2].key == "Cm"
    assert (file.tracks[0][1].numerator, file.tracks[0][1].denominator) == (4, 4)
    assert [message.type for message in file.tracks[1]] == [
        "track_name", "program_change", "control_change", "note_on", "note_off", "end_of_track",
    ]  # fmt: skip


def test_an_empty_performance_can_be_written():
    empty = Performance(np.empty(0, NOTE_DTYPE))
    assert midi.from_bytes(midi.to_bytes(empty)) == empty


def test_a_pause_longer_than_a_number_can_say_is_bridged():
    late_s = 11 * 3600.0
    performance = Performance.from_arrays(
        onset_s=[0, late_s], offset_s=[1, late_s + 1], pitch=[60, 60], velocity=[64, 64]
    )
    assert midi.from_bytes(midi.to_bytes(performance)).notes["onset_s"][1] == pytest.approx(late_s)


def test_too_long_a_performance_is_not_written(tmp_path):
    path = tmp_path / "long.mid"
    for late_s in (12 * 3600 + 1, 1e300):
        performance = Performance.from_arrays(
            onset_s=[0], offset_s=[late_s], pitch=[60], velocity=[64]
        )
        with pytest.raises(MidiError, match="too long"):
            midi.to_bytes(performance)
        with pytest.raises(MidiError, match=r"long\.mid: .*too long"):
            midi.write(performance, path)
    assert list(tmp_path.iterdir()) == []


def test_write_replaces_a_file_or_leaves_it(tmp_path):
    path = tmp_path / "out.mid"
    performance = midi.from_bytes(GOOD)
    performance.write(path)
    assert path.read_bytes() == midi.to_bytes(performance)
    midi.write(midi.from_bytes(one_track(*NOTE)), str(path))
    assert len(midi.read(path)) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["out.mid"]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(MidiError, match="cannot be written: there is no folder"):
        midi.write(midi.from_bytes(GOOD), tmp_path / "missing" / "out.mid")
    with pytest.raises(MidiError, match="cannot be written: is a folder"):
        midi.write(midi.from_bytes(GOOD), tmp_path)


@pytest.mark.slow
def test_real_files_read_the_same_when_every_event_is_walked(monkeypatch):
    folder = os.environ.get("ESPRESSIVO_DATA")
    if not folder:
        pytest.skip("ESPRESSIVO_DATA does not name the data")
    paths = sorted(Path(folder).rglob("*.mid*"))[::40]
    assert len(paths) > 40
    quick = [midi.read(path) for path in paths]
    monkeypatch.setattr(smf, "_last_special", len)
    for path, performance in zip(paths, quick, strict=True):
        assert midi.read(path) == performance, path
        assert midi.from_bytes(midi.to_bytes(performance)).notes.shape == performance.notes.shape
