"""Commands that measure models."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from espressivo.cli.options import JSON, PATH, Between, Example, Folder
from espressivo.errors import EspressivoError
from espressivo.files import check_writable, locked, printable

__all__ = ["COMMANDS"]

_COUNT = click.IntRange(1)
_PIANIST = "pianist"  # the bundled model that performs scores
_LISTED = 20  # files that are named; the report names all


@click.command(
    cls=Example,
    epilog="""
    espressivo evaluate seed recordings
    espressivo evaluate seed recordings --out report
    espressivo evaluate seed maestro --csv maestro/maestro-v3.0.0.csv --split test
    espressivo evaluate 4gram:data recordings
    espressivo evaluate pianist asap --perform --half B
    """,
)
@click.argument("model")
@click.argument("files", type=PATH, nargs=-1, required=True)
@click.option(
    "--csv",
    type=PATH,
    help="Table that gives each file its split: MAESTRO's own, or one with columns path, split "
    "and composition.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    help="Take only the files of this split.",
)
@click.option(
    "--half",
    type=click.Choice(["A", "B"]),
    help="Take only half of the compositions: A to choose settings on, B to report on.",
)
@click.option(
    "--samples",
    type=click.IntRange(0),
    default=32,
    help="Performances that the model plays, to be compared with human ones; 0 for none.",
)
@click.option(
    "--seconds",
    type=Between(1),
    default=60.0,
    help="Length of the clips of samples and of people that are compared.",
)
@click.option(
    "--train",
    type=PATH,
    help="Dataset or folder of the training pieces: are notes of samples taken from them? With "
    "--csv, those of a folder that it has in the split train.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of samples and human clips.")
@click.option("--events", type=_COUNT, help="Score only so many events of each piece.")
@click.option("--quick", is_flag=True, help="First 500 events of each piece, at most 4 samples.")
@click.option(
    "--judge",
    is_flag=True,
    help="Let a forest tell 200 clips of 30 s from as many of people; espressivo[train].",
)
@click.option(
    "--fill",
    "fills",
    type=click.IntRange(0),
    default=0,
    help="Gaps of 4 s, at random places of the pieces, that are filled, and half as many of 10 s.",
)
@click.option(
    "--fill-judge",
    default="seed",
    help="Model that tells how likely what follows a fill is; not the MODEL that fills.",
)
@click.option(
    "--perform",
    "performs",
    is_flag=True,
    help="MODEL plays scores ('pianist' is the bundled one) and FILES is a folder of scores and "
    "performances such as ASAP, of which those held out for validation are measured.",
)
@click.option("--out", type=Folder(), help="Folder for report.html and report.json.")
@click.option("--workers", type=_COUNT, help="Processes; one for each core if not given.")
@JSON
def evaluate(
    model: str,
    files: Sequence[Path],
    csv: Path | None,
    split: str | None,
    half: Literal["A", "B"] | None,
    samples: int,
    seconds: float,
    train: Path | None,
    seed: int,
    events: int | None,
    quick: bool,
    judge: bool,
    fills: int,
    fill_judge: str,
    performs: bool,
    out: Path | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Measure a MODEL on MIDI FILES, or on folders of them.

    MODEL is a bundled model's name, a model file, or a baseline counted on the training pieces of
    a prepared dataset: uniform:DATASET, unigram:DATASET or 4gram:DATASET.

    Whole pieces are scored, each event once, given all before it. Figures come with 95 %
    intervals over pieces. Files that cannot be read are skipped and named. With --out, a run that
    was stopped goes on where it was.
    """
    if not performs and (csv is None) != (split is None):
        raise click.UsageError("--csv and --split go together")
    if train is not None and not samples:
        raise click.UsageError("--train needs --samples")
    if performs:
        if csv or train or judge or fills or events or len(files) > 1:
            raise click.UsageError(
                "--perform takes one folder, and of the options --half, --split, --out and --json"
            )
        _perform(model, files[0], split, half, out, as_json)
        return
    from espressivo.data import processes
    from espressivo.evaluation import evaluate as measure
    from espressivo.evaluation import write_page
    from espressivo.progress import Console
    from espressivo.views import blank

    if out is not None:
        blank(1, 1)  # so that a missing matplotlib is told now, and not after the work
        _make_folder(out, "report", ".json", ".html")
    console = Console(sys.stderr)
    workers = workers or os.cpu_count() or 1
    with contextlib.ExitStack() as until_written:
        if out is not None:
            until_written.enter_context(locked(out, EspressivoError))
        executor = until_written.enter_context(processes(workers))
        report = measure(
            model,
            files,
            csv=csv,
            split=split,
            half=half,
            samples=samples,
            seconds=seconds,
            seed=seed,
            train=train,
            first_events=events,
            quick=quick,
            judged=judge,
            fills=fills,
            fill_judge=fill_judge,
            command=_command(),
            resume=None if out is None else out / "unfinished.jsonl",
            executor=executor if workers > 1 else None,
            workers=workers,
            progress=console,
        )
        if out is not None:  # before anything that a closed pipe could end
            report.write(out / "report.json")
            write_page(report, out / "report.html")
    for what in ("skipped", "missing"):
        listed = report.data[what]
        for line in listed[:_LISTED]:
            click.echo(printable(f"espressivo: {what}: {line}"), err=True)
        if len(listed) > _LISTED:
            click.echo(f"espressivo: {what}: {len(listed) - _LISTED} more", err=True)
    click.echo(json.dumps(report.to_dict()) if as_json else "\n".join(report.lines()))


