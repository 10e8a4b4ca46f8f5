"""The space of passages: cut, read, lifted, and gone through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Run
from espressivo import Performance, load, midi
from espressivo.codes import COARSE, NO_ID, TIME_SHIFT, steps, vocabulary
from espressivo.errors import GenerationError, ModelError
from espressivo.export import export_latent
from espressivo.latent import (
    CHORD_STEPS,
    DIRECTIONS,
    Latent,
    bundled_latent,
    measured_passages,
    passages_of,
    requests,
    spherical,
    summarised,
)
from espressivo.networks import LatentConfig, LatentNetwork
from espressivo.play import Space
from espressivo.play.player import Choice, Player
from espressivo.training.latent import train_latent
from espressivo.training.space import TakePlaces, directions, means_of, nearness
from known import CARD
from played import played

V = vocabulary("notes")
SILENCE = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
TINY = LatentConfig(size=8, length=16, width=12, hidden=6, inner=20, anchors=4, anchor=6)


def described_by(size: int) -> dict[str, object]:
    return {
        "directions": np.eye(size)[: len(DIRECTIONS)],
        "near": np.eye(size)[:6],
        "middle": np.zeros(size),
        "mixture": {
            "weights": np.array([0.25, 0.75]),
            "means": np.stack([np.full(size, -5.0), np.full(size, 5.0)]),
            "spreads": np.full((2, size), 0.1),
        },
    }


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[LatentNetwork, Latent, Path]:
    torch.manual_seed(0)
    network = LatentNetwork(TINY, V).eval()
    torch.nn.init.normal_(network.leave.weight)
    path = tmp_path_factory.mktemp("latent") / "tiny.onnx"
    export_latent(network, V, path, described_by=described_by(8), card=CARD)
    return network, Latent(path.read_bytes(), str(path)), path


@pytest.fixture(scope="module")
def space() -> Space:
    return load().space()


@pytest.mark.parametrize("hop", [None, 10])
def test_passages_cover_a_piece_and_begin_with_an_onset_group(hop: int | None) -> None:
    piece = played(3)
    passages = passages_of(piece, 24, V, hop)
    length = passages.end - passages.begin
    assert passages.begin[0] == 0 and passages.end[-1] == len(passages.events)
    assert length.min() >= 1 and length.max() <= 24
    assert (passages.begin[1:] <= passages.end[:-1]).all(), "none is left out"
    if hop is None:
        assert (passages.begin[1:] == passages.end[:-1]).all()
    shift = V.values[passages.events[passages.begin[1:], 0]]
    assert (shift >= CHORD_STEPS).mean() > 0.95
    if hop is None:
        ids = np.concatenate([passages.ids(n) for n in range(len(passages))])
        assert ids.tolist() == V.encode(piece)[: len(ids)].tolist()
    assert (np.diff(passages.begin_s) >= 0).all() and (passages.end_s > passages.begin_s).all()


def test_a_piece_of_three_notes_is_one_passage_and_silence_is_none() -> None:
    three = Performance.from_arrays(
        onset_s=[0, 1, 2], offset_s=[1, 2, 3], pitch=[60, 64, 67], velocity=[60, 60, 60]
    )
    passages = passages_of(three, 48, V)
    assert len(passages) == 1 and passages.padded(48, COARSE)[0, 5:].max() == NO_ID
    with pytest.raises(GenerationError, match="without notes"):
        passages_of(SILENCE, 48, V)


def test_the_way_between_two_points_is_a_circle_and_ends_at_both() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 64)).astype(np.float32)
    b *= 2 * np.linalg.norm(a) / np.linalg.norm(b)
    way = spherical(a, b, np.linspace(0, 1, 5))
    assert np.allclose(way[0], a, atol=1e-5) and np.allclose(way[-1], b, atol=1e-5)
    sizes = np.linalg.norm(way, axis=1) / np.linalg.norm(a)
    assert np.allclose(sizes, np.linspace(1, 2, 5), atol=1e-4)
    assert np.allclose(spherical(a, a, np.array([0.5])), a, atol=1e-5)


def test_graph_and_network_agree(tiny: tuple[LatentNetwork, Latent, Path]) -> None:
    network, latent, _ = tiny
    passages = passages_of(played(5), TINY.length, V)
    events = torch.from_numpy(passages.padded(TINY.length, COARSE))
    with torch.no_grad():
        mean, spread = network.encode(events)
        lift, summary = network.lift(mean), network.summary(mean)
    found = latent.encode(passages)
    assert np.allclose(found[0], mean, atol=5e-3) and np.allclose(found[1], spread, atol=5e-3)
    summed = latent.summary(mean.numpy())
    assert np.allclose(summed[:, :4], summary[:, :4], atol=1e-2)
    assert np.allclose(summed[:, 4:], summary[:, 4:].softmax(-1), atol=1e-3)
    whole = latent.lift(mean.numpy())
    assert whole.shape == (len(passages), TINY.length, V.size)
    assert lift.shape[-1] < V.size and np.isfinite(whole).all()
    first = V.first[TIME_SHIFT]
    times = V.counts[TIME_SHIFT]
    assert np.allclose(whole[..., first : first + times], lift[..., :times], atol=2e-2)
    assert not whole[..., -V.counts[-1] :].any(), "fine durations are left as they are"


def test_what_comes_after_a_passage_does_not_change_its_point(
    tiny: tuple[LatentNetwork, Latent, Path],
) -> None:
    _, latent, _ = tiny
    events = passages_of(played(5), TINY.length, V).padded(TINY.length, COARSE)
    one, _ = latent.encode_events(events[:1])
    several, _ = latent.encode_events(events[:4])
    assert np.allclose(one[0], several[0], atol=1e-5)
    changed = events[:1].copy()
    changed[0, 0, 1] += 1
    assert not np.allclose(latent.encode_events(changed)[0], one, atol=1e-4)


def test_a_changed_byte_and_another_kind_of_file_are_refused(
    tiny: tuple[LatentNetwork, Latent, Path],
) -> None:
    content = bytearray(tiny[2].read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(ModelError, match="has changed"):
        Latent(bytes(content), "broken")
    with pytest.raises(ModelError, match="holds no space"):
        Latent(load().engine.content, "a model")


def test_points_are_drawn_where_the_mixture_is(tiny: tuple[LatentNetwork, Latent, Path]) -> None:
    drawn = tiny[1].sample(400, 1)
    side = np.sign(drawn[:, 0])
    assert np.allclose(np.abs(drawn), 5, atol=0.6) and (drawn * side[:, None] > 0).all()
    assert 0.65 < (side > 0).mean() < 0.85
    assert np.array_equal(tiny[1].sample(400, 1), drawn)


def test_a_direction_moves_its_own_measure_and_no_other() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, 6))
    means = (rng.standard_normal((4000, 6)) @ mixing).astype(np.float32)
    slopes = rng.standard_normal((6, 3))
    measures = means @ slopes + 0.01 * rng.standard_normal((4000, 3))
    moved = directions(means, measures) @ slopes / measures.std(0)
    assert np.allclose(moved, np.eye(3), atol=0.05)


def test_takes_of_a_piece_are_near_after_nearness_is_fitted(
    tiny: tuple[LatentNetwork, Latent, Path],
) -> None:
    network = tiny[0]
    takes = []
    for piece in range(3):
        for player in range(2):
            events = steps(V.encode(played(piece, player)), V)[:-1]
            takes.append(TakePlaces(str(piece), events, np.cumsum(events[:, 1] < 88) / 2))
    every = np.concatenate([means_of(network, take.events, V)[0] for take in takes])
    near = nearness(every, network, takes, V)
    first, second = (means_of(network, takes[n].events, V)[0] for n in (0, 1))
    count = min(len(first), len(second))

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.square((one - other) @ near.T).sum(1).mean())

    assert apart(first[:count], second[:count]) < apart(first[:count], second[:count][::-1])


def test_measures_are_those_of_the_notes() -> None:
    def one(**changes: object) -> np.ndarray:
        notes = {
            "onset_s": np.arange(20) * 0.2, "lasts_s": 0.1, "pitch": 60, "velocity": np.full(20, 58)
        } | changes  # fmt: skip
        onset_s = notes["onset_s"]
        piece = Performance.from_arrays(
            onset_s=onset_s,
            offset_s=onset_s + notes["lasts_s"],
            pitch=np.full(20, notes["pitch"]),
            velocity=notes["velocity"],
        )
        rows = steps(V.encode(piece), V)[None, :-1].astype(np.int64)
        return measured_passages(rows, V)[0]

    usual = one()
    assert usual[0] == pytest.approx(np.log(5), abs=0.01)
    changed = (
        one(onset_s=np.arange(20) * 0.1, lasts_s=0.05),
        one(velocity=np.full(20, 90)),
        one(pitch=72),
        one(velocity=np.array([50, 66] * 10)),
        one(lasts_s=0.19),
    )
    for number, measures in enumerate(changed):
        other = np.arange(5) != number
        assert abs(measures[number] - usual[number]) > 0.3, DIRECTIONS[number]
        assert np.allclose(measures[other], usual[other], atol=0.2), DIRECTIONS[number]


def test_a_passage_is_summed_up_by_its_notes() -> None:
    onset_s = np.repeat(np.arange(10) * 0.5, 2)  # two at a time
    piece = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.3,
        pitch=np.tile([60, 64], 10),
        velocity=np.full(20, 70),
    )
    rows = steps(V.encode(piece), V)[None, :-1].astype(np.int64)
    padded = np.concatenate((rows, np.full((1, 7, rows.shape[2]), NO_ID)), 1)
    summary, count = summarised(padded, V)
    assert count == [20] and np.array_equal(summary, summarised(rows, V)[0])
    asked = requests(summary[0])
    assert asked["density"] == pytest.approx(19 / 4.5, rel=1e-3)
    assert asked["onset_rate"] == pytest.approx(2, rel=1e-3)
    assert asked["loudness"] == pytest.approx(70, abs=1)
    assert np.allclose([asked["pitch_weights"][name] for name in (0, 4)], 0.5, atol=0.01)
    assert min(asked["pitch_weights"]) > 0, "nothing is forbidden"


def test_training_lowers_the_nats_of_passages(tmp_path: Path) -> None:
    pieces = [steps(V.encode(played(n)), V) for n in range(3)]
    lines: list[str] = []
    out = tmp_path / "latent.pt"

    def train(seconds: float) -> float:
        train_latent(
            pieces, pieces, out, vocabulary=V, config=TINY, seconds=seconds, rows=16,
            rate=1e-2, tell=lines.append,
        )  # fmt: skip
        return float(lines[-1].split("end ")[1].split()[COARSE])

    early, late = train(0.1), train(2)
    assert late < 0.9 * early


def test_a_morph_begins_with_the_one_and_ends_with_the_other(space: Space) -> None:
    a, b = space.encode(played(1)), space.encode(played(2))
    whole = space.morph((a, 1), (b, 3), 1, seed=1, candidates=1)
    found = whole.notes[["pitch", "velocity"]].tolist()
    for encoded, number, part in ((a, 1, slice(None)), (b, 3, slice(None))):
        ids = encoded.passages.ids(number)
        notes = V.decode(ids).notes[["pitch", "velocity"]].tolist()[part]
        assert notes == (found[: len(notes)] if encoded is a else found[-len(notes) :])
    again = space.morph((a, 1), (b, 3), 1, seed=1, candidates=1)
    assert np.array_equal(whole.notes, again.notes)


def test_what_is_decoded_follows_its_point(space: Space) -> None:
    piece = played(1)
    soft = Performance.from_arrays(
        onset_s=piece.notes["onset_s"],
        offset_s=piece.notes["offset_s"],
        pitch=piece.notes["pitch"].astype(int) - 12,
        velocity=np.full(len(piece.notes), 30),
    )
    loud = Performance.from_arrays(
        onset_s=piece.notes["onset_s"],
        offset_s=piece.notes["offset_s"],
        pitch=np.minimum(piece.notes["pitch"].astype(int) + 12, 108),
        velocity=np.full(len(piece.notes), 100),
    )
    low, high = (
        space.decode(space.encode(one).means[2:4], seed=3, candidates=2).notes
        for one in (soft, loud)
    )
    assert high["velocity"].mean() > low["velocity"].mean() + 20
    assert high["pitch"].mean() > low["pitch"].mean() + 6


def test_a_single_point_is_played_for_as_long_as_asked(space: Space) -> None:
    point = space.sample(1, 5)[0]
    played_on = space.decode(point, seconds=6, candidates=1)
    assert 4 < played_on.notes["onset_s"].max() <= 6
    assert len(space.decode(point, seconds=0, candidates=1).notes) == 0


def test_a_passage_keeps_to_what_it_is_to_be_like(space: Space) -> None:
    point = space.encode(played(1)).means[2]
    wanted = space.latent.summary(point[None])[0]
    wanted[2:4] = -0.8, 0.9
    wanted[4:] = 0
    wanted[[4 + 1, 4 + 6, 4 + 10]] = 0.2, 0.5, 0.3
    made = space.decode(point, summaries=wanted, seed=2, candidates=1)
    events = passages_of(made, space.latent.length, V).padded(space.latent.length, COARSE)
    found = summarised(events, V)[0][0]
    assert np.minimum(found[4:], wanted[4:]).sum() > 0.8
    assert np.abs(found - wanted)[2:4].max() < 0.3


def test_the_way_between_two_passages_ends_at_both(space: Space) -> None:
    a, b = space.encode(played(1)), space.encode(played(2))
    points, wanted = space.between((a, 1), (b, 3), np.linspace(0, 1, 5))
    for at, encoded, number in ((0, a, 1), (4, b, 3)):
        assert np.allclose(points[at], encoded.means[number], atol=1e-4)
        assert np.allclose(wanted[at], space.summaries(encoded)[number], atol=1e-5)
    assert np.allclose(wanted[2], (wanted[0] + wanted[4]) / 2, atol=1e-5)
    louder = space.summaries(a, space.latent.towards(louder=1)) - space.summaries(a)
    assert (louder[:, 2] > 0.3).all()


def test_a_passage_that_a_model_leaves_empty_is_no_error(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object, **__: object) -> Iterator[Choice]:
        yield from ()

    monkeypatch.setattr(Player, "choices", nothing)
    for points in (np.zeros(64, np.float32), np.zeros((2, 64), np.float32)):
        assert not len(space.decode(points, seconds=6, candidates=1).notes)


def test_models_without_a_space_and_bad_points_are_refused(space: Space) -> None:
    with pytest.raises(ModelError, match="'seed' has no space"):
        load("seed").space()
    with pytest.raises(GenerationError, match="64 numbers"):
        space.decode(np.zeros((2, 3), np.float32))
    with pytest.raises(GenerationError, match="16 numbers, one for each of 2"):
        space.decode(np.zeros((2, 64), np.float32), summaries=np.zeros(16, np.float32))
    with pytest.raises(GenerationError, match="no direction 'greener'"):
        bundled_latent().towards(greener=1)


def test_morph_on_the_command_line(run: Run, tmp_path: Path) -> None:
    for number in (1, 2):
        played(number, notes=120).write(tmp_path / f"{number}.mid")
    status, out, _ = run(
        "morph", "1.mid", "2.mid", "--steps", 1, "--candidates", 1, "--seed", 4, "-o", "m.mid"
    )
    assert status == 0 and "seed 4" in out
    assert len(midi.read(tmp_path / "m.mid").notes) > 60
    SILENCE.write(tmp_path / "silence.mid")
    for arguments, said in (
        (("silence.mid", "1.mid"), "has no notes"),
        (("1.mid", "2.mid", "--from-b", 999), "ends at"),
        (("1.mid", "--steps", 3), "--steps needs a second file"),
        (("1.mid", "2.mid", "--model", "seed"), "has no space"),
    ):
        status, _, err = run("morph", *arguments, "-o", "x.mid")
        assert status in (1, 2) and said in err and err.count("\n") == 1, err
        assert not (tmp_path / "x.mid").exists()
