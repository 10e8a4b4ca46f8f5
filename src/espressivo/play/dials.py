"""Dials: how much of an interpretation a performance follows, and what stays as it is written."""

from __future__ import annotations

from dataclasses import dataclass

from espressivo.errors import GenerationError
from espressivo.numeric import Range, fields_within

__all__ = ["DEFAULT_FREEDOM", "FASTEST_TEMPO", "SLOWEST_TEMPO", "Dials"]

DEFAULT_FREEDOM = 0.5
"""How much of what is not certain is drawn, unless told otherwise."""

SLOWEST_TEMPO, FASTEST_TEMPO = 5, 1000
"""Quarters a minute; a tempo mark outside is taken for damage."""

_DIAL: Range = {"least": 0, "most": 2}
_RANGES: dict[str, Range] = {
    "timing": _DIAL,
    "dynamics": _DIAL,
    "articulation": _DIAL,
    "pedal": _DIAL,
    "freedom": {"least": 0, "most": 1},
    "tempo": {"least": SLOWEST_TEMPO, "most": FASTEST_TEMPO, "optional": True},
}


@dataclass(frozen=True, kw_only=True)
class Dials:
    """How a score is performed.

    Of the first four, 0 is the score as it is written, 1 what the model plays, and 2 twice its
    deviations from its own mean.

    Parameters
    ----------
    timing : float
        0..2: tempo, rubato, and how chords are spread.
    dynamics : float
        0..2: velocities.
    articulation : float
        0..2: how long keys are held.
    pedal : float
        0..2: the sustain pedal; less than 1 shortens and lifts it, more deepens it.
    freedom : float
        0..1: how much is drawn of what players do differently; 0 always plays the mean.
    keep_dynamics : bool
        The velocities of the score stay, and shape the rest.
    keep_pedal : bool
        The pedal of the score stays, also where it has none.
    keep_tempo : bool
        What is played under each tempo mark lasts as long, on the whole, as it is written.
    tempo : float, optional
        Quarters a minute, 5..1000: the first tempo of the score. Its other tempo marks stay in
        proportion, and all are kept as by `keep_tempo`.

    Raises
    ------
    GenerationError
        If a value is out of range, or what is kept is turned; the message names all that are.
    """

    timing: float = 1.0
    dynamics: float = 1.0
    articulation: float = 1.0
    pedal: float = 1.0
    freedom: float = DEFAULT_FREEDOM
    keep_dynamics: bool = False
    keep_pedal: bool = False
    keep_tempo: bool = False
    tempo: float | None = None

    def __post_init__(self) -> None:
        problems = fields_within(self, _RANGES)
        for kept, dial in (("keep_dynamics", "dynamics"), ("keep_pedal", "pedal")):
            if getattr(self, kept) and getattr(self, dial) not in (0, 1):
                problems.append(f"with {kept} there is nothing to turn: leave {dial} out")
        if problems:
            raise GenerationError("; ".join(problems))

    @property
    def as_written(self) -> bool:
        """Whether nothing is left of the interpretation."""
        loud, pedal = self.dynamics and not self.keep_dynamics, self.pedal and not self.keep_pedal
        return not (self.timing or loud or self.articulation or pedal)
