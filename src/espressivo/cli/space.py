"""The commands of the space of passages: from one to another, what is like what, and a map."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from typing import Any

import click

from espressivo import midi
from espressivo.cli.options import (
    JSON,
    MIDI,
    MODEL,
    PATH,
    Between,
    Example,
    Output,
    performance_of,
    report,
)
from espressivo.errors import GenerationError
from espressivo.files import printable, replacing
from espressivo.music import Performance
from espressivo.progress import Console, counted

__all__ = ["COMMANDS"]

_INDEX = click.option(
    "--index",
    "index_file",
    type=Output(".npz"),
    help="Where the index of the folder is kept, if not in the folder.",
)
_NAMES = {
    "denser": "more notes a second",
    "louder": "higher velocities",
    "brighter": "higher pitches",
    "calmer": "loudness that changes less from note to note",
    "smoother": "notes that last longer into the next",
}


def _directions(command: Any) -> Any:
    for name, meaning in reversed(_NAMES.items()):
        command = click.option(
            f"--{name}",
            type=Between(-4, 4),
            default=0.0,
            help=f"Ask for {meaning}; 1 is what people's passages differ by, below 0 is less.",
        )(command)
    return command


@click.command(
    cls=Example,
    epilog="""
    espressivo morph mine.mid another.mid --steps 8 -o morph.mid
    espressivo morph mine.mid another.mid --from-a 1.5 --calmer 1 -o morph.mid
    espressivo morph mine.mid --denser 1 --louder -0.5 -o denser.mid
    """,
)
@click.argument("a", type=PATH)
@click.argument("b", type=PATH, required=False)
@click.option(
    "--steps", type=click.IntRange(1, 64), default=8, help="Passages between the two, of 48 events."
)
@click.option("--from-a", type=Between(0), default=0.0, help="Second of A at which its passage is.")
@click.option("--from-b", type=Between(0), default=0.0, help="Second of B at which its passage is.")
@_directions
@click.option("--like", type=PATH, help="Go half of the way to the mean of this MIDI file, too.")
@MODEL
@click.option(
    "--candidates",
    type=click.IntRange(1),
    default=8,
    help="How many are played of each passage; the one nearest to what was asked for is taken.",
)
@click.option("--temperature", type=Between(0), default=0.8, help="Of pitches: lower plays safer.")
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same file.")
@click.option("-o", "--output", type=Output(*MIDI), required=True, help="MIDI file to write.")
@JSON
def morph(
    a: Path,
    b: Path | None,
    steps: int,
    from_a: float,
    from_b: float,
    like: Path | None,
    model_name: str,
    candidates: int,
    temperature: float,
    seed: int | None,
    output: Path,
    as_json: bool,
    **directions: float,
) -> None:
    """Go by passages from one MIDI file to another, or change one.

    The result begins with the passage of A as it was played, and ends with that of B. With A alone,
    all of A is played anew, passage by passage, with what is asked for changed.
    """
    from espressivo.play import load

    context = click.get_current_context()
    if b is None:
        for name in ("steps", "from_a", "from_b"):
            if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
                raise click.UsageError(f"--{name.replace('_', '-')} needs a second file")
    space = load(model_name).space()
    first = space.encode(_read(a, from_a))
    moved = space.latent.towards(**{k: v for k, v in directions.items() if v})
    seed = secrets.randbelow(2**31) if seed is None else seed
    arguments: dict[str, Any] = {
        "seed": seed, "candidates": candidates, "temperature": temperature,
    }  # fmt: skip
    other = None if like is None else space.encode(_read(like, 0)).means.mean(0)
    total = len(first.means) if b is None else steps
    with counted(Console(sys.stderr), "passages", "morph") as tell:
        done = 0

        def told(more: int) -> None:
            nonlocal done
            done += more
            tell(done, total)

        if b is None:
            if other is not None:
                moved = moved + (other - first.means.mean(0)) / 2
            played = space.decode(
                first.means + moved,
                summaries=space.summaries(first, moved),
                told=told,
                **arguments,
            )
        else:
            last = space.encode(_read(b, from_b))
            ends = (first, first.passages.at(from_a)), (last, last.passages.at(from_b))
            if other is not None:
                middle = (ends[0][0].means[ends[0][1]] + ends[1][0].means[ends[1][1]]) / 2
                moved = moved + (other - middle) / 2
            played = space.morph(*ends, steps, moved=moved, told=told, **arguments)
    midi.write(played, output)
    if as_json:
        about = {"file": str(output), "passages": total, "seed": seed, "notes": len(played.notes)}
        report(json.dumps({**about, "seconds": round(played.seconds, 2)}), output)
        return
    report(
        f"{output}: {total} passages, {len(played.notes)} notes, {played.seconds:.1f} s, "
        f"seed {seed}",
        output,
    )


def _read(file: Path, from_s: float) -> Performance:
    """Read a file that has notes, and a passage at a second."""
    performance = performance_of(file)
    if not len(performance.notes):
        raise click.ClickException(f"{file}: has no notes")
    if from_s > performance.seconds:
        raise GenerationError(f"{file}: ends at {performance.seconds:.6g} s, before {from_s:g} s")
    return performance


@click.command(
    cls=Example,
    epilog="""
    espressivo similar mine.mid my-playing
    espressivo similar mine.mid my-playing --top 3 --json
    """,
)
@click.argument("file", type=PATH)
@click.argument("folder", type=PATH)
@click.option("--top", type=click.IntRange(1), default=10, help="How many performances.")
@click.option("--places", type=click.IntRange(0), default=1, help="How many passages of each.")
@_INDEX
@JSON
def similar(
    file: Path, folder: Path, top: int, places: int, index_file: Path | None, as_json: bool
) -> None:
    """Find what in a FOLDER of MIDI files is most like a FILE.

    It says where they are alike, too. The first time, the folder is read, and an index of it is
    kept in it; later, only what is new.
    """
    from espressivo.latent import bundled_latent, passages_of
    from espressivo.similar import search, update

    latent = bundled_latent()
    passages = passages_of(_read(file, 0), latent.length, latent.vocabulary)
    index = update(folder, latent, file=index_file, progress=Console(sys.stderr))
    root, mine = folder.resolve(), file.resolve()
    own = mine.relative_to(root).as_posix() if mine.is_relative_to(root) else None
    found = search(index, latent, passages, top=top, places=places, without=own)
    if as_json:
        rows = [
            {
                "file": one.name,
                "alike": round(one.alike, 4),
                "passages": [
                    {
                        "alike": round(match.alike, 4),
                        "seconds": [round(time_s, 2) for time_s in match.mine_s],
                        "their_seconds": [round(time_s, 2) for time_s in match.theirs_s],
                    }
                    for match in one.passages
                ],
            }
            for one in found
        ]
        about = {"file": str(file), "files": len(index), "left_out": dict(index.left_out)}
        click.echo(json.dumps({**about, "similar": rows}))
        return
    for one in found:
        click.echo(f"{one.alike:.2f}  {printable(one.name)}")
        for match in one.passages:
            here, there = (f"{t[0]:.1f} to {t[1]:.1f} s" for t in (match.mine_s, match.theirs_s))
            click.echo(f"      {match.alike:.2f}  {here} is like {there}")
    if not found:
        click.echo("nothing else is in the folder")
    _tell_left_out(index.left_out)


@click.command(name="map", cls=Example, epilog="espressivo map my-playing -o map.html")
@click.argument("folder", type=PATH)
@click.option("-o", "--output", type=Output(".html"), required=True, help="Page to write.")
@click.option(
    "--most", type=click.IntRange(3, 20_000), default=2000, help="How many passages at most."
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the layout.")
@_INDEX
@JSON
def map_(
    folder: Path, output: Path, most: int, seed: int, index_file: Path | None, as_json: bool
) -> None:
    """Draw a map of what is alike in a FOLDER of MIDI files.

    Passages that are alike lie beside one another. The page is one file, and plays what is clicked
    without anything from elsewhere.
    """
    from espressivo.latent import bundled_latent
    from espressivo.similar import laid_out, map_page, update

    latent = bundled_latent()
    index = update(folder, latent, file=index_file, progress=Console(sys.stderr))
    points = laid_out(index, most=most, seed=seed)
    page = map_page(index, points, folder)
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    if as_json:
        about = {"file": str(output), "files": len(index), "left_out": dict(index.left_out)}
        report(json.dumps({**about, "passages": len(points)}), output)
        return
    report(f"{output}: {len(points)} passages of {len(index)} files", output)
    _tell_left_out(index.left_out)


def _tell_left_out(left_out: Any) -> None:
    if left_out:
        name, reason = next(iter(left_out.items()))
        files = "1 file" if len(left_out) == 1 else f"{len(left_out)} files"
        click.echo(printable(f"{files} left out, such as {name}: {reason}"), err=True)


COMMANDS = (morph, similar, map_)
