"""Report: everything that is known of a model, how it was found out, and with what."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.resources
import json
import math
import platform
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from espressivo.data import Half
from espressivo.errors import DataError
from espressivo.evaluation.baselines import NGram
from espressivo.evaluation.filling import FILL_JUDGE, Filling, filling
from espressivo.evaluation.judge import Verdict, tried
from espressivo.evaluation.kept import Kept
from espressivo.evaluation.likelihood import (
    Likelihood,
    Score,
    loaded,
    score,
    summarise,
)
from espressivo.evaluation.music import (
    CLOSE_S,
    Music,
    continuations,
    listen,
    play,
    remembered,
)
from espressivo.evaluation.pieces import Pieces, collect
from espressivo.evaluation.recall import PIECES, Recall, recall
from espressivo.evaluation.table import (
    BESIDE_PEOPLE,
    PEOPLE,
    ROWS,
    beside_people,
    figures,
    several,
    verdicts,
)
from espressivo.files import replacing
from espressivo.play import bundled
from espressivo.progress import Progress
from espressivo.version import __version__

__all__ = ["FORMAT", "QUICK_EVENTS", "Report", "evaluate"]

FORMAT = 3
"""Version of the layout of ``report.json``."""

QUICK_EVENTS = 500
"""Events of each piece that a quick report scores."""

_QUICK_SAMPLES = 4
_QUICK_PIECES = 3  # of which passages are read


@dataclass(frozen=True)
class Report:
    """What a model was found to be.

    Parameters
    ----------
    model : dict
        Name, vocabulary, network, licence and more, and the hash of its file.
    data : dict
        What it was measured on, and what had to be left out.
    made : dict
        When, with what versions, and how long it took.
    likelihood : Likelihood
    scores : tuple of Score
        The same piece by piece.
    recall : Recall
    music : Music, optional
        Where samples were requested.
    verdict : Verdict, optional
        Where the judge was asked.
    filled : tuple of Filling
        Where fills were requested, of each length of gaps.
    """

    model: dict[str, Any]
    data: dict[str, Any]
    made: dict[str, Any]
    likelihood: Likelihood
    scores: tuple[Score, ...]
    recall: Recall
    music: Music | None = None
    verdict: Verdict | None = None
    filled: tuple[Filling, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the performances as plain values, for JSON."""
        return {
            "format": FORMAT,
            "model": self.model,
            "data": self.data,
            "made": self.made,
            "likelihood": dataclasses.asdict(self.likelihood),
            "recall": {
                name: {before: _short(amounts) for before, amounts in of.items()}
                for name, of in (("past", self.recall.past), ("copy", self.recall.copy))
            },
            "music": None if self.music is None else _music(self.music),
            "judge": self.verdict and dataclasses.asdict(self.verdict),
            "filling": [
                {name: _short(value) for name, value in one.to_dict().items()}
                for one in self.filled
            ],
            "pieces": [
                {
                    "name": one.name,
                    "sha256": one.sha256,
                    "notes": one.notes,
                    "seconds": one.seconds,
                    "by_class": _short(one.by_class),
                }
                for one in self.scores
            ],
        }

    def write(self, path: Path) -> None:
        """Write everything but the performances as JSON."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict()) + "\n", encoding="utf-8")

    def lines(self) -> list[str]:
        """Return the figures as text."""
        found, data = self.likelihood, self.data
        lines = [
            f"{self.model['name']} ({self.model['vocabulary']}) on "
            f"{several(found.pieces, 'piece')}, {several(found.events, 'event')}, "
            f"{several(found.notes, 'note')}, {found.seconds / 3600:.2f} h"
        ]
        if data["first_events"]:
            lines.append(f"  only the first {data['first_events']} events of each piece")
        for what in ("skipped", "missing"):
            if data[what]:
                lines.append(f"  {several(len(data[what]), 'file')} {what}: see the report")
        lines += [*_likelihood_lines(found), *_recall_lines(self.recall)]
        if self.music is not None:
            lines += _music_lines(self.music)
        if self.verdict is not None:
            lines.append(f"a judge tells the model from people: AUC {self.verdict.auc.text(3)}")
            lines += [f"  {share:.3f}  {name}" for name, share in self.verdict.gives_away]
        lines += [line for one in self.filled for line in one.lines()]
        return [*lines, f"{self.made['taken_s']:.0f} s"]


def evaluate(
    source: str,
    paths: Sequence[Path],
    *,
    csv: Path | None = None,
    split: str | None = None,
    half: Half | None = None,
    samples: int = 0,
    seconds: float = 60.0,
    seed: int = 0,
    train: Path | None = None,
    first_events: int | None = None,
    quick: bool = False,
    judged: bool = False,
    fills: int = 0,
    fill_judge: str = FILL_JUDGE,
    command: str | None = None,
    resume: Path | None = None,
    executor: Executor | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Measure a model on MIDI files.

    Parameters
    ----------
    source : str
        A bundled name, a model file, or a baseline such as ``4gram:DATASET``.
    paths : sequence of Path
        MIDI files, and folders of them.
    csv, split : optional
        Take only the files that a CSV has in this split; see `collect`.
    half : {"A", "B"}, optional
        Take only this half of the compositions; see `espressivo.data.halves`.
    samples : int
        How many performances the model plays for comparison with human ones; 0 for none.
    seconds : float
        Length of the clips that are compared. Samples are `CLOSE_S` longer.
    seed : int
        Of the samples and of the human windows beside them.
    train : Path, optional
        Prepared dataset, or folder of MIDI files, with the training pieces in which the notes of
        samples are looked for.
    first_events : int, optional
        Score only so many events of each piece.
    quick : bool
        Score only the first 500 events of each piece, and play at most 4 samples.
    judged : bool
        Let a forest tell 200 clips of 30 s of the model from as many of people; needs scikit-learn.
    fills : int
        Gaps of 4 s that are filled, and half as many of 10 s; see `filling`.
    fill_judge : str
        The model that judges fills, another one.
    command : str, optional
        What the user typed, to be kept in the report.
    resume : Path, optional
        File that keeps what is done until all is, so that a run that was stopped goes on there.
    executor : concurrent.futures.Executor, optional
        Where the work is done; by default in this process.
    workers : int
        How many processes the executor has.
    progress : Progress, optional

    Returns
    -------
    Report
        But for when and how long, the same for the same arguments, however many work on it.

    Raises
    ------
    ModelError
        If the model cannot be used.
    DataError
        If there is nothing to measure on.
    """
    began_s = time.monotonic()
    first_events = first_events or (QUICK_EVENTS if quick else None)
    samples = min(samples, _QUICK_SAMPLES) if quick else samples
    model = loaded(source)
    try:
        pieces = collect(
            paths,
            model.vocabulary,
            csv=csv,
            split=split,
            half=half,
            executor=executor,
            progress=progress,
        )
        about = _about_model(source)
        kept = Kept(resume, {"model": about, "first_events": first_events, "seconds": seconds})
        memory = None
        if train is not None:
            memory = remembered(
                train, model.vocabulary, csv=csv, executor=executor, progress=progress
            )
        # A baseline is fast, and costly to bring to other processes.
        modelled = None if isinstance(model.engine, NGram) else executor
        scores = score(
            source,
            pieces.found,
            first_events=first_events,
            executor=modelled,
            workers=workers,
            kept=kept,
            progress=progress,
        )
        recalled = recall(
            source,
            pieces.found,
            most=_QUICK_PIECES if quick else PIECES,
            executor=modelled,
            kept=kept,
            progress=progress,
        )
        music = None
        if samples:
            played = play(
                source,
                samples,
                seconds + CLOSE_S,
                seed=seed,
                executor=modelled,
                kept=kept,
                progress=progress,
            )
            own = continuations(
                source,
                samples,
                pieces.found,
                seed=seed,
                executor=modelled,
                kept=kept,
                progress=progress,
            )
            music = listen(
                played,
                pieces.found,
                model.vocabulary,
                memory,
                seconds,
                seed,
                own=own,
                executor=executor,
                progress=progress,
            )
        filled = tuple(
            filling(
                source, fill_judge, pieces.found, gaps, seconds=long_s, seed=seed,
                executor=modelled, progress=progress,
            )
            for long_s, gaps in ((4.0, fills), (10.0, fills // 2))
            if gaps
        )  # fmt: skip
        verdict = None
        if judged:
            verdict = tried(
                source, pieces.found, seed=seed, executor=modelled, kept=kept, progress=progress
            )
    except BrokenExecutor:
        raise DataError(
            "a process that was measuring was killed, perhaps for lack of memory: use fewer "
            "--workers"
        ) from None
    report = Report(
        about,
        _about_data(pieces, csv, split, half, first_events),
        _about_run(command, seed, time.monotonic() - began_s),
        summarise(scores),
        tuple(scores),
        recalled,
        music,
        verdict,
        filled,
    )
    kept.done()
    return report


def _about_model(source: str) -> dict[str, Any]:
    model = loaded(source)
    path = Path(source)
    if source in bundled():
        path = Path(str(importlib.resources.files("espressivo"))) / "models" / f"{source}.onnx"
    return {
        **{name: value for name, value in model.card.items() if name != "training"},
        "name": model.card.get("name", path.name),
        "vocabulary": model.vocabulary.name,
        "network": model.engine.network,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
    }


def _about_data(
    pieces: Pieces,
    csv: Path | None,
    split: str | None,
    half: Half | None,
    first_events: int | None,
) -> dict[str, Any]:
    return {
        "csv": csv and csv.name,
        "split": split,
        "half": half,
        "first_events": first_events,
        "skipped": [f"{one.name}: {one.reason}" for one in pieces.skipped],
        "missing": list(pieces.missing),
        "outside": sum(piece.outside for piece in pieces.found),
    }


def _about_run(command: str | None, seed: int, taken_s: float) -> dict[str, Any]:
    versions = {"espressivo": __version__, "python": platform.python_version()}
    for package in ("matplotlib", "numpy", "onnxruntime", "symusic"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "command": command,
        "seed": seed,
        "taken_s": round(taken_s, 1),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "commit": _commit(),
        "versions": versions,
    }


def _commit() -> str | None:
    """Return the commit that this code is at, if it stands in a clone and git can tell."""
    here, git = Path(__file__).parent, shutil.which("git")
    if git is None or "site-packages" in here.parts:  # a commit found there would be another's
        return None
    command = [git, "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True)  # noqa: S603 - all ours
    return done.stdout.decode("ascii", "replace").strip() or None


def _music(music: Music) -> dict[str, Any]:
    return {
        "seconds": music.seconds,
        "pieces": music.pieces,
        "features": [
            {
                "feature": line.feature,
                "model": dataclasses.asdict(line.model),
                "interval": [line.overlap.low, line.overlap.high],
                "replicates": _short(line.replicates),
                "ceiling": line.ceiling and dataclasses.asdict(line.ceiling),
                "floor": dataclasses.asdict(line.floor),
            }
            for line in music.lines
        ],
        "samples": [
            {
                "seed": one.seed,
                "notes": len(one.performance),
                "likeness": one.likeness,
                "run": one.run and dataclasses.asdict(one.run),
            }
            for one in music.samples
        ],
        "model": {name: _short(amounts) for name, amounts in music.model.items()},
        "people": {name: _short(amounts) for name, amounts in music.people.items()},
        "references": {
            name: {row: dataclasses.asdict(estimate) for row, estimate in of.items()}
            for name, of in music.references.items()
        },
        "beside_people": music.beside_people,
    }


def _short(numbers: Any) -> Any:
    """Return an array as lists, with the digits that count; None for what is not a number."""
    if isinstance(numbers, str):
        return numbers
    if isinstance(numbers, list | tuple):
        return [_short(number) for number in numbers]
    if isinstance(numbers, float):
        return None if math.isnan(numbers) else float(f"{numbers:.7g}")
    return _short(numbers.tolist())


def _likelihood_lines(found: Likelihood) -> list[str]:
    lines = [
        f"nats per event   {found.per_event.text()}",
        f"nats per note    {found.per_note.text()}",
        f"nats per second  {found.per_second.text()}",
        f"top 1            {found.top1.text()}",
        f"top 5            {found.top5.text()}",
    ]
    for title, rows in (("class", found.by_class), ("position", found.by_position)):
        lines.append(f"{title:14}{'events':>12}{'nats':>10}{'top 1':>8}{'top 5':>8}")
        lines += [
            f"{row.name:14}{row.events:>12,}{row.nats.value:>10.4f}{row.top1:>8.3f}{row.top5:>8.3f}"
            for row in rows
        ]
    return lines


def _recall_lines(found: Recall) -> list[str]:
    lines = []
    for title, of in (("after its past", found.past), ("after a copy", found.copy)):
        if of:
            lines.append(f"{title:24}{'nats per note':>30}{'to alone':>30}")
        for name, (figure, more) in found.figures(of).items():
            lines.append(f"{name:24}{figure.text():>30}{more.text(sign='+') if more else '':>30}")
    return lines


def _music_lines(music: Music) -> list[str]:
    lines = [f"{'overlap':28}{'model':>28}{'human':>8}{'flat':>8}"]
    for line in music.lines:
        human = "" if line.ceiling is None else f"{line.ceiling.mean.overlap:.3f}"
        lines.append(
            f"{line.feature:28}{line.overlap.text(3):>28}{human:>8}{line.floor.overlap:>8.3f}"
        )
    model, people = figures(music.model), figures(music.people, PEOPLE)
    shown = verdicts(beside_people(model, people), *BESIDE_PEOPLE)
    lines.append(f"{'measure':62}{'model':>28}{'people':>28}")
    for name, row in ROWS.items():
        if name in model or name in people:
            sides = (side[name][0].text(3) if name in side else "" for side in (model, people))
            texts = "".join(f"{text:>28}" for text in sides)
            title = f"{row.title}, {row.unit}" if row.unit else row.title
            lines.append(f"{title:62}{texts}  {shown.get(name, '')}")
    return lines
