import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import onnx
import pytest
import torch

from espressivo import Performance, __version__
from espressivo.codes import TIME_SHIFT, Vocabulary, vocabulary
from espressivo.codes.codec import FIELDS, NO_ID, steps
from espressivo.codes.controls import SIZE
from espressivo.engine.engine import METADATA_KEY, Engine, State
from espressivo.engine.sampling import Sampling
from espressivo.engine.tapes import TAPE_ROOM
from espressivo.errors import CodecError, ModelError
from espressivo.export.model_file import WEIGHTS, export
from espressivo.files import SEAL, seal
from espressivo.music.performance import CONTROL_DTYPE, SUSTAIN
from espressivo.networks import (
    Notewise,
    Recurrent,
    RecurrentConfig,
    Stack,
    StackConfig,
    rotation,
)
from espressivo.networks.notewise import NEVER

CARD = {"name": "tiny", "licence": "CC0", "trained_on": "nothing", "figures": {"nats": 5.7}}
V = vocabulary("seed")
NOTES = vocabulary("notes")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small products are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(cell="gru", layers=2, hidden=16, vocabulary=V, gain=4):
    """A random network whose weights are large enough for errors to show."""
    torch.manual_seed(3)
    made = Recurrent(RecurrentConfig(cell, hidden, layers), vocabulary.size).eval()
    with torch.no_grad():
        for parameter in made.rnn.parameters():
            parameter.mul_(gain)
        for parameter in made.output.parameters():
            parameter.mul_(4)
    return made


def stack(pattern, controls=0, width=16):
    """A random stack whose window fills and moves on in a short sequence."""
    torch.manual_seed(3)
    config = StackConfig(pattern, width=width, heads=2, window=9, controls=controls)
    made = Stack(config, V.size).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(1.5)
        made.output.weight.mul_(10)
    return made


def notewise(pattern, controls=0):
    """A random network over steps."""
    torch.manual_seed(3)
    config = StackConfig(pattern, width=32, heads=2, window=9, controls=controls, notewise=True)
    made = Notewise(config, NOTES).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(1.5)
        made.output.weight.mul_(10)
    return made


def exported(path, made, vocabulary=V, **settings):
    export(made, vocabulary, path, card=CARD, **settings)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("model") / "tiny.onnx", network())


@pytest.fixture(scope="module")
def engine(path):
    return Engine(path)


def sequences(steps, rows, seed=0):
    ids = np.random.default_rng(seed).integers(V.size, size=(steps, rows))
    ids[0] = V.size
    return ids


def assert_close(actual, expected, tolerance=1e-4):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=tolerance)


# --- the exported graph computes what the network computes ----------------------------------------


@pytest.mark.parametrize(("cell", "layers"), [("gru", 1), ("gru", 2), ("lstm", 1), ("lstm", 3)])
@torch.no_grad()
def test_forward_equals_step_equals_engine(tmp_path, cell, layers):
    made = network(cell, layers)
    engine = Engine(exported(tmp_path / "m.onnx", made, weights="fp32"))
    ids = sequences(2000, 2)
    whole, end = made(torch.tensor(ids))
    logits, state = engine.run(ids, engine.initial_state(2))
    assert logits.dtype == np.float32
    assert_close(logits, whole.numpy())
    for mine, theirs in zip(state, end, strict=True):
        assert_close(mine, theirs.numpy())

    state = engine.initial_state(2)
    for t, inputs in enumerate(ids[:200]):
        logits, state = engine.run(inputs[None], state)
        assert_close(logits[0], whole[t].numpy())


