"""Training of an interpreter: from scores with performances to a model file that plays scores."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espressivo.data import Pairs, Piece, half_of
from espressivo.errors import DataError
from espressivo.export import FieldParts, ReaderPart, export_interpreter
from espressivo.files import check_folder, replacing
from espressivo.interpreter import DRAWN, FIELDS, ROWS, Floats, load_interpreter
from espressivo.networks import ScoreReader
from espressivo.progress import Progress
from espressivo.training.boosting import Boosting, boost
from espressivo.training.fitted_draws import fit_draw, fit_lengths, fit_levels, spread_of
from espressivo.training.score_data import ReadPiece, correlation, read_pieces
from espressivo.training.score_reading import Reading, read_by, train_reader

__all__ = ["InterpreterConfig", "train_interpreter"]

_GROUPS = tuple(
    tuple(name for name in FIELDS if ROWS[name] == rows) for rows in ("notes", "onsets")
)
"""Fields that networks read, those of a network together; beats and pedal are left to the trees."""

_NEARER = {
    "interval": -0.05, "velocity": 0.025, "articulate": 0.08, "offset": -0.1, "pedal": -0.04,
}  # fmt: skip
"""Added to people's correlation, as chosen on half A, so that two seeds are as alike as they are to
be once they are played: ranks, chords and lengths change it a little."""

_SHAPED = {"articulate": 0.0}
"""How far fields are given people's histogram, chosen on half A; keys have it by their lengths."""

_WEIGHTS = (0.0, 0.25, 0.5, 0.75)  # of the readers in the mean


@dataclass(frozen=True)
class InterpreterConfig:
    """What an interpreter is made of.

    Parameters
    ----------
    boosting : Boosting
    reading : Reading
    readers : int
        Networks of notes, and of onsets, with different seeds; 0 for trees alone.
    """

    boosting: Boosting = field(default_factory=Boosting)
    reading: Reading = field(default_factory=Reading)
    readers: int = 1


def train_interpreter(
    pairs: Pairs,
    work: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    card: Mapping[str, Any],
    editions: Sequence[Piece] = (),
    config: InterpreterConfig | None = None,
    progress: Progress | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> None:
    """Train an interpreter on the pieces of the split train, and write its model file.

    Each of its parts is kept in a folder when it is done, so that a run that was stopped goes on
    where it was. How much trees and networks count is chosen on half A of the validation pieces.

    Parameters
    ----------
    pairs : Pairs
    work : path
        Folder for the parts. Parts of other settings or of other pieces are left alone.
    out : path
        The model file.
    card : mapping
        See `espressivo.export.export_interpreter`.
    editions : sequence of Piece
        The same pieces with other scores, such as `espressivo.data.engraved` ones; learned from,
        if they are in the split train.
    config : InterpreterConfig, optional
    progress : Progress, optional
    say : callable, optional
        Is told in a line what was found.

    Raises
    ------
    DataError
        If there are no pieces to train on, or none to choose on.
    """
    config = config or InterpreterConfig()
    folder = check_folder(work)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = read_pieces(pairs.of("train"), progress)
    others = [edition for edition in editions if edition.split == "train"]
    pieces += read_pieces(others, progress, plainly=False)
    chosen_on = read_pieces(half_of(pairs.of("validation"), "A"), progress)
    if not pieces or not chosen_on:
        raise DataError("an interpreter needs pieces in the split train, and some in validation")
    data = _digest(pieces)
    trees = {name: _trees(folder, data, pieces, name, config.boosting, say) for name in FIELDS}
    readers = [
        (names, _reader(folder, data, pieces, names, replace(config.reading, seed=seed), progress))
        for names in _GROUPS
        for seed in range(config.readers)
    ]
    parts = {}
    read = [_read(piece, readers) for piece in chosen_on]
    for name in FIELDS:
        weight = _weight(chosen_on, name, trees[name], read, say)
        parts[name] = FieldParts(trees[name], 1 - weight, weight)
    read = [_read(piece, readers) for piece in pieces]
    means = {
        name: [_mean(piece, name, parts[name], of) for piece, of in zip(pieces, read, strict=True)]
        for name in DRAWN
    }
    description: dict[str, Any] = {
        "spreads": {name: spread_of(pieces, name) for name in FIELDS},
        "draws": {name: dataclasses.asdict(fit_draw(pieces, name, means[name])) for name in DRAWN},
        "levels": fit_levels(pieces),
    }
    for name in DRAWN:
        draw = description["draws"][name]
        draw["people"] += _NEARER.get(name, 0.0)
        draw["shaped"] = _SHAPED.get(name, 1.0)
        say(
            f"{name}: people {draw['people']:.2f}, noise of notes {draw['note_share']:.2f}, "
            f"onsets {draw['onset_share']:.2f}, fading {draw['fading']}"
        )

    def write() -> None:
        export_interpreter(
            out,
            fields=parts,
            readers=[
                ReaderPart({k: v.numpy() for k, v in network.state_dict().items()}, names)
                for names, network in readers
            ],
            features={rows: table.names for rows, table in pieces[0].tables[0].items()},
            description=description,
            card=card,
        )

    write()
    description["lengths"] = fit_lengths(load_interpreter(out), chosen_on)
    write()


def _digest(pieces: Sequence[ReadPiece]) -> str:
    """Return a hash of what is learned from."""
    digest = hashlib.sha256()
    for piece in pieces:
        for variant in piece.tables:
            for rows, table in sorted(variant.items()):
                digest.update(rows.encode() + repr(table.names).encode())
                digest.update(table.values.tobytes())
        for take in piece.takes:
            for values in take.values():
                digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def _name(kind: str, data: str, settings: Any) -> str:
    text = json.dumps(dataclasses.asdict(settings), sort_keys=True)
    return f"{kind}-{hashlib.sha256((data + text).encode()).hexdigest()[:16]}"


def _trees(
    folder: Path,
    data: str,
    pieces: Sequence[ReadPiece],
    name: str,
    settings: Boosting,
    say: Callable[[str], object],
) -> list[dict[str, Any]]:
    path = folder / f"{_name(name, data, settings)}.json"
    if path.is_file():
        kept: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    say(f"{name}: growing {settings.trees} trees")
    trees = boost(pieces, name, settings)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(trees), encoding="utf-8")
    return trees


