"""Pointers: where the music has been before, and what a model makes of it."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import torch

from espressivo import Performance
from espressivo.codes import (
    FIELDS,
    NO_ID,
    NOTE_ON,
    POINTER_FIELDS,
    TIME_SHIFT,
    VIEWS,
    Pointers,
    following,
    pointed,
    pointers,
    steps,
    vocabulary,
)
from espressivo.engine import Engine, State, generator
from espressivo.errors import GenerationError
from espressivo.export import export
from espressivo.networks import StackConfig, build
from espressivo.play import Settings, load
from espressivo.play.mask import Mask
from espressivo.play.player import Player
from known import CARD

V = vocabulary("notes")
THEME = [60, 64, 62, 67, 65, 69, 60, 72]


def piece(pitches, apart_s=0.25, length_s=0.2, velocity=64, begin_s=0.0):
    """Ids of notes one after another; a pitch may be a tuple, a chord."""
    chords = [chord if isinstance(chord, tuple) else (chord,) for chord in pitches]
    onset_s = [begin_s + apart_s * n for n, chord in enumerate(chords) for _ in chord]
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=np.array(onset_s) + length_s,
        pitch=[pitch for chord in chords for pitch in chord],
        velocity=velocity,
    )


def wandering(seed, notes=300, pitches=(55, 58), chords=False):
    """Notes in a narrow range, so that their turns come back often; without an end."""
    rng = np.random.default_rng(seed)
    onset_s = np.cumsum(rng.choice([0.0, 0.02, 0.1, 0.3] if chords else [0.05, 0.1], notes))
    return V.encode(
        Performance.from_arrays(
            onset_s=onset_s,
            offset_s=onset_s + rng.uniform(0.02, 0.6, notes),
            pitch=rng.integers(*pitches, notes),
            velocity=rng.integers(1, 128, notes),
        )
    )[:-2]


def say(ids, view="all"):
    """What a view says of each note, as a dict of columns."""
    rows = pointed(ids, V)
    is_note = np.isin(steps(ids, V)[:, 1], np.flatnonzero(V.kinds == NOTE_ON))
    return dict(zip(POINTER_FIELDS, rows[is_note, VIEWS.index(view)].T.tolist(), strict=True))


def of_key(pitch):
    return pitch - V.lowest_pitch + 1


@pytest.mark.parametrize("moved", [0, 5, -12])
def test_what_came_after_a_theme_is_expected_again_in_any_key(moved):
    again = [pitch + moved for pitch in THEME]
    between = [40, 90, 42, 88, 45]
    said = say(V.encode(piece([*THEME, *between, *again])))
    first = len(THEME) + len(between)
    assert not any(said["pitch"][:first])  # nothing has come twice yet
    assert said["pitch"][first + 4 :] == [of_key(pitch) for pitch in again[4:]]
    assert said["same"][first + 4 :] == [2] * 4
    assert said["time"][first + 4 :] == [1 + 25] * 4
    assert said["on_time"][first + 4 :] == [said["on_time"][-1]] * 4
    # Each time one interval more is the same, and it was as long ago.
    assert said["length"][first + 4 :] == [1, 2, 3, 4]
    assert set(said["lag"][first + 4 :]) == {1 + 2}  # 2 to 4 s


def test_loudness_and_duration_of_what_followed_are_told():
    theme = piece(THEME, length_s=0.2, velocity=[20, 30, 40, 50, 60, 70, 80, 90])
    both = theme.notes.copy()
    both["onset_s"] += 5
    both["offset_s"] += 5.5
    both["velocity"] = 100
    said = say(V.encode(Performance(np.concatenate((theme.notes, both)))))
    events = steps(V.encode(theme), V)
    for column, field in (("velocity", 2), ("duration", 3)):
        kind = FIELDS[field][0]
        assert said[column][12:] == (events[4:8, field] - V.first[kind] + 1).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_the_longest_match_is_taken_and_of_these_the_latest(seed):
    ids = wandering(seed)
    pitches = V.values[ids[V.kinds[ids] == NOTE_ON]].tolist()
    said = say(ids)
    for now in range(1, len(pitches)):
        found = None
        for order in (12, 8, 6, 5, 4, 3):
            for at in range(now - 2, order - 1, -1):
                moved = pitches[now - 1] - pitches[at]
                if all(pitches[at - k] + moved == pitches[now - 1 - k] for k in range(order + 1)):
                    found = found or pitches[at + 1] + moved
                    break
            if found:
                break
        assert said["pitch"][now] == (of_key(found) if found else 0), now
    assert sum(map(bool, said["pitch"])) > 200


def test_top_and_bass_are_followed_through_chords():
    low = [40, 43, 41, 46, 42, 47, 40, 44]
    chords = [(low[k], 50, 60 + pitch % 7) for k, pitch in enumerate(THEME)]
    ids = V.encode(piece([*chords, (30, 90), (29, 95), (33, 91), *chords]))
    top, bass = say(ids, "top"), say(ids, "bass")
    first = len(chords) * 3 + 6
    for k in range(5, len(chords)):
        bottom, middle, high = (first + 3 * k + n for n in range(3))
        # The bass is expected first, and the top until it has been struck.
        assert bass["pitch"][bottom] == of_key(chords[k][0])
        assert bass["same"][bottom] == 2
        assert top["pitch"][bottom] == top["pitch"][middle] == top["pitch"][high]
        assert top["pitch"][high] == of_key(chords[k][2])
        assert (top["same"][bottom], top["same"][high]) == (1, 2)
        assert (top["time"][bottom], top["time"][high]) == (1 + 25, 1)


def test_rounds_of_a_loop_are_counted():
    said = say(V.encode(piece([60, 67, 64, 71] * 12)))
    periods = said["periods"][8:]
    assert periods == sorted(periods)
    assert (periods[0], periods[-1]) == (2, 9)
    other = say(V.encode(piece([*THEME, *THEME, *THEME])))["periods"]
    assert max(other) == 4  # a round and a half, and not yet two


def test_what_comes_later_changes_nothing_said_before():
    ids = wandering(5, 120, chords=True)
    begins = np.flatnonzero(V.kinds[ids] == TIME_SHIFT)
    whole = pointed(ids, V)
    for event in (3, 50, 100):
        assert np.array_equal(pointed(ids[: begins[event]], V), whole[:event])
    changed = ids.copy()
    at = begins[50] + 1
    changed[at] = V.first[NOTE_ON] + 30
    other = pointed(changed, V)
    assert np.array_equal(other[:50], whole[:50])
    assert np.array_equal(other[50, :, :8], whole[50, :, :8])  # all but whether it is the same


def test_they_say_the_same_event_by_event_and_id_by_id():
    ids = wandering(7, 150, chords=True)
    live, rows = Pointers(V), []
    completing = following(V)[0] == 0
    for id_ in ids.tolist():
        live.read(id_)
        if completing[id_]:
            rows.append(live.said)
            live.complete()
    again = Pointers(V)
    for id_ in ids.tolist():
        again.feed(id_)
    assert np.array_equal(np.array(rows), pointed(ids, V).reshape(len(rows), -1))
    assert again.said == live.said


def fed(ids):
    fresh = Pointers(V)
    for id_ in ids:
        fresh.feed(id_)
    return fresh


def test_copies_go_their_own_ways():
    rng = random.Random(3)  # noqa: S311 - for a test
    ids = wandering(1, 200, chords=True).tolist()
    ways = [(fed(ids[:400]), ids[:400])]
    for number in range(12):
        one, before = rng.choice(ways)
        end = rng.randrange(200)
        more = wandering(number + 9, 100, chords=True).tolist()[: end + 1]
        other = one.copy()
        if rng.random() < 0.3:  # the copied one goes on, and not its copy
            one, other = other, one
        for id_ in more:
            other.feed(id_)
        if one in (w for w, _ in ways):
            ways.append((other, before + more))
        else:
            ways = [(w, b) if w is not other else (w, before + more) for w, b in ways]
            ways.append((one, before))
        for way, all_ids in ways:
            assert way.said == fed(all_ids).said


@pytest.mark.parametrize("end", [0, 1, 2, 3, 300, 301, 302, 303, 304])
def test_what_is_remembered_can_be_kept_and_brought_back(end):
    ids = wandering(2, 150, chords=True).tolist()
    kept = fed(ids[:end])
    back = Pointers(V)
    back.memory = kept.memory
    for id_ in [None, *ids[end:]]:
        if id_ is not None:
            kept.feed(id_)
            back.feed(id_)
        assert back.said == kept.said


def test_what_is_too_long_ago_is_forgotten(monkeypatch):
    between = [30 + 7 * n % 50 for n in range(40)]
    ids = V.encode(piece([*THEME, *between, *THEME]))
    assert say(ids)["same"][-1] == 2
    monkeypatch.setattr(pointers, "_REACH", 32)
    monkeypatch.setattr(pointers, "_SIZE", 64)
    assert say(ids)["pitch"][-1] == 0
    long = wandering(3, 1000)
    view = fed(long.tolist())._lines[0].view
    assert len(view._pitch) == 64
    assert view.length == 999


# What networks and models make of it.

CONFIG = StackConfig("da", width=16, heads=2, window=12, notewise=True)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(2)
    network = build(dataclasses.replace(CONFIG, pointers=True), V).eval()
    with torch.no_grad():
        network.output.weight *= 20
        for weight in network.pointers.parameters():
            weight.normal_(0, 0.5)
    return network


def read(network, ids, said=None):
    """Logits of all events of a piece; those of ids that are given elsewhere are left out."""
    targets = torch.from_numpy(steps(ids, V)).long()[:, None]
    inputs = torch.cat((torch.full_like(targets[:1], NO_ID), targets[:-1]))
    inputs[0, 0, 0] = V.size
    sides = None if said is None else {"pointers": torch.from_numpy(said)[:, None]}
    with torch.no_grad():
        return network(inputs, None, sides, targets)[0][:, 0]


def of_field(field):
    return torch.from_numpy(np.isin(V.kinds, FIELDS[field]))


def test_a_network_to_which_they_are_added_predicts_what_it_did():
    torch.manual_seed(2)
    plain = build(CONFIG, V).eval()
    more = build(dataclasses.replace(CONFIG, pointers=True), V).eval()
    missing = more.load_state_dict(plain.state_dict(), strict=False)
    assert all(name.startswith("pointers.") for name in missing.missing_keys)
    ids = wandering(4, 100, chords=True)
    said = pointed(ids, V)
    assert (said > 0).mean() > 0.3
    assert torch.equal(read(more, ids, said), read(plain, ids))
    with pytest.raises(ValueError, match="pointers need a note-wise network"):
        StackConfig(pointers=True)


def test_nothing_said_is_nothing_read(network):
    ids = wandering(4, 30)
    nothing = np.zeros((len(steps(ids, V)), len(VIEWS), len(POINTER_FIELDS)), np.int16)
    assert torch.equal(read(network, ids, nothing), read(network, ids))


@pytest.mark.parametrize(("column", "first"), [("on_time", 1), ("same", 2), ("pitch", 0)])
def test_each_field_reads_what_is_known_before_it(network, column, first):
    ids = wandering(4, 60)
    said = pointed(ids, V)
    other = said.copy()
    at, rows = POINTER_FIELDS.index(column), said[..., 1] > 0
    other[rows, at] = 3 - said[rows, at].clip(1, 2)
    apart = (read(network, ids, other) - read(network, ids, said)).abs()
    for field in range(4):
        assert (apart[:, of_field(field)].max() > 1e-3) == (field >= first)


def test_what_is_pointed_at_is_lifted(network):
    part = network.pointers
    hidden, said = torch.ones(2, 16), torch.zeros(2, len(VIEWS), len(POINTER_FIELDS))
    said[0, 1, 1] = 1 + 40
    with torch.no_grad():
        part.kernels.zero_()[:, 12] = 1
        lifted = part.lifted(1, hidden, said.short())
    assert lifted[1].abs().max() == 0
    assert lifted[0].nonzero()[:, 0].tolist() == [40]


@pytest.fixture(scope="module")
def model(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "pointers.onnx"
    export(network, V, path, card=CARD, weights="fp32")
    return load(path)


def test_network_graph_and_engine_agree(network, model):
    ids = wandering(6, 120, chords=True)
    expected = read(network, ids, pointed(ids, V)).numpy()
    number = following(V)[0][np.append(V.size, ids[:-1])]
    event = np.cumsum(V.kinds[ids] == TIME_SHIFT) - 1
    state, fed_before = State(model.engine), np.append(V.size, ids[:-1])[:, None]
    at_once, _ = model.engine.run(
        fed_before, model.engine.initial_state(), None, model.engine.pointed(ids)[:-1, None]
    )
    for place, id_ in enumerate(ids.tolist()):
        mine = np.isin(V.kinds, FIELDS[number[place]])
        here = expected[event[place], mine]
        np.testing.assert_allclose(state.logits()[mine], here, rtol=0, atol=1e-4)
        np.testing.assert_allclose(at_once[place, 0, mine], here, rtol=0, atol=1e-4)
        state.feed(id_)
    log_p = torch.from_numpy(at_once[:, 0]).log_softmax(-1).numpy()
    np.testing.assert_allclose(model.score(ids), log_p[np.arange(len(ids)), ids], atol=1e-5)


def test_the_dial_decides_how_strongly_they_lift(network, model):
    ids = wandering(6, 100)
    states = {returns: State(model.engine, returns=returns) for returns in (0, 0.5, 1)}
    for state in states.values():
        state.feed(ids)
    none, half, whole = (states[returns].logits() for returns in (0, 0.5, 1))
    assert np.abs(whole - none).max() > 0.1
    np.testing.assert_allclose(half - none, (whole - none) / 2, rtol=0, atol=1e-4)


def test_a_row_of_a_batch_is_the_piece_alone(model):
    primer = V.decode(wandering(8, 60))
    for settings in ({}, {"primer": primer}, {"primer": primer, "returns": 3.0}):
        together = model.generate_batch(4, seed=5, seconds=4, **settings)
        alone = [model.generate(seed=5 + n, seconds=4, **settings) for n in range(4)]
        assert together == alone
        assert len({p.notes.tobytes() for p in alone}) == 4


def test_what_has_been_decided_can_be_dropped_and_leaves_no_trace(model):
    primer = wandering(8, 80)
    player = Player(model.engine, Settings(), generator(1), primer)
    other = Player(model.engine, Settings(), generator(2), primer)
    for number in range(12):
        if number % 3:
            player.decide(ending=False)
            player.drop()
        event = other.decide(ending=False)
        other.play(event)
        player.play(event)
        assert np.array_equal(player.logits(), other.logits())


@pytest.mark.parametrize("returns", [0.0, 1.0])
def test_a_search_knows_of_each_list_what_its_state_would_say(model, returns):
    primer = wandering(8, 60)
    found = model.beam_search(
        primer=primer, events=5, width=4, stochastic=True, seed=1, returns=returns
    )
    for one in found:
        settings, total = Settings(returns=returns), 0.0
        mask, state = Mask(V, settings), State(model.engine, returns=returns)
        state.feed(primer)
        for id_ in primer.tolist():
            mask.feed(id_)
        mask.decoder.begin_here()
        for id_ in one.ids.tolist():
            allowed = mask.allowed(mask.decoder)
            p = settings.sampling(V).distribution(state.logits(), allowed)
            total += np.log(
                sum(p[k] for k in np.flatnonzero(p) if mask.cut(mask.decoder, k) == id_)
            )
            mask.feed(id_)
            state.feed(id_)
        assert one.log_probability == pytest.approx(total, abs=1e-3)


def test_memory_of_a_state_holds_them(model):
    ids = wandering(8, 60)
    state, other = State(model.engine), State(model.engine)
    state.feed(ids[:200])
    other.memory = state.memory
    for id_ in ids[200:].tolist():
        state.feed(id_)
        other.feed(id_)
    assert np.array_equal(state.logits(), other.logits())


def test_a_model_without_them_refuses_the_dial(tmp_path):
    export(build(CONFIG, V), V, tmp_path / "a.onnx", card=CARD)
    plain = load(tmp_path / "a.onnx")
    with pytest.raises(GenerationError, match="'tiny' does not support returns: leave it out"):
        plain.generate(seconds=1, returns=2.0)
    assert Engine(tmp_path / "a.onnx").pointers == 0
