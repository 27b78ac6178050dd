from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.scoring.texts.plain_tokenizers import plain_tokenizer
from kaibo.scoring.texts.texts import Document, read_texts
from kaibo.scoring.texts.tokens import Tokenizer, load_tokenizer
from scoring_models import save_causal, save_tokenizer

LETTERS = st.characters(exclude_categories=("Cs",))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return load_tokenizer(str(folder))


@given(text=st.text(LETTERS, max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_bytes_of_all_tokens_are_the_bytes_of_the_text_in_order(tokenizer: Tokenizer, text: str) -> None:
    found = tokenizer.located(Document("t", text))
    assert found.bytes.reshape(-1).tolist() == sorted(found.bytes.reshape(-1).tolist())
    pieces = b"".join(text.encode()[begin:end] for begin, end in found.bytes)
    assert pieces == text.encode()


def test_a_part_of_a_character_has_its_span_in_characters_and_its_own_bytes(tokenizer: Tokenizer) -> None:
    found = tokenizer.located(Document("t", "a解b", skipped=3))
    assert found.characters.tolist() == [[0, 1], [1, 2], [1, 2], [1, 2], [2, 3]]
    assert found.bytes.tolist() == [[3, 4], [4, 5], [5, 6], [6, 7], [7, 8]]


def test_what_looks_like_a_special_token_in_a_text_is_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<s>the</s>")
    assert not {0, 1} & set(ids)
    assert tokenizer.decode(ids) == "<s>the</s>"


def test_a_leading_token_is_as_the_tokenizer_does_it_and_asking_for_what_it_lacks_is_refused(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, bos=False)
    plain = load_tokenizer(str(tmp_path))
    assert (plain.lead("auto"), plain.lead("always"), plain.lead("never")) == ((), (0,), ())
    assert "--bos always" in plain.notes("auto")[0]
    plain.bos = None
    with pytest.raises(UsageError, match="no beginning-of-sequence"):
        plain.lead("always")


def test_a_plain_tokenizer_is_what_transformers_makes_of_its_files(tmp_path: Path) -> None:
    for bos in (True, False):
        save_causal(tmp_path / f"{bos}", bos=bos)
        plain = load_tokenizer(str(tmp_path / f"{bos}"))
        written = plain.decode([0, 270, 271])
        assert not plain.borrowed
        theirs = plain.inner
        assert plain.borrowed
        for backend in (theirs.backend_tokenizer, plain.backend):
            backend.encode_special_tokens = False
        assert plain.backend.to_str() == theirs.backend_tokenizer.to_str()
        assert (plain.bos, plain.eos) == (theirs.bos_token_id, theirs.eos_token_id) == (0, 1)
        assert written == theirs.decode([0, 270, 271], skip_special_tokens=True)


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer_class": "LlamaTokenizer"},
        {"add_prefix_space": True},
        {"clean_up_tokenization_spaces": True},
        {"pad_token": "<new>"},
        {"extra_special_tokens": ["<more>"]},
        {"added_tokens_decoder": {"0": {"content": "<s>", "special": False}}},
    ],
)
def test_settings_that_change_a_tokenizer_are_left_to_transformers(tmp_path: Path, change: dict[str, Any]) -> None:
    save_causal(tmp_path)
    assert plain_tokenizer(str(tmp_path)) is not None
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert plain_tokenizer(str(tmp_path)) is None


@pytest.mark.parametrize("name", ["tokenizer_config.json", "config.json"])
def test_a_tokenizer_whose_settings_are_malformed_is_left_to_transformers(tmp_path: Path, name: str) -> None:
    save_causal(tmp_path)
    (tmp_path / name).write_bytes(b'{"a": \xff')
    assert plain_tokenizer(str(tmp_path)) is None


def test_a_malformed_tokenizer_is_refused_before_a_library_loads_it(tmp_path: Path) -> None:
    save_causal(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b'{"a": \xff')
    with pytest.raises(FormatError, match=r"tokenizer\.json: at byte 6: is not UTF-8"):
        plain_tokenizer(str(tmp_path))


def test_a_folder_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no tokenizer that can be loaded"):
        load_tokenizer(str(tmp_path))


def test_texts_keep_their_line_ends_and_nulls_and_give_the_same_hash_under_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("a\r\nb\0解".encode())
    (tmp_path / "b.md").write_bytes(b"\xef\xbb\xbf" + "a\r\nb\0解".encode())
    one, other = read_texts(tmp_path)
    assert (one.text, one.skipped, other.skipped) == ("a\r\nb\0解", 0, 3)
    assert one.hash == other.hash


def test_bytes_that_are_not_utf8_are_refused_with_their_offset_unless_asked_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfab\xffc")
    with pytest.raises(FormatError, match="at byte 5: is not UTF-8: byte 0xff"):
        read_texts(path)
    assert read_texts(path, "ignore")[0].text == "abc"
    assert read_texts(path, "replace")[0].text == "ab\ufffdc"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": ', "line 2 is not JSON"),
        ('{"body": 1}', 'line 2 has no "text"'),
        ('{"text": "\\ud83d"}', "half a surrogate"),
    ],
)
def test_a_malformed_line_of_jsonl_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(FormatError, match=said):
        read_texts(path)


def test_the_lines_of_jsonl_are_documents_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n\n{"content": "two"}\n')
    assert [(one.name.rpartition("/")[2], one.text) for one in read_texts(path)] == [
        ("a.jsonl:1", "one"),
        ("a.jsonl:3", "two"),
    ]


def test_spans_are_whole_numbers_for_an_empty_text(tokenizer: Tokenizer) -> None:
    found = tokenizer.located(Document("t", ""))
    assert (len(found), found.bytes.shape, found.ids.dtype) == (0, (0, 2), np.dtype(np.int32))
