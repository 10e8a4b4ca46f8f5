"""The decoder of each vocabulary."""

from __future__ import annotations

from espressivo.codes.decoder import Decoder
from espressivo.codes.event_decoder import EventDecoder
from espressivo.codes.layout import Layout
from espressivo.codes.limits import Limits
from espressivo.codes.note_decoder import NoteDecoder

__all__ = ["decoder_of"]

_DEFAULT = Limits()


def decoder_of(vocabulary: Layout, limits: Limits = _DEFAULT) -> Decoder:
    """Return the decoder of a vocabulary, before any id.

    Raises
    ------
    GenerationError
        If no note of the vocabulary is within the limits.
    """
    return (NoteDecoder if vocabulary.notewise else EventDecoder)(vocabulary, limits)
