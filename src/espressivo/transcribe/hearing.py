"""A recording -> a performance, heard in overlapping parts, so that memory stays the same.

Each part is heard with what comes before and after it. What a part cannot tell, since it is cut
there, the next one does: a note that still sounds at the end of a part is ended by the next, and
each key is listened to from where its last whole note ended.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import AudioError
from espressivo.music import CONTROL_DTYPE, NOTE_DTYPE, PEDALS, Performance
from espressivo.progress import Progress, Silent
from espressivo.transcribe.decoding import Recording, opened
from espressivo.transcribe.ear import Ear, Heard
from espressivo.transcribe.transkun import Transkun

__all__ = ["transcribe"]

_DOWN = 127


def transcribe(
    source: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    ear: Ear | None = None,
    longest_s: float = math.inf,
    progress: Progress | None = None,
) -> Performance:
    """Return what a piano plays in a recording.

    Whatever is in the recording is heard as a piano: there is nothing that tells whether it is one.
    An hour of it takes no more memory than a minute.

    Parameters
    ----------
    source : path or bytes
        A sound file, or what it holds: wav, flac, ogg, mp3, m4a and others that FFmpeg reads. Of
        more than two channels a stereo mix is heard.
    name : str, optional
        What errors begin with; the path by default.
    ear : Ear, optional
        What hears; Transkun by default.
    longest_s : float
        Seconds that it may last.
    progress : Progress, optional
        Told of seconds.

    Returns
    -------
    Performance
        Notes, sustain pedal and soft pedal (down is 127, up is 0); empty if nothing was heard.
        Its second 0 is that of the recording.

    Raises
    ------
    AudioError
        If the extra `transcribe` is missing, or the file cannot be read, holds no sound or is
        longer than `longest_s`.
    """
    name = name or ("the sound" if isinstance(source, bytes) else os.fspath(source))
    ear = ear or Transkun()
    progress = progress or Silent()
    keys: dict[int, list[Heard]] = defaultdict(list)
    rate = ear.sample_rate
    shown = 0
    with opened(source, rate, name) as recording:
        progress.start(math.ceil(recording.seconds), "seconds", "transcribe")
        try:
            after: list[int] | None = None
            for begin, samples in _parts(recording, ear):
                if max(begin / rate, recording.seconds) > longest_s:
                    raise AudioError(f"{name}: is too long: at most {longest_s:g} s are heard here")
                heard, after = ear.hear(samples, after) if samples.any() else ([], [])
                for event in heard:
                    event.onset_s = max(0.0, event.onset_s + begin / rate)
                    event.offset_s = max(event.onset_s, event.offset_s + begin / rate)
                    _add(event, keys[event.key])
                now = max(shown, round((begin + ear.step) / rate))
                progress.advance(now - shown)
                shown = now
        finally:
            progress.close()
    return _performance(keys)


def _parts(recording: Recording, ear: Ear) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the parts, and where each begins; the first begins before the recording does."""
    held = np.zeros((recording.channels, ear.lead), np.float32)
    begin = -ear.lead
    while held.shape[1]:
        blocks, count = [held], held.shape[1]
        while count < ear.part and (block := next(recording.blocks, None)) is not None:
            blocks.append(block)
            count += block.shape[1]
        held = np.concatenate(blocks, 1)
        part = held[:, : ear.part]
        yield begin, np.pad(part, ((0, 0), (0, ear.part - part.shape[1])))
        held = held[:, ear.step :]
        begin += ear.step


def _add(event: Heard, before: list[Heard]) -> None:
    """Add what was heard to what the same key has played before."""
    last = before[-1] if before else None
    if last is not None and event.onset_s < last.offset_s:
        if event.begun:  # heard better, with more of what follows
            before[-1] = event
        else:
            last.offset_s = max(last.offset_s, event.offset_s)
            last.ended = event.ended
    elif event.begun:
        before.append(event)


def _performance(keys: dict[int, list[Heard]]) -> Performance:
    notes: list[tuple[float, float, int, int]] = []
    moves: list[tuple[float, int, int]] = []
    for key, events in keys.items():
        kept = sorted(
            (event for event in events if event.ended or event is events[-1]),
            key=lambda event: (event.onset_s, event.offset_s),
        )
        for event, later in zip(kept, [*kept[1:], None], strict=True):
            offset_s = event.offset_s if later is None else min(event.offset_s, later.onset_s)
            if offset_s <= event.onset_s:
                continue
            if key >= 0:
                notes.append((event.onset_s, offset_s, key, min(127, max(1, event.velocity))))
            elif -key in PEDALS:
                moves += [(event.onset_s, -key, _DOWN), (offset_s, -key, 0)]
    return Performance(np.array(sorted(notes), NOTE_DTYPE), np.array(sorted(moves), CONTROL_DTYPE))
