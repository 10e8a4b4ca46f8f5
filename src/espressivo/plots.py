"""Pictures: piano rolls and the curves of a training run. Needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from espressivo.errors import EspressivoError
from espressivo.files import replacing
from espressivo.performance import PEDAL_THRESHOLD, SUSTAIN, Performance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["blank", "piano_roll", "training_curves"]

_SECONDS_PER_ROW = 30.0
_BLACK_KEYS = (1, 3, 6, 8, 10)


def piano_roll(performance: Performance, path: str | Path) -> None:
    """Draw a performance: time to the right, pitch upwards, loudness as colour.

    Long performances take several rows of 30 s. The sustain pedal, where the performance has it,
    is the grey lane below the notes. The format follows the suffix of the path (png, svg, pdf).

    Raises
    ------
    EspressivoError
        If matplotlib is missing or does not know the format.
    """
    rows = max(1, int(np.ceil(performance.seconds / _SECONDS_PER_ROW - 1e-3)))
    figure = blank(12, 2.6 * rows + 0.6)
    all_axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    notes = performance.notes
    low = int(notes["pitch"].min(initial=60)) - 3
    high = int(notes["pitch"].max(initial=72)) + 3
    down = _pedal_intervals(performance)
    width = min(_SECONDS_PER_ROW, max(performance.seconds, 1.0))
    for row, axes in enumerate(all_axes):
        begin = row * _SECONDS_PER_ROW
        shown = notes[(notes["offset_s"] > begin) & (notes["onset_s"] < begin + _SECONDS_PER_ROW)]
        axes.set_facecolor("#14161c")
        for pitch in range(low, high + 1):
            if pitch % 12 in _BLACK_KEYS:
                axes.axhspan(pitch - 0.5, pitch + 0.5, color="#1b1e27", zorder=0)
        drawn = axes.barh(
            shown["pitch"],
            shown["offset_s"] - shown["onset_s"],
            left=shown["onset_s"],
            height=0.85,
        )
        colours = _colours(shown["velocity"])
        for bar, colour in zip(drawn, colours, strict=True):
            bar.set_facecolor(colour)
        axes.broken_barh(down, (low - 2.5, 1.2), color="#8a8f9c")
        axes.set_xlim(begin, begin + width)
        axes.set_ylim(low - 3, high + 1)
        octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
        axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
        axes.tick_params(labelsize=8)
    all_axes[-1].set_xlabel("seconds")
    _save(figure, path)


def training_curves(log: Sequence[dict[str, float]], path: str | Path) -> None:
    """Draw training and validation loss, in nats per event, over the events seen."""
    figure = blank(8, 4.5)
    axes = figure.subplots()
    for name, label in (("train_nats", "training"), ("validation_nats", "validation")):
        points = [(row["events"] / 1e6, row[name]) for row in log if row.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, lw=1 if name == "train_nats" else 2)
            if name == "validation_nats":
                lowest = min(value for _, value in points)
                axes.set_ylim(lowest - 0.2, lowest + 1.5)
    axes.set_xlabel("million events")
    axes.set_ylabel("nats per event")
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches; `EspressivoError` if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EspressivoError("pictures need matplotlib: pip install 'espressivo[plot]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: str | Path) -> None:
    kind = Path(path).suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise EspressivoError(f"{path}: the name of a picture must end in .png, .svg or .pdf")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=110)


def _colours(velocity: np.ndarray) -> np.ndarray:
    from matplotlib import colormaps

    return np.asarray(colormaps["magma"](0.25 + 0.75 * velocity / 127.0))


def _pedal_intervals(performance: Performance) -> list[tuple[float, float]]:
    """Return (begin, duration) in seconds of each time the sustain pedal is down."""
    pedal = performance.controls[performance.controls["number"] == SUSTAIN]
    down = pedal["value"] >= PEDAL_THRESHOLD
    times = pedal["time_s"][np.flatnonzero(np.diff(down, prepend=False))]
    if len(times) % 2:
        times = np.append(times, performance.seconds)
    return [(float(a), float(b - a)) for a, b in zip(times[::2], times[1::2], strict=True)]
