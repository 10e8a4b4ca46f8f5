import copy

import pytest
import torch

from espressivo.networks import NETWORKS, Recurrent, RecurrentConfig
from espressivo.networks.recurrence import can_compile, run_stack

SIZE = 23
CONFIGS = [
    RecurrentConfig(cell, hidden=16, layers=layers)
    for cell in ("gru", "lstm")
    for layers in (1, 2, 3)
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small products are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=CONFIGS, ids=lambda config: f"{config.cell}{config.layers}")
def network(request):
    torch.manual_seed(1)
    return Recurrent(request.param, SIZE).eval()


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


@torch.no_grad()
def test_forward_is_what_torch_computes(network):
    ids = sequences(40, 3)
    state = tuple(torch.randn(network.config.layers, 3, 16) for _ in network.initial_state(3))
    for start in (None, state):
        logits, after = network(ids, start)
        expected, expected_after = torch_reference(network, ids, start)
        assert logits.shape == (40, 3, SIZE)
        assert_close(logits, expected)
        assert_close(after, expected_after)


@torch.no_grad()
def test_forward_equals_repeated_steps(network):
    ids = sequences(50, 2)
    whole, end = network(ids)
    state = network.initial_state(2)
    for t, inputs in enumerate(ids):
        logits, state = network.step(inputs, state)
        assert_close(logits, whole[t])
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


def test_gradients_are_those_of_torch(network):
    ids, targets = sequences(12, 4), sequences(12, 4, seed=9) % SIZE
    reference = copy.deepcopy(network)
    for logits, _ in (network(ids), torch_reference(reference, ids)):
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    for (name, mine), theirs in zip(
        network.named_parameters(), reference.parameters(), strict=True
    ):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_gradients_flow_into_the_starting_state(network):
    state = tuple(torch.randn_like(part) for part in network.initial_state(2))
    mine = tuple(part.clone().requires_grad_() for part in state)
    theirs = tuple(part.clone().requires_grad_() for part in state)
    ids = sequences(8, 2)
    network(ids, mine)[0].square().sum().backward()
    torch_reference(network, ids, theirs)[0].square().sum().backward()
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_given_state_is_not_changed(network):
    state = tuple(torch.randn_like(part) for part in network.initial_state(2))
    kept = tuple(part.clone() for part in state)
    network(sequences(5, 2), state)
    assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))


@torch.no_grad()
def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    network = Recurrent(RecurrentConfig("gru", hidden=16, layers=2, dropout=0.5), SIZE)
    ids = sequences(6, 2)

    def runs():  # two passes through the layers; compiling is not the point here
        state = network.initial_state(2)
        return [run_stack(network.rnn, ids, state, dtype=torch.float32)[0] for _ in range(2)]

    first, second = runs()
    assert not torch.equal(first, second)
    network.eval()
    first, second = runs()
    assert torch.equal(first, second)
    assert torch.equal(network(ids)[0], network(ids)[0])


def test_bfloat16_stays_near_float32(network):
    ids = sequences(20, 2)
    with torch.no_grad():
        exact, _ = network(ids)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough, state = network(ids)
    assert rough.dtype == torch.bfloat16
    assert all(part.dtype == torch.float32 for part in state)
    torch.testing.assert_close(rough.float(), exact, rtol=0, atol=0.05)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_layers_equal_the_others(network):
    if not can_compile():
        pytest.skip("no C++ compiler")
    ids = sequences(6, 4)
    state = network.initial_state(4)
    results = []
    for compiled in (False, True):
        network.zero_grad()
        outputs, end = run_stack(network.rnn, ids, state, dtype=torch.float32, compiled=compiled)
        outputs.square().sum().backward()
        results.append((outputs.detach(), end, [p.grad.clone() for p in network.rnn.parameters()]))
    (a, end_a, grads_a), (b, end_b, grads_b) = results
    assert_close(a, b)
    assert_close(end_a, end_b)
    for x, y in zip(grads_a, grads_b, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(NETWORKS))
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
