"""Listener: what a person has played lately on a MIDI keyboard, message by message."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from espressivo.codes import LONGEST_NOTE_S
from espressivo.music import (
    CONTROL_DTYPE,
    PEDAL_THRESHOLD,
    SUSTAIN,
    Performance,
)

__all__ = ["CONTROL", "NOTE_OFF", "NOTE_ON", "REMEMBERED", "Listener"]

NOTE_OFF, NOTE_ON, CONTROL = 0x80, 0x90, 0xB0
"""Status bytes of MIDI messages, without their channel."""

REMEMBERED = 200
"""How many of the latest notes are kept."""

_REST_S = 1.0  # between two turns of the person, as the model reads them
_ALL_SOUND_OFF, _RESET_CONTROLS, _ALL_NOTES_OFF = 120, 121, 123  # channel mode messages


class Listener:
    """What a person has played lately, as messages came in.

    Its memory does not grow: it keeps the latest `REMEMBERED` notes.
    """

    def __init__(self) -> None:
        self.movements = 0
        """How often keys and pedal have moved."""
        self._notes: deque[tuple[float, float, int, int]] = deque(maxlen=REMEMBERED)
        self._pedal: deque[tuple[float, int]] = deque(maxlen=2 * REMEMBERED)  # time and value
        self._held: dict[tuple[int, int], tuple[float, int]] = {}  # by channel and pitch
        self._pedals: set[int] = set()  # channels whose sustain pedal is down
        self._latest_s = 0.0  # when something moved last
        self._resting = False
        self._left_out_s = 0.0  # difference of the clock and of time as the model reads it

    @property
    def silent_from_s(self) -> float:
        """When the person's turn is over, but for the pause; infinite if no note was played.

        What has been held down for `LONGEST_NOTE_S` does not count any more: its end was lost.
        """
        if not self._notes and not self._held:
            return math.inf
        return self._latest_s + (LONGEST_NOTE_S if self._held or self._pedals else 0)

    def feed(self, message: Sequence[int], now_s: float) -> bool:
        """Take note of a MIDI message; return whether a key was struck."""
        if len(message) < 3:
            return False
        kind, channel, (number, value) = message[0] & 0xF0, message[0] & 0x0F, message[1:3]
        if kind == NOTE_ON and value:
            self._strike((channel, number), value, now_s)
            return True
        if kind in (NOTE_ON, NOTE_OFF):
            self._release([(channel, number)], now_s)
        elif kind == CONTROL and number == SUSTAIN:
            self._press(channel, value >= PEDAL_THRESHOLD, now_s)
        elif kind == CONTROL and number in (_ALL_SOUND_OFF, _RESET_CONTROLS, _ALL_NOTES_OFF):
            if number != _RESET_CONTROLS:
                self._release([key for key in self._held if key[0] == channel], now_s)
            self._press(channel, False, now_s)
        return False

    def rest(self) -> None:
        """Leave out the time until the person strikes a key, except for a short rest."""
        if not self._resting:
            self._release(list(self._held), self._latest_s)
            self._pedal.append((self._latest_s - self._left_out_s, 0))
            self._resting = True

    def performance(self) -> Performance:
        """Return the latest notes and their pedal, from 0 s on; what is held ends now."""
        end_s = self._latest_s - self._left_out_s
        held = [(begin, end_s, key[1], velocity) for key, (begin, velocity) in self._held.items()]
        notes = sorted([*self._notes, *held])
        begin_s = notes[0][0] if notes else 0.0
        before = [value for time_s, value in self._pedal if time_s < begin_s]
        pedal = [(0.0, value) for value in before[-1:]]
        pedal += [(time_s - begin_s, value) for time_s, value in self._pedal if time_s >= begin_s]
        pedal += [(end_s - begin_s, 0)]
        moves = np.array([(time_s, SUSTAIN, value) for time_s, value in pedal], CONTROL_DTYPE)
        onset_s, offset_s, pitch, velocity = np.array(notes).reshape(-1, 4).T
        return Performance.from_arrays(
            onset_s=onset_s - begin_s,
            offset_s=offset_s - begin_s,
            pitch=pitch.astype(int),
            velocity=velocity.astype(int),
            controls=moves,
        )

    def _moved(self, now_s: float) -> None:
        self.movements += 1
        self._latest_s = now_s

    def _strike(self, key: tuple[int, int], velocity: int, now_s: float) -> None:
        if self._resting:
            self._left_out_s += now_s - self._latest_s - _REST_S
            self._resting = False
            if self._pedals:
                self._pedal.append((now_s - self._left_out_s, 127))
        self._moved(now_s)
        self._release([key], now_s)  # an instrument may leave the note-off out
        self._held[key] = now_s - self._left_out_s, velocity

    def _release(self, keys: Sequence[tuple[int, int]], now_s: float) -> None:
        for key in keys:
            if key in self._held:
                self._moved(now_s)
                begin_s, velocity = self._held.pop(key)
                self._notes.append((begin_s, now_s - self._left_out_s, key[1], velocity))

    def _press(self, channel: int, down: bool, now_s: float) -> None:
        was_down = bool(self._pedals)
        self._pedals = self._pedals | {channel} if down else self._pedals - {channel}
        if self._resting or was_down == bool(self._pedals):
            return
        self._moved(now_s)
        self._pedal.append((now_s - self._left_out_s, 127 * down))
