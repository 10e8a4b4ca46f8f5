from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import espressivo
from espressivo import Performance, Vocabulary
from espressivo.codes import (
    DURATION,
    FINE_DURATION,
    NOTE_OFF,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    presets,
)
from espressivo.codes.codec import (
    FIELDS,
    NO_ID,
    following,
    grid_steps,
    restore,
    steps,
)
from espressivo.music.performance import CONTROL_DTYPE, NOTE_DTYPE
from strategies import id_lists, performances

ODD = Vocabulary(
    "odd notes",
    steps_per_second=50,
    max_shift_steps=10,
    order="pitch",
    boundaries=True,
    longest_note_steps=32,
)
ALL = [*(espressivo.vocabulary(name) for name in presets()), ODD]
SEED = espressivo.vocabulary("seed")
NOTES = espressivo.vocabulary("notes")
GOLDEN = Path(__file__).parent / "data" / "note_seq_events.json"
every_vocabulary = pytest.mark.parametrize("v", ALL, ids=lambda v: v.name)

# The two examples of the post, with its own indices.
SCALE = [288, 60, 226, 148, 277, 62, 226, 150, 300, 64, 226, 152, 310, 67, 226, 155]
CHORD = [300, 60, 62, 64, 67, 226, 152, 155, 226, 150, 226, 148]


@pytest.mark.parametrize("indices", [SCALE, CHORD])
def test_the_posts_examples_round_trip(indices: list[int]) -> None:
    performance = SEED.decode(SEED.from_one_based(indices))
    assert SEED.to_one_based(SEED.encode(performance)).tolist() == indices


def test_the_posts_chord_means_what_the_post_says() -> None:
    notes = SEED.decode(SEED.from_one_based(CHORD)).notes
    assert notes["pitch"].tolist() == [80, 82, 84, 87]
    assert notes["onset_s"].tolist() == [0, 0, 0, 0]
    assert notes["offset_s"].tolist() == [1.5, 1.0, 0.5, 0.5]
    assert set(notes["velocity"].tolist()) == {91}  # bin 24 of the post: 90..93


@every_vocabulary
@given(data=st.data())
def test_decoding_what_was_encoded_gives_the_quantised_performance(
    v: Vocabulary, data: st.DataObject
) -> None:
    p = data.draw(performances())
    assert v.decode(v.encode(p)) == v.quantise(p)


@every_vocabulary
@given(data=st.data())
def test_quantising_twice_changes_nothing(v: Vocabulary, data: st.DataObject) -> None:
    once = v.quantise(data.draw(performances()))
    assert v.quantise(once) == once


@every_vocabulary
@given(data=st.data())
def test_any_list_decodes_and_comes_out_quantised(v: Vocabulary, data: st.DataObject) -> None:
    p = v.decode(data.draw(id_lists(v)))
    assert (p.notes["offset_s"] > p.notes["onset_s"]).all()
    assert v.quantise(p) == p
    canonical = v.encode(p)
    assert v.encode(v.decode(canonical)).tolist() == canonical.tolist()


@every_vocabulary
def test_canonical_lists_holding_each_id_round_trip(v: Vocabulary) -> None:
    seen: set[int] = set()
    for number in range(128):
        begin = 1 + number % v.max_shift_steps
        held = [begin]
        if v.notewise:
            held += v.shortest_durations[number % len(v.shortest_durations) :][:1].tolist()
            held += [v.longest_note_steps - number % v.counts[FINE_DURATION]]
        pitch = v.lowest_pitch + (number + np.arange(len(held))) % v.counts[NOTE_ON]
        velocity = v.velocity_values[number % len(v.velocity_values)]
        start_s = np.full(len(held), begin / v.steps_per_second)
        end_s = (begin + np.array(held)) / v.steps_per_second
        controls = np.array([(0.0, 64, 127), (start_s[0], 64, 0)], CONTROL_DTYPE)
        loud = np.full(len(held), velocity)
        p = v.quantise(
            Performance.from_arrays(
                onset_s=start_s, offset_s=end_s, pitch=pitch, velocity=loud, controls=controls
            )
        )
        ids = v.encode(p)
        assert v.encode(v.decode(ids)).tolist() == ids.tolist()
        seen.update(ids.tolist())
    assert seen == set(range(v.size))


@given(p=performances())
def test_the_input_is_not_changed(p: Performance) -> None:
    notes, controls = p.notes.copy(), p.controls.copy()
    for v in ALL:
        v.quantise(p)
        v.encode(p)
    assert p == Performance(notes, controls)


