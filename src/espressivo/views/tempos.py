"""Pictures of a score that is played: tempo beat by beat, and the velocity of each note."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Score
from espressivo.views.pictures import GRID, INK, WIDTH, dress, kind_of, new_figure, save

__all__ = ["Played", "tempo_curves"]

_COLOURS = (INK, "#f8765c", "#5ad1c1", "#e8c468")  # as written, then one for each that plays
_SMOOTHED = 4  # quarters, standard deviation of the window of dynamics


class Played(NamedTuple):
    """A score as somebody plays it.

    Parameters
    ----------
    name : str
    beats_s : array, shape (beats + 1,)
        Seconds at which the score's beats come, and its end; may be not a number.
    velocity : array, shape (notes of the score,)
        0 where there is none.
    """

    name: str
    beats_s: NDArray[np.float64]
    velocity: NDArray[np.int64]


def tempo_curves(
    score: Score,
    played: Sequence[Played],
    path: str | Path,
    span: tuple[float, float] | None = None,
) -> None:
    """Draw the tempo of each beat and the dynamics of a score, as it is written and as played.

    Dots are notes; lines are the mean velocity around each beat.

    Parameters
    ----------
    score : Score
        With at least one note.
    played : sequence of Played
        At most three.
    path : path
        The picture to write; its suffix is .png, .svg or .pdf.
    span : tuple of float, optional
        Quarters between which it is drawn; all of it if not given.

    Raises
    ------
    EspressivoError
        If matplotlib is missing or the suffix is none of these.
    """
    kind = kind_of(path)
    drawn = new_figure(WIDTH, 6.4)
    upper, lower = drawn.subplots(2, 1, sharex=True)
    first, last = (0.0, score.quarters) if span is None else span
    beats = np.append(score.beats, score.quarters)
    shown = (beats[:-1] >= first) & (beats[:-1] < last)
    written = score.notes["velocity"].astype(np.int64)
    rows = [Played("as written", score.seconds_at(beats), written), *played]
    for row, colour in zip(rows, _COLOURS, strict=False):
        tempo = np.where(shown, 60 * np.diff(beats) / np.diff(row.beats_s), np.nan)
        upper.stairs(tempo, beats, color=colour, lw=1.6, label=row.name, baseline=None)
        has = row.velocity > 0
        if not has.any():
            continue
        onset, velocity = score.notes["onset"][has], row.velocity[has]
        lower.scatter(onset, velocity, s=5, color=colour, alpha=0.25, linewidths=0)
        lower.plot(*_mean(onset, velocity, beats), color=colour, lw=1.6)
    upper.set_yscale("log")
    upper.yaxis.set_major_formatter("{x:.0f}")
    upper.yaxis.set_minor_formatter("{x:.0f}")
    upper.set_ylabel("quarters a minute")
    lower.set_ylabel("velocity")
    lower.set_xlabel("measure")
    lower.set_ylim(0, 128)
    lower.set_xlim(first, last)
    measures = score.measures
    numbers = np.flatnonzero((measures >= first) & (measures < last))
    numbers = numbers[:: max(1, len(numbers) // 16)]
    lower.set_xticks(measures[numbers], [str(number + 1) for number in numbers])
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
    upper.legend(frameon=False, labelcolor=INK, ncols=len(rows), **place)
    for axes in (upper, lower):
        dress(axes)
        axes.tick_params(which="both", colors=INK)
        axes.grid(color=GRID, lw=0.6)
    drawn.align_ylabels()
    save(drawn, path, kind)


def _mean(
    onset: NDArray[np.float64], velocity: NDArray[np.int64], beats: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return beats, and the mean velocity around each, weighed by a Gaussian."""
    edges = np.append(beats, np.inf)
    within = np.searchsorted(edges, onset, "right") - 1
    sums = np.bincount(within, velocity, len(beats)).astype(np.float64)
    counts = np.bincount(within, minlength=len(beats)).astype(np.float64)
    step = max(float(np.median(np.diff(beats))), 1e-3)
    reach = int(np.ceil(3 * _SMOOTHED / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / _SMOOTHED) ** 2)
    if len(kernel) > len(beats):  # a short passage: one mean
        return beats, np.full(len(beats), velocity.mean())
    weight = np.convolve(counts, kernel, "same")
    smooth = np.convolve(sums, kernel, "same")
    return beats, np.divide(smooth, weight, out=np.full(len(beats), np.nan), where=weight > 0)
