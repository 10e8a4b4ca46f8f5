from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import espressivo
from espressivo import Vocabulary
from espressivo.codes import presets
from espressivo.errors import CodecError

ALL = [espressivo.vocabulary(name) for name in presets()]


@pytest.mark.parametrize(
    ("name", "size", "edges"),
    [
        (
            "seed",
            310,
            {
                0: "note on 21 (A0)",
                87: "note on 108 (C8)",
                88: "note off 21 (A0)",
                175: "note off 108 (C8)",
                176: "shift 10 ms",
                275: "shift 1000 ms",
                276: "velocity 1..7",
                309: "velocity 127..127",
            },
        ),
        (
            "magenta",
            388,
            {
                0: "note on 0 (C-1)",
                127: "note on 127 (G9)",
                128: "note off 0 (C-1)",
                255: "note off 127 (G9)",
                256: "shift 10 ms",
                355: "shift 1000 ms",
                356: "velocity 1..4",
                387: "velocity 125..127",
            },
        ),
        (
            "maestro",
            308,
            {
                87: "note on 108 (C8)",
                275: "shift 1000 ms",
                276: "velocity 1..4",
                307: "velocity 125..127",
            },
        ),
        (
            "pedal",
            312,
            {
                307: "velocity 125..127",
                308: "sustain up",
                309: "sustain down",
                310: "start",
                311: "end",
            },
        ),
        (
            "notes",
            424,
            {
                87: "note on 108 (C8)",
                88: "shift 0 ms",
                188: "shift 1000 ms",
                189: "velocity 1..4",
                220: "velocity 125..127",
                221: "sustain up",
                222: "sustain down",
                223: "end",
                224: "duration 10..10 ms",
                239: "duration 160..160 ms",
                240: "duration 170..180 ms",
                247: "duration 310..320 ms",
                248: "duration 330..360 ms",
                295: "duration 19210..20480 ms",
                296: "duration + 0 ms",
                423: "duration + 1270 ms",
            },
        ),
    ],
)
def test_presets_have_the_ids_of_their_definition(
    name: str, size: int, edges: dict[int, str]
) -> None:
    v = espressivo.vocabulary(name)
    assert len(v) == v.size == size
    assert {id_: v.describe(id_) for id_ in edges} == edges


@pytest.mark.parametrize("v", ALL, ids=lambda v: v.name)
def test_each_id_has_one_meaning(v: Vocabulary) -> None:
    assert len({v.describe(id_) for id_ in range(v.size)}) == v.size


def test_the_posts_velocity_bins_are_floor_34_v_over_127() -> None:
    v = espressivo.vocabulary("seed")
    for velocity in range(4, 128):
        assert v.velocity_bins[velocity] + 1 == 34 * velocity // 127
    # Below 4 the post's formula gives bin 0, whose index is a time-shift: the first bin here.
    assert v.velocity_bins[[1, 2, 3]].tolist() == [0, 0, 0]