def _perform(
    model: str,
    folder: Path,
    split: str | None,
    half: Literal["A", "B"] | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure a model that performs scores; see `espressivo.evaluation.renditions`."""
    from espressivo.data import half_of, read_pairs
    from espressivo.evaluation import performing
    from espressivo.files import replacing
    from espressivo.interpreter import load_interpreter
    from espressivo.progress import Console

    if out is not None:
        _make_folder(out, "performing", ".json")
    interpreter = load_interpreter(None if model == _PIANIST else model)
    console = Console(sys.stderr)
    pairs = read_pairs(folder, split=split or "validation", progress=console)
    pieces = pairs.pieces if half is None else half_of(pairs.pieces, half)
    found = performing(interpreter, pieces, progress=console)
    text = json.dumps({"command": _command(), "data": pairs.line(), **found.to_dict()})
    if out is not None:
        with replacing(out / "performing.json") as path:
            path.write_text(text, encoding="utf-8")
    click.echo(text if as_json else "\n".join([pairs.line(), *found.lines()]))


@click.command(cls=Example, epilog="espressivo compare reports/seed reports/lstm reports/4gram")
@click.argument("reports", type=PATH, nargs=-1, required=True)
@click.option("--out", type=Folder(), help="Folder for compare.html, compare.md and compare.json.")
@JSON
def compare(reports: Sequence[Path], out: Path | None, as_json: bool) -> None:
    """Put REPORTS of `evaluate` side by side, on pieces of all.

    Each REPORT is a report.json or its folder. The first is what the others are held against:
    differences are theirs less its, with 95 % intervals over the same pieces.
    """
    from espressivo.evaluation import compare as put_side_by_side
    from espressivo.evaluation import write_comparison

    if out is not None:
        _make_folder(out, "compare", ".json", ".html", ".md")
    found = put_side_by_side(reports)
    if out is not None:
        found.write(out / "compare.json")
        write_comparison(found, out)
    click.echo(json.dumps(found.to_dict()) if as_json else "\n".join(found.lines()))


def _make_folder(out: Path, stem: str, *suffixes: str) -> None:
    """Make a folder for a report, and refuse before the work what cannot be written."""
    out.mkdir(parents=True, exist_ok=True)
    for suffix in suffixes:
        check_writable(out / f"{stem}{suffix}")


def _command() -> str:
    """Return how this command was called; of absolute paths the last part is kept."""
    return shlex.join(["espressivo", *map(_shortened, sys.argv[1:])])


def _shortened(word: str) -> str:
    path = word if os.path.isabs(word) else re.split("[:=]", word, maxsplit=1)[-1]
    return word.removesuffix(path) + Path(path).name if os.path.isabs(path) else word


COMMANDS = (evaluate, compare)
