"""Baselines count what they say and behave as engines do."""

from __future__ import annotations

import numpy as np
import pytest

from espressivo import Model
from espressivo.codes import Vocabulary, vocabulary
from espressivo.data.corpus import prepare
from espressivo.errors import DataError, GenerationError, ModelError
from espressivo.evaluation.baselines import BASELINES, NGram, opened
from played import played

SMALL = Vocabulary("small", lowest_pitch=60, highest_pitch=63, max_shift_steps=4)
ROOM = SMALL.size


def sequences(pieces=30, events=40, seed=0):
    """Pieces in which what follows depends on the event before."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(pieces):
        ids = [int(rng.integers(6))]
        while len(ids) < events:
            ids.append(int((2 * ids[-1] + rng.integers(3)) % 6))
        made.append(np.array(ids, np.int32))
    return made


def distributions(engine, ids):
    """What an engine expects before each event of a piece, shape (events, size)."""
    inputs = np.concatenate(([ROOM], ids[:-1])).astype(np.int64)
    logits, _ = engine.run(inputs[:, None], engine.initial_state())
    return np.exp(logits[:, 0].astype(np.float64))


def by_hand(pieces, context, length, strength):
    """The formula of the module, written out event by event."""
    if length == 0:
        return np.full(ROOM, 1 / ROOM)
    shorter = by_hand(pieces, context[1:], length - 1, strength)
    count = np.zeros(ROOM)
    for ids in pieces:
        padded = [ROOM] * (length - 1) + ids.tolist()
        for at, id_ in enumerate(ids.tolist()):
            if padded[at : at + length - 1] == list(context):
                count[id_] += 1
    total, kinds = count.sum(), (count > 0).sum()
    if not total:
        return shorter
    k = strength[length - 1]
    return (count + k * kinds * shorter) / (total + k * kinds)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_probabilities_are_those_of_the_formula(order):
    pieces = sequences()
    engine = NGram(pieces, SMALL, order=order, card={})
    asked = np.array([*sequences(1, 12, seed=5)[0], 20, 3], np.int32)  # 20 was never seen
    p = distributions(engine, asked)
    padded = [ROOM] * 3 + asked.tolist()
    for at in range(len(asked)):
        context = padded[at + 3 - max(order - 1, 0) : at + 3]
        np.testing.assert_allclose(
            p[at], by_hand(pieces, context, order, engine.network["strengths"]), rtol=1e-5
        )


def test_every_event_has_a_probability_and_they_add_up_to_one():
    engine = NGram(sequences(), SMALL, order=4, card={})
    p = distributions(engine, np.random.default_rng(1).integers(ROOM, size=500))
    assert p.min() > 0
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_a_longer_context_helps_where_it_says_more():
    heldout = sequences(5, 200, seed=9)
    nats = []
    for order in (0, 1, 2):
        engine = NGram(sequences(), SMALL, order=order, card={})
        nats.append(
            -np.mean([np.log(distributions(engine, i)[np.arange(200), i]) for i in heldout])
        )
    assert nats[0] == pytest.approx(np.log(ROOM), rel=1e-5)
    assert nats[0] > nats[1] + 0.5 > nats[2] + 0.8
    assert nats[2] == pytest.approx(np.log(3), abs=0.1)  # one of three events can follow


def test_strengths_are_those_best_on_what_is_left_out():
    rng = np.random.default_rng(0)
    noise = [rng.integers(6, size=12).astype(np.int32) for _ in range(200)]
    assert (
        NGram(noise, SMALL, order=3, card={}).network["strengths"][2] >= 8
    )  # contexts mean nothing
    assert NGram(sequences(200), SMALL, order=2, card={}).network["strengths"][1] <= 1


@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_whole_sequences_equal_steps_and_rows_do_not_touch(order):
    engine = NGram(sequences(), SMALL, order=order, card={})
    ids = np.random.default_rng(2).integers(7, size=(30, 3))
    ids[0] = ROOM
    whole, _ = engine.run(ids, engine.initial_state(3))
    half, state = engine.run(ids[:11], engine.initial_state(3))
    np.testing.assert_array_equal(half, whole[:11])
    np.testing.assert_array_equal(engine.run(ids[11:], state)[0], whole[11:])
    for row in range(3):
        state = engine.initial_state()
        for t in range(30):
            logits, state = engine.step(int(ids[t, row]), state)
            np.testing.assert_array_equal(logits, whole[t, row])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "midi").mkdir()
    for piece in range(8):
        played(piece).write(folder / "midi" / f"{piece}.mid")
    prepare(
        [folder / "midi"], folder / "data", vocabulary=vocabulary("maestro"), fractions=(1, 0, 0)
    )
    return folder / "data"


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_is_a_model_that_also_plays(dataset, name):
    model = opened(f"{name}:{dataset}")
    assert (model.card["name"], model.vocabulary.name) == (name, "maestro")
    first = model.generate(seconds=3, seed=1)
    assert first == model.generate(seconds=3, seed=1)
    assert first == model.generate_batch(2, seconds=3, seed=1)[0]
    with pytest.raises(GenerationError, match="does not support density"):
        model.generate(density=3)
    state = model.state()
    state.feed([60, 61])
    assert state.probabilities().sum() == pytest.approx(1)


def test_other_names_are_models(dataset, tmp_path):
    assert isinstance(opened("seed"), Model)
    with pytest.raises(ModelError, match="write 4gram:DATASET"):
        opened("4gram")
    with pytest.raises(ModelError, match="5gram"):
        opened(f"5gram:{dataset}")
    with pytest.raises(DataError, match="not a prepared dataset"):
        opened(f"4gram:{tmp_path}")
