"""Sound: a performance played by sampled piano, as an array of samples or an audio file.

symusic decodes the samples of a soundfont and shifts them to their pitch. Its synthesiser (0.5.8)
can do no more for a piano: it plays every velocity of a layer equally loud, and stops a note within
a millisecond of its release. So it plays each pitch and touch once, held (see
`espressivo.views.soundfont`), and the rest is done here: loudness, dampers, position in the stereo
picture, and a little room.

The bundled piano is Salamander Grand Piano V3 by Alexander Holm (CC BY 3.0), reduced to five layers
by ``tools/piano.py``.
"""

from __future__ import annotations

import base64
import importlib.resources
import io
import math
import os
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import AudioError
from espressivo.files import ending, regular, replacing
from espressivo.music import Performance, sustained_notes
from espressivo.views.soundfont import Piano, PianoApart

__all__ = [
    "CEILING",
    "FORMATS",
    "GAIN",
    "LONGEST_S",
    "SAMPLE_RATE",
    "TOUCHES",
    "Audio",
    "bundled",
    "check_path",
    "check_soundfont",
    "damper",
    "echo",
    "is_sound",
    "render",
    "sides",
    "write_sound",
]

SAMPLE_RATE = 44_100
"""Samples a second, by default."""

LONGEST_S = 3600.0
"""Longer performances are not rendered: an hour takes more than a gigabyte."""

FORMATS = (".wav", ".flac", ".ogg", ".mp3")
"""Suffixes of the files that can be written; all but ``.wav`` need soundfile."""

TOUCHES = (36, 53, 71, 92, 127)
"""Greatest velocity of each touch. The touches are the layers of the bundled piano, from soft to
loud; a soundfont with other layers plays at these five velocities."""

GAIN = 0.8
"""Of the samples; most performances then peak between -10 dB and the ceiling."""

CEILING = 10 ** (-1 / 20)
"""Nothing is louder: 1 dB below full scale."""

_RATES = (8_000, 192_000)
_LAST_DAMPED_PITCH = 88  # the strings above have no dampers
_LONGEST_DAMPING_S = 4.0
_DAMPED = math.log(0.001)
_WIDTH = 0.5  # of the stereo picture: 1 puts the lowest key on the far left
_ROOM_S = 0.8
_ROOM_LEVEL = 0.2


@dataclass(frozen=True, eq=False)
class Audio:
    """Stereo sound. In a notebook it shows as a player.

    Parameters
    ----------
    samples : float32 array, shape (2, n)
        Left and right, within -1..1.
    sample_rate : int
        Samples a second.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return int(self.samples.shape[1]) / self.sample_rate

    @property
    def peak(self) -> float:
        """Greatest absolute value of a sample."""
        return max(float(self.samples.max()), -float(self.samples.min()))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a file, in the format that the suffix of its name says (see `FORMATS`).

        WAV has 16 bits a sample. The others need soundfile, the extra ``audio``.

        Raises
        ------
        AudioError
            If the suffix is unknown, or soundfile is missing or cannot write the format at this
            sample rate.
        """
        kind = check_path(path)
        try:
            encoded = self._encoded(kind)
        except RuntimeError as error:  # of soundfile, such as a rate that MP3 does not have
            reason = str(error).rpartition(" : ")[2]
            raise AudioError(f"{path}: cannot be written: {reason}") from None
        with replacing(path) as temporary:
            temporary.write_bytes(encoded)

    def _encoded(self, kind: str) -> bytes:
        file = io.BytesIO()
        if kind == ".wav":
            with wave.open(file, "wb") as out:
                out.setparams((2, 2, self.sample_rate, 0, "NONE", ""))
                out.writeframes((self.samples.T * 32767).round().astype("<i2").tobytes())
        else:
            soundfile, name = _soundfile(kind), kind[1:].upper()
            with soundfile.SoundFile(file, "w", self.sample_rate, 2, format=name) as out:
                for begin in range(0, self.samples.shape[1], self.sample_rate):
                    out.write(self.samples[:, begin : begin + self.sample_rate].T)
        return file.getvalue()

    def html(self) -> str:
        """Return a player, the element ``audio``, that holds the sound as WAV."""
        encoded = base64.b64encode(self._encoded(".wav")).decode()
        return f'<audio controls src="data:audio/wav;base64,{encoded}"></audio>'

    _repr_html_ = html  # what notebooks ask for


