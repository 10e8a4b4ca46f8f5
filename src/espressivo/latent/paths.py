"""Paths: from one point of the space to another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["spherical"]


def spherical(
    a: NDArray[np.float32], b: NDArray[np.float32], shares: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return points between two, (shares, size): 0 is the first, 1 the second.

    The way keeps at the distance from the middle of the space that the two have, along a great
    circle (Shoemake 1985; White 2016): straight lines would pass where hardly any music is.
    """
    one, other = np.linalg.norm(a), np.linalg.norm(b)
    along = shares[:, None]
    straight = (1 - along) * a + along * b
    if min(one, other) < 1e-9:
        return np.asarray(straight, np.float32)
    angle = np.arccos(np.clip(np.dot(a / one, b / other), -1, 1))
    if np.sin(angle) < 1e-4:
        return np.asarray(straight, np.float32)
    first = np.sin((1 - along) * angle) / np.sin(angle) * (a / one)
    second = np.sin(along * angle) / np.sin(angle) * (b / other)
    return np.asarray((first + second) * ((1 - along) * one + along * other), np.float32)