@pytest.mark.parametrize("pattern", ["d", "a", "ddad"])
@torch.no_grad()
def test_a_stack_exported_is_the_stack(tmp_path, pattern):
    made = stack(pattern, controls=SIZE)
    engine = Engine(exported(tmp_path / "m.onnx", made, weights="fp32"))
    ids, asked = sequences(300, 2), torch.rand(2, SIZE)
    whole, end = made(torch.tensor(ids), None, {"controls": asked.expand(300, 2, SIZE)})
    assert whole.std() > 0.5
    logits, state = engine.run(ids, engine.initial_state(2), asked.numpy())
    assert_close(logits, whole.numpy(), 5e-4)
    attended = ()
    if "a" in pattern:  # keys stand on tapes, turned by their places in the music
        heads, window = made.config.heads, made.config.window
        cos, sin = rotation(301, made.config.width // heads)
        written = 300 - TAPE_ROOM * math.ceil(max(0, 300 - window - TAPE_ROOM) / TAPE_ROOM)
        latest = slice(written - window, written)
        end_keys = turned(end[-3], heads, cos[301 - window :], sin[301 - window :])
        attended = (end_keys, end[-2])
        tapes = [part.ndim == 5 and part.shape[3] == window + TAPE_ROOM for part in state]
        state = [
            np.moveaxis(part[:, :, :, latest], 2, 3).reshape(1, 2, window, -1) if tape else part
            for part, tape in zip(state, tapes, strict=True)
        ]
    blocks = {"d": zip(*end[:2], strict=True), "a": zip(*attended, strict=True)}
    expected = [part[None] for kind in pattern for part in next(blocks[kind])]  # block by block
    if "a" in pattern:
        place = torch.cat((cos[-1] - 1, sin[-1])).expand(1, 2, -1)
        expected += [torch.full((1, 2, 1), written), place]
    for mine, theirs in zip(state, expected, strict=True):
        assert_close(mine, theirs.numpy())


def turned(keys, heads, cos, sin):
    """Turn keys, (..., positions, width), by the angles of their places."""
    one, two = keys.unflatten(-1, (heads, -1)).chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((one * cos - two * sin, one * sin + two * cos), -1).flatten(-2)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_what_is_asked_counts_and_nothing_asked_is_zeros(tmp_path, weights):
    engine = Engine(exported(tmp_path / "m.onnx", stack("d", controls=SIZE), weights=weights))
    ids, asked = sequences(20, 1), np.ones(SIZE, np.float32)
    state = engine.initial_state()
    nothing = engine.run(ids, state)[0]
    zeros = engine.run(ids, state, np.zeros((1, SIZE), np.float32))[0]
    np.testing.assert_array_equal(nothing, zeros)
    something = engine.run(ids, state, asked[None])[0]
    assert abs(something - nothing).max() > 0.05
    own = State(engine, asked)
    own.feed(ids[1:, 0])
    np.testing.assert_array_equal(own.logits(), something[-1, 0])
    own.asked = None
    own.feed(3)
    both = np.concatenate((something[:-1], own.logits()[None, None]))
    assert not np.array_equal(both[-1], something[-1])


@pytest.mark.parametrize("pattern", ["dd", "aa"])
@pytest.mark.parametrize("weights", ["fp16", "int8"])
@torch.no_grad()
def test_compact_weights_of_a_stack_predict_nearly_the_same(tmp_path, pattern, weights):
    made, ids = stack(pattern, width=64), sequences(300, 3)
    engine = Engine(exported(tmp_path / "m.onnx", made, weights=weights))
    logits = engine.run(ids, engine.initial_state(3))[0]
    expected = made(torch.tensor(ids))[0]
    p, predicted = expected.softmax(-1), torch.tensor(logits).log_softmax(-1)
    assert (p * (expected.log_softmax(-1) - predicted)).sum(
        -1
    ).mean() < 0.05  # random weights, large ones
    alone = engine.run(ids[:, 1:2], engine.initial_state())[0]
    np.testing.assert_array_equal(alone[:, 0], logits[:, 1])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(("weights", "tolerance"), [("fp32", 1e-5), ("fp16", 0.01), ("int8", 0.4)])
@torch.no_grad()
def test_compact_weights_predict_nearly_the_same(tmp_path, cell, weights, tolerance):
    gain = {"gru": 4, "lstm": 1.5}[cell]  # an lstm begins by remembering; more is chaos
    made, ids = network(cell, hidden=64, gain=gain), sequences(500, 1)
    engine = Engine(exported(tmp_path / "m.onnx", made, weights=weights))
    assert engine.network == {"cell": cell, "hidden": 64, "layers": 2, "weights": weights}
    logits = torch.tensor(engine.run(ids, engine.initial_state())[0])
    expected = made(torch.tensor(ids))[0]
    assert expected.std() > 0.5
    assert_close(logits, expected, tolerance)
    p = expected.softmax(-1)
    divergence = (p * (expected.log_softmax(-1) - logits.log_softmax(-1))).sum(-1).mean()
    assert divergence < 0.001


def test_compact_weights_take_less_space(tmp_path):
    sizes = {
        weights: exported(tmp_path / weights, network(hidden=128), weights=weights).stat().st_size
        for weights in WEIGHTS
    }
    assert sizes["fp16"] < 0.55 * sizes["fp32"]
    assert sizes["int8"] < 0.45 * sizes["fp32"]
    assert exported(tmp_path / "m.onnx", network(hidden=128)).stat().st_size == sizes["int8"]


def test_no_sum_of_two_8_bit_products_overflows_16_bits(path):
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    whole = [array for array in stored.values() if array.dtype == np.int8]
    assert len(whole) == 4
    assert all(255 * 2 * abs(array.astype(int)).max() < 2**15 for array in whole)
    assert all(abs(array).max() == 64 for array in whole)


@torch.no_grad()
def test_units_without_weights_are_exported(tmp_path):
    made = network()
    made.output.weight.zero_()
    engine = Engine(exported(tmp_path / "m.onnx", made))
    assert_close(State(engine).logits(), made.output.bias.numpy())


def test_exporting_changes_nothing(tmp_path):
    made = network().train()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    exported(tmp_path / "m.onnx", made)
    assert made.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())


