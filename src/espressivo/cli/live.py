"""The command that plays with a person at a MIDI keyboard. It needs no torch."""

from __future__ import annotations

import contextlib
import csv
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from espressivo.cli.options import (
    JSON,
    MODEL,
    STYLES,
    Between,
    Example,
    Output,
)
from espressivo.errors import EspressivoError
from espressivo.files import replacing

if TYPE_CHECKING:
    from espressivo.live import Live, SentMessage

__all__ = ["COMMANDS"]

_KINDS = {0x80: "note_off", 0x90: "note_on", 0xB0: "control"}


@click.command(
    cls=Example,
    epilog="""
    espressivo live --ports
    espressivo live --in "Digital Piano" --out "Digital Piano" --pause 1
    espressivo live --in Keystation --out FLUID --channel 1 --log sent.csv --json
    espressivo live --in "from DAW" --out "to DAW" --follow-clock
    espressivo live --in Keystation --out FLUID --send-clock 96
    espressivo live --in Keystation --out FLUID --learn-touch 30
    """,
)
@click.option("--in", "in_name", help="MIDI input to listen to, or a part of its name.")
@click.option("--out", "out_name", help="MIDI output to play on, or a part of its name.")
@click.option("--ports", is_flag=True, help="List the ports, and do nothing else.")
@click.option(
    "--pause",
    "pause_s",
    type=Between(0, min_open=True),
    default=1.5,
    help="Seconds of silence after which the model takes over.",
)
@click.option(
    "--channel",
    type=click.IntRange(1, 16),
    help="MIDI channel to hear and to play on; otherwise all are heard and 1 is played on.",
)
@click.option(
    "--follow-clock",
    is_flag=True,
    help="Follow the MIDI clock of the input: turns begin on its beats and end when it stops, and "
    "the music becomes faster and slower with it.",
)
@click.option(
    "--send-clock",
    type=Between(10, 400),
    help="Send a MIDI clock with so many quarters a minute; turns begin on its beats.",
)
@click.option(
    "--velocity-curve",
    type=Between(0.25, 4),
    default=1.0,
    help="Of your keyboard: below 1 what you play counts as louder, above 1 as softer.",
)
@click.option(
    "--learn-touch",
    "learn_touch_s",
    type=Between(0),
    default=0.0,
    help="Learn that curve from your first seconds of playing, 30 for instance; it is told at the "
    "end.",
)
@MODEL
@STYLES
@click.option(
    "--temperature",
    type=Between(0),
    default=0.9,
    help="Of pitches: lower plays safer, higher wilder.",
)
@click.option("--seed", type=click.IntRange(0), help="The same seed and playing: the same answers.")
@click.option(
    "--log", "log_file", type=Output(".csv"), help="CSV file: when each message was due and sent."
)
@JSON
def live(
    in_name: str | None,
    out_name: str | None,
    ports: bool,
    pause_s: float,
    channel: int | None,
    model_name: str,
    styles: tuple[str, ...],
    log_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Play with a person at a MIDI keyboard, by turns, until Ctrl-C.

    The model listens while you play, takes over after a pause and goes on from your last notes.
    It yields as soon as you strike a key. It is your turn as long as a key or the sustain pedal
    is down. Your own notes are not sent on.
    """
    from espressivo.live import Input, Output, port_names

    if ports:
        _show_ports(port_names(), as_json)
        return
    if in_name is None or out_name is None:
        raise click.UsageError("give --in and --out, or --ports to see which there are")
    if options["follow_clock"] and options["send_clock"] is not None:
        raise click.UsageError("give one of --follow-clock and --send-clock")
    with Input(in_name) as keys, Output(out_name) as instrument:
        from espressivo.live import Live
        from espressivo.play import load

        def check() -> None:
            keys.check()
            instrument.check()

        failure = None
        with _logged(log_file) as log:
            player = Live(
                load(model_name, styles),
                instrument,
                pause_s=pause_s,
                channel=None if channel is None else channel - 1,
                log=log,
                **options,
            )
            keys.listen(player.hear, clock=options["follow_clock"])
            click.echo(f"hears {keys.name}, plays on {instrument.name}; Ctrl-C ends it", err=True)
            try:
                with _stopped_by_signals(player):
                    player.run(check)
            except EspressivoError as error:  # the log is kept all the same
                failure = error
    _show(player.summary(), as_json)
    if failure is not None:
        raise failure


@contextlib.contextmanager
def _stopped_by_signals(player: Live) -> Iterator[None]:
    """Let Ctrl-C, and what else ends a program, end the notes first."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # not every system has the last two
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda *_: player.stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _logged(path: Path | None) -> Iterator[Callable[[SentMessage], None] | None]:
    """Give a function that writes what was sent to a CSV file; times count from now."""
    if path is None:
        yield None
        return
    begin_s = time.perf_counter()  # the clock of `Live`
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("due_s", "sent_s", "late_ms", "why", "message", "number", "value"))

        def log(sent: SentMessage) -> None:
            status, number, value = sent.message
            due_s, sent_s = sent.due_s - begin_s, sent.sent_s - begin_s
            row = (f"{due_s:.6f}", f"{sent_s:.6f}", f"{1000 * (sent_s - due_s):.3f}")
            writer.writerow((*row, sent.why, _KINDS[status & 0xF0], number, value))

        yield log


def _show_ports(names: dict[str, list[str]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(names))
        return
    for way, ports in names.items():
        for name in ports or ["none"]:
            click.echo(f"{way:4} {name}")


def _show(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(
        f"{summary['turns']} turns, {summary['notes']} notes, {summary['yields']} yields, "
        f"{summary['delays']} delays of {summary['delayed_s']} s in all"
    )
    if summary["velocity_curve"] != 1:
        click.echo(f"velocity curve {summary['velocity_curve']:g}")
    for name, words in (("late_ms", "sent after it was due"), ("yield_ms", "yielded after a key")):
        if summary[name] is not None:
            p50, p99, most = (summary[name][part] for part in ("p50", "p99", "max"))
            click.echo(f"{words}: median {p50} ms, 99 % within {p99} ms, at most {most} ms")


COMMANDS = (live,)
