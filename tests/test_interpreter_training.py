"""Training of the interpreter: what is exported is what was trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from espressivo.data import Pair, Pairs, Piece
from espressivo.errors import DataError, ModelError
from espressivo.evaluation import performing
from espressivo.export import FieldParts, ReaderPart, export_interpreter
from espressivo.interpreter import DRAWN, FIELDS, LEVELS, ROWS, Draw, Interpreter, View, tables
from espressivo.music import CONTROL_DTYPE, SUSTAIN
from espressivo.networks import ScoreReader
from espressivo.training import Boosting, InterpreterConfig, Reading, train_interpreter
from espressivo.training.fitted_draws import fit_draw, fit_levels
from espressivo.training.interpreter import grown
from espressivo.training.score_data import ReadPiece, plain, read_pieces
from espressivo.training.score_reading import read_by, train_reader
from test_interpreter import performed, score

LEAVES = {"leaf_value": -1.25}, {"leaf_value": 0.5}
EXPECTED = [-0.7, -1.4, 64.0, 12.0, -0.4, 0.5, 0.0, -4.4, 60.0, 40.0]  # levels
CARD = {"name": "tiny", "licence": "MIT", "trained_on": "nothing"}


def tree(feature: int, threshold: float) -> dict:
    inner = {
        "split_feature": feature, "threshold": threshold, "decision_type": "<=",
        "left_child": LEAVES[0], "right_child": LEAVES[1],
    }  # fmt: skip
    return {"tree_structure": {**inner, "threshold": threshold + 1, "left_child": inner}}


TREES = [tree(3, 0.1), tree(0, 1 / 3)]


def piece(number: int) -> Piece:
    one = score(seed=number)
    performance, match, _ = performed(one)
    return Piece(f"p{number}", f"x{number}", "train", one, (Pair("t", performance, match),) * 2)


@pytest.fixture(scope="module")
def pieces() -> list[ReadPiece]:
    return read_pieces([piece(number) for number in range(5)])


def networks(pieces: list[ReadPiece]) -> list[tuple[tuple[str, ...], ScoreReader]]:
    torch.manual_seed(0)
    names = {rows: tuple(n for n in FIELDS if ROWS[n] == rows) for rows in set(ROWS.values())}
    made = []
    for rows, fields in names.items():
        count = len(pieces[0].tables[0][rows].names)
        network = ScoreReader(count, len(fields), width=8, hidden=6).eval()
        network.scale.fill_(20)
        made.append((fields, network))
    return made


def exported(path: Path, pieces: list[ReadPiece]) -> Interpreter:
    draw = Draw(0.5, 0.5, 0.0, ((0.5, 2.0),), (-2.0, 0.0, 2.0))
    size = len(fit_levels(pieces)["centre"])
    levels = {
        "centre": [0.0] * size, "scale": [1.0] * size,
        "weights": [EXPECTED] + [[0.0] * len(LEVELS)] * (size - 1),
        "residual": [0.1] * len(LEVELS),
    }  # fmt: skip
    export_interpreter(
        path,
        fields={name: FieldParts(TREES, 0.25, 0.75) for name in FIELDS},
        readers=[
            ReaderPart({k: v.numpy() for k, v in network.state_dict().items()}, fields)
            for fields, network in networks(pieces)
        ],
        features={rows: table.names for rows, table in pieces[0].tables[0].items()},
        description={
            "spreads": dict.fromkeys(FIELDS, 1.0),
            "draws": {name: vars(draw) for name in DRAWN},
            "levels": levels,
        },
        card=CARD,
    )
    return Interpreter(path.read_bytes(), path.name)


def test_the_file_predicts_what_trees_and_networks_do(
    tmp_path: Path, pieces: list[ReadPiece]
) -> None:
    model = exported(tmp_path / "tiny.onnx", pieces)
    view = pieces[0].view
    means, alone = model.means(view), model.means(view, trees=True)
    measured = tables(view)
    for fields, network in networks(pieces):
        rows = ROWS[fields[0]]
        read = read_by(network, pieces[0], rows)
        for column, name in enumerate(fields):
            expected = grown(TREES, measured[rows].values)
            assert alone[name] == pytest.approx(expected, abs=1e-6)
            assert len(set(expected.tolist())) > 1
            mixed = 0.25 * expected + 0.75 * read[:, column]
            assert means[name] == pytest.approx(mixed, abs=2e-3)  # weights are in 16 bits


def test_a_changed_file_is_refused(tmp_path: Path, pieces: list[ReadPiece]) -> None:
    exported(tmp_path / "tiny.onnx", pieces)
    content = bytearray((tmp_path / "tiny.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(ModelError, match="has changed"):
        Interpreter(bytes(content), "tiny.onnx")


def test_it_is_measured_against_people(tmp_path: Path, pieces: list[ReadPiece]) -> None:
    model = exported(tmp_path / "tiny.onnx", pieces)
    found = performing(model, [piece.piece for piece in pieces[:2]], freedom=0.5)
    figures = found.figures()
    assert figures["people"]["r velocity"].value == pytest.approx(1)  # both takes are the same
    assert figures["people"]["JS onset"].value == pytest.approx(0)
    assert figures["as written"]["r velocity"].value > 0.99  # they were played as written
    assert figures["as written"]["r onset"].value == pytest.approx(0)
    assert abs(figures["random draws"]["r velocity"].value) < 0.2
    assert figures["two seeds"]["r velocity"].value < 0.9
    assert "people" in "\n".join(found.lines())
    assert set(found.to_dict()["figures"]) == {*found.correlations, "two seeds"}


def test_readers_learn(pieces: list[ReadPiece]) -> None:
    settings = Reading(
        width=16, hidden=8, layers=1, window=24, batch=5, updates=25, learning_rate=2e-2
    )
    network = train_reader(pieces, ("beat",), settings)
    target, weight = pieces[0].target("beat")
    known = weight > 0
    predicted = read_by(network, pieces[0], "beats")[:, 0]
    assert np.corrcoef(predicted[known], target[known])[0, 1] > 0.5


def test_a_model_is_trained_of_parts_that_are_kept(tmp_path: Path) -> None:
    pedal = np.array([(t / 4, SUSTAIN, 50 * (t % 3)) for t in range(40)], CONTROL_DTYPE)

    def of(number: int, split: str) -> Piece:
        one = piece(number)
        performance = dataclasses.replace(one.takes[0].performance, controls=pedal)
        takes = (dataclasses.replace(one.takes[0], performance=performance),) * 2
        return dataclasses.replace(one, split=split, takes=takes)

    pairs = Pairs(
        (*(of(n, "train") for n in range(3)), *(of(n, "validation") for n in range(3, 9))), {}
    )
    tiny = Reading(width=8, hidden=6, window=24, batch=2, updates=2)
    config = InterpreterConfig(Boosting(trees=2, min_data_in_leaf=5), tiny, readers=1)
    work, said = tmp_path / "work", []
    for out in (tmp_path / "a.onnx", tmp_path / "b.onnx"):
        train_interpreter(
            pairs, work, out, card=CARD, editions=[of(9, "train")], config=config, say=said.append
        )
        assert sum("growing" in line for line in said) == len(FIELDS)  # but not again
        assert sum("readers' weight 0: " in line for line in said) % len(FIELDS) == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    kinds = sorted(path.name.split("-")[0] for path in work.iterdir())
    assert kinds == sorted((*FIELDS, "notes", "onsets"))
    model = Interpreter((tmp_path / "a.onnx").read_bytes(), "a")
    one = score(seed=20)
    played = model.interpret(one, freedom=0.5, seed=0)
    assert len(played.velocity) == len(one)
    with pytest.raises(DataError, match="validation"):
        train_interpreter(Pairs(pairs.pieces[:3], {}), work, tmp_path / "c.onnx", card=CARD)
    unpedalled = (dataclasses.replace(piece(0), split="train"), *pairs.pieces[3:])
    with pytest.raises(DataError, match="no take tells of its pedal"):
        train_interpreter(
            Pairs(unpedalled, {}), work, tmp_path / "c.onnx", card=CARD, config=config
        )


def test_plain_scores_keep_their_notes_alone() -> None:
    one = score()
    flat = plain(one)
    assert not flat.notes["velocity"].any() and not len(flat.tempos)
    assert (flat.notes["pitch"] == one.notes["pitch"]).all()


def test_draws_have_shares_that_sum_to_one(pieces: list[ReadPiece]) -> None:
    draw = fit_draw(pieces, "velocity", [piece.target("velocity")[0] / 2 for piece in pieces])
    shares = draw.note_share + draw.onset_share + sum(share for share, _ in draw.fading)
    assert shares == pytest.approx(1, abs=1e-3)
    assert draw.people == pytest.approx(1)
    assert min(draw.note_share, draw.onset_share) >= 0
    assert (np.diff(draw.quantiles) >= 0).all()
    assert View.of(pieces[0].piece.score).end == pytest.approx(24)
