"""The library as a Python user meets it: typed arguments, keys, primers, progress, threads."""

from __future__ import annotations

import inspect
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import espressivo
from espressivo import Model, Performance
from espressivo.codes import key
from espressivo.errors import GenerationError
from espressivo.live import Live
from espressivo.music import CONTROL_DTYPE, SOFT, SUSTAIN
from espressivo.play import DEFAULT_MODEL, ProgressCallback, chords, load, pitches
from espressivo.play.primers import continued
from espressivo.play.settings import Options, Settings

SHORT: dict[str, Any] = {"seconds": 3, "seed": 5}


@pytest.fixture(scope="module")
def model() -> Model:
    return load()


@pytest.fixture(scope="module")
def seed() -> Model:
    return load("seed")


def primer(controls: list[tuple[float, int, int]] | None = None) -> Performance:
    """Return notes at odd milliseconds, whose velocities are 1 apart."""
    onset_s = 0.0013 + np.arange(6) * 0.251
    moved = np.array(controls or [], CONTROL_DTYPE)
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.203,
        pitch=[60, 64, 67, 72, 67, 64],
        velocity=61 + np.arange(6),
        controls=moved,
    )


# --- types ----------------------------------------------------------------------------------------


def test_options_are_the_settings_and_a_key() -> None:
    assert Options.__annotations__.keys() - {"key"} == Settings.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    "function",
    [Model.generate, Model.generate_batch, Model.generate_ids, Model.stream, Model.beam_search,
     Live.__init__],
)  # fmt: skip
def test_no_argument_is_just_anything(function: Any) -> None:
    settings = inspect.signature(function).parameters["settings"]
    assert settings.annotation == "Unpack[Options]"


# --- keys and primers -----------------------------------------------------------------------------


def test_the_default_model_needs_no_name() -> None:
    assert load().card["name"] == DEFAULT_MODEL == "espressivo"


def test_a_key_is_its_pitch_weights(model: Model) -> None:
    weights = key("A minor")
    long: dict[str, Any] = {"seconds": 8, "seed": 5}
    plain = model.generate(**long)
    asked = model.generate(key="Am", **long)
    assert asked == model.generate(pitch_weights=weights, **long) != plain
    changed = model.generate(changes={1.0: {"key": "A minor"}}, **long)
    assert changed == model.generate(changes={1.0: {"pitch_weights": weights}}, **long) != plain
    assert model.stream(key="A minor").settings.pitch_weights == weights
    assert Settings(pitch_weights=weights).changed(key=None).pitch_weights is None
    assert Settings(pitch_weights=weights).changed(key="C").pitch_weights == key("C major")
    assert Settings(density=3).changed(key="C").density == 3


@pytest.mark.parametrize("name", ["", "H major"])
def test_a_key_that_is_none_is_refused(model: Model, name: str) -> None:
    for arguments in ({"key": name}, {"changes": {1.0: {"key": name}}}):
        with pytest.raises(GenerationError, match="is not a key"):
            model.generate(**SHORT, **arguments)


def test_a_key_and_pitch_weights_are_one_too_many(model: Model) -> None:
    with pytest.raises(GenerationError, match="a key or pitch_weights, not both"):
        model.generate(key="C", pitch_weights=key("C"), **SHORT)


def test_primers_by_path_and_by_name(seed: Model, tmp_path: Path) -> None:
    path = tmp_path / "mine.mid"
    primer().write(path)
    asked = seed.generate(primer=espressivo.read(path), **SHORT)
    assert asked == seed.generate(primer=path, **SHORT) == seed.generate(primer=str(path), **SHORT)
    assert asked != seed.generate(**SHORT)
    for made, named in (
        (chords("C Am"), {"primer_chords": "C Am"}),
        (pitches([60, 64]), {"primer_pitches": [60, 64]}),
    ):
        ids = list(seed.generate_ids(primer=made, **SHORT))
        assert ids == list(seed.generate_ids(**named, **SHORT))
        assert seed.generate(primer=made, **SHORT) == seed.generate(**named, **SHORT)
        assert seed.generate_batch(1, **named, **SHORT) == [seed.generate(primer=made, **SHORT)]
        with pytest.raises(GenerationError, match="one of primer, primer_chords and"):
            seed.generate(primer=ids, **named, **SHORT)


