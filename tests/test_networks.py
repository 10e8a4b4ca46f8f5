import dataclasses

import pytest
import torch

from espressivo.codes import Vocabulary
from espressivo.networks import (
    NETWORKS,
    Recurrent,
    RecurrentConfig,
    Stack,
    StackConfig,
    build,
    config_from_dict,
)
from espressivo.networks.stack import _delta_rule, hidden_matrices

SMALL = Vocabulary(
    "small",
    lowest_pitch=60,
    highest_pitch=64,
    max_shift_steps=9,
    velocity_floors=(1, 32, 64, 96),
    velocity_values=(1, 32, 64, 96),
)
SIZE = SMALL.size
RECURRENT = [
    RecurrentConfig(cell, hidden=16, layers=layers)
    for cell in ("gru", "lstm")
    for layers in (1, 2, 3)
]
STACKS = [
    StackConfig(pattern, width=16, heads=2, window=12) for pattern in ("d", "a", "dd", "aa", "dad")
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small products are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def name(config):
    return config.pattern if isinstance(config, StackConfig) else f"{config.cell}{config.layers}"


def made(config):
    torch.manual_seed(1)
    network = build(config, SMALL).eval()
    if isinstance(config, StackConfig):
        with torch.no_grad():
            network.output.weight *= 20  # so that differences show
    return network


@pytest.fixture(params=RECURRENT + STACKS, ids=name)
def network(request):
    return made(request.param)


@pytest.fixture(params=RECURRENT, ids=name)
def recurrent(request):
    return made(request.param)


def random_state(network, rows):
    """A state after some events of random sequences."""
    with torch.no_grad():
        return network(sequences(20, rows, seed=9))[1]


def sequences(steps, rows, seed=0):
    """Random ids, each row beginning with "no event yet"."""
    ids = torch.randint(SIZE, (steps, rows), generator=torch.Generator().manual_seed(seed))
    ids[0] = SIZE
    return ids


def torch_reference(network, ids, state=None):
    """Logits and state by torch's own layers on one-hot inputs, "no event yet" being zeros."""
    one_hot = torch.zeros(*ids.shape, SIZE + 1).scatter_(2, ids[..., None], 1.0)[..., :SIZE]
    before = None if state is None else (state[0] if len(state) == 1 else state)
    hidden, after = network.rnn(one_hot, before)
    return network.output(hidden), after if isinstance(after, tuple) else (after,)


def assert_close(actual, expected, tolerance=1e-5):
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


def test_an_lstm_begins_by_remembering():
    for name, bias in build(NETWORKS["lstm"], SMALL).rnn.named_parameters():
        if name.startswith("bias_ih"):
            gates = bias.view(4, -1)  # in, forget, cell, out
            assert (gates[1] == 1).all()
            assert (gates[[0, 2, 3]].abs() < 0.1).all()


@torch.no_grad()
def test_forward_is_what_torch_computes(recurrent):
    ids = sequences(40, 3)
    state = tuple(torch.randn(recurrent.config.layers, 3, 16) for _ in recurrent.initial_state(3))
    for start in (None, state):
        logits, after = recurrent(ids, start)
        expected, expected_after = torch_reference(recurrent, ids, start)
        assert logits.shape == (40, 3, SIZE)
        assert_close(logits, expected)
        assert_close(after, expected_after)


@torch.no_grad()
def test_the_delta_rule_is_the_published_recurrence():
    rng = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 100, 8, generator=rng)
    q, k = (x / x.norm(dim=-1, keepdim=True) for x in (q, k))
    fading = -torch.rand(2, 3, 100, generator=rng)
    rate = torch.rand(2, 3, 100, generator=rng)
    start = torch.randn(2, 3, 8, 8, generator=rng)
    recalled, end = _delta_rule(q, k, v, fading, rate, start)
    memory = start
    for t in range(100):
        one, what = k[:, :, t, :, None], v[:, :, t, :, None]
        memory = fading[:, :, t, None, None].exp() * memory
        memory = memory + rate[:, :, t, None, None] * one @ (what - memory.mT @ one).mT
        assert_close(recalled[:, :, t], (memory.mT @ q[:, :, t, :, None])[..., 0])
    assert_close(end, memory)


@torch.no_grad()
def test_attention_sees_as_far_as_its_window():
    network = made(StackConfig("a", width=16, heads=2, window=12))
    ids = sequences(30, 1)
    other = ids.clone()
    other[10] = (ids[10] + 1) % SIZE
    before, after = network(ids)[0], network(other)[0]
    differs = (before - after).abs().amax((1, 2)) > 1e-6
    assert differs.nonzero()[:, 0].tolist() == list(range(10, 23))  # itself and 12 more


