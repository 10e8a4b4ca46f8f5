"""Ports: MIDI ports of the system, by python-rtmidi (the extra ``live``)."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from espressivo.errors import PortError

__all__ = ["Input", "Output", "port_names", "silenced"]

_NO_WHEELS_FROM = (3, 13)  # of python-rtmidi 1.5.8, as the extra `live` knows too


class _Port:
    """A port that is open; a context that closes it.

    Parameters
    ----------
    name : str
        Its name, or a part that no other port's name has; capitals do not matter.

    Raises
    ------
    PortError
        If python-rtmidi is missing, no port or several are so named, or it cannot be opened.
    """

    kind = ""
    """The class of python-rtmidi."""
    way = ""
    """Which way messages go, in words."""

    def __init__(self, name: str) -> None:
        rtmidi, found = _rtmidi(), []
        for client in _clients(self.kind):
            found += [(full, client, n) for n, full in enumerate(client.get_ports())]
        names = [full for full, _, _ in found]
        matching = [port for port in found if port[0].casefold() == name.casefold()]
        matching = matching or [port for port in found if name.casefold() in port[0].casefold()]
        if len(matching) != 1:
            problem = "several MIDI {}s match" if matching else "no MIDI {} is named"
            raise PortError(
                f"{problem.format(self.way)} {name!r}: choose one of: {'; '.join(names) or 'none'}"
            )
        self.name, self._client, number = matching[0]
        try:
            self._client.open_port(number, "espressivo")
        except rtmidi.RtMidiError as error:
            raise PortError(
                f"the MIDI {self.way} {self.name!r} cannot be opened ({error}): "
                "close what else uses it"
            ) from None

    def check(self) -> None:
        """Raise `PortError` if the port has gone, as when a cable is pulled."""
        if self.name not in self._client.get_ports():
            raise self._gone()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close_port()

    def _gone(self) -> PortError:
        return PortError(f"the MIDI {self.way} {self.name!r} has gone: connect it and start again")


class Input(_Port):
    """A port from which messages come, such as a keyboard's."""

    kind, way = "MidiIn", "input"

    def listen(self, hear: Callable[[Sequence[int]], object], *, clock: bool = False) -> None:
        """Call a function with each message when it comes, on a thread of the driver.

        System messages, as active sensing, are left out; those of the clock if it is not wanted.
        """
        self._client.ignore_types(sysex=True, timing=not clock, active_sense=True)
        self._client.set_callback(lambda event, _: hear(event[0]))


class Output(_Port):
    """A port to which messages go, such as a synthesiser's."""

    kind, way = "MidiOut", "output"

    def send(self, message: Sequence[int]) -> None:
        """Send a message at once; `PortError` if it cannot be sent."""
        try:
            self._client.send_message(message)
        except _rtmidi().RtMidiError:
            raise self._gone() from None


def port_names() -> dict[str, list[str]]:
    """Return the names of the ports, of inputs under "in" and of outputs under "out"."""
    return {
        way: [name for client in _clients(kind) for name in client.get_ports()]
        for way, kind in (("in", "MidiIn"), ("out", "MidiOut"))
    }


def _clients(kind: str) -> list[Any]:
    """Return a client of each MIDI system that runs here, the system's own first."""
    rtmidi, clients = _rtmidi(), []
    with silenced():
        for system in rtmidi.get_compiled_api():
            with contextlib.suppress(rtmidi.RtMidiError):  # as when no JACK server runs
                clients.append(getattr(rtmidi, kind)(system, "espressivo"))
    return clients


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keep the drivers' libraries from writing to standard error that a system does not run."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _how_to_install() -> str:
    if sys.version_info < _NO_WHEELS_FROM:
        return "pip install 'espressivo[live]'"
    return (
        "it has no wheel for this Python: use Python 3.12, or build it by "
        "pip install python-rtmidi, which needs a C++ compiler and on Linux ALSA's headers"
    )


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError:
        raise PortError(f"live MIDI needs python-rtmidi: {_how_to_install()}") from None
    return rtmidi
