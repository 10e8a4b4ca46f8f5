"""A vocabulary as a tokenizer of MidiTok: its names and calls, and MidiTok's own datasets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import symusic

import espressivo
from espressivo.codes import presets, vocabulary
from espressivo.data import Tokenizer, Tokens
from espressivo.errors import CodecError, DataError
from played import played

PIECE = played(1, notes=60)


@pytest.mark.parametrize("name", presets())
def test_a_tokenizer_says_what_its_vocabulary_says(name: str, tmp_path: Path) -> None:
    tokenizer, about = Tokenizer(name), vocabulary(name)
    PIECE.write(tmp_path / "a.mid")
    expected = about.encode(espressivo.read(tmp_path / "a.mid")).tolist()
    for given in (tmp_path / "a.mid", str(tmp_path / "a.mid"), symusic.Score(tmp_path / "a.mid")):
        tokens = tokenizer(given)
        assert tokens.ids == expected
        assert [tokenizer[token] for token in tokens.tokens] == expected
    back = tokenizer(tokens)
    assert isinstance(back, symusic.core.ScoreTick)
    assert tokenizer.encode(back).ids == about.encode(about.decode(expected)).tolist()
    assert len({*tokenizer.vocab}) == len(tokenizer) == tokenizer.vocab_size == about.size + 3
    assert list(tokenizer.vocab.values()) == list(range(about.size + 3))


def test_tokens_are_named_by_kind_and_value() -> None:
    tokenizer = Tokenizer("notes")
    ids = [tokenizer[n] for n in ("TimeShift_500", "NoteOn_60", "Velocity_66", "Duration_100")]
    expected = ["shift 500 ms", "note on 60 (C4)", "velocity 65..68", "duration 100..100 ms"]
    assert [tokenizer.vocabulary.describe(id_) for id_ in ids] == expected
    assert tokenizer["End_None"] == tokenizer(PIECE).ids[-1]
    assert "Sustain_1" in tokenizer(PIECE).tokens
    tokens = tokenizer(PIECE)
    assert (len(tokens[:3]), tokens[1], list(tokens)) == (3, tokens.ids[1], tokens.ids)
    assert tokens[:3].tokens == tokens.tokens[:3]
    assert repr(tokenizer) == "Tokenizer('notes', 427 tokens)"


def test_decoding_leaves_out_what_fills_up_and_refuses_what_is_no_id(tmp_path: Path) -> None:
    tokenizer = Tokenizer("seed")
    tokens = tokenizer(PIECE)
    before, *_, after = tokenizer.special_tokens_ids[1], tokenizer.pad_token_id
    padded = [before, *tokens.ids, after, after]
    for given in (padded, np.array([padded]), Tokens(padded)):
        assert tokenizer.decode(given) == tokenizer.decode(tokens.ids)
    tokenizer.decode(padded, output_path=tmp_path / "a.mid")
    assert symusic.Score(tmp_path / "a.mid") == tokenizer(tokens)
    with pytest.raises(CodecError, match="id 313 at position 0"):
        tokenizer([313])
    with pytest.raises(CodecError, match="flat list"):
        tokenizer(np.array([[1, 2], [3, 4]]))
    with pytest.raises(ValueError, match="no attribute controls"):
        tokenizer.encode(PIECE, attribute_controls_indexes={0: {}})  # type: ignore[arg-type]


def test_a_tokenizer_is_saved_and_read(tmp_path: Path) -> None:
    own = espressivo.Vocabulary("own", lowest_pitch=30, highest_pitch=90, steps_per_second=50)
    Tokenizer(own).save(tmp_path / "folder")
    Tokenizer("notes").save(tmp_path / "notes.json")
    assert Tokenizer(params=tmp_path / "folder").vocabulary == own
    assert Tokenizer(params=tmp_path / "folder" / "tokenizer.json").vocabulary == own
    assert Tokenizer(params=str(tmp_path / "notes.json")).vocab == Tokenizer("notes").vocab
    (tmp_path / "theirs.json").write_text('{"tokenization": "REMI"}')
    for name, words in (("theirs.json", "no tokenizer of espressivo"), ("none.json", "No such")):
        with pytest.raises(DataError, match=words):
            Tokenizer(params=tmp_path / name)
    with pytest.raises(CodecError, match="no vocabulary is named 'remi'"):
        Tokenizer("remi")


def test_miditok_is_never_imported() -> None:
    code = "import sys, espressivo.data; print([m for m in sys.modules if m == 'miditok'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_datasets_of_miditok_take_it(tmp_path: Path) -> None:
    pytest.importorskip("miditok")
    from miditok.pytorch_data import DataCollator, DatasetMIDI
    from miditok.utils import split_files_for_training

    for number in range(3):
        played(number, notes=100 + 50 * number).write(tmp_path / f"{number}.mid")
    files, tokenizer = sorted(tmp_path.glob("*.mid")), Tokenizer("notes")
    chunks = split_files_for_training(files, tokenizer, tmp_path / "chunks", 512)
    assert len(chunks) > 3
    for paths in (files, chunks):
        for early in (False, True):
            dataset = DatasetMIDI(
                paths,
                tokenizer,
                max_seq_len=512,
                bos_token_id=tokenizer["BOS_None"],
                eos_token_id=tokenizer["EOS_None"],
                pre_tokenize=early,
            )
            batch = DataCollator(tokenizer.pad_token_id)([dataset[n] for n in range(len(paths))])
            ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy()
            assert ids.shape == mask.shape
            assert ids.shape[0] == len(paths) and ids.shape[1] in (511, 512)
            assert ids.max() < len(tokenizer)
            for path, row, read in zip(paths, ids, mask, strict=True):
                whole = tokenizer(path).ids
                inner = [n for n in row[read == 1] if n not in tokenizer.special_tokens_ids]
                assert inner == whole[: len(inner)]
                assert len(inner) == len(whole) or len(inner) >= 510
