"""Commands of the playing half: they need no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from espressivo.cli.options import (
    JSON,
    MIDI,
    MODEL,
    ONE_BASED,
    PATH,
    PRIMER_EVENTS,
    VOCABULARY,
    Example,
    Numbers,
    Output,
    checked,
    performance_of,
    report,
)
from espressivo.cli.options import primer_events as events_to_begin_with
from espressivo.codes import vocabulary as preset
from espressivo.files import is_stdout, printable
from espressivo.music import is_recording
from espressivo.play import DEFAULT_MODEL, bundled, bundled_styles, load

if TYPE_CHECKING:
    from espressivo.codes import Ids, Vocabulary

__all__ = ["COMMANDS"]


@click.command(
    cls=Example,
    epilog="""
    espressivo events performance.mid --vocabulary seed
    espressivo events --decode "300,60,64,67,226,148,152,155" --one-based -o c.mid
    """,
)
@click.argument("file", type=PATH, required=False)
@click.option("--decode", type=Numbers(), help="Events to play instead of a file to read.")
@click.option("-o", "--output", type=Output(*MIDI), help="MIDI file to write, with --decode.")
@VOCABULARY
@ONE_BASED
@JSON
def events(
    file: Path | None,
    decode: list[int] | None,
    output: Path | None,
    vocabulary_name: str,
    one_based: bool,
    as_json: bool,
) -> None:
    """Show the events of a MIDI FILE, or write some as MIDI.

    Each line shows a number, the time in seconds, the event, and what it means.
    """
    if (file is None) == (decode is None):
        raise click.UsageError("give either a MIDI file or --decode with a list of events")
    if output is not None and decode is None:
        raise click.UsageError("-o goes with --decode")
    v = preset(vocabulary_name)
    if file is not None:
        performance = performance_of(file)
        ids = v.encode(performance)
        lost = int(
            (
                (performance.notes["pitch"] < v.lowest_pitch)
                | (performance.notes["pitch"] > v.highest_pitch)
            ).sum()
        )
        if lost:
            click.echo(
                f"espressivo: {file}: {lost} notes outside pitches {v.lowest_pitch}.."
                f"{v.highest_pitch} are left out",
                err=True,
            )
    else:
        ids = checked("--decode", v.from_one_based if one_based else v.check, decode or [])
    if output is not None:
        performance = v.decode(ids)
        performance.write(output)
        if not as_json:
            report(f"{output}: {len(performance)} notes, {performance.seconds:.1f} s", output)
            return
    _show_events(ids, v, one_based, as_json, err=output is not None and is_stdout(output))


def _show_events(ids: Ids, v: Vocabulary, one_based: bool, as_json: bool, err: bool) -> None:
    from espressivo.codes import grid_steps

    seconds = (grid_steps(ids, v) / v.steps_per_second).tolist()
    numbers = (ids + one_based).tolist()
    if as_json:
        about = {"vocabulary": v.name, "one_based": one_based, "events": numbers, "time_s": seconds}
        click.echo(json.dumps(about), err=err)
        return
    words = {id_: v.describe(id_) for id_ in set(ids.tolist())}
    for index, (number, time_s, id_) in enumerate(zip(numbers, seconds, ids.tolist(), strict=True)):
        click.echo(f"{index:7d} {time_s:9.2f} {number:4d}  {words[id_]}")


@click.command(
    cls=Example,
    epilog="""
    espressivo info performance.mid
    espressivo info performance.mid --json
    """,
)
@click.argument("file", type=PATH)
@JSON
def info(file: Path, as_json: bool) -> None:
    """Show what a MIDI FILE holds, and how it was made, if known.

    That is tracks, tempo, notes and pedals; model, seed and settings.
    """
    from espressivo import midi

    if is_recording(file):
        raise click.ClickException(
            f"{file}: is sound: transcribe it first: espressivo transcribe {file} -o take.mid"
        )
    found = midi.describe(file)
    click.echo(json.dumps(found.to_dict()) if as_json else "\n".join(found.lines()))


@click.command(
    "next",
    cls=Example,
    epilog='espressivo next --model seed --primer-events "60,216,148" --one-based --top 5',
)
@MODEL
@click.option("--primer", type=PATH, help="MIDI file to begin with.")
@PRIMER_EVENTS
@ONE_BASED
@click.option("--top", type=click.IntRange(1), default=5)
@JSON
def next_(
    model_name: str,
    primer: Path | None,
    primer_events: list[int] | None,
    one_based: bool,
    top: int,
    as_json: bool,
) -> None:
    """Show the most probable next events after a primer."""
    if primer is not None and primer_events is not None:
        raise click.UsageError("give one of --primer and --primer-events")
    model = load(model_name)
    ids = events_to_begin_with(primer_events, model.vocabulary, one_based)
    likeliest = model.next_events(ids if primer is None else performance_of(primer), top=top)
    rows = [
        {
            "event": id_ + one_based,
            "probability": probability,
            "meaning": model.vocabulary.describe(id_),
        }
        for id_, probability in likeliest
    ]
    if as_json:
        click.echo(json.dumps({"model": model_name, "one_based": one_based, "next": rows}))
        return
    for row in rows:
        click.echo(f"{row['probability']:8.4f} {row['event']:4d}  {row['meaning']}")


@click.command(
    cls=Example,
    epilog="""
    espressivo models
    espressivo models gru.onnx --json
    """,
)
@click.argument("model_name", metavar="[MODEL]", required=False)
@JSON
def models(model_name: str | None, as_json: bool) -> None:
    """List the bundled models, or show the card of one or of a file."""
    names = [model_name] if model_name else bundled()
    cards = {}
    for name in names:
        model = load(name)
        about = {"vocabulary": model.vocabulary.name, "network": model.engine.network}
        styles = {"styles": bundled_styles()} if name == DEFAULT_MODEL and bundled_styles() else {}
        cards[name] = {**model.card, **about, **styles}
    if as_json:
        click.echo(json.dumps(cards))
        return
    for name, card in cards.items():
        click.echo(printable(name))
        for entry, value in card.items():
            shown = ", ".join(value) if entry == "styles" else value
            click.echo(printable(f"  {entry}: {shown}"))


COMMANDS = (events, info, next_, models)
