"""Pairing: never a failure, nothing cropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.models import open_model
from kaibo.models.pairing import common_rows, pair_models
from kaibo.models.rows import chosen_rows
from kaibo.models.vocabularies import vocabulary_of
from kaibo.testing import tiny_model, write_safetensors
from kaibo.testing.arrays import array_tensor


def test_another_vocabulary_is_aligned_by_row_where_no_tokenizer_says_better(tmp_path: Path) -> None:
    base, tuned = open_model(tiny_model(tmp_path / "a")), open_model(tiny_model(tmp_path / "b", vocabulary=66))
    paired = pair_models(base, tuned)
    assert len(paired.pairs) == len(base.tensors)
    assert {pair.tuned.shape[0] for pair in paired.pairs if pair.base.role in ("embedding", "head")} == {64}
    assert [(lone.side, lone.n) for lone in paired.unmatched] == [("tuned", 2 * 32)] * 2
    assert all("2 rows" in lone.why for lone in paired.unmatched)
    assert all("for want of two tokenizers" in note for note in paired.notes)
    assert len(paired.notes) == 2


def test_rows_meet_by_token_where_both_vocabularies_are_known(tmp_path: Path) -> None:
    base, tuned = open_model(tiny_model(tmp_path / "a")), open_model(tiny_model(tmp_path / "b"))
    before = {f"t{row}": row for row in range(64)}
    after = {f"t{63 - row}": row for row in range(64)}
    paired = pair_models(base, tuned, (before, after))
    pair = next(pair for pair in paired.pairs if pair.base.role == "embedding")
    whole = np.concatenate([chunk.copy() for chunk in tuned_embedding(tuned).chunks(np.empty(100, np.uint8))])
    turned = np.concatenate([chunk.copy() for chunk in pair.tuned.chunks(np.empty(100, np.uint8))])
    assert np.array_equal(turned.reshape(64, 32), whole.reshape(64, 32)[::-1])
    assert paired.unmatched == ()
    assert all("re-numbered" in note for note in paired.notes)


def tuned_embedding(model: object) -> object:
    return next(tensor for tensor in model.tensors if tensor.role == "embedding")  # type: ignore[attr-defined]


def test_a_missing_tensor_and_another_shape_are_listed_with_their_share(tmp_path: Path) -> None:
    ones = np.zeros(6, np.uint16)
    for name, tensors in (("a", {"x": (2, 3), "y": (6,), "z": (6,)}), ("b", {"x": (3, 2), "y": (6,), "w": (6,)})):
        write_safetensors(
            tmp_path / f"{name}.safetensors", {key: ("BF16", shape, ones) for key, shape in tensors.items()}
        )
    paired = pair_models(open_model(tmp_path / "a.safetensors"), open_model(tmp_path / "b.safetensors"))
    assert [pair.base.canonical for pair in paired.pairs] == ["y"]
    listed = {(lone.side, lone.tensor): lone for lone in paired.unmatched}
    assert set(listed) == {("base", "x"), ("tuned", "x"), ("base", "z"), ("tuned", "w")}
    assert listed["base", "x"].why == "shape 2×3 against 3×2"
    assert {lone.share for lone in paired.unmatched} == {1 / 3}


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_rows_that_meet_stand_for_one_token(a: dict[str, int], b: dict[str, int], n: int, m: int) -> None:
    rows, others = common_rows(a, b, n, m)
    assert rows.size == others.size == np.unique(rows).size
    for row, other in zip(rows.tolist(), others.tolist(), strict=True):
        assert row < n
        assert other < m
        named = row in a.values() or other in b.values()
        assert not named or any(a.get(token) == row and b.get(token) == other for token in a)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 30), st.data())
def test_chosen_rows_are_the_rows_chosen(rows: list[int], values: int, data: st.DataObject) -> None:
    tensor = array_tensor("BF16", np.arange(30, dtype=np.uint16).reshape(10, 3))
    chosen = chosen_rows(tensor, rows)
    expected = tensor.patterns[rows].reshape(-1)
    begin = data.draw(st.integers(0, expected.size))
    end = data.draw(st.integers(begin, expected.size))
    got = [chunk.copy() for chunk in chosen.chunks(np.empty(2 * values, np.uint8), begin, end)]
    assert np.array_equal(np.concatenate([np.zeros(0, np.uint16), *got]), expected[begin:end])
    assert all(chunk.size == values for chunk in got[:-1])


def test_a_vocabulary_is_read_from_whichever_file_there_is(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "a")
    assert vocabulary_of(str(folder)) is None
    (folder / "vocab.txt").write_text("a\nb\n")
    assert vocabulary_of(str(folder)) == {"a": 0, "b": 1}
    (folder / "vocab.json").write_text(json.dumps({"a": 1, "b": True, "c": -1}))
    assert vocabulary_of(str(folder)) == {"a": 1}
    tokenizer = {"model": {"vocab": [["a", -1.0], ["b", -2.0]]}, "added_tokens": [{"id": 2, "content": "<s>"}]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert vocabulary_of(str(folder)) == {"a": 0, "b": 1, "<s>": 2}
    (folder / "tokenizer.json").write_text("[" * 100_000)
    assert vocabulary_of(str(folder)) == {"a": 1}
