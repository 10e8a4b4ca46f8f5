"""Editing MIDI files: nothing changes but the passage."""

from __future__ import annotations

import random

import numpy as np
import pytest

import midi_bytes as mb
import songs
from espressivo import midi
from espressivo.errors import MidiError
from espressivo.midi import parsed_song, part_performance, piano, replaced
from espressivo.music import CONTROL_DTYPE, Performance


def fill(rng: random.Random, begin_s: float, length_s: float, kept: Performance) -> Performance:
    """Return invented notes and pedals in a passage, and those that are to be kept."""
    count = rng.randint(0, 12)
    onset_s = np.sort([begin_s + length_s * rng.random() for _ in range(count)])
    times = [begin_s + length_s * rng.random() for _ in range(rng.randint(0, 5))]
    moves = [(time_s, 64, rng.choice([0, 127])) for time_s in times]
    return Performance.from_arrays(  # of pitches that the songs do not have
        onset_s=np.append(onset_s, kept.notes["onset_s"]),
        offset_s=np.append(np.minimum(onset_s + 0.3, begin_s + length_s), kept.notes["offset_s"]),
        pitch=np.append([rng.randint(85, 108) for _ in range(count)], kept.notes["pitch"]),
        velocity=np.append([rng.randint(1, 127) for _ in range(count)], kept.notes["velocity"]),
        controls=np.array(moves, CONTROL_DTYPE),
    )


