"""Map: a folder's passages in the plane, those that are alike beside one another, as a page."""

from __future__ import annotations

import colorsys
import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.errors import DataError
from espressivo.files import printable
from espressivo.music import sustained_notes
from espressivo.similar.index import Index

__all__ = ["MapPoint", "laid_out", "map_page"]

_PERPLEXITY = 30.0
_FEWEST = 3  # points that have a plane
_GOLDEN = 0.618034


@dataclass(frozen=True)
class MapPoint:
    """A passage on the map.

    Parameters
    ----------
    number : int
        Of the passage in the index.
    x, y : float
        0..1.
    """

    number: int
    x: float
    y: float


def laid_out(index: Index, *, most: int = 2000, seed: int = 0) -> list[MapPoint]:
    """Lay passages out in the plane by t-SNE (van der Maaten & Hinton 2008), of scikit-learn.

    Parameters
    ----------
    index : Index
    most : int
        So many passages at most, drawn evenly from all pieces.
    seed : int

    Raises
    ------
    DataError
        If there are fewer than three passages, or scikit-learn is not installed.
    """
    if find_spec("sklearn") is None:
        raise DataError("a map needs scikit-learn: pip install 'espressivo[map]'")
    from sklearn.manifold import TSNE

    chosen = _chosen(index, most)
    if len(chosen) < _FEWEST:
        raise DataError(f"a map needs at least {_FEWEST} passages, and there are {len(chosen)}")
    near = index.near[chosen].astype(np.float32)
    fewest = min(_PERPLEXITY, (len(chosen) - 1) / 3)
    layout = TSNE(perplexity=fewest, metric="cosine", init="random", random_state=seed)
    plane = layout.fit_transform(near)
    plane -= plane.min(0)
    plane /= np.maximum(plane.max(0), 1e-9)  # the page stretches both ways to its window anyhow
    return [
        MapPoint(int(number), float(x), float(y))
        for number, (x, y) in zip(chosen, plane, strict=True)
    ]


def _chosen(index: Index, most: int) -> NDArray[np.int64]:
    """Return the numbers of passages to show, evenly spread over all pieces."""
    count = len(index.of)
    return np.arange(count) if count <= most else np.arange(most) * count // most


def map_page(index: Index, points: Sequence[MapPoint], folder: Path) -> str:
    """Return the map as a page, one file that plays what is clicked and needs nothing else.

    Parameters
    ----------
    index : Index
    points : sequence of MapPoint
    folder : path
        Of the index.
    """
    notes: dict[int, list[list[int]]] = {}
    for number in sorted({int(index.of[point.number]) for point in points}):
        played = sustained_notes(midi.read(folder / index.names[number]))
        for point in points:
            if index.of[point.number] == number:
                notes[point.number] = _heard(played, index, point.number)
    groups = [Path(name).parent.as_posix() for name in index.names]
    several = len(set(groups)) > 1
    shades = {key: n for n, key in enumerate(dict.fromkeys(groups if several else index.names))}
    rows = [
        [
            round(point.x, 4),
            round(point.y, 4),
            int(index.of[point.number]),
            round(float(index.begin_s[point.number]), 1),
            notes[point.number],
        ]
        for point in points
    ]
    colours = [
        _colour(shades[group if several else name])
        for group, name in zip(groups, index.names, strict=True)
    ]
    data = json.dumps(
        {"names": list(map(printable, index.names)), "colours": colours, "points": rows},
        separators=(",", ":"),
    ).replace("<", "\\u003c")
    page = importlib.resources.files("espressivo.similar") / "map.html"
    return Template(page.read_text(encoding="utf-8")).substitute(
        title=escape(printable(folder.resolve().name)), data=data
    )


def _heard(notes: NDArray[np.void], index: Index, number: int) -> list[list[int]]:
    """Return onset and length in milliseconds, pitch and velocity of a passage's notes."""
    begin_s, end_s = float(index.begin_s[number]), float(index.end_s[number])
    onset_s = notes["onset_s"]
    inside = notes[(onset_s >= begin_s - 0.006) & (onset_s < end_s - 0.006)]
    onset_ms = np.maximum(np.round((inside["onset_s"] - begin_s) * 1000), 0).astype(int)
    length_ms = np.round((inside["offset_s"] - inside["onset_s"]) * 1000).astype(int)
    columns = (onset_ms, np.minimum(length_ms, 4000), inside["pitch"], inside["velocity"])
    return [list(map(int, row)) for row in zip(*columns, strict=True)]


def _colour(number: int) -> str:
    """Return one of many colours that are easily told apart."""
    hue = number * _GOLDEN % 1
    r, g, b = colorsys.hls_to_rgb(hue, 0.45 if number % 2 else 0.6, 0.6)
    return f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}"
