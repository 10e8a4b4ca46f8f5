"""Learning from one's own playing, with tiny models and pieces made by code."""

from __future__ import annotations

import dataclasses
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import espressivo
from espressivo import Performance
from espressivo.codes.controls import SIZE
from espressivo.data.corpus import prepare
from espressivo.data.dataset import Dataset
from espressivo.engine import Engine, Style, read_styles, write_style
from espressivo.errors import DataError, ModelError, TrainingError
from espressivo.export import export, read_back
from espressivo.learn import learn, learning
from espressivo.networks import RecurrentConfig, StackConfig, build
from espressivo.play import bundled
from espressivo.progress import Silent
from espressivo.training.checkpoint import Checkpoint
from known import CARD
from played import played

NOTES = espressivo.vocabulary("notes")
OVER_NOTES = StackConfig(
    "da", width=16, heads=2, window=8, controls=SIZE, notewise=True, pointers=True
)
KINDS = {
    "gru": ("seed", RecurrentConfig("gru", 12, 2)),
    "lstm": ("seed", RecurrentConfig("lstm", 12, 2)),
    "stack": ("seed", StackConfig("ad", width=16, heads=2, window=8, controls=SIZE)),
    "notewise": ("notes", StackConfig("da", width=16, heads=2, window=8, notewise=True)),
    "pointers": ("notes", OVER_NOTES),
}


def written(path: Path, kind: str, weights: str) -> Engine:
    """Export a network all of whose weights are drawn, also those that begin as zeros."""
    code, config = KINDS[kind]
    torch.manual_seed(0)
    network = build(config, espressivo.vocabulary(code))
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    export(network, espressivo.vocabulary(code), path, card=CARD, weights=weights)
    return Engine(path)


def logits_of(engine: Engine) -> np.ndarray:
    ids = engine.vocabulary.encode(played(1, notes=60))
    rng = np.random.default_rng(0)
    controls = rng.random((1, engine.controls), np.float32) if engine.controls else None
    said = engine.pointed(ids[:-1])
    return engine.run(
        ids[:, None].astype(np.int64),
        engine.initial_state(),
        controls,
        None if said is None else said[:, None],
    )[0]


@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_read_back_and_exported_again_predicts_the_same(
    tmp_path: Path, kind: str, weights: str
) -> None:
    engine = written(tmp_path / "first.onnx", kind, weights)
    back = read_back(engine)
    assert back.vocabulary == engine.vocabulary
    assert back.card["name"] == CARD["name"]
    export(back.network, back.vocabulary, tmp_path / "again.onnx", card=CARD, weights=weights)
    again = logits_of(Engine(tmp_path / "again.onnx"))
    loose = kind in ("gru", "lstm") and weights != "fp32"  # a bias is taken off in 16 bits
    np.testing.assert_allclose(again, logits_of(engine), atol=0.02 if loose else 1e-4)


@pytest.mark.parametrize("name", bundled())
def test_bundled_models_can_be_read_back(tmp_path: Path, name: str) -> None:
    engine = espressivo.load(name).engine
    back = read_back(engine)
    export(back.network, back.vocabulary, tmp_path / "again.onnx", card=dict(engine.card))
    again = Engine(tmp_path / "again.onnx")
    weights = read_back(again).network.state_dict()
    for weight_name, weight in back.network.state_dict().items():
        torch.testing.assert_close(weights[weight_name], weight, rtol=1e-5, atol=1e-6)
    # The last digits of scales may change, and with them what layers round to 8 bits, now and then.
    np.testing.assert_allclose(logits_of(again), logits_of(engine), atol=0.5)


def test_a_model_whose_weights_have_other_names_is_refused(tmp_path: Path) -> None:
    engine = written(tmp_path / "tiny.onnx", "gru", "fp32")
    engine.network["layers"] = 3
    with pytest.raises(ModelError, match="'tiny' cannot be read back"):
        read_back(engine)


def split_of(folder: Path, out: Path) -> dict[str, list[str]]:
    with ThreadPoolExecutor(1) as executor:
        prepare([folder], out, vocabulary=NOTES, fractions=(0.85, 0.15, 0.0), executor=executor)
    found: dict[str, list[str]] = {"train": [], "validation": []}
    for piece in Dataset(out).pieces:
        found[piece.split].append(piece.path)
    return found


def recorded(folder: Path, *pieces: int, notes: int = 400) -> Path:
    folder.mkdir()
    for piece in pieces:
        played(piece, notes=notes).write(folder / f"{piece}.mid")
    return folder


@pytest.mark.parametrize("pieces", [(1, 2), (5, 9), (3, 4, 8), (2, 6, 7)])
def test_of_two_compositions_or_more_one_validates(tmp_path: Path, pieces: tuple[int, ...]) -> None:
    found = split_of(recorded(tmp_path / "in", *pieces), tmp_path / "out")
    assert found["train"]
    assert found["validation"]
    assert sorted(found["train"] + found["validation"]) == [f"in/{piece}.mid" for piece in pieces]


