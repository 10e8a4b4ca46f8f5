import numpy as np
import pytest
import torch

from espressivo.cli import generate as command
from espressivo.codes import vocabulary
from espressivo.errors import CodecError, GenerationError
from espressivo.export.model_file import export
from espressivo.music.performance import Performance
from espressivo.networks import Recurrent, RecurrentConfig
from espressivo.play import Model, load
from known import CARD, Mock

PRIMER = Performance.from_arrays(
    onset_s=[0, 0.5], offset_s=[0.4, 1.25], pitch=[60, 64], velocity=[80, 72]
)


class Counted(Mock):
    """Counts how often rows are read, and how many."""

    def __init__(self, v):
        super().__init__(v)
        self.rows = []

    def run(self, ids, state, controls=None, pointers=None, *, in_place=False):
        self.rows.append(ids.shape[1])
        return super().run(ids, state, controls)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("seed", {"seconds": 6}),
        ("seed", {"events": 50, "temperature": 0.8, "avoid_loops": True}),
        ("seed", {"seconds": 6, "primer": PRIMER}),
        ("seed", {"seconds": 6, "primer": PRIMER, "include_primer": True, "ending": "cut"}),
        ("pedal", {"seconds": 6, "ending": "cut"}),
        ("pedal", {"ending": "own", "seconds": 60}),
    ],
)
def test_each_row_is_what_its_seed_gives_alone(name, arguments):
    model = Model(Mock(vocabulary(name)))
    together = model.generate_batch(5, seed=3, **arguments)
    assert together == [model.generate(seed=3 + number, **arguments) for number in range(5)]
    assert len({len(performance) for performance in together}) > 1


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_in_8_bits_it_is_so_to_the_last_digit(tmp_path, cell):
    torch.manual_seed(1)
    v = vocabulary("seed")
    network = Recurrent(RecurrentConfig(cell, hidden=40, layers=2), v.size)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 3  # so that it is sure of something
    export(network, v, tmp_path / "a.onnx", card=CARD, weights="int8")
    model = load(tmp_path / "a.onnx")
    together = model.generate_batch(7, seed=0, seconds=10, primer=PRIMER)
    alone = [model.generate(seed=seed, seconds=10, primer=PRIMER) for seed in range(7)]
    assert together == alone


def test_all_rows_are_read_at_once_and_only_while_they_play():
    v = vocabulary("pedal")
    engine = Counted(v)
    model = Model(engine)
    settings = {"ending": "own", "seconds": 30}
    lengths = [len(list(model.generate_ids(seed=seed, **settings))) for seed in range(6)]
    assert len(set(lengths)) > 1
    engine.rows.clear()
    model.generate_batch(6, seed=0, **settings)
    beginning, *rows = engine.rows
    assert beginning == 1
    # The end event of a list is not read: nothing comes after it.
    assert rows == [sum(length > n for length in lengths) for n in range(1, max(lengths))]


def test_without_a_seed_each_batch_is_another():
    model = Model(Mock(vocabulary("seed")))
    first, second = (model.generate_batch(3, seconds=5) for _ in range(2))
    assert first != second
    assert len({performance.notes.tobytes() for performance in (*first, *second)}) == 6


def test_arguments_are_checked():
    model = Model(Mock(vocabulary("seed")))
    for arguments, words in (
        ({"count": 0}, "count must be at least 1, not 0"),
        ({"count": 2, "seed": -1}, "seed must be within 0"),
        ({"count": 2, "seconds": 1, "events": 1}, "not both"),
        ({"count": 2, "temperature": -1}, "temperature"),
    ):
        with pytest.raises(GenerationError, match=words):
            model.generate_batch(**arguments)
    with pytest.raises(CodecError):
        model.generate_batch(2, primer=np.array([310]))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_command_line_plays_some_takes_at_once(monkeypatch, count):
    monkeypatch.setattr(command, "_SIDE_BY_SIDE", 2)
    model = Model(Mock(vocabulary("seed")))
    told, arguments = [], {"seconds": 3, "beam": None}
    takes = list(command._takes(model, count, 7, arguments, lambda *done: told.append(done)))
    assert [seed for seed, _, _ in takes] == list(range(7, 7 + count))
    assert all(take == model.generate(seed=seed, seconds=3) for seed, _, take in takes)
    assert told[-1] == ((3, 3) if count == 1 else (count, count))
