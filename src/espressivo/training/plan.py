"""Plan: how many updates a run of a given time has, judged by its speed so far."""

from __future__ import annotations

from collections import deque

__all__ = ["Plan"]

_UNSTEADY = 2  # updates at first that say nothing of the speed: what is compiled takes its time


class Plan:
    """Counts on the speed since the validation before the last.

    Parameters
    ----------
    validate_every : int
        Updates between validations, whose time is left out of the speed and planned apart.
    """

    def __init__(self, validate_every: int) -> None:
        self._every = validate_every
        self._updates, self._learning_s = 0, 0.0  # of this part of the run
        self._validation_s = 0.0  # the latest took
        self._since: deque[tuple[int, float]] = deque(maxlen=2)

    def learned(self, seconds: float) -> None:
        """Count an update that took so long."""
        self._updates += 1
        self._learning_s += seconds
        if self._updates == _UNSTEADY:
            self._since.append((self._updates, self._learning_s))

    def validated(self, seconds: float) -> None:
        """Count a validation that took so long."""
        self._validation_s = seconds
        if self._updates > _UNSTEADY:
            self._since.append((self._updates, self._learning_s))

    def updates_within(self, seconds: float) -> int | None:
        """Return how many updates, at least 1, fit such a time with their validations.

        None while the speed is not known.
        """
        if not self._since or self._since[0][0] == self._updates:
            return None
        updates, learning_s = self._since[0]
        each = (self._learning_s - learning_s) / (self._updates - updates)
        each += self._validation_s / self._every
        return max(int((seconds - self._validation_s) / max(each, 1e-9)), 1)