def test_a_single_composition_is_split_by_time(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "in", 1)
    played(1, player=1).write(folder / "again.mid")
    found = split_of(folder, tmp_path / "out")
    assert found["train"] == found["validation"] == ["in/1.mid", "in/again.mid"]
    dataset = Dataset(tmp_path / "out")
    for name in ("1", "again"):
        first, last = (p for p in dataset.pieces if p.path == f"in/{name}.mid")
        whole = NOTES.encode(espressivo.read(folder / f"{name}.mid"))
        assert np.array_equal(np.concatenate([dataset.ids(first), dataset.ids(last)]), whole)
        assert first.notes + last.notes == 400
        assert last.seconds / (first.seconds + last.seconds) == pytest.approx(0.2, abs=0.03)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    torch.manual_seed(0)
    export(build(OVER_NOTES, NOTES), NOTES, path, card={**CARD, "licence": "CC-BY-NC-SA-4.0"})
    return path


class Stopper(Silent):
    """Asks to stop while it learns, as Ctrl-C does."""

    def start(self, total: int, unit: str, label: str) -> None:
        self.label = label

    def advance(self, n: int = 1, note: str = "") -> None:
        if n and self.label == "training":
            self.label = ""
            signal.raise_signal(signal.SIGINT)


def test_a_model_learns_from_one_file(tmp_path: Path, tiny: Path) -> None:
    played(1).write(tmp_path / "take.mid")
    learned = learn([tmp_path / "take.mid"], tmp_path / "mine.onnx", model=tiny, rounds=8)
    gain = learned.held_out
    assert gain is not None
    assert (learned.pieces, gain.pieces, gain.over) == (1, 1, "passages")
    assert gain.gain.value == pytest.approx(gain.before.value - gain.after.value)
    assert gain.shown
    model = espressivo.load(tmp_path / "mine.onnx")
    assert model.card["name"] == "mine"
    assert model.card["licence"] == "CC-BY-NC-SA-4.0"
    assert model.card["began_as"] == "tiny"
    assert model.card["learned"]["held_out"]["gain"]["value"] == gain.gain.value
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.onnx", "take.mid"]


def test_what_was_stopped_goes_on_and_comes_to_the_same(tmp_path: Path, tiny: Path) -> None:
    folder = recorded(tmp_path / "in", 1, 2)
    whole = learn([folder], tmp_path / "whole.onnx", model=tiny, rounds=8, accelerator="cpu")
    output = tmp_path / "mine.onnx"
    stopped = learn([folder], output, model=tiny, rounds=8, accelerator="cpu", progress=Stopper())
    assert stopped.ended == "stopped by SIGINT"
    assert stopped.held_out is None
    assert not output.exists()
    with pytest.raises(TrainingError, match=r"mine\.onnx\.learning: holds work on other pieces"):
        learn([folder / "1.mid"], output, model=tiny, rounds=8)
    resumed = learn([folder], output, model=tiny, rounds=8, accelerator="cpu")
    assert resumed == whole
    assert not (tmp_path / "mine.onnx.learning").exists()


