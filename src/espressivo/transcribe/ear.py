"""What hears: a part of a recording becomes notes and pedals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ear", "Heard"]


@dataclass
class Heard:
    """A note, or a pedal that is down.

    Parameters
    ----------
    key : int
        MIDI pitch; of a pedal its controller with a minus, such as -64.
    onset_s, offset_s : float
        Seconds from where the part begins; may be less than 0.
    velocity : int
        0..127.
    begun, ended : bool
        Whether it begins in that part, and whether it ends there.
    """

    key: int
    onset_s: float
    offset_s: float
    velocity: int
    begun: bool = True
    ended: bool = True


class Ear(Protocol):
    """What hears notes in a part of a recording."""

    @property
    def sample_rate(self) -> int:
        """Samples a second."""

    @property
    def part(self) -> int:
        """Samples of a part."""

    @property
    def step(self) -> int:
        """Samples from where a part begins to where the next does; fewer than `part`."""

    @property
    def lead(self) -> int:
        """Samples of silence that the first part begins with."""

    def hear(
        self, samples: NDArray[np.float32], after: Sequence[int] | None
    ) -> tuple[list[Heard], list[int]]:
        """Hear a part.

        Parameters
        ----------
        samples : array, shape (channels, `part`)
        after : sequence of int, or None
            What the part before has given; empty if that was silent, None if there was none.

        Returns
        -------
        list of Heard
            In order of time.
        list of int
            What the next part, `step` samples later, is to be given.
        """
