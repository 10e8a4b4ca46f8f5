"""Speakers: the bundled piano through the system's sound, by sounddevice (the extra ``live``)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from espressivo.errors import AudioError
from espressivo.live.ports import silenced
from espressivo.views import BLOCK, SAMPLE_RATE, Instrument

__all__ = ["Speakers"]

_WINDOWS = "Windows WASAPI"  # of the four that Windows has, the one with a short delay
_SWITCH_S = 0.0005  # after which other threads of Python make way; 5 ms would be a block
_PATIENCE_S = 1.0  # for the last sound to die away, which takes 0.3 s


class Speakers:
    """A piano that sounds at once; a context that opens it and ends all sound.

    The sound is made on a thread of the driver. Who sends to it (`Instrument.player`) never waits.
    Within the block of ``with`` threads of Python take turns more often than usual.

    Parameters
    ----------
    device : str, optional
        Name of the sound device, or a part that no other's name has; capitals do not matter. By
        default the one that the system prefers.
    progress : function, optional
        As in `espressivo.views.Instrument`.

    Raises
    ------
    AudioError
        If sounddevice or its library PortAudio is missing, or there is no such device.
    """

    def __init__(
        self,
        device: str | None = None,
        progress: Callable[[float, float], object] | None = None,
    ) -> None:
        with silenced():
            sounddevice = _sounddevice()
            number, self.name = _device(sounddevice, device)
        self.instrument = Instrument(progress)
        self.underruns = 0
        """How often the system had nothing to play, which is heard as a crackle."""
        self._failure: Exception | None = None
        try:
            with silenced():
                self._stream = sounddevice.OutputStream(
                    samplerate=SAMPLE_RATE,
                    blocksize=BLOCK,
                    device=number,
                    channels=2,
                    dtype="float32",
                    latency="low",
                    extra_settings=_settings(sounddevice, number),
                    callback=self._fill,
                )
                self._stream.start()
        except sounddevice.PortAudioError as error:
            raise AudioError(
                f"the sound device {self.name!r} cannot be opened ({error.args[0]}): "
                "close what else uses it"
            ) from None

    @property
    def delay_ms(self) -> float:
        """How long after it was made a sound is heard, as the driver says, in milliseconds."""
        return round(1000 * float(self._stream.latency), 1)

    def check(self) -> None:
        """Raise `AudioError` if the device has gone, as when it is unplugged."""
        if self._failure is not None:
            raise self._failure
        if not self._stream.active:
            raise AudioError(f"the sound device {self.name!r} has gone: connect it and start again")

    def __enter__(self) -> Self:
        self._before_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.setswitchinterval(self._before_s)
        self.instrument.end()
        until_s = time.monotonic() + _PATIENCE_S
        while self._stream.active and not self.instrument.ended and time.monotonic() < until_s:
            time.sleep(0.01)
        self._stream.close()

    def _fill(self, out: Any, _frames: int, _time: object, status: Any) -> None:
        """Give the driver what it plays next."""
        self.underruns += bool(status.output_underflow)
        try:
            out[:] = self.instrument.block().T
        except Exception as error:  # `check` raises it; the driver could not
            self._failure = error
            out[:] = 0


def _device(sounddevice: Any, name: str | None) -> tuple[int, str]:
    """Return number and name of the sound device that is so named."""
    apis = sounddevice.query_hostapis()
    found = [d for d in sounddevice.query_devices() if d["max_output_channels"] >= 2]
    found = [d for d in found if apis[d["hostapi"]]["name"] == _WINDOWS] or found
    names = "; ".join(d["name"] for d in found) or "none"
    if name is None:
        number = int(sounddevice.default.device[1])
        if any(api["name"] == _WINDOWS for api in apis):
            number = next(a["default_output_device"] for a in apis if a["name"] == _WINDOWS)
        matching = [d for d in found if d["index"] == number]
        problem = "no sound device is the system's default"
    else:
        matching = [d for d in found if d["name"].casefold() == name.casefold()]
        matching = matching or [d for d in found if name.casefold() in d["name"].casefold()]
        problem = f"{'several sound devices match' if matching else 'no sound device is named'} "
        problem += repr(name)
    if len(matching) != 1:
        raise AudioError(f"{problem}: choose one of: {names}")
    return int(matching[0]["index"]), str(matching[0]["name"])


def _settings(sounddevice: Any, number: int) -> Any:
    """Return what a device needs to take our sample rate, whatever its own is."""
    api = sounddevice.query_hostapis(sounddevice.query_devices(number)["hostapi"])
    return sounddevice.WasapiSettings(auto_convert=True) if api["name"] == _WINDOWS else None


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise AudioError("live sound needs sounddevice: pip install 'espressivo[live]'") from None
    except OSError:  # only on Linux is PortAudio not within it
        raise AudioError(
            "live sound needs the library PortAudio: apt install libportaudio2 on Debian and "
            "Ubuntu, dnf install portaudio on Fedora"
        ) from None
    return sounddevice
