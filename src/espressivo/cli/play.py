"""Commands of the playing half: they need no torch."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from espressivo import play as primers
from espressivo.cli.options import (
    JSON,
    MODEL,
    ONE_BASED,
    PATH,
    VOCABULARY,
    Change,
    Example,
    Numbers,
)
from espressivo.codes import COMPOSERS, LONGEST_KEY_S, LONGEST_NOTE_S, Controls, key
from espressivo.codes import vocabulary as preset
from espressivo.errors import CodecError, GenerationError
from espressivo.play import ENDINGS
from espressivo.views import check_path, is_sound

if TYPE_CHECKING:
    from espressivo.codes import Ids, Vocabulary
    from espressivo.music import Performance
    from espressivo.play import Model

__all__ = ["COMMANDS"]

Given = TypeVar("Given")
Made = TypeVar("Made")

_SIDE_BY_SIDE = 32  # takes; more are hardly faster, and the files come later

_TEMPERATURE = click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=1.0,
    help="Below 1 plays safer, above 1 wilder; 0 always takes the likeliest event.",
)
_PRIMER_EVENTS = click.option(
    "--primer-events", type=Numbers(), help="Events to begin with, like '60,216,148'."
)
_PRIMER_PITCHES = click.option(
    "--primer-pitches", type=Numbers(), help="A chord to begin with, like '60,64,67'."
)
_PRIMER_CHORDS = click.option(
    "--primer-chords", help="Chords to begin with, a second each, like 'C Am F G7'."
)


@click.command(
    cls=Example,
    epilog="""
    espressivo events performance.mid --vocabulary seed
    espressivo events --decode "300,60,64,67,226,148,152,155" --one-based -o chord.mid
    """,
)
@click.argument("file", type=PATH, required=False)
@click.option("--decode", type=Numbers(), help="Events to play instead of a file to read.")
@click.option("-o", "--output", type=PATH, help="MIDI file to write, with --decode.")
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
    """Show the events of a MIDI FILE, or write a list of events as MIDI.

    Each line shows a number, the time in seconds, the event, and what it means.
    """
    if (file is None) == (decode is None):
        raise click.UsageError("give either a MIDI file or --decode with a list of events")
    if output is not None and decode is None:
        raise click.UsageError("-o goes with --decode")
    v = preset(vocabulary_name)
    if file is not None:
        from espressivo import midi

        performance = midi.read(file)
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
        ids = v.from_one_based(decode or []) if one_based else v.check(decode or [])
    if output is not None:
        performance = v.decode(ids)
        performance.write(output)
        if not as_json:
            click.echo(_written(output, performance))
            return
    _show_events(ids, v, one_based, as_json)


def _show_events(ids: Ids, v: Vocabulary, one_based: bool, as_json: bool) -> None:
    from espressivo.codes import grid_steps

    seconds = (grid_steps(ids, v) / v.steps_per_second).tolist()
    numbers = (ids + one_based).tolist()
    if as_json:
        about = {"vocabulary": v.name, "one_based": one_based, "events": numbers, "time_s": seconds}
        click.echo(json.dumps(about))
        return
    words = {id_: v.describe(id_) for id_ in set(ids.tolist())}
    for index, (number, time_s, id_) in enumerate(zip(numbers, seconds, ids.tolist(), strict=True)):
        click.echo(f"{index:7d} {time_s:9.2f} {number:4d}  {words[id_]}")


@click.command(
    cls=Example,
    epilog="""
    espressivo generate --seconds 30 --temperature 1.0 --seed 7 -o out.mid
    espressivo generate --primer mine.mid --seconds 60 --include-primer -o continued.mid
    espressivo generate --primer-events "60,216,148,62,200,150" --one-based --events 500 -o out.mid
    espressivo generate --primer-chords "C Am F G" --seconds 60 -o song.mid
    espressivo generate --events 200 --beam 8 -o likeliest.mid
    espressivo generate --count 10 --seed 1 -o take.mid
    espressivo generate --seconds 30 -o out.wav
    """,
)
@MODEL
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), help="Length; 30 if neither is given."
)
@click.option("--events", type=click.IntRange(1), help="Length in events instead.")
@click.option(
    "--ending",
    type=click.Choice(ENDINGS),
    default="natural",
    help="natural: come to a close in the last seconds; cut: stop after exactly --seconds; own: "
    "until the model ends the piece, within --seconds.",
)
@_TEMPERATURE
@click.option("--pitch-temperature", type=click.FloatRange(0), help="For the choice of pitches.")
@click.option("--time-temperature", type=click.FloatRange(0), help="For the lengths of time.")
@click.option("--velocity-temperature", type=click.FloatRange(0), help="For the loudness.")
@click.option("--top-k", type=click.IntRange(1), help="Choose among the k likeliest events.")
@click.option(
    "--top-p", type=click.FloatRange(0, 1, min_open=True), help="Choose among the likeliest p."
)
@click.option(
    "--min-p",
    type=click.FloatRange(0, 1),
    help="Choose among events at least this part as likely as the likeliest.",
)
@click.option("--lowest-pitch", type=click.IntRange(0, 127), default=0, help="MIDI pitch.")
@click.option("--highest-pitch", type=click.IntRange(0, 127), default=127, help="MIDI pitch.")
@click.option("--polyphony", type=click.IntRange(1), help="Most notes that sound at once.")
@click.option(
    "--longest-note",
    "longest_note_s",
    type=click.FloatRange(0, min_open=True),
    help=f"Seconds after which a note is ended, instead of {LONGEST_NOTE_S:g}, or "
    f"{LONGEST_KEY_S:g} where the model plays the pedal.",
)
@click.option(
    "--longest-rest",
    "longest_rest_s",
    type=click.FloatRange(0, min_open=True),
    help="Seconds of silence after which a note is struck.",
)
@click.option("--avoid-loops/--no-avoid-loops", default=False, help="Break loops of notes.")
@click.option("--density", type=click.FloatRange(0), help="Ask for so many notes a second.")
@click.option(
    "--onset-rate",
    type=click.FloatRange(0),
    help="Ask for so many onsets a second, a chord being one.",
)
@click.option("--loudness", type=click.FloatRange(1, 127), help="Ask for this mean velocity.")
@click.option("--key", "key_name", help="Ask for the pitches of a key, like 'F# minor'.")
@click.option(
    "--pitch-weights",
    type=Numbers(),
    help="Ask for pitch classes by 12 shares, from C upwards; 0 rules one out.",
)
@click.option(
    "--composer",
    type=click.Choice(COMPOSERS, case_sensitive=False),
    help="Ask for the manner of a composer.",
)
@click.option(
    "--guidance",
    type=click.FloatRange(0),
    default=1.0,
    help="How strongly what is asked counts: 1 as learned, 2 or 3 for more.",
)
@click.option(
    "--at",
    "changes",
    type=Change(),
    multiple=True,
    help="Change a control, guidance or temperature on the way: '20:density=12', '40:key=C major'.",
)
@click.option(
    "--beam", type=click.IntRange(1), help="Search the likeliest --events, following so many lists."
)
@click.option("--stochastic", is_flag=True, help="With --beam, draw different lists by chance.")
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same file.")
@click.option("--primer", type=PATH, help="MIDI file to continue.")
@_PRIMER_EVENTS
@_PRIMER_PITCHES
@_PRIMER_CHORDS
@ONE_BASED
@click.option(
    "--include-primer/--no-include-primer", default=False, help="Write the primer too, or not."
)
@click.option("--count", type=click.IntRange(1), default=1, help="Files: out-1.mid, out-2.mid, ...")
@click.option(
    "-o",
    "--output",
    type=PATH,
    required=True,
    help="File to write: sound if it ends in .wav, .flac, .ogg or .mp3, else MIDI.",
)
@JSON
def generate(
    model_name: str,
    primer: Path | None,
    primer_events: list[int] | None,
    primer_pitches: list[int] | None,
    primer_chords: str | None,
    one_based: bool,
    include_primer: bool,
    seconds: float | None,
    events: int | None,
    ending: str,
    beam: int | None,
    stochastic: bool,
    count: int,
    output: Path,
    seed: int | None,
    key_name: str | None,
    pitch_weights: list[int] | None,
    changes: tuple[tuple[float, dict[str, Any]], ...],
    as_json: bool,
    **settings: Any,
) -> None:
    """Play: generate a performance, from nothing or as the continuation of a primer.

    With --count, take number n is played with the seed plus n - 1, or is the n-th that --beam
    found. Without --seed one is drawn and shown.
    """
    if seconds and events:
        raise click.UsageError("give --seconds or --events, not both")
    if beam is not None and (events is None or count > beam):
        raise click.UsageError("--beam goes with --events, and --count is at most --beam")
    if stochastic and beam is None:
        raise click.UsageError("--stochastic goes with --beam")
    if key_name and pitch_weights:
        raise click.UsageError("give --key or --pitch-weights, not both")
    if beam is not None and changes:
        raise click.UsageError("--at does not go with --beam")
    if key_name:
        settings["pitch_weights"] = _checked("--key", key, key_name)
    elif pitch_weights:
        settings["pitch_weights"] = _checked("--pitch-weights", _weights, pitch_weights)
    if is_sound(output):
        check_path(output)  # before the work, not after it
    model = _model(model_name)
    begin = _primer(model, primer, primer_events, one_based, primer_pitches, primer_chords)
    seed = secrets.randbelow(2**31) if seed is None else seed
    shared: dict[str, Any] = {"events": events, "primer": begin, **settings}
    played: Iterable[tuple[int, Performance]]
    if beam is not None:
        found = model.beam_search(width=beam, stochastic=stochastic, seed=seed, **shared)
        played = [(seed, model.decode(f.ids, begin, include_primer)) for f in found[:count]]
    else:
        changing: dict[float, dict[str, Any]] = {}
        for second, change in changes:
            changing.setdefault(second, {}).update(change)
        shared |= {"seconds": seconds, "ending": ending, "include_primer": include_primer}
        shared["changes"] = changing
        played = _takes(model, count, seed, shared)
    takes = []
    for number, (own_seed, performance) in enumerate(played):
        name = f"{output.stem}-{number + 1}{output.suffix}" if count > 1 else output.name
        path = output.with_name(name)
        performance.write(path)
        takes.append(
            {
                "file": str(path),
                "seed": own_seed,
                "notes": len(performance),
                "seconds": round(performance.seconds, 3),
            }
        )
        if not as_json:
            click.echo(f"{_written(path, performance)}, seed {own_seed}")
    if as_json:
        click.echo(json.dumps({"model": model_name, "takes": takes}))


@click.command(
    "next",
    cls=Example,
    epilog='espressivo next --model seed --primer-events "60,216,148" --one-based --top 5',
)
@MODEL
@click.option("--primer", type=PATH, help="MIDI file to begin with.")
@_PRIMER_EVENTS
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
    """Show the most probable next events after a primer, in words and numbers."""
    model = _model(model_name)
    likeliest = model.next_events(_primer(model, primer, primer_events, one_based), top=top)
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
    """List the bundled models, or show the card of one, or of a model file."""
    from espressivo.play import bundled

    names = [model_name] if model_name else bundled()
    cards = {}
    for name in names:
        model = _model(name)
        about = {"vocabulary": model.vocabulary.name, "network": model.engine.network}
        cards[name] = {**model.card, **about}
    if as_json:
        click.echo(json.dumps(cards))
        return
    for name, card in cards.items():
        click.echo(name)
        for entry, value in card.items():
            click.echo(f"  {entry}: {value}")


def _model(name: str) -> Model:
    from espressivo.play import load

    return load(name)


def _takes(
    model: Model, count: int, seed: int, shared: dict[str, Any]
) -> Iterator[tuple[int, Performance]]:
    """Play takes with their seeds, some of them side by side."""
    for first in range(seed, seed + count, _SIDE_BY_SIDE):
        seeds = range(first, min(first + _SIDE_BY_SIDE, seed + count))
        if len(seeds) == 1:
            yield first, model.generate(seed=first, **shared)
        else:
            yield from zip(
                seeds, model.generate_batch(len(seeds), seed=first, **shared), strict=True
            )


def _primer(
    model: Model,
    file: Path | None,
    numbers: list[int] | None,
    one_based: bool,
    pitches: list[int] | None = None,
    chords: str | None = None,
) -> Performance | Ids | None:
    if sum(given is not None for given in (file, numbers, pitches, chords)) > 1:
        raise click.UsageError(
            "give one of --primer, --primer-events, --primer-pitches and --primer-chords"
        )
    if file is not None:
        from espressivo import midi

        return midi.read(file)
    if pitches is not None:
        return _checked("--primer-pitches", primers.pitches, pitches)
    if chords is not None:
        return _checked("--primer-chords", primers.chords, chords)
    if numbers is None:
        return None
    v: Vocabulary = model.vocabulary
    return _checked("--primer-events", v.from_one_based if one_based else v.check, numbers)


def _weights(numbers: list[int]) -> tuple[float, ...] | None:
    return Controls(pitch_weights=tuple(numbers)).pitch_weights


def _checked(option: str, make: Callable[[Given], Made], value: Given) -> Made:
    try:
        return make(value)
    except (CodecError, GenerationError) as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _written(path: Path, performance: Performance) -> str:
    return f"{path}: {len(performance)} notes, {performance.seconds:.1f} s"


COMMANDS = (events, generate, next_, models)
