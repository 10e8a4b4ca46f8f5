"""What commands share: kinds of arguments, and options that several of them have."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
import numpy as np

from espressivo.codes import Ids, Vocabulary, following, presets
from espressivo.errors import CodecError, GenerationError
from espressivo.files import check_folder, check_writable, ending, is_stdout, is_url, printable
from espressivo.music import Performance, read
from espressivo.play import DEFAULT_MODEL, Options, Settings, bundled, load
from espressivo.progress import Console

if TYPE_CHECKING:
    from espressivo.networks import Pretrained

__all__ = [
    "JSON",
    "MIDI",
    "MODEL",
    "ONE_BASED",
    "PATH",
    "PLACE",
    "PRIMER_EVENTS",
    "STYLES",
    "VOCABULARY",
    "Between",
    "Change",
    "Duration",
    "Example",
    "Folder",
    "Meter",
    "Numbers",
    "Output",
    "checked",
    "finite",
    "given",
    "need",
    "performance_of",
    "primer_events",
    "report",
    "weights_of",
]

Given = TypeVar("Given")
Made = TypeVar("Made")

MIDI = (".mid", ".midi", ".kar")
"""Endings of MIDI files."""


class Example(click.Command):
    """A command whose help ends with its examples, given one per line in the epilog."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, instead of as a paragraph."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")


class Numbers(click.ParamType[Any]):
    """Whole numbers separated by commas or spaces, braces and brackets ignored."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        """Return the numbers, or fail with what was expected."""
        if isinstance(value, list):
            return value
        words = str(value).strip("{}[]() \n").replace(",", " ").split()
        try:
            return [int(word) for word in words]
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers, like '60,216,148'", param, ctx)


class Between(click.FloatRange):
    """A number in a range, which is also finite."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number, or fail with the range."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class Change(click.ParamType[Any]):
    """A setting that changes on the way, as SECOND:SETTING=VALUE; gives second and setting."""

    name = "second:setting=value"
    _NAMES = (
        "density",
        "onset_rate",
        "loudness",
        "key",
        "composer",
        "guidance",
        "returns",
        "temperature",
    )

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, Options]:
        """Return the second and the setting, or fail with what was expected."""
        second, _, setting = str(value).partition(":")
        name, _, wanted = (part.strip() for part in setting.partition("="))
        try:
            if name not in self._NAMES:
                raise ValueError
            change = {name: wanted if name in ("key", "composer") else float(wanted)}
            options = cast("Options", change)
            Settings().changed(**options)
            return float(second), options
        except GenerationError as error:
            self.fail(str(error), param, ctx)
        except ValueError:
            pass
        self.fail(
            f"{value!r} is not a second and a change of density, onset_rate, loudness, key, "
            "guidance, returns or temperature, like '20:density=12'",
            param,
            ctx,
        )


class Output(click.Path):
    """A file to write, whose name ends in one of some endings, or a stream, such as ``-``.

    A stream without an ending is given what has the first of them.
    """

    def __init__(self, *endings: str) -> None:
        super().__init__(path_type=Path, readable=False)
        self._endings = endings

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path, or fail with the endings that there are; `OSError` if unwritable."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if ending(path, self._endings[0]) not in self._endings:
            self.fail(f"{path}: the name must end in {', '.join(self._endings)}", param, ctx)
        check_writable(path)
        return path


class Folder(click.Path):
    """A folder to write in, which is made if it is not there.

    With `urls` it may also be a URL, whose text is returned.
    """

    def __init__(self, *, urls: bool = False) -> None:
        super().__init__(path_type=Path)
        self._urls = urls

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the path; `OSError` if something else than a folder is there."""
        if self._urls and is_url(value):
            return str(value)
        return check_folder(os.fsdecode(super().convert(value, param, ctx)))


class Meter(click.ParamType[Any]):
    """A time signature, as 3/4."""

    name = "n/n"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return it, or fail with what was expected."""
        over, _, under = str(value).partition("/")
        if over.isdecimal() and 1 <= int(over) <= 24 and under in ("1", "2", "4", "8", "16"):
            return f"{int(over)}/{under}"
        self.fail(f"{value!r} is not a time signature like 3/4 or 6/8", param, ctx)


