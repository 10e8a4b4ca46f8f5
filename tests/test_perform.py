"""Performing scores: law 8, the dials, passages, and what files hold."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import espressivo
import midi_bytes as mb
import songs
from espressivo import midi
from espressivo.errors import GenerationError, ModelError
from espressivo.music import MOVE_DTYPE, TEMPO_DTYPE, Interpretation, Performance, Score
from espressivo.play import Rendition, perform
from interpreters import Rules

WRITTEN: dict[str, Any] = {"timing": 0, "dynamics": 0, "articulation": 0, "pedal": 0}
NAMES = tuple(WRITTEN)


def sonata(seed: int = 0, bars: int = 16) -> bytes:
    """Two staves in 3/4 with a pickup, chords, repeated notes, a violin, drums and lyrics."""
    rng = np.random.default_rng(seed)
    per = 96
    conductor = [
        (0, mb.tempo(500_000)), (0, mb.meta(0x58, bytes((1, 2, 24, 8)))),
        (per, mb.meta(0x58, bytes((3, 2, 24, 8)))), (per * 19, mb.tempo(400_000)),
    ]  # fmt: skip
    right: list[mb.Event] = []
    left: list[mb.Event] = []
    for bar in range(bars):
        for beat in range(3):
            at = (3 * bar + beat) * per
            pitch = int(rng.choice([60, 62, 64, 65, 67]))
            for half in (0, per // 2):
                right += [(at + half, mb.on(pitch, 70)), (at + half + 40, mb.off(pitch))]
            chord = [36, 43, 52] if beat == 0 else [43]
            left += [(at, mb.on(p, 50)) for p in chord]
            left += [(at + per, mb.off(p)) for p in chord]
    right += [(0, mb.meta(5, b"la")), (9, mb.control(7, 99)), (5, mb.control(64, 9))]
    violin = [(0, mb.program(40, 1)), (7, mb.on(84, 40, 1)), (7 + 5 * per, mb.off(84, 1))]
    drums = [(per * beat + half, m) for beat in range(6)
             for half, m in ((0, mb.on(36, 90, 9)), (12, mb.off(36, 9)))]  # fmt: skip

    def ordered(events: list[mb.Event]) -> bytes:
        gaps, now = [], 0
        for tick, raw in sorted(events, key=lambda one: (one[0], one[1][0] & 0xF0 == 0x90)):
            gaps.append((tick - now, raw))
            now = tick
        return mb.track(gaps)

    return mb.midi_file(*map(ordered, (conductor, right, left, violin, drums)), division=per)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "score.mid"
    path.write_bytes(sonata())
    return path


def played(path: Path, **options: Any) -> Rendition:
    return perform(path, model=Rules(), seed=1, **options)


def strokes(performance: Performance) -> np.ndarray:
    notes = performance.notes
    return notes[np.lexsort((notes["onset_s"], notes["pitch"]))]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(9))
def test_scores_that_notation_programs_export_are_performed(number: int) -> None:
    folder = Path(os.environ["ESPRESSIVO_DATA"]) / "asap"
    for path in sorted(folder.rglob("midi_score.mid"))[number::45]:
        assert perform(path, **WRITTEN).to_bytes() == midi.parsed_song(path.read_bytes()).to_bytes()
        rendition = played(path, freedom=1)
        performance = strokes(rendition.performance)
        assert len(performance) == len(rendition.score)
        for tempo_map in (False, True):
            again = strokes(midi.from_bytes(rendition.to_bytes(tempo_map=tempo_map)))
            assert (again["pitch"] == performance["pitch"]).all()
            assert np.abs(again["onset_s"] - performance["onset_s"]).max() < 0.005


@pytest.mark.parametrize("seed", range(12))
def test_with_all_dials_at_0_every_byte_is_the_score(seed: int) -> None:
    data = songs.made(random.Random(seed))  # noqa: S311 - a file, not a secret
    song = midi.parsed_song(data)
    score = midi.score_of(song)
    for tempo_map in (False, True):
        rendition = espressivo.play.rendition(
            None, score, espressivo.play.Dials(**WRITTEN), song=song
        )
        assert rendition.to_bytes(tempo_map=tempo_map) == data


def test_without_a_file_a_score_at_0_keeps_its_ticks(path: Path) -> None:
    score = espressivo.read_score(path)
    data = perform(score, **WRITTEN).to_bytes()
    again = midi.score_from_bytes(data)
    for field in ("onset", "duration", "pitch", "velocity"):
        assert (again.notes[field] == score.notes[field]).all()
    assert (again.tempos == score.tempos).all()
    assert (again.metres == score.metres).all()


@pytest.mark.parametrize("tempo_map", [False, True])
def test_every_written_note_is_played_once(path: Path, tempo_map: bool, tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    played(path).write(out, tempo_map=tempo_map)
    written = espressivo.read_score(path).notes["pitch"]
    assert Counter(midi.read(out).notes["pitch"].tolist()) == Counter(written.tolist())


def test_both_forms_sound_the_same_to_5_ms(path: Path) -> None:
    rendition = played(path)
    free, grid = (midi.from_bytes(rendition.to_bytes(tempo_map=t)) for t in (False, True))
    for one in (free, grid):
        for field in ("onset_s", "offset_s"):
            off = strokes(one)[field] - strokes(rendition.performance)[field]
            assert np.abs(off).max() < 0.005
        assert (strokes(one)["velocity"] == strokes(rendition.performance)["velocity"]).all()
        pedal = one.controls[one.controls["number"] == 64]
        mine = rendition.performance.controls
        assert pedal["value"].tolist() == mine["value"].tolist()
        assert np.abs(pedal["time_s"] - mine["time_s"]).max() < 0.005


def test_with_a_tempo_map_notes_stay_on_the_grid_and_each_beat_has_its_tempo(path: Path) -> None:
    score = espressivo.read_score(path)
    data = played(path).to_bytes(tempo_map=True)
    song = midi.parsed_song(data)
    again = midi.notes_of(song, midi.piano(song))
    at = np.sort([note.start / song.division for note in again])
    piano = np.sort(score.notes["onset"][score.notes["part"] == 0])
    assert np.abs(at - piano).max() < 0.12
    beats = {round(tick / song.division, 6) for tick, _ in song.tempos}
    assert {round(beat, 6) for beat in score.beats.tolist()} <= beats
    metres = [m.tick / song.division for m in song.tracks[0].messages if m.status == 0x158]
    assert metres == [0, 1]


def test_what_else_a_file_holds_stays(path: Path) -> None:
    old = songs.read(path.read_bytes())
    rendition = played(path)
    grid, free = (songs.read(rendition.to_bytes(tempo_map=t)) for t in (True, False))
    finer = grid.division // old.division
    for track, (before, after) in enumerate(zip(old.tracks, grid.tracks, strict=True)):
        kept = [(t * finer, raw) for t, raw in before[:-1] if not moving(raw)]
        there = [(t, raw) for t, raw in after[:-1] if not moving(raw) and raw[:2] != b"\xff\x01"]
        assert kept == there, track
    count = Counter(raw for track in old.tracks for _, raw in track if not moving(raw))
    counted = Counter(raw for track in free.tracks for _, raw in track if not moving(raw))
    assert {raw: n for raw, n in count.items() if raw[:2] != b"\xff\x58"}.items() <= counted.items()


def moving(raw: bytes) -> bool:
    """Whether a message is a note of the piano or violin, its pedal, or a tempo."""
    return (
        (raw[0] & 0xE0 == 0x80 and raw[0] & 15 != 9)
        or raw[:2] == b"\xb0\x40"
        or raw[:2] == b"\xff\x51"
    )


def test_drums_follow_the_player(path: Path) -> None:
    rendition = played(path)
    song = midi.parsed_song(rendition.to_bytes())
    ticks = [m.tick for m in song.tracks[4].messages if m.status == 0x99]
    beats = rendition.rendered.clock.seconds_at(np.arange(6.0))
    assert np.abs(np.array(ticks) / midi.TICKS_PER_SECOND - beats).max() < 0.001


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(path: Path) -> None:
    one, same, other = (
        perform(path, model=Rules(), seed=seed, freedom=1).to_bytes() for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


@pytest.mark.parametrize("name", NAMES)
def test_a_dial_at_0_leaves_its_field_as_written(path: Path, name: str) -> None:
    options = {name: 0}
    rendition = played(path, **options)
    score, rendered = rendition.score, rendition.rendered
    if name == "timing":
        assert np.allclose(rendered.onset_s, score.seconds_at(score.notes["onset"]), atol=1e-9)
        ticks = midi.score_from_bytes(rendition.to_bytes()).notes["onset"]
        assert (ticks == score.notes["onset"]).all()
    elif name == "dynamics":
        assert (rendered.velocity == score.notes["velocity"]).all()
    elif name == "pedal":
        assert rendered.pedal is None
    else:
        free = played(path, articulation=0, timing=0).rendered
        assert np.allclose(free.end_s, score.seconds_at(score.end), atol=1e-9)
    others = played(path).rendered
    assert (others.velocity != rendered.velocity).any() == (name == "dynamics")
    assert (others.onset_s != rendered.onset_s).any() == (name == "timing")


def test_dials_scale_what_is_played(path: Path) -> None:
    score = espressivo.read_score(path)
    full, half, double = (played(path, timing=t, dynamics=t).rendered for t in (1, 0.5, 2))
    written = score.notes["velocity"].astype(float)
    assert np.abs((half.velocity - written) - (full.velocity - written) / 2).max() <= 1
    mean = full.velocity.mean()
    assert np.abs((double.velocity - mean) - 2 * (full.velocity - mean)).max() <= 2
    seconds = [played(path, timing=t).performance.seconds for t in (0, 0.5, 1)]
    assert seconds == sorted(seconds)

    def spread(rendered: Any) -> float:
        quarters = np.arange(1.0, 40)
        return float(np.std(np.log(np.diff(rendered.clock.seconds_at(quarters)))))

    assert spread(half) < spread(full) < spread(double)


def test_the_pedal_is_deeper_by_its_dial(path: Path) -> None:
    means = []
    for dial in (0.2, 0.6, 1, 2):
        pedal = played(path, pedal=dial).rendered.pedal
        assert pedal is not None
        means.append(float(pedal["value"].astype(float).mean()))
    assert means == sorted(means)
    assert len(set(means)) == 4


def test_what_is_to_be_kept_is_kept(path: Path) -> None:
    score = espressivo.read_score(path)
    kept = played(path, keep_dynamics=True, keep_pedal=True, keep_tempo=True)
    assert (kept.rendered.velocity == score.notes["velocity"]).all()
    moves = kept.performance.controls
    assert moves["value"].tolist() == score.moves["value"].tolist()
    change = float(score.tempos["onset"][1])
    begins = kept.rendered.clock.seconds_at(np.array([0, change, score.quarters]))
    assert np.allclose(begins, score.seconds_at(np.array([0, change, score.quarters])), rtol=0.02)
    assert not np.allclose(played(path).performance.seconds, kept.performance.seconds, rtol=0.02)


def test_a_tempo_is_that_of_the_beginning_and_others_stay_in_proportion(path: Path) -> None:
    score = perform(path, tempo=60, **WRITTEN).score
    assert score.tempos.tolist() == [(0.0, 1.0), (19.0, 0.8)]
    performed = played(path, tempo=60)
    assert performed.performance.seconds == pytest.approx(score.performance().seconds, rel=0.02)
    data = perform(path, tempo=60, **WRITTEN).to_bytes()
    assert midi.parsed_song(data).tempos == [(0, 1_000_000), (19 * 96, 800_000)]


def test_outside_a_passage_all_is_as_written(path: Path) -> None:
    score = espressivo.read_score(path)
    rendition = played(path, start=12, end=24)
    rendered, onset = rendition.rendered, score.notes["onset"]
    outside = (onset < 12) | (onset >= 24)
    assert (rendered.velocity[outside] == score.notes["velocity"][outside]).all()
    assert (rendered.velocity[~outside] != score.notes["velocity"][~outside]).any()
    song = midi.parsed_song(rendition.to_bytes(tempo_map=True))
    finer = song.division // score.ticks_per_quarter
    again = np.sort([n.start for n in midi.notes_of(song, midi.piano(song))])
    piano = np.sort(score.ticks(onset[score.notes["part"] == 0]) * finer)
    early, late = piano < 12 * song.division, piano >= 24 * song.division
    assert (again[early] == piano[early]).all()
    assert np.abs(again[late] - piano[late]).max() <= 1
    before = score.seconds_at(np.array([11.0, 12.0, 24.0, 25.0, 40.0]))
    after = rendered.clock.seconds_at(np.array([11.0, 12.0, 24.0, 25.0, 40.0]))
    assert np.allclose(after[:2], before[:2])
    assert np.allclose(np.diff(after)[2:], np.diff(before)[2:])
    assert rendered.pedal is not None
    last = rendered.pedal[rendered.pedal["time_s"] <= after[2] + 1e-6][-1]
    assert last["value"] == score.moves["value"][-1]


def test_a_key_is_let_go_before_it_is_struck_again(path: Path) -> None:
    rendered = played(path, articulation=2, timing=2, freedom=1).rendered
    notes = rendered.clock.score.notes
    for pitch in np.unique(notes["pitch"]):
        mine = np.flatnonzero(notes["pitch"] == pitch)
        assert (np.diff(rendered.onset_s[mine]) > 0).all()
        assert (rendered.end_s[mine][:-1] <= rendered.onset_s[mine][1:] + 1e-9).all()
    assert (rendered.end_s > rendered.onset_s).all()


class Wild(Rules):
    """Plays chords and repeated notes far out of order."""

    def interpret(self, score: Score, **options: Any) -> Interpretation:
        calm = super().interpret(score, **options)
        rng = np.random.default_rng(0)
        return Interpretation(
            calm.quarter_s * np.exp(rng.normal(size=len(calm.quarter_s)) * 3),
            rng.normal(size=len(score)),
            rng.normal(size=len(score)) * 99,
            rng.normal(size=len(score)) * 9,
            calm.pedal_at,
            calm.pedal * 9,
        )


@pytest.mark.parametrize("tempo_map", [False, True])
def test_even_a_wild_interpretation_becomes_a_sound_file(path: Path, tempo_map: bool) -> None:
    rendition = perform(path, model=Wild(), seed=1, timing=2, articulation=2)
    again = midi.from_bytes(rendition.to_bytes(tempo_map=tempo_map))
    score = rendition.score
    assert Counter(again.notes["pitch"].tolist()) == Counter(score.notes["pitch"].tolist())


def test_what_cannot_be_performed_is_refused() -> None:
    score = Score.from_arrays(onset=[0], duration=[1], pitch=[60])
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: perform(Score.from_arrays(onset=[], duration=[], pitch=[])), "no notes"),
        (lambda: perform(score, timing=3, pedal=-1), "timing must be .*; pedal must be"),
        (lambda: perform(score, tempo=1), "tempo must be within"),
        (lambda: perform(score, model=Rules(), keep_dynamics=True), "no velocities to keep"),
        (lambda: perform(score, keep_pedal=True, pedal=2), "nothing to turn: leave pedal out"),
        (lambda: perform(score, model=Rules(), start=2, end=3), "no passage from quarter 2 to 3"),
        (lambda: perform(score, model=Rules(), start=1, end=1), "no passage from quarter 1 to 1"),
        (lambda: perform(score, seed=-1, **WRITTEN), "seed must be"),
    ]
    for call, words in cases[1:] + cases[:1]:
        with pytest.raises((GenerationError, ModelError), match=words):
            call() if words != "no notes" else perform(
                Score.from_arrays(onset=[], duration=[], pitch=[]), model=Rules()
            )


@pytest.mark.parametrize("quarter_s", [1e-6, 16.7])
def test_an_absurd_tempo_mark_is_refused_unless_a_tempo_is_set(quarter_s: float) -> None:
    tempos = np.array([(0, 0.5), (4, quarter_s)], TEMPO_DTYPE)
    score = Score.from_arrays(onset=[0, 4], duration=[1, 1], pitch=[60, 60], tempos=tempos)
    with pytest.raises(GenerationError, match=r"tempo mark at quarter 4 .* set a tempo"):
        perform(score, **WRITTEN)
    assert perform(score, tempo=90, **WRITTEN).tempo == pytest.approx(90)


def test_a_pedal_comes_after_a_reset_of_all_controllers() -> None:
    events = [(0, mb.control(121, 0)), (0, mb.on(60)), (480, mb.off(60))]
    song = midi.parsed_song(mb.one_track(*events))
    score = midi.score_of(song)

    class Down(Rules):
        def interpret(self, score: Score, **options: Any) -> Interpretation:
            calm = super().interpret(score, **options)
            return Interpretation(
                calm.quarter_s, calm.offset_s, calm.velocity, calm.articulation, [0.0], [127.0]
            )

    rendition = espressivo.play.rendition(
        Down(), score, espressivo.play.Dials(freedom=0), song=song
    )
    messages = songs.read(rendition.to_bytes()).tracks[0]
    order = [raw[:2] for tick, raw in messages if tick == 0 and raw[0] < 0xF0]
    assert order == [b"\xb0\x79", b"\xb0\x40", b"\x90\x3c"]


def test_the_sustain_pedal_of_a_passage_ends_as_the_score_has_it() -> None:
    moves = np.array([(0, 64, 90), (7, 64, 0)], MOVE_DTYPE)
    score = Score.from_arrays(
        onset=np.arange(8.0), duration=np.ones(8), pitch=60 + np.arange(8), moves=moves
    )
    pedal = perform(score, model=Rules(), seed=0, start=2, end=5).rendered.pedal
    assert pedal is not None
    clock_s = perform(score, model=Rules(), seed=0, start=2, end=5).rendered.clock
    at = clock_s.seconds_at(np.array([0.0, 2.0, 5.0, 7.0]))
    times = pedal["time_s"]
    assert pedal[times < at[1]]["value"].tolist() == [90]
    assert pedal[times >= at[2] - 1e-9]["value"].tolist() == [90, 0]


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("espressivo.cli.perform.load_interpreter", lambda name: Rules())


@pytest.mark.usefixtures("rules")
def test_the_command_writes_files_and_says_what_they_are(run: Any, path: Path) -> None:
    common = ("perform", path, "--seed", "3", "--freedom", "1", "-o", "out.mid")
    status, out, _ = run(*common, "--count", "2", "--json", "--tempo-map")
    assert status == 0
    said = json.loads(out)
    assert [row["file"] for row in said["performances"]] == ["out-1.mid", "out-2.mid"]
    assert said["notes"] == len(espressivo.read_score(path))
    assert said["model"] == "rules"
    status, out, _ = run(*common, "--from", "2:1", "--to", "end")
    assert status == 0
    assert "seed 3" in out
    first = Path("out-1.mid").read_bytes()
    assert first == perform(path, model=Rules(), seed=3, freedom=1).to_bytes(tempo_map=True)
    assert b"model rules; seed 3; licence MIT" in first


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--timing", "3"), 2, "0<=x<=2"),
        (("--count", "2", "--freedom", "0"), 2, "nothing is drawn"),
        (("--keep-dynamics", "--dynamics", "0.5"), 2, "leave dynamics out"),
        (("--from", "x"), 1, "score.mid: 'x' is not a time"),
        (("--from", "99:1"), 1, "score.mid: there is no passage"),
        (("--from", "3:1", "--to", "2:1"), 1, "score.mid: there is no passage from quarter 4 to 1"),
    ],
)
def test_the_command_refuses_in_a_line(
    run: Any, path: Path, options: tuple[str, ...], status: int, words: str
) -> None:
    code, out, err = run("perform", path, *options, "-o", "out.mid")
    assert (code, out, err.count("\n")) == (status, "", 1)
    assert words in err
    assert not Path("out.mid").exists()


@pytest.mark.usefixtures("rules")
def test_tempo_and_dynamics_are_drawn_beside_those_of_a_person(run: Any, path: Path) -> None:
    pytest.importorskip("matplotlib")
    perform(path, model=Rules(), seed=7, freedom=1).performance.write("take.mid")
    common = ("perform", path, "-o", "out.mid")
    take = ("--take", "take.mid")
    sizes = []
    for takes in ((), take, 2 * take):
        assert run(*common, "--picture", "out.svg", *takes)[0] == 0
        sizes.append(len(Path("out.svg").read_bytes()))
    assert sizes[0] < sizes[1] < sizes[2]
    assert run(*common, "--picture", "out.png", *take)[0] == 0
    assert Path("out.png").read_bytes()[:4] == b"\x89PNG"
    Performance.join([]).write("take.mid")
    status, _, err = run(*common, "--picture", "out.png", "--take", "take.mid")
    assert status == 1
    assert "take.mid: 0% of the score's notes are found in it" in err
    for options in (
        take,
        ("--picture", "out.png", "--count", "2"),
        ("--picture", "a.png", *3 * take),
    ):
        assert run(*common, *options)[0] == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (mb.one_track(), "there are no notes in it"),
        (mb.one_track((0, mb.tempo(5)), (0, mb.on(60)), (9, mb.off(60))), "set a tempo"),
        (sonata()[:99], "truncated"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(
    run: Any, path: Path, data: bytes, words: str
) -> None:
    path.write_bytes(data)
    zeros = [word for name in NAMES for word in (f"--{name}", "0")]
    code, out, err = run("perform", path, *zeros, "-o", "out.mid")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"espressivo: {path}: ")
    assert words in err
