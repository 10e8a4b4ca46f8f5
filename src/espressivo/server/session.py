"""Session: a model that plays for one listener."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from espressivo import midi
from espressivo.errors import EspressivoError, ServerError
from espressivo.play import LONGEST_REST_S, Model, Stream, load
from espressivo.server import messages
from espressivo.server.controls import Choice, Control, offered

__all__ = ["LEAD_S", "Models", "Session"]

LEAD_S = 0.5
"""How far ahead of its time music is sent: what a network may tarry without a gap, and how long
steering takes to be heard."""

_PRIMER_NOTES = 100  # what the model reads of what was played: half a second's work
_FIRST_REST_S = 0.2  # who presses play wants to hear something


class Models:
    """The models that can be chosen, each loaded when it first is.

    Parameters
    ----------
    names : sequence of str
        Bundled names and paths of model files, the first being the one to begin with.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._loaded: dict[str, Model] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Model:
        """Return a model; `ServerError` if it is not one of those."""
        if name not in self.names:
            raise ServerError(f"name must be one of {', '.join(self.names)}, not {name[:60]!r}")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load(name)
            return self._loaded[name]


class Session:
    """Plays for one listener; at most one run at a time, each in a thread of its own.

    Parameters
    ----------
    models : Models
    send : function
        Sends a message, text or bytes; called from the thread of the run too. It may wait, which
        makes the run wait, and raises `ConnectionError` once the listener has gone.
    """

    def __init__(self, models: Models, send: Callable[[str | bytes], None]) -> None:
        self._models, self._send = models, send
        self._model = models.get(models.names[0])
        self._stream: Stream | None = None
        self._steering = threading.Lock()  # a page and the run itself steer

    def greet(self, version: str) -> None:
        """Say what there is."""
        self._tell("hello", version=version, models=self._models.names)
        self._choose(self._models.names[0])

    def handle(self, message: str | bytes) -> None:
        """Do what a message asks for, or answer with what is wrong with it."""
        try:
            if isinstance(message, bytes):
                self._tell("file", events=self._read(message))
            else:
                self._do(messages.parse(message))
        except EspressivoError as error:
            self._tell("error", message=str(error))

    def close(self) -> None:
        """End the run, if there is one. Nothing that it still decides is sent."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.stop()

    def _do(self, message: messages.Message) -> None:
        match message:
            case messages.Begin():
                self._begin(message)
            case messages.Stop():
                self.close()
            case messages.Steer():
                self._steer(self._stream, self._settings(message.settings))
            case messages.Model():
                self._choose(message.name)
            case messages.Play():
                if self._stream is not None:
                    self._stream.hear(message.pitch, message.velocity)
            case messages.Save():
                self._send(midi.to_bytes(messages.performance(message.events)))

    def _begin(self, begin: messages.Begin) -> None:
        settings = self._settings(begin.settings)
        self.close()
        heard = messages.performance(messages.latest(begin.events, _PRIMER_NOTES))
        stream = self._model.stream(
            seed=begin.seed, primer=heard, lead_s=LEAD_S, longest_rest_s=_FIRST_REST_S, **settings
        )
        self._stream = stream
        self._tell("begun", run=begin.run)
        name = f"run {begin.run}"
        threading.Thread(target=self._run, args=(stream, begin), name=name, daemon=True).start()

    def _run(self, stream: Stream, begin: messages.Begin) -> None:
        """Send what a stream plays, until it is no longer the one to be heard."""
        resting = True
        try:
            for played in stream:
                if self._stream is not stream:
                    return
                if resting and played.kind == "note_on":
                    resting = False
                    self._steer(stream, {"longest_rest_s": LONGEST_REST_S})
                event = messages.event(played, begin.time_s)
                self._tell("events", run=begin.run, events=[event])
        except ConnectionError:
            return

    def _steer(self, stream: Stream | None, changes: dict[str, Any]) -> None:
        with self._steering:
            if stream is not None:
                stream.steer(**changes)

    def _choose(self, name: str) -> None:
        self._model = self._models.get(name)
        self.close()
        controls = [vars(control) for control in self._controls().values()]
        self._tell("model", name=name, controls=controls)

    def _controls(self) -> dict[str, Control | Choice]:
        return offered(self._model)

    def _settings(self, given: dict[str, Any]) -> dict[str, Any]:
        controls = self._controls()
        unknown = sorted(set(given) - set(controls))
        if unknown:
            raise ServerError(
                f"settings has {unknown[0][:60]!r}, and this model is steered by "
                f"{', '.join(controls)}"
            )
        return {name: controls[name].checked(value) for name, value in given.items()}

    def _read(self, data: bytes) -> list[messages.Event]:
        found = messages.events(midi.from_bytes(data, "the file"))
        if len(found) > messages.MAX_EVENTS:
            raise ServerError(
                f"the file has {len(found)} events: at most {messages.MAX_EVENTS} can be read"
            )
        return found

    def _tell(self, kind: str, **fields: Any) -> None:
        self._send(json.dumps({"type": kind, **fields}, separators=(",", ":")))
