from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.errors import FormatError, MissingError
from kaibo.recipes.corpus import mixed
from kaibo.recipes.vocabularies.tokenizers import EOS, extended_tokenizer, load_tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [document.text for document in mixed("japanese", 0, 60_000, 100)]


@pytest.fixture(scope="module")
def folder(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(texts, 400, folder, context=64)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_text_comes_back_from_its_tokens(tokenizer: Any, text: str) -> None:
    tokenizer.encode_special_tokens = True
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_the_same_texts_give_the_same_file(texts: list[str], folder: Path, tmp_path: Path) -> None:
    train_tokenizer(texts, 400, tmp_path, context=64)
    assert (tmp_path / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_transformers_reads_it_the_same_way(folder: Path, tokenizer: Any) -> None:
    from transformers import AutoTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = AutoTokenizer.from_pretrained(folder)
    asked = [{"role": "user", "content": "犬は?"}, {"role": "assistant", "content": "ワン"}]
    assert read("京都です。").input_ids == tokenizer.encode("京都です。").ids
    assert read.apply_chat_template(asked, tokenize=False) == "<s><|user|>犬は?<|assistant|>ワン</s>"
    ids = read.apply_chat_template(asked, return_dict=True)["input_ids"]
    assert ids.count(0) == 1
    assert ids[-1] == EOS == read.eos_token_id
    assert (len(read), read.bos_token_id, read.pad_token_id) == (400, 0, 2)


def test_more_merges_are_those_that_training_would_have_made(texts: list[str], tokenizer: Any, tmp_path: Path) -> None:
    direct = train_tokenizer(texts, 480, tmp_path / "direct", context=64)
    further = extended_tokenizer(tokenizer, texts, 80, tmp_path / "further", context=64)
    assert further.get_vocab() == direct.get_vocab()
    sample = "\n".join(texts[:20])
    assert further.encode(sample).ids == direct.encode(sample).ids


def test_an_extended_tokenizer_keeps_every_id_and_writes_new_texts_shorter(tokenizer: Any, tmp_path: Path) -> None:
    new = [document.text for document in mixed("english", 0, 40_000, 50)]
    grown = extended_tokenizer(tokenizer, new, 64, tmp_path, context=64)
    assert tokenizer.get_vocab().items() <= grown.get_vocab().items()
    assert sorted(grown.get_vocab().values()) == list(range(464))
    assert len(grown.encode(new[0]).ids) < len(tokenizer.encode(new[0]).ids)


def test_a_folder_without_a_tokenizer_and_a_broken_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(FormatError, match="is not JSON"):
        load_tokenizer(tmp_path)
