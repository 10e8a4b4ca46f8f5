"""Provenance: which model, seed and settings made a performance, kept in its MIDI file.

Three events at the beginning of a written file hold it: the licence as copyright notice, a line
for people, and a text that begins with ``espressivo:`` and goes on with one JSON object in ASCII
and with sorted keys, which `read_provenance` reads. It holds no date, no name of a computer and no
path, so that the same provenance always gives the same bytes.

What a file says is data from a stranger: every field is checked, and nothing is ever evaluated.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from espressivo.errors import MidiError, brief
from espressivo.midi import smf
from espressivo.version import __version__

__all__ = ["MAX_TEXT_BYTES", "Provenance", "find", "is_provenance", "read_provenance"]

MAX_TEXT_BYTES = 64 << 10
"""Longer texts are neither written nor read."""

_PREFIX = b"espressivo:"
_MARK = _PREFIX + b"{"  # without the brace it may be a direction to the player
_TEXTS = range(smf.TEXT, smf.TEXT + 15)  # the types of meta events that hold text
_MAX_CHARACTERS, _MAX_DEPTH = 200, 8
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Provenance:
    """Which model, seed and settings made a performance.

    Parameters
    ----------
    model : str
        Name of the model.
    model_sha256 : str
        SHA-256 of its file, 64 hexadecimal digits in lower case.
    licence : str
        Licence of the model, which its performances come under too.
    seed : int
        Seed of this performance, at least 0.
    settings : mapping
        The arguments that differ from their defaults: plain JSON values under string keys, nested
        at most 8 deep (the mapping itself is the first level), without NaN and infinity. Kept as
        a copy, in which tuples are lists.
    primer_sha256 : str, optional
        SHA-256 of the primer, in the same form; None if there was no primer.
    command : str
        What made it.
    version : str
        Version of espressivo.

    Strings have 1..200 printable characters, except for those in the settings.

    Raises
    ------
    MidiError
        If a field has a wrong type or is out of range, or all of them are too long together
        (`MAX_TEXT_BYTES`).
    """

    model: str
    model_sha256: str
    licence: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    primer_sha256: str | None = None
    command: str = "generate"
    version: str = __version__

    def __post_init__(self) -> None:
        for name in ("model", "licence", "command", "version"):
            value = getattr(self, name)
            if not (
                isinstance(value, str) and value.isprintable() and 0 < len(value) <= _MAX_CHARACTERS
            ):
                _refuse(name, f"a text of 1..{_MAX_CHARACTERS} printable characters", value)
        for name in ("model_sha256", "primer_sha256"):
            value = getattr(self, name)
            if value is None and name == "primer_sha256":
                continue
            if not (isinstance(value, str) and _SHA256.fullmatch(value)):
                _refuse(name, "64 hexadecimal digits in lower case", value)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            _refuse("seed", "a whole number, at least 0", self.seed)
        if not isinstance(self.settings, Mapping):
            _refuse("settings", "a mapping", self.settings)
        object.__setattr__(self, "settings", _plain(self.settings, _MAX_DEPTH))
        try:
            size = max(len(text) for _, text in self.texts())
        except ValueError as error:  # a number of more than 4300 digits
            raise MidiError(f"provenance: {error}") from None
        if size > MAX_TEXT_BYTES:
            raise MidiError(
                f"provenance: it takes {size} bytes as text: at most {MAX_TEXT_BYTES} are allowed"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Provenance:
        """Return the provenance that `to_dict` describes; every field must be there.

        Raises
        ------
        MidiError
            If a field is missing or unknown, or as in the class.
        """
        names = {one.name for one in dataclasses.fields(cls)}
        for problem, wrong in (("unknown", set(plain) - names), ("missing", names - set(plain))):
            if wrong:
                raise MidiError(f"provenance: {problem} field {brief(min(wrong, key=str))}")
        return cls(**plain)

    def texts(self) -> list[tuple[int, bytes]]:
        """Return the meta events that hold the provenance: status (see `smf`) and data."""
        content = json.dumps(
            self.to_dict(), allow_nan=False, separators=(",", ":"), sort_keys=True
        ).encode("ascii")
        line = (
            f"Made with espressivo {self.version}; model {self.model}; seed {self.seed}; "
            f"licence {self.licence}"
        )
        return [
            (smf.COPYRIGHT, self.licence.encode()),
            (smf.TEXT, line.encode()),
            (smf.TEXT, _PREFIX + content),
        ]


def read_provenance(source: bytes | str | os.PathLike[str]) -> Provenance | None:
    """Return the provenance in a MIDI file, or None if it has none.

    It is looked for in the texts of all tracks, since other programs move them when they save a
    file.

    Parameters
    ----------
    source : bytes or path
        The content of a MIDI file, or where one is.

    Raises
    ------
    MidiError
        If the file cannot be read, is not a MIDI file or is damaged; if its provenance is damaged;
        or if it holds several that differ, as when two performances were joined, unless only one of
        them names a primer. The message is one line and begins with the path, or with ``<bytes>``.
    """
    name, content = (
        ("<bytes>", source) if isinstance(source, bytes) else (str(source), smf.load(source))
    )
    try:
        _, _, tracks, oddities = smf.chunks(smf.unwrap(content))
        return find((status, data) for _, _, status, data in smf.all_events(tracks, oddities))
    except MidiError as error:
        raise MidiError(f"{name}: {error}") from None


def find(events: Iterable[tuple[int, bytes]]) -> Provenance | None:
    """Return the provenance among events of a file, each a status (see `smf.events`) and data.

    A file that goes on from another one keeps what that says of itself, so of several the only one
    that names a primer counts.

    Raises
    ------
    MidiError
        As in `read_provenance`.
    """
    found: list[Provenance] = []
    for status, data in events:
        if is_provenance(status, data):
            one = _parsed(data.strip(b" \t\r\n\0"))
            if one not in found:
                found.append(one)
    continuing = [one for one in found if one.primer_sha256 is not None]
    if len(found) > 1 and len(continuing) == 1:
        return continuing[0]
    if len(found) > 1:
        raise MidiError(f"provenance: the file holds {len(found)} that differ, where one is needed")
    return found[0] if found else None


def is_provenance(status: int, data: bytes) -> bool:
    """Tell whether an event holds a provenance, sound or damaged."""
    return status in _TEXTS and data.lstrip(b" \t\r\n\0").startswith(_MARK)


def _parsed(text: bytes) -> Provenance:
    if len(text) > MAX_TEXT_BYTES:
        raise MidiError(
            f"provenance: a text of {len(text)} bytes: at most {MAX_TEXT_BYTES} are allowed"
        )
    try:
        plain = json.loads(text.removeprefix(_PREFIX).decode("ascii"))
    except RecursionError:
        raise MidiError("provenance: damaged: it is nested too deeply") from None
    except ValueError as error:  # also of json and of decoding
        raise MidiError(f"provenance: damaged: {error}") from None
    return Provenance.from_dict(plain)


def _plain(value: Any, depth: int) -> Any:
    """Return a copy of a JSON value among the settings, with lists for tuples, or refuse it."""
    if isinstance(value, Mapping | list | tuple) and not depth:
        raise MidiError(f"provenance: settings are nested more than {_MAX_DEPTH} deep")
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(one, depth - 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, depth - 1) for one in value]
    finite = isinstance(value, float) and math.isfinite(value)
    if value is None or finite or isinstance(value, str | int):
        return value
    return _refuse("settings", "plain JSON values", value)


def _refuse(name: str, allowed: str, value: Any) -> NoReturn:
    raise MidiError(f"provenance: {name} must be {allowed}, not {brief(value)}")