def bundled() -> Path:
    """Return the path of the bundled piano, an SF3 soundfont."""
    return Path(str(importlib.resources.files("espressivo"))) / "sounds" / "piano.sf3"


def is_sound(path: str | os.PathLike[str]) -> bool:
    """Tell whether the suffix of a path is one of `FORMATS`."""
    return Path(path).suffix.lower() in FORMATS


def check_path(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a path that `Audio.write` can write, in small letters; of streams .wav.

    Raises
    ------
    AudioError
        If the suffix is not of `FORMATS`, or needs soundfile, which is missing.
    """
    kind = ending(path, ".wav")
    if kind not in FORMATS:
        raise AudioError(f"{path}: the name of a sound must end in {', '.join(FORMATS)}")
    if kind != ".wav":
        _soundfile(path)
    return kind


def check_soundfont(path: str | os.PathLike[str]) -> Path:
    """Return the path of a soundfont; `AudioError` if no file that can be read is there."""
    try:
        return regular(path)
    except FileNotFoundError:
        raise AudioError(f"{path}: no such soundfont; give an SF2 or SF3 file") from None
    except OSError as error:
        raise AudioError(
            f"{path}: cannot be read: {error.strerror}; give an SF2 or SF3 file"
        ) from None


def render(
    performance: Performance,
    *,
    sample_rate: int = SAMPLE_RATE,
    soundfont: str | os.PathLike[str] | None = None,
    progress: Callable[[float, float], object] | None = None,
) -> Audio:
    """Play a performance.

    The sustain pedal is folded into the notes, down from value 64 on; the other pedals make no
    difference. Loudness goes with the square of velocity, as is standard for soundfonts, and the
    tone with the five `TOUCHES`. What would be louder than 1 dB below full scale is made softer
    as a whole; nothing is made louder, so soft pieces stay soft.

    Parameters
    ----------
    performance : Performance
        With at least one note, and at most `LONGEST_S` long.
    sample_rate : int
        Samples a second, 8000..192000. Rates other than the soundfont's, which is `SAMPLE_RATE`
        for the bundled piano, take several times as long.
    soundfont : path, optional
        SF2 or SF3 file, of which bank 0, program 0 is played, in a process of its own; by default
        the bundled piano.
    progress : function, optional
        Called with the number of notes that are done, and of all.

    Returns
    -------
    Audio
        Begins where the performance begins, and lasts until the last sound has died away.

    Raises
    ------
    AudioError
        If one of these is out of range, or the soundfont is missing, damaged or without a piano.
    """
    if not len(performance):
        raise AudioError("there is nothing to hear: the performance has no notes")
    if performance.seconds > LONGEST_S:
        raise AudioError(f"{performance.seconds:.0f} s are too long: at most {LONGEST_S:.0f} s")
    if not _RATES[0] <= sample_rate <= _RATES[1]:
        raise AudioError(f"sample rate {sample_rate} is not within {_RATES[0]}..{_RATES[1]}")
    path = bundled() if soundfont is None else check_soundfont(soundfont)
    notes = sustained_notes(performance)
    ends_s = notes["offset_s"] + [_damping_s(pitch) for pitch in notes["pitch"].tolist()]
    sound = np.zeros((2, math.ceil((ends_s.max() + _ROOM_S) * sample_rate) + 1), np.float32)
    touches = np.searchsorted(TOUCHES, notes["velocity"])
    with (Piano if soundfont is None else PianoApart)(path, sample_rate) as piano:
        for pitch in np.unique(notes["pitch"]).tolist():
            for touch in np.unique(touches[notes["pitch"] == pitch]).tolist():
                _strike(sound, notes[(notes["pitch"] == pitch) & (touches == touch)], piano)
            if progress is not None:
                progress(int((notes["pitch"] <= pitch).sum()), len(notes))
    if not sound.any():
        raise AudioError(f"{path}: holds no sound of a piano (bank 0, program 0)")
    _add_room(sound, sample_rate)
    audio = Audio(sound, sample_rate)
    sound *= min(GAIN, CEILING / audio.peak)
    return audio


def write_sound(
    performance: Performance,
    path: str | os.PathLike[str],
    *,
    sample_rate: int = SAMPLE_RATE,
    soundfont: str | os.PathLike[str] | None = None,
) -> None:
    """Play a performance and write its sound; see `render` and `Audio.write`."""
    check_path(path)  # before the work
    render(performance, sample_rate=sample_rate, soundfont=soundfont).write(path)


def _strike(sound: NDArray[np.float32], notes: NDArray[np.void], piano: Piano | PianoApart) -> None:
    """Add notes of one pitch and touch to the sound."""
    rate, pitch = piano.sample_rate, int(notes["pitch"][0])
    longest_s = float((notes["offset_s"] - notes["onset_s"]).max()) + _damping_s(pitch)
    sample = piano.sample(pitch, int(notes["velocity"].max()), longest_s)
    falls, both = damper(pitch, rate), sides(pitch)
    for velocity in np.unique(notes["velocity"]).tolist():
        alike = notes[notes["velocity"] == velocity]
        begin = np.rint(alike["onset_s"] * rate).astype(int)
        held = np.rint((alike["offset_s"] - alike["onset_s"]) * rate).astype(int)
        key = both * (velocity / 127) ** 2 * sample[: held.max() + len(falls)]  # left and right
        for at, release in zip(begin.tolist(), held.tolist(), strict=True):
            tail = key[:, release : release + len(falls)]
            sound[:, at : at + release][:, : key.shape[1]] += key[:, :release]
            sound[:, at + release :][:, : tail.shape[1]] += tail * falls[: tail.shape[1]]


def sides(pitch: int) -> NDArray[np.float32]:
    """Return how loud a key is on the left and on the right, shape (2, 1)."""
    angle = math.pi / 4 * (1 + _WIDTH * (pitch - 64.5) / 43.5)
    return np.array([[math.cos(angle)], [math.sin(angle)]], np.float32)


def damper(pitch: int, rate: int) -> NDArray[np.float32]:
    """Return how a string dies away once its key is released, sample after sample, from 1 on."""
    length = int(_damping_s(pitch) * rate)
    return np.exp(np.linspace(0, _DAMPED, length, dtype=np.float32))


def _damping_s(pitch: int) -> float:
    """Return the seconds from the release of a key until its string is 60 dB softer."""
    if pitch > _LAST_DAMPED_PITCH:
        return _LONGEST_DAMPING_S
    return float(np.interp(pitch, (21, 48, _LAST_DAMPED_PITCH), (0.6, 0.4, 0.25)))


def _add_room(sound: NDArray[np.float32], rate: int) -> None:
    """Add the sound of a small room: a diffuse decay, by convolution, block after block."""
    click = echo(rate)
    size = 1 << max(17, (2 * click.shape[1]).bit_length())
    block = size - click.shape[1] + 1
    spectra = np.fft.rfft(click, size)
    dry = sound.mean(axis=0)
    for begin in range(0, len(dry), block):
        wet = np.fft.irfft(np.fft.rfft(dry[begin : begin + block], size) * spectra, size)
        end = min(begin + size, len(dry))
        sound[:, begin:end] += wet[:, : end - begin]


def echo(rate: int) -> NDArray[np.float32]:
    """Return what the room answers to a click, shape (2, n): noise that dies away, dark."""
    n = int(_ROOM_S * rate)
    noise = np.random.default_rng(0).standard_normal((2, n)) * np.exp(np.linspace(0, _DAMPED, n))
    hertz = np.fft.rfftfreq(n, 1 / rate)
    dark = np.fft.irfft(np.fft.rfft(noise) * (hertz > 150) / (1 + (hertz / 3000) ** 2), n)
    level: NDArray[np.float64] = np.sqrt((dark**2).sum(axis=1, keepdims=True))
    return (_ROOM_LEVEL * dark / level).astype(np.float32)


def _soundfile(path: str | os.PathLike[str]) -> Any:
    try:
        import soundfile
    except ImportError:
        raise AudioError(
            f"{path}: only .wav goes without soundfile: pip install 'espressivo[audio]'"
        ) from None
    return soundfile
