"""Filling and varying: what is invented fits, and nothing else changes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import espressivo.play.fill as filling
import midi_bytes as mb
import songs
from espressivo import load, midi
from espressivo.cli import cli, main
from espressivo.codes import vocabulary
from espressivo.errors import GenerationError
from espressivo.music import CONTROL_DTYPE, Performance, right_hand
from espressivo.play import Model
from known import Mock

BEGIN, END = 6.0, 8.0
OF_MODELS = pytest.mark.parametrize(
    "name", ["seed", "notes", pytest.param("espressivo", marks=pytest.mark.slow)]
)


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    known = Model(Mock(vocabulary("notes")))
    return {"notes": known, **{name: load(name) for name in ("seed", "espressivo")}}


@pytest.fixture(scope="module")
def piece() -> Performance:
    """Two voices with pedal: scales above, long notes below."""
    rng = np.random.default_rng(1)
    high = np.arange(0.1, 12, 0.25)
    low = np.arange(0.1, 12, 1.0)
    moves = [(t + wait, 64, value) for t in low for wait, value in ((0.05, 127), (0.9, 0))]
    return Performance.from_arrays(
        onset_s=np.append(high, low),
        offset_s=np.append(high + 0.2, low + 1.1),
        pitch=np.append(67 + np.arange(len(high)) % 12, 40 + 7 * (np.arange(len(low)) % 2)),
        velocity=rng.integers(50, 80, len(high) + len(low)),
        controls=np.array(moves, CONTROL_DTYPE),
    )


def inside(performance: Performance, start_s: float = BEGIN, end_s: float = END) -> list[tuple]:
    return [note for note in performance.notes.tolist() if start_s <= note[0] < end_s]


def outside(performance: Performance, start_s: float = BEGIN, end_s: float = END) -> list[tuple]:
    return [note for note in performance.notes.tolist() if not start_s <= note[0] < end_s]


def pedal_at(performance: Performance, time_s: float) -> int:
    moves = performance.controls
    return int(np.append(0, moves["value"][moves["time_s"] < time_s])[-1])


@OF_MODELS
@pytest.mark.parametrize("keep", [None, "left", "rhythm"])
def test_a_fill_is_joined(
    name: str, keep: str | None, models: dict[str, Model], piece: Performance
) -> None:
    filled, other = models[name].fill(piece, BEGIN, END, keep=keep, count=2, candidates=2, seed=3)
    assert filled != other
    assert outside(filled) == outside(piece)
    for controls in ("time_s", "value"):
        before, after = (p.controls[p.controls["time_s"] >= END][controls] for p in (piece, filled))
        assert before.tolist() == after.tolist()
    assert pedal_at(filled, END) == pedal_at(piece, END)
    rings_s = max(note[1] for note in inside(piece))
    assert all(start < end <= rings_s + 1e-9 for start, end, _, _ in inside(filled))
    new = set(inside(filled)) - set(inside(piece))
    assert new
    for start, end, pitch, _ in new:  # no key is struck while it is down
        others = [note for note in filled.notes.tolist() if note[2] == pitch and note[0] > start]
        assert end <= min((note[0] for note in others), default=np.inf) + 0.0101


@OF_MODELS
def test_what_is_kept_stays_note_for_note(
    name: str, models: dict[str, Model], piece: Performance
) -> None:
    start, end = BEGIN, END
    (filled,) = models[name].fill(piece, start, end, keep="below C4", candidates=1, seed=1)
    low = [note for note in inside(piece) if note[2] < 60]
    assert low and set(low) <= set(inside(filled))
    which = piece.notes["velocity"] > 65
    (filled,) = models[name].fill(piece, start, end, keep=which, candidates=1, seed=1)
    assert {note for note in inside(piece) if note[3] > 65} <= set(inside(filled))
    (filled,) = models[name].fill(piece, start, end, keep="rhythm", candidates=1, seed=1)
    onsets = [[round(note[0], 2) for note in inside(p)] for p in (piece, filled)]
    assert np.allclose(onsets[0], onsets[1], atol=0.011)
    assert inside(filled) != inside(piece)


@pytest.mark.slow
@OF_MODELS
def test_candidates_are_weighed_by_what_the_model_expects(
    name: str, models: dict[str, Model], piece: Performance
) -> None:
    engine, v = models[name].engine, models[name].vocabulary
    passage = filling.passage_of(piece, BEGIN, END, kept=piece.notes["pitch"] < 60)
    empty = np.empty(0, CONTROL_DTYPE)
    gap = filling._gap(engine, passage, filling._NO_NOTES, empty, BEGIN, END, True)
    settings = filling.Settings()
    around = Performance(piece.notes)
    tails, rate = 0, v.steps_per_second
    kept = {
        (round((start - BEGIN) * rate), round((end - BEGIN) * rate), pitch)
        for start, end, pitch, _ in passage.kept.tolist()
    }
    for seed in range(4):
        best = filling._chosen(engine, gap, settings, seed, 16, around, lambda _: None)
        tails += best.head is not None  # read on from the memory of another candidate
        ids = np.append(gap.context, best._ids).astype(np.int64)
        said = engine.pointed(ids.astype(np.int32))
        read = np.append(engine.vocabulary.size, ids[:-1])[:, None]
        pointers = None if said is None else said[:-1, None]
        logits, _ = engine.run(read, engine.initial_state(), pointers=pointers)
        x = logits[:, 0].astype(np.float64)
        x -= x.max(axis=1, keepdims=True)
        log_p = (x - np.log(np.exp(x).sum(axis=1, keepdims=True)))[np.arange(len(ids)), ids]
        assert log_p[-best.scored :].sum() == pytest.approx(best.log_p, rel=1e-3)
        read = v.decode(best._ids).notes
        times = [np.rint(read[field] * rate) - gap.wait for field in ("onset_s", "offset_s")]
        there = zip(*(column.tolist() for column in (*times, read["pitch"])), strict=True)
        assert kept <= set(there), "what is kept is read as it is"
        assert filling.heard(best.items, v).seconds <= gap.rings / rate + 1e-9
    assert tails


@pytest.mark.slow
def test_choosing_makes_what_follows_likelier(models: dict[str, Model], piece: Performance) -> None:
    model = models["seed"]

    def nats(candidates: int) -> float:
        fills = [
            model.fill(piece, BEGIN, END, candidates=candidates, seed=seed)[0] for seed in range(2)
        ]
        parts = [filled.slice(3, 11.5) for filled in fills]
        ids = [model.vocabulary.encode(part) for part in parts]
        after = [int((filling.grid_steps(one, model.vocabulary) < 500).sum()) for one in ids]
        return -sum(
            float(model.score(part)[begin:].sum()) for part, begin in zip(parts, after, strict=True)
        )

    assert nats(24) < nats(1)


def test_as_many_candidates_are_told_as_are_asked_for(
    models: dict[str, Model], piece: Performance
) -> None:
    told: list[tuple[float, float]] = []

    def tell(done: float, total: float) -> None:
        told.append((done, total))

    models["notes"].fill(piece, 0.5, 10.0, candidates=2, seed=2, progress=tell)
    assert {done for done, _ in told} == {0, 2}
    told.clear()
    models["notes"].vary(piece, 0, 12, amount=0.3, candidates=2, seed=2, progress=tell)
    assert max(told) == told[-1] == (2, 2)


def test_the_same_seed_fills_the_same(models: dict[str, Model], piece: Performance) -> None:
    model = models["seed"]
    first, second = model.fill(piece, BEGIN, END, candidates=2, count=2, seed=8)
    assert model.fill(piece, BEGIN, END, candidates=2, seed=8) == [first]
    assert model.fill(piece, BEGIN, END, candidates=2, seed=9) == [second]


@OF_MODELS
def test_a_passage_can_be_anywhere(name: str, models: dict[str, Model], piece: Performance) -> None:
    model = models[name]
    silent = Performance(np.array(outside(piece), piece.notes.dtype))
    end_s = piece.seconds
    for performance, start, end in ((piece, 0, 2), (piece, end_s - 2, end_s), (silent, BEGIN, END)):
        (filled,) = model.fill(performance, start, end, candidates=2, seed=2)
        assert outside(filled, start, end) == outside(performance, start, end)
        assert filled.seconds <= max(end_s, performance.seconds)
    (long,) = model.fill(piece, 0.5, 10.0, candidates=1, seed=2)
    assert outside(long, 0.5, 10.0) == outside(piece, 0.5, 10.0)
    assert max(note[0] for note in inside(long, 0.5, 10.0)) > 8


def test_a_gap_can_begin_a_rounding_error_after_a_step(
    models: dict[str, Model], piece: Performance
) -> None:
    performance, start_s = piece.shift(-0.1), float(np.nextafter(1.38, 2))
    assert performance.notes["onset_s"].min() == 0
    (filled,) = models["notes"].fill(performance, start_s, 2.0, candidates=1, seed=2)
    assert outside(filled, start_s, 2.0) == outside(performance, start_s, 2.0)


@pytest.mark.parametrize("length_s", [0.7, 1.1, 1.3, 2.3, 3.7])
def test_what_follows_at_once_follows_at_once_after_another_length(
    length_s: float, models: dict[str, Model], piece: Performance
) -> None:
    for end_s in piece.controls["time_s"][16:20].tolist() + piece.notes["onset_s"][20:30].tolist():
        passage = filling.passage_of(piece, 1.13, end_s, seconds=length_s)
        for times_s in (passage.after["onset_s"], passage.controls["time_s"]):
            there = times_s[times_s > 1.13 + length_s - 1e-9]
            assert (there >= passage.end_s).all()
    (filled,) = models["notes"].fill(piece, 1.13, end_s, seconds=length_s, candidates=1, seed=2)
    assert len(outside(filled, 1.13, 1.13 + length_s)) == len(outside(piece, 1.13, end_s))


def test_a_new_passage_of_other_length_moves_what_follows(
    models: dict[str, Model], piece: Performance
) -> None:
    for seconds in (1.0, 4.5):
        (filled,) = models["seed"].fill(piece, BEGIN, END, seconds=seconds, candidates=1, seed=1)
        after = [note[0] + seconds - 2 for note in piece.notes.tolist() if note[0] >= END]
        moved = [note[0] for note in filled.notes.tolist() if note[0] >= BEGIN + seconds - 1e-9]
        assert moved == pytest.approx(after)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 5), "a beginning at 0 s or later and an end after it"),
        ((5, 4), "a beginning at 0 s or later and an end after it"),
        ((-1, 4), "a beginning at 0 s or later"),
        ((float("nan"), 4), "a beginning at 0 s or later"),
        ((5, 99), "beyond the piece, which ends at"),
        ((5, 8, "below C0"), "finds nothing to keep"),
        ((5, 8, "below H"), "pitch"),
        ((5, 8, "feet"), "keep must be left, right"),
        ((5, 8, np.ones(3, bool)), "one value for each of"),
    ],
)
def test_what_cannot_be_filled_is_refused(
    arguments: tuple, message: str, models: dict[str, Model], piece: Performance
) -> None:
    start, end, *keep = arguments
    with pytest.raises(GenerationError, match=message):
        models["seed"].fill(piece, start, end, keep=keep[0] if keep else None)


def test_settings_that_cannot_count_are_refused(
    models: dict[str, Model], piece: Performance
) -> None:
    for settings in ({"guidance": 2.0}, {"count": 0}, {"candidates": 0}, {"seconds": 0.001}):
        with pytest.raises(GenerationError):
            models["seed"].fill(piece, BEGIN, END, **settings)
    with pytest.raises(GenerationError, match="do not hold all of the kept notes"):
        models["seed"].fill(piece, BEGIN, END, keep="left", seconds=0.5)
    with pytest.raises(GenerationError, match="does not support density"):
        models["seed"].fill(piece, BEGIN, END, density=5)


def test_copying_what_follows_is_passed_over(
    models: dict[str, Model], piece: Performance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill() -> Performance:
        return models["seed"].fill(piece, BEGIN, END, candidates=4, seed=4)[0]

    best = fill()
    copied = [note[2] for note in inside(best)]

    def shared(performance: Performance, around: Performance) -> int:
        return 99 if performance.notes["pitch"].tolist() == copied else 2

    monkeypatch.setattr(filling, "longest_shared", shared)
    assert inside(fill()) != inside(best)


@OF_MODELS
def test_a_variation_keeps_the_part_that_is_asked_for(
    name: str, models: dict[str, Model], piece: Performance
) -> None:
    model, there = models[name], inside(piece)
    assert model.vary(piece, BEGIN, END, amount=0, seed=5) == [piece]
    before = set(there)
    for amount in (0.2, 0.5, 0.8):
        (varied,) = model.vary(piece, BEGIN, END, amount=amount, seed=5, candidates=2)
        kept = set(there) & set(inside(varied))
        assert len(kept) == pytest.approx((1 - amount) * len(there), abs=1.01)
        assert kept <= before
        assert outside(varied) == outside(piece)
        before = kept
    whole = model.vary(piece, BEGIN, END, amount=1, seed=5, candidates=2)
    assert whole == model.fill(piece, BEGIN, END, seed=5, candidates=2)
    with pytest.raises(GenerationError, match=r"amount must be within 0\.\.1"):
        model.vary(piece, BEGIN, END, amount=1.5)


def test_hands_are_told_apart(piece: Performance) -> None:
    assert (right_hand(piece) == (piece.notes["pitch"] >= 60)).all()
    crossing = piece.transpose(-14)  # the upper voice now lies below C4
    assert (right_hand(crossing) == (piece.notes["pitch"] >= 60)).mean() > 0.9


def song_of_two_tracks() -> bytes:
    words = [(0, mb.tempo(500_000)), (0, mb.meta(3, b"song")), (0, mb.exclusive(b"\x7e\xf7"))]
    words += [(480, mb.meta(5, b"la")) for _ in range(20)]
    hands = []
    for channel, low, name in ((0, 60, b"right"), (0, 40, b"left"), (1, 70, b"violin")):
        events = [(0, mb.meta(3, name)), (0, mb.program(40 * channel, channel))]
        for number in range(40):
            events += [
                (20, mb.on(low + number % 7, 70, channel)),
                (220, mb.off(low + number % 7, channel)),
            ]
        hands.append(mb.track(events))
    return mb.midi_file(mb.track(words), *hands)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_the_command_changes_nothing_but_the_passage(tmp_path: Path) -> None:
    song, out = tmp_path / "song.mid", tmp_path / "out.mid"
    song.write_bytes(song_of_two_tracks())
    common = ("fill", str(song), "--model", "seed", "--seed", "1", "--candidates", "2")
    line = run(
        *common, "--from", "2:1", "--to", "4:1", "--keep", "track 3", "-o", str(out), "--json"
    )
    shown = json.loads(line.splitlines()[-1])
    assert (shown["from_s"], shown["to_s"]) == (2.0, 6.0)
    assert shown["fills"][0]["kept"] == 16
    before, after = (songs.read(path.read_bytes()) for path in (song, out))
    added = [message for message in after.tracks[1] if message[1][:2] == b"\xff\x01"]
    assert len(added) == 1 and b"Filled with espressivo" in added[0][1]
    after.tracks[1].remove(added[0])
    songs.check(before, after, 4 * 480, 12 * 480, 8 * 480)
    assert after.tracks[2] == before.tracks[2], "the left hand is kept"
    assert after.tracks[3] == before.tracks[3], "the violin is no piano"
    run(*common, "--from", "2", "--to", "3", "--seconds", "2", "--count", "2", "-o", str(out))
    for number in (1, 2):
        moved = midi.parsed_song((tmp_path / f"out-{number}.mid").read_bytes())
        assert moved.end == before.tracks[0][-1][0] + 2 * 480


def test_a_variation_by_the_command(tmp_path: Path) -> None:
    song, out = tmp_path / "song.mid", tmp_path / "out.mid"
    song.write_bytes(song_of_two_tracks())
    run(
        "vary",
        str(song),
        "--model",
        "seed",
        "--from",
        "2",
        "--to",
        "end",
        "--amount",
        "0",
        "-o",
        str(out),
    )
    before, after = (midi.read(path) for path in (song, out))
    assert before == after


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("--from 3 --to 2", 2, "--from must come before --to"),
        ("--from 3 --to 3", 2, "--from must come before --to"),
        ("--from 3 --to 99", 2, "beyond the piece, which ends at 10 s"),
        ("--from soon --to 3", 1, "song.mid: 'soon' is not a time"),
        ("--from 1:9 --to 3", 1, "song.mid: there is no beat 9 in bar 1"),
        ("--from 1 --to 3 --track 9", 1, "song.mid: nothing plays there"),
        ("--from 1 --to 3 --keep 'track 4'", 1, "song.mid: the piano has no notes on track 4"),
        ("--from 1 --to 3 --keep 'above C8'", 2, "finds nothing to keep"),
        ("--from 1 --to 3 --amount 0.3", 2, "No such option"),
        ("--from 1 --to 3 --count 2 --temperature 0", 2, "the same file each time"),
    ],
)
def test_bad_input_of_the_command_is_one_line(
    arguments: str,
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    song = tmp_path / "song.mid"
    song.write_bytes(song_of_two_tracks())
    line = ["espressivo", "fill", str(song), "-o", str(tmp_path / "o.mid"), *shlex.split(arguments)]
    monkeypatch.setattr("sys.argv", line)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == status
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