@every_vocabulary
def test_onsets_stay_within_half_a_step_however_long_the_piece(v: Vocabulary) -> None:
    # Gaps of 14 ms: rounding each gap by itself would lose 4 ms at each of them.
    onset_s = np.arange(50_000) * 0.014
    pitch = 30 + np.arange(50_000) % 40
    p = Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.01, pitch=pitch, velocity=np.full(50_000, 64)
    )
    heard = v.decode(v.encode(p)).notes
    assert len(heard) == 50_000
    order = np.lexsort((heard["onset_s"], heard["pitch"]))
    played = np.lexsort((onset_s, pitch))
    error = np.abs(heard["onset_s"][order] - onset_s[played])
    assert error.max() <= 0.5 / v.steps_per_second + 1e-9


def test_a_gap_under_half_a_step_is_no_time_shift() -> None:
    p = Performance.from_arrays(
        onset_s=[0.0, 0.004], offset_s=[1.0, 1.0], pitch=[60, 64], velocity=[70, 70]
    )
    ids = SEED.encode(p)
    assert SEED.kinds[ids].tolist() == [VELOCITY, NOTE_ON, NOTE_ON, TIME_SHIFT, NOTE_OFF, NOTE_OFF]


def test_long_gaps_are_full_shifts_and_the_rest() -> None:
    p = Performance.from_arrays(onset_s=[0.0], offset_s=[2.34], pitch=[60], velocity=[70])
    words = [SEED.describe(id_) for id_ in SEED.encode(p)]
    assert words[2:5] == ["shift 1000 ms", "shift 1000 ms", "shift 340 ms"]


def test_velocity_is_written_only_when_its_bin_changes() -> None:
    p = Performance.from_arrays(
        onset_s=[0, 1, 2], offset_s=[0.5, 1.5, 2.5], pitch=[60, 60, 60], velocity=[90, 93, 94]
    )
    kinds = SEED.kinds[SEED.encode(p)].tolist()
    assert kinds.count(VELOCITY) == 2


@pytest.mark.parametrize("velocity", [1, 2, 3])
def test_soft_notes_do_not_turn_into_time(velocity: int) -> None:
    p = Performance.from_arrays(onset_s=[0.0], offset_s=[0.5], pitch=[60], velocity=[velocity])
    assert SEED.describe(int(SEED.encode(p)[0])) == "velocity 1..7"


def test_notes_outside_the_range_are_dropped_and_do_not_spill() -> None:
    p = Performance.from_arrays(
        onset_s=[0, 0, 0], offset_s=[1, 1, 1], pitch=[20, 60, 109], velocity=[70, 70, 70]
    )
    assert SEED.quantise(p).notes["pitch"].tolist() == [60]
    assert len(SEED.encode(p)) == 4


def test_a_note_that_starts_as_another_of_its_pitch_ends_comes_after_it() -> None:
    p = Performance.from_arrays(
        onset_s=[0.0, 0.5], offset_s=[0.5, 1.0], pitch=[60, 60], velocity=[70, 70]
    )
    words = [SEED.describe(id_) for id_ in SEED.encode(p)]
    assert words.index("note off 60 (C4)") < len(words) - 1 - words[::-1].index("note on 60 (C4)")


def test_overlapping_notes_of_one_pitch_end_in_the_order_they_began() -> None:
    p = Performance.from_arrays(
        onset_s=[0.0, 0.2], offset_s=[1.0, 0.5], pitch=[60, 60], velocity=[30, 90]
    )
    notes = SEED.quantise(p).notes
    assert notes["offset_s"].tolist() == [0.5, 1.0]
    assert notes["velocity"].tolist() == [31, 91]


def test_stray_note_offs_are_ignored_and_open_notes_closed() -> None:
    v = SEED
    on, off, shift = v.first[NOTE_ON] + 39, v.first[NOTE_OFF] + 39, v.first[TIME_SHIFT] + 49
    notes = v.decode([off, on, shift, off, off, on, shift]).notes
    assert notes["onset_s"].tolist() == [0.0, 0.5]
    assert notes["offset_s"].tolist() == [0.5, 1.0]
    assert v.decode([on]).notes["offset_s"].tolist() == [0.01]


def test_the_pedal_code_keeps_key_releases_and_pedal_apart() -> None:
    v = espressivo.vocabulary("pedal")
    controls = np.array([(0.1, 64, 100), (0.9, 64, 10)], CONTROL_DTYPE)
    p = Performance.from_arrays(
        onset_s=[0.0], offset_s=[0.5], pitch=[60], velocity=[70], controls=controls
    )
    words = [v.describe(id_) for id_ in v.encode(p)]
    assert words == [
        "start",
        "velocity 69..72",
        "note on 60 (C4)",
        "shift 100 ms",
        "sustain down",
        "shift 400 ms",
        "note off 60 (C4)",
        "shift 400 ms",
        "sustain up",
        "end",
    ]
    assert SEED.quantise(p).notes["offset_s"].tolist() == [0.9]


