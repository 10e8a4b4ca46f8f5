"""Grammar: which ids can follow, so that what is generated is what the codec would write."""

from __future__ import annotations

from espressivo.codes.grammar_events import EventGrammar
from espressivo.codes.grammar_notes import NoteGrammar
from espressivo.codes.layout import Layout
from espressivo.codes.limits import Limits

__all__ = ["EventGrammar", "Grammar", "NoteGrammar", "grammar_of"]

Grammar = EventGrammar | NoteGrammar


_DEFAULT = Limits()


def grammar_of(vocabulary: Layout, limits: Limits = _DEFAULT) -> Grammar:
    """Return the grammar of a vocabulary, before any id; within limits."""
    return (NoteGrammar if vocabulary.notewise else EventGrammar)(vocabulary, limits)
