"""Instrument: the bundled piano, played message by message; its sound is made block after block.

It sounds as `render` makes it, but for loudness: what would be too loud is made softer from there
on, and for about a second after, since what is still to come is not known.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo.music import PEDAL_THRESHOLD, SUSTAIN
from espressivo.views.sound import (
    CEILING,
    GAIN,
    SAMPLE_RATE,
    TOUCHES,
    bundled,
    damper,
    echo,
    sides,
)
from espressivo.views.soundfont import PianoApart

__all__ = ["BLOCK", "KEYS", "Instrument", "Player"]

BLOCK = 256
"""Samples that are made at once, 5.8 ms. Notes begin and end where a block begins."""

KEYS = range(21, 109)
"""The keys that have strings."""

_LONGEST_S = 8.0  # of the bundled samples
_MOST = 128  # strings that sound at once; for another, the one that was released first stops
_RECOVERY = 0.005  # of what is missing of full loudness, a block
_ENDING = math.ceil(0.3 * SAMPLE_RATE / BLOCK)  # blocks in which all dies away
_NOTE_OFF, _NOTE_ON, _CONTROL = 0x80, 0x90, 0xB0
_ALL_SOUND_OFF, _ALL_NOTES_OFF = 120, 123


class Instrument:
    """A piano for several players; each has keys and a pedal.

    Samples of all keys are loaded first: some seconds, and 170 MB of memory. `Player.send` and
    `end` may be called from any thread, and never wait.

    Parameters
    ----------
    progress : function, optional
        Called with the number of keys that are loaded, and of all.
    """

    def __init__(self, progress: Callable[[float, float], object] | None = None) -> None:
        self._samples: dict[tuple[int, int], NDArray[np.int16]] = {}
        with PianoApart(bundled(), SAMPLE_RATE) as piano:  # whose memory is then given back
            for count, pitch in enumerate(KEYS, 1):
                for touch, velocity in enumerate(TOUCHES):
                    sample = piano.sample(pitch, velocity, _LONGEST_S)
                    heard = np.flatnonzero(abs(sample) > 1e-4)
                    self._samples[pitch, touch] = np.rint(
                        sample[: heard[-1] + 1].clip(-1, 1) * 32767
                    ).astype(np.int16)
                if progress is not None:
                    progress(count, len(KEYS))
        self._sides = {pitch: sides(pitch) / np.float32(32767) for pitch in KEYS}
        self._dampers = {pitch: damper(pitch, SAMPLE_RATE) for pitch in KEYS}
        self._room = _Room(echo(SAMPLE_RATE))
        self._messages: deque[tuple[Player, Sequence[int]]] = deque()
        self._strings: list[_String] = []
        self._level = 1.0
        self._ending: int | None = None  # blocks until all is silent

    def player(self) -> Player:
        """Return somebody who plays on it."""
        return Player(self._messages)

    def end(self) -> None:
        """Let all die away within 0.3 s; what is played after that does not sound."""
        self._ending = _ENDING if self._ending is None else self._ending

    @property
    def ended(self) -> bool:
        """Whether all has died away since `end`."""
        return self._ending == 0

    def block(self) -> NDArray[np.float32]:
        """Return the next samples: float32 within -1..1, shape (2, `BLOCK`), left and right."""
        while self._messages:
            self._obey(*self._messages.popleft())
        sound = np.zeros((2, BLOCK), np.float32)
        self._strings = [string for string in self._strings if string.sound(sound)]
        sound += self._room.answer(sound.mean(axis=0))
        sound *= self._loudness(float(abs(sound).max()))
        return sound.clip(-CEILING, CEILING, out=sound)

    def _obey(self, player: Player, message: Sequence[int]) -> None:
        status, number, value = message
        kind = status & 0xF0
        if kind == _NOTE_ON and value and number in KEYS:
            self._release([s for s in self._strings if s.of(player, number)])
            self._strike(player, number, value)
            player.held.add(number)
        elif kind in (_NOTE_ON, _NOTE_OFF):
            player.held.discard(number)
            if not player.pedal_down:
                self._release([s for s in self._strings if s.of(player, number)])
        elif kind == _CONTROL and number == SUSTAIN:
            player.pedal_down = value >= PEDAL_THRESHOLD
        elif kind == _CONTROL and number in (_ALL_SOUND_OFF, _ALL_NOTES_OFF):
            player.held.clear()
            player.pedal_down = False
        if kind == _CONTROL and not player.pedal_down:
            mine = (s for s in self._strings if s.player is player)
            self._release([s for s in mine if s.pitch not in player.held])

    def _strike(self, player: Player, pitch: int, velocity: int) -> None:
        if len(self._strings) >= _MOST:
            oldest = max(self._strings, key=lambda s: (s.released, s.at))
            self._strings.remove(oldest)
        sample = self._samples[pitch, int(np.searchsorted(TOUCHES, velocity))]
        both = self._sides[pitch] * np.float32((velocity / 127) ** 2)
        self._strings.append(_String(player, pitch, sample, both, self._dampers[pitch]))

    def _release(self, strings: Sequence[_String]) -> None:
        for string in strings:
            string.released = max(string.released, 0)

    def _loudness(self, peak: float) -> NDArray[np.float32]:
        """Return by how much each sample is made softer, given the greatest of them."""
        before = self._level
        self._level = min(before + (1 - before) * _RECOVERY, CEILING / max(GAIN * peak, CEILING))
        begin, end = GAIN * before, GAIN * self._level
        if self._ending is not None:
            after = max(self._ending - 1, 0)
            begin, end = begin * self._ending / _ENDING, end * after / _ENDING
            self._ending = after
        return np.linspace(begin, end, BLOCK).astype(np.float32)


class Player:
    """Somebody who plays on an `Instrument`: an output for MIDI messages.

    Parameters
    ----------
    messages : deque
        Where messages go.
    """

    def __init__(self, messages: deque[tuple[Player, Sequence[int]]]) -> None:
        self._messages = messages
        self.held: set[int] = set()
        """Keys that are down."""
        self.pedal_down = False

    def send(self, message: Sequence[int]) -> None:
        """Play a MIDI message, on whatever channel; keys outside 21..108 have no strings."""
        if len(message) == 3:
            self._messages.append((self, tuple(message)))


@dataclass(eq=False, slots=True)
class _String:
    """A note that sounds."""

    player: Player
    pitch: int
    sample: NDArray[np.int16]
    both: NDArray[np.float32]  # left and right, shape (2, 1)
    damper: NDArray[np.float32]
    at: int = 0  # of the sample
    released: int = -1  # samples since its damper fell, or -1

    def of(self, player: Player, pitch: int) -> bool:
        """Tell whether it is this key of this player, and not released."""
        return self.player is player and self.pitch == pitch and self.released < 0

    def sound(self, out: NDArray[np.float32]) -> bool:
        """Add its next block; return whether there is more."""
        part = self.sample[self.at : self.at + BLOCK].astype(np.float32)
        self.at += BLOCK
        if self.released >= 0:
            falls = self.damper[self.released : self.released + BLOCK]
            part = part[: len(falls)] * falls[: len(part)]
            self.released += BLOCK
        out[:, : len(part)] += self.both * part
        return self.at < len(self.sample) and self.released < len(self.damper)


class _Room:
    """What a room answers, by convolution in blocks (uniformly partitioned, overlap-save)."""

    def __init__(self, click: NDArray[np.float32]) -> None:
        self._count = -(-click.shape[1] // BLOCK)
        padded = np.pad(click, ((0, 0), (0, self._count * BLOCK - click.shape[1])))
        parts = np.fft.rfft(padded.reshape(2, self._count, BLOCK), 2 * BLOCK)
        self._parts = parts.astype(np.complex64)
        # The spectra of what has sounded, twice, so that the latest ones stand side by side.
        self._heard = np.zeros((2 * self._count, BLOCK + 1), np.complex64)
        self._at = 0
        self._before = np.zeros(BLOCK, np.float32)

    def answer(self, dry: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the room's answer to all so far, shape (2, BLOCK), given the next block."""
        self._at = (self._at - 1) % self._count
        spectrum = np.fft.rfft(np.concatenate((self._before, dry)))
        self._heard[self._at] = self._heard[self._at + self._count] = spectrum
        self._before = dry
        latest = self._heard[self._at : self._at + self._count]
        wet = np.fft.irfft(np.einsum("spk,pk->sk", self._parts, latest))
        return wet[:, BLOCK:].astype(np.float32)
