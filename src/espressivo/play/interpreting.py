"""Interpreting: a model is asked how a score is played, and the dials say how much of it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import GenerationError
from espressivo.music import TEMPO_DTYPE, Interpretation, Score, onset_groups
from espressivo.play.dials import FASTEST_TEMPO, SLOWEST_TEMPO, Dials
from espressivo.play.rendering import Rendered, Span, render

__all__ = ["Interpreter", "interpreted", "tempos_set"]

Told = Callable[[int], object]
"""Is told how many more notes are done."""

LONGEST_S = 12 * 3600.0
"""Scores that would last longer are refused."""


class Interpreter(Protocol):
    """A model that says how a score is played."""

    @property
    def card(self) -> Mapping[str, Any]:
        """What it says of itself: at least ``name`` and ``licence``."""

    def interpret(
        self,
        score: Score,
        *,
        freedom: float,
        seed: int,
        velocity: NDArray[np.float64] | None = None,
        progress: Told | None = None,
    ) -> Interpretation:
        """Return an interpretation; the same arguments always give the same one.

        Parameters
        ----------
        score : Score
            With at least one note.
        freedom : float
            0..1, how much is drawn; 0 gives the mean whatever the seed.
        seed : int
        velocity : array, shape (notes,), optional
            Velocities that are kept, and shape the rest.
        progress : callable, optional
            Is told how many more notes are done.
        """


def interpreted(
    interpreter: Interpreter | None,
    score: Score,
    dials: Dials,
    *,
    seed: int = 0,
    span: Span | None = None,
    progress: Told | None = None,
) -> Rendered:
    """Perform a score, or a passage of it.

    Parameters
    ----------
    interpreter : Interpreter or None
        Not asked, and so may be None, where the dials leave nothing of it.
    score : Score
    dials : Dials
    seed : int
        Of what is drawn.
    span : Span, optional
        The part that is performed, all else being played as it is written.
    progress : callable, optional
        Is told how many more notes are done.

    Raises
    ------
    GenerationError
        If there are no notes, the span is not in the score, a tempo mark is absurd and no tempo is
        given, the score lasts more than 12 hours, or velocities are to be kept that it has not.
    """
    if not len(score):
        raise GenerationError("there are no notes in the score")
    if span is not None and not (0 <= span.start < span.end and span.start < score.quarters):
        raise GenerationError(
            f"there is no passage from quarter {span.start:g} to {span.end:g} in a score of "
            f"{score.quarters:g}"
        )
    score = tempos_set(score, dials.tempo)
    if dials.keep_dynamics and not score.notes["velocity"].all():
        raise GenerationError("the score has no velocities to keep: leave keep-dynamics out")
    if dials.as_written or interpreter is None:
        return render(score, as_written(score), replace(dials, pedal=0.0), span)
    kept = score.notes["velocity"].astype(np.float64) if dials.keep_dynamics else None
    played = interpreter.interpret(
        score, freedom=dials.freedom, seed=seed, velocity=kept, progress=progress
    )
    return render(score, played, dials, span)


def as_written(score: Score) -> Interpretation:
    """Return the interpretation that does nothing."""
    onsets, _ = onset_groups(score)
    lasts = np.diff(onsets, append=max(score.quarters, onsets[-1] + 1e-3))
    seconds = np.diff(score.seconds_at(np.append(onsets, onsets[-1] + lasts[-1])))
    zero = np.zeros(len(score))
    return Interpretation(seconds / lasts, zero, zero + 64, zero)


def tempos_set(score: Score, tempo: float | None) -> Score:
    """Return a score whose first tempo is so many quarters a minute, if any are given.

    The other tempo marks stay in proportion; absurd ones are dropped. Without a tempo nothing
    changes.

    Raises
    ------
    GenerationError
        If no tempo is given and a tempo mark is absurd, or the score would last too long.
    """
    marks = score.tempos
    per_minute = 60 / marks["quarter_s"]
    sound = (per_minute >= SLOWEST_TEMPO) & (per_minute <= FASTEST_TEMPO)
    if tempo is not None:
        marks = marks[sound].copy()
        if not len(marks) or marks["onset"][0] > 0:
            marks = np.concatenate((np.array([(0.0, 0.5)], TEMPO_DTYPE), marks))
        marks["quarter_s"] *= 60 / tempo / marks["quarter_s"][0]
        score = replace(score, tempos=marks)
    elif not sound.all():
        raise GenerationError(
            f"the tempo mark at quarter {marks['onset'][~sound][0]:g} of the score is "
            f"{per_minute[~sound][0]:.6g} quarters a minute, not within "
            f"{SLOWEST_TEMPO}..{FASTEST_TEMPO}: set a tempo"
        )
    lasts_s = float(score.seconds_at(np.array([score.quarters]))[0])
    if not math.isfinite(lasts_s) or lasts_s > LONGEST_S:
        raise GenerationError(
            f"the score would last {lasts_s / 3600:.0f} hours, and {LONGEST_S / 3600:.0f} are the "
            "most"
        )
    return score