class Duration(click.ParamType[Any]):
    """Hours, minutes and seconds, as HH:MM:SS; gives seconds."""

    name = "hh:mm:ss"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the seconds, or fail with what was expected."""
        parts = str(value).split(":")
        if len(parts) == 3 and all(part.isdigit() for part in parts):
            hours, minutes, seconds = map(int, parts)
            if minutes < 60 and seconds < 60 and hours + minutes + seconds > 0:
                return 3600.0 * hours + 60 * minutes + seconds
        self.fail(f"{value!r} is not a time like 02:30:00", param, ctx)


VOCABULARY = click.option(
    "--vocabulary",
    "vocabulary_name",
    type=click.Choice(presets()),
    default="seed",
    help="The event code.",
)
MODEL = click.option(
    "--model",
    "model_name",
    default=DEFAULT_MODEL,
    help="A bundled model's name, a model file, a folder with one, or hf:organisation/name.",
)
STYLES = click.option(
    "--style",
    "styles",
    multiple=True,
    help="A style to play in: the name of one that comes with the model, as chopin, or a file that "
    "learn wrote for it, as mine.style; mine.style:0.7 for less of it. Several are mixed.",
)
ONE_BASED = click.option(
    "--one-based", is_flag=True, help="Events are numbered from 1, as in the post, not from 0."
)
PRIMER_EVENTS = click.option(
    "--primer-events",
    type=Numbers(),
    help="Events to begin with, like '60,216,148', of the model's vocabulary.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PATH = click.Path(path_type=Path)


class _Place(click.Path):
    """A path, or a URL as it is."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a path, or the text of a URL."""
        return str(value) if is_url(value) else super().convert(value, param, ctx)


PLACE = _Place(path_type=Path)


def given(ctx: click.Context) -> set[str]:
    """Return the names of the parameters that stand on the command line."""
    source = click.core.ParameterSource.COMMANDLINE
    return {name for name in ctx.params if ctx.get_parameter_source(name) is source}


def report(line: str, output: Path) -> None:
    """Print a line about an output: to standard error, if standard output holds that."""
    click.echo(printable(line), err=is_stdout(output))


def checked(option: str, make: Callable[[Given], Made], value: Given) -> Made:
    """Return what is made of the value of an option; a refusal names the option."""
    try:
        return make(value)
    except (CodecError, GenerationError) as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def performance_of(file: Path) -> Performance:
    """Return what a file plays; while a recording is transcribed, say how far that is."""
    return read(file, progress=Console(sys.stderr))


def primer_events(numbers: list[int] | None, v: Vocabulary, one_based: bool) -> Ids | None:
    """Return the ids that --primer-events gives, which must be of a vocabulary."""
    if numbers is None:
        if one_based:
            raise click.UsageError("--one-based goes with --primer-events")
        return None
    ids = checked("--primer-events", v.from_one_based if one_based else v.check, numbers)
    if v.notewise:  # in which not every list makes sense
        followers = following(v)[1]
        places = np.flatnonzero(~followers[np.append(v.size, ids[:-1]), ids])
        if len(places):
            at = int(places[0])
            raise click.BadParameter(
                f"number {at + 1}, {numbers[at]}, is {v.describe(int(ids[at]))!r} in the "
                f"vocabulary {v.name!r} of the model, where it cannot stand: choose the model "
                "that the events are of by --model",
                param_hint="--primer-events",
            )
    return ids


def finite(figure: float) -> float | None:
    """Return None for what JSON cannot hold, such as the nats of a run never validated."""
    return round(figure, 4) if math.isfinite(figure) else None


def need(*modules: str) -> None:
    """Refuse a command of the learning half where its libraries are not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise click.ClickException(
            f"this needs {' and '.join(missing)}: pip install 'espressivo[train]'"
        )


def weights_of(model: Path) -> Pretrained:
    """Return the network of a folder that export wrote, of a model file, or of a bundled model."""
    need("torch", "safetensors")
    from espressivo.networks import load_pretrained

    if not model.is_file() and str(model) not in bundled():
        return load_pretrained(model)
    need("onnx")
    from espressivo.export import read_back

    return read_back(load(model).engine)
