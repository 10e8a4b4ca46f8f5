"""The command that opens the page."""

from __future__ import annotations

import contextlib
import secrets
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
@click.option(
    "--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for other machines too."
)
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
    only. Another --host, such as 0.0.0.0, lets in whoever has the address with the token that is
    then printed.
    """
    try:
        from espressivo.server import Models, loopback, make, run
    except ModuleNotFoundError as error:
        raise ServerError(f"the page needs {error.name}: pip install 'espressivo[serve]'") from None
    from espressivo.play import bundled
    from espressivo.views import check_soundfont

    models = Models(model_names or bundled())
    models.get(models.names[0])  # a file that is none is an error now
    if soundfont is not None:
        check_soundfont(soundfont)
    token = None if host == "localhost" or loopback(host) else secrets.token_urlsafe(16)
    made = make(models, soundfont, host=host, listeners=listeners, token=token)

    def ready(address: str) -> None:
        if token is not None:
            address = f"{address}?token={token}"
        click.echo(f"{address} (Ctrl-C ends it)")
        if token is not None:
            click.echo(
                "Whoever has this address and reaches this machine can play on it; others are "
                "refused. What is sent can be read on the way, for it is not encrypted."
            )
        if browser:
            webbrowser.open(address)

    with contextlib.suppress(KeyboardInterrupt):
        run(made, host, port, ready)


COMMANDS = (serve,)
