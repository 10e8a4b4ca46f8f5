"""Player: decides event by event what a model plays next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes import (
    CONTROLS,
    END,
    NOTE_ON,
    TIME_SHIFT,
    Controls,
    Ids,
    grammar_of,
)
from espressivo.engine import Engine, State
from espressivo.errors import GenerationError
from espressivo.play.loops import LoopDetector
from espressivo.play.settings import Settings

__all__ = ["LONGEST_START_S", "Player", "Reader", "asked", "supported_controls"]

LONGEST_START_S = 1.0
"""Without a primer the first note begins within this time, as in half of people's recordings."""


class Reader(Protocol):
    """What a player needs of a `State`."""

    asked: NDArray[np.float32] | None
    """What is asked of the music to come."""

    def feed(self, ids: ArrayLike) -> None:
        """Read an event or several."""

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next event, shape (size,)."""


class Player:
    """A model's state, the grammar of what may follow, and a generator, kept in step.

    Without a primer no time passes after `LONGEST_START_S` until a note has begun, and there is no
    end before it.

    Parameters
    ----------
    engine : Engine
    settings : Settings
        Can be changed at any time by setting `settings`.
    rng : numpy.random.Generator
    primer : sequence of ids
        What the model has read and the grammar knows before the first decision.
    state : Reader, optional
        One that has read the primer; by default a new `State`.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        rng: np.random.Generator,
        primer: Ids,
        state: Reader | None = None,
    ) -> None:
        self._engine, self._rng = engine, rng
        self.vocabulary = engine.vocabulary
        self.grammar = grammar_of(self.vocabulary, settings.limits)
        self.loop_detector = LoopDetector()
        self._free: State | None = None  # reads along, asked nothing, for guidance
        self._adopt(settings)
        v = self.vocabulary
        self._start = None if len(primer) else round(LONGEST_START_S * v.steps_per_second)
        self._shifts = np.flatnonzero((v.kinds == TIME_SHIFT) & (v.values > 0)).tolist()
        self._end = np.flatnonzero(self.vocabulary.kinds == END).tolist()
        self.state: Reader
        if state is None:
            self.restart(primer)
        else:
            self.state = state
            self._steer()
        for id_ in primer.tolist():
            self._note(id_)
        self.grammar.begin_here()

    @property
    def settings(self) -> Settings:
        """How it plays."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._adopt(settings)
        self._steer()

    def _adopt(self, settings: Settings) -> None:
        steered = asked(self._engine, settings)
        self.grammar.limits = settings.limits
        # Both may refuse the settings, so what is in force changes only now.
        self._asked = steered
        self._sampling = settings.sampling(self.vocabulary)
        self._settings = settings

    def decide(
        self, *, end: int | None = None, without: Sequence[int] = (), ending: bool = True
    ) -> int | None:
        """Return the next event, which is not yet fed; None after the end.

        Parameters
        ----------
        end : int, optional
            A step later than now, past which no time-shift goes.
        without : sequence of ids
            Ruled out, unless nothing else can follow.
        ending : bool
            Whether the piece can end.
        """
        if self.grammar.ended:
            return None
        id_ = self.grammar.overdue()
        if id_ is not None:
            return id_
        allowed = self.grammar.allowed()
        start = self._start if self.grammar.onset is None else None
        if start is not None or not ending:
            allowed = _without(allowed, self._end)
        if start is not None:
            if self.grammar.now < start:
                end = start if end is None else min(end, start)
            else:
                allowed = _without(allowed, self._shifts)
        if without:
            allowed = _without(allowed, without)
        if self._settings.avoid_loops and self.loop_detector.forbidden:
            first = self.vocabulary.first[NOTE_ON] - self.vocabulary.lowest_pitch
            allowed = _without(allowed, [first + pitch for pitch in self.loop_detector.forbidden])
        return self.grammar.cut(self._sampling.draw(self._logits(), self._rng, allowed), end)

    def feed(self, id_: int) -> None:
        """Let an event happen, decided here or elsewhere."""
        self._note(id_)
        self.state.feed(id_)
        if self._free is not None:
            self._free.feed(id_)

    def restart(self, ids: Ids) -> None:
        """Make the model forget everything and read other events; what sounds goes on."""
        state = State(self._engine, self._asked)
        state.feed(ids)
        self.state, self._free = state, None
        if self._guided:
            self._free = State(self._engine)
            self._free.feed(ids)

    @property
    def _guided(self) -> bool:
        return self._asked is not None and self._settings.guidance != 1

    def _steer(self) -> None:
        """Tell the model what is asked of it."""
        self.state.asked = self._asked
        if not self._guided:
            self._free = None
        elif self._free is None and isinstance(self.state, State):
            self._free = self.state.copy()
            self._free.asked = None

    def _logits(self) -> NDArray[np.float32]:
        """Return the scores of the next event, moved further towards what is asked if need be."""
        logits = self.state.logits()
        if self._free is None:
            return logits
        free = self._free.logits()
        return free + np.float32(self._settings.guidance) * (logits - free)

    def _note(self, id_: int) -> None:
        self.grammar.feed(id_)
        if self.vocabulary.kinds[id_] == NOTE_ON:
            self.loop_detector.feed(int(self.vocabulary.values[id_]))


def asked(engine: Engine, settings: Settings) -> NDArray[np.float32] | None:
    """Return what settings ask of a model, as it reads it; None if they ask nothing.

    Raises
    ------
    GenerationError
        If they ask for a control that the model has not learned.
    """
    if settings.controls == Controls():
        return None
    known = supported_controls(engine)
    wanted = [name for name in CONTROLS if getattr(settings, name) is not None]
    if not set(wanted) <= set(known):
        unknown = ", ".join(name for name in CONTROLS if name not in known)
        raise GenerationError(
            f"the model {engine.card['name']!r} has not learned {unknown}: "
            "ask for none of them, or choose a model that has"
        )
    return settings.controls.numbers()


def supported_controls(engine: Engine) -> tuple[str, ...]:
    """Return the names of the controls that a model follows.

    A network may have been shown a control in training without learning it; whoever exported it
    says so in its card.
    """
    not_learned = engine.card.get("not_learned")
    missing = not_learned if isinstance(not_learned, list) else []
    return tuple(name for name in CONTROLS if engine.controls and name not in missing)


def _without(allowed: NDArray[np.bool_], ids: Sequence[int]) -> NDArray[np.bool_]:
    """Return what is left without some ids, or everything if nothing would be left."""
    left = allowed.copy()
    left[list(ids)] = False
    return left if left.any() else allowed
