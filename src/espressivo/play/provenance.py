"""Provenance of what a model plays: what its file says of it, and how the same is made again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from espressivo.errors import GenerationError
from espressivo.midi import Provenance
from espressivo.music import Performance
from espressivo.play.model import Model
from espressivo.play.primers import digest, opened
from espressivo.play.settings import Options, Settings
from espressivo.version import __version__

__all__ = ["arguments_of", "provenance_of"]

_NAMES = Options.__annotations__.keys() | {
    *("seconds", "events", "notes", "ending", "form", "changes"),
    *("primer", "primer_chords", "primer_pitches", "include_primer"),
    *("beam", "stochastic", "take"),
}
_DEFAULTS: dict[str, Any] = {
    **{field.name: field.default for field in dataclasses.fields(Settings)},
    "include_primer": False,
    "stochastic": False,
    "changes": {},
}


def provenance_of(model: Model, seed: int, arguments: Mapping[str, Any]) -> Provenance:
    """Return what the file of a performance says of how it was made.

    Parameters
    ----------
    model : Model
        One of a model file.
    seed : int
    arguments : mapping
        The other ones of `Model.generate`. A primer is named by its hash if it is a performance or
        a file, and kept if it is a sequence of ids. `beam` (its width), `stochastic` and `take`,
        counted from 1, say instead which result of `Model.beam_search` it is.

    Raises
    ------
    GenerationError
        If there is an unknown argument.
    MidiError
        If all is too long for the file.

    Examples
    --------
    ::

        arguments = {"seconds": 60, "key": "A minor"}
        performance = model.generate(seed=1, **arguments)
        performance.write("new.mid", provenance=provenance_of(model, 1, arguments))
    """
    _check(arguments)
    kept = dict(arguments)
    begin = opened(kept.pop("primer", None))
    settings = {
        name: value
        for name, value in kept.items()
        if value is not None and value != _DEFAULTS.get(name)
    }
    if "changes" in settings:
        settings["changes"] = [[second, dict(new)] for second, new in kept["changes"].items()]
    primer_sha256 = digest(begin) if isinstance(begin, Performance) else None
    if begin is not None and primer_sha256 is None:
        settings["primer"] = np.asarray(begin).tolist()
    return Provenance(
        model=str(model.card.get("name") or "unnamed"),
        model_sha256=model.engine.sha256,
        licence=str(model.card.get("licence") or "unspecified"),
        seed=seed,
        settings=settings,
        primer_sha256=primer_sha256,
    )


def arguments_of(
    provenance: Provenance, model: Model, primer: Performance | None = None
) -> dict[str, Any]:
    """Return the arguments with which a model makes again what has this provenance.

    They are those that `provenance_of` was given; what is in a file from a stranger is checked as
    they are, when they are used.

    Raises
    ------
    GenerationError
        If the version, the model or the primer is another one, an argument is unknown, or it was
        played live on the page.
    """
    if provenance.command == "page":
        raise GenerationError("it was played live on the page, and cannot be made again")
    for what, before, now in (
        ("version of espressivo", provenance.version, __version__),
        ("model", provenance.model_sha256, model.engine.sha256),
        ("primer", provenance.primer_sha256, None if primer is None else digest(primer)),
    ):
        if before != now:
            raise GenerationError(
                f"it was made with another {what} ({before or 'none'}, not {now or 'none'})"
            )
    arguments = dict(provenance.settings)
    _check(arguments)
    if not isinstance(arguments.get("primer", []), list):  # the path of a file, say
        raise GenerationError("its primer is not a list of ids")
    arguments["changes"] = {second: new for second, new in arguments.get("changes", [])}
    return arguments if primer is None else {**arguments, "primer": primer}


def _check(arguments: Mapping[str, Any]) -> None:
    unknown = sorted(arguments.keys() - _NAMES)
    if unknown:
        raise GenerationError(f"{unknown[0]!r} is not an argument of what plays a piece")
