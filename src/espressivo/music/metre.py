"""Metre: how regularly notes come, by the autocorrelation of their onsets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espressivo.music.performance import Performance

__all__ = ["METRE_S", "PULSE_S", "regularity"]

PULSE_S = (0.2, 1.0)
"""Lags at which a pulse is looked for."""

METRE_S = (1.0, 4.0)
"""Lags at which a metre is looked for."""

_TICK_S = 0.01
_WIDTH_S = 0.05  # standard deviation by which an onset is blurred
_REACH = 4  # standard deviations of the blur that count


def regularity(performance: Performance, seconds: float, lags_s: tuple[float, float]) -> float:
    """Return the greatest autocorrelation of the onsets at some lags, 1 being perfect.

    Onsets are counted every 10 ms and blurred by a Gaussian of 50 ms, and their mean is taken off.
    It is not a number where nothing begins.

    Parameters
    ----------
    seconds : float
        Length of the performance, longer than the lags.
    lags_s : tuple of float
        The least and the greatest lag in seconds, both inclusive, such as `PULSE_S`.
    """
    ticks = round(seconds / _TICK_S)
    onset = np.minimum((performance.notes["onset_s"] / _TICK_S).astype(int), ticks - 1)
    counts = np.bincount(onset, minlength=ticks).astype(np.float64)
    reach = round(_REACH * _WIDTH_S / _TICK_S)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _TICK_S / _WIDTH_S) ** 2)
    signal = np.convolve(counts, kernel, "same")
    correlation = _autocorrelation(signal - signal.mean())
    if not correlation[0] > 0:
        return float("nan")
    first, last = (round(lag_s / _TICK_S) for lag_s in lags_s)
    return float(correlation[first : last + 1].max() / correlation[0])


def _autocorrelation(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    spectrum = np.abs(np.fft.rfft(signal, 2 * len(signal))) ** 2
    return np.asarray(np.fft.irfft(spectrum)[: len(signal)])
