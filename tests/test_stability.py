"""The names that docs/stability.md promises. A change here belongs in the CHANGELOG."""

from __future__ import annotations

from collections.abc import Iterable

import espressivo
from espressivo.cli import cli
from espressivo.play import Options, Stream

NAMES = (
    "Beats Dataset EspressivoError Model Performance Score Vocabulary __version__ beats load "
    "notate perform prepare read read_score vocabulary write"
)
METHODS = {
    espressivo.Model: (
        "beam_search decode generate generate_batch generate_ids next_events score state stream"
    ),
    espressivo.Performance: (
        "from_arrays join seconds shift slice stretch sustained to_audio transpose write"
    ),
    Stream: "hear panic release settings steer stop",
}
SETTINGS = (
    "avoid_loops chord_temperature composer density duration_min_p duration_temperature "
    "duration_top_p guidance highest_pitch key longest_note_s longest_rest_s loudness lowest_pitch "
    "min_p onset_rate pitch_weights polyphony returns temperature time_min_p time_temperature "
    "time_top_p top_k top_p two_hands velocity_temperature"
)
COMMANDS = (
    "compare demo evaluate events export generate info live models next page plot prepare render "
    "serve train"
)


def missing(promised: str, there: Iterable[str]) -> set[str]:
    return set(promised.split()) - set(there)


def test_public_names_are_those_that_are_promised() -> None:
    assert sorted(espressivo.__all__) == NAMES.split()


def test_methods_settings_and_commands_are_still_there() -> None:
    for kind, promised in METHODS.items():
        assert missing(promised, dir(kind)) == set()
    assert missing(SETTINGS, Options.__annotations__) == set()
    assert missing(COMMANDS, cli.commands) == set()
