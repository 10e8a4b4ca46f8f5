"""Degeneration: signs that a performance has gone astray, as models' do when sampled for long.

Each sign also occurs in human playing, only seldom; a share means something beside the human one.
Limits were set on random windows of MAESTRO's training pieces, the pedal folded in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from espressivo.music import Performance, in_order, sounding, sustained_notes, window

__all__ = ["SIGNS", "Signs", "shares", "signs"]

_LONGEST_LOOP = 64  # notes
_TIMES = 4  # so often the same notes in a row are a loop
_LOOP_S = 5.0  # if it lasts longer than this
_SILENCE_S = 5.0
_HUNG_S = 10.0 - 1e-6  # as long as a model's note may last, up to rounding
_STUCK = 16  # times; no one of 962 windows of 60 s has more than 13
_SOUNDING = 100  # notes; no piece of MAESTRO has more than 72

SIGNS: Mapping[str, str] = {
    "loops": f"repeats the same 1..{_LONGEST_LOOP} notes {_TIMES} times or more, for over 5 s",
    "silent": "nothing sounds for over 5 s",
    "hung": "a note sounds for 10 s or more",
    "stuck": f"strikes one pitch {_STUCK} times or more with nothing between",
    "runaway": f"more than {_SOUNDING} notes sound at once",
}
"""What each of the `Signs` says of a sample."""


@dataclass(frozen=True)
class Signs:
    """Whether a sample shows each of `SIGNS`."""

    loops: bool
    silent: bool
    hung: bool
    stuck: bool
    runaway: bool


def signs(performance: Performance, seconds: float) -> Signs:
    """Look for the signs in a sample of so many seconds from 0 on.

    Silence counts from 0 and up to `seconds`, so a sample that ends early falls silent; what lies
    beyond is cut off. Notes sound until the pedal lets them go. Of a loop only the order of the
    pitches counts, those of a chord being put in order first.
    """
    notes = sustained_notes(window(performance, 0.0, seconds))
    onset_s, ends_s = notes["onset_s"], np.minimum(notes["offset_s"], seconds)
    silent_from_s = np.maximum.accumulate(np.concatenate(([0.0], ends_s)))
    silent_s = np.append(onset_s, seconds) - silent_from_s
    time_s, pitch = in_order(onset_s, notes["pitch"])
    return Signs(
        loops=any(
            (last - first + 1 >= _TIMES * length) and time_s[last] - time_s[first] > _LOOP_S
            for length in range(1, min(_LONGEST_LOOP, len(pitch) // _TIMES) + 1)
            for first, last in _repeats(pitch, length)
        ),
        silent=bool(silent_s.max() > _SILENCE_S),
        hung=bool((ends_s - onset_s).max(initial=0.0) > _HUNG_S),
        stuck=any(last - first + 1 >= _STUCK for first, last in _repeats(pitch, 1)),
        runaway=bool(sounding(onset_s, ends_s, onset_s).max(initial=0.0) > _SOUNDING),
    )


def shares(samples: Sequence[Signs]) -> dict[str, float]:
    """Return the share of samples, 0..1, that show each sign; 0 if there are no samples."""
    number = max(len(samples), 1)
    return {
        field.name: sum(getattr(sample, field.name) for sample in samples) / number
        for field in fields(Signs)
    }


def _repeats(pitch: NDArray[np.uint8], length: int) -> list[tuple[int, int]]:
    """Return first and last note of each stretch that repeats itself after `length` notes."""
    same = pitch[length:] == pitch[:-length]
    edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), (edges[1::2] + length - 1).tolist(), strict=True))
