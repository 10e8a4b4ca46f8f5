"""Messages: what a page sends, checked, and music as pages read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from espressivo.errors import ServerError, brief
from espressivo.music import (
    CONTROL_DTYPE,
    PEDAL_THRESHOLD,
    SUSTAIN,
    Performance,
)
from espressivo.play import TimedEvent

__all__ = [
    "MAX_BYTES",
    "MAX_EVENTS",
    "OFFERS",
    "Begin",
    "Between",
    "ChooseModel",
    "Fill",
    "Hear",
    "MidiEvent",
    "PageMessage",
    "Steer",
    "Stop",
    "event",
    "events",
    "latest",
    "parse",
    "performance",
]

MAX_BYTES = 4 << 20
"""No message is longer, in either direction."""

MAX_EVENTS = 100_000
"""No message holds more events: over half an hour of dense music."""

LONGEST_PASSAGE_S = 30.0
"""A passage that is invented anew lasts no longer."""

AROUND_S = 60.0
"""So much is read of what is around it, at most."""

KEEPS = ("left", "right", "rhythm")
"""What can be kept of a passage on the page; see `espressivo.play.keeping`."""

MidiEvent = tuple[float, int, int, int]
"""Seconds, then the three bytes of a MIDI message: its status and two of data."""

_NOTE_OFF, _NOTE_ON, _CONTROL = 0x80, 0x90, 0xB0
_LATEST_S = 1_000_000  # eleven days: music is endless, numbers are not
_MAX_RUN = 1 << 53  # JavaScript counts exactly up to here
_MAX_SEED = 1 << 32
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Begin:
    """Let the model go on after some events."""

    run: int
    time_s: float
    events: tuple[MidiEvent, ...]
    settings: dict[str, Any]
    seed: int | None


@dataclass(frozen=True)
class Stop:
    """End the run."""


@dataclass(frozen=True)
class Steer:
    """Change some of the settings."""

    settings: dict[str, Any]


@dataclass(frozen=True)
class ChooseModel:
    """Play with another model from the next `Begin` on."""

    name: str


@dataclass(frozen=True)
class Hear:
    """Let the model hear that a person strikes a key, or with velocity 0 releases it."""

    pitch: int
    velocity: int


@dataclass(frozen=True)
class Fill:
    """Invent a passage of some events anew, or change a part of its notes.

    What is around the passage is at most `AROUND_S` of the piece.
    """

    run: int
    events: tuple[MidiEvent, ...]
    from_s: float
    to_s: float
    keep: str | None
    amount: float
    settings: dict[str, Any]
    seed: int

    def __post_init__(self) -> None:
        length_s = self.to_s - self.from_s
        if not 0 < length_s <= LONGEST_PASSAGE_S:
            raise ServerError(
                f"a passage ends after it begins and lasts at most {LONGEST_PASSAGE_S:g} s, not "
                f"{length_s:g} s"
            )
        first_s, last_s = self.from_s - AROUND_S, self.to_s + AROUND_S
        if not all(first_s <= event[0] <= last_s for event in self.events):
            raise ServerError(f"events must be within {AROUND_S:g} s of the passage")
        if self.keep is not None and self.amount != 1:
            raise ServerError("something can be kept only with an amount of 1")


@dataclass(frozen=True)
class Between:
    """Let the model play by a point between two passages, or freely if there are none."""

    passages: tuple[tuple[MidiEvent, ...], ...]
    share: float

    def __post_init__(self) -> None:
        if len(self.passages) not in (0, 2):
            raise ServerError("passages must be two lists of events, or none")
        for each in self.passages:
            if each and each[-1][0] - each[0][0] > AROUND_S:
                raise ServerError(f"a passage to lean to lasts at most {AROUND_S:g} s")


PageMessage = Begin | Between | Stop | Steer | ChooseModel | Hear | Fill


def parse(text: str) -> PageMessage:
    """Read a message.

    Raises
    ------
    ServerError
        If it is not a message: the text says which field is wrong and what is allowed. Names and
        values of settings are not checked here, because they depend on the model.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise ServerError("a message must be JSON") from None
    if not isinstance(given, dict):
        raise ServerError("a message must be a JSON object with a type")
    kind = given.pop("type", None)
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ServerError(f"type must be one of {', '.join(_FIELDS)}, not {brief(kind)}")
    made, fields = _FIELDS[kind]
    wrong = sorted(set(given) ^ set(fields))
    if wrong:
        raise ServerError(
            f"{kind} has the fields {sorted(fields)}: {brief(wrong[0])} is not one, or is missing"
        )
    return made(**{name: check(name, given[name]) for name, check in fields.items()})


def event(played: TimedEvent, begin_s: float) -> MidiEvent:
    """Return an event of a stream that began at `begin_s` of the piece, as pages read it."""
    status = {"note_on": _NOTE_ON, "note_off": _NOTE_OFF, "pedal": _CONTROL}[played.kind]
    data = SUSTAIN if played.kind == "pedal" else played.pitch
    return (round(played.time_s + begin_s, 4), status, data, played.velocity)


def events(performance: Performance) -> list[MidiEvent]:
    """Return a performance as pages read it, in order of time."""
    notes = performance.notes
    pedal = performance.controls[performance.controls["number"] == SUSTAIN]
    found: list[MidiEvent] = []
    for status, times, data, values in (
        (_CONTROL, pedal["time_s"], pedal["number"], pedal["value"]),
        (_NOTE_OFF, notes["offset_s"], notes["pitch"], np.zeros(len(notes), int)),
        (_NOTE_ON, notes["onset_s"], notes["pitch"], notes["velocity"]),
    ):
        rows = zip(times.tolist(), data.tolist(), values.tolist(), strict=True)
        found += [(round(time_s, 4), status, one, two) for time_s, one, two in rows]
    return sorted(found, key=lambda found: found[0])