def _reader(
    folder: Path,
    data: str,
    pieces: Sequence[ReadPiece],
    names: Sequence[str],
    settings: Reading,
    progress: Progress | None,
) -> ScoreReader:
    path = folder / f"{_name(ROWS[names[0]], data, settings)}.pt"
    if path.is_file():
        features = len(pieces[0].tables[0][ROWS[names[0]]].names)
        network = ScoreReader(
            features, len(names), width=settings.width, hidden=settings.hidden,
            layers=settings.layers,
        )  # fmt: skip
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()
    network = train_reader(pieces, names, settings, progress)
    with replacing(path) as temporary:
        torch.save(network.state_dict(), temporary)
    return network


_Readers = Sequence[tuple[Sequence[str], ScoreReader]]


def _mean(piece: ReadPiece, name: str, parts: FieldParts, read: Mapping[str, Floats]) -> Floats:
    by_trees = grown(parts.trees, piece.tables[0][ROWS[name]].values)
    if not parts.readers_weight:
        return by_trees
    return parts.trees_weight * by_trees + parts.readers_weight * read[name]


def _read(piece: ReadPiece, readers: _Readers) -> dict[str, Floats]:
    """Return the mean of what networks say of each field that they give."""
    found: dict[str, list[Floats]] = {}
    for names, network in readers:
        for name, values in zip(names, read_by(network, piece, ROWS[names[0]]).T, strict=True):
            found.setdefault(name, []).append(values)
    return {name: np.asarray(np.mean(values, axis=0)) for name, values in found.items()}


def grown(trees: Sequence[Mapping[str, Any]], rows: np.ndarray[Any, Any]) -> Floats:
    """Return what trees predict of rows of features."""
    total = np.zeros(len(rows))
    for tree in trees:
        waiting = [(tree["tree_structure"], np.arange(len(rows)))]
        while waiting:
            node, at = waiting.pop()
            if "leaf_value" in node:
                total[at] += node["leaf_value"]
            elif len(at):
                low = rows[at, node["split_feature"]] <= node["threshold"]
                waiting += [(node["left_child"], at[low]), (node["right_child"], at[~low])]
    return total


def _weight(
    pieces: Sequence[ReadPiece],
    name: str,
    trees: Sequence[Mapping[str, Any]],
    read: Sequence[Mapping[str, Floats]],
    say: Callable[[str], object],
) -> float:
    """Return how much the readers count: what correlates best with takes, the mean over pieces."""
    by_trees = [grown(trees, piece.tables[0][ROWS[name]].values) for piece in pieces]
    by_readers = [of.get(name, np.zeros(len(one))) for of, one in zip(read, by_trees, strict=True)]
    found = []
    for weight in _WEIGHTS if name in read[0] else _WEIGHTS[:1]:
        of_pieces = [
            np.nanmean([correlation((1 - weight) * a + weight * b, t[name]) for t in piece.takes])
            for piece, a, b in zip(pieces, by_trees, by_readers, strict=True)
        ]
        found.append(float(np.nanmean(of_pieces)))
    best = int(np.argmax(found))
    shown = ", ".join(f"{w:g}: {r:.3f}" for w, r in zip(_WEIGHTS, found, strict=False))
    say(f"{name}: correlation by the readers' weight {shown}")
    return _WEIGHTS[best]
