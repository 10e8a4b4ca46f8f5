"""What of a model learns: styles, low ranks and all weights, with tiny networks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import espressivo
from espressivo.codes.controls import SIZE
from espressivo.engine import Engine, Style, read_styles, write_style
from espressivo.engine.constants import with_added
from espressivo.errors import ModelError, TrainingError
from espressivo.export import export, read_back, shifts_of
from espressivo.files import SEAL, seal
from espressivo.learn import learn, learning
from espressivo.networks import (
    StackConfig,
    adopt,
    averaged,
    build,
    is_change,
    load_pretrained,
    merged,
    save_pretrained,
)
from espressivo.play import loading
from known import CARD
from test_learn import Stopper, logits_of, recorded

NOTES = espressivo.vocabulary("notes")
SEED = espressivo.vocabulary("seed")
OVER_NOTES = StackConfig(
    "da", width=16, heads=2, window=8, controls=SIZE, notewise=True, pointers=True
)
KINDS = {
    "stack": (SEED, StackConfig("ad", width=16, heads=2, window=8, controls=SIZE)),
    "notewise": (NOTES, StackConfig("da", width=16, heads=2, window=8, notewise=True)),
    "pointers": (NOTES, OVER_NOTES),
}


def drawn(network: torch.nn.Module) -> torch.nn.Module:
    """Draw all weights, also those that begin as zeros."""
    torch.manual_seed(1)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return network.eval()


def weights_with_changes(network: torch.nn.Module, names: list[str]) -> dict[str, torch.Tensor]:
    found = {}
    for name in names:
        module, _, weight = name.rpartition(".")
        found[name] = getattr(network.get_submodule(module), weight).detach()
    return found


def test_a_mean_with_one_that_lacks_a_part_keeps_the_part() -> None:
    new = drawn(build(OVER_NOTES, NOTES))
    without = dataclasses.replace(OVER_NOTES, pointers=False)
    old = build(without, NOTES)
    of_both = averaged(new, old, 0.25, NOTES).state_dict()
    for name, weight in new.state_dict().items():
        other = old.state_dict().get(name, weight)
        torch.testing.assert_close(of_both[name], 0.75 * weight + 0.25 * other)
    smaller = build(dataclasses.replace(without, width=8), NOTES)
    with pytest.raises(TrainingError, match="of other sizes"):
        averaged(new, smaller, 0.25, NOTES)


@pytest.mark.parametrize("kind", KINDS)
def test_low_ranks_become_part_of_the_matrices(tmp_path: Path, kind: str) -> None:
    v, config = KINDS[kind]
    plain = drawn(build(config, v))
    network = build(dataclasses.replace(config, rank=3), v)
    adopt(network, plain)
    before = merged(network, v).state_dict()
    assert all(torch.equal(before[name], weight) for name, weight in plain.state_dict().items())
    changes = [name for name, _ in network.named_parameters() if is_change(name)]
    matrices = 8 + (5 if config.notewise else 0)
    assert len(changes) == 2 * matrices
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if is_change(name):
                weight.normal_()
    whole = merged(network, v)
    assert whole.config == config
    moved = [n for n, w in whole.state_dict().items() if not torch.equal(w, before[n])]
    assert len(moved) == matrices
    expected = weights_with_changes(network, list(before))
    assert all(torch.equal(weight, expected[n]) for n, weight in whole.state_dict().items())
    for name, one in (("one", network), ("two", whole)):
        export(one, v, tmp_path / f"{name}.onnx", card=CARD)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    save_pretrained(network, v, tmp_path / "folder", card=CARD)
    assert load_pretrained(tmp_path / "folder").network.config == config


@pytest.mark.parametrize("weights", ["fp32", "int8"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_plays_in_a_style_as_the_network_that_learned_it(
    tmp_path: Path, kind: str, weights: str
) -> None:
    v, config = KINDS[kind]
    plain = drawn(build(config, v))
    export(plain, v, tmp_path / "plain.onnx", card=CARD, weights=weights)
    began_as = Engine(tmp_path / "plain.onnx")
    network = build(dataclasses.replace(config, style=True), v)
    adopt(network, plain)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if is_change(name):
                weight.normal_(std=2.0)
    own = build(config, v)
    own.load_state_dict(weights_with_changes(network, list(own.state_dict())))
    export(own.eval(), v, tmp_path / "own.onnx", card=CARD, weights=weights)
    style = Style("s", "plain", began_as.sha256, {}, None, shifts_of(network))
    in_style = began_as.styled([(style, 0.25), (style, 0.75)])
    expected = logits_of(Engine(tmp_path / "own.onnx"))
    assert np.abs(expected - logits_of(began_as)).max() > 0.1
    np.testing.assert_allclose(logits_of(in_style), expected, atol=1e-4)
    assert in_style.sha256 != began_as.sha256
    assert in_style.content == began_as.content
    assert np.array_equal(logits_of(began_as.styled([(style, 0.0)])), logits_of(began_as))


def test_only_the_constants_that_are_named_change(tmp_path: Path) -> None:
    export(drawn(build(OVER_NOTES, NOTES)), NOTES, tmp_path / "a.onnx", card=CARD)
    content = (tmp_path / "a.onnx").read_bytes()
    added = with_added(content, {"then_norm": np.ones(16, np.float32)})
    moved = np.flatnonzero(np.frombuffer(added, np.uint8) != np.frombuffer(content, np.uint8))
    assert 0 < moved[-1] - moved[0] < 64
    with pytest.raises(ValueError, match="then_norm has 16 numbers, not 15"):
        with_added(content, {"then_norm": np.ones(15, np.float32)})
    with pytest.raises(ValueError, match="no constant then_none"):
        with_added(content, {"then_none": np.ones(16, np.float32)})
    engine = Engine(tmp_path / "a.onnx")
    style = Style("s", "a", engine.sha256, {}, None, {"then_none": np.ones(1, np.float32)})
    with pytest.raises(ModelError, match="a style does not fit its model"):
        engine.styled([(style, 1.0)])


def test_a_style_file_holds_memories_or_none_and_shifts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shifts = {"norm": rng.normal(size=3), "taps": rng.normal(size=(4, 3))}
    for memories in (None, rng.normal(size=(1, 2, 2, 2))):
        style = Style("a", "b", "c" * 64, {}, memories, shifts).rounded()
        write_style(style, tmp_path / "a.style")
        ((back, weight),) = read_styles([f"{tmp_path / 'a.style'}:2"])
        assert weight == 2
        assert (back.memories is None) == (memories is None)
        assert back.arrays().keys() == style.arrays().keys()
        for name, array in back.arrays().items():
            assert np.array_equal(array, style.arrays()[name])


def test_a_style_of_the_first_version_is_read(tmp_path: Path) -> None:
    about = {"name": "a", "model": "b", "model_sha256": "c" * 64, "card": {}, "seal": SEAL}
    header = json.dumps({**about, "shape": [1, 1, 2, 2]}).encode()
    numbers = np.arange(4, dtype="<f2").tobytes()
    content = bytearray(b"\n".join((b"espressivo style 1", header, numbers)))
    seal(content)
    (tmp_path / "a.style").write_bytes(content)
    ((style, _),) = read_styles([str(tmp_path / "a.style")])
    assert style.memories is not None
    assert style.memories.tolist() == [[[[0, 1], [2, 3]]]]
    assert not style.shifts


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    torch.manual_seed(0)
    export(build(OVER_NOTES, NOTES), NOTES, path, card=CARD)
    return path


@pytest.fixture
def named(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the tiny model as its default, and one style."""
    folder = tmp_path / "models"
    (folder / "styles").mkdir(parents=True)
    (folder / "espressivo.onnx").write_bytes(tiny.read_bytes())
    shifts = {"output_bias": np.linspace(-5, 5, NOTES.size, dtype=np.float32)}
    style = Style("Chopin", "espressivo", Engine(tiny).sha256, {}, None, shifts)
    write_style(style, folder / "styles" / "chopin.style")
    monkeypatch.setattr(loading, "_models", lambda: folder)
    return folder