def latest(events: Sequence[MidiEvent], notes: int) -> list[MidiEvent]:
    """Return the events from so many notes before the last on, with the pedal as it then was."""
    struck_s = sorted(time_s for time_s, status, _, value in events if status == _NOTE_ON and value)
    begin_s = struck_s[-notes] if len(struck_s) > notes else 0.0
    pedal = [event for event in events if event[1] == _CONTROL and event[0] < begin_s]
    moved: list[MidiEvent] = [(begin_s, *event[1:]) for event in pedal[-1:]]
    return [*moved, *(event for event in events if event[0] >= begin_s)]


def performance(events: Sequence[MidiEvent], begin_s: float | None = None) -> Performance:
    """Return events as a performance that begins at a time, by default with the first of them.

    A note-off ends the oldest note of its pitch; what still sounds at the end ends there. A
    note-off without a note, and a note without any duration, are left out.
    """
    ordered = sorted(events, key=lambda given: given[0])
    if begin_s is None:
        begin_s = ordered[0][0] if ordered else 0.0
    end_s = ordered[-1][0] if ordered else 0.0
    notes: list[tuple[float, float, int, int]] = []
    moves: list[tuple[float, int, int]] = []
    sounding: dict[int, list[tuple[float, int]]] = {}
    for time_s, status, data, value in ordered:
        if status == _CONTROL:
            moves.append((time_s - begin_s, SUSTAIN, 127 * (value >= PEDAL_THRESHOLD)))
        elif status == _NOTE_ON and value:
            sounding.setdefault(data, []).append((time_s, value))
        elif sounding.get(data):
            struck_s, velocity = sounding[data].pop(0)
            notes.append((struck_s, time_s, data, velocity))
    notes += [(s, end_s, pitch, v) for pitch, struck in sounding.items() for s, v in struck]
    kept = [note for note in notes if note[1] > note[0]]
    columns = np.array(kept, float).reshape(-1, 4).T
    return Performance.from_arrays(
        onset_s=columns[0] - begin_s,
        offset_s=columns[1] - begin_s,
        pitch=columns[2].astype(int),
        velocity=columns[3].astype(int),
        controls=np.array(moves, CONTROL_DTYPE),
    )


def _whole(lowest: int, highest: int, optional: bool = False) -> Any:
    def check(name: str, value: Any) -> int | None:
        if optional and value is None:
            return None
        if type(value) is not int or not lowest <= value <= highest:
            raise ServerError(
                f"{name} must be a whole number within {lowest}..{highest}, not {brief(value)}"
            )
        return value

    return check


def _seconds(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= _LATEST_S:  # as NaN is not either
        raise ServerError(f"{name} must be within 0..{_LATEST_S} seconds, not {brief(value)}")
    return float(value)


def _share(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ServerError(f"{name} must be within 0..1, not {brief(value)}")
    return float(value)


def _keep(name: str, value: Any) -> str | None:
    if value is not None and value not in KEEPS:
        raise ServerError(f"{name} must be one of {', '.join(KEEPS)}, or null, not {brief(value)}")
    return None if value is None else str(value)


def _name(name: str, value: Any) -> str:
    if not (isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME):
        raise ServerError(f"{name} must be a name, not {brief(value)}")
    return value


def _settings(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ServerError(f"{name} must be an object, not {brief(value)}")
    return value


def _events(name: str, value: Any) -> tuple[MidiEvent, ...]:
    if not isinstance(value, list) or len(value) > MAX_EVENTS:
        raise ServerError(f"{name} must be a list of at most {MAX_EVENTS} events")
    return tuple(_event(each) for each in value)


def _passages(name: str, value: Any) -> tuple[tuple[MidiEvent, ...], ...]:
    if not isinstance(value, list):
        raise ServerError(f"{name} must be a list of two lists of events, or of none")
    return tuple(_events("a passage", each) for each in value[:3])


def _event(value: Any) -> MidiEvent:
    if not (isinstance(value, list) and len(value) == 4):
        raise ServerError(f"an event must be [time_s, status, data1, data2], not {brief(value)}")
    time_s, status, one, two = value
    if type(status) is not int or status not in (_NOTE_OFF, _NOTE_ON, _CONTROL):
        raise ServerError(f"the status of an event must be 128, 144 or 176, not {brief(status)}")
    data = _whole(SUSTAIN, SUSTAIN) if status == _CONTROL else _whole(0, 127)
    return (
        _seconds("time_s of an event", time_s),
        status,
        data("data1 of an event", one),
        _whole(0, 127)("data2 of an event", two),
    )


_FIELDS: dict[str, tuple[type[PageMessage], dict[str, Any]]] = {
    "begin": (
        Begin,
        {
            "run": _whole(0, _MAX_RUN),
            "time_s": _seconds,
            "events": _events,
            "settings": _settings,
            "seed": _whole(0, _MAX_SEED, optional=True),
        },
    ),
    "stop": (Stop, {}),
    "between": (Between, {"passages": _passages, "share": _share}),
    "steer": (Steer, {"settings": _settings}),
    "choose_model": (ChooseModel, {"name": _name}),
    "hear": (Hear, {"pitch": _whole(0, 127), "velocity": _whole(0, 127)}),
    "fill": (
        Fill,
        {
            "run": _whole(0, _MAX_RUN),
            "events": _events,
            "from_s": _seconds,
            "to_s": _seconds,
            "keep": _keep,
            "amount": _share,
            "settings": _settings,
            "seed": _whole(0, _MAX_SEED),
        },
    ),
}

OFFERS = (*_FIELDS, "file")
"""What a page may send: types of messages, and the content of a file."""
