"""A vocabulary with the methods of MidiTok's tokenizers, for programs that are written for those.

It imports nothing of MidiTok, and is not a subclass of its ``MusicTokenizer``: that one puts notes
on a grid of beats, while these vocabularies tell time in steps of 10 ms.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from espressivo import midi
from espressivo.codes import DURATION, FINE_DURATION, KINDS, TIME_SHIFT, Vocabulary, vocabulary
from espressivo.errors import DataError
from espressivo.files import regular, replacing
from espressivo.music import Performance

__all__ = ["Tokenizer", "Tokens"]

_SPECIAL = ("PAD_None", "BOS_None", "EOS_None")
_FILE = "tokenizer.json"
_TIMES = (TIME_SHIFT, DURATION, FINE_DURATION)


@dataclass
class Tokens:
    """What a `Tokenizer` makes of a piece, like ``miditok.TokSequence``.

    Attributes
    ----------
    ids : list of int
    tokens : list of str
        The same by their names, such as ``Velocity_62`` or ``TimeShift_500``.
    """

    ids: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    @overload
    def __getitem__(self, item: int) -> int: ...
    @overload
    def __getitem__(self, item: slice) -> Tokens: ...
    def __getitem__(self, item: int | slice) -> int | Tokens:
        if isinstance(item, slice):
            return Tokens(self.ids[item], self.tokens[item])
        return self.ids[item]


class Tokenizer:
    """A vocabulary as MidiTok's users know tokenizers: called with a score, it gives tokens.

    It can be given to MidiTok's ``DatasetMIDI``, ``DataCollator`` and ``split_files_for_training``.
    The ids are those of the vocabulary, so that models of espressivo understand them; the three
    special tokens ``PAD_None``, ``BOS_None`` and ``EOS_None`` come after them. The vocabularies
    ``pedal`` and ``notes`` mark the end of a piece themselves.

    What it cannot do: it has no chords, tempos, bars or programs (all pianos become one, and drums
    go), no attribute controls, and is not trained by byte pair encoding.

    Parameters
    ----------
    vocabulary
        A preset's name or a vocabulary.
    params
        Instead: a file that `save` wrote, or its folder.

    Raises
    ------
    CodecError
        If there is no preset of that name.
    DataError
        If ``params`` is no such file.

    Examples
    --------
    >>> tokenizer = Tokenizer("seed")
    >>> tokenizer["NoteOn_60"], tokenizer[39], tokenizer.pad_token_id, len(tokenizer)
    (39, 'NoteOn_60', 310, 313)
    """

    one_token_stream = True
    is_multi_voc = False
    is_trained = False
    attribute_controls: tuple[()] = ()
    config = SimpleNamespace(use_time_signatures=False, use_programs=False)

    def __init__(
        self,
        vocabulary: str | Vocabulary = "notes",
        *,
        params: str | Path | None = None,
    ) -> None:
        self.vocabulary = _named(vocabulary) if params is None else _read(Path(params))

    @cached_property
    def vocab(self) -> dict[str, int]:
        """Id of each token, the special ones last."""
        about = self.vocabulary
        step_ms = 1000 / about.steps_per_second
        names = []
        for kind, value in zip(about.kinds.tolist(), about.values.tolist(), strict=True):
            name = "".join(part.capitalize() for part in KINDS[kind].split("_"))
            shown = f"{value * step_ms:g}" if kind in _TIMES else str(value)
            names.append(f"{name}_{'None' if KINDS[kind] in ('start', 'end') else shown}")
        return {name: number for number, name in enumerate((*names, *_SPECIAL))}

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return tuple(self.vocab)

    @property
    def vocab_size(self) -> int:
        """Number of tokens, with the special ones."""
        return len(self.vocab)

    def __len__(self) -> int:
        return len(self.vocab)

    @overload
    def __getitem__(self, item: int) -> str: ...
    @overload
    def __getitem__(self, item: str) -> int: ...
    def __getitem__(self, item: int | str) -> int | str:
        """Return the id of a token, or the token of an id."""
        return self.vocab[item] if isinstance(item, str) else self._tokens[item]

    @property
    def special_tokens(self) -> list[str]:
        """The tokens that stand for no event."""
        return list(_SPECIAL)

    @property
    def special_tokens_ids(self) -> list[int]:
        """Their ids."""
        return [self.vocab[name] for name in _SPECIAL]

    @property
    def pad_token_id(self) -> int:
        """The id that fills up shorter sequences of a batch."""
        return self.vocab["PAD_None"]

    def preprocess_score(self, score: Any) -> Any:
        """Return a ``symusic.Score`` as it is: `encode` rounds what has to be."""
        return score

    def encode(
        self,
        score: Any,
        *,
        no_preprocess_score: bool = True,  # both only because MidiTok's datasets say it
        attribute_controls_indexes: None = None,
    ) -> Tokens:
        """Return the tokens of a piece.

        Parameters
        ----------
        score : symusic.Score, str, Path or Performance
            A path is that of a MIDI file.
        no_preprocess_score
            Makes no difference, as `preprocess_score` changes nothing.
        attribute_controls_indexes
            Must be None.

        Raises
        ------
        MidiError
            If there is no such file, or what it holds is no MIDI.
        """
        if attribute_controls_indexes is not None:
            raise ValueError("this tokenizer has no attribute controls")
        ids = self.vocabulary.encode(_performance(score)).tolist()
        return Tokens(ids, [self._tokens[id_] for id_ in ids])

    def decode(self, tokens: Any, *, output_path: str | Path | None = None) -> Any:
        """Return a ``symusic.Score`` of tokens, and write it if a path is given.

        Parameters
        ----------
        tokens : Tokens, sequence, array or tensor of int
            Of one piece; a batch of one piece will do. Special tokens are left out.
        output_path
            MIDI file to write.

        Raises
        ------
        CodecError
            If something is no id.
        """
        performance = self.vocabulary.decode(self._plain(tokens))
        if output_path is not None:
            midi.write(performance, output_path)
        return midi.to_symusic(performance)

    def __call__(self, piece: Any) -> Any:
        """Encode a score, a path or a performance; decode anything else."""
        whole = isinstance(piece, (str, Path, Performance)) or hasattr(piece, "dumps_midi")
        return self.encode(piece) if whole else self.decode(piece)

    def save(self, out_path: str | Path) -> None:
        """Write what makes this tokenizer, as JSON; ``Tokenizer(params=out_path)`` reads it.

        A path without an ending is a folder, in which the file is named ``tokenizer.json``.
        """
        path = Path(out_path)
        if path.is_dir() or not path.suffix:
            path.mkdir(parents=True, exist_ok=True)
            path /= _FILE
        about = {"tokenization": "espressivo", "vocabulary": self.vocabulary.to_dict()}
        with replacing(path) as part:
            part.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    def __repr__(self) -> str:
        return f"Tokenizer({self.vocabulary.name!r}, {len(self)} tokens)"

    def _plain(self, tokens: Any) -> ArrayLike:
        ids = np.asarray(getattr(tokens, "ids", tokens))
        if ids.ndim == 2 and len(ids) == 1:
            ids = ids[0]
        return ids[~np.isin(ids, self.special_tokens_ids)] if ids.ndim == 1 else ids


def _named(name: str | Vocabulary) -> Vocabulary:
    return vocabulary(name) if isinstance(name, str) else name


def _performance(score: Any) -> Performance:
    if isinstance(score, Performance):
        return score
    return midi.read(score) if isinstance(score, (str, Path)) else midi.from_symusic(score)


def _read(path: Path) -> Vocabulary:
    if path.is_dir():
        path /= _FILE
    try:
        about = json.loads(regular(path).read_text(encoding="utf-8"))
        return Vocabulary(**about["vocabulary"])
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: this is no tokenizer of espressivo") from error