def test_the_code_of_notes_says_each_note_with_its_length() -> None:
    controls = np.array([(0.0, 64, 127), (2.0, 64, 0)], CONTROL_DTYPE)
    p = Performance.from_arrays(
        onset_s=[0.0, 0.0, 1.0, 1.99],
        offset_s=[0.18, 0.05, 1.01, 2.49],
        pitch=[64, 60, 62, 65],
        velocity=[70, 71, 1, 127],
        controls=controls,
    )
    assert [NOTES.describe(id_) for id_ in NOTES.encode(p)] == [
        *("shift 0 ms", "sustain down"),
        *("shift 0 ms", "note on 60 (C4)", "velocity 69..72", "duration 50..50 ms"),
        *("shift 0 ms", "note on 64 (E4)", "velocity 69..72", "duration 170..180 ms"),
        "duration + 10 ms",
        "shift 1000 ms",  # a rest
        *("shift 0 ms", "note on 62 (D4)", "velocity 1..4", "duration 10..10 ms"),
        *("shift 990 ms", "note on 65 (F4)", "velocity 125..127", "duration 490..520 ms"),
        "duration + 10 ms",
        *("shift 10 ms", "sustain up"),
        *("shift 490 ms", "end"),  # at the last release
    ]


@pytest.mark.parametrize("v", [NOTES, ODD], ids=lambda v: v.name)
@given(data=st.data())
def test_the_ids_of_a_code_of_notes_are_laid_out_in_steps(
    v: Vocabulary, data: st.DataObject
) -> None:
    ids = v.encode(data.draw(performances()))
    laid = steps(ids, v)
    assert laid[laid != NO_ID].tolist() == ids.tolist()
    assert len(laid) == (v.kinds[ids] == TIME_SHIFT).sum()
    for kinds, column in zip(FIELDS, laid.T, strict=True):
        assert set(v.kinds[column[column != NO_ID]].tolist()) <= set(kinds)
    rest = laid[:, 0] == v.first[TIME_SHIFT] + v.max_shift_steps
    assert ((laid != NO_ID).sum(axis=1)[rest] == 1).all()
    assert len(steps(ids[:0], v)) == 0


def test_a_key_held_longer_than_the_longest_is_let_go_early() -> None:
    p = Performance.from_arrays(onset_s=[0.5], offset_s=[30.0], pitch=[60], velocity=[70])
    ids = NOTES.encode(p)
    assert NOTES.decode(ids).notes["offset_s"].tolist() == [20.98]
    assert [NOTES.describe(id_) for id_ in ids[3:5]] == [
        "duration 19210..20480 ms",
        "duration + 1270 ms",
    ]


def test_what_a_note_of_the_code_of_notes_lacks_or_has_too_much_of() -> None:
    v = NOTES
    now, rest = v.first[TIME_SHIFT], v.first[TIME_SHIFT] + v.max_shift_steps
    on, loud, fine = v.first[NOTE_ON] + 39, v.first[VELOCITY] + 31, v.first[FINE_DURATION]
    length = v.first[DURATION] + 16  # 17 or 18 steps
    for note, velocity, held_s in (
        ([on], 62, 20.48),
        ([on, length, fine + 1], 62, 20.48),
        ([on, loud], 126, 20.48),
        ([loud, length, on], 62, 20.48),
        ([on, loud, fine + 1, length], 126, 20.48),
        ([on, loud, length], 126, 0.17),
        ([on, loud, length, fine + 100], 126, 0.18),
        ([on, loud, length - 1, fine + 1], 126, 0.16),
    ):
        p = v.decode([now, *note, *[rest] * 25])
        assert p.notes["velocity"].tolist() == [velocity], note
        assert p.notes["offset_s"].tolist() == [held_s], note
        assert v.quantise(p) == p
        assert v.decode([now, *note]).notes["offset_s"].tolist() == [0.01]


