"""Recordings in a corpus: each is transcribed once, and what was heard is kept as MIDI."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from espressivo.data.shards import Entry
from espressivo.errors import AudioError
from espressivo.files import regular
from espressivo.music import is_recording, read
from espressivo.progress import Progress

__all__ = ["transcribed"]


def transcribed(
    files: Sequence[tuple[str, Path]], folder: Path, progress: Progress
) -> tuple[list[tuple[str, Path]], list[Entry]]:
    """Return files with MIDI in place of recordings, and entries of those that are none.

    What was heard stays in `folder`, under the hash of the recording, so that a run that is
    stopped goes on with the next recording.
    """
    playable: list[tuple[str, Path]] = []
    refused: list[Entry] = []
    for name, path in files:
        if not is_recording(path):
            playable.append((name, path))
            continue
        try:
            with regular(path, most=None).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            heard = folder / f"{sha256[:32]}.mid"
            if not heard.exists():
                progress.note(f"{name}: transcribing")
                performance = read(path, progress=progress)
                folder.mkdir(exist_ok=True)
                performance.write(heard)
            playable.append((name, heard))
        except AudioError as error:
            reason = str(error).removeprefix(f"{path}: ")
            refused.append(Entry(name, "unreadable", reason))
        except OSError as error:
            refused.append(Entry(name, "unreadable", error.strerror or str(error)))
    return playable, refused