def test_the_file_is_valid_and_the_same_each_time(path, tmp_path):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    again = exported(tmp_path / "again.onnx", network())
    assert again.read_bytes() == path.read_bytes()


def test_a_model_says_what_it_is(engine):
    assert engine.vocabulary == V
    assert engine.card == {"espressivo": __version__, **CARD}


@pytest.mark.parametrize("name", ["seed", "magenta", "maestro", "pedal", "notes"])
def test_each_vocabulary_comes_back(tmp_path, name):
    v = vocabulary(name)
    made = network(hidden=8, vocabulary=v)
    assert Engine(exported(tmp_path / "m.onnx", made, v)).vocabulary == v


@pytest.mark.parametrize("changed", [0, 9, 29])
def test_an_event_changes_nothing_before_it(engine, changed):
    ids = sequences(30, 1)
    other = ids.copy()
    other[changed] = (ids[changed] + 1) % V.size
    before, _ = engine.run(ids, engine.initial_state())
    after, _ = engine.run(other, engine.initial_state())
    np.testing.assert_array_equal(before[:changed], after[:changed])
    assert abs(before[changed] - after[changed]).max() > 1e-3


@pytest.mark.parametrize("weights", WEIGHTS)
def test_rows_do_not_touch_each_other(tmp_path, weights):
    engine = Engine(exported(tmp_path / "m.onnx", network(), weights=weights))
    ids = sequences(20, 3)
    together, state = engine.run(ids, engine.initial_state(3))
    for row in range(3):
        alone, alone_state = engine.run(ids[:, [row]], engine.initial_state())
        assert_close(together[:, [row]], alone)
        assert_close(state[0][:, [row]], alone_state[0])


# --- a note-wise vocabulary -----------------------------------------------------------------------


