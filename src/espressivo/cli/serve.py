"""The command that opens the page."""

from __future__ import annotations

import contextlib
import webbrowser
from pathlib import Path

import click

from espressivo.cli.options import PATH, Example
from espressivo.errors import ServerError

__all__ = ["COMMANDS"]


@click.command(
    cls=Example,
    epilog="""
    espressivo serve
    espressivo serve --model mine.onnx --model seed --port 8080 --no-browser
    """,
)
@click.option(
    "--model",
    "model_names",
    multiple=True,
    help="A bundled model's name, or a model file, to choose from; by default all bundled ones.",
)
@click.option("--soundfont", type=PATH, help="SF2 or SF3 file; by default the bundled piano.")
@click.option("--host", default="127.0.0.1", help="Address to listen on; this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), default=8321, help="0 takes a free one.")
@click.option("--listeners", type=click.IntRange(1), default=8, help="Most that play at once.")
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
def serve(
    model_names: tuple[str, ...],
    soundfont: Path | None,
    host: str,
    port: int,
    listeners: int,
    browser: bool,
) -> None:
    """Open a page to play with a model: it plays for ever, and you steer it and play along.

    The page works without the internet. Until interrupted, the server answers on this machine
    only; another --host lets others in, without any password.
    """
    try:
        from espressivo.server import Models, make, run
    except ModuleNotFoundError as error:
        raise ServerError(f"the page needs {error.name}: pip install 'espressivo[serve]'") from None
    from espressivo.play import bundled

    models = Models(model_names or bundled())
    models.get(models.names[0])  # a file that is none is an error now
    if soundfont is not None and not soundfont.is_file():
        raise ServerError(f"{soundfont}: no such soundfont; give an SF2 or SF3 file")
    made = make(models, soundfont, host=host, listeners=listeners)

    def ready(address: str) -> None:
        click.echo(f"{address} (Ctrl-C ends it)")
        if browser:
            webbrowser.open(address)

    with contextlib.suppress(KeyboardInterrupt):
        run(made, host, port, ready)


COMMANDS = (serve,)
