"""Player: decides event by event what a model plays next."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes import (
    CONTROLS,
    FILL_NUMBERS,
    Controls,
    Decoder,
    Event,
    Ids,
    Message,
    Pointers,
)
from espressivo.engine import Engine, Sampling, State
from espressivo.errors import GenerationError
from espressivo.play.mask import Mask, RuledOut
from espressivo.play.settings import FOLLOW_GUIDANCE, FOLLOW_S, Settings

__all__ = [
    "Adjust",
    "Choice",
    "Leaning",
    "Mask",
    "Player",
    "Reader",
    "RuledOut",
    "requested",
    "supported_controls",
]


class Reader(Protocol):
    """What a player needs of a `State`."""

    controls: NDArray[np.float32] | None
    """What is requested of the music to come."""

    returns: float
    """How strongly music comes back."""

    pointers: Pointers | None
    """What they say now, for a model that reads them."""

    lift: float
    """By how much in `logits` a note is raised that pointers lead to."""

    def feed(self, ids: ArrayLike) -> None:
        """Read an id or several."""

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next id, shape (size,)."""

    def copy(self) -> Self:
        """Return one that goes its own way from here."""


class Leaning(Protocol):
    """What makes some ids likelier, by what has been played."""

    def raised(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scores of the next id, shape (size,), from those that a model gives."""

    def play(self, event: Event) -> None:
        """Take note of an event that has been played."""


class Choice(NamedTuple):
    """An id that is to be drawn: from which ids, how, and by which random number in 0..1."""

    allowed: NDArray[np.bool_]
    sampling: Sampling
    share: float


Adjust = Callable[[int], int]
"""Returns the id that comes instead of one that has been drawn."""


_LED = 2.0  # times as strongly as usual, pointers count while a passage is brought back
_LIFT = 8.0  # nats by which a note becomes likelier that is to come back


class Player:
    """A model's state, what may follow, and random numbers, kept in step.

    It decides whole events, a note with its velocity and duration being one, and lets them happen
    in a second step: what has been decided can still be dropped.

    Parameters
    ----------
    engine : Engine
    settings : Settings
        Can be replaced at any time by setting `settings`.
    rng : numpy.random.Generator
        Each decision of an id takes one number of it.
    primer : ids
        What the model has read before the first decision, in whole events.
    state : Reader, optional
        One that has read the primer; by default a new `State`.

    Attributes
    ----------
    lean : Leaning or None
        Can be set between two events.
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
        self.mask = Mask(self.vocabulary, settings)
        self.lean: Leaning | None = None
        self._free: State | None = None  # reads along, with nothing requested, for guidance
        self._guidance = 1.0
        self._returns, self._lift = 1.0, 0.0  # how strongly music comes back, by its form
        self._follows_until = 0  # the step, after what is requested has changed
        self._adopt(settings)
        self._drafted: Event | None = None  # decided, and all but its last id is read
        self._complete = False  # whether it is, or is still being decided
        self._draft = self.mask.decoder  # which knows of what is read
        self._before: tuple[Reader, State | None] | None = None  # the states before that
        self.state: Reader
        if state is None:
            self.restart(primer)
        else:
            self.state = state
            self._steer()
        for id_ in primer.tolist():
            self.mask.feed(id_)
        self.decoder.begin_here()

    @property
    def decoder(self) -> Decoder:
        """What has happened so far, and may follow."""
        return self.mask.decoder

    @property
    def settings(self) -> Settings:
        """How it plays."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.drop()
        before = self._settings.controls
        self._adopt(settings)
        if settings.controls != before:
            seconds = FOLLOW_S * self.vocabulary.steps_per_second
            self._follows_until = self.decoder.now + round(seconds)
        self._steer()

    @property
    def supported(self) -> tuple[str, ...]:
        """Names of the controls that the model follows."""
        return supported_controls(self._engine)

    def _adopt(self, settings: Settings) -> None:
        controls = requested(self._engine, settings)
        self.mask.settings = settings
        # Both may refuse the settings, so what is in force changes only now.
        self._controls = controls
        self._samplings = tuple(settings.sampling(self.vocabulary, chord=c) for c in (False, True))
        self._settings = settings

    def check(self, settings: Settings) -> None:
        """Refuse settings that could not be adopted, on any thread; nothing changes.

        Raises
        ------
        GenerationError
        """
        requested(self._engine, settings)
        settings.limits.keys(self.vocabulary)

    def start_by(self, step: int) -> None:
        """Let a note begin by a step: until then there is no end, and no time beyond it passes."""
        self.mask.start = step

    def decide(
        self,
        *,
        ruled_out: RuledOut | None = None,
        ending: bool = True,
        given: Event = (),
        adjust: Adjust | None = None,
    ) -> Event | None:
        """Return the next event, which does not happen yet; None after the end.

        Parameters
        ----------
        ruled_out : function, optional
            Given a decoder that knows the ids of the event so far, it names ids that cannot come
            next, unless nothing else can.
        ending : bool
            Whether the piece can end.
        given : tuple of ids
            What the event begins with.
        adjust : function, optional
            Given an id that has been drawn, it returns the one that is to come instead.
        """
        self._open(given)
        while not self._complete:
            allowed = self._allowed(ruled_out, ending)
            id_ = self._sampling().choose_one(self.logits(), self._rng.random(), allowed)
            if adjust is not None:
                id_ = adjust(id_)
            self._append(self.mask.cut(self._draft, id_))
        return self._drafted

    def choices(
        self,
        *,
        ruled_out: RuledOut | None = None,
        ending: bool = True,
        given: Event = (),
        until: int | None = None,
        adjust: Adjust | None = None,
    ) -> Generator[Choice, int, Event | None]:
        """Do what `decide` does, but let whoever runs it draw the ids, from `logits`.

        With a step `until`, which is later than now, an event that would come then or later is not
        decided, and the result is ``()``.
        """
        self._open(given)
        while not self._complete:
            allowed = self._allowed(ruled_out, ending)
            id_ = yield Choice(allowed, self._sampling(), self._rng.random())
            if adjust is not None:
                id_ = adjust(id_)
            id_ = self.mask.cut(self._draft, id_)
            late = until is not None and self._draft.now + self._draft.gap((id_,)) >= until
            if late and not self._drafted:
                self._drafted = None
                return ()
            self._append(id_)
        return self._drafted

    def _open(self, given: Event) -> None:
        """Begin to decide an event, which begins with given ids."""
        if self._drafted is not None:
            self.drop()
        decoder = self._draft = self.mask.decoder
        if self._follows_until and decoder.now >= self._follows_until:
            self._follows_until = 0
            self._steer()
        self._complete = decoder.ended
        if self._complete:
            return
        overdue = None if given else decoder.overdue()
        self._complete = overdue is not None
        self._drafted = () if overdue is None else (overdue,)
        for id_ in given:
            self._append(id_)

    def _allowed(self, ruled_out: RuledOut | None, ending: bool) -> NDArray[np.bool_]:
        named = () if ruled_out is None else ruled_out(self._draft)
        return self.mask.allowed(self._draft, named, ending)

    def _sampling(self) -> Sampling:
        """Return how the next id is drawn, the time since the last event being known."""
        return self._samplings[bool(self._draft.chord)]

    def _append(self, id_: int) -> None:
        """Go on with the event that is being decided, and read the id unless it is the last."""
        self._drafted = (*(self._drafted or ()), id_)
        if self._draft.completes(id_):
            self._complete = True
            return
        if self._before is None:
            self._draft = self._draft.copy()
            free = None if self._free is None else self._free.copy()
            self._before = self.state.copy(), free
        self._draft.feed(id_)
        self._read(id_)

    def play(self, event: Event) -> list[Message]:
        """Let an event happen, decided here or elsewhere, and return what is heard of it."""
        unread = event[-1:]
        if event is not self._drafted and event != self._drafted:
            self.drop()
            unread = event
        self._drafted = self._before = None
        heard: list[Message] = []
        for id_ in event:
            heard += self.mask.feed(id_)
        for id_ in unread:
            self._read(id_)
        if self.lean is not None:
            self.lean.play(event)
        return heard

    def drop(self) -> None:
        """Forget an event that has been decided and has not happened."""
        if self._before is not None:
            self.state, self._free = self._before
        self._drafted = self._before = None

    def lead(self, back: int, length: int) -> None:
        """Bring back what was played from so many steps ago on, for a length in steps.

        How literally is decided by the setting `returns`: what comes next there becomes likelier,
        its pitches and when they come, while loudness, length and pedal are decided anew.
        """
        self._follow(_LED, _LIFT)
        for state in self._states:
            if state.pointers is not None:
                state.pointers.lead(back, length)

    def let_go(self, *, invent: bool = False) -> None:
        """Bring no passage back from now on, or if it is to `invent`, not even a turn."""
        self._follow(0.0 if invent else 1.0, 0.0)
        for state in self._states:
            if state.pointers is not None:
                state.pointers.let_go()

    @property
    def led(self) -> bool:
        """Whether a passage is being brought back."""
        return self.state.pointers is not None and self.state.pointers.leading

    def _follow(self, returns: float, lift: float) -> None:
        self.drop()
        self._returns, self._lift = returns, lift
        self._steer()

    @property
    def _states(self) -> list[Reader]:
        return [self.state] if self._free is None else [self.state, self._free]

    def restart(self, ids: Ids) -> None:
        """Make the model forget everything and read other ids; what sounds goes on."""
        self._returns, self._lift = 1.0, 0.0
        returns = self._settings.returns
        state = State(self._engine, self._controls, returns)
        state.feed(ids)
        self.state, self._free = state, None
        self._drafted = self._before = None
        self._guidance = self._wanted_guidance
        if self._guidance != 1:
            self._free = State(self._engine, returns=returns)
            self._free.feed(ids)

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next id, moved towards what is requested and leant to."""
        logits = self.state.logits()
        if self._free is not None:
            free = self._free.logits()
            logits = free + np.float32(self._guidance) * (logits - free)
        return logits if self.lean is None else self.lean.raised(logits)

    @property
    def _wanted_guidance(self) -> float:
        if self._controls is None:
            return 1.0
        if self._settings.guidance is not None:
            return self._settings.guidance
        return FOLLOW_GUIDANCE if self._follows_until else 1.0

    def _steer(self) -> None:
        """Tell the model what is requested of it; nothing is read again."""
        self.state.controls = self._controls
        returns = self._settings.returns
        self.state.returns, self.state.lift = self._returns * returns, self._lift * returns
        self._guidance = self._wanted_guidance
        if self._guidance == 1:
            self._free = None
        elif self._free is None and isinstance(self.state, State):
            self._free = self.state.copy()
            self._free.controls = None
        if self._free is not None:
            self._free.returns, self._free.lift = self.state.returns, self.state.lift

    def _read(self, id_: int) -> None:
        self.state.feed(id_)
        if self._free is not None:
            self._free.feed(id_)


def requested(engine: Engine, settings: Settings) -> NDArray[np.float32] | None:
    """Return what settings request of a model, as it reads it; None if they request nothing.

    Raises
    ------
    GenerationError
        If they request a control that the model does not support, or returns of one that has no
        pointers.
    """
    if settings.returns != 1 and not engine.pointers:
        raise GenerationError(
            f"the model {engine.card['name']!r} does not support returns: leave it out"
        )
    if settings.controls == Controls():
        return None
    supported = supported_controls(engine)
    wanted = [name for name in CONTROLS if getattr(settings, name) is not None]
    unknown = [name for name in wanted if name not in supported]
    if unknown:
        raise GenerationError(
            f"the model {engine.card['name']!r} does not support {', '.join(unknown)}: "
            f"it supports {', '.join(supported) or 'no controls'}"
        )
    of_gaps = FILL_NUMBERS if engine.fills else 0
    numbers = settings.controls.numbers()[: engine.controls - of_gaps]
    return np.pad(numbers, (0, of_gaps))  # which says nothing of gaps


def supported_controls(engine: Engine) -> tuple[str, ...]:
    """Return the names of the controls that a model follows.

    A network may have been shown a control in training without learning it; whoever exported it
    says so in its card.
    """
    not_learned = engine.card.get("not_learned")
    missing = not_learned if isinstance(not_learned, list) else []
    return tuple(name for name in engine.reads if name not in missing)
