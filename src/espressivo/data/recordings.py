"""Recordings in a corpus: each is transcribed once, and what was heard is kept as MIDI."""

from __future__ import annotations

import hashlib
from pathlib import Path

from espressivo.errors import AudioError
from espressivo.files import regular
from espressivo.music import read
from espressivo.progress import Progress

__all__ = ["transcribed"]


def transcribed(name: str, path: Path, folder: Path, progress: Progress) -> Path:
    """Return MIDI in place of a recording; `AudioError` says why there is none.

    What was heard stays in `folder`, under the hash of the recording, so that a run that is
    stopped goes on with the next recording.
    """
    try:
        with regular(path, most=None).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AudioError(error.strerror or str(error)) from None
    heard = folder / f"{sha256[:32]}.mid"
    if not heard.exists():
        progress.note(f"{name}: transcribing")
        try:
            performance = read(path, progress=progress)
        except AudioError as error:
            raise AudioError(str(error).removeprefix(f"{path}: ")) from None
        folder.mkdir(exist_ok=True)
        performance.write(heard)
    return heard
