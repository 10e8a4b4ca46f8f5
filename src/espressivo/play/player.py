"""Player: decides event by event what a model plays next."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes import (
    CONTROLS,
    END,
    NOTE_ON,
    TIME_SHIFT,
    Controls,
    Decoder,
    Event,
    Ids,
    Message,
    Vocabulary,
    decoder_of,
)
from espressivo.engine import Engine, Sampling, State
from espressivo.errors import GenerationError
from espressivo.play.loops import LoopDetector
from espressivo.play.settings import Settings

__all__ = ["Choice", "Mask", "Player", "Reader", "requested", "supported_controls"]


class Reader(Protocol):
    """What a player needs of a `State`."""

    controls: NDArray[np.float32] | None
    """What is requested of the music to come."""

    returns: float
    """How strongly music comes back."""

    def feed(self, ids: ArrayLike) -> None:
        """Read an id or several."""

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next id, shape (size,)."""

    def copy(self) -> Self:
        """Return one that goes its own way from here."""


class Choice(NamedTuple):
    """An id that is to be drawn: from which ids, how, and by which random number in 0..1."""

    allowed: NDArray[np.bool_]
    sampling: Sampling
    share: float


RuledOut = Callable[[Decoder], Sequence[int]]
"""Names ids that cannot come now, unless nothing else can."""


