"""Pictures: piano rolls, curves of playing and training. Needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import EspressivoError
from espressivo.files import ending, regular, replacing
from espressivo.music import Performance, chord_starts, pedal_moves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "GRID",
    "INK",
    "WIDTH",
    "blank",
    "dress",
    "dynamics",
    "kind_of",
    "new_figure",
    "onset_rate",
    "piano_roll",
    "piano_roll_png",
    "playing_curves",
    "save",
    "training_curves",
    "training_log",
]

_BLACK_KEYS = (1, 3, 6, 8, 10)
_SMOOTHING_S = 1.5  # standard deviation of the window of the curves
_SPACING_S = 0.1

# Colours of the page, of what lies on it, of writing; then of each of two performances.
_PAGE, _PANEL, _BLACK_ROW, GRID, INK = "#0f1117", "#1b1f29", "#151821", "#2d3240", "#c9ccd6"
_PEDAL = "#868c9c"
_SCALES = (("magma", 0.28, 0.97), ("GnBu_r", 0.12, 0.66))  # name, from softest to loudest
_LINES = ("#f8765c", "#5ad1c1")
_DPI = 120
WIDTH = 14.0


def piano_roll(
    performance: Performance, path: str | Path, *, other: Performance | None = None
) -> None:
    """Draw a performance: time to the right, pitch upwards, loudness as colour.

    The keys are on the left, and the grey row below the notes is the sustain pedal. Long
    performances take up to 16 rows, of 30 s or more, and then grow in width too. Of two
    performances the other is drawn in blue and green over the first.

    Parameters
    ----------
    performance : Performance
    path : path
        The picture to write; its suffix is .png, .svg or .pdf.
    other : Performance, optional

    Raises
    ------
    EspressivoError
        If matplotlib is missing or the suffix is none of these.
    """
    kind = kind_of(path)
    save(_roll([performance] if other is None else [performance, other]), path, kind)


def piano_roll_png(performance: Performance) -> bytes:
    """Return the picture of `piano_roll` as the bytes of a PNG file."""
    file = io.BytesIO()
    _roll([performance]).savefig(file, format="png", dpi=_DPI)
    return file.getvalue()


def playing_curves(
    performance: Performance, path: str | Path, *, other: Performance | None = None
) -> None:
    """Draw onset rate and dynamics of one or two performances over time; see `piano_roll`."""
    kind = kind_of(path)
    figure = new_figure(WIDTH, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    both = [performance] if other is None else [performance, other]
    for one, colour in zip(both, _LINES, strict=False):
        notes = one.notes
        lower.scatter(
            notes["onset_s"], notes["velocity"], s=6, color=colour, alpha=0.25, linewidths=0
        )
        upper.plot(*onset_rate(one), color=colour, lw=1.8)
        lower.plot(*dynamics(one), color=colour, lw=1.8)
    if other is not None:
        upper.legend(upper.get_lines(), ("first", "other"), frameon=False, labelcolor=INK)
    upper.set_ylabel("chords a second")
    lower.set_ylabel("velocity")
    lower.set_xlabel("seconds")
    upper.set_ylim(bottom=0)
    lower.set_ylim(0, 128)
    lower.set_xlim(0, max(1.0, *(one.seconds for one in both)))
    for axes in (upper, lower):
        dress(axes)
        axes.grid(color=GRID, lw=0.6)
    figure.align_ylabels()
    save(figure, path, kind)


def onset_rate(performance: Performance) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times in seconds, and how many chords a second are struck around each.

    Chords are as `espressivo.music` tells them apart. The density of their onsets is
    smoothed by a Gaussian of 1.5 s, and made up for what it loses at both ends. It follows the
    tempo as far as the rhythm stays alike; there are no beats in a performance to measure it by.
    """
    onset_s = performance.notes["onset_s"]
    struck = _smoothed(_per_point(performance, onset_s[chord_starts(onset_s)]))
    return _times_s(performance), struck / (_smoothed(np.ones(len(struck))) * _SPACING_S)


