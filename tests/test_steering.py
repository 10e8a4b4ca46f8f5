"""Music that is steered: controls, guidance, and settings that change on the way."""

import itertools
import math

import numpy as np
import pytest
import torch

from espressivo.codes import NOTE_ON, START, vocabulary
from espressivo.codes.controls import CONTROLS, SIZE, key
from espressivo.engine import State
from espressivo.errors import GenerationError
from espressivo.export.model_file import export
from espressivo.music import chord_starts
from espressivo.networks import (
    Recurrent,
    RecurrentConfig,
    Stack,
    StackConfig,
)
from espressivo.play.loading import load
from espressivo.play.player import Player, supported_controls
from espressivo.play.settings import FOLLOW_GUIDANCE, FOLLOW_S, Settings
from known import CARD

V = vocabulary("pedal")
DURATION = {"events": 150, "seed": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny random stack to which what is asked matters much."""
    torch.manual_seed(1)
    network = Stack(StackConfig("dd", width=16, heads=2, controls=SIZE), V.size)
    with torch.no_grad():
        network.controls.weight *= 30
        network.output.weight *= 30
    path = tmp_path_factory.mktemp("models") / "m.onnx"
    export(network, V, path, card=CARD)
    return load(path)


@pytest.fixture(scope="module")
def unsteered(tmp_path_factory):
    network = Recurrent(RecurrentConfig("gru", hidden=16), V.size)
    path = tmp_path_factory.mktemp("models") / "m.onnx"
    export(network, V, path, card=CARD)
    return load(path)


def ids(model, **settings):
    return list(model.generate_ids(**{**DURATION, **settings}))


@pytest.mark.parametrize(
    "asked",
    [
        {"density": 3},
        {"loudness": 90},
        {"pitch_weights": key("C major")},
        {"onset_rate": 1},
        {"composer": "Bach"},
    ],
)
def test_each_control_counts(model, asked):
    assert ids(model, **asked) != ids(model)
    assert ids(model, **asked) == ids(model, **asked)


def test_no_note_begins_in_a_pitch_class_of_weight_0(model):
    whole_tones = tuple(float(number % 2 == 0) for number in range(12))
    for changes in ({}, {0.5: {"pitch_weights": whole_tones}}):
        asked = {} if changes else {"pitch_weights": whole_tones}
        played = np.array(ids(model, events=300, changes=changes, **asked))
        late = np.where(V.kinds[played] == 2, V.values[played], 0).cumsum() > 50
        struck = played[(V.kinds[played] == 0) & (late | bool(asked))]
        assert len(struck) > 10
        assert not (V.values[struck] % 2).any()
    with pytest.raises(GenerationError, match="has a weight above 0"):
        ids(model, pitch_weights=whole_tones, lowest_pitch=61, highest_pitch=61)


def test_a_control_that_was_not_learned_is_refused_and_the_others_are_not(tmp_path):
    network = Stack(StackConfig("d", width=16, heads=2, controls=SIZE), V.size)
    path = tmp_path / "m.onnx"
    export(network, V, path, card={**CARD, "not_learned": ["composer"]})
    half = load(path)
    assert "composer" not in supported_controls(half.engine)
    assert len(supported_controls(half.engine)) == len(CONTROLS) - 1
    half.generate(events=3, density=3)
    with pytest.raises(GenerationError, match="does not support composer: "):
        half.generate(events=3, density=3, composer="Bach")
    half.engine.card["not_learned"] = 5  # nonsense is as good as nothing
    assert supported_controls(half.engine) == CONTROLS


def test_guidance_leads_from_nothing_asked_over_what_was_learned_to_more(model):
    asked = {"density": 20, "loudness": 30}
    assert ids(model, **asked, guidance=1) == ids(model, **asked)
    with pytest.raises(GenerationError, match="guidance has nothing to guide"):
        ids(model, guidance=5)
    assert len({tuple(ids(model, **asked, guidance=g)) for g in (0.5, 1, 2)}) == 3


def test_guidance_of_nothing_is_nothing_asked(model):
    assert ids(model, density=20, guidance=0) == ids(model) != ids(model, density=20)


def test_changes_count_from_their_second_on(model):
    plain = ids(model, events=400)
    second = 2.0
    changed = ids(model, events=400, changes={second: {"density": 20, "loudness": 20}})
    at = next(n for n, (a, b) in enumerate(zip(plain, changed, strict=True)) if a != b)
    shifts = np.where(V.kinds[plain] == 2, V.values[plain], 0).cumsum()
    assert shifts[at - 1] >= second * V.steps_per_second
    both = {0.5: {"density": 20}, 1.0: {"density": None}, 1.5: {"temperature": 0.5}}
    assert ids(model, changes=both) != ids(model, changes={0.5: {"density": 20}})


def test_a_change_that_cannot_be_is_refused_before_anything_is_played(model):
    with pytest.raises(GenerationError, match="loudness"):
        model.generate_ids(**DURATION, changes={1.0: {"loudness": 1000}})
    for second in (-1.0, math.nan, math.inf):
        with pytest.raises(GenerationError, match="at 0 s or later"):
            model.generate_ids(**DURATION, changes={second: {"loudness": 50}})


@pytest.mark.parametrize("guidance", [None, 1.0, 2.0])
def test_pieces_made_side_by_side_are_steered_alike(model, guidance):
    settings = {"density": 20, "guidance": guidance, "changes": {1.0: {"loudness": 20}}}
    batch = model.generate_batch(3, seconds=3, seed=4, **settings)
    for number, one in enumerate(batch):
        alone = model.generate(seconds=3, seed=4 + number, **settings)
        np.testing.assert_array_equal(one.notes, alone.notes)


def test_a_stream_is_steered_while_it_plays(model):
    def first(count, **changes):
        stream = model.stream(seed=1, clock=itertools.count().__next__, sleep=int)
        head = [next(stream) for _ in range(5)]
        stream.steer(**changes)
        return head, [next(stream) for _ in range(count)]

    head, rest = first(60)
    for changes in ({"density": 20}, {"density": 20, "guidance": 2.0}):
        assert first(60, **changes)[0] == head
        assert first(60, **changes)[1] != rest


def test_settings_that_are_refused_change_nothing(model):
    nothing = np.empty(0, np.int32)
    player = Player(model.engine, Settings(), np.random.default_rng(1), nothing)
    player.decoder.feed(V.first[START])
    allowed = player.decoder.allowed()
    with pytest.raises(GenerationError, match="no pitch within"):
        player.settings = Settings(density=20, highest_pitch=1)
    assert player.decoder.allowed().tolist() == allowed.tolist()
    player.restart(nothing)
    assert player.settings == Settings()
    assert player.state.controls is None


def test_a_piece_ends_in_the_key_that_was_requested_last(model):
    for changes, tonic in (({}, 9), ({3.0: {"key": "Eb major"}}, 3)):
        batch = model.generate_batch(2, seconds=10, seed=3, key="A minor", changes=changes)
        for seed, one in enumerate(batch, 3):
            last = np.flatnonzero(chord_starts(one.notes["onset_s"]))[-1]
            assert one.notes["pitch"][last:].min() % 12 == tonic
            asked = {"key": "A minor", "changes": changes}
            assert one == model.generate(seconds=10, seed=seed, **asked)


def test_beams_are_steered(model):
    settings = {"events": 12, "width": 3}
    asked = model.beam_search(**settings, pitch_weights=key("C major"))
    assert any(V.kinds[found.ids].tolist().count(NOTE_ON) for found in asked)
    plain = model.beam_search(**settings)
    assert [f.ids.tolist() for f in asked] != [f.ids.tolist() for f in plain]
    with pytest.raises(GenerationError, match="guidance"):
        model.beam_search(**settings, density=3, guidance=2)


def test_a_model_that_has_learned_no_control_says_so(unsteered):
    for play in (
        lambda: unsteered.generate(density=3),
        lambda: unsteered.generate_batch(2, loudness=30),
        lambda: unsteered.beam_search(events=3, density=3),
    ):
        with pytest.raises(GenerationError, match=r"does not support .* it supports no controls"):
            play()
    stream = unsteered.stream(seed=1)
    before = stream.settings
    with pytest.raises(GenerationError, match="does not support density"):
        stream.steer(density=3)
    assert stream.settings == before


def test_a_player_weighs_both_expectations(model):
    settings = Settings(density=15.0, guidance=3.0)
    player = Player(model.engine, settings, np.random.default_rng(0), np.zeros(0, np.int32))
    asked = settings.controls.numbers()[: model.engine.controls]

    def fresh(ids):
        state = [State(model.engine, asked), State(model.engine)]
        for each in state:
            each.feed(ids)
        a, b = (each.logits() for each in state)
        return b + np.float32(3) * (a - b)

    read = []
    for _ in range(5):
        np.testing.assert_array_equal(player.logits(), fresh(read))
        event = player.decide()
        player.play(event)
        read += event
    player.restart(np.array(read[:3], np.int32))
    np.testing.assert_array_equal(player.logits(), fresh(read[:3]))
    player.settings = Settings(density=15.0)
    np.testing.assert_array_equal(player.logits(), player.state.logits())
    player.settings = settings  # what was read without guidance was read with the request
    assert (player.logits() == player.state.logits()).all()
    player.play(player.decide())
    assert (player.logits() != player.state.logits()).any()


def test_after_a_change_guidance_is_stronger_for_a_while_and_nothing_is_read_again(
    model, monkeypatch
):
    read = []
    step = model.engine.step
    monkeypatch.setattr(
        model.engine, "step", lambda id_, *rest: read.append(id_) or step(id_, *rest)
    )
    nothing = np.zeros(0, np.int32)
    player = Player(model.engine, Settings(density=3.0), np.random.default_rng(0), nothing)

    def played(until):
        """Play up to a step, and return what was read for each id."""
        read.clear()
        ids = []
        while player.decoder.now < until:
            event = player.decide()
            player.play(event)
            ids += event
        return len(read) / len(ids)

    played(100)
    read.clear()
    player.settings = Settings(density=3.0, temperature=0.8)  # requests the same
    assert not read and played(200) == 1
    now = player.decoder.now
    read.clear()
    player.settings = Settings(density=20.0)
    assert not read
    player.play(player.decide())
    asked, plain = player.state.logits(), player._free.logits()
    np.testing.assert_array_equal(
        player.logits(), plain + np.float32(FOLLOW_GUIDANCE) * (asked - plain)
    )
    assert played(now + 100 * FOLLOW_S) == 2
    assert played(player.decoder.now + 100) == 1
    np.testing.assert_array_equal(player.logits(), player.state.logits())
    for guidance, each in ((1.0, 1), (2.0, 2)):  # a number holds always
        player.settings = Settings(density=5.0 * guidance, guidance=guidance)
        assert played(player.decoder.now + 50) == each
    player.settings = Settings()
    assert played(player.decoder.now + 50) == 1


def test_a_batch_obeys_guidance_that_comes_on_the_way(model):
    changes = {0.5: {"density": 18, "guidance": 4.0}}
    asked = {"seconds": 2.0, "ending": "cut", "changes": changes}
    batch = model.generate_batch(2, seed=3, **asked)
    assert batch == [model.generate(seed=3 + n, **asked) for n in range(2)]


def test_changes_come_in_their_order(model):
    low, high = (
        {"lowest_pitch": 21, "highest_pitch": 50},
        {"lowest_pitch": 70, "highest_pitch": 108},
    )
    p = model.generate(seconds=12, seed=0, ending="cut", density=10, changes={3.0: low, 8.0: high})
    onset_s, pitch = p.notes["onset_s"], p.notes["pitch"]
    middle = pitch[(onset_s >= 3) & (onset_s < 8)]
    assert len(middle) and (middle <= 50).all()
    assert (pitch[onset_s >= 8] >= 70).all()