class Mask:
    """Which ids can come next, in a player and in each beam of a search.

    What may follow, within the settings' limits; no pitch that would continue a loop; until a note
    has begun no end, and no time beyond a given step.

    Parameters
    ----------
    vocabulary : Vocabulary
    settings : Settings
        Can be replaced at any time by setting `settings`.
    """

    def __init__(self, vocabulary: Vocabulary, settings: Settings) -> None:
        self.decoder = decoder_of(vocabulary, settings.limits)
        self.loop_detector = LoopDetector()
        self.start: int | None = None
        """Step by which the first note begins, until it has begun."""
        v, self._settings = vocabulary, settings
        self._kinds, self._values = v.kinds.tolist(), v.values.tolist()
        self._first_key = v.first[NOTE_ON] - v.lowest_pitch
        self._shifts = np.flatnonzero((v.kinds == TIME_SHIFT) & (v.values > 0)).tolist()
        self._end = v.first[END] if v.counts[END] else None

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.decoder.limits = settings.limits
        self._settings = settings

    def allowed(
        self, decoder: Decoder, ruled_out: Sequence[int] = (), ending: bool = True
    ) -> NDArray[np.bool_]:
        """Return for each id whether it can come next after what a decoder has been fed.

        Parameters
        ----------
        decoder : Decoder
            The mask's own, or a copy of it in the middle of an event.
        ruled_out : sequence of ids
            Left out, unless nothing else can follow.
        ending : bool
            Whether the piece can end.
        """
        allowed = decoder.allowed()
        if self._end is not None and allowed[self._end] and not (ending and self.start is None):
            allowed = _without(allowed, [self._end])
        if self.start is not None and decoder.now >= self.start:
            allowed = _without(allowed, self._shifts)
        if ruled_out:
            allowed = _without(allowed, ruled_out)
        if self._settings.avoid_loops and self.loop_detector.forbidden:
            keys = [self._first_key + pitch for pitch in self.loop_detector.forbidden]
            allowed = _without(allowed, keys)
        return allowed

    def cut(self, decoder: Decoder, id_: int) -> int:
        """Shorten a time-shift that goes past the limits, or the start of the first note."""
        begun = self.start is None or decoder.now >= self.start
        return decoder.cut(id_, None if begun else self.start)

    def feed(self, id_: int) -> list[Message]:
        """Let an id happen, and return what is heard of it."""
        if self._kinds[id_] == NOTE_ON:
            self.loop_detector.feed(self._values[id_])
            self.start = None
        return self.decoder.feed(id_)

    def begins_note(self, event: Event) -> bool:
        """Tell whether a note begins with an event."""
        for id_ in event:  # a loop is faster here than any()
            if self._kinds[id_] == NOTE_ON:
                return True
        return False

    def copy(self) -> Mask:
        """Return a mask that goes its own way from here."""
        other = Mask.__new__(Mask)
        other.__dict__.update(self.__dict__)
        other.decoder, other.loop_detector = self.decoder.copy(), self.loop_detector.copy()
        return other


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
        self._free: State | None = None  # reads along, with nothing requested, for guidance
        self._adopt(settings)
        self._drafted: Event | None = None  # decided, and all but its last id is read
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
        self._adopt(settings)
        self._steer()

    def _adopt(self, settings: Settings) -> None:
        controls = requested(self._engine, settings)
        self.mask.settings = settings
        # Both may refuse the settings, so what is in force changes only now.
        self._controls = controls
        self._sampling = settings.sampling(self.vocabulary)
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
        """
        choices = self.choices(ruled_out=ruled_out, ending=ending, given=given)
        try:
            choice = next(choices)
            while True:
                id_ = choice.sampling.choose(self.logits(), choice.share, choice.allowed)
                choice = choices.send(int(id_))
        except StopIteration as decided:
            event: Event | None = decided.value
            return event

    def choices(
        self,
        *,
        ruled_out: RuledOut | None = None,
        ending: bool = True,
        given: Event = (),
        until: int | None = None,
    ) -> Generator[Choice, int, Event | None]:
        """Do what `decide` does, but let whoever runs it draw the ids, from `logits`.

        With a step `until`, which is later than now, an event that would come then or later is not
        decided, and the result is ``()``.
        """
        if self._drafted is not None:
            self.drop()
        mask = self.mask
        decoder = mask.decoder
        if decoder.ended:
            return None
        overdue = None if given else decoder.overdue()
        if overdue is not None:
            return (overdue,)
        event: Event = ()
        while True:
            if len(event) < len(given):
                id_ = given[len(event)]
            else:
                named = () if ruled_out is None else ruled_out(decoder)
                allowed = mask.allowed(decoder, named, ending)
                id_ = yield Choice(allowed, self._sampling, self._rng.random())
                id_ = mask.cut(decoder, id_)
                late = until is not None and decoder.now + decoder.gap((id_,)) >= until
                if late and not event:
                    return ()
            event = (*event, id_)
            if decoder.completes(id_):
                break
            if self._before is None:
                decoder = decoder.copy()
                free = None if self._free is None else self._free.copy()
                self._before = self.state.copy(), free
            decoder.feed(id_)
            self._read(id_)
        self._drafted = event
        return event

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
        return heard

    def drop(self) -> None:
        """Forget an event that has been decided and has not happened."""
        if self._before is not None:
            self.state, self._free = self._before
        self._drafted = self._before = None

    def restart(self, ids: Ids) -> None:
        """Make the model forget everything and read other ids; what sounds goes on."""
        returns = self._settings.returns
        state = State(self._engine, self._controls, returns)
        state.feed(ids)
        self.state, self._free = state, None
        self._drafted = self._before = None
        if self._guided:
            self._free = State(self._engine, returns=returns)
            self._free.feed(ids)

    def logits(self) -> NDArray[np.float32]:
        """Return the scores of the next id, moved further towards what is requested if need be."""
        logits = self.state.logits()
        if self._free is None:
            return logits
        free = self._free.logits()
        return free + np.float32(self._settings.guidance) * (logits - free)

    @property
    def _guided(self) -> bool:
        return self._controls is not None and self._settings.guidance != 1

    def _steer(self) -> None:
        """Tell the model what is requested of it; nothing is read again."""
        self.state.controls, self.state.returns = self._controls, self._settings.returns
        if not self._guided:
            self._free = None
        elif self._free is None and isinstance(self.state, State):
            self._free = self.state.copy()
            self._free.controls = None
        if self._free is not None:
            self._free.returns = self._settings.returns

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
    return settings.controls.numbers()[: engine.controls]


def supported_controls(engine: Engine) -> tuple[str, ...]:
    """Return the names of the controls that a model follows.

    A network may have been shown a control in training without learning it; whoever exported it
    says so in its card.
    """
    not_learned = engine.card.get("not_learned")
    missing = not_learned if isinstance(not_learned, list) else []
    return tuple(name for name in engine.reads if name not in missing)


def _without(allowed: NDArray[np.bool_], ids: Sequence[int]) -> NDArray[np.bool_]:
    """Return what is left without some ids, or everything if nothing would be left."""
    left = allowed.copy()
    left[list(ids)] = False
    return left if left.any() else allowed
