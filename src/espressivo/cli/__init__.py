"""The command line. The only package that prints or exits, but for `__main__`, which loads it.

``demo``, ``generate``, ``fill``, ``notate``, ``perform``, ``play``, ``show`` and ``space`` hold the
commands that need no torch, ``serve`` and ``live`` those that play for ever, ``learn``, ``own``,
``transcribe`` and ``export`` those that need torch, ``measure`` those that say how good a model is,
and ``options`` what they share.
"""

from __future__ import annotations

import io
import logging
import signal
import sys

import click

from espressivo.cli import (
    demo,
    export,
    fill,
    generate,
    learn,
    live,
    measure,
    notate,
    own,
    perform,
    play,
    serve,
    show,
    space,
    transcribe,
)
from espressivo.errors import EspressivoError, GenerationError
from espressivo.files import printable
from espressivo.version import __version__

__all__ = ["cli", "main"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="espressivo")
@click.pass_context
def cli(context: click.Context) -> None:
    """Learn how people play the piano from MIDI performances, and play."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


_MODULES = (
    demo,
    generate,
    fill,
    notate,
    perform,
    play,
    space,
    show,
    transcribe,
    serve,
    live,
    learn,
    own,
    export,
    measure,
)

for command in (command for module in _MODULES for command in module.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Run the command line; one line and exit 1 on bad input, 2 on what cannot be asked for."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # which has few letters on some systems
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.basicConfig(format="espressivo: %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary files are removed
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.UsageError as error:
        help_ = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        _complain(" ".join(error.format_message().split()).rstrip(".") + help_)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted")
        sys.exit(130)
    except (EspressivoError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        _complain(message)
        sys.exit(2 if isinstance(error, GenerationError) else 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}")
        sys.exit(1)


def _complain(message: str) -> None:
    click.echo(f"espressivo: {printable(message)}", err=True)
