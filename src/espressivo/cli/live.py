"""Commands that play in real time, with a person or alone. They need no torch."""

from __future__ import annotations

import contextlib
import csv
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click

from espressivo.cli.options import (
    JSON,
    MODEL,
    PATH,
    STYLES,
    Between,
    Example,
    Output,
)
from espressivo.errors import EspressivoError
from espressivo.files import replacing
from espressivo.progress import Console, counted

if TYPE_CHECKING:
    from espressivo.live import Endless, Live, Outputs, SentMessage, Speakers

__all__ = ["COMMANDS"]

_KINDS = {0x80: "note_off", 0x90: "note_on", 0xB0: "control"}


_SOUND = click.option(
    "--sound", is_flag=True, help="Play through the bundled piano, with or without --out."
)
_DEVICE = click.option(
    "--sound-device", help="Sound device for --sound, or a part of its name; else the system's."
)
_SEND_CLOCK = click.option(
    "--send-clock",
    type=Between(10, 400),
    help="Send a MIDI clock with so many quarters a minute; turns begin on its beats.",
)
_TEMPERATURE = click.option(
    "--temperature",
    type=Between(0),
    default=0.9,
    help="Of pitches: lower plays safer, higher wilder.",
)
_LOG = click.option(
    "--log", "log_file", type=Output(".csv"), help="CSV file: when each message was due and sent."
)