def random_edit(number: int) -> None:
    rng = random.Random(number)  # noqa: S311
    data = songs.made(rng)
    song = parsed_song(data)
    assert song.to_bytes() == data
    parts = piano(song, channel=1)
    start, end = sorted(rng.sample(range(song.end + 1), 2))
    played = part_performance(song, parts)
    begin_s, length_s = song.seconds(start), song.seconds(end) - song.seconds(start)
    onset_s = played.notes["onset_s"]
    kept = played.notes[(onset_s >= begin_s) & (onset_s < begin_s + length_s)]
    kept = Performance(kept[: len(kept) // 2]) if rng.random() < 0.5 else Performance(kept[:0])
    seconds = None if rng.random() < 0.5 else length_s * rng.choice([0.6, 1.0, 2.5])
    passage = fill(rng, begin_s, seconds or length_s, kept)
    edited = replaced(song, parts, start, end, passage, seconds=seconds)
    moved = edited.end - song.end
    songs.check(songs.read(data), songs.read(edited.to_bytes()), start, end, end - start + moved)
    again = part_performance(parsed_song(edited.to_bytes()), parts)
    there = {tuple(note) for note in again.notes.tolist()}
    for note in kept.notes[
        kept.notes["offset_s"] < begin_s + min(seconds or length_s, length_s)
    ].tolist():
        assert note in there


@pytest.mark.parametrize("number", range(20))
def test_only_the_passage_changes(number: int) -> None:
    random_edit(number)


@pytest.mark.slow
def test_only_the_passage_changes_500_times() -> None:
    for number in range(100, 600):
        random_edit(number)


@pytest.mark.parametrize("number", range(8))
def test_a_part_plays_what_reading_gives(number: int) -> None:
    rng = random.Random(number)  # noqa: S311
    song = parsed_song(songs.made(rng))
    alone = [
        [(m.tick, m.raw) for m in track.messages if m.status >= 0x100 or m.status & 15 == 0]
        for track in song.tracks
    ]
    tracks = [songs._written(rng, messages[:-1], song.end) for messages in alone]
    data = mb.midi_file(*tracks, kind=1, division=song.division)
    assert part_performance(song, piano(song, channel=1)) == midi.from_bytes(data)


def two_parts(*, second: int = 0, channel: int = 1) -> bytes:
    return mb.midi_file(
        mb.track([(0, mb.program(0)), (0, mb.on(60)), (480, mb.off(60)), (960, mb.meta(6, b"m"))]),
        mb.track(
            [
                (0, mb.meta(3, b"other")),
                (0, mb.program(second, channel)),
                (0, mb.on(40, 64, channel)),
                (480, mb.off(40, channel)),
            ]
        ),
    )


def test_the_only_piano_is_meant_and_several_are_asked_about() -> None:
    assert [part.track for part in piano(parsed_song(two_parts(second=40)))] == [1]
    assert [part.track for part in piano(parsed_song(two_parts(channel=0)))] == [1, 2]
    both = parsed_song(two_parts())
    with pytest.raises(MidiError, match="which piano is meant"):
        piano(both)
    assert [part.track for part in piano(both, tracks=[2])] == [2]
    assert [part.track for part in piano(both, tracks=[2, 1])] == [1, 2]
    assert [part.track for part in piano(both, channel=2)] == [2]
    with pytest.raises(MidiError, match="nothing plays on track 3"):
        piano(both, tracks=[1, 3])
    with pytest.raises(MidiError, match="are drums"):
        piano(parsed_song(two_parts(channel=9)), tracks=[2])


def test_a_note_that_sounds_into_the_passage_ends_where_it_did() -> None:
    data = mb.one_track(
        (0, mb.on(60)), (480, mb.on(64)), (240, mb.off(60)), (480, mb.off(64)), (480, mb.on(67)),
        (480, mb.off(67)),
    )  # fmt: skip
    song = parsed_song(data)
    empty = replaced(song, piano(song), 480, 1440, Performance.from_arrays(
        onset_s=[], offset_s=[], pitch=[], velocity=[]
    ))  # fmt: skip
    notes = part_performance(empty, piano(empty)).notes
    assert notes["pitch"].tolist() == [60, 67]
    assert notes["offset_s"].tolist() == [0.75, 2.25]


def test_the_pedal_at_the_end_of_a_passage_is_as_it_was() -> None:
    data = mb.one_track(
        (0, mb.on(60)), (480, mb.control(64, 90)), (480, mb.on(62)), (480, mb.off(60)),
        (0, mb.off(62)),
    )  # fmt: skip
    song = parsed_song(data)
    silence = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    edited = replaced(song, piano(song), 240, 960, silence)
    moves = [(m.tick, m.data) for m in edited.tracks[0].messages if m.status == 0xB0]
    assert moves == [(959, bytes((64, 90)))]


def test_a_longer_passage_is_measured_by_the_tempo_before_it_ends() -> None:
    data = mb.one_track(
        (0, mb.tempo(500_000)), (480, mb.on(60)), (480, mb.off(60)),
        (0, mb.tempo(1_000_000)), (480, mb.on(62)), (480, mb.off(62)),
    )  # fmt: skip
    song = parsed_song(data)
    silence = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    edited = replaced(song, piano(song), 480, 960, silence, seconds=2.0)
    assert edited.tempos == [(0, 500_000), (480 + 1920, 1_000_000)]
    assert part_performance(edited, piano(edited)).notes["onset_s"].tolist() == [3.5]


@pytest.mark.parametrize(
    ("when", "tick"),
    [(0.5, 480), ("0.5", 480), ("1:1", 0), ("2:1", 3 * 480), ("2:2.5", 4.5 * 480), ("3:1", 2880),
     ("4:1", 2880 + 2 * 240), ("end", 4800)],
)  # fmt: skip
def test_a_time_is_seconds_or_a_bar_and_a_beat(when: float | str, tick: float) -> None:
    three_four, two_eight = (mb.meta(0x58, bytes((n, d, 24, 8))) for n, d in ((3, 2), (2, 3)))
    data = mb.one_track((0, three_four), (2880, two_eight), (1920, mb.meta(1, b"text")))
    assert parsed_song(data).tick(when) == tick


@pytest.mark.parametrize("when", ["soon", "-1", "nan", "0:1", "1:0", "1:4", "inf"])
def test_what_is_no_time_is_refused(when: str) -> None:
    data = mb.one_track((0, mb.meta(0x58, bytes((3, 2, 24, 8)))), (960, mb.meta(1, b"text")))
    with pytest.raises(MidiError, match=r"is not a time|there is no beat"):
        parsed_song(data).tick(when)


def test_a_file_of_independent_pieces_is_refused() -> None:
    with pytest.raises(MidiError, match=r"two\.mid: of type 2"):
        parsed_song(mb.midi_file(mb.track([(0, mb.on(60))]), kind=2), "two.mid")


def test_chunks_of_other_kinds_and_bytes_at_the_end_stay() -> None:
    data = mb.midi_file(
        mb.chunk(b"XFIH", b"abc"), mb.track([(0, mb.on(60)), (9, mb.off(60))]), count=1
    )
    assert parsed_song(data + b"rest").to_bytes() == data + b"rest"


def test_what_is_appended_has_its_own_key_and_moves_only_the_end() -> None:
    data = mb.one_track((0, mb.on(60)), (480, mb.off(60)))
    song = parsed_song(data)
    more = Performance.from_arrays(onset_s=[2.0], offset_s=[3.0], pitch=[72], velocity=[50])
    part = midi.main_part(song)
    longer = midi.appended(song, part, more.notes, more.controls, key_signature=(3, False))
    messages = [(m.tick, m.raw) for m in longer.tracks[0].messages]
    assert messages == [
        (0, mb.on(60)), (480, mb.off(60)), (480, mb.meta(0x59, b"\3\0")), (1920, mb.on(72, 50)),
        (2880, mb.off(72)), (2880, mb.END),
    ]  # fmt: skip