def test_a_bundled_style_is_named_listed_and_played(run, tmp_path: Path, named: Path) -> None:
    assert espressivo.load(styles=["Chopin"]).engine.sha256 != espressivo.load().engine.sha256
    plain, styled = (
        espressivo.load(styles=styles).engine.sha256
        for styles in (["chopin:0.5"], ["chopin:0.5", str(named / "styles" / "chopin.style")])
    )
    assert plain != styled
    assert json.loads(run("models", "--json")[1])["espressivo"]["styles"] == ["chopin"]
    assert "  styles: chopin\n" in run("models")[1]
    common = ("generate", "--notes", 5, "--seed", 1, "-o")
    assert run(*common, "a.mid")[0] == run(*common, "b.mid", "--style", "chopin")[0] == 0
    assert (tmp_path / "a.mid").read_bytes() != (tmp_path / "b.mid").read_bytes()
    status, _, err = run(*common, "c.mid", "--style", "shopin")
    assert (status, err.count("\n")) == (1, 1)
    assert "no style is named 'shopin'" in err
    assert "chopin" in err


@pytest.mark.parametrize("way", ["lora", "style"])
def test_what_was_stopped_goes_on_and_comes_to_the_same(
    tmp_path: Path, tiny: Path, way: learning.Way
) -> None:
    folder = recorded(tmp_path / "in", 1, 2)
    ending = ".style" if way == "style" else ".onnx"
    common = {"model": tiny, "way": way, "rounds": 6, "accelerator": "cpu"}
    whole = learn([folder], tmp_path / f"whole{ending}", **common)
    mine = tmp_path / f"mine{ending}"
    assert learn([folder], mine, **common, progress=Stopper()).held_out is None
    assert learn([folder], mine, **common) == whole
    assert whole.way == way
    back = read_back(espressivo.load(tiny).engine).network.state_dict()
    if way == "lora":
        learned = read_back(espressivo.load(mine).engine).network.state_dict()
        still = [n for n, w in learned.items() if torch.equal(w, back[n])]
        assert {"embedding.weight", "norm.weight", "output.bias"} <= set(still)
        assert not any("project" in name for name in still)
    else:
        of = {name: style.arrays() for name in ("whole", "mine")
              for style, _ in read_styles([str(tmp_path / f"{name}.style")])}  # fmt: skip
        assert of["whole"].keys() == of["mine"].keys()
        assert len(of["mine"]) == 11
        for name, array in of["mine"].items():
            assert np.array_equal(array, of["whole"][name])
            assert array.any(), name


