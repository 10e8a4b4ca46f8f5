"""Reading a performance, of whatever file."""

from __future__ import annotations

import os
from collections.abc import Collection

from espressivo.files import ending
from espressivo.music.performance import Performance
from espressivo.progress import Progress
from espressivo.registry import READERS, RECORDINGS

__all__ = ["is_recording", "read"]


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Tell from the ending of a name whether the file is sound, which has to be transcribed."""
    return ending(path, ".mid") in RECORDINGS


def read(
    path: str | os.PathLike[str],
    programs: Collection[int] | None = None,
    *,
    progress: Progress | None = None,
) -> Performance:
    """Read a performance from a MIDI file or, with the extra `transcribe`, from a recording.

    Parameters
    ----------
    path : path
        A name that ends as sound does (``.wav``, ``.flac``, ``.mp3``, ``.m4a``, ``.ogg`` and
        others) is that of a recording of a piano: it is transcribed, which takes longer than it
        lasts on one core; see `espressivo.transcribe.transcribe`. All else is MIDI; see
        `espressivo.midi.read`.
    programs : collection of int, optional
        Keep only notes of a MIDI file that are played by these General MIDI programs, 0..127
        (0..7 are pianos). By default everything but drums is kept. Recordings are kept whole.
    progress : Progress, optional
        Told of the seconds of a recording.

    Returns
    -------
    Performance
        Empty if the file has no such notes, or nothing was heard.

    Raises
    ------
    MidiError
        If a file cannot be read as MIDI. The message is one line and begins with the path.
    AudioError
        If a file cannot be read as sound, or the extra is missing; likewise.
    """
    reader = READERS.get(ending(path, ".mid"), READERS[".mid"])
    performance: Performance = reader(path, programs, progress)
    return performance
