"""A soundfont built from bytes: a sine of each key, brighter when struck hard."""

from __future__ import annotations

import struct

import numpy as np

RATE, ROOT, SECONDS = 22050, 69, 2.0
_RELEASE, _INSTRUMENT, _VELOCITIES, _SAMPLE = 38, 41, 44, 53


def soundfont() -> bytes:
    """Two velocity layers, 1..63 a plain sine and 64..127 one that has its third harmonic too."""
    time_s = np.arange(int(RATE * SECONDS)) / RATE
    plain = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    bright = plain + 0.4 * np.sin(2 * np.pi * 3 * 440 * time_s)
    waves = [(32767 * wave).astype("<i2").tobytes() for wave in (plain, bright)]
    silence = bytes(2 * 46)
    samples, heads = b"", b""
    for number, wave in enumerate(waves):
        begin, end = len(samples) // 2, (len(samples) + len(wave)) // 2
        heads += struct.pack(
            "<20sIIIIIBbHH", f"sine {number}".encode(), begin, end, begin, end, RATE, ROOT, 0, 0, 1
        )
        samples += wave + silence
    heads += struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    zones = [
        [(_VELOCITIES, 1 | 63 << 8), (_RELEASE, -2400 & 0xFFFF), (_SAMPLE, 0)],
        [(_VELOCITIES, 64 | 127 << 8), (_RELEASE, -2400 & 0xFFFF), (_SAMPLE, 1)],
    ]
    generators = b"".join(struct.pack("<HH", *g) for zone in zones for g in zone)
    first = np.cumsum([0, *(len(zone) for zone in zones)]).tolist()
    pdta = {
        b"phdr": struct.pack("<20sHHHIII", b"Sine", 0, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HHHH", _INSTRUMENT, 0, 0, 0),
        b"inst": struct.pack("<20sH", b"Sine", 0) + struct.pack("<20sH", b"EOI", 2),
        b"ibag": b"".join(struct.pack("<HH", n, 0) for n in first),
        b"imod": bytes(10),
        b"igen": generators + bytes(4),
        b"shdr": heads,
    }
    info = _chunk(b"ifil", struct.pack("<HH", 2, 4)) + _chunk(b"INAM", b"sine")
    lists = (
        _list(b"INFO", info),
        _list(b"sdta", _chunk(b"smpl", samples)),
        _list(b"pdta", b"".join(_chunk(name, data) for name, data in pdta.items())),
    )
    return _chunk(b"RIFF", b"sfbk" + b"".join(lists))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)
