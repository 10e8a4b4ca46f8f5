"""As much of sounddevice as is used, with devices that are made up and played by `turn`."""

import numpy as np

APIS = [
    {"name": "ALSA", "default_output_device": 1},
    {"name": "Windows WASAPI", "default_output_device": 3},
]
DEVICES = [
    {"name": "Microphone", "max_output_channels": 0, "hostapi": 0},
    {"name": "Built-in", "max_output_channels": 2, "hostapi": 0},
    {"name": "Headphones", "max_output_channels": 2, "hostapi": 0},
]
OPENED = []


class PortAudioError(Exception):
    pass


class default:
    device = (0, 1)


class WasapiSettings:
    def __init__(self, auto_convert):
        self.auto_convert = auto_convert


def query_hostapis(index=None):
    used = APIS[: 1 + max(d["hostapi"] for d in DEVICES)]
    return used if index is None else used[index]


def query_devices(index=None):
    devices = [{**device, "index": n} for n, device in enumerate(DEVICES)]
    return devices if index is None else devices[index]


class Status:
    def __init__(self, output_underflow):
        self.output_underflow = output_underflow


class OutputStream:
    latency = 0.0125

    def __init__(self, callback, blocksize, device, extra_settings, **_):
        if DEVICES[device]["name"] == "Headphones":
            raise PortAudioError("Device unavailable [PaErrorCode -9985]", -9985)
        self.active, self.extra_settings = False, extra_settings
        self._callback, self._blocksize = callback, blocksize
        self.closed = False
        OPENED.append(self)

    def start(self):
        self.active = True

    def close(self):
        self.active, self.closed = False, True

    def turn(self, underflow=False):
        """Ask for a block, as the driver does; return it."""
        out = np.full((self._blocksize, 2), np.nan, np.float32)
        self._callback(out, self._blocksize, None, Status(underflow))
        return out
