"""The tokenizer that a GGUF file carries cuts texts as the one it was made from."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

tokenizers = pytest.importorskip("tokenizers", reason="the extra torch is not installed")

from kaibo.errors import FormatError, KaiboError, MissingError  # noqa: E402
from kaibo.models.formats.gguf_tokenizer import PRE, merges_of, tokenizer_document  # noqa: E402
from kaibo.models.tokenizer_files import carried_tokenizer, judged  # noqa: E402
from made_gguf import write_gguf  # noqa: E402
from scoring_models import TEXT, save_tokenizer  # noqa: E402


def metadata_of(document: dict[str, Any], pre: str = "gpt-2", **changes: Any) -> dict[str, Any]:
    """What llama.cpp writes of a byte-level tokenizer."""
    vocabulary = {**document["model"]["vocab"], **{one["content"]: one["id"] for one in document["added_tokens"]}}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    special = {one["content"] for one in document["added_tokens"]}
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token in tokens],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in document["model"]["merges"]],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
        **changes,
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def both(original: Any) -> tuple[Any, Any]:
    ours = tokenizer_document(metadata_of(original), "m.gguf")
    return tokenizers.Tokenizer.from_str(json.dumps(original)), tokenizers.Tokenizer.from_str(json.dumps(ours))


@given(st.one_of(st.text(max_size=40), st.text(alphabet="the quick\n\t <s>/'123解", max_size=40)))
def test_any_text_becomes_the_same_ids_and_comes_back(both: tuple[Any, Any], text: str) -> None:
    one, other = both
    assert other.encode(text).ids == one.encode(text).ids
    assert other.decode(other.encode(text).ids) == one.decode(one.encode(text).ids)


def by_score(text: str, scores: dict[str, float]) -> list[str]:
    """SentencePiece's merging, step by step: of all neighbours the best piece, the leftmost of equals."""
    pieces = list(text)
    while True:
        pairs = [(scores[a + b], -at) for at, (a, b) in enumerate(pairwise(pieces)) if a + b in scores]
        if not pairs:
            return pieces
        at = -max(pairs)[1]
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]


PIECES = ["<unk>", "▁", "a", "b", "c", "ab", "bc", "abc", "▁a", "▁ab", "aa", "aaa", "ca", "▁c", "cab"]
SCORES = [-float(place) for place in range(len(PIECES))]


@given(st.text(alphabet="abc ", max_size=24))
def test_pieces_with_scores_are_merged_as_sentencepiece_merges_them(text: str) -> None:
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": PIECES,
        "tokenizer.ggml.scores": SCORES,
        "tokenizer.ggml.token_type": [2] + [1] * (len(PIECES) - 1),
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
    }
    ours = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_document(metadata, "m.gguf")))
    spelled = ("▁" + text).replace(" ", "▁") if text else ""
    assert ours.encode(text).tokens == by_score(spelled, dict(zip(PIECES, SCORES, strict=True)))


def test_merges_follow_from_scores_and_long_runs_are_left_whole() -> None:
    long = "x" * 200
    vocabulary = {piece: place for place, piece in enumerate(["x", "xx", long])}
    assert merges_of(vocabulary, [0.0, -1.0, -2.0]) == [["x", "x"]]


@pytest.mark.parametrize("pre", sorted(PRE))
def test_every_way_of_cutting_texts_loads_and_loses_nothing(original: Any, pre: str) -> None:
    made = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_document(metadata_of(original, pre), "m.gguf")))
    text = "I'll pay 12345 yen,\r\n\n  解剖  tabs\tend "
    assert made.decode(made.encode(text, add_special_tokens=False).ids) == text


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"tokenizer.ggml.pre": "unheard-of"}, MissingError, "cuts texts in a way that is not known"),
        ({"tokenizer.ggml.model": "bert"}, MissingError, "of kind 'bert'"),
        ({"tokenizer.ggml.tokens": 7}, MissingError, "carries no tokenizer"),
        ({"tokenizer.ggml.tokens": ["a", "a"]}, FormatError, "twice"),
        ({"tokenizer.ggml.merges": ["a b c"]}, FormatError, "not pairs"),
        ({"tokenizer.ggml.token_type": [1]}, FormatError, "does not go with its"),
    ],
)
def test_what_cannot_be_rebuilt_is_said(
    original: Any, changes: dict[str, Any], kind: type[KaiboError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        tokenizer_document(metadata_of(original, **changes), "m.gguf")


def test_a_carried_tokenizer_is_read_from_the_file_and_judged_as_any_other(original: Any, tmp_path: Path) -> None:
    sound = write_gguf(tmp_path / "m.gguf", metadata_of(original), {})
    assert tokenizers.Tokenizer.from_str(carried_tokenizer(str(sound))).encode(TEXT).ids
    with pytest.raises(FormatError, match="has the id"):
        judged({"model": {"type": "BPE", "vocab": {"a": 2**31}}}, 100, "m.gguf")