def test_what_sounds_in_the_code_of_notes_is_restored_with_what_is_left_of_it() -> None:
    controls = np.array([(0.2, 64, 127)], CONTROL_DTYPE)
    p = Performance.from_arrays(
        onset_s=[0.0, 0.0, 0.5, 1.0],
        offset_s=[3.0, 0.4, 2.0, 1.5],
        pitch=[67, 72, 60, 61],
        velocity=[30, 40, 50, 60],
        controls=controls,
    )
    ids = NOTES.encode(p)
    before = ids[: np.flatnonzero(ids == NOTES.first[NOTE_ON] + 40)[0] - 1]
    assert [NOTES.describe(id_) for id_ in restore(before, NOTES)] == [
        *("shift 0 ms", "sustain down"),
        *("shift 0 ms", "note on 60 (C4)", "velocity 49..52", "duration 1450..1600 ms"),
        "duration + 50 ms",
        *("shift 0 ms", "note on 67 (G4)", "velocity 29..32", "duration 2410..2560 ms"),
        "duration + 90 ms",
    ]


def test_a_pedal_change_within_one_step_is_kept_and_a_flutter_is_not() -> None:
    v = espressivo.vocabulary("pedal")
    changed = np.array([(0.0, 64, 127), (0.502, 64, 0), (0.504, 64, 127)], CONTROL_DTYPE)
    flutter = np.array([(0.502, 64, 127), (0.504, 64, 0)], CONTROL_DTYPE)
    nothing = np.empty(0, NOTE_DTYPE)
    kinds = v.kinds[v.encode(Performance(nothing, changed))]
    assert (kinds == SUSTAIN).sum() == 3
    kinds = v.kinds[v.encode(Performance(nothing, flutter))]
    assert (kinds == SUSTAIN).sum() == 0


def test_empty_performances_and_lists() -> None:
    nothing = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    for v in ALL:
        assert v.decode([]) == nothing
        assert v.decode(v.encode(nothing)) == nothing


@every_vocabulary
@given(data=st.data())
def test_restored_state_makes_the_rest_of_a_piece_sound_as_it_did(
    v: Vocabulary, data: st.DataObject
) -> None:
    ids = v.encode(data.draw(performances()))
    cuts = np.append(np.flatnonzero(v.kinds[ids] == TIME_SHIFT), len(ids))  # where steps begin
    cut = data.draw(st.sampled_from(cuts.tolist()) if v.notewise else st.integers(0, len(ids)))
    state = restore(ids[:cut], v)
    whole, rest = v.decode(ids), v.decode(np.concatenate((state, ids[cut:])))
    begin_s = grid_steps(ids, v)[cut - 1] / v.steps_per_second if cut else 0.0
    sounding_or_later = int((whole.notes["offset_s"] >= begin_s).sum())
    later = whole.notes[whole.notes["onset_s"] > begin_s]
    found = rest.notes[rest.notes["onset_s"] > 0]
    assert found["pitch"].tolist() == later["pitch"].tolist()
    assert found["velocity"].tolist() == later["velocity"].tolist()
    assert np.allclose(found["offset_s"], later["offset_s"] - begin_s)
    assert len(rest.notes) <= sounding_or_later


@given(p=performances())
def test_an_id_of_a_step_follows_the_one_before(p: Performance) -> None:
    v = espressivo.vocabulary("notes")
    factors, followers = following(v)
    ids = v.encode(p)
    before = np.concatenate(([v.size], ids))
    assert factors[before].tolist() == [*np.nonzero(steps(ids, v) != NO_ID)[1], 0]
    assert followers[before[:-1], ids].all()


def test_what_follows_are_the_ids_of_one_factor() -> None:
    v = espressivo.vocabulary("notes")
    factors, followers = following(v)
    ids_of = [np.flatnonzero(np.isin(v.kinds, kinds)).tolist() for kinds in FIELDS]
    fine = v.first[FINE_DURATION]
    for id_ in range(v.size + 1):
        expected = ids_of[factors[id_]]
        if factors[id_] == len(FIELDS) - 1:
            words = v.describe(id_)  # such as "duration 170..180 ms"
            low, high = words.removeprefix("duration ").removesuffix(" ms").split("..")
            expected = list(range(fine, fine + (int(high) - int(low)) // 10 + 1))
        assert np.flatnonzero(followers[id_]).tolist() == expected
    rest = v.first[TIME_SHIFT] + v.max_shift_steps
    assert factors[[rest - 1, rest, v.size]].tolist() == [1, 0, 0]


def test_events_equal_those_of_note_seq() -> None:
    # The file was written by bench/note_seq_equality.py --golden with note-seq 0.0.5.
    v = espressivo.vocabulary("magenta")
    for case in json.loads(GOLDEN.read_text(encoding="utf-8")):
        p = Performance(
            np.array([tuple(note) for note in case["notes"]], NOTE_DTYPE),
            np.array([tuple(control) for control in case["controls"]], CONTROL_DTYPE),
        )
        assert v.encode(p).tolist() == case["events"], case["name"]