def written(count, rows):
    """Return ids of random pieces, (count, rows), with pedal, rests and lengths of all classes."""
    columns = []
    for seed in range(rows):
        rng = np.random.default_rng(seed)
        onset_s = np.cumsum(rng.choice([0, 0.01, 0.1, 0.5, 3.2], count))
        pedal = np.zeros(count // 4, CONTROL_DTYPE)
        pedal["time_s"] = np.sort(rng.uniform(0, onset_s[-1], len(pedal)))
        pedal["number"], pedal["value"] = SUSTAIN, rng.integers(0, 128, len(pedal))
        end_s = onset_s + np.exp(rng.uniform(np.log(0.01), np.log(25), count))
        pitch, velocity = rng.integers(21, 109, count), rng.integers(1, 128, count)
        piece = Performance.from_arrays(
            onset_s=onset_s, offset_s=end_s, pitch=pitch, velocity=velocity, controls=pedal
        )
        ids = NOTES.encode(piece)
        columns.append(np.concatenate(([NOTES.size], ids[: count - 1])))
    return np.stack(columns, axis=1)


def foretold_by(made, ids, asked=None):
    """Return what the network itself predicts after each id of a row but the last."""
    laid = steps(ids[1:], NOTES)
    before = np.vstack(([NOTES.size] + [NO_ID] * 4, laid[:-1]))
    asked = None if asked is None else {"controls": asked.expand(len(laid), 1, SIZE)}
    with torch.no_grad():
        rows = made(torch.tensor(before)[:, None], None, asked, torch.tensor(laid)[:, None])[0]
    step, factor = np.nonzero(laid != NO_ID)  # in the order of the ids
    own = np.array([np.isin(NOTES.kinds, kinds) for kinds in FIELDS])
    return np.where(own[factor], rows[:, 0].numpy()[step], NEVER)


@pytest.mark.parametrize("pattern", ["d", "dad"])
def test_a_notewise_network_exported_is_the_network(tmp_path, pattern):
    made = notewise(pattern, controls=SIZE)
    engine = Engine(exported(tmp_path / "m.onnx", made, NOTES, weights="fp32"))
    ids, asked = written(300, 3), torch.rand(3, SIZE)
    logits = engine.run(ids, engine.initial_state(3), asked.numpy())[0]
    for row in range(3):
        expected = foretold_by(made, ids[:, row], asked[row])
        assert expected[expected > NEVER].std() > 0.5
        np.testing.assert_array_equal(logits[:-1, row] == NEVER, expected == NEVER)
        assert_close(logits[:-1, row], expected, 5e-4)


@pytest.mark.parametrize("pattern", ["d", "dad"])
@pytest.mark.parametrize(("weights", "most"), [("fp16", 1e-4), ("int8", 0.05)])
def test_compact_weights_of_a_notewise_network(tmp_path, pattern, weights, most):
    made, ids = notewise(pattern), written(300, 3)
    engine = Engine(exported(tmp_path / "m.onnx", made, NOTES, weights=weights))
    logits, state = engine.run(ids, engine.initial_state(3))
    for row in range(3):
        expected = torch.tensor(foretold_by(made, ids[:, row])).log_softmax(-1)
        predicted = torch.tensor(logits[:-1, row]).log_softmax(-1)
        assert (expected.exp() * (expected - predicted)).sum(-1).mean() < most
        alone, alone_state = engine.run(ids[:, [row]], engine.initial_state())
        np.testing.assert_array_equal(alone[:, 0], logits[:, row])
        for mine, theirs in zip(alone_state, state, strict=True):
            np.testing.assert_array_equal(mine[:, 0], theirs[:, row])


@pytest.mark.parametrize("pattern", ["d", "dad"])
def test_only_an_id_that_completes_a_step_changes_what_is_remembered(tmp_path, pattern):
    engine = Engine(exported(tmp_path / "m.onnx", notewise(pattern), NOTES))
    ids, state = written(200, 2), engine.initial_state(2)
    for now, then in pairwise(ids):
        before, state = state, engine.run(now[None], state)[1]
        for row, follower in enumerate(then):
            *memory, known, read = (array[:, row] for array in state)
            completed = NOTES.kinds[follower] == TIME_SHIFT
            assert completed == (not known.any()) == (not read.any())
            for old, new in zip(before, memory, strict=False):
                assert completed or np.array_equal(old[:, row], new)
            assert completed != np.array_equal(before[-3][:, row], memory[-1])


def test_feeding_a_code_of_notes_is_reading_in_order(tmp_path):
    engine = Engine(exported(tmp_path / "m.onnx", notewise("dad", controls=SIZE), NOTES))
    ids, asked = written(200, 2), np.random.default_rng(0).random((2, SIZE), np.float32)
    logits, end = engine.run(ids, engine.initial_state(2), asked)
    own = [State(engine, row) for row in asked]
    for t in range(1, len(ids)):
        for row, state in enumerate(own):  # in turns
            state.feed(int(ids[t, row]))
            assert_close(state.logits(), logits[t, row])
    for n, array in enumerate(end):
        assert_close(own[1].memory[f"state_{n}"][:, 0], array[:, 1])


@pytest.mark.parametrize("weights", WEIGHTS)
def test_what_is_asked_steers_a_notewise_network(tmp_path, weights):
    made = notewise("d", controls=SIZE)
    engine = Engine(exported(tmp_path / "m.onnx", made, NOTES, weights=weights))
    ids, asked = written(20, 1), np.ones((1, SIZE), np.float32)
    nothing = engine.run(ids, engine.initial_state())[0]
    zeros = engine.run(ids, engine.initial_state(), 0 * asked)[0]
    np.testing.assert_array_equal(nothing, zeros)
    something = engine.run(ids, engine.initial_state(), asked)[0]
    assert abs(something - nothing).max(axis=-1).min() > 0.05


@pytest.mark.parametrize("count", range(1, 10))
def test_a_state_can_be_kept_within_a_step(tmp_path, count):
    engine = Engine(exported(tmp_path / "m.onnx", notewise("dad"), NOTES))
    ids = written(20, 1)[1:, 0]
    state = State(engine)
    state.feed(ids[:count])
    kept, other, later = state.memory, state.copy(), State(engine)
    state.feed(ids[count:])
    later.feed(ids[:3])
    later.memory = kept
    for again in (later, other):
        again.feed(ids[count:])
        np.testing.assert_array_equal(again.logits(), state.logits())


def test_what_is_drawn_makes_whole_steps(tmp_path):
    engine = Engine(exported(tmp_path / "m.onnx", notewise("d"), NOTES))
    state, rng = State(engine), np.random.default_rng(0)
    ids = np.array([state.sample(rng, Sampling(temperature=3)) for _ in range(1000)])
    laid = steps(ids, NOTES)
    np.testing.assert_array_equal(laid[laid != NO_ID], ids)
    assert len(NOTES.decode(ids).notes) > 50


def test_any_ids_are_read(tmp_path):
    engine = Engine(exported(tmp_path / "m.onnx", notewise("d"), NOTES))
    ids = np.random.default_rng(0).integers(NOTES.size + 1, size=(500, 3))
    logits = engine.run(ids, engine.initial_state(3))[0]
    assert np.isfinite(logits).all()
    alone = engine.run(ids[:, [1]], engine.initial_state())[0]
    np.testing.assert_array_equal(alone[:, 0], logits[:, 1])


def test_the_file_of_a_notewise_network_is_valid_and_the_same_each_time(tmp_path):
    path, again = (exported(tmp_path / name, notewise("dad"), NOTES) for name in ("a", "b"))
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert path.read_bytes() == again.read_bytes()
    assert Engine(path).network["notewise"] is True
    assert Engine(path).vocabulary == NOTES


# --- what cannot be exported ----------------------------------------------------------------------


def test_what_does_not_fit_is_not_exported(tmp_path):
    broken = network()
    with torch.no_grad():
        broken.output.weight[0, 0] = torch.nan
    huge = network()
    with torch.no_grad():
        huge.output.weight[0, 0] = 1e6
    target = tmp_path / "m.onnx"
    target.write_text("what was here before")
    nameless = {key: value for key, value in CARD.items() if key != "name"}
    for made, v, card, words in (
        (network(), vocabulary("maestro"), CARD, "310 ids"),
        (network(), V, nameless, "lacks name"),
        (network(), V, {**CARD, "figures": np.float32(1)}, "JSON"),
        (network(), V, {**CARD, "figures": float("nan")}, "JSON"),
        (broken, V, CARD, "output.weight"),
        (huge, V, CARD, "output.weight"),
    ):
        with pytest.raises(ModelError, match=words) as caught:
            export(made, v, target, card=card)
        assert str(target) in str(caught.value)
        assert target.read_text() == "what was here before"
    export(huge, V, target, card=CARD, weights="fp32")
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]


