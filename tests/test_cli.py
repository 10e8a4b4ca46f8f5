"""The command line as a user meets it, in this process."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import espressivo
from conftest import Run
from espressivo import Performance, midi
from espressivo.cli import cli
from espressivo.play import primers
from espressivo.play.settings import Settings
from known import posix


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_explains_itself_with_an_example(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    examples = out.split("Examples:")[1].strip().splitlines()
    assert all(line.strip().startswith(f"espressivo {command}") for line in examples)


@pytest.mark.parametrize("command", ["", *sorted(cli.commands)])
def test_help_fits_eighty_columns(command: str) -> None:
    arguments = [*command.split(), "--help"]
    out = CliRunner().invoke(cli, arguments, prog_name="espressivo", terminal_width=80).output
    assert [line for line in out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--nonsense"], "No such option"),
        (["compose"], "No such command"),
        (["events"], "either a MIDI file or --decode"),
        (["events", "a.mid", "--decode", "1"], "either a MIDI file or --decode"),
        (["events", "a.mid", "-o", "b.mid"], "-o goes with --decode"),
        (["events", "--decode", "1,x"], "not a list of whole numbers"),
        (["events", "a.mid", "--vocabulary", "remi"], "seed"),
        (["generate", "--seconds", "5", "--events", "9", "-o", "a.mid"], "not both"),
        (["generate", "--seconds", "0", "-o", "a.mid"], "0.0"),
        (["generate", "--temperature", "-1", "-o", "a.mid"], "-1"),
        (["generate"], "--output"),
        (["generate", "--primer-chords", "C Hm", "-o", "a.mid"], "'Hm' is not a chord"),
        (["generate", "--primer-pitches", "60,200", "-o", "a.mid"], "0..127, not 200"),
        (
            ["generate", "--primer-pitches", "60", "--primer-chords", "C", "-o", "a.mid"],
            "one of primer",
        ),
        (["generate", "--beam", "4", "-o", "a.mid"], "--beam goes with --events"),
        (
            ["generate", "--beam", "2", "--events", "9", "--count", "3", "-o", "a.mid"],
            "most --beam",
        ),
        (["generate", "--stochastic", "-o", "a.mid"], "--stochastic goes with --beam"),
        (["generate", "--ending", "soft", "-o", "a.mid"], "natural"),
        (["generate", "--key", "H major", "-o", "a.mid"], "is not a key"),
        (["generate", "--at", "5:loud=3", "-o", "a.mid"], "is not a second and a change"),
        (["generate", "--at", "5:key=H", "-o", "a.mid"], "is not a key"),
        (
            ["generate", "--at", "5:key=C", "--at", "5:key=D", "-o", "a.mid"],
            "gives key at 5 s twice",
        ),
        (
            ["train", "data", "--out", "r", "--network", "delta", "--controls"],
            "controls needs --carry",
        ),
        (["train", "data", "--out", "r", "--network", "notewise"], "over notes or with controls"),
        (["train", "data", "--out", "r", "--optimizer", "muon"], "muon needs --network delta"),
        (["events", "--decode", "310"], "0..309"),
        (["events", "--decode", "0", "--one-based"], "1..310"),
        (["generate", "--model", "seed", "--density", "3", "-o", "a.mid"], "does not support"),
        (["generate", "--composer", "ravel", "-o", "a.mid"], "does not support composer"),
        (["generate", "--model", "seed", "--ending", "own", "-o", "a.mid"], "has no end event"),
        (["generate", "--highest-pitch", "10", "-o", "a.mid"], "no pitch within 0..10"),
        (["generate", "--pitch-weights", "1,2", "-o", "a.mid"], "12 numbers"),
        (["train", "data", "--out", "run", "--max-time", "1h"], "02:30:00"),
        (["evaluate", "seed", "a", "--split", "test"], "--csv and --split go together"),
        (["evaluate", "pianist", "a", "b", "--perform"], "--perform takes one folder"),
        (["evaluate", "pianist", "a", "--perform", "--judge"], "--perform takes one folder"),
        (["evaluate", "seed", "a", "--train", "data", "--samples", "0"], "--train needs --samples"),
        (["train", "data", "--out", "r", "--carry", "--window-seconds", "30"], "leave --window"),
    ],
)
def test_wrong_usage_is_explained_with_status_2(run: Run, arguments: list[str], hint: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("espressivo: ")
    assert err.count("\n") == 1 and ".;" not in err
    assert hint in err


def test_events_shows_each_event_with_time_and_meaning(run: Run, scale: Path) -> None:
    status, out, _ = run("events", scale)
    lines = out.splitlines()
    v = espressivo.vocabulary("seed")
    ids = v.encode(espressivo.read(scale))
    assert (status, len(lines)) == (0, len(ids))
    assert lines[1].split(maxsplit=3) == ["1", "0.00", "39", "note on 60 (C4)"]

    status, out, _ = run("events", scale, "--json", "--one-based")
    about = json.loads(out)
    assert about["events"] == v.to_one_based(ids).tolist()
    assert about["time_s"][-1] == 1.95


def test_events_writes_the_posts_chord(run: Run, tmp_path: Path) -> None:
    chord = "300,60,62,64,67,226,152,155,226,150,226,148"
    status, out, _ = run("events", "--decode", chord, "--one-based", "-o", "chord.mid")
    assert (status, out) == (0, "chord.mid: 4 notes, 1.5 s\n")
    v = espressivo.vocabulary("seed")
    heard = espressivo.read(tmp_path / "chord.mid")
    assert v.quantise(heard) == v.decode(v.from_one_based([int(n) for n in chord.split(",")]))


def test_events_takes_the_posts_own_brackets(run: Run) -> None:
    status, out, _ = run("events", "--decode", "{177, 60, 90}", "--one-based")
    assert status == 0
    assert [line.split(maxsplit=3)[3] for line in out.splitlines()] == [
        "shift 10 ms",
        "note on 80 (G#5)",
        "note off 22 (A#0)",
    ]


def test_events_says_what_it_leaves_out(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "low.mid"
    Performance.from_arrays(
        onset_s=[0, 0], offset_s=[1, 1], pitch=[10, 60], velocity=[70, 70]
    ).write(path)
    status, _, err = run("events", path)
    assert status == 0
    assert "1 notes outside pitches 21..108 are left out" in err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["events", "missing.mid"], "missing.mid: "),
        (["events", "."], "."),
        (["events", "bad.mid"], "bad.mid: "),
        (["events", "--decode", "1", "-o", "no/such/folder/a.mid"], "no/such/folder"),
        (["generate", "--model", "missing", "-o", "a.mid"], "no model is named 'missing'"),
        (["generate", "--model", "bad.mid", "-o", "a.mid"], "bad.mid"),
        (["models", "missing.onnx"], "missing.onnx"),
        (["plot", "bad.mid", "-o", "a.png"], "bad.mid: "),
        (["prepare", "missing", "--out", "data"], "missing"),
        (["train", "missing", "--out", "run"], "not a prepared dataset"),
        (["train", ".", "--out", "run", "--resume"], "no such checkpoint"),
        (["export", "missing", "-o", "a.onnx"], "missing"),
    ],
)
def test_bad_input_gives_one_line_and_status_1(
    run: Run, tmp_path: Path, arguments: list[str], hint: str
) -> None:
    (tmp_path / "bad.mid").write_bytes(b"no music in here")
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    assert err.startswith("espressivo: ")
    assert err.count("\n") == 1
    assert hint in err
    assert not list(tmp_path.glob(".*.partial"))


def test_plot_draws_a_picture(run: Run, scale: Path, tmp_path: Path) -> None:
    status, _, _ = run("plot", scale, "-o", "roll.png")
    assert status == 0
    assert (tmp_path / "roll.png").read_bytes().startswith(b"\x89PNG")


def test_plot_draws_two_performances_curves_and_runs(run: Run, scale: Path, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("events,train_nats\n1000,5.5\n2000,5.0\n")
    for arguments in ([scale, scale], [scale, "--curves"], [scale, scale, "--curves"], ["."]):
        status, out, _ = run("plot", *arguments, "-o", "picture.svg")
        assert (status, out) == (0, "picture.svg\n")
        assert b"<svg" in (tmp_path / "picture.svg").read_bytes()
    status, _, err = run("plot", ".", "--curves", "-o", "picture.svg")
    assert status == 2 and "neither --curves nor OTHER" in err


def test_render_writes_sound(run: Run, scale: Path, tmp_path: Path) -> None:
    status, out, _ = run("render", scale, "-o", "scale.wav")
    assert status == 0 and out.startswith("scale.wav: ") and " s, peak -" in out
    assert (tmp_path / "scale.wav").read_bytes().startswith(b"RIFF")
    status, out, _ = run("render", scale, "-o", "scale.wav", "--sample-rate", 22050, "--json")
    about = json.loads(out)
    assert status == 0 and about["sample_rate"] == 22050
    assert 1.9 < about["seconds"] < 5 and -40 < about["peak_db"] < 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["none.mid", "-o", "a.wav"], "none.mid: "),
        (["scale.mid", "-o", "a.wav", "--soundfont", "none.sf2"], "none.sf2: no such soundfont"),
        (["scale.mid", "-o", "a.wav", "--soundfont", "scale.mid"], "scale.mid: not a soundfont"),
        (["scale.mid", "-o", "a.wav", "--sample-rate", "7"], "sample rate 7 is not within"),
        (["empty.mid", "-o", "a.wav"], "nothing to hear"),
    ],
)
def test_what_render_cannot_do_is_one_line(
    run: Run, scale: Path, tmp_path: Path, arguments: list[str], hint: str
) -> None:
    Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[]).write(
        tmp_path / "empty.mid"
    )
    status, _, err = run("render", *arguments)
    assert status == 1 and hint in err and err.count("\n") == 1
    assert not list(tmp_path.glob("a.*"))


def test_generate_writes_sound_and_refuses_other_names_before_the_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, _ = run("generate", "--seconds", 2, "--seed", 1, "-o", "out.wav")
    assert status == 0 and (tmp_path / "out.wav").read_bytes().startswith(b"RIFF")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    status, out, err = run("generate", "--model", "none", "-o", "out.flac")
    assert (status, out) == (1, "") and "out.flac: only .wav goes without soundfile" in err


def test_from_a_folder_of_performances_to_a_model_that_plays(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        onset_s = np.cumsum(rng.choice([0.2, 0.3, 0.4], 80))
        pitch = rng.integers(50, 80, 80)
        p = Performance.from_arrays(
            onset_s=onset_s, offset_s=onset_s + 0.15, pitch=pitch, velocity=rng.integers(40, 90, 80)
        )
        (tmp_path / "midi").mkdir(exist_ok=True)
        p.write(tmp_path / "midi" / f"{number}.mid")
    rows = [f"{n}.mid,piece {n},{'validation' if n > 9 else 'train'}" for n in range(12)]
    table = tmp_path / "midi" / "splits.csv"
    table.write_text("path,composition,split\n" + "\n".join(rows), encoding="utf-8")

    status, out, _ = run("prepare", "midi", "--csv", table, "--out", "data", "--json")
    assert status == 0
    assert json.loads(out)["kept"] == 12

    options = "--hidden 8 --layers 1 --batch 2 --window 16 --rounds 0.3 --accelerator cpu"
    status, out, _ = run("train", "data", "--out", "run", *options.split(), "--json")
    assert status == 0
    assert json.loads(out)["ended"] == "finished"
    status, _, err = run("train", "data", "--out", "other", "--accelerator", "abacus")
    assert (status, err.count("\n")) == (1, 1)
    assert "abacus" in err
    status, _, err = run("train", "data", "--out", "run", "--resume", "--clip", "2")
    assert status == 2
    assert "leave out --clip" in err
    status, out, _ = run("train", "data", "--out", "run", "--resume", "--rounds", "0.6")
    assert status == 0
    assert out.startswith("finished after")

    assert run("export", "run", "-o", "tiny.onnx", "--licence", "CC0-1.0")[0] == 0
    status, out, _ = run("export", "run", "-o", "tiny/", "--licence", "CC0-1.0")
    assert (status, out) == (0, "tiny: README.md, config.json, model.onnx, model.safetensors\n")
    assert json.loads((tmp_path / "tiny/config.json").read_text())["card"]["licence"] == "CC0-1.0"
    assert run("export", "tiny", "-o", "again.onnx", "--trained-on", "nothing")[0] == 0
    again = json.loads(run("models", "again.onnx", "--json")[1])["again.onnx"]
    assert (again["licence"], again["trained_on"]) == ("CC0-1.0", "nothing")
    tuned = ("train", "data", "--out", "tuned", "--start-from", "tiny", "--accelerator", "cpu")
    status, _, err = run(*tuned, "--layers", "2")
    assert (status, "brings its own network: leave out --layers" in err) == (2, True)
    status, _, err = run(*tuned, "--no-pointers")
    assert (status, "leave out --no-pointers" in err) == (2, True)
    status, _, err = run("train", "data", "--out", "run", "--resume", "--start-from", "tiny")
    assert (status, "leave out --start-from" in err) == (2, True)
    options = ("--carry", "--batch", "2", "--window", "16", "--rounds", "0.3", "--loudness", "1")
    status, out, _ = run(*tuned, *options)
    assert (status, out.startswith("finished after")) == (0, True)
    mean = ("export", "tuned", "-o", "mean", "--mean-with", "tiny", "--share", "0.25")
    assert run(*mean)[0] == 0
    assert run("export", "tuned", "-o", "new")[0] == 0
    new, old, both = (load_file(f"{name}/model.safetensors") for name in ("new", "tiny", "mean"))
    assert not torch.equal(new["output.weight"], old["output.weight"])
    for name, weight in both.items():
        torch.testing.assert_close(weight, 0.75 * new[name] + 0.25 * old[name])
    said = json.loads((tmp_path / "mean/config.json").read_text())["card"]["mean_with"]
    assert said == {"model": "tiny", "share": 0.25}
    status, _, err = run("export", "run", "-o", "mean", "--mean-with", "espressivo")
    assert (status, err) == (1, "espressivo: espressivo: has another vocabulary than run\n")
    status, _, err = run("export", "run", "-o", "mean", "--share", "0.25")
    assert (status, "--share goes with --mean-with" in err) == (2, True)
    status, _, err = run("export", "run", "-o", "tiny.onnx", "--not-learned", "density")
    assert (status, "was shown no controls" in err) == (2, True)
    status, _, err = run("export", "run", "-o", "midi/0.mid")
    assert (status, err.startswith("espressivo: midi/0.mid: ")) == (2, True)
    status, out, _ = run("models", "tiny.onnx", "--json")
    card = json.loads(out)["tiny.onnx"]
    assert (card["licence"], card["vocabulary"]) == ("CC0-1.0", "seed")
    assert card["network"] == {"cell": "gru", "hidden": 8, "layers": 1, "weights": "int8"}
    status, out, _ = run(
        "generate", "--model", "tiny.onnx", "--seconds", 3, "--seed", 5, "-o", "a.mid"
    )
    assert status == 0
    assert espressivo.read("a.mid").seconds <= 3.18


def test_generate_with_the_bundled_model(run: Run, scale: Path, tmp_path: Path) -> None:
    for name in ("a.mid", "b.mid"):
        assert run("generate", "--seconds", 5, "--seed", 3, "-o", name)[0] == 0
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()

    status, out, _ = run(
        "generate", "--count", 2, "--seed", 3, "--seconds", 5, "-o", "t.mid", "--json"
    )
    takes = json.loads(out)["takes"]
    assert [(take["file"], take["seed"]) for take in takes] == [("t-1.mid", 3), ("t-2.mid", 4)]
    assert (tmp_path / "t-1.mid").read_bytes() == (tmp_path / "a.mid").read_bytes()
    assert (tmp_path / "t-2.mid").read_bytes() != (tmp_path / "a.mid").read_bytes()

    arguments = ("generate", "--primer", scale, "--seconds", 2, "--seed", 1, "-o", "c.mid")
    assert run(*arguments, "--include-primer")[0] == 0
    v = espressivo.vocabulary("seed")
    begun, whole = v.quantise(espressivo.read(scale)), v.quantise(espressivo.read("c.mid"))
    assert whole.notes[: len(begun)]["pitch"].tolist() == begun.notes["pitch"].tolist()
    assert whole.seconds <= begun.seconds + 2.12
    assert run(*arguments)[0] == 0
    assert espressivo.read("c.mid").seconds <= 2.12

    primer = "60,216,148,62,200,150,64,236,152,67,198,155"
    status, out, _ = run(
        "generate",
        "--model",
        "seed",
        "--primer-events",
        primer,
        "--one-based",
        "--events",
        40,
        "-o",
        "d.mid",
    )
    assert status == 0
    assert "seed" in out


def test_generate_has_every_setting_of_the_library(run: Run, tmp_path: Path) -> None:
    options = (
        "--temperature 1.1 --chord-temperature 0.7 --time-temperature 1.2 "
        "--duration-temperature 0.8 --velocity-temperature 0 --time-top-p 0.97 --time-min-p 0.02 "
        "--duration-top-p 0.96 --duration-min-p 0.03 "
        "--top-k 90 --top-p 0.98 --min-p 0.01 --lowest-pitch 40 --highest-pitch 90 --polyphony 5 "
        "--longest-note 2 --longest-rest 1 --avoid-loops --no-two-hands --density 6 "
        "--loudness 60 --guidance 1.5 --pitch-weights 5,0,3,0,4,3,0,5,0,3,0,2 --onset-rate 4"
    )
    names = [option.removeprefix("--") for option in options.split() if option.startswith("--")]
    units = {
        "longest-note": "longest_note_s",
        "longest-rest": "longest_rest_s",
        "no-two-hands": "two_hands",
    }
    given = {units.get(name, name.replace("-", "_")) for name in names}
    # The bundled model supports neither the composers nor returns.
    assert given | {"composer", "returns"} == {field.name for field in dataclasses.fields(Settings)}
    status, _, _ = run(
        "generate", *options.split(), "--primer-chords", "C Am/E", "--include-primer",
        "--seconds", 4, "--ending", "cut", "--seed", 1, "-o", "a.mid", "--at", "2: density=12",
        "--at", "2:key=A minor",
    )  # fmt: skip
    assert status == 0
    notes = espressivo.read("a.mid").notes
    assert notes["pitch"][:7].tolist() == [60, 64, 67, 52, 57, 60, 64]
    model = espressivo.load("espressivo")
    same = model.generate(
        seconds=4, ending="cut", seed=1, primer_chords="C Am/E", include_primer=True,
        temperature=1.1, chord_temperature=0.7, time_temperature=1.2, duration_temperature=0.8,
        velocity_temperature=0,
        time_top_p=0.97, time_min_p=0.02, duration_top_p=0.96, duration_min_p=0.03,
        top_k=90, top_p=0.98, min_p=0.01, lowest_pitch=40, highest_pitch=90, polyphony=5,
        longest_note_s=2, longest_rest_s=1, avoid_loops=True, two_hands=False, density=6,
        loudness=60, guidance=1.5, pitch_weights=(5, 0, 3, 0, 4, 3, 0, 5, 0, 3, 0, 2), onset_rate=4,
        changes={2.0: {"density": 12, "key": "A minor"}},
    )  # fmt: skip
    said = midi.read_provenance("a.mid")
    same.write(tmp_path / "b.mid", provenance=said)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_generate_searches(run: Run, tmp_path: Path) -> None:
    search = ("generate", "--events", 8, "--beam", 3, "--primer-pitches", "60,64,67")
    for name in ("a", "b"):
        assert run(*search, "--count", 2, "--stochastic", "--seed", 4, "-o", f"{name}.mid")[0] == 0
    assert (tmp_path / "a-1.mid").read_bytes() == (tmp_path / "b-1.mid").read_bytes()
    assert run(*search, "-o", "c.mid")[0] == 0
    (best, *_) = espressivo.load("espressivo").beam_search(
        events=8, width=3, primer=primers.pitches([60, 64, 67])
    )
    assert len(espressivo.read("c.mid")) == sum(best.ids < 88)


def test_next_shows_the_likeliest_events(run: Run) -> None:
    status, out, _ = run(
        "next", "--model", "seed", "--primer-events", "60,216,148", "--one-based", "--top", 4
    )
    assert (status, len(out.splitlines())) == (0, 4)
    status, out, _ = run(
        "next", "--model", "seed", "--primer-events", "60,216,148", "--one-based", "--json"
    )
    rows = json.loads(out)["next"]
    v = espressivo.vocabulary("seed")
    assert [row["probability"] for row in rows] == sorted(
        (row["probability"] for row in rows), reverse=True
    )
    assert rows[0]["meaning"] == v.describe(rows[0]["event"] - 1)


# Where outputs go


@pytest.mark.parametrize("command", ["generate", "render", "plot", "events"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    run: Run, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", None)  # no work is begun
    for name, words in (
        (f"none/a{ENDINGS[command]}", "there is no folder"),
        (f"folder{ENDINGS[command]}", "is a folder"),
    ):
        (tmp_path / f"folder{ENDINGS[command]}").mkdir(exist_ok=True)
        status, out, err = run(command, *(["missing.mid"] * (command in "render plot")), "-o", name)
        assert (status, out) == (1, "")
        assert err.startswith(f"espressivo: {name}: {words}") and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"folder{ENDINGS[command]}"]


ENDINGS = {"generate": ".mid", "render": ".wav", "plot": ".png", "events": ".mid"}
BEGINS = {"generate": b"MThd", "render": b"RIFF", "plot": b"\x89PNG"}


@posix
@pytest.mark.parametrize("command", ["generate", "render", "plot"])
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output_takes_the_file_alone(scale: Path, command: str, name: str) -> None:
    given = ["--events", "9"] if command == "generate" else [str(scale)]
    words = [sys.executable, "-m", "espressivo", command, *given, "-o", name]
    done = subprocess.run(words, capture_output=True, check=True, cwd=scale.parent)
    assert done.stdout.startswith(BEGINS[command])
    assert done.stderr.decode().splitlines()[-1].startswith(name)
    assert [path.name for path in scale.parent.iterdir()] == [scale.name]


def test_several_takes_need_names(run: Run) -> None:
    status, _, err = run("generate", "--count", "2", "--events", "9", "-o", "-")
    assert status == 2 and "--count makes several files: give the name of a file" in err


@posix
def test_a_full_disk_leaves_what_was_there(scale: Path) -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); "
        "from espressivo.cli import main; main()"
    )
    (scale.parent / "a.wav").write_bytes(b"old")
    words = [sys.executable, "-c", script, "render", str(scale), "-o", "a.wav"]
    done = subprocess.run(words, capture_output=True, check=False, cwd=scale.parent, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "espressivo: a.wav: File too large"
    assert sorted(path.name for path in scale.parent.iterdir()) == ["a.wav", "scale.mid"]
    assert (scale.parent / "a.wav").read_bytes() == b"old"


def test_names_in_errors_do_nothing_to_a_terminal(run: Run) -> None:
    status, _, err = run("info", "\x1b[31m\n.mid")
    assert status == 1 and err.startswith("espressivo: \\x1b[31m\\n.mid: ") and err.count("\n") == 1


def test_help_of_80_columns_says_each_command_in_a_whole_line(run) -> None:
    status, out, _ = run()
    assert status == 0
    assert (0, out) == run("--help")[:2]
    lines = out.partition("Commands:\n")[2].splitlines()
    assert len(lines) == len(cli.commands)
    assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []
    assert max(map(len, out.splitlines())) <= 80
