"""What commands share: kinds of arguments, and options that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from espressivo.codes import Controls, key, presets
from espressivo.errors import GenerationError

__all__ = [
    "JSON",
    "MODEL",
    "ONE_BASED",
    "PATH",
    "VOCABULARY",
    "Change",
    "Duration",
    "Example",
    "Numbers",
]


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


class Change(click.ParamType[Any]):
    """A setting that changes on the way, as SECOND:SETTING=VALUE; gives second and setting."""

    name = "second:setting=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, dict[str, Any]]:
        """Return the second and the setting, or fail with what was expected."""
        second, _, setting = str(value).partition(":")
        name, _, wanted = (part.strip() for part in setting.partition("="))
        try:
            if name == "key":
                return float(second), {"pitch_weights": key(wanted)}
            if name == "composer":
                return float(second), {name: Controls(composer=wanted).composer}
            if name in ("density", "onset_rate", "loudness", "guidance", "temperature"):
                return float(second), {name: float(wanted)}
        except GenerationError as error:
            self.fail(str(error), param, ctx)
        except ValueError:
            pass
        self.fail(
            f"{value!r} is not a second and a change of density, onset_rate, loudness, key, "
            "composer, guidance or temperature, like '20:density=12'",
            param,
            ctx,
        )


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
    default="espressivo",
    help="A bundled model's name, or a model file.",
)
ONE_BASED = click.option(
    "--one-based", is_flag=True, help="Events are numbered from 1, as in the post, not from 0."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PATH = click.Path(path_type=Path)
