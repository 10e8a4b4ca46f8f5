"""Transkun 2, which hears a piano, with the weights that its package holds.

Y. Yan and Z. Duan, "Scoring intervals using non-hierarchical transformer for automatic piano
transcription", ISMIR 2024. It was trained on MAESTRO, and hears the sustain and the soft pedal.
"""

from __future__ import annotations

import functools
import json
import math
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from espressivo.errors import AudioError
from espressivo.transcribe.ear import Heard

if TYPE_CHECKING:
    import torch

__all__ = ["Transkun", "filter_bank"]

_MEL = 2595.0, 700.0  # O'Shaughnessy's: mel = 2595 log10(1 + Hz / 700)


class Transkun:
    """An `Ear`: Transkun, on a GPU of Nvidia if there is one.

    Raises
    ------
    AudioError
        If the extra `transcribe` is missing.
    """

    def __init__(self) -> None:
        conf = _settings()
        rate, part_s, step_s = (
            conf["fs"],
            conf["segmentSizeInSecond"],
            conf["segmentHopSizeInSecond"],
        )
        self._hop: int = conf["hopSize"]
        self._frames = math.ceil(step_s * rate / self._hop)  # of a step
        self.sample_rate: int = rate
        self.part = math.ceil(part_s * rate)
        self.step: int = self._frames * self._hop
        self.lead = math.ceil((part_s - step_s) * rate)

    def hear(
        self, samples: NDArray[np.float32], after: Sequence[int] | None
    ) -> tuple[list[Heard], list[int]]:
        """Hear a part, as `Ear` says."""
        model = _model()
        import torch

        first = self.lead // self._hop if after is None else 0
        with torch.inference_mode():
            x = torch.from_numpy(samples).to(model.getDevice())
            frames = import_module("transkun.Util").makeFrame(x, self._hop, model.windowSize)
            (events,), ends = model.transcribeFrames(
                frames[None],
                forcedStartPos=list(after or [first] * len(model.targetMIDIPitch)),
                lastFrameIdx=round(self.part / self._hop),
            )
        heard = [
            Heard(e.pitch, e.start, e.end, e.velocity, bool(e.hasOnset), bool(e.hasOffset))
            for e in events
        ]
        return heard, [max(end - self._frames, 0) for end in ends]


def filter_bank(
    n_freqs: int, f_min: float, f_max: float, n_mels: int, sample_rate: int
) -> torch.Tensor:
    """Return triangular filters whose centres are spaced evenly in mel.

    It is bit for bit what ``torchaudio.functional.melscale_fbanks`` returns, which is all that
    Transkun takes from torchaudio. On Linux that does not load beside a torch without CUDA.

    Parameters
    ----------
    n_freqs : int
        Number of frequencies, evenly from 0 to half of `sample_rate`.
    f_min, f_max : float
        Hz where the first filter begins and the last one ends.
    n_mels : int
        Number of filters.
    sample_rate : int

    Returns
    -------
    tensor, shape (n_freqs, n_mels), float32
        Each column within 0..1.
    """
    import torch

    scale, hz = _MEL
    low, high = (scale * math.log10(1 + f / hz) for f in (f_min, f_max))
    corners = hz * (10 ** (torch.linspace(low, high, n_mels + 2) / scale) - 1)
    frequencies = torch.linspace(0, sample_rate // 2, n_freqs)
    widths = corners.diff()
    away = corners - frequencies[:, None]  # (n_freqs, n_mels + 2)
    rising, falling = -away[:, :-2] / widths[:-1], away[:, 2:] / widths[1:]
    return torch.minimum(rising, falling).clamp(min=0)


def _settings() -> dict[str, Any]:
    """Return what Transkun's package says of the network."""
    try:
        text = (files("transkun") / "pretrained" / "2.0.conf").read_text(encoding="utf-8")
    except ImportError as error:
        raise _missing(error) from None
    settings: dict[str, Any] = json.loads(text)["Model"]["config"]
    return settings


def _missing(error: ImportError) -> AudioError:
    return AudioError(
        f"recordings are transcribed by Transkun, and {error.name} is missing: "
        "pip install 'espressivo[transcribe]'; from Python 3.13 on (on Windows 3.12) also "
        "pip install transkun, which needs a compiler"
    )


@functools.cache
def _model() -> Any:
    """Return the network with its weights."""
    settings = _settings()
    try:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it uses torch.jit
            package = import_module("transkun.ModelTransformer")
    except ImportError as error:
        raise _missing(error) from None
    config = package.Config()
    vars(config).update(settings)
    torchaudio: Any = ModuleType("torchaudio")
    torchaudio.functional = SimpleNamespace(melscale_fbanks=filter_bank)
    before = sys.modules.get("torchaudio")
    sys.modules["torchaudio"] = torchaudio  # which the network imports while it is made
    try:
        model = package.TransKun(config)
    finally:
        if before is None:
            del sys.modules["torchaudio"]
        else:
            sys.modules["torchaudio"] = before
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with (files("transkun") / "pretrained" / "2.0.pt").open("rb") as file:
        weights = torch.load(file, map_location=device, weights_only=True)
    model.load_state_dict(weights["state_dict"])
    model.backbone.useGradientCheckpoint = False  # which only training needs
    return model.to(device).eval()
