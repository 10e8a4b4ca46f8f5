"""Session: a model that plays for one listener."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from espressivo import midi
from espressivo.errors import EspressivoError, ServerError
from espressivo.play import Lean, Model, Stream, has_space, load
from espressivo.server import messages
from espressivo.server.controls import Control, WordControl, available_controls
from espressivo.server.counts import Counts
from espressivo.server.heard import hears

__all__ = ["LEAD_S", "Models", "Session"]

LEAD_S = 0.5
"""Music is sent so long before its time: a network may be late by so much without a gap in the
music, and steering is heard so much later."""

_DELAY_S = 0.12  # as in player.js
_PRIMER_NOTES = 100  # so many of the latest notes are read: half a second's work
_LONGEST_MESSAGE = 400  # characters
_MOMENT_S = 10.0  # a run ends between two ids, or with what it sends


class Models:
    """The models that can be chosen, each loaded when it first is.

    Parameters
    ----------
    names : sequence of str
        Bundled names and paths of model files, the first being the one to begin with.
    styles : sequence of str, optional
        Style files in which all of them play, as `espressivo.load` takes them.
    """

    def __init__(self, names: Sequence[str], styles: Sequence[str] = ()) -> None:
        self.names, self.styles = tuple(dict.fromkeys(names)), styles
        self._loaded: dict[str, Model] = {}
        self._locks = {name: threading.Lock() for name in self.names}  # who loads one
        self.filling = threading.Lock()
        """Held by whoever fills a passage: one after another, so that music goes on meanwhile."""
        self.counts = Counts()
        """Of what sessions do with them."""

    def get(self, name: str) -> Model:
        """Return a model; `ServerError` if it is not one of those."""
        if name not in self.names:
            raise ServerError(f"name must be one of {', '.join(self.names)}, not {name[:60]!r}")
        with self._locks[name]:
            if name not in self._loaded:
                self._loaded[name] = load(name, self.styles)
            return self._loaded[name]


class Session:
    """Plays for one listener; at most one run at a time, each in a thread of its own.

    Parameters
    ----------
    models : Models
    send : function
        Sends a message; called from the thread of the run too. It may wait, which
        makes the run wait, and raises `ConnectionError` once the listener has gone.
    """

    def __init__(self, models: Models, send: Callable[[str], None]) -> None:
        self._models, self._send = models, send
        self._model = models.get(models.names[0])
        self._stream: Stream | None = None  # of the run that the page is playing
        self._between: messages.Between | None = None  # what it plays by, and how
        self._lean: Lean | None = None
        self._filling: messages.Fill | None = None  # what the page still waits for
        self._runs: list[threading.Thread] = []  # those that go on, or may not have ended yet

    def greet(self, version: str) -> None:
        """Tell the page which models there are, and choose the first."""
        offers = [*messages.OFFERS, *(["sound"] if hears() else [])]
        self._tell("hello", version=version, models=self._models.names, offers=offers)
        self._choose(self._models.names[0])

    def handle(self, message: str | bytes) -> None:
        """Do what a message requests, or answer with an error, in one line.

        Raises
        ------
        ConnectionError
            If the listener has gone.
        """
        try:
            if isinstance(message, bytes):
                self._tell("file", events=self._read(message))
            else:
                self._do(messages.parse(message))
        except ConnectionError:
            raise
        except Exception as error:
            self._tell("error", run=None, message=self._in_one_line(error))

    def close(self) -> None:
        """End the run or the filling, if there is one. Nothing more of it is sent."""
        stream, self._stream, self._filling = self._stream, None, None
        if stream is not None:
            stream.stop()

    def wait(self) -> None:
        """Wait a moment for the runs that were ended.

        A thread that computes when Python ends takes the process down with a crash.
        """
        until_s = time.monotonic() + _MOMENT_S
        for run in self._runs:
            run.join(max(0.0, until_s - time.monotonic()))

    def _do(self, message: messages.PageMessage) -> None:
        match message:
            case messages.Begin():
                self._begin(message)
            case messages.Stop():
                self.close()
            case messages.Steer():
                settings = self._settings(message.settings)
                if self._stream is not None:
                    self._stream.steer(**settings)
            case messages.ChooseModel():
                self._choose(message.name)
            case messages.Between():
                self._go_between(message)
            case messages.Hear():
                if self._stream is not None:
                    self._stream.hear(message.pitch, message.velocity)
            case messages.Fill():
                settings = self._settings(message.settings)
                self.close()
                self._filling = message
                self._start(f"fill {message.run}", self._fill, self._model, message, settings)

    def _begin(self, begin: messages.Begin) -> None:
        settings = self._settings(begin.settings)
        primer = messages.performance(messages.latest(begin.events, _PRIMER_NOTES))

        def returned(at_s: float, from_s: float, seconds: float) -> None:
            at_s, from_s = (round(second + begin.time_s, 4) for second in (at_s, from_s))
            self._tell("returned", run=begin.run, at_s=at_s, from_s=from_s, seconds=seconds)

        stream = self._model.stream(
            seed=begin.seed, primer=primer, lead_s=LEAD_S, returned=returned, **settings
        )
        self.close()
        if self._lean is not None:
            stream.lean(self._lean)
        self._stream = stream
        self._tell("begun", run=begin.run)
        self._models.counts.add("runs")
        # Its events are not kept, for an hour perhaps.
        self._start(f"run {begin.run}", self._run, stream, begin.run, begin.time_s)

    def _go_between(self, asked: messages.Between) -> None:
        """Play by a point between two passages from the next event on, or freely."""
        before, self._between = self._between, None
        if not asked.passages:
            self._lean = None
        elif self._lean is not None and before and before.passages == asked.passages:
            self._lean.share = asked.share
        else:
            self._lean = None
            space = self._model.space()
            ends = [space.encode(messages.performance(events)) for events in asked.passages]
            self._lean = Lean(space, ends[0], ends[1], asked.share)
        self._between = asked
        if self._stream is not None:
            self._stream.lean(self._lean)

    def _start(self, name: str, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, name=name, daemon=True)
        thread.start()
        self._runs = [run for run in self._runs if run.is_alive()] + [thread]

    def _run(self, stream: Stream, run: int, begin_s: float) -> None:
        """Send a run, and tell the page when it ends by itself: by a failure, or the music's end.

        The notes of a model that fails have ended by then, since a stream ends them first.
        """
        message = None
        with contextlib.suppress(ConnectionError):  # the listener has gone
            try:
                self._send_music(stream, run, begin_s)
            except ConnectionError:
                raise
            except Exception as error:
                message = self._in_one_line(error)
            if self._stream is not stream:
                return
            if message is not None:
                self._tell("error", run=run, message=message)
            self._tell("ended", run=run)

    def _fill(self, model: Model, asked: messages.Fill, settings: dict[str, Any]) -> None:
        """Send a passage, unless the page has come to want something else meanwhile."""

        def wanted(*_: Any) -> None:
            if self._filling is not asked:
                raise _UnwantedError

        with contextlib.suppress(ConnectionError, _UnwantedError), self._models.filling:
            wanted()
            try:
                begin_s = min([asked.from_s, *(event[0] for event in asked.events)])
                piece = messages.performance(asked.events, begin_s)
                span = asked.from_s - begin_s, min(asked.to_s - begin_s, piece.seconds)
                settings |= {"seed": asked.seed, "progress": wanted}
                if asked.amount == 1:
                    (made,) = model.fill(piece, *span, keep=asked.keep, **settings)
                else:
                    (made,) = model.vary(piece, *span, amount=asked.amount, **settings)
                wanted()
                found = [(round(s + begin_s, 4), *rest) for s, *rest in messages.events(made)]
                self._tell("filled", run=asked.run, events=found)
            except (ConnectionError, _UnwantedError):
                raise
            except Exception as error:
                wanted()
                self._tell("unfilled", run=asked.run, message=self._in_one_line(error))

    def _send_music(self, stream: Stream, run: int, begin_s: float) -> None:
        """Send the events of a stream until it ends, or the page plays another run or none."""
        sounds_s = time.monotonic() + _DELAY_S  # when the run's time 0 sounds
        for played in stream:
            if self._stream is not stream:
                return
            self._tell("events", run=run, events=[messages.event(played, begin_s)])
            self._models.counts.add("events")
            sent_s = time.monotonic()
            if sent_s > sounds_s + played.time_s:
                self._models.counts.add("gaps")
                sounds_s = sent_s + _DELAY_S - played.time_s

    def _choose(self, name: str) -> None:
        self._model = self._models.get(name)
        self.close()
        self._between = self._lean = None
        controls = [vars(control) for control in self._controls().values()]
        card = self._model.card
        self._tell(
            "model",
            name=name,
            title=str(card.get("name") or "unnamed"),
            licence=str(card.get("licence") or "unspecified"),
            trained_on=str(card.get("trained_on") or ""),
            sha256=self._model.engine.sha256,
            space=has_space(self._model.engine),
            controls=controls,
        )

    def _controls(self) -> dict[str, Control | WordControl]:
        return available_controls(self._model)

    def _settings(self, given: dict[str, Any]) -> dict[str, Any]:
        controls = self._controls()
        unsupported = sorted(set(given) - set(controls))
        if unsupported:
            raise ServerError(
                f"this model does not support the setting {unsupported[0][:60]!r}: "
                f"it supports {', '.join(controls)}"
            )
        return {name: controls[name].checked(value) for name, value in given.items()}

    def _read(self, data: bytes) -> list[messages.MidiEvent]:
        found = messages.events(midi.from_bytes(data, "the file"))
        if len(found) > messages.MAX_EVENTS:
            raise ServerError(
                f"the file has {len(found)} events: at most {messages.MAX_EVENTS} can be read"
            )
        return found

    def _tell(self, kind: str, **fields: Any) -> None:
        self._send(json.dumps({"type": kind, **fields}, separators=(",", ":")))

    def _in_one_line(self, error: Exception) -> str:
        """Return what a page is told of an error; what nobody foresaw is logged and counted."""
        if isinstance(error, EspressivoError):
            text = str(error)
        else:
            logging.getLogger(__name__).error("a listener's model failed", exc_info=error)
            self._models.counts.add("failures")
            text = f"the model failed: {type(error).__name__}: {error}"
        line = " ".join(text.split())
        return line if len(line) <= _LONGEST_MESSAGE else f"{line[: _LONGEST_MESSAGE - 3]}..."


class _UnwantedError(Exception):
    """Nobody waits for what is being made."""
