"""The note-wise network, and how far it is from what comes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from espressivo import Performance, Vocabulary
from espressivo.codes import DURATION, FINE_DURATION, vocabulary
from espressivo.codes.codec import FIELDS, NO_ID, steps
from espressivo.data import IGNORED
from espressivo.errors import TrainingError
from espressivo.music.performance import CONTROL_DTYPE
from espressivo.networks import (
    NETWORKS,
    Notewise,
    StackConfig,
    build,
    config_from_dict,
)
from espressivo.networks.notewise import NEVER
from espressivo.networks.stack import hidden_matrices
from espressivo.training.loss import summed_nats

V = Vocabulary(
    "few notes",
    lowest_pitch=60,
    highest_pitch=64,
    max_shift_steps=6,
    velocity_floors=(1, 64),
    velocity_values=(40, 90),
    sustain="events",
    order="pitch",
    boundaries=True,
    longest_note_steps=64,
)
CONFIGS = [
    StackConfig(pattern, width=16, heads=2, window=12, notewise=True) for pattern in ("d", "ad")
]
FEW = torch.from_numpy(V.durations_in_class)


@pytest.fixture(params=CONFIGS, ids=lambda config: config.pattern)
def network(request):
    torch.manual_seed(1)
    network = build(request.param, V).eval()
    with torch.no_grad():
        network.output.weight *= 20  # so that differences show
    return network


def written(seed):
    """Steps of a made-up piece, with rests, pedal, and lengths of every kind of class."""
    rng = np.random.default_rng(seed)
    onset_s = np.cumsum(rng.integers(0, 12, 60)) / 100
    end_s = onset_s + rng.integers(1, 65, 60) / 100
    pedal = np.array([(t, 64, value) for t in onset_s[::9] for value in (0, 127)], CONTROL_DTYPE)
    p = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=end_s,
        pitch=rng.integers(60, 65, 60),
        velocity=rng.integers(1, 128, 60),
        controls=pedal,
    )
    return steps(V.encode(p), V)


def sequences(length, rows, seed=0):
    """Inputs and targets, (T, B, factors), each row from the beginning of a piece."""
    targets = torch.from_numpy(np.stack([written([seed, r])[:length] for r in range(rows)], 1))
    nothing = torch.full_like(targets[:1], NO_ID)
    nothing[..., 0] = V.size
    return torch.cat((nothing, targets[:-1])).long(), targets.long()


def ids_of(*factors):
    """Tell for each id whether it belongs to one of these factors."""
    kinds = [kind for field in factors for kind in FIELDS[field]]
    return torch.from_numpy(np.isin(V.kinds, kinds))


def other(targets, field):
    """Give each step that has an id of a field another one."""
    mine = ids_of(field).nonzero()[:, 0]
    changed, here = targets.clone(), targets[..., field] != NO_ID
    place = (targets[..., field][here][:, None] == mine).nonzero()[:, 1]
    changed[..., field][here] = mine[(place + 1) % len(mine)]
    return changed


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_sequence_can_be_cut_anywhere(network):
    inputs, targets = sequences(90, 2)
    whole, end = network(inputs, None, None, targets)
    state, parts = None, []
    for part in (slice(0, 1), slice(1, 70), slice(70, 90)):
        logits, state = network(inputs[part], state, None, targets[part])
        parts.append(logits)
    assert whole.shape == (90, 2, V.size)
    assert_close(torch.cat(parts), whole)
    assert_close(state, end)


@torch.no_grad()
@pytest.mark.parametrize("changed", [0, 7, 29])
def test_an_event_changes_nothing_before_it_and_something_from_it_on(network, changed):
    inputs, targets = sequences(30, 1)
    another = inputs.clone()
    another[changed] = sequences(1, 1)[1] if changed else targets[5]
    assert not torch.equal(another, inputs)
    before, after = (network(ids, None, None, targets)[0] for ids in (inputs, another))
    assert torch.equal(before[:changed], after[:changed])
    assert not torch.allclose(before[changed], after[changed], rtol=0, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("field", range(len(FIELDS)))
def test_each_id_of_an_event_is_predicted_from_those_before_it_alone(network, field):
    inputs, targets = sequences(30, 2)
    another = other(targets, field)
    another[20:] = targets[20:]  # what comes elsewhere does not matter either
    here = (another != targets).any(-1)
    assert 10 < here.sum() < 50
    before, after = (network(inputs, None, None, t)[0] for t in (targets, another))
    apart = (before - after).abs()
    assert apart[~here].max() == 0
    assert apart[..., ids_of(*range(field + 1))].max() == 0
    for later in range(field + 1, len(FIELDS)):
        assert (apart[here][:, ids_of(later)].amax(-1) > 1e-4).all()


@torch.no_grad()
def test_rows_do_not_touch_each_other(network):
    inputs, targets = sequences(20, 3)
    more_inputs, more_targets = (x.clone() for x in (inputs, targets))
    more_inputs[:, 1], more_targets[:, 1] = (x[:, 0] for x in sequences(20, 1, seed=5))
    before, state = network(inputs, None, None, targets)
    after, other_state = network(more_inputs, None, None, more_targets)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.allclose(before[:, 1], after[:, 1], rtol=0, atol=1e-4)
    for mine, theirs in zip(state, other_state, strict=True):
        assert torch.equal(mine[:, [0, 2]], theirs[:, [0, 2]])


@torch.no_grad()
def test_fine_durations_that_a_class_lacks_never_come(network):
    inputs, targets = sequences(60, 2)
    logits = network(inputs, None, None, targets)[0]
    length = targets[..., 3]
    has = torch.where(length == NO_ID, 1, FEW[(length - V.first[DURATION]).clamp(min=0)])
    assert set(has.flatten().tolist()) == {1, 2, 4}
    never = logits == NEVER
    assert (never[..., V.first[FINE_DURATION] :] == (torch.arange(4) >= has[..., None])).all()
    assert not never[..., : V.first[FINE_DURATION]].any()


@torch.no_grad()
def test_controls_steer(network):
    config = dataclasses.replace(network.config, controls=3)
    steered = build(config, V).eval()
    inputs, targets = sequences(10, 2)
    asked = torch.zeros(10, 2, 3)
    nothing = steered(inputs, None, None, targets)[0]
    assert torch.equal(steered(inputs, None, {"controls": asked}, targets)[0], nothing)
    asked[6, 1] = 1
    apart = (steered(inputs, None, {"controls": asked}, targets)[0] - nothing).abs().amax(-1)
    assert apart[6:, 1].min() > 0
    assert apart[:6].max() == apart[:, 0].max() == 0


def test_gradients_flow_into_every_weight(network):
    inputs, targets = sequences(60, 2)
    logits, _ = network(inputs, None, None, targets)
    summed_nats(logits, targets, V).backward()
    for name, weight in network.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


@torch.no_grad()
def test_nats_are_those_of_each_id_among_its_own(network):
    inputs, targets = sequences(40, 3)
    targets[30:, 1] = IGNORED  # the piece has ended
    logits = network(inputs, None, None, targets)[0]
    expected, count = 0.0, 0
    for field in range(len(FIELDS)):
        mine = ids_of(field)
        chances = logits[..., mine].double().softmax(-1)
        first = int(mine.nonzero()[0])
        for place in (targets[..., field] != IGNORED).nonzero().tolist():
            nth = int(mine[first : int(targets[(*place, field)])].sum())
            expected -= float(chances[(*place, nth)].log())
            count += 1
    assert count == (targets != IGNORED).sum()
    assert float(summed_nats(logits, targets, V)) == pytest.approx(expected, rel=1e-5)


def test_what_is_to_be_predicted_must_be_given(network):
    inputs, _ = sequences(5, 2)
    with pytest.raises(ValueError, match="give targets"):
        network(inputs)


def test_an_event_wise_vocabulary_is_refused():
    with pytest.raises(TrainingError, match="needs a note-wise vocabulary, which 'pedal' is not"):
        build(NETWORKS["notewise"], vocabulary("pedal"))


def test_heads_are_among_the_hidden_matrices(network):
    mine = {id(weight) for weight in hidden_matrices(network)}
    names = {name for name, weight in network.named_parameters() if id(weight) in mine}
    assert {f"heads.{n}.weight" for n in range(len(FIELDS))} <= names
    assert not names & {"known.weight", "embedding.weight", "output.weight"}
    assert len(mine) == len(FIELDS) + 4 * len(network.config.pattern)


@pytest.mark.parametrize("change", [{"sustain": "fold"}, {"longest_note_steps": 16}])
def test_kinds_that_a_code_lacks_do_no_harm(change):
    v = dataclasses.replace(V, **change)
    p = Performance.from_arrays(
        onset_s=[0.0, 0.1], offset_s=[0.1, 0.15], pitch=[60, 61], velocity=[1, 127]
    )
    targets = torch.from_numpy(steps(v.encode(p), v)).long()[:, None]
    network = build(CONFIGS[0], v)
    logits, _ = network(torch.full_like(targets, NO_ID), None, None, targets)
    assert isinstance(network, Notewise)
    assert logits.shape == (len(targets), 1, v.size)
    nats = summed_nats(logits, targets, v)
    nats.backward()
    assert nats.isfinite()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def test_sizes_are_plain_values_and_back():
    config = NETWORKS["notewise"]
    assert config_from_dict(dataclasses.asdict(config)) == config
