"""Grammar: which ids can follow, so that what is generated is what the codec would write."""

from __future__ import annotations

from espressivo.grammar.events import EventGrammar
from espressivo.grammar.notes import NoteGrammar
from espressivo.settings import Settings
from espressivo.vocabulary import Vocabulary

__all__ = ["EventGrammar", "Grammar", "NoteGrammar", "grammar_of"]

Grammar = EventGrammar | NoteGrammar


_DEFAULT = Settings()


def grammar_of(vocabulary: Vocabulary, settings: Settings = _DEFAULT) -> Grammar:
    """Return the grammar of a vocabulary, before any id; of settings only the rules count."""
    return (NoteGrammar if vocabulary.notewise else EventGrammar)(vocabulary, settings)
