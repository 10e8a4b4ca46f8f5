"""The commands that open the page, and write it as a folder of files."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import webbrowser
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import click

from espressivo.cli.options import PATH, STYLES, Example
from espressivo.errors import ServerError
from espressivo.play import DEFAULT_MODEL, bundled

__all__ = ["COMMANDS"]


class _Site(click.ParamType[str]):
    """The address of a web site, without a path."""

    name = "url"

    def convert(self, value: str, param: Any, ctx: Any) -> str:
        """Return it without the slash at its end."""
        site = value.removesuffix("/")
        try:
            parts = urlsplit(site)
            whole = parts.hostname and site == f"{parts.scheme}://{parts.netloc}".lower()
        except ValueError:
            whole = False
        if not whole or parts.scheme not in ("http", "https") or "@" in site:
            self.fail(f"{value!r} is no address like https://piano.example.org", param, ctx)
        return site


@click.command(
    cls=Example,
    epilog="""
    espressivo serve
    espressivo serve --model mine.onnx --model seed --port 8080 --no-browser
    espressivo serve --workers 2 --behind https://piano.example.org --no-browser
    """,
)
@click.option(
    "--model",
    "model_names",
    multiple=True,
    help="A bundled model's name, or a model file, to choose from; by default all bundled ones.",
)
@STYLES
@click.option("--soundfont", type=PATH, help="SF2 or SF3 file; by default the bundled piano.")
@click.option(
    "--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for other machines too."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8321, help="0 takes a free one.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    help="Processes that play; a listener stays with one. One for each core is enough.",
)
@click.option(
    "--listeners",
    type=click.IntRange(1),
    help="Most that play at once; 8 for each worker if not given.",
)
@click.option(
    "--per-address", type=click.IntRange(1), help="Most of these from one address; all by default."
)
@click.option(
    "--behind",
    type=_Site(),
    help="Where a proxy answers for this server, such as https://piano.example.org. Then whoever "
    "the proxy lets in may play, without a token.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
def serve(
    model_names: tuple[str, ...],
    styles: tuple[str, ...],
    soundfont: Path | None,
    host: str,
    port: int,
    workers: int,
    listeners: int | None,
    per_address: int | None,
    behind: str | None,
    browser: bool,
) -> None:
    """Open a page to play with a model.

    It plays for ever, and you steer it and play along. The page works without the internet. Until
    interrupted, the server answers on this machine only. Another --host, such as 0.0.0.0, lets in
    whoever has the address with the token that is then printed. GET /healthz says whether all
    workers play, GET /metrics what they do, as Prometheus reads it.
    """
    server = _server()
    if styles and len(model_names) > 1:
        raise click.UsageError("a style is of one model: give one --model with --style")
    models = server.Models(model_names or ((DEFAULT_MODEL,) if styles else bundled()), styles)
    models.get(models.names[0])  # a file that is none is an error now
    _check(soundfont)
    local = host == "localhost" or server.loopback(host)
    token = None if local or behind else secrets.token_urlsafe(16)
    made = server.make(
        models,
        soundfont,
        host=host,
        listeners=listeners,
        per_address=per_address,
        token=token,
        behind=behind,
        workers=workers,
    )

    def ready(address: str) -> None:
        if token is not None:
            address = f"{address}?token={token}"
        click.echo(f"{address} (Ctrl-C ends it)")
        if behind is not None:
            click.echo(f"Whoever {behind} lets in, or reaches this machine, can play on it.")
        if token is not None:
            click.echo(
                "Whoever has this address and reaches this machine can play on it; others are "
                "refused. What is sent can be read on the way, for it is not encrypted."
            )
        if browser:
            webbrowser.open(address)

    with contextlib.suppress(KeyboardInterrupt):
        server.run(made, host, port, ready)


@click.command(
    cls=Example,
    epilog="""
    espressivo page --out site
    espressivo page --out site --model mine.onnx
    """,
)
@click.option("--out", type=PATH, required=True, help="A new folder, or one written before.")
@click.option(
    "--model",
    "model_names",
    multiple=True,
    default=[DEFAULT_MODEL],
    help="A bundled model's name, or a model file; several can be chosen from.",
)
@click.option("--soundfont", type=PATH, help="SF2 or SF3 file; by default the bundled piano.")
def page(out: Path, model_names: tuple[str, ...], soundfont: Path | None) -> None:
    """Write the page as a folder that plays without a server.

    Any web host serves the folder as it is, and the model plays in the browser of whoever opens
    the page. It keeps itself for later, so it opens without the internet too, and it plays a model
    of one's own that is dropped on it. What MIDI files hold it cannot go on from.
    """
    server = _server()
    _check(soundfont)
    server.write_site(out, model_names, soundfont)
    click.echo(f"{out}: to try it, run python -m http.server --directory {shlex.quote(str(out))}")


def _server() -> ModuleType:
    """Return the room of the page, if what it needs is installed."""
    try:
        from espressivo import server
    except ModuleNotFoundError as error:
        raise ServerError(f"the page needs {error.name}: pip install 'espressivo[serve]'") from None
    return server


def _check(soundfont: Path | None) -> None:
    if soundfont is not None:
        from espressivo.views import check_soundfont

        check_soundfont(soundfont)


COMMANDS = (serve, page)