# --- the state ------------------------------------------------------------------------------------


def test_a_new_state_expects_the_first_event(engine):
    logits, _ = engine.run(np.array([[V.size]]), engine.initial_state())
    np.testing.assert_array_equal(State(engine).logits(), logits[0, 0])


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2500])
def test_feeding_is_reading_in_order(engine, count):
    ids = np.random.default_rng(1).integers(V.size, size=count)
    state = State(engine)
    state.feed(ids)
    logits, end = engine.run(np.concatenate(([V.size], ids))[:, None], engine.initial_state())
    assert_close(state.logits(), logits[-1, 0])
    assert_close(state.memory["state_0"], end[0])


def test_feeding_at_once_or_one_by_one_is_the_same(engine):
    ids = np.random.default_rng(1).integers(V.size, size=100).tolist()
    at_once, singly = State(engine), State(engine)
    at_once.feed(ids)
    for id_ in ids:
        singly.feed([id_])
    assert_close(at_once.logits(), singly.logits())


@pytest.mark.parametrize("one", [5, np.int32(5), [5], np.array([5])])
def test_one_event_can_be_fed_as_a_number(engine, one):
    state, other = State(engine), State(engine)
    state.feed(one)
    other.feed([5])
    np.testing.assert_array_equal(state.logits(), other.logits())
    assert abs(state.logits() - State(engine).logits()).max() > 1e-3


