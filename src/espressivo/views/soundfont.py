"""Soundfont: how the keys of a soundfont sound, one by one, before loudness and dampers.

symusic decodes the samples and shifts them to their pitch. In a damaged file it reads beyond its
buffers, which may end the process. So the file of a stranger is played in a process of its own,
with a limit of time and memory: `PianoApart` asks it for keys and takes their samples.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import AudioError

__all__ = ["Piano", "PianoApart", "serve"]

_QUALITY = 2  # of symusic: libsamplerate's fast sinc
_TICKS_PER_SECOND = 960
_PATIENCE_S = 60.0  # a key takes far less
_MEMORY = 4 << 30  # bytes that the process may use beside the file


class Piano:
    """A soundfont that is played in this process.

    Parameters
    ----------
    path : path
        An SF2 or SF3 file.
    sample_rate : int
        Samples a second.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        self.path, self.sample_rate = path, sample_rate
        self._pitch: int | None = None
        self._synthesizer: Any = None

    def __enter__(self) -> Piano:
        return self

    def __exit__(self, *_: object) -> None:
        self._synthesizer = None

    def sample(self, pitch: int, velocity: int, seconds: float) -> NDArray[np.float32]:
        """Return the sound of a key that is held so long, or until the sample ends.

        Fastest if keys are asked for in order of pitch.

        Raises
        ------
        AudioError
            If the soundfont cannot be read.
        """
        from symusic import Synthesizer
        from symusic.core import NoteTick, ScoreTick, TrackTick

        if pitch != self._pitch:  # anew, as symusic keeps every sample that it has shifted
            try:
                self._synthesizer = Synthesizer(str(self.path), self.sample_rate, _QUALITY)
            except RuntimeError as error:
                reason = str(error).partition(":")[0].rstrip("!")
                raise AudioError(
                    f"{self.path}: not a soundfont that can be read: {reason}"
                ) from None
            self._pitch = pitch
        score, track = ScoreTick(_TICKS_PER_SECOND // 2), TrackTick()  # 120 quarters a minute
        track.notes.append(NoteTick(0, math.ceil(seconds * _TICKS_PER_SECOND), pitch, velocity))
        score.tracks.append(track)
        sound: NDArray[np.float32] = np.asarray(self._synthesizer.render(score, False))[0]
        return sound


class PianoApart:
    """A soundfont that is played in a process of its own, as `Piano` plays it.

    The process ends with the block of ``with``, and if it crashes, takes a minute for a key or
    gives what is no sound, that is an `AudioError`.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        self.path, self.sample_rate = path, sample_rate
        self._process = subprocess.Popen(  # noqa: S603 (this Python, and a path that is not run)
            [
                sys.executable,
                "-c",
                f"from {__name__} import serve; serve()",
                path,
                f"{sample_rate}",
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._requests: Any = self._process.stdin
        self._answers: Any = self._process.stdout

    def __enter__(self) -> PianoApart:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        with contextlib.suppress(OSError):  # of what it will not read any more
            self._process.communicate()

    def sample(self, pitch: int, velocity: int, seconds: float) -> NDArray[np.float32]:
        """Return the sound of a key; see `Piano.sample`."""
        late = threading.Timer(_PATIENCE_S, self._process.kill)
        late.start()
        try:
            answer = self._ask(f"{pitch} {velocity} {seconds!r}\n".encode())
        except (OSError, ValueError):  # it has ended, or has answered with what is no answer
            answer = None
        finally:
            late.cancel()
        if isinstance(answer, str):
            raise AudioError(answer)
        if answer is None or not np.isfinite(answer).all():
            raise AudioError(f"{self.path}: the soundfont is damaged: it cannot be played")
        return answer

    def _ask(self, request: bytes) -> NDArray[np.float32] | str:
        """Return the samples or the error with which the process answers."""
        self._requests.write(request)
        self._requests.flush()
        kind, _, rest = os.fsdecode(self._answers.readline()).rstrip("\n").partition(" ")
        if kind == "error":
            return rest
        size = 4 * int(rest)
        content = self._answers.read(size)
        if len(content) != size:
            raise ValueError
        return np.frombuffer(content, np.float32)


def serve() -> None:
    """Answer requests for keys on standard input, as `PianoApart` sends them, until they end."""
    path, sample_rate = Path(sys.argv[1]), int(sys.argv[2])
    with contextlib.suppress(ImportError, OSError, ValueError):  # not everywhere
        import resource

        most = _MEMORY + 4 * path.stat().st_size
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # nothing that a library prints is taken for an answer
        piano = Piano(path, sample_rate)
        for line in sys.stdin:
            pitch, velocity, seconds = line.split()
            try:
                sound = piano.sample(int(pitch), int(velocity), float(seconds))
                out.write(b"sound %d\n" % len(sound))
                out.write(np.ascontiguousarray(sound, np.float32).tobytes())
            except AudioError as error:
                out.write(os.fsencode(f"error {error}\n"))
            out.flush()
