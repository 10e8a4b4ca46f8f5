"""The model file of the space, on ONNX Runtime: passages become points, and points lifts."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espressivo.codes import COARSE, FIELDS, NO_ID, Vocabulary
from espressivo.engine import described, generator, is_sealed, one_line, opened, read_content
from espressivo.errors import GenerationError, ModelError
from espressivo.latent.measures import DIRECTIONS
from espressivo.latent.passages import Passages

__all__ = ["KIND", "Latent", "bundled_latent"]

KIND = "latent"
"""What the description of such a model file says that it is."""

_AT_ONCE = 256  # passages


class Latent:
    """A space of passages, from its model file.

    Parameters
    ----------
    content : bytes
    name : str
        For messages.

    Attributes
    ----------
    vocabulary : Vocabulary
        Of the events that it reads.
    size : int
        Dimensions of the space.
    length : int
        Events of the longest passage.
    near_size : int
        Dimensions of what `near` returns.
    digest : str
        Another for each model file.
    card : dict
        What it says of itself.

    Raises
    ------
    ModelError
        If it is not whole, or no space.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._name, self.digest = name, hashlib.sha256(content).hexdigest()
        sealed = is_sealed(content, name)
        self._session, metadata = opened(content, name, 1)
        about = described(metadata, name, sealed)
        if about.get("kind") != KIND:
            raise ModelError(f"{name}: holds no space of passages: use a file that does")
        try:
            self.vocabulary = Vocabulary(**about["vocabulary"])
            self.size, self.length = int(about["size"]), int(about["length"])
            self.card: Mapping[str, Any] = dict(about["card"])
            self._directions = _array(about["directions"], len(DIRECTIONS), self.size)
            self._near = _array(about["near"], None, self.size)
            self.near_size = len(self._near)
            self._middle = _array(about["middle"], self.size)
            mixture = about["mixture"]
            self._weights = _array(mixture["weights"], None)
            self._means = _array(mixture["means"], len(self._weights), self.size)
            self._spreads = _array(mixture["spreads"], len(self._weights), self.size)
        except (ArithmeticError, KeyError, TypeError, ValueError):
            raise ModelError(f"{name}: its description is damaged: fetch it again") from None
        v = self.vocabulary
        kinds = [kind for field in FIELDS[:COARSE] for kind in field]
        self._columns = np.concatenate(
            [np.arange(v.first[kind], v.first[kind] + v.counts[kind]) for kind in kinds]
        )

    def encode(
        self, passages: Passages, chosen: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the means and the spreads (standard deviations) of passages, each (n, size).

        Parameters
        ----------
        passages : Passages
        chosen : int64 array, (n,), optional
            Numbers of passages; by default all.
        """
        events = passages.padded(self.length, COARSE)
        return self.encode_events(events if chosen is None else events[chosen])

    def encode_events(
        self, events: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Do what `encode` does with events, (n, length, COARSE)."""
        nowhere = np.zeros((0, self.size), np.float32)
        found = [
            self._run(["mean", "spread"], events[begin : begin + _AT_ONCE], nowhere)
            for begin in range(0, len(events), _AT_ONCE)
        ]
        if not found:
            return nowhere, nowhere.copy()
        mean, spread = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return mean, spread

    def lift(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return by how many nats each id is lifted at each place, (points, length, ids)."""
        silence = np.full((1, self.length, COARSE), NO_ID, np.int64)  # ONNX Runtime needs a row
        (lifted,) = self._run(["lift"], silence, points)
        whole = np.zeros((*lifted.shape[:2], self.vocabulary.size), np.float32)
        whole[..., self._columns] = lifted
        return whole

    def summary(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what passages at points are like, (points, SUMMARY); see `SUMMARY`."""
        silence = np.full((1, self.length, COARSE), NO_ID, np.int64)
        (found,) = self._run(["summary"], silence, points)
        return found

    def near(self, means: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return where means are in a space in which takes of one piece are near one another.

        Each has length 1, so that the product of two says how alike they are, at most 1.
        """
        seen = (means - self._middle) @ self._near.T
        size = np.linalg.norm(seen, axis=-1, keepdims=True)
        return np.asarray(seen / np.maximum(size, 1e-9), np.float32)

    def towards(self, **amounts: float) -> NDArray[np.float32]:
        """Return by how much points move, (size,), to become more of `DIRECTIONS`.

        An amount of 1 is the standard deviation of that measure among people's passages; the other
        measures stay as they are, as far as straight lines can tell.

        Raises
        ------
        GenerationError
            If there is no such direction.
        """
        moved = np.zeros(self.size, np.float32)
        for name, amount in amounts.items():
            if name not in DIRECTIONS:
                raise GenerationError(f"there is no direction {name!r}: {', '.join(DIRECTIONS)}")
            moved += np.float32(amount) * self._directions[DIRECTIONS.index(name)]
        return moved

    def sample(self, count: int, seed: int) -> NDArray[np.float32]:
        """Draw points, (count, size), where people's passages are."""
        rng = generator(seed)
        chosen = rng.choice(len(self._weights), count, p=self._weights / self._weights.sum())
        drawn = rng.standard_normal((count, self.size))
        return np.asarray(self._means[chosen] + drawn * self._spreads[chosen], np.float32)

    def _run(
        self, wanted: list[str], events: NDArray[np.int64], points: NDArray[np.float32]
    ) -> list[NDArray[np.float32]]:
        try:
            given = {"events": events, "points": np.asarray(points, np.float32)}
            return [np.asarray(one) for one in self._session.run(wanted, given)]
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise ModelError(f"{self._name}: cannot be run ({one_line(error)})") from None


def _array(values: Any, *shape: int | None) -> NDArray[np.float32]:
    """Return numbers as an array of a shape, None being any; `ValueError` if they are not."""
    array = np.asarray(values, np.float32)
    fits = array.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise ValueError("not such an array")
    return array


@functools.cache
def bundled_latent() -> Latent:
    """Return the space that comes with the package, of passages in the vocabulary ``notes``."""
    entry = importlib.resources.files("espressivo") / "models" / "latent" / "passages.onnx"
    with importlib.resources.as_file(entry) as path:
        return Latent(read_content(Path(path)), str(path))