@click.command(
    cls=Example,
    epilog="""
    espressivo live --ports
    espressivo live --in "Digital Piano" --out "Digital Piano" --pause 1
    espressivo live --in Keystation --sound
    espressivo live --in Keystation --out FLUID --channel 1 --log sent.csv --json
    espressivo live --in "from DAW" --out "to DAW" --follow-clock
    espressivo live --in Keystation --out FLUID --send-clock 96
    espressivo live --in Keystation --out FLUID --learn-touch 30
    """,
)
@click.option("--in", "in_name", help="MIDI input to listen to, or a part of its name.")
@click.option("--out", "out_name", help="MIDI output to play on, or a part of its name.")
@click.option("--ports", is_flag=True, help="List the ports, and do nothing else.")
@_SOUND
@_DEVICE
@click.option(
    "--mute-keys",
    is_flag=True,
    help="With --sound: your own notes do not sound, for a keyboard that sounds by itself.",
)
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
@_SEND_CLOCK
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
@_TEMPERATURE
@click.option("--seed", type=click.IntRange(0), help="The same seed and playing: the same answers.")
@_LOG
@JSON
def live(
    in_name: str | None,
    out_name: str | None,
    ports: bool,
    sound: bool,
    sound_device: str | None,
    mute_keys: bool,
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
    is down. With --sound your own notes sound too; to --out they are not sent.
    """
    from espressivo.live import Input, Live, port_names

    if ports:
        _show_ports(port_names(), as_json)
        return
    if in_name is None or (out_name is None and not sound):
        raise click.UsageError("give --in and --out or --sound, or --ports to see which there are")
    _check(sound, sound_device, out_name, options)
    if mute_keys and not sound:
        raise click.UsageError("--mute-keys goes with --sound")
    with Input(in_name) as keys, _opened(out_name, sound, sound_device) as played:
        from espressivo.play import load

        speakers = played.speakers

        def begin(log: Callable[[SentMessage], None] | None) -> Live:
            player = Live(
                load(model_name, styles),
                played.outputs,
                echo=None if mute_keys or speakers is None else speakers.instrument.player(),
                channel=None if channel is None else channel - 1,
                log=log,
                **options,
            )
            keys.listen(player.hear, clock=options["follow_clock"])
            return player

        _run(begin, f"hears {keys.name}", [keys, *played.checked], played, log_file, as_json)


@click.command(
    cls=Example,
    epilog="""
    espressivo stream --sound
    espressivo stream --out FLUID --seed 1 --seconds 600
    espressivo stream --out FLUID --primer mine.mid --temperature 1.1
    espressivo stream --out "to DAW" --in "from DAW" --follow-clock
    espressivo stream --out FLUID --send-clock 96
    """,
)
@click.option("--out", "out_name", help="MIDI output to play on, or a part of its name.")
@_SOUND
@_DEVICE
@click.option(
    "--in", "in_name", help="With --follow-clock: MIDI input with the clock, or a part of its name."
)
@click.option(
    "--follow-clock",
    is_flag=True,
    help="Follow the MIDI clock of --in: the music begins anew with its start, ends with its stop, "
    "goes on when it continues, and becomes faster and slower with it.",
)
@_SEND_CLOCK
@click.option("--channel", type=click.IntRange(1, 16), default=1, help="MIDI channel to play on.")
@click.option("--primer", type=PATH, help="MIDI file to go on from; it is not played itself.")
@click.option("--seconds", type=Between(0, min_open=True), help="End by itself after so long.")
@MODEL
@STYLES
@_TEMPERATURE
@click.option("--seed", type=click.IntRange(0), help="The same seed: the same music.")
@_LOG
@JSON
def stream(
    out_name: str | None,
    sound: bool,
    sound_device: str | None,
    in_name: str | None,
    channel: int,
    seconds: float | None,
    model_name: str,
    styles: tuple[str, ...],
    log_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Play without end, in real time, until Ctrl-C."""
    from espressivo.live import Endless, Input

    if out_name is None and not sound:
        raise click.UsageError("give --out or --sound; espressivo live --ports lists the outputs")
    _check(sound, sound_device, out_name, options)
    if (in_name is not None) != options["follow_clock"]:
        raise click.UsageError("--in and --follow-clock go together")
    with contextlib.ExitStack() as stack:
        heard = [] if in_name is None else [stack.enter_context(Input(in_name))]
        played = stack.enter_context(_opened(out_name, sound, sound_device))
        from espressivo.play import load

        def begin(log: Callable[[SentMessage], None] | None) -> Endless:
            model = load(model_name, styles)
            player = Endless(model, played.outputs, channel=channel - 1, log=log, **options)
            for port in heard:
                port.listen(player.hear, clock=True)
            if seconds is not None:
                end = threading.Timer(seconds, player.stop)
                end.daemon = True
                end.start()
            return player

        hears = "".join(f"follows {port.name}" for port in heard) or model_name
        _run(begin, hears, [*heard, *played.checked], played, log_file, as_json)


class _Checked(Protocol):
    """What may go while it is used."""

    def check(self) -> None:
        """Raise an `EspressivoError` if it has gone."""


class _Played(NamedTuple):
    """What is played on."""

    outputs: Outputs
    names: str
    checked: Sequence[_Checked]
    speakers: Speakers | None


@contextlib.contextmanager
def _opened(out_name: str | None, sound: bool, device: str | None) -> Iterator[_Played]:
    """Open the piano, the port or both."""
    from espressivo.live import Output, Outputs, Speakers

    with contextlib.ExitStack() as stack:
        port = None if out_name is None else stack.enter_context(Output(out_name))
        speakers = None
        if sound:
            with counted(Console(sys.stderr), "keys", "piano") as tell:
                speakers = stack.enter_context(Speakers(device, tell))
        players = [] if speakers is None else [speakers.instrument.player()]
        opened = [one for one in (speakers, port) if one is not None]
        outputs = Outputs(*players, *([] if port is None else [port]))
        yield _Played(outputs, " and ".join(one.name for one in opened), opened, speakers)


def _check(sound: bool, device: str | None, out_name: str | None, options: dict[str, Any]) -> None:
    """Refuse options of which one misses what it goes with."""
    if device is not None and not sound:
        raise click.UsageError("--sound-device goes with --sound")
    if options["follow_clock"] and options["send_clock"] is not None:
        raise click.UsageError("give one of --follow-clock and --send-clock")
    if options["send_clock"] is not None and out_name is None:
        raise click.UsageError("--send-clock goes with --out: the bundled piano needs no clock")


def _run(
    begin: Callable[[Callable[[SentMessage], None] | None], Live | Endless],
    hears: str,
    checked: Sequence[_Checked],
    played: _Played,
    log_file: Path | None,
    as_json: bool,
) -> None:
    """Play until it is ended; then show the figures."""

    def check() -> None:
        for one in checked:
            one.check()

    failure = None
    with _logged(log_file) as log:
        player = begin(log)
        click.echo(f"{hears}, plays on {played.names}; Ctrl-C ends it", err=True)
        try:
            with _stopped_by_signals(player):
                player.run(check)
        except EspressivoError as error:  # the log is kept all the same
            failure = error
    figures = player.summary()
    if played.speakers is not None:
        figures |= {"delay_ms": played.speakers.delay_ms, "underruns": played.speakers.underruns}
    _show(figures, as_json)
    if failure is not None:
        raise failure


@contextlib.contextmanager
def _stopped_by_signals(player: Live | Endless) -> Iterator[None]:
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
    yields = f"{summary['yields']} yields, " if "yields" in summary else ""
    click.echo(
        f"{summary['turns']} turns, {summary['notes']} notes, {yields}"
        f"{summary['delays']} delays of {summary['delayed_s']} s in all"
    )
    if summary.get("velocity_curve", 1) != 1:
        click.echo(f"velocity curve {summary['velocity_curve']:g}")
    if "underruns" in summary:
        click.echo(
            f"{summary['underruns']} times the system had no sound to play; "
            f"it was heard {summary['delay_ms']:g} ms after it was made"
        )
    for name, words in (("late_ms", "sent after it was due"), ("yield_ms", "yielded after a key")):
        if summary.get(name) is not None:
            p50, p99, most = (summary[name][part] for part in ("p50", "p99", "max"))
            click.echo(f"{words}: median {p50} ms, 99 % within {p99} ms, at most {most} ms")


COMMANDS = (live, stream)