def test_threads_can_share_an_engine(engine):
    def play(seed):
        state, rng = State(engine), np.random.default_rng(seed)
        return [state.sample(rng) for _ in range(200)]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(play, range(16)))
    assert together == [play(seed) for seed in range(16)]


def test_feeding_nothing_changes_nothing(engine):
    state = State(engine)
    before = state.logits()
    state.feed([])
    np.testing.assert_array_equal(state.logits(), before)


def test_a_wrong_id_is_refused_before_any_is_read(engine):
    state = State(engine)
    state.feed([5])
    before = state.memory
    for ids in ([3, V.size], [-1], [2.5], V.size, -1, 2.5, True):
        with pytest.raises(CodecError):
            state.feed(ids)
    for name, array in state.memory.items():
        np.testing.assert_array_equal(array, before[name])


def test_copies_go_their_own_ways(engine):
    one = State(engine)
    one.feed([60, 216])
    other = one.copy()
    before = other.logits().copy()
    one.feed([148])
    np.testing.assert_array_equal(other.logits(), before)
    other.feed([148])
    np.testing.assert_array_equal(other.logits(), one.logits())


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_state_can_be_read_kept_and_set(tmp_path, cell):
    engine = Engine(exported(tmp_path / "m.onnx", network(cell)))
    state = State(engine)
    state.feed([60, 216, 148])
    np.savez(tmp_path / "memory.npz", **state.memory)
    state.memory["state_0"][:] = 0  # a copy: nothing happens
    expected = state.logits()
    state.feed([10])
    then = state.logits()

    later = State(engine)
    later.memory = dict(np.load(tmp_path / "memory.npz"))
    np.testing.assert_array_equal(later.logits(), expected)
    later.feed([10])
    np.testing.assert_array_equal(later.logits(), then)


def test_the_memory_of_another_model_is_refused(engine):
    state = State(engine)
    good = state.memory
    for wrong in (
        {},
        {"logits": good["logits"]},
        {**good, "state_1": good["state_0"]},
        {**good, "state_0": good["state_0"][:1]},
        {**good, "logits": good["logits"].astype(np.float64)},
    ):
        with pytest.raises(ModelError, match="another model"):
            state.memory = wrong


def test_logits_cannot_be_spoiled(engine):
    with pytest.raises(ValueError, match="read-only"):
        State(engine).logits()[0] = 1.0