@torch.no_grad()
def test_controls_steer_and_nothing_asked_is_zeros():
    config = StackConfig("d", width=16, heads=2, controls=3)
    network, ids = made(config), sequences(10, 2)
    controls = torch.ones(10, 2, 3)
    controls[4:] = 0
    nothing = network(ids)[0]
    assert torch.equal(network(ids, None, {"controls": torch.zeros(10, 2, 3)})[0], nothing)
    steered = network(ids, None, {"controls": controls})[0]
    assert not torch.allclose(steered[0], nothing[0], atol=1e-3)
    state = network.initial_state(2)
    for t, inputs in enumerate(ids):
        logits, state = network(inputs[None], state, {"controls": controls[t : t + 1]})
        assert_close(logits[0], steered[t])


def test_hidden_matrices_are_those_between_layers():
    network = made(StackConfig("da", width=16, heads=2, controls=3))
    shapes = [tuple(weight.shape) for weight in hidden_matrices(network)]
    assert shapes == [
        (64, 16),
        (16, 16),
        (64, 16),
        (16, 32),
        (48, 16),
        (16, 16),
        (64, 16),
        (16, 32),
    ]
    assert hidden_matrices(made(RECURRENT[0])) == []


@pytest.mark.parametrize("config", RECURRENT + STACKS, ids=name)
def test_sizes_are_plain_values_and_back(config):
    assert config_from_dict(dataclasses.asdict(config)) == config


@torch.no_grad()
def test_a_sequence_at_once_equals_its_events_one_by_one(network):
    ids = sequences(140, 2)  # the delta rule takes 64 at once
    whole, end = network(ids)
    state = network.initial_state(2)
    for t, inputs in enumerate(ids):
        logits, state = network(inputs[None], state)
        assert_close(logits[0], whole[t])
    assert_close(state, end)


@torch.no_grad()
def test_a_sequence_can_be_cut_anywhere(network):
    ids = sequences(30, 2)
    whole, end = network(ids)
    first, state = network(ids[:11])
    rest, after = network(ids[11:], state)
    assert_close(torch.cat((first, rest)), whole)
    assert_close(after, end)


@torch.no_grad()
@pytest.mark.parametrize("changed", [0, 7, 29])
def test_an_event_changes_nothing_before_it_and_something_from_it_on(network, changed):
    ids = sequences(30, 1)
    other = ids.clone()
    other[changed] = (ids[changed] + 1) % SIZE
    before, after = network(ids)[0], network(other)[0]
    assert torch.equal(before[:changed], after[:changed])
    assert not torch.allclose(before[changed], after[changed], rtol=0, atol=1e-4)


@torch.no_grad()
def test_rows_do_not_touch_each_other(network):
    ids = sequences(20, 3)
    other = ids.clone()
    other[:, 1] = sequences(20, 1, seed=5)[:, 0]
    before, state = network(ids)
    after, other_state = network(other)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.allclose(before[:, 1], after[:, 1], rtol=0, atol=1e-4)
    for mine, theirs in zip(state, other_state, strict=True):
        assert torch.equal(mine[:, [0, 2]], theirs[:, [0, 2]])


def test_gradients_flow_through_time_and_into_the_starting_state(network):
    state = tuple(part.requires_grad_() for part in random_state(network, 1))
    logits, _ = network(sequences(8, 1), state)
    logits[-1].square().sum().backward()
    attends = isinstance(network, Stack) and "a" in network.config.pattern
    remembered = state[:-1] if attends else state  # the last is a count
    for tensor in (*network.parameters(), *remembered):
        assert tensor.grad.abs().sum() > 0


@torch.no_grad()
def test_the_given_state_is_not_changed(network):
    state = random_state(network, 2)
    kept = tuple(part.clone() for part in state)
    network(sequences(5, 2), state)
    assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_acts_in_training_only(layers):
    torch.manual_seed(0)
    network = Recurrent(RecurrentConfig("gru", hidden=16, layers=layers, dropout=0.5), SIZE)
    ids = sequences(6, 2)
    assert not torch.equal(network(ids)[0], network(ids)[0])
    network.eval()
    assert torch.equal(network(ids)[0], network(ids)[0])


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_shipped_networks_have_the_published_sizes(name):
    config = NETWORKS[name]
    assert (config.cell, config.hidden, config.layers) == {
        "gru": ("gru", 512, 2),
        "lstm": ("lstm", 512, 3),
    }[name]
    count = sum(p.numel() for p in Recurrent(config, 310).parameters())
    gates, hidden = {"gru": 3, "lstm": 4}[name], 512
    first = gates * hidden * (310 + hidden + 2)
    later = gates * hidden * (2 * hidden + 2)
    assert count == first + (config.layers - 1) * later + (hidden + 1) * 310


@pytest.mark.parametrize(
    "wrong",
    [
        {"cell": "rnn"},
        {"hidden": 0},
        {"layers": 0},
        {"dropout": 1.0},
        {"dropout": -0.1},
    ],
)
def test_sizes_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RecurrentConfig(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pattern": ""},
        {"pattern": "dx"},
        {"width": 250},
        {"width": 0},
        {"heads": 0},
        {"window": 0},
        {"expansion": 0},
        {"controls": -1},
        {"dropout": 1.0},
    ],
)
def test_sizes_of_a_stack_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StackConfig(**wrong)