def test_nothing_is_written_where_nothing_is_gained(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded(tmp_path / "in", 1, 2)
    (tmp_path / "mine.onnx").write_bytes(b"an earlier one")
    config = learning._config

    def wild(*settings: object) -> object:
        return dataclasses.replace(config(*settings), learning_rate=3.0)  # type: ignore[arg-type]

    monkeypatch.setattr(learning, "_config", wild)
    with pytest.raises(TrainingError, match="is not written, as nothing was gained"):
        learn([folder], tmp_path / "mine.onnx", model=tiny, rounds=8)
    assert (tmp_path / "mine.onnx").read_bytes() == b"an earlier one"
    assert not (tmp_path / "mine.onnx.learning").exists()


@pytest.mark.slow
def test_a_full_disk_loses_nothing(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded(tmp_path / "in", 1, 2)

    def full(self: Checkpoint, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as on_a_full_disk:
        on_a_full_disk.setattr(Checkpoint, "save", full)
        with pytest.raises(OSError, match="No space"):
            learn([folder], tmp_path / "mine.onnx", model=tiny, rounds=8)
    assert learn([folder], tmp_path / "mine.onnx", model=tiny, rounds=8).held_out is not None


def test_the_command_learns_and_says_how_much(run, tmp_path: Path, tiny: Path) -> None:
    recorded(tmp_path / "in", 1)
    arguments = ("learn", "in", "-o", "mine.onnx", "--model", tiny, "--max-time", "00:00:01")
    status, out, err = run(*arguments, "--json")
    assert (status, err.count("Traceback")) == (0, 0), err
    assert json.loads(out)["held_out"]["gain"]["value"] > 0
    status, out, _ = run("models", "mine.onnx")
    assert status == 0
    assert "began_as: tiny" in out


SILENCE = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("short.mid", lambda path: played(1, notes=12).write(path), "are too little to learn from"),
        ("silence.mid", SILENCE.write, "nothing for piano to learn from (1 no notes)"),
        ("noise.mid", lambda path: path.write_bytes(b"no MIDI"), "(1 unreadable)"),
        ("strings.mid", lambda path: with_program(path, 0xC0, 48), "(1 no notes)"),
        ("drums.mid", lambda path: with_program(path, 0xC9, 0), "(1 no notes)"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_a_line(
    tmp_path: Path, tiny: Path, name: str, content, said: str
) -> None:
    content(tmp_path / name)
    with pytest.raises(DataError) as refusal:
        learn([tmp_path / name], tmp_path / "mine.onnx", model=tiny)
    assert said in str(refusal.value)
    assert str(refusal.value).startswith(str(tmp_path / name))
    assert "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def with_program(path: Path, status: int, program: int) -> None:
    """Write 300 notes on a channel, after its program."""
    channel = status & 15
    note = bytes([0x90 | channel, 60, 64, 96, 0x80 | channel, 60, 0, 0])
    events = bytes([0, status, program, 0]) + note * 300
    track = events[:-1] + b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + bytes([0, 0, 0, 1, 0, 96])
    path.write_bytes(header + b"MTrk" + len(track).to_bytes(4, "big") + track)


def test_a_style_is_learned_mixed_and_played_in(run, tmp_path: Path) -> None:
    recorded(tmp_path / "in", 1)
    torch.manual_seed(0)
    tiny, network = tmp_path / "tiny.onnx", build(OVER_NOTES, NOTES)
    for weight in network.parameters():
        if weight.dim() > 1:  # so large that what the memories hold is heard
            torch.nn.init.normal_(weight, std=0.3)
    export(network, NOTES, tiny, card=CARD)
    sure = learn([tmp_path / "in"], tmp_path / "mine.style", model=tiny, rounds=8)
    assert sure.held_out is not None
    assert sure.held_out.shown
    assert (tmp_path / "mine.style").stat().st_size < 5000
    plain = espressivo.load(tiny)
    styled = espressivo.load(tiny, ["mine.style:0.5", "mine.style:0.5"])
    whole = espressivo.load(tiny, ["mine.style"])
    ids = NOTES.encode(played(1))[:400]
    of_whole = whole.score(ids).sum()
    assert of_whole > plain.score(ids).sum()
    assert styled.score(ids).sum() == pytest.approx(of_whole, rel=1e-4)
    assert espressivo.load(tiny, ["mine.style:0"]).score(ids).sum() == plain.score(ids).sum()
    assert len({model.engine.sha256 for model in (plain, styled, whole)}) == 3

    made = [
        run("generate", "--model", tiny, "--notes", 20, "--seed", 1, "-o", f"{n}.mid", *style)
        for n, style in enumerate(([], ["--style", "mine.style"]))
    ]
    assert [status for status, _, _ in made] == [0, 0]
    assert (tmp_path / "0.mid").read_bytes() != (tmp_path / "1.mid").read_bytes()
    again = ("generate", "--model", tiny, "--again", "1.mid", "-o", "2.mid")
    assert run(*again, "--style", "mine.style")[0] == 0
    assert (tmp_path / "2.mid").read_bytes() == (tmp_path / "1.mid").read_bytes()
    assert run(*again)[0] != 0
    status, _, err = run("generate", "--style", "mine.style", "-o", "3.mid")
    assert (status, err.count("\n")) == (1, 1)
    assert "style 'mine' is of another model, 'tiny'" in err


def test_a_style_survives_its_file_and_a_changed_byte_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    memories = rng.normal(size=(2, 3, 4, 4)).astype(np.float16).astype(np.float32)
    path = tmp_path / "a:1.style"
    write_style(Style("a", "b", "c" * 64, {"licence": "CC0"}, memories), path)
    ((style, weight),) = read_styles([f"{path}:-0.5"])
    assert weight == -0.5
    assert np.array_equal(style.memories, memories)
    assert (style.name, style.model, style.card) == ("a", "b", {"licence": "CC0"})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="has changed since it was written"):
        read_styles([f"{path}"])
    path.write_bytes(b"no style")
    with pytest.raises(ModelError, match="is no style"):
        read_styles([f"{path}"])


def test_a_network_without_memories_has_no_style(tmp_path: Path) -> None:
    written(tmp_path / "tiny.onnx", "gru", "int8")
    played(1).write(tmp_path / "take.mid")
    with pytest.raises(ModelError, match="no blocks that could learn so"):
        learn([tmp_path / "take.mid"], tmp_path / "mine.style", model=tmp_path / "tiny.onnx")