def test_probabilities_are_the_softmax_at_a_temperature(engine):
    state = State(engine)
    for temperature in (0.5, 1.0, 2.0):
        weights = np.exp(state.logits().astype(np.float64) / temperature)
        assert_close(state.probabilities(temperature), weights / weights.sum(), 1e-12)


def test_sampling_feeds_what_it_draws(engine):
    state, follower = State(engine), State(engine)
    rng = np.random.default_rng(0)
    only = np.zeros(V.size, bool)
    only[7] = True
    assert state.sample(rng, Sampling(), only) == 7
    follower.feed([7])
    np.testing.assert_array_equal(state.logits(), follower.logits())
    greedy = state.sample(rng, Sampling(temperature=0))
    assert greedy == follower.logits().argmax()


# --- files that are no models ---------------------------------------------------------------------


def refused(model, words, capfd):
    """Check that loading fails with one line that names the file, and that nothing is printed."""
    with pytest.raises(ModelError, match=words) as caught:
        Engine(model)
    message = str(caught.value)
    assert "\n" not in message
    assert ("the given bytes" if isinstance(model, bytes) else str(model)) in message
    assert capfd.readouterr() == ("", "")


def test_missing_files_and_folders(tmp_path, capfd):
    refused(tmp_path / "none.onnx", "no such file", capfd)
    refused(tmp_path, "folder", capfd)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"not a model at all", b"PK\x03\x04" * 50])
def test_other_files(tmp_path, content, capfd):
    file = tmp_path / "other.onnx"
    file.write_bytes(content)
    refused(file, "not a whole model file|without a description", capfd)


def test_truncated_files(path, capfd):
    content = path.read_bytes()
    for length in (1, 10, 100, 1000, len(content) // 2, len(content) - 100, len(content) - 1):
        refused(content[:length], "not a whole model file|without a desc|has changed", capfd)


def test_damaged_files_load_or_are_refused(path, capfd):
    rng = np.random.default_rng(0)
    content = described(path, lambda d: d.update(format=4), sealed=False)
    for _ in range(100):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=20):
            damaged[place] = rng.integers(256)
        try:
            Engine(bytes(damaged))
        except ModelError as error:
            assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


def described(path, change, sealed=True):
    """Return the file with its description changed."""
    model = onnx.load(path)
    props = {entry.key: entry for entry in model.metadata_props}
    description = json.loads(props[METADATA_KEY].value)
    props[METADATA_KEY].value = change(description) or json.dumps(description)
    return resealed(model) if sealed else unsealed(model)


def resealed(model):
    """Return a file with the seal that belongs to it."""
    (entry,) = (entry for entry in model.metadata_props if entry.value.startswith(SEAL[:18]))
    entry.value = SEAL
    content = bytearray(model.SerializeToString())
    seal(content)
    return bytes(content)


def unsealed(model):
    """Return a file without a seal."""
    del model.metadata_props[1:]
    return model.SerializeToString()


