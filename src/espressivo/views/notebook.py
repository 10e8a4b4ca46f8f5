"""How a performance shows in a notebook: its piano roll, and a player."""

from __future__ import annotations

import base64
from html import escape

from espressivo.errors import EspressivoError
from espressivo.music import Performance, window
from espressivo.views import pictures as plots
from espressivo.views import sound as audio

__all__ = ["SHOWN_S", "html"]

SHOWN_S = 120.0
"""No more of a performance is shown: all of it lies in the notebook, 10 MB a minute."""


def html(performance: Performance) -> str:
    """Return HTML that shows and plays a performance, and needs nothing else.

    Of one that is longer than `SHOWN_S`, it is the beginning. What cannot be drawn or played is
    said in a line instead.
    """
    begun = window(performance, 0.0, SHOWN_S)
    lines = [escape(repr(performance))]
    if performance.seconds > SHOWN_S:
        lines[0] += f", of which the first {SHOWN_S:.0f} s"
    try:
        picture = base64.b64encode(plots.piano_roll_png(begun)).decode()
        lines.append(f'<img style="max-width: 100%" src="data:image/png;base64,{picture}">')
    except EspressivoError as error:
        lines.append(escape(str(error)))
    try:
        lines.append(audio.render(begun).html())
    except EspressivoError as error:
        lines.append(escape(str(error)))
    return "<br>".join(lines)
