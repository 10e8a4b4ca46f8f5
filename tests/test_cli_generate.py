"""Generating from the command line: a request is done or refused, and its file says what it was."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

import pytest

import espressivo
import midi_bytes as mb
import songs
from conftest import Run
from espressivo import midi
from espressivo.music import Performance
from espressivo.notation import fit
from espressivo.play import provenance_of
from espressivo.version import __version__

# --- choosing by beats ---------------------------------------------------------------------------


def test_the_candidate_is_kept_whose_beats_fit_best(run: Run) -> None:
    options = "--model seed --seconds 6 --seed 3"
    assert run("generate", *f"{options} --count 4 -o one.mid".split())[0] == 0
    takes = [midi.read(f"one-{n}.mid") for n in range(1, 5)]
    fits = [fit(espressivo.beats(take), tempo=100, meter="4/4") for take in takes]
    best = fits.index(max(fits))
    wish = f"{options} --tempo 100 --meter 4/4 --candidates 4 -o best.mid"
    status, out, _ = run("generate", *wish.split(), "--json")
    assert status == 0
    (row,) = json.loads(out)["takes"]
    assert row["seed"] == 3 + best
    assert row["fits"] == round(fits[best].share, 3)
    assert row["meter"] == fits[best].meter
    assert (midi.read("best.mid").notes == takes[best].notes).all()
    assert f"{fits[best].share:.0%} of the beats fit" in run("generate", *wish.split())[1]


def test_what_has_no_beats_has_no_tempo(run: Run) -> None:
    options = (
        "generate --model seed --notes 1 --tempo 100 --candidates 2 --seed 3 -o one.mid".split()
    )
    assert "no beats were found in it" in run(*options)[1]
    assert json.loads(run(*options, "--json")[1])["takes"][0]["tempo"] is None


# --- done or refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("generate --key '' -o a.mid", "'' is not a key"),
        ("generate --at 5:key= -o a.mid", "'' is not a key"),
        ("generate --key C --at 30:key=F -o a.mid", "too late"),
        ("generate --guidance 2 -o a.mid", "nothing to guide"),
        ("generate --at 2:guidance=2 -o a.mid", "nothing to guide"),
        ("generate --at 2:composer=Bach -o a.mid", "supports density, loudness"),
        ("generate --primer-events 9999 -o a.mid", "9999"),
        ("generate --primer-events 60,216 -o a.mid", "number 1, 60, is"),
        ("next --primer-events 0,500,0 --one-based", "0"),
        ("next --one-based", "--one-based goes with --primer-events"),
        ("next --primer a.mid --primer-events 0", "give one of --primer and"),
        ("generate --one-based -o a.mid", "--one-based goes with --primer-events"),
        ("generate --include-primer -o a.mid", "no primer to include"),
        ("generate --temperature 0 --count 2 -o a.mid", "same take each time"),
        ("generate --ending natural --events 9 -o a.mid", "length in seconds"),
        ("generate --ending natural --notes 9 -o a.mid", "length in seconds"),
        ("generate --notes 9 --events 9 -o a.mid", "not both"),
        ("generate --beam 2 --events 9 --seed 1 -o a.mid", "--stochastic"),
        ("generate --beam 2 --seconds 9 -o a.mid", "--seconds does not go with"),
        ("generate --beam 2 --events 9 --ending cut -o a.mid", "--ending"),
        ("generate --beam 2 --events 9 --at 1:key=C -o a.mid", "--at does"),
        ("generate --beam 2 --events 9 --include-primer -o a.mid", "no primer to include"),
        ("generate --tempo 96 --beam 2 --events 9 -o a.mid", "--tempo does not go with"),
        ("generate --tempo 96 --temperature 0 -o a.mid", "same take each time"),
        ("generate --tempo 96 --candidates 2 --count 3 -o a.mid", "--count is at most"),
        ("generate --meter waltz -o a.mid", "'waltz' is not a time signature like 3/4"),
        ("generate -o a.txt", "a.txt: the name must end in .mid, .midi, .kar, .wav"),
        ("generate -o a", "a: the name must end in .mid"),
        ("events --decode 1 -o a.wav", "must end in .mid, .midi, .kar"),
        ("render a.mid -o a.aac", "must end in .wav, .flac, .ogg, .mp3"),
        ("plot a.mid -o a.txt", "must end in .png, .svg, .pdf"),
        ("live --ports --log a.txt", "must end in .csv"),
        ("export run -o a.pt", "end the name in .onnx"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    run: Run, scale: Path, tmp_path: Path, line: str, hint: str
) -> None:
    scale.rename(tmp_path / "a.mid")
    before = (tmp_path / "a.mid").read_bytes()
    status, out, err = run(*shlex.split(line))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("espressivo: ") and hint in err
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mid"]
    assert (tmp_path / "a.mid").read_bytes() == before


def test_composers_that_no_bundled_model_has_learned_are_not_offered(run: Run) -> None:
    assert "composer" not in run("generate", "--help")[1].lower()


def test_a_change_that_comes_after_the_last_sound_is_told(run: Run) -> None:
    short = ("generate", "--events", 20, "--seed", 1, "-o", "a.mid")
    status, _, err = run(*short, "--at", "500:key=C")
    assert status == 0 and "a.mid: its last sound is before the change at 500 s" in err
    assert "last sound" not in run(*short, "--at", "0:key=C")[2]


@pytest.mark.parametrize("model", ["seed", "espressivo"])
def test_notes_are_counted(run: Run, model: str) -> None:
    asked = ("generate", "--model", model, "--notes", 11, "--seed", 1, "-o", "a.mid")
    status, out, err = run(*asked)
    assert (status, out.split(" notes")[0]) == (0, "a.mid: 11")
    assert err.startswith("generate: 11 of 11 notes, ")
    assert len(espressivo.read("a.mid")) == 11


def test_progress_is_a_plain_line_where_there_is_no_terminal(run: Run, scale: Path) -> None:
    generate = ("generate", "--model", "seed", "--seed", 1, "-o", "a.mid")
    for length, said in (
        (("--seconds", 3), "generate: 3 of 3 seconds, "),
        (("--events", 9), "generate: 9 of 9 events, "),
        (("--count", 2, "--seconds", 1), "generate: 2 of 2 takes, "),
    ):
        assert run(*generate, *length)[2].startswith(said)
    assert run("render", scale, "-o", "a.wav")[2].startswith("render: 8 of 8 notes, ")


# --- what a file says of itself -------------------------------------------------------------------


def test_a_file_says_how_it_was_made(run: Run, tmp_path: Path) -> None:
    run("generate", "--seconds", 4, "--seed", 7, "--key", "Ebm", "--top-p", 0.9, "-o", "a.mid")
    model = espressivo.load()
    said = midi.read_provenance("a.mid")
    assert said == midi.Provenance(
        model="espressivo",
        model_sha256=model.engine.sha256,
        licence="CC-BY-NC-SA-4.0",
        seed=7,
        settings={"seconds": 4.0, "key": "Ebm", "top_p": 0.9},
    )
    arguments = {"seconds": 4.0, "key": "Ebm", "top_p": 0.9}
    assert said == provenance_of(model, 7, arguments)
    performance = model.generate(seconds=4.0, key="Ebm", top_p=0.9, seed=7)
    performance.write("b.mid", provenance=said, key_signature=(-6, True))
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()

    status, out, _ = run("info", "a.mid")
    assert status == 0
    for line in ("key signature: Eb minor", "seed: 7", "licence: CC-BY-NC-SA-4.0"):
        assert line in out.splitlines()
    about = json.loads(run("info", "a.mid", "--json")[1])
    assert about["provenance"]["settings"] == arguments
    assert run("info", "none.mid")[0] == 1


PLAIN = "--model seed --seconds 3 --seed 2"


@pytest.mark.parametrize(
    "options",
    [
        PLAIN,
        "--seconds 3 --ending cut --key Gb --at 1:density=9 --at '1:key=C' --at 2:temperature=0.5",
        "--seconds 4 --density 9 --guidance 2 --pitch-weights 1,0,1,0,1,1,0,1,0,1,0,1",
        "--model seed --events 50 --primer-chords 'C Am' --include-primer --avoid-loops",
        "--model seed --events 50 --primer-pitches 60,64 --temperature 0.9",
        "--model seed --events 50 --primer-events 60,216,148 --one-based --include-primer",
        "--model seed --events 12 --beam 3 --primer-pitches 60 --include-primer",
        "--model seed --events 12 --beam 3 --stochastic --seed 9",
    ],
)
def test_again_makes_the_same_bytes(run: Run, options: str) -> None:
    assert run("generate", *shlex.split(options), "-o", "a.mid")[0] == 0
    status, out, _ = run("generate", "--again", "a.mid", "-o", "b.mid")
    assert status == 0 and out.startswith("b.mid: ")
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()


def test_each_take_can_be_made_again(run: Run) -> None:
    for options in ("--seconds 2 --seed 4", "--events 12 --beam 3 --stochastic --seed 1"):
        run("generate", "--model", "seed", *options.split(), "--count", 2, "-o", "t.mid")
        for take in ("t-1", "t-2"):
            assert run("generate", "--again", f"{take}.mid")[0] == 0
            again = Path(f"{take}-again.mid").read_bytes()
            assert again == Path(f"{take}.mid").read_bytes()


def test_a_primer_is_known_by_its_hash(run: Run, scale: Path, tmp_path: Path) -> None:
    primed = ("--primer", scale, "--include-primer")
    assert run("generate", *PLAIN.split(), *primed, "-o", "a.mid")[0] == 0
    said = midi.read_provenance("a.mid")
    assert said is not None and said.primer_sha256 is not None
    assert str(scale) not in json.dumps(said.to_dict())
    again = ("generate", "--again", "a.mid", "-o", "b.mid")
    assert run(*again, "--primer", scale)[0] == 0
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()

    given = espressivo.read(scale)
    whole = espressivo.read("b.mid")
    assert whole.notes[: len(given)].tolist() == given.notes.tolist()
    given.shift(0.001).write(tmp_path / "other.mid")
    for primer in ((), ("--primer", "other.mid")):
        status, _, err = run(*again, *primer)
        assert (status, err.count("\n")) == (2, 1) and "made with another primer" in err
    run("generate", *PLAIN.split(), "-o", "a.mid")
    assert "made with another primer (none" in run(*again, "--primer", scale)[2]


def test_what_was_played_live_cannot_be_made_again(run: Run) -> None:
    run("generate", *PLAIN.split(), "-o", "a.mid")
    live = dataclasses.replace(midi.read_provenance("a.mid"), command="page")
    espressivo.read("a.mid").write("live.mid", provenance=live)
    status, _, err = run("generate", "--again", "live.mid")
    assert (status, err.count("\n")) == (2, 1) and "played live on the page" in err


def test_again_takes_nothing_beside(run: Run) -> None:
    run("generate", *PLAIN.split(), "-o", "a.mid")
    for options in ("--seconds 3", "--seed 2", "--count 2", "--at 1:key=C", "--primer-pitches 60"):
        status, _, err = run("generate", "--again", "a.mid", *options.split())
        assert status == 2 and f"leave out {options.split()[0]};" in err
    assert not Path("a-again.mid").exists()


def altered(**fields: object) -> None:
    """Write a.mid with another provenance."""
    said = midi.read_provenance("a.mid")
    assert said is not None
    changed = midi.Provenance.from_dict({**said.to_dict(), **fields})
    espressivo.read("a.mid").write("b.mid", provenance=changed)


def test_another_version_or_model_is_refused(run: Run, tmp_path: Path) -> None:
    run("generate", *PLAIN.split(), "-o", "a.mid")
    for fields, hint in (
        ({"version": "0.0.1"}, f"another version of espressivo (0.0.1, not {__version__})"),
        ({"model_sha256": 64 * "0"}, "another model (0000"),
        ({"model": "mine"}, "give the file of its model 'mine' by --model"),
    ):
        altered(**fields)
        status, _, err = run("generate", "--again", "b.mid")
        assert (status, err.count("\n")) == (2, 1) and hint in err
    altered(model="mine")
    assert run("generate", "--again", "b.mid", "--model", "seed")[0] == 0
    Performance.from_arrays(onset_s=[0], offset_s=[1], pitch=[60], velocity=[70]).write("c.mid")
    status, _, err = run("generate", "--again", "c.mid")
    assert status == 2 and "c.mid: does not say how it was made" in err


@pytest.mark.parametrize(
    "settings",
    [
        {"colour": "red"},
        {"temperature": "hot"},
        {"primer": "/etc/passwd"},
        {"changes": 5},
        {"changes": [[1, 2, 3]]},
        {"beam": 2, "events": 5, "take": 9},
        {"beam": 2},
        {"seconds": []},
    ],
)
def test_settings_that_a_stranger_wrote_are_refused(run: Run, settings: dict[str, object]) -> None:
    run("generate", "--model", "seed", "--seconds", 1, "-o", "a.mid")
    altered(settings=settings)
    status, out, err = run("generate", "--again", "b.mid", "-o", "c.mid")
    assert (status, out) == (2, "")
    assert err.startswith("espressivo: b.mid: cannot be made again: ") and err.count("\n") == 1
    assert not Path("c.mid").exists()


def test_provenance_leaves_out_what_is_usual() -> None:
    model = espressivo.load("seed")
    usual = {field.name: None for field in dataclasses.fields(espressivo.play.Settings)}
    assert provenance_of(model, 1, {**usual, "temperature": 0.95, "changes": {}}).settings == {}
    with pytest.raises(espressivo.EspressivoError, match="'tempo' is not an argument"):
        provenance_of(model, 1, {"tempo": 90})


def test_a_file_that_is_gone_on_from_stays_as_it_is(run: Run, tmp_path: Path) -> None:
    """No message changes: only what is new is there, after it, and the end of the track."""
    song, out = tmp_path / "song.mid", tmp_path / "out.mid"
    hands = [(0, mb.meta(3, b"hands")), (0, mb.on(60)), (480, mb.off(60)), (0, mb.on(64))]
    hands += [(480, mb.off(64))]
    words = [(0, mb.tempo(400_000)), (240, mb.meta(5, b"la")), (240, mb.tempo(600_000))]
    violin = [(0, mb.program(40, 1)), (0, mb.on(70, 64, 1)), (960, mb.off(70, 1))]
    song.write_bytes(mb.midi_file(*map(mb.track, (words, hands, violin))))
    line = ("generate", "--model", "seed", "--seed", "1", "--seconds", "3", "--primer", song)
    run(*line, "--include-primer", "-o", out)
    before, after = (songs.read(path.read_bytes()) for path in (song, out))
    assert (after.kind, after.division) == (before.kind, before.division)
    assert [after.tracks[n] for n in (0, 2)] == [before.tracks[n] for n in (0, 2)]
    assert after.tracks[1][: len(hands)] == before.tracks[1][:-1]
    new = after.tracks[1][len(hands) :]
    assert any(raw[0] == 0x90 for _, raw in new) and min(tick for tick, _ in new) >= 960
    again, more = tmp_path / "again.mid", tmp_path / "more.mid"
    run("generate", "--again", out, "--primer", song, "-o", again)
    assert again.read_bytes() == out.read_bytes()
    run(*line[:-1], out, "--include-primer", "-o", more)
    assert midi.read_provenance(out).primer_sha256
    assert songs.read(more.read_bytes()).tracks[1][: len(new)] == after.tracks[1][: len(new)]