def test_magentas_velocity_bins_are_v_minus_1_over_4() -> None:
    v = espressivo.vocabulary("magenta")
    assert v.velocity_bins[1:].tolist() == [(velocity - 1) // 4 for velocity in range(1, 128)]


@pytest.mark.parametrize("v", ALL, ids=lambda v: v.name)
def test_velocity_survives_any_number_of_round_trips(v: Vocabulary) -> None:
    values = np.array(v.velocity_values)
    assert v.velocity_bins[values].tolist() == list(range(len(values)))


def test_one_based_indices_are_the_posts() -> None:
    v = espressivo.vocabulary("seed")
    assert v.from_one_based([1, 310]).tolist() == [0, 309]
    assert v.to_one_based([0, 309]).tolist() == [1, 310]
    with pytest.raises(CodecError, match=r"index 0 at position 1 .* 1\.\.310"):
        v.from_one_based([5, 0])
    with pytest.raises(CodecError, match="index 311 at position 0"):
        v.from_one_based([311])


def test_a_wrong_id_is_named_with_its_position() -> None:
    v = espressivo.vocabulary("maestro")
    with pytest.raises(CodecError, match=r"id 308 at position 2 .*'maestro'.* 0\.\.307"):
        v.check([0, 1, 308])
    with pytest.raises(CodecError, match="id -1"):
        v.check([-1])
    for wrong in ([0.5], ["a"], [[1]]):
        with pytest.raises(CodecError, match="flat list of whole numbers"):
            v.check(wrong)


@pytest.mark.parametrize("v", ALL, ids=lambda v: v.name)
def test_ids_end_where_the_vocabulary_does(v: Vocabulary) -> None:
    last = v.size - 1
    assert v.check([0, last]).tolist() == v.from_one_based([1, v.size]).tolist() == [0, last]
    assert v.to_one_based([0, last]).tolist() == [1, v.size]
    for wrong in (-1, v.size):
        with pytest.raises(CodecError, match=rf"id {wrong} at position 1 .* 0\.\.{last}$"):
            v.check([0, wrong, wrong])
        with pytest.raises(CodecError, match=f"id {wrong} at position 0"):
            v.to_one_based([wrong])
        with pytest.raises(CodecError, match=f"id {wrong} at position 0"):
            v.describe(wrong)
        with pytest.raises(CodecError, match=rf"index {wrong + 1} .* 1\.\.{v.size}$"):
            v.from_one_based([1, wrong + 1])


def test_no_ids_are_ids_and_only_flat_whole_numbers_are() -> None:
    v = espressivo.vocabulary("seed")
    for checked in (v.check([]), v.from_one_based([]), v.to_one_based([])):
        assert checked.shape == (0,) and checked.dtype == np.int32
    assert v.check(np.array([3], np.uint8)).dtype == np.int32
    for wrong in (3, [[3]], [3.0], [True], [None]):
        for read in (v.check, v.from_one_based):
            with pytest.raises(CodecError, match="flat list of whole numbers"):
                read(wrong)


@pytest.mark.parametrize(
    ("field", "taken", "refused", "words"),
    [
        ("lowest_pitch", (0, 108), (-1, 109), "pitches must be within"),
        ("highest_pitch", (21, 127), (20, 128), "pitches must be within"),
        ("steps_per_second", (1, 10_000), (0, -1), "steps must be at least 1"),
        ("max_shift_steps", (1, 10_000), (0, -1), "steps must be at least 1"),
        ("sustain", ("fold", "events"), ("Fold", ""), "sustain must be"),
        ("order", ("played", "pitch"), ("Pitch", ""), "order must be"),
        ("longest_note_steps", (0, 16, 2048, 16 << 15), (1, 8, 15, 48, 16 << 16), "power of 2"),
    ],
)
def test_each_parameter_ends_where_it_says(
    field: str, taken: tuple[object, ...], refused: tuple[object, ...], words: str
) -> None:
    lengths = {"order": "pitch", "boundaries": True} if field == "longest_note_steps" else {}
    for value in taken:
        assert getattr(Vocabulary("mine", **lengths | {field: value}), field) == value
    for value in refused:
        with pytest.raises(CodecError, match=words):
            Vocabulary("mine", **lengths | {field: value})


def test_velocities_lie_within_their_bins_to_the_edge() -> None:
    for values in ((1, 64), (63, 127)):
        v = Vocabulary("mine", velocity_floors=(1, 64), velocity_values=values)
        assert v.velocity_bins[[0, 1, 63, 64, 127]].tolist() == [0, 0, 0, 1, 1]
    for values in ((0, 64), (64, 64), (1, 63), (1, 128), (1,), (1, 64, 64)):
        with pytest.raises(CodecError, match="must lie in its bin"):
            Vocabulary("mine", velocity_floors=(1, 64), velocity_values=values)
    for floors in ((), (0, 64), (2, 64)):
        with pytest.raises(CodecError, match="must begin with 1"):
            Vocabulary("mine", velocity_floors=floors, velocity_values=(2, 64)[: len(floors)])


@pytest.mark.parametrize("missing", [{"order": "played"}, {"boundaries": False}])
def test_lengths_need_notes_by_pitch_and_boundaries(missing: dict[str, object]) -> None:
    with pytest.raises(CodecError, match="notes with lengths need"):
        dataclasses.replace(espressivo.vocabulary("notes"), **missing)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(CodecError, match="seed, magenta, maestro, pedal, notes"):
        espressivo.vocabulary("midi")


def test_a_vocabulary_survives_json() -> None:
    for v in ALL:
        assert Vocabulary(**json.loads(json.dumps(v.to_dict()))) == v


def test_all_problems_of_a_vocabulary_are_told_at_once() -> None:
    with pytest.raises(CodecError, match=r"pitches .*; steps .*; .*begin with 1; .*order must be"):
        Vocabulary(
            "mine",
            lowest_pitch=90,
            highest_pitch=80,
            max_shift_steps=0,
            velocity_floors=(2, 10),
            velocity_values=(2, 10),
            order="random",
        )
    with pytest.raises(CodecError, match=r"16 times a power of 2; .* 'pitch' and boundaries"):
        Vocabulary("mine", longest_note_steps=100)


def test_a_vocabulary_of_ones_own_round_trips() -> None:
    v = Vocabulary(
        "coarse",
        steps_per_second=25,
        max_shift_steps=10,
        velocity_floors=(1, 64),
        velocity_values=(40, 90),
    )
    p = espressivo.Performance.from_arrays(
        onset_s=[0.0, 1.0], offset_s=[0.5, 1.9], pitch=[60, 64], velocity=[30, 100]
    )
    assert v.size == 88 + 88 + 10 + 2
    assert v.decode(v.encode(p)) == v.quantise(p)
    assert v.quantise(p).notes["velocity"].tolist() == [40, 90]
