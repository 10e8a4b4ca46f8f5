"""Evaluation: the figures are right, and depend on nothing but model and pieces."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import espressivo
from espressivo import Performance, cli
from espressivo.codes import KINDS, vocabulary
from espressivo.data.corpus import prepare
from espressivo.data.shards import processes
from espressivo.errors import DataError, ModelError
from espressivo.evaluation import likelihood, music
from espressivo.evaluation import recall as recalling
from espressivo.evaluation.baselines import opened
from espressivo.evaluation.intervals import resamples, share
from espressivo.evaluation.kept import Kept
from espressivo.evaluation.likelihood import Score, predicted, score, summarise
from espressivo.evaluation.music import listen, remembered
from espressivo.evaluation.page import page
from espressivo.evaluation.page import table as table_of
from espressivo.evaluation.pieces import collect
from espressivo.evaluation.report import evaluate
from espressivo.play.model import Model
from known import Mock
from played import again, played

V = vocabulary("seed")
LENGTHS = (40, 120, 10, 70, 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pieces") / "midi"
    folder.mkdir()
    for piece, notes in enumerate(LENGTHS):
        played(piece, notes=notes).write(folder / f"{piece}.mid")
    return folder


@pytest.fixture(scope="module")
def pieces(folder):
    return collect([folder], V).found


@pytest.fixture(scope="module")
def scores(pieces):
    return score("seed", pieces)


@pytest.fixture(scope="module")
def baseline(folder):
    data = folder.parent / "data"
    prepare([folder], data, vocabulary=V, fractions=(1, 0, 0))
    return f"unigram:{data}"


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "composition"])
        writer.writerows((name, split, f"piece {name}") for name, split in rows)
    return path


def brute_force(model, ids):
    """Nats of a piece, event by event, from the probabilities that a state gives."""
    state, nats = model.state(), 0.0
    for id_ in ids.tolist():
        nats -= math.log(state.probabilities()[id_])
        state.feed(id_)
    return nats


# --- pieces ---------------------------------------------------------------------------------------


def test_pieces_are_found_in_folders_and_as_files(folder):
    found = collect([folder], V).found
    assert [piece.name for piece in found] == [f"midi/{n}.mid" for n in range(5)]
    for piece in found:
        assert piece.events == len(V.encode(espressivo.read(piece.path)))
    (alone,) = collect([folder / "1.mid"], V).found
    assert (alone.name, alone.sha256) == ("1.mid", found[1].sha256)
    assert collect([folder, folder / "1.mid", folder], V).found == found  # each once


def test_bad_files_are_skipped_and_named(tmp_path, folder):
    (tmp_path / "broken.mid").write_bytes(b"MThd nonsense")
    (tmp_path / "empty.mid").write_bytes(b"")
    Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[]).write(
        tmp_path / "silent.mid"
    )
    played(1).write(tmp_path / "good.mid")
    result = collect([tmp_path], V)
    assert [Path(piece.name).name for piece in result.found] == ["good.mid"]
    reasons = {Path(one.name).name: one.reason for one in result.skipped}
    assert sorted(reasons) == ["broken.mid", "empty.mid", "silent.mid"]
    assert reasons["silent.mid"] == "no notes"
    (tmp_path / "good.mid").unlink()
    with pytest.raises(DataError, match=r"none of 3 files .*broken\.mid"):
        collect([tmp_path], V)


def test_many_files_keep_their_names(tmp_path):
    for number in range(150):
        notes = 1 + number % 7
        played(number, notes=notes).write(tmp_path / f"{number:03}.mid")
    found = collect([tmp_path], V).found
    assert [Path(piece.name).name for piece in found] == [f"{n:03}.mid" for n in range(150)]
    for piece in found:
        assert piece.path.name == Path(piece.name).name
        assert piece.events == len(V.encode(espressivo.read(tmp_path / Path(piece.name).name)))


def test_a_csv_chooses_the_split_and_tells_what_is_missing(tmp_path, folder):
    rows = [("midi/0.mid", "test"), ("midi/1.mid", "train"), ("midi/9.mid", "test")]
    result = collect([folder], V, csv=table(tmp_path / "splits.csv", rows), split="test")
    assert [piece.name for piece in result.found] == ["midi/0.mid"]
    assert result.found[0].composition == "piece midi/0.mid"
    assert result.missing == ("midi/9.mid",)


def test_a_csv_that_does_not_fit_is_an_error(tmp_path, folder):
    splits = table(tmp_path / "splits.csv", [("midi/0.mid", "train")])
    with pytest.raises(DataError, match="none of the 5 MIDI files found is in its split 'test'"):
        collect([folder], V, csv=splits, split="test")
    with pytest.raises(DataError, match="split must be one of train, validation, test"):
        collect([folder], V, csv=splits, split="tests")
    with pytest.raises(DataError, match="needs a CSV"):
        collect([folder], V, split="test")
    with pytest.raises(DataError, match=r"none: no such file or folder"):
        collect([folder / "none"], V)


def test_files_of_one_name_are_not_mixed_up(tmp_path, folder):
    shutil.copytree(folder, tmp_path / "midi")
    splits = table(tmp_path / "s.csv", [(f"midi/{n}.mid", "test") for n in range(5)])
    with pytest.raises(DataError, match=r"is also called midi/0\.mid"):
        collect([folder, tmp_path / "midi"], V, csv=splits, split="test")


def test_notes_outside_the_vocabulary_are_counted(tmp_path):
    Performance.from_arrays(
        onset_s=[0, 1, 2], offset_s=[1, 2, 3], pitch=[10, 60, 120], velocity=[64] * 3
    ).write(tmp_path / "a.mid")
    assert collect([tmp_path], V).found[0].outside == 2


# --- likelihood -----------------------------------------------------------------------------------


def test_likelihood_equals_a_sum_by_brute_force(pieces, scores):
    model = opened("seed")
    for one, piece in zip(scores[1:4], pieces[1:4], strict=True):
        ids = V.encode(espressivo.read(piece.path))
        assert one.sums[1] == pytest.approx(brute_force(model, ids), abs=1e-6)
        assert one.sums[0] == len(ids) == piece.events


@pytest.mark.parametrize("name", ["magenta", "maestro", "pedal", "seed"])
def test_any_vocabulary_and_every_event_is_given_all_before_it(name):
    v = vocabulary(name)
    model = Model(Mock(v))
    sequences = [
        v.encode(played(piece, notes=notes)) for piece, notes in ((1, 40), (2, 9), (3, 90))
    ]
    for (nats, ranks), ids in zip(predicted(model, sequences), sequences, strict=True):
        state = model.state()
        for place, id_ in enumerate(ids.tolist()):
            p = state.probabilities()
            assert nats[place] == pytest.approx(-math.log(p[id_]), abs=1e-9)
            assert ranks[place] == np.argsort(-state.logits(), kind="stable").tolist().index(id_)
            state.feed(id_)


def same(one: Score, other: Score) -> bool:
    """Whether every bit is the same."""
    return (one.name, one.notes, one.seconds) == (other.name, other.notes, other.seconds) and all(
        a.tobytes() == b.tobytes()
        for a, b in ((one.by_class, other.by_class), (one.by_position, other.by_position))
    )


def test_neither_batch_nor_chunk_changes_a_bit(pieces, scores, monkeypatch):
    for rows, chunk in ((1, 256), (2, 7), (3, 100)):
        monkeypatch.setattr(likelihood, "_ROWS", rows)
        monkeypatch.setattr(likelihood, "_CHUNK", chunk)
        assert all(map(same, score("seed", pieces), scores))


def test_sums_by_class_and_position_are_those_of_the_events(pieces, scores):
    model = opened("seed")
    for one, piece in zip(scores, pieces, strict=True):
        p = espressivo.read(piece.path)
        ids = V.encode(p)
        ((nats, ranks),) = predicted(model, [ids])
        for kind in range(len(KINDS)):
            of = V.kinds[ids] == kind
            expected = [of.sum(), nats[of].sum(), (ranks[of] == 0).sum(), (ranks[of] < 5).sum()]
            np.testing.assert_allclose(one.by_class[kind], expected)
        assert one.by_position[0, 1] == pytest.approx(nats[:10].sum())
        assert one.by_position[1, 1] == pytest.approx(nats[10:100].sum())
        np.testing.assert_allclose(one.by_position.sum(axis=0), one.sums)
        assert one.notes == len(V.quantise(p))
        assert one.seconds == pytest.approx(V.quantise(p).seconds)


def test_only_the_first_events_can_be_scored(pieces, scores):
    for one, whole in zip(score("seed", pieces, first_events=100), scores, strict=True):
        assert one.sums[0] == min(100, whole.sums[0])
        np.testing.assert_array_equal(one.by_position[:2], whole.by_position[:2])


def test_a_model_that_gives_no_probability_is_refused(folder, monkeypatch):
    mock = Mock(V)
    mock.logits = lambda mixed, position: np.full(V.size, np.nan)
    monkeypatch.setattr(likelihood, "loaded", lambda source: Model(mock))
    with pytest.raises(ModelError, match=r"event 0 of midi/1\.mid"):
        score("x", collect([folder], V).found)


def test_intervals_cover_as_often_as_they_say():
    """Of a thousand samples from a known population, some 95 % have the true ratio within."""
    rng = np.random.default_rng(0)
    drawn = resamples(60)
    hits = 0
    for _ in range(300):
        events = rng.integers(50, 500, 60).astype(float)
        nats = events * rng.normal(2, 0.3, 60)
        estimate = share(nats, events, drawn)
        assert estimate.low < estimate.value < estimate.high
        hits += estimate.low <= 2 <= estimate.high
    assert 0.90 <= hits / 300 <= 0.98


def test_one_piece_has_no_interval(folder):
    estimate = summarise(score("seed", collect([folder / "0.mid"], V).found)).per_event
    assert (estimate.low, estimate.high) == (None, None)


# --- reports --------------------------------------------------------------------------------------


def test_a_report_adds_up(folder, baseline):
    report = evaluate(baseline, [folder], samples=3, seconds=5)
    found = report.likelihood
    assert found.pieces == 5
    assert found.per_event.value == pytest.approx(found.nats / found.events)
    assert found.per_note.value == pytest.approx(found.nats / found.notes)
    assert found.per_second.value == pytest.approx(found.nats / found.seconds)
    assert sum(row.events for row in found.by_class) == found.events
    assert sum(row.events for row in found.by_position) == found.events
    again = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert sum(np.sum(p["by_class"], axis=0)[1] for p in again["pieces"]) == pytest.approx(
        found.nats
    )
    assert [sample["seed"] for sample in again["music"]["samples"]] == [
        sample.seed for sample in report.music.samples
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seed", "4gram"])
def test_the_number_of_processes_changes_nothing(folder, baseline, name):
    source = name if name == "seed" else baseline.replace("unigram", name)
    settings = {"samples": 2, "seconds": 3, "train": folder}
    alone = evaluate(source, [folder], **settings).to_dict()
    with processes(2) as executor:
        shared = evaluate(source, [folder], executor=executor, workers=2, **settings).to_dict()
    del alone["made"], shared["made"]
    assert shared == alone


def test_copies_of_training_pieces_are_found_and_people_are_held_against_them(
    tmp_path, folder, baseline
):
    pieces = collect([folder / "1.mid", folder / "3.mid"], V).found
    copy = again(played(1, notes=120), tempo=1.03, part=slice(20, 60))
    copy = Performance.from_arrays(
        onset_s=copy.notes["onset_s"],
        offset_s=copy.notes["offset_s"],
        pitch=copy.notes["pitch"] + 2,
        velocity=copy.notes["velocity"],
    )
    own = played(77, notes=60)
    memory = remembered(Path(baseline.partition(":")[2]), V)
    assert memory.names == remembered(folder, V).names
    heard = listen([own, copy], pieces, V, memory, 30.0, 5)
    assert heard.model["shared_run"][1].tolist() == [40, 1]
    assert heard.model["shared_run"][0, 0] < 15
    assert heard.model["copied"].mean(axis=0).tolist() == [0.5, 1]
    assert heard.people["copied"].mean(axis=0).tolist() == [1, 1]  # they are training pieces
    found = {sample.seed: sample.run for sample in heard.samples}[6]
    assert (found.piece, found.semitones) == ("midi/1.mid", 2)
    splits = table(tmp_path / "s.csv", [("midi/0.mid", "test"), ("midi/2.mid", "train")])
    assert remembered(folder, V, csv=splits).names == ("midi/2.mid",)


def test_samples_are_ranked_by_likeness_to_people(folder):
    pieces = collect([folder], V).found
    loud = played(8, notes=60)
    few = listen([loud], pieces[:3], V, None, 10.0, 3)
    assert len(few.lines) > 8
    assert listen([loud], pieces[:1], V, None, 10.0, 3).lines == ()  # nothing to compare with
    odd = Performance.from_arrays(
        onset_s=np.arange(9), offset_s=np.arange(9) + 0.1, pitch=[108] * 9, velocity=[127] * 9
    )
    ranked = listen([odd, loud], pieces, V, None, 10.0, 3).samples
    assert [sample.seed for sample in ranked] == [4, 3]
    assert ranked[0].likeness > ranked[1].likeness + 0.2


def test_people_are_more_like_people_than_a_unigram_is(folder, baseline):
    report = evaluate(baseline, [folder], samples=4, seconds=20)
    lines = {line.feature: line for line in report.music.lines}
    velocity = lines["velocity"]
    assert velocity.ceiling.mean.pooled_overlap > velocity.floor.pooled_overlap + 0.3


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path, folder, monkeypatch):
    settings = {"samples": 3, "seconds": 4}
    folder = shutil.copytree(folder, tmp_path / "midi")
    played(5, notes=500).write(folder / "long.mid")  # of which passages are read and gone on from
    whole = evaluate("seed", [folder], **settings).to_dict()
    kept = tmp_path / "unfinished.jsonl"

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("espressivo.evaluation.report.listen", stopped)
        with pytest.raises(KeyboardInterrupt):
            evaluate("seed", [folder], resume=kept, **settings)
    text = kept.read_text()
    kept.write_text(text[: len(text) - 40])  # killed while it wrote
    done = []
    for module, name in (
        (likelihood, "_score_group"),
        (recalling, "_amounts"),
        (music, "_play_one"),
        (music, "_continue_one"),
    ):
        before = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args, f=before, name=name: (done.append(name), f(*args))[1]
        )
    again_ = evaluate("seed", [folder], resume=kept, **settings).to_dict()
    assert done == ["_continue_one"]  # the one that was cut off
    del whole["made"], again_["made"]
    assert again_ == whole
    assert not kept.exists()
    kept.write_text(text)
    made_from = json.loads(text.partition("\n")[0].partition(" ")[2])["made_from"]
    assert "seed 0" in Kept(kept, made_from)
    assert "seed 0" not in Kept(kept, {**made_from, "seconds": 5})


def test_what_has_changed_in_a_run_that_was_stopped_is_not_believed(tmp_path):
    kept = Kept(tmp_path / "kept", {})
    for name in ("one", "two"):
        kept.keep(name, 1.5)
    text = (tmp_path / "kept").read_text()
    (tmp_path / "kept").write_text(text.replace('"one": 1.5', '"one": 1.6'))
    again = Kept(tmp_path / "kept", {})
    assert "one" not in again and again["two"] == 1.5


def test_a_half_is_measured_alone(folder):
    every = collect([folder], V).found
    halves = [collect([folder], V, half=half).found for half in "AB"]
    assert sorted(piece.name for half in halves for piece in half) == [one.name for one in every]
    assert all(halves)
    with pytest.raises(DataError, match="all of 1 pieces are in the other half"):
        for half in "AB":
            collect([folder / "0.mid"], V, half=half)


def test_texts_of_a_page_cannot_break_it():
    assert "&lt;b&gt; &amp;" in table_of(("<b> &",), [])
    assert "<title>&lt;b&gt;" in page("<b>", "")


def test_the_command_writes_reports_and_names_what_it_left_out(
    tmp_path, folder, baseline, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    splits = table(tmp_path / "s.csv", [(f"midi/{n}.mid", "test") for n in (0, 1, 7)])
    arguments = ["evaluate", baseline, str(folder), "--csv", str(splits), "--split", "test"]
    options = ["--samples", "1", "--seconds", "2", "--workers", "1", "--out", "r", "--json"]
    options += ["--train", baseline.partition(":")[2]]
    monkeypatch.setattr("sys.argv", ["espressivo", *arguments, *options])
    cli.main()
    printed = capsys.readouterr()
    assert "missing: midi/7.mid" in printed.err
    report = json.loads(printed.out)
    assert report == json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["data"]["missing"] == ["midi/7.mid"]
    command = report["made"]["command"]
    assert command.startswith("espressivo evaluate unigram:data midi --csv s.csv --split test")
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', text)  # it stands alone
    assert f"{report['likelihood']['per_event']['value']:.4f}" in text
    assert len(text) < 300_000
    assert text.count("data:image/png") == 1
    assert "#010203" not in text


def test_reports_are_written_before_anything_is_printed(tmp_path, folder, monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("click.echo", closed)
    out = tmp_path / "r"
    for arguments in (
        ["evaluate", "seed", folder / "2.mid", "--samples", 0, "--workers", 1, "--out", out],
        ["compare", out, out, "--out", out],
    ):
        monkeypatch.setattr("sys.argv", ["espressivo", *map(str, arguments)])
        with pytest.raises(BrokenPipeError):
            cli.main()
    names = sorted(path.name for path in out.iterdir())
    assert names == ["compare.html", "compare.json", "compare.md", "report.html", "report.json"]


@pytest.mark.slow
def test_likelihood_of_real_pieces_equals_a_sum_by_brute_force():
    data = Path(os.environ["ESPRESSIVO_DATA"]) / "maestro"
    pieces = collect([data], V, csv=data / "maestro-v3.0.0.csv", split="validation").found
    three = sorted(pieces, key=lambda piece: piece.events)[:3]
    model = opened("seed")
    for one, piece in zip(score("seed", three), three, strict=True):
        ids = V.encode(espressivo.read(piece.path))
        assert one.sums[1] == pytest.approx(brute_force(model, ids), rel=0, abs=1e-6)