def test_a_changed_byte_is_refused(path, capfd):
    content = path.read_bytes()
    at = content.index(SEAL[:18].encode())
    for place in (100, len(content) // 2, at - 6, at, at + 17, at + 18, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        refused(bytes(changed), "has changed since it was written: fetch or export", capfd)


def test_a_file_of_an_earlier_format_needs_no_seal(path, capfd):
    assert Engine(described(path, lambda d: d.update(format=4), sealed=False))
    refused(described(path, lambda _: None, sealed=False), "has changed", capfd)


def test_weights_that_are_not_finite_are_refused(path, capfd):
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.raw_data = b"\x00\x00\xc0\x7f" * (len(tensor.raw_data) // 4)
    refused(resealed(model), "not finite", capfd)


def test_weights_in_another_file_are_refused(path, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = onnx.load(path)
    keep = onnx.external_data_helper.convert_model_to_external_data
    keep(model, location="w", size_threshold=0)
    onnx.external_data_helper.write_external_data_tensors(model, str(tmp_path))
    assert (tmp_path / "w").stat().st_size
    refused(unsealed(model), "keeps weights in another file", capfd)


def test_onnx_files_of_others(path, capfd):
    model = onnx.load(path)
    del model.metadata_props[:]
    refused(model.SerializeToString(), "without a description", capfd)


@pytest.mark.parametrize("text", ["{", "[]", '"text"', "1", "{}", "[" * 100_000])
def test_damaged_descriptions(path, text, capfd):
    refused(described(path, lambda _: text), "description is damaged", capfd)


@pytest.mark.parametrize("version", [0, 1, 8, "1.0", None, [1]])
def test_other_formats(path, version, capfd):
    refused(described(path, lambda d: d.update(format=version)), "update espressivo", capfd)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_files_of_earlier_formats_are_read(path, engine, version):
    earlier = Engine(described(path, lambda d: d.update(format=version)))
    np.testing.assert_array_equal(State(earlier).logits(), State(engine).logits())


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("vocabulary"),
        lambda d: d.pop("card"),
        lambda d: d.pop("network"),
        lambda d: d.update(vocabulary=None),
        lambda d: d.update(card=3),
        lambda d: d.update(network=3),
        lambda d: d["vocabulary"].update(unknown=1),
        lambda d: d["vocabulary"].update(order="backwards"),
        lambda d: d["vocabulary"].update(max_shift_steps="many"),
        lambda d: d["network"].update(controls="many"),
        lambda d: d["network"].update(controls=5),
        lambda d: d["network"].update(controls=-1),
        lambda d: d["network"].update(notewise=True),
    ],
)
def test_descriptions_that_are_not_valid(path, change, capfd):
    refused(described(path, lambda d: change(d) and None), "description is not valid", capfd)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(vocabulary=vocabulary("maestro").to_dict()),
        lambda d: d.update(vocabulary=vocabulary("magenta").to_dict()),
        lambda d: d["vocabulary"].update(max_shift_steps=99.5),
        lambda d: d["vocabulary"].update(boundaries="yes"),
        lambda d: d["network"].update(controls=SIZE),
    ],
)
def test_graphs_that_do_not_fit_their_description(path, change, capfd):
    refused(described(path, lambda d: change(d) and None), "its graph", capfd)


def test_a_model_can_be_loaded_from_bytes(path, engine):
    ids = sequences(10, 1)
    again = Engine(path.read_bytes())
    expected, _ = engine.run(ids, engine.initial_state())
    np.testing.assert_array_equal(again.run(ids, again.initial_state())[0], expected)


# --- what playing needs ---------------------------------------------------------------------------


def test_playing_needs_neither_torch_nor_onnx(path):
    script = f"""
import sys
import espressivo.play
assert "onnxruntime" not in sys.modules
sys.modules.update(torch=None, onnx=None, lightning=None)  # importing them would fail
model = espressivo.play.load({str(path)!r})
print(len(model.vocabulary.encode(model.generate(events=40, seed=1))) > 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_a_vocabulary_of_ones_own(tmp_path):
    own = Vocabulary("own", lowest_pitch=60, highest_pitch=71, max_shift_steps=10)
    engine = Engine(exported(tmp_path / "m.onnx", network(vocabulary=own), own))
    assert engine.vocabulary == own
    assert State(engine).logits().shape == (own.size,)


def test_states_with_windows_go_their_own_ways(tmp_path):
    """More of them take turns than have tapes, for longer than a tape is, some begun anew."""
    engine = Engine(exported(tmp_path / "m.onnx", stack("da"), weights="fp32"))
    ids = sequences(600, 6)
    expected = [engine.run(ids[:, [n]], engine.initial_state())[0][-1, 0] for n in range(6)]
    states = [State(engine) for _ in range(6)]
    for t in range(1, len(ids)):
        for n, state in enumerate(states):
            if t % 97 == n:  # a copy goes on, and what it was copied from goes astray
                states[n] = state.copy()
                state.feed(1)
            states[n].feed(int(ids[t, n]))
    alone = State(engine)
    alone.feed(ids[1:, 0])
    for state, logits in zip([*states, alone], [*expected, expected[0]], strict=True):
        np.testing.assert_array_equal(state.logits(), logits)