def test_the_way_follows_from_the_name_and_how_much_there_is(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded(tmp_path / "in", 1)
    for name, way in (("a.onnx", "lora"), ("a.style", "style")):
        stopped = learn([folder], tmp_path / name, model=tiny, rounds=2, progress=Stopper())
        assert stopped.way == way
    monkeypatch.setattr(learning, "_ALL_FROM_S", 1.0)
    stopped = learn([folder], tmp_path / "b.onnx", model=tiny, rounds=2, progress=Stopper())
    assert stopped.way == "all"


@pytest.mark.parametrize(("way", "output"), [("lora", "a.style"), ("style", "a.onnx")])
def test_a_way_and_a_name_that_do_not_agree_are_refused(
    run, tmp_path: Path, tiny: Path, way: learning.Way, output: str
) -> None:
    recorded(tmp_path / "in", 1)
    ending = ".style" if way == "style" else ".onnx"
    status, _, err = run("learn", "in", "-o", output, "--way", way, "--model", tiny)
    assert (status, f"--way {way} makes a file that ends in {ending}" in err) == (2, True)
    with pytest.raises(TrainingError, match=f"ends in {ending}"):
        learn([tmp_path / "in"], tmp_path / output, model=tiny, way=way)


def test_a_style_and_low_ranks_are_not_learned_together() -> None:
    with pytest.raises(ValueError, match="without low ranks"):
        dataclasses.replace(OVER_NOTES, style=True, rank=2)
