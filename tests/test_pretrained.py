"""Folders of pretrained networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from espressivo.codes import vocabulary
from espressivo.errors import ModelError
from espressivo.networks import Recurrent, RecurrentConfig
from espressivo.networks.pretrained import load_pretrained, save_pretrained

V = vocabulary("seed")
CARD = {"name": "tiny", "licence": "CC0-1.0", "figures": {"nats": 2.5}}


def network(cell: str = "gru", hidden: int = 8) -> Recurrent:
    torch.manual_seed(1)
    return Recurrent(RecurrentConfig(cell, hidden, layers=2, dropout=0.25), V.size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_pretrained(network(), V, tmp_path / "made" / "here", card=CARD)
    return tmp_path / "made" / "here"


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_what_is_saved_comes_back(tmp_path: Path, cell: str) -> None:
    made = network(cell)
    save_pretrained(made, V, tmp_path, card=CARD)
    back = load_pretrained(tmp_path)
    assert (back.network.config, back.vocabulary, back.card) == (made.config, V, CARD)
    assert not back.network.training
    ids = torch.randint(V.size, (20, 2))
    assert torch.equal(back.network(ids)[0], made.eval()(ids)[0])


def test_the_files_are_those_that_others_expect(folder: Path) -> None:
    files = ["README.md", "config.json", "model.safetensors"]
    assert sorted(entry.name for entry in folder.iterdir()) == files
    assert "license: cc0-1.0\n" in (folder / "README.md").read_text(encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["card"]) == ("espressivo", CARD)
    expected = network().state_dict()
    weights = load_file(folder / "model.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_saving_again_replaces_and_leaves_other_files(folder: Path) -> None:
    (folder / "README.md").write_text("mine", encoding="utf-8")
    save_pretrained(network("lstm", 4), V, folder, card={})
    assert load_pretrained(folder).network.config.cell == "lstm"
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"


def test_what_does_not_fit_is_not_saved(folder: Path) -> None:
    with pytest.raises(ModelError, match="310 ids"):
        save_pretrained(network(), vocabulary("maestro"), folder, card=CARD)
    with pytest.raises(ModelError, match="JSON"):
        save_pretrained(network(), V, folder, card={"nats": float("nan")})
    assert load_pretrained(folder).card == CARD


def refused(folder: Path, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_pretrained(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_folders_and_files(tmp_path: Path, folder: Path) -> None:
    refused(tmp_path / "none", "cannot be read")
    refused(folder.parent, "cannot be read")
    (folder / "model.safetensors").unlink()
    refused(folder, "cannot be read|does not fit")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        "\0",
        '{"model_type": "espressivo"}',
        '{"model_type": "espressivo", "vocabulary": {"name": "a", "unknown": 1}}',
        '{"model_type": "espressivo", "vocabulary": {"name": "a"}, "network": {"cell": "rnn"}}',
        '{"model_type": "espressivo", "vocabulary": {"name": "a"}, "network": {"layers": null}}',
    ],
)
def test_damaged_configs(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="utf-8")
    refused(folder, "config.json: is not valid")


def test_models_of_others(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    refused(folder, "another kind: 'gpt2'")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_changed_byte_is_refused_and_saving_again_heals(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for place in {0, len(content) // 3, len(content) // 2, content.find(b"sha256"), -1}:
        changed = bytearray(content)
        changed[place] ^= 1
        (folder / name).write_bytes(changed)
        refused(folder, f"{name}: has changed since it was written: fetch or export it again")
    save_pretrained(network(), V, folder, card=CARD)
    assert load_pretrained(folder).card == CARD


def unsealed(folder: Path) -> None:
    """Make a folder as earlier versions wrote it."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["seal"], config["weights_sha256"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_a_folder_of_an_earlier_version_is_read(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["seal"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    refused(folder, "has changed")
    save_pretrained(network(), V, folder, card=CARD)
    unsealed(folder)
    assert load_pretrained(folder).card == CARD


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(
    folder: Path, value: float
) -> None:
    unsealed(folder)
    weights = load_file(folder / "model.safetensors")
    weights["output.bias"][3] = value
    save_file(weights, folder / "model.safetensors")
    refused(folder, "weights of output.bias are not finite")
    made = network()
    made.load_state_dict(weights)
    before = (folder / "config.json").read_bytes()
    with pytest.raises(ModelError, match=r"weights of output\.bias are not finite"):
        save_pretrained(made, V, folder, card=CARD)
    assert (folder / "config.json").read_bytes() == before


def test_the_folder_of_another_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    with pytest.raises(ModelError, match="is of another program: choose another folder"):
        save_pretrained(network(), V, tmp_path, card=CARD)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_weights_that_do_not_fit(folder: Path) -> None:
    unsealed(folder)
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    for damaged in (b"", b"\0" * 20, content[:100], content[:-1], b"\x80\x04pickle." * 9):
        weights.write_bytes(damaged)
        refused(folder, "model.safetensors: does not fit")
    save_file({"other": torch.zeros(3)}, weights)
    refused(folder, "model.safetensors: does not fit")
