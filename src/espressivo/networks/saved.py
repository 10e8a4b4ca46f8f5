"""What every network can do besides reading: be written into a folder, and read from one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

from torch import nn

from espressivo.errors import ModelError

if TYPE_CHECKING:
    from espressivo.vocabulary import Vocabulary

__all__ = ["Saved"]


class Saved(nn.Module):
    """A network with the habits of Hugging Face."""

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, vocabulary: Vocabulary, card: dict[str, Any]
    ) -> None:
        """Write weights and sizes into a folder; see `espressivo.pretrained.save_pretrained`."""
        from espressivo import pretrained  # it knows networks, not the reverse

        pretrained.save_pretrained(self, vocabulary, folder, card=card)  # type: ignore[arg-type]

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> Self:
        """Return the network in a folder; see `espressivo.pretrained.load_pretrained`.

        Raises
        ------
        ModelError
            Also if it is a network of another class.
        """
        from espressivo import pretrained

        network = pretrained.load_pretrained(folder).network
        if not isinstance(network, cls):
            raise ModelError(f"{folder}: holds a {type(network).__name__}, not a {cls.__name__}")
        return network