def test_there_is_no_primer_to_include(seed: Model) -> None:
    with pytest.raises(GenerationError, match="no primer to include"):
        seed.generate(include_primer=True, **SHORT)


def test_a_natural_ending_needs_seconds(seed: Model) -> None:
    for length in ({"events": 5}, {"notes": 5}):
        with pytest.raises(GenerationError, match="natural ending needs a length in seconds"):
            seed.generate(ending="natural", **length)


# --- a primer that is included --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["espressivo", "seed"])
def test_an_included_primer_stays_as_it_was(name: str, model: Model, seed: Model) -> None:
    player = {"espressivo": model, "seed": seed}[name]
    moves = [(0.0007, SUSTAIN, 63), (0.5001, SUSTAIN, 70), (0.6, SOFT, 127), (0.777, SUSTAIN, 90)]
    given = primer([*moves, (0.777, SUSTAIN, 0), (0.9, SOFT, 0)])
    whole = player.generate(primer=given, include_primer=True, **SHORT)
    alone = player.generate(primer=given, **SHORT)
    n, m = len(given.notes), len(given.controls)
    assert len(alone) > 0
    np.testing.assert_array_equal(whole.notes[:n], given.notes)
    np.testing.assert_array_equal(whole.controls[:m], given.controls)
    begin_s = 1.46  # on the grid: the primer ends at 1.4593 s
    assert alone.shift(begin_s).notes.tolist() == whole.notes[n:].tolist()
    assert alone.shift(begin_s).controls.tolist() == whole.controls[m:].tolist()


def test_pedals_that_a_primer_leaves_down_do_not_hold_what_follows(seed: Model) -> None:
    given = primer([(0.1, SUSTAIN, 100), (0.2, SOFT, 80)])
    whole = seed.generate(primer=given, include_primer=True, **SHORT)
    assert whole.controls[:2].tolist() == given.controls.tolist()
    assert whole.controls[2:].tolist() == [(1.46, SUSTAIN, 0), (1.46, SOFT, 0)]


def test_a_sustain_pedal_that_the_model_holds_on_is_not_pressed_anew() -> None:
    given = primer([(0.1, SUSTAIN, 100)])
    more = primer([(0.0, SUSTAIN, 127), (0.5, SUSTAIN, 0)])
    moves = continued(given, more, 2.0).controls
    assert moves.tolist() == [(0.1, SUSTAIN, 100), (2.5, SUSTAIN, 0)]


# --- progress, pickles and threads ----------------------------------------------------------------


def into(told: list[tuple[float, float]]) -> ProgressCallback:
    return lambda done, total: told.append((done, total))


@pytest.mark.parametrize(
    "length", [{"seconds": 6.0, "ending": "cut"}, {"events": 30}, {"notes": 12}]
)
def test_progress_is_told(model: Model, seed: Model, length: dict[str, Any]) -> None:
    total, *_ = length.values()
    for player in (model, seed):
        told: list[tuple[float, float]] = []
        held = player.vocabulary.encode(pitches([60]))[:4]  # in notes, it is yet to end
        player.generate(seed=1, primer=held, progress=into(told), **length)
        done = [each for each, _ in told]
        assert {each for _, each in told} == {total}
        assert done == sorted(done) and done[-1] == total
        assert len(set(done)) > 5 and done[0] == 0


def test_progress_of_a_batch_counts_performances(
    seed: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espressivo.play.model._SIDE_BY_SIDE", 2)
    told: list[tuple[float, float]] = []
    batch = seed.generate_batch(3, events=9, seed=4, progress=into(told))
    assert told == [(0, 3), (2, 3), (3, 3)]
    assert batch == [seed.generate(events=9, seed=number) for number in (4, 5, 6)]


def test_a_model_is_pickled_with_its_weights(seed: Model) -> None:
    again: Model = pickle.loads(pickle.dumps(seed))  # noqa: S301 - our own
    assert again.generate(**SHORT) == seed.generate(**SHORT)
    assert (again.vocabulary, again.card) == (seed.vocabulary, seed.card)
    assert again.engine.sha256 == seed.engine.sha256


def test_threads_share_a_model(seed: Model) -> None:
    expected = [list(seed.generate_ids(seed=1, events=300)) for _ in range(4)]
    found: list[list[int]] = []
    begin = threading.Barrier(4)

    def play() -> None:
        begin.wait()
        found.append(list(seed.generate_ids(seed=1, events=300)))

    threads = [threading.Thread(target=play) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
