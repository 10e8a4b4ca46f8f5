"""Figures of a report, as text of SVG or data of PNG, to stand in its page."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Feature, Performance
from espressivo.views import blank, piano_roll_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "distribution", "roll"]

COLOURS = {"human": "#8a8f9c", "model": "#3d7ff0", "flat": "#e08a1e"}
"""Seen well on dark and on light ground."""

_INK = "#010203"  # stands for the colour of the page's text

_Numbers = NDArray[np.float64]


def distribution(feature: Feature, shares: Sequence[_Numbers]) -> str:
    """Draw the shares of a feature's values in its bins: human, model, flat."""
    figure = blank(4.4, 2.7)
    axes = figure.subplots()
    for (name, colour), share in zip(COLOURS.items(), shares, strict=True):
        axes.stairs(
            share,
            feature.edges,
            label=name,
            color=colour,
            fill=name == "human",
            alpha=0.45 if name == "human" else 1.0,
            lw=1.6,
            ls="--" if name == "flat" else "-",
        )
    shown = np.flatnonzero(np.sum(shares, axis=0) > 1e-3)
    if len(shown):
        axes.set_xlim(feature.edges[shown[0]], feature.edges[shown[-1] + 1])
    # What is flat is often a single high bar, which would press the others down.
    axes.set_ylim(0, 1.25 * max(float(share.max()) for share in shares[:2]))
    if feature.logarithmic:
        axes.set_xscale("log")
    axes.set_title(feature.title, fontsize=10, color=_INK)
    axes.set_xlabel(feature.unit, fontsize=9)
    axes.set_yticks([])
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK)
    return _svg(figure)


def roll(performance: Performance) -> str:
    """Draw a piano roll; returns an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(piano_roll_png(performance)).decode()


def _svg(figure: Figure) -> str:
    """Return a figure as SVG with a clear ground and the page's colour of text."""
    from matplotlib import rc_context

    for axes in figure.axes:
        axes.set_facecolor("none")
        axes.tick_params(colors=_INK, labelsize=8)
        axes.xaxis.label.set_color(_INK)
        for side, spine in axes.spines.items():
            spine.set_edgecolor(_INK)
            spine.set_visible(side in ("left", "bottom"))
    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "espressivo"}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    text = re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}", text[text.index("<svg") :])
    return re.sub(r"\n\s*", "\n", text).replace(_INK, "currentColor")
