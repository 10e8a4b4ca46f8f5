"""Fills in MIDI files that other packages made: what mido finds changed outside of them.

mido, pretty_midi, music21 and symusic each make files: of types 0 and 1, with several tracks, tempo
changes, lyrics, markers and system exclusive messages, as far as each can write them. Random
passages are replaced by `espressivo.midi.replaced`, shorter and longer ones too, and mido reads
both files. It needs these packages, which are in no extra.

    PYTHONPATH=tests python bench/edit.py [--fills 500] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import mido

import songs
from espressivo.midi import parsed_song, part_performance, piano, replaced
from espressivo.music import Performance
from test_edit import fill


def by_mido(rng: random.Random, path: Path) -> None:
    path.write_bytes(songs.made(rng))
    again = mido.MidiFile(path)
    again.save(path)  # in mido's own bytes


def by_pretty_midi(rng: random.Random, path: Path) -> None:
    import pretty_midi

    song = pretty_midi.PrettyMIDI(initial_tempo=rng.uniform(60, 180))
    for program in (0, 40):
        instrument = pretty_midi.Instrument(program)
        for start in sorted(rng.uniform(0, 30) for _ in range(60)):
            note = pretty_midi.Note(
                rng.randint(1, 127), rng.randint(36, 84), start, start + rng.random()
            )
            instrument.notes.append(note)
            instrument.control_changes.append(
                pretty_midi.ControlChange(64, rng.randint(0, 127), start)
            )
        song.instruments.append(instrument)
    song.lyrics = [pretty_midi.Lyric("la", rng.uniform(0, 30)) for _ in range(5)]
    song.time_signature_changes = [pretty_midi.TimeSignature(3, 4, 0)]
    song.write(str(path))


def by_music21(rng: random.Random, path: Path) -> None:
    from music21 import instrument, meter, note, stream, tempo

    score = stream.Score()
    for player in (instrument.Piano(), instrument.Violin()):
        part = stream.Part([player, meter.TimeSignature("4/4"), tempo.MetronomeMark(number=90)])
        for _ in range(40):
            one = note.Note(rng.randint(36, 84), quarterLength=rng.choice([0.25, 0.5, 1.0]))
            one.lyric = "la"
            part.append(one)
        score.append(part)
    score.write("midi", path)


def by_symusic(rng: random.Random, path: Path) -> None:
    import symusic

    score = symusic.Score(rng.choice([96, 480]))
    last = 40 * score.ticks_per_quarter
    score.tempos.append(symusic.Tempo(0, rng.uniform(60, 120)))
    score.tempos.append(symusic.Tempo(last // 2, rng.uniform(60, 120)))
    score.markers.append(symusic.TextMeta(last // 3, "marker"))
    for program in (0, 40):
        track = symusic.Track("track", program)
        for time in sorted(rng.randrange(last) for _ in range(60)):
            note = symusic.Note(time, rng.randint(1, 480), rng.randint(36, 84), rng.randint(1, 127))
            track.notes.append(note)
            track.controls.append(symusic.ControlChange(time, 64, rng.randint(0, 127)))
        score.tracks.append(track)
    score.dump_midi(path)


MAKERS: dict[str, Callable[[random.Random, Path], None]] = {
    "mido": by_mido,
    "pretty_midi": by_pretty_midi,
    "music21": by_music21,
    "symusic": by_symusic,
}


def heard(path: Path) -> songs.File:
    """Return what mido reads."""
    file = mido.MidiFile(path)
    tracks = []
    for track in file.tracks:
        tick, messages = 0, []
        for message in track:
            tick += message.time
            messages.append((tick, bytes(message.bytes())))
        tracks.append(messages)
    return songs.File(file.type, file.ticks_per_beat, tracks)


def one(rng: random.Random, maker: str, folder: Path) -> None:
    before, after = folder / "before.mid", folder / "after.mid"
    MAKERS[maker](rng, before)
    song = parsed_song(before.read_bytes())
    parts = piano(song, channel=1)
    start, end = sorted(rng.sample(range(song.end + 1), 2))
    length_s = song.seconds(end) - song.seconds(start)
    seconds = rng.choice([None, length_s, 0.6 * length_s, 2 * length_s])
    played = part_performance(song, parts)
    half = Performance(played.notes[::2]) if seconds is None else Performance(played.notes[:0])
    passage = fill(rng, song.seconds(start), seconds or length_s, half)
    edited = replaced(song, parts, start, end, passage, seconds=seconds)
    after.write_bytes(edited.to_bytes())
    songs.check(heard(before), heard(after), start, end, end - start + edited.end - song.end)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fills", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    changed = dict.fromkeys(MAKERS, 0)
    fills = dict.fromkeys(MAKERS, 0)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.fills):
            maker = list(MAKERS)[number % len(MAKERS)]
            fills[maker] += 1
            try:
                one(random.Random(number), maker, Path(folder))  # noqa: S311
            except AssertionError as error:
                changed[maker] += 1
                print(f"fill {number}, of a file by {maker}: {error}", file=sys.stderr)
    if options.json:
        print(json.dumps({"fills": fills, "changed": changed}))
    else:
        for maker, count in fills.items():
            print(f"{maker:12} {count:4} fills, {changed[maker]} with a change outside the passage")
    sys.exit(any(changed.values()))


if __name__ == "__main__":
    main()
