"""Generation: a model and settings become a performance; a performance becomes likelihoods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes import (
    END,
    Ids,
    decoder_of,
    following,
)
from espressivo.engine import MAX_SEED, Engine, State, generator
from espressivo.music import Performance
from espressivo.numeric import within
from espressivo.play.arguments import (
    Changes,
    ProgressCallback,
    counting,
    filling_of,
    length_of,
    plan_of,
    sections_of,
    told,
)
from espressivo.play.beam import BeamResult, search
from espressivo.play.fill import CANDIDATES, fill, passage_of
from espressivo.play.form import Habit
from espressivo.play.keeping import Keep, kept_of
from espressivo.play.pieces import (
    LONGEST_START_S,
    generate,
    generate_batch,
)
from espressivo.play.player import Player
from espressivo.play.primers import Primer, continued, opened, sooner
from espressivo.play.settings import Options, Settings
from espressivo.play.space import Space
from espressivo.play.stream import LONGEST_REST_S, Stream
from espressivo.play.vary import vary

__all__ = ["Model"]

_NO_CHANGES: Changes = MappingProxyType({})
_CHUNK = 1024  # events scored at once
_SIDE_BY_SIDE = 32  # performances; more are hardly faster, and take more memory


class Model:
    """A model that generates and scores performances.

    Parameters
    ----------
    engine : Engine

    Examples
    --------
    ::

        model = load("performance.onnx")
        model.generate(seconds=60, seed=1).write("new.mid")
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.vocabulary = engine.vocabulary
        self.card = engine.card

    def state(self) -> State:
        """Return a state before any event."""
        return State(self.engine)

    def generate(
        self,
        *,
        seconds: float | None = None,
        events: int | None = None,
        notes: int | None = None,
        ending: str | None = None,
        form: str | None = None,
        seed: int | None = None,
        primer: Primer | None = None,
        primer_chords: str | None = None,
        primer_pitches: Iterable[int] | None = None,
        include_primer: bool = False,
        changes: Changes = _NO_CHANGES,
        progress: ProgressCallback | None = None,
        **settings: Unpack[Options],
    ) -> Performance:
        """Generate a performance.

        Parameters
        ----------
        seconds, events, notes : optional
            How much is generated, not counting the primer: seconds, rounded down to a grid step,
            or a number of events or of notes; at most one of them, by default `DEFAULT_SECONDS`.
        ending : {"natural", "cut", "own"}, optional
            How a length in seconds ends. ``natural``, the default, broadens into a last chord that
            rings, and is up to 6 % shorter or longer than requested, at most 1.8 s; see `Close`.
            ``cut`` stops after exactly that time, where notes still sounding end. ``own`` goes on
            until the model's own end event, and stops at `seconds` if there has been none (by
            default `LONGEST_PIECE_S`); the vocabulary must have it. A length in events is cut, and
            after a length in notes the last ones ring, if the model's own end does not come first.
        form : str, optional
            What comes back, as in ``"A B A"`` or ``"A:12 B:20 A:12"`` (seconds); the model must
            have pointers. How literally is decided by `returns`. Without `seconds` it also says
            how long the piece is. See `espressivo.play.form.sections`. By default, in pieces longer
            than `RETURNS_FROM_S`, short passages come back as often as with people; not with
            ``"free"``.
        seed : int, optional
            The same seed, model and arguments give the same performance. By default another one
            each time.
        primer : Performance, path or sequence of ids, optional
            What the model reads first, to go on from; a path is that of a MIDI file. Without one
            the first note begins within 0.1 s, or within a quarter of a shorter length. An event
            at its end that is not complete is left out.
        primer_chords, primer_pitches : optional
            A primer made of the names of chords, such as ``"C Am F G"``, or of MIDI pitches; see
            `espressivo.play.chords` and `espressivo.play.pitches`. At most one of the three.
        include_primer : bool
            Whether the result begins with the primer, whose notes and pedal movements stay as they
            are; what is generated begins when they have ended, on the next step of the
            vocabulary's grid. Otherwise time 0 of the result is the end of the primer: pedal and
            loudness are those then in force, and notes of the primer that still sound are not in
            it.
        changes : dict of float to dict, optional
            Settings that change on the way, by the second from which they count, as in
            ``{10.0: {"density": 12}, 20.0: {"key": "A minor", "loudness": 30}}``.
        progress : function, optional
            Called first and after each event with how much is done and how much there is to do,
            in seconds, events or notes, as the length is given.
        **settings
            Temperatures, cuts, controls and rules, see `Settings`; and `key`, the name of a key
            such as ``"A minor"``, instead of `pitch_weights`.

        Returns
        -------
        Performance

        Raises
        ------
        GenerationError
            If an argument is out of range, several lengths or several primers are given, or an
            argument could make no difference.
        CodecError
            If the primer holds ids that are not in the vocabulary.
        MidiError
            If a primer cannot be read from its file.
        """
        begin = opened(primer, primer_chords, primer_pitches, include=include_primer)
        parts = sections_of(self.engine, form, seconds, events, notes)
        length = length_of(parts[-1].end_s if parts else seconds, events, notes, ending)
        plan = plan_of(
            self.engine, length, self._primer(begin), changes, settings, parts, habit=form is None
        )
        ids = told(generate(self.engine, plan, seed), plan, progress)
        return self.decode(list(ids), begin, include_primer)

    def generate_batch(
        self,
        count: int,
        *,
        seconds: float | None = None,
        events: int | None = None,
        notes: int | None = None,
        ending: str | None = None,
        form: str | None = None,
        seed: int | None = None,
        primer: Primer | None = None,
        primer_chords: str | None = None,
        primer_pitches: Iterable[int] | None = None,
        include_primer: bool = False,
        changes: Changes = _NO_CHANGES,
        progress: ProgressCallback | None = None,
        **settings: Unpack[Options],
    ) -> list[Performance]:
        """Generate several performances side by side: faster, with a model over events.

        Number n, counted from 0, is what `generate` gives for the seed plus n. With weights in 8
        bits it is so exactly. With others the engine adds in another order, and a difference in
        the last digits may, once in many pieces, tip the choice of an event.

        Parameters
        ----------
        count : int
            At least 1.
        progress : function, optional
            Called first and after some of them with the number that are done, and `count`.
        seconds, events, notes, ending, form, seed : optional
        primer, primer_chords, primer_pitches, include_primer, changes, **settings : optional
            As in `generate`. With guidance they are made one after another all the same, also
            if it comes by itself, as what is requested changes on the way.
        """
        count = within("count", count, least=1, whole=True)
        seed = within("seed", seed, least=0, most=MAX_SEED, whole=True, optional=True)
        begin = opened(primer, primer_chords, primer_pitches, include=include_primer)
        parts = sections_of(self.engine, form, seconds, events, notes)
        length = length_of(parts[-1].end_s if parts else seconds, events, notes, ending)
        plan = plan_of(
            self.engine, length, self._primer(begin), changes, settings, parts, habit=form is None
        )
        if seed is None:
            seed = int(generator(None).integers(2**31))
        performances: list[Performance] = []
        if progress is not None:
            progress(0, count)
        for first in range(seed, seed + count, _SIDE_BY_SIDE):
            seeds = range(first, min(first + _SIDE_BY_SIDE, seed + count))
            lists = generate_batch(self.engine, plan, seeds)
            performances += [self.decode(ids, begin, include_primer) for ids in lists]
            if progress is not None:
                progress(len(performances), count)
        return performances

    def generate_ids(
        self,
        *,
        seconds: float | None = None,
        events: int | None = None,
        notes: int | None = None,
        ending: str | None = None,
        seed: int | None = None,
        primer: Primer | None = None,
        primer_chords: str | None = None,
        primer_pitches: Iterable[int] | None = None,
        changes: Changes = _NO_CHANGES,
        **settings: Unpack[Options],
    ) -> Iterator[int]:
        """Generate ids one by one, as they are asked for; without end, unless told.

        The ids are those that `generate` decodes, without the primer. Arguments and errors are
        its too, but without any length only the model itself can end.
        """
        begin = opened(primer, primer_chords, primer_pitches)
        length = length_of(seconds, events, notes, ending, endless=True)
        plan = plan_of(self.engine, length, self._primer(begin), changes, settings, habit=True)
        return generate(self.engine, plan, seed)

    def stream(
        self,
        *,
        seed: int | None = None,
        primer: Primer | None = None,
        primer_chords: str | None = None,
        primer_pitches: Iterable[int] | None = None,
        lead_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        **settings: Unpack[Options],
    ) -> Stream:
        """Play for ever: return a `Stream` of timed notes, decided while they are played.

        The first note begins within 0.1 s, after a primer too.

        Parameters
        ----------
        seed, primer, primer_chords, primer_pitches : optional
            As in `generate`.
        lead_s, clock, sleep : optional
            How far ahead of which clock it keeps; see `Stream`.
        **settings
            As in `generate`. Unless given, `avoid_loops` is on and `longest_rest_s` is
            `LONGEST_REST_S`.

        Examples
        --------
        ::

            stream = model.stream(temperature=0.9)
            for event in stream:
                instrument.send(event)        # at event.time_s
                if tired:
                    stream.stop()             # its last events are the note-offs
        """
        usual = Settings(avoid_loops=True, longest_rest_s=LONGEST_REST_S)
        chosen = usual.changed(**settings)
        begin = self._primer(opened(primer, primer_chords, primer_pitches))
        if seed is None:
            seed = int(generator(None).integers(2**31))
        player = Player(self.engine, chosen, generator(seed), begin)
        rate = self.vocabulary.steps_per_second
        player.start_by(player.decoder.begin + round(LONGEST_START_S * rate))
        rate = self.vocabulary.steps_per_second
        habit = Habit(generator(seed, 1), player.decoder.begin, rate)
        return Stream(
            player, habit if self.engine.pointers else None, lead_s=lead_s, clock=clock, sleep=sleep
        )

    def beam_search(
        self,
        *,
        events: int,
        width: int = 8,
        stochastic: bool = False,
        length_penalty: float = 1.0,
        seed: int | None = None,
        primer: Primer | None = None,
        primer_chords: str | None = None,
        primer_pitches: Iterable[int] | None = None,
        **settings: Unpack[Options],
    ) -> list[BeamResult]:
        """Find the likeliest continuations by beam search, or draw different ones.

        Parameters
        ----------
        events, width, length_penalty
            See `espressivo.play.beam.search`.
        stochastic : bool
            Whether to draw them by stochastic beam search; only then does `seed` matter.
        seed, primer, primer_chords, primer_pitches, **settings : optional
            As in `generate`.
        """
        chosen = Settings().changed(**settings)
        return search(
            self.engine,
            chosen,
            self._primer(opened(primer, primer_chords, primer_pitches)),
            events=events,
            width=width,
            length_penalty=length_penalty,
            rng=generator(seed) if stochastic else None,
        )

    def fill(
        self,
        performance: Performance,
        start: float,
        end: float,
        *,
        keep: Keep | None = None,
        count: int = 1,
        seconds: float | None = None,
        candidates: int = CANDIDATES,
        seed: int | None = None,
        progress: ProgressCallback | None = None,
        **settings: Unpack[Options],
    ) -> list[Performance]:
        """Invent a passage of a performance anew; return the whole performance with it.

        No note begins before `start` or in what follows, none sounds into what follows unless one
        did before, and the pedal at the end of the passage is as it was. What is before and after
        it stays as it is.

        Parameters
        ----------
        performance : Performance
        start, end : float
            The passage in seconds: ``0 <= start < end <= performance.seconds``.
        keep : str or bool array, optional
            What stays of it note for note: ``"left"``, ``"right"``, ``"below C4"``, ``"above C4"``,
            which notes of the performance, or ``"rhythm"``; see `espressivo.play.keeping`.
        count : int
            How many fills; number n, from 0, is that of the seed plus n.
        seconds : float, optional
            Length of the new passage, if it is not the old one; what follows moves.
        candidates : int
            How many are weighed for each fill; 1 takes the first.
        seed, progress, **settings : optional
            As in `generate_batch`. Controls count within the passage; guidance cannot be had.

        Raises
        ------
        GenerationError
            If there is no such passage, nothing to keep, or an argument is out of range.
        """
        chosen, seed = filling_of(self.engine, count, candidates, seed, settings)
        kept, rhythm = kept_of(performance, start, end, keep)
        passage = passage_of(performance, start, end, kept=kept, rhythm=rhythm, seconds=seconds)
        told = counting(progress, count * candidates)
        return [
            fill(self.engine, passage, settings=chosen, seed=one, candidates=candidates, told=told)
            for one in range(seed, seed + count)
        ]

    def vary(
        self,
        performance: Performance,
        start: float,
        end: float,
        *,
        amount: float = 0.3,
        count: int = 1,
        candidates: int = CANDIDATES,
        seed: int | None = None,
        progress: ProgressCallback | None = None,
        **settings: Unpack[Options],
    ) -> list[Performance]:
        """Change a passage of a performance a little; return the whole performance with it.

        Parameters
        ----------
        amount : float
            The part of its notes that go, 0..1: 0 is the passage as it is, and 1 a fill. The
            others stay note for note.
        performance, start, end, count, candidates, seed, progress, **settings : optional
            As in `fill`.
        """
        chosen, seed = filling_of(self.engine, count, candidates, seed, settings)
        told = counting(progress, count * candidates)
        return [
            vary(
                self.engine, performance, start, end, amount=amount, settings=chosen, seed=one,
                candidates=candidates, told=told,
            )
            for one in range(seed, seed + count)
        ]  # fmt: skip

    def space(self) -> Space:
        """Return the space of passages, in which it goes from one to another."""
        return Space(self.engine)

    def decode(
        self, ids: ArrayLike, primer: Primer | None = None, include_primer: bool = False
    ) -> Performance:
        """Return the performance that ids are after a primer, with it or alone; see `generate`."""
        begin = opened(primer)
        before, after = self._primer(begin), self.vocabulary.check(ids)
        if include_primer and not isinstance(begin, Performance):
            return self.vocabulary.decode(np.concatenate((before, after)))
        decoder = decoder_of(self.vocabulary)
        for id_ in before.tolist():
            decoder.feed(id_)
        decoder.begin_here()
        standing = self.vocabulary.check(decoder.standing())
        after = sooner(after, decoder.begin - decoder.now, self.vocabulary)
        alone = self.vocabulary.decode(np.concatenate((standing, after)))
        if include_primer and isinstance(begin, Performance):
            return continued(begin, alone, decoder.begin / self.vocabulary.steps_per_second)
        return alone

    def score(self, performance: Primer) -> NDArray[np.float64]:
        """Return how likely each event of a performance is to the model, given those before it.

        Parameters
        ----------
        performance : Performance, path of a MIDI file or sequence of ids
            A performance is encoded in the model's vocabulary.

        Returns
        -------
        float64 array, shape (number of events,)
            Natural logarithms of probabilities (nats); the first event is given nothing. Their
            sum is the logarithm of the probability of the whole.
        """
        ids = self._ids(performance)
        inputs = np.concatenate(([self.vocabulary.size], ids[:-1])).astype(np.int64)
        scores = np.empty(len(ids))
        said = self.engine.pointed(ids)
        state = self.engine.initial_state()
        for start in range(0, len(ids), _CHUNK):
            part = slice(start, start + _CHUNK)
            pointers = None if said is None else said[part, None]
            logits, state = self.engine.run(inputs[part, None], state, pointers=pointers)
            x = logits[:, 0].astype(np.float64)
            x -= x.max(axis=1, keepdims=True)
            targets = np.take_along_axis(x, ids[part, None], axis=1)[:, 0]
            scores[part] = targets - np.log(np.exp(x).sum(axis=1))
        return scores

    def next_events(self, primer: Primer | None = None, top: int = 5) -> list[tuple[int, float]]:
        """Return the likeliest next events after a primer, with their probabilities.

        They are the model's own, before any event is ruled out; the likeliest comes first.
        """
        top = within("top", top, least=1, whole=True)
        state = self.state()
        state.feed(self._before(primer))
        p = state.probabilities()
        return [(int(id_), float(p[id_])) for id_ in np.argsort(-p, kind="stable")[:top]]

    def _ids(self, primer: Primer) -> Ids:
        begin = opened(primer)
        if isinstance(begin, Performance):
            return self.vocabulary.encode(begin)
        return self.vocabulary.check([] if begin is None else begin)

    def _primer(self, primer: Primer | None) -> Ids:
        """Return the ids of a primer as far as music can follow: whole steps, and no end."""
        ids = self._before(primer)
        if not self.vocabulary.notewise:
            return ids
        whole = np.flatnonzero(following(self.vocabulary)[0][ids] == 0)
        return ids[: whole[-1] + 1] if len(whole) else ids[:0]

    def _before(self, primer: Primer | None) -> Ids:
        """Return the ids of a primer up to its end event, after which nothing could follow."""
        if primer is None:
            return np.empty(0, np.int32)
        ids = self._ids(primer)
        ends = np.flatnonzero(self.vocabulary.kinds[ids] == END)
        return ids[: ends[0]] if len(ends) else ids