def dynamics(performance: Performance) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times in seconds, and the mean velocity of the notes that begin around each.

    The mean is weighted by a Gaussian of 1.5 s; it is not a number where no note is within 6 s.
    """
    notes = performance.notes
    total = _smoothed(_per_point(performance, notes["onset_s"]))
    velocity = _smoothed(_per_point(performance, notes["onset_s"], notes["velocity"]))
    mean = np.full(len(total), np.nan)
    np.divide(velocity, total, out=mean, where=total > 0)
    return _times_s(performance), mean


def training_curves(log: Sequence[dict[str, float]], path: str | Path) -> None:
    """Draw training and validation loss, in nats per event, over the events seen; see `piano_roll`.

    Parameters
    ----------
    log : sequence of dict
        The rows of a run's log.csv: ``events``, and where measured ``train_nats`` and
        ``validation_nats``.
    path : path
        The picture to write.
    """
    kind = kind_of(path)
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    names = (("train_nats", "training", 1.0), ("validation_nats", "validation", 2.2))
    for (name, label, width), colour in zip(names, _LINES, strict=True):
        points = [(row["events"] / 1e6, row[name]) for row in log if row.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, lw=width, color=colour)
            if name == "validation_nats":
                lowest, at = min((nats, events) for events, nats in points)
                axes.set_ylim(lowest - 0.2, lowest + 1.5)
                axes.annotate(
                    f"{lowest:.3f}",
                    (at, lowest),
                    (0, -14),
                    textcoords="offset points",
                    color=colour,
                    ha="center",
                    fontsize=9,
                )
    axes.set_xlabel("million events")
    axes.set_ylabel("nats per event")
    dress(axes)
    axes.grid(color=GRID, lw=0.6)
    axes.legend(frameon=False, labelcolor=INK)
    save(figure, path, kind)


def training_log(run: str | Path) -> list[dict[str, float]]:
    """Read the log.csv of a run, without what a row leaves empty.

    Raises
    ------
    EspressivoError
        If the folder has none, or it is damaged.
    """
    path = Path(run) / "log.csv"
    try:
        with regular(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        log = [{name: float(value) for name, value in row.items() if value} for row in rows]
    except FileNotFoundError:
        raise EspressivoError(f"{run}: a folder, but of no training run: no log.csv") from None
    except OSError as error:
        raise EspressivoError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, csv.Error):
        log = []
    if not log or any("events" not in row for row in log):
        raise EspressivoError(f"{path}: not the log of a training run")
    return log


def _roll(performances: Sequence[Performance]) -> Figure:
    """Draw one or two performances, row by row."""
    seconds = max(1.0, *(one.seconds for one in performances))
    row_s = _row_seconds(seconds)
    rows = max(1, math.ceil(seconds / row_s - 1e-3))
    pitches = np.concatenate([one.notes["pitch"] for one in performances])
    low, high = int(pitches.min(initial=57)) - 2, int(pitches.max(initial=74)) + 2
    pedals = [_pedal_intervals(one) for one in performances]
    pedals = pedals if any(pedals) else []
    height = 0.7 + rows * float(np.clip(0.055 * (high - low), 1.8, 3.6))
    width = WIDTH * float(np.clip(row_s / 45, 1, 2.5))
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    grid = figure.add_gridspec(
        rows, 2, width_ratios=(0.22, width - 0.87), wspace=0, hspace=0.14,
        left=0.48 / width, right=1 - 0.17 / width,
        top=1 - 0.36 / height, bottom=0.46 / height,
    )  # fmt: skip
    for row in range(rows):
        axes = figure.add_subplot(grid[row, 1])
        begin_s = row * row_s
        _lay_out(axes, low, high, len(pedals))
        for number, one in enumerate(performances):
            _draw_notes(axes, one, number, (begin_s, begin_s + row_s))
        for number, down in enumerate(pedals):
            colour = _PEDAL if number == 0 else _LINES[1]
            axes.broken_barh(down, (low - 2.4 - 1.9 * number, 1.3), color=colour, lw=0)
        axes.set_xlim(begin_s, begin_s + row_s)
        _draw_keys(figure.add_subplot(grid[row, 0]), axes.get_ylim(), low, high, bool(pedals))
    axes.set_xlabel("seconds", fontsize=9)
    _draw_scales(figure, len(performances))
    return figure


def _row_seconds(seconds: float) -> float:
    """Return the seconds in a row: 30, or so many, in multiples of 15, that 16 rows are enough."""
    return seconds if seconds <= 30 else max(30.0, 15.0 * math.ceil(seconds / 16 / 15))


def _lay_out(axes: Axes, low: int, high: int, pedals: int) -> None:
    """Make the ground that notes lie on: a stripe for each black key, a line below each C."""
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK_KEYS:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color=_BLACK_ROW, lw=0, zorder=0)
        if pitch % 12 == 0:
            axes.axhline(pitch - 0.5, color=GRID, lw=0.8, zorder=0)
    axes.grid(axis="x", color=GRID, lw=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.set_ylim(low - 0.5 - (0.6 + 1.9 * pedals if pedals else 0), high + 0.5)
    axes.set_yticks([])
    dress(axes)


def _draw_notes(
    axes: Axes, performance: Performance, number: int, shown_s: tuple[float, float]
) -> None:
    """Draw the notes that sound within a time as bars, coloured by loudness."""
    from matplotlib.collections import PolyCollection

    notes = performance.notes
    notes = notes[(notes["offset_s"] >= shown_s[0]) & (notes["onset_s"] < shown_s[1])]
    left, right = notes["onset_s"], np.maximum(notes["offset_s"], notes["onset_s"] + 0.02)
    middle, half = notes["pitch"].astype(float), 0.42 if number == 0 else 0.24
    below, above = middle - half, middle + half
    corners = np.stack([left, below, left, above, right, above, right, below], 1)
    colours = _colours(notes["velocity"], number)
    axes.add_collection(
        PolyCollection(
            list(corners.reshape(-1, 4, 2)), facecolors=colours, edgecolors=_PANEL, lw=0.3
        )
    )


def _colours(velocity: NDArray[np.uint8], number: int) -> NDArray[np.float64]:
    """Return a row of red, green, blue and opacity for each velocity; most lie in 15..115."""
    from matplotlib import colormaps

    name, softest, loudest = _SCALES[number]
    share = np.clip((velocity.astype(float) - 15) / 100, 0, 1)
    return np.asarray(colormaps[name](softest + (loudest - softest) * share))


def _draw_keys(axes: Axes, limits: tuple[float, float], low: int, high: int, pedal: bool) -> None:
    """Draw the piano's keys beside a row, with names on the Cs."""
    axes.set_xlim(0, 1)
    axes.set_ylim(*limits)
    axes.axhspan(low - 0.5, high + 0.5, color="#e9e6de", lw=0)
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK_KEYS:
            axes.axhspan(pitch - 0.45, pitch + 0.45, 0, 0.62, color="#181a20", lw=0)
            axes.axhline(pitch, 0.62, 1, color="#a9a69e", lw=0.5)
        elif pitch % 12 in (0, 5):
            axes.axhline(pitch - 0.5, color="#a9a69e", lw=0.5)
    names: dict[float, str] = {
        pitch: f"C{pitch // 12 - 1}" for pitch in range(low, high + 1) if pitch % 12 == 0
    }
    names |= {low - 1.75: "Ped."} if pedal else {}
    axes.set_yticks(list(names), list(names.values()))
    axes.set_xticks([])
    dress(axes)
    axes.set_facecolor(_PAGE)


