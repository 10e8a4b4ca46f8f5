"""Beats: found by the bundled network, on a path that covers the music; tempo maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import symusic
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import espressivo
from espressivo import Beats, Performance, midi
from espressivo.cli import cli
from espressivo.midi import TempoMap
from espressivo.notation import (
    BEAT_NUMBERS,
    KEYS,
    NUMBERS,
    beat_numbers,
    bundled_beats,
    grouped_onsets,
    notes_of,
)
from espressivo.notation.path import Costs, best_path, keys, measures, units
from espressivo.notation.said import BEAT, BEAT_OUTPUTS, BEGINS, OUTPUTS, PERIOD, UNIT


def waltz(measures: int = 16, beat_s: float = 0.5) -> Performance:
    """Bass and two chords a measure, in C major, with a melody in eighths now and then."""
    onset, pitch = [], []
    for measure in range(measures):
        at = 0.4 + 3 * beat_s * measure
        root = (48, 43, 45, 48)[measure % 4]
        for beat, chord in enumerate(((root - 12,), (root, root + 4, root + 7), (60, 64, 67))):
            onset += [at + beat * beat_s] * len(chord)
            pitch += chord
        onset += [at, at + beat_s, at + 1.5 * beat_s]
        pitch += [76, 79, 77 - measure % 3]
    onset_s = np.array(onset)
    return Performance.from_arrays(
        onset_s=onset_s, offset_s=onset_s + 0.8 * beat_s, pitch=pitch, velocity=[70] * len(pitch)
    )


def of_times(times: list[float], per_measure: int = 4, quarters: float = 1.0) -> Beats:
    count = np.arange(len(times))
    return Beats(np.array(times), count % per_measure == 0, np.full(len(times), quarters))


def said_of(beat: np.ndarray, period_s: float) -> np.ndarray:
    said = np.zeros((len(beat), OUTPUTS), np.float32)
    said[:, BEAT] = np.where(beat, 3.0, -3.0)
    said[:, PERIOD] = np.log2(2 * period_s)
    return said


def test_a_path_takes_the_groups_on_beats_and_fills_in_a_beat_on_which_nothing_begins() -> None:
    time_s = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.75, 2.0, 2.5])
    beat = np.isin(time_s, (0.0, 0.5, 1.0, 2.0, 2.5))
    path = best_path(time_s, said_of(beat, 0.5))
    assert path.time_s.tolist() == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    assert path.group.tolist() == [0, 2, 4, -1, 7, 8]


def test_a_path_goes_on_after_a_silence() -> None:
    time_s = np.concatenate((np.arange(0, 10, 0.5), np.arange(400, 410, 0.5)))
    path = best_path(time_s, said_of(np.ones(40, bool), 0.5), Costs(empty=5.0, skip=1.0))
    assert path.time_s[0] == 0
    assert path.time_s[-1] == 409.5


def test_a_path_follows_a_tempo_that_slows_down() -> None:
    time_s = np.cumsum(0.3 * 1.04 ** np.arange(40))
    said = said_of(np.ones(40, bool), 0.5)
    said[:, PERIOD] = np.log2(2 * np.gradient(time_s))
    assert best_path(time_s, said).time_s.tolist() == time_s.tolist()


def test_measures_change_their_size_where_the_downbeats_do() -> None:
    down = np.zeros(42, bool)
    down[[0, 3, 6, 9, 12, 15, 18, 21, 25, 29, 33, 37, 41]] = True
    read = np.zeros((42, BEAT_OUTPUTS), np.float32)
    read[:, BEGINS] = np.where(down, 3.0, -6.0)
    assert (measures(read) == down).all()


def test_what_holds_for_long_is_not_given_up_for_a_moment() -> None:
    read = np.zeros((20, BEAT_OUTPUTS), np.float32)
    read[:, UNIT.start + 3] = 1.0
    read[10, UNIT.start + 2] = 5.0
    assert set(units(read).tolist()) == {1.5}
    assert 1.0 in units(read, Costs(unit_change=0.0))


@pytest.mark.parametrize("sharps", range(-5, 7))
def test_a_key_signature_is_told_from_the_notes(sharps: int) -> None:
    heard = np.zeros((40, 12))
    heard[:, (np.array((0, 2, 4, 5, 7, 9, 11)) + 7 * sharps) % 12] = 1
    heard[20, :] = 1
    assert set(keys(heard).tolist()) == {sharps}


@pytest.mark.parametrize(("beats", "sharps"), [(25, {0}), (150, {0, 1})])
def test_a_key_signature_outlasts_a_passage_in_another_key_but_not_a_section(
    beats: int, sharps: set[int]
) -> None:
    heard = np.zeros((100 + beats + 100, 12))
    heard[:, [0, 2, 4, 5, 7, 9, 11]] = 1
    heard[100 : 100 + beats, 5], heard[100 : 100 + beats, 6] = 0, 4
    assert set(keys(heard).tolist()) == sharps


def test_beats_of_a_waltz() -> None:
    found = espressivo.beats(waltz())
    assert len(found) > 2
    assert (np.diff(found.time_s) > 0).all()
    assert found.time_s[0] >= 0


def test_beats_of_little() -> None:
    nothing = Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])
    assert len(espressivo.beats(nothing)) == 0
    one = Performance.from_arrays(onset_s=[1.0], offset_s=[2.0], pitch=[3], velocity=[1])
    assert len(espressivo.beats(one)) == 0
    two = Performance.from_arrays(
        onset_s=[1, 9e3], offset_s=[2, 9001], pitch=[0, 127], velocity=[1, 1]
    )
    assert np.isfinite(espressivo.beats(two).time_s).all()


def test_groups_are_told_of_every_key_and_of_nothing_infinite() -> None:
    performance = waltz(2)
    groups = grouped_onsets(notes_of(performance))
    assert groups.numbers.shape == (len(groups.time_s), NUMBERS)
    assert np.isfinite(groups.numbers).all()
    assert (groups.numbers[0, :KEYS] > 0).sum() == 2


def test_combs_stand_out_at_the_time_of_a_beat() -> None:
    time_s = np.arange(40) * 0.6
    onset_s = np.sort(np.concatenate((time_s, time_s[::2] + 0.23)))
    performance = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.1,
        pitch=[60] * len(onset_s),
        velocity=[70] * len(onset_s),
    )
    groups = grouped_onsets(notes_of(performance))
    periods = 0.15 * 2 ** (np.arange(26) / 5)
    combs = groups.numbers[np.isin(groups.first_s, time_s[10:30]), -55:-29].mean(0)
    assert abs(np.log2(periods[np.argmax(combs)] / 0.6)) < 0.11
    between = groups.numbers[~np.isin(groups.first_s, time_s), -55:-29][5:15].mean(0)
    assert between[10] < combs[10] - 0.3


def test_beats_are_told_of_the_measure_before_them() -> None:
    performance = waltz()
    time_s = 0.4 + 0.5 * np.arange(48)
    numbers = beat_numbers(notes_of(performance), time_s)
    assert numbers.shape == (48, BEAT_NUMBERS)
    assert np.isfinite(numbers).all()
    rhythm = numbers[12:, -24:-12].mean(0)  # likeness with each of the twelve beats before
    assert rhythm[2] == rhythm.max()
    assert rhythm[2] > rhythm[1] + 0.02
    assert (numbers[::3, 36 + np.array((0, 7, 9))].sum(1) == 1).all()  # the bass


@given(
    st.lists(st.floats(0, 30), min_size=0, max_size=20),
    st.lists(st.floats(0.02, 5), min_size=0, max_size=20),
)
def test_beats_of_anything_have_finite_numbers(onsets: list[float], gaps: list[float]) -> None:
    onset_s = np.sort(onsets)
    performance = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.3,
        pitch=np.arange(len(onset_s)) % 128,
        velocity=np.full(len(onset_s), 64),
    )
    numbers = beat_numbers(notes_of(performance), np.cumsum(gaps) if gaps else np.zeros(0))
    assert numbers.shape == (len(gaps), BEAT_NUMBERS)
    assert np.isfinite(numbers).all()


@pytest.mark.parametrize(("name", "width"), [("groups", NUMBERS), ("beats", BEAT_NUMBERS)])
def test_a_long_performance_is_read_in_windows_as_if_it_were_one(name: str, width: int) -> None:
    model = bundled_beats()
    rows = np.random.default_rng(0).normal(size=(2500, width)).astype(np.float32)
    nothing = {"groups": (1, 1, NUMBERS), "beats": (1, 1, BEAT_NUMBERS)}
    fed = {key: np.zeros(shape, np.float32) for key, shape in nothing.items()} | {name: rows[None]}
    whole = model._session.run([f"of_{name}"], fed)[0][0]
    read = model.of_groups(rows) if name == "groups" else model.of_beats(rows)
    assert np.abs(read - whole)[:, 0].max() < 0.2


def test_beats_say_their_meter() -> None:
    assert of_times([0.1 * n for n in range(17)], 3).meter == "3/4"
    assert of_times([0.1 * n for n in range(17)], 2, 1.5).meter == "6/8"
    assert of_times([0.1 * n for n in range(17)], 2, 2.0).meter == "2/2"
    assert of_times([0.1 * n for n in range(17)], 3, 0.5).meter == "3/8"
    assert of_times([0.5 * n for n in range(9)]).tempo == pytest.approx(120)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [1.0, 0.5], [0.0, np.nan]])
def test_beats_must_rise(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="rise"):
        of_times(bad)


@given(
    st.lists(st.floats(0.13, 3.0), min_size=2, max_size=30),
    st.floats(0, 5),
    st.integers(1, 6),
    st.sampled_from((0.5, 1.0, 1.5, 2.0)),
    st.integers(0, 5),
)
def test_with_a_tempo_map_every_note_sounds_at_its_time(
    gaps: list[float], begin: float, per: int, quarters: float, phase: int
) -> None:
    times = begin + np.cumsum(gaps)
    down = np.arange(len(times)) % per == phase % per
    beats = Beats(times, down, np.full(len(times), quarters))
    onset_s = np.sort(np.concatenate((times, times + 0.07, [0.0, times[-1] + 9])))
    performance = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.05,
        pitch=np.arange(len(onset_s)) % 88 + 21,
        velocity=np.full(len(onset_s), 64),
    )
    data = midi.to_bytes(performance, beats=beats)
    again = midi.from_bytes(data)
    assert np.abs(again.notes["onset_s"] - performance.notes["onset_s"]).max() < 0.001
    score = symusic.Score.from_midi(data)
    tempos = TempoMap.of(beats)
    beat = tempos.quarters_at(times)[down & (times > times[0])]
    bars = _bars(score, float(beat[-1]) if len(beat) else 0.0)
    for at in beat.tolist():
        assert min(abs(bar - at) for bar in bars) < 0.01


def _bars(score: symusic.Score, until: float) -> list[float]:
    """Where bars begin by the time signatures of a file, in quarters."""
    changes = [(s.time / score.ticks_per_quarter, s.numerator * 4 / s.denominator) for s in
               sorted(score.time_signatures, key=lambda s: s.time)]  # fmt: skip
    bars = []
    for (at, size), (end, _) in zip(changes, [*changes[1:], (until + 0.01, 0)], strict=True):
        bars += np.arange(at, end - 1e-3, size).tolist() or [at]
    return bars


def test_tempos_do_not_drift() -> None:
    times = np.cumsum(np.full(3000, 1 / 3))
    tempos = TempoMap.through(np.arange(3001), np.concatenate(([0], times)))
    assert np.abs(tempos.quarters_at(times) - np.arange(1, 3001)).max() < 1e-4


def test_the_command_says_beats_and_writes_a_tempo_map(tmp_path: Path) -> None:
    waltz().write(tmp_path / "waltz.mid")
    run = CliRunner().invoke(cli, ["beats", str(tmp_path / "waltz.mid"), "--json"])
    assert run.exit_code == 0, run.output
    about = json.loads(run.output)
    assert len(about["beats"]) > 2
    out = tmp_path / "bars.mid"
    run = CliRunner().invoke(cli, ["beats", str(tmp_path / "waltz.mid"), "-o", str(out)])
    assert run.exit_code == 0, run.output
    read = midi.read(out).notes["onset_s"]
    assert np.abs(read - waltz().notes["onset_s"]).max() < 0.001


def test_the_command_refuses_a_file_without_beats(tmp_path: Path) -> None:
    Performance.from_arrays(onset_s=[0], offset_s=[1], pitch=[60], velocity=[9]).write(
        tmp_path / "one.mid"
    )
    run = CliRunner().invoke(cli, ["beats", str(tmp_path / "one.mid")])
    assert run.exit_code == 1
    assert "one.mid: has no beats" in run.output
