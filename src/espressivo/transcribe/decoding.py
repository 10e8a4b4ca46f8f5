"""Sound files of any common kind -> samples at one rate, block by block, by PyAV (FFmpeg).

No more than a block is ever in memory. What is no sound of a known kind is refused: FFmpeg also
reads playlists, which would make it open other files.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import AudioError
from espressivo.files import regular
from espressivo.registry import RECORDINGS

__all__ = ["Recording", "opened"]

_KINDS = "wav,w64,flac,ogg,mp3,mov,mp4,m4a,aac,aiff,caf,asf,matroska,webm"  # as FFmpeg names them
_LOUDEST = 1e6  # full scale is 1


@dataclass(frozen=True)
class Recording:
    """A sound file that is open.

    Parameters
    ----------
    seconds : float
        How long it says that it is; 0 if it does not say.
    channels : int
        Of the blocks: 1 or 2. Sound of more channels is mixed to left and right.
    blocks : iterator of array, shape (channels, n), float32
        Its samples at the rate that was requested, within about -1..1. `AudioError` where it
        cannot be read on.
    """

    seconds: float
    channels: int
    blocks: Iterator[NDArray[np.float32]]


@contextlib.contextmanager
def opened(
    source: str | os.PathLike[str] | bytes, sample_rate: int, name: str
) -> Iterator[Recording]:
    """Open a sound file.

    Parameters
    ----------
    source : path or bytes
        The file, or what it holds.
    sample_rate : int
        Samples a second of the blocks.
    name : str
        What errors begin with.

    Raises
    ------
    AudioError
        If PyAV is missing, the file cannot be read, is of no known kind or holds no sound.
    """
    try:
        import av
    except ImportError:
        raise AudioError(
            f"{name}: sound is read by PyAV: pip install 'espressivo[transcribe]'"
        ) from None
    with contextlib.ExitStack() as stack:
        try:
            if isinstance(source, bytes):
                file: Any = io.BytesIO(source)
            else:
                file = stack.enter_context(regular(source, most=None).open("rb"))
            container: Any = stack.enter_context(
                av.open(
                    file,
                    metadata_errors="replace",
                    container_options={"format_whitelist": _KINDS},
                )
            )
        except av.FFmpegError:
            raise AudioError(
                f"{name}: is no sound that can be read, or is damaged: give "
                f"{', '.join(RECORDINGS[:5])} or the like"
            ) from None
        except OSError as error:
            raise AudioError(f"{name}: cannot be read: {error.strerror or error}") from None
        if not container.streams.audio:
            raise AudioError(f"{name}: holds no sound")
        stream = container.streams.audio[0]
        channels = 1 if stream.codec_context.channels == 1 else 2
        seconds = (container.duration or 0) / av.time_base
        yield Recording(
            max(0.0, seconds), channels, _blocks(container, stream, channels, sample_rate, name)
        )


def _blocks(
    container: Any, stream: Any, channels: int, sample_rate: int, name: str
) -> Iterator[NDArray[np.float32]]:
    import av

    resampler = av.AudioResampler("fltp", "mono" if channels == 1 else "stereo", sample_rate)
    damaged, any_read = 0, False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the file ends too soon, or nobody can tell where it goes on
            damaged, packet = damaged + 1, None
        try:
            frames = packet.decode() if packet is not None else [None]
        except av.EOFError:
            frames = []
        except av.FFmpegError:
            damaged, frames = damaged + 1, []
        try:
            for frame in frames:
                for out in resampler.resample(frame):
                    any_read = True
                    yield _checked(out.to_ndarray(), name)
        except (av.FFmpegError, ValueError):
            raise AudioError(f"{name}: its sound changes its kind on the way") from None
        if packet is None:
            break
    if not any_read:
        raise AudioError(f"{name}: holds no sound that can be read")
    if damaged:
        logging.getLogger(__name__).warning(
            "%s: is damaged or cut short: what could be read of it is taken", name
        )


def _checked(block: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    # A file of floating-point numbers can hold anything.
    if not np.abs(block).max(initial=0) <= _LOUDEST:
        raise AudioError(f"{name}: holds numbers that are no sound")
    return block