def _draw_scales(figure: Figure, performances: int) -> None:
    """Say at the top right what the colours mean."""
    velocities = np.arange(1, 128, dtype=np.uint8)
    width, height = figure.get_size_inches()
    for number in range(performances):
        left, bottom = 1 - (2.2 + 2.8 * number) / width, 1 - 0.22 / height
        axes = figure.add_axes((left, bottom, 1.7 / width, 0.08 / height))
        axes.imshow(_colours(velocities, number)[None], aspect="auto")
        axes.set_axis_off()
        name = "velocity" if performances == 1 else ("first", "other")[number]
        for where, text, side in ((-0.04, f"{name}  1", "right"), (1.04, "127", "left")):
            axes.text(
                where, 0.4, text, transform=axes.transAxes, ha=side, va="center",
                color=INK, fontsize=7.5,
            )  # fmt: skip


def dress(axes: Axes) -> None:
    """Give axes the colours of the page."""
    axes.set_facecolor(_PANEL)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.spines[:].set_visible(False)


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches; `EspressivoError` if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EspressivoError("pictures need matplotlib: pip install 'espressivo[plot]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def new_figure(width: float, height: float) -> Figure:
    """Return an empty picture, in inches, in the colours of all of them."""
    figure = blank(width, height)
    figure.set_facecolor(_PAGE)
    return figure


def kind_of(path: str | Path) -> str:
    """Return the format that a name ends in; `EspressivoError` if it is none that is drawn."""
    kind = ending(path, ".png")
    if kind not in (".png", ".svg", ".pdf"):
        raise EspressivoError(f"{path}: the name of a picture must end in .png, .svg or .pdf")
    return kind[1:]


def save(figure: Figure, path: str | Path, kind: str) -> None:
    """Write a picture; an older file at `path` is replaced only when done."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=_DPI)


def _times_s(performance: Performance) -> NDArray[np.float64]:
    return np.arange(int(performance.seconds / _SPACING_S) + 1, dtype=np.float64) * _SPACING_S


def _per_point(
    performance: Performance, onset_s: NDArray[np.float64], weights: NDArray[np.uint8] | None = None
) -> NDArray[np.float64]:
    """Sum the weights of the notes that begin around each point, or count the notes."""
    points = len(_times_s(performance))
    nearest = np.minimum(np.round(onset_s / _SPACING_S).astype(int), points - 1)
    return np.bincount(nearest, weights, points).astype(np.float64)


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = round(4 * _SMOOTHING_S / _SPACING_S)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _SPACING_S / _SMOOTHING_S) ** 2)
    smooth = np.convolve(values, window / window.sum()).astype(np.float64)
    return smooth[reach : reach + len(values)]


def _pedal_intervals(performance: Performance) -> list[tuple[float, float]]:
    """Return (begin, duration) in seconds of each time the sustain pedal is down."""
    moves_s = pedal_moves(performance)
    if len(moves_s) % 2:
        moves_s = np.append(moves_s, performance.seconds)
    return [(float(a), float(b - a)) for a, b in zip(moves_s[::2], moves_s[1::2], strict=True)]
