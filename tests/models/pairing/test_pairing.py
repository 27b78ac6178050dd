"""Pairing: never a failure, nothing cropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.models import open_model
from kaibo.models.formed import Formed
from kaibo.models.pairing import Pairing, common_rows, pair_models
from kaibo.models.pairing.vocabularies import vocabulary_of
from kaibo.models.rows import ChosenRows, chosen_rows
from kaibo.testing import tiny_model, write_safetensors
from kaibo.testing.arrays import array_tensor
from kaibo.vocabulary import widen


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


def tables(folder: Path, rows: int, tokens: int | None = None, shards: int = 1) -> Path:
    """Embedding and head of a model in which row r holds the value r alone, and a tokenizer of t0, t1 …"""
    folder.mkdir()
    config = {"model_type": "llama", "hidden_size": 2, "vocab_size": rows, "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    table = np.repeat(np.arange(rows, dtype=np.float32), 2).view("<u4")
    names = "model.embed_tokens.weight", "lm_head.weight"
    write_safetensors(folder / "model.safetensors", dict.fromkeys(names, ("F32", (rows, 2), table)))
    if tokens is not None:
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {f"t{n}": n for n in range(tokens)}}}))
    return folder


def meeting_of(base: Path, tuned: Path) -> Pairing:
    return pair_models(open_model(base), open_model(tuned), (vocabulary_of(str(base)), vocabulary_of(str(tuned))))


def test_paddings_and_added_tokens_meet_as_far_as_they_mean_the_same(tmp_path: Path) -> None:
    plain = tables(tmp_path / "plain", 32000, 32000)
    added = tables(tmp_path / "added", 32002, 32002)
    padded = tables(tmp_path / "padded", 32064, 31998)
    found = meeting_of(plain, added)
    assert {(one.side, one.n, one.why) for one in found.unmatched} == {
        ("tuned", 4, "2 rows that the other model lacks")
    }
    assert [one.values for one in found.coverage] == [1.0, pytest.approx(32000 / 32002)]
    said = "100 % of the base's values (100 % of its bytes), 99.9937 % of the tuned's values (99.9937 % of its bytes)"
    assert found.coverage_note == f"compared: {said}"
    found = meeting_of(padded, added)
    assert {pair.base.shape[0] for pair in found.pairs} == {31998}  # what is padding here is a token there
    assert {(one.side, one.n, one.why) for one in found.unmatched} == {
        ("base", 132, "66 rows that the other model lacks, 66 of them padding that no token names"),
        ("tuned", 8, "4 rows that the other model lacks"),
    }
    shorter = tables(tmp_path / "shorter", 32032, 31998)
    found = meeting_of(padded, shorter)
    assert {pair.base.shape[0] for pair in found.pairs} == {32032}
    assert "34 of them padding that no token names, by row" in found.notes[0]


def test_a_tokenizer_larger_than_its_table_is_said(tmp_path: Path) -> None:
    base, tuned = tables(tmp_path / "a", 100, 103), tables(tmp_path / "b", 100, 103)
    found = meeting_of(base, tuned)
    assert found.unmatched == ()
    assert found.notes[0].endswith(
        "3 tokens of the base's tokenizer have no row; 3 tokens of the tuned's tokenizer have no row"
    )


def test_a_matrix_of_a_head_is_no_table_of_tokens(tmp_path: Path) -> None:
    """BERT's head has a matrix of hidden × hidden, which was once aligned by token as if it were a table."""
    config = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 4, "vocab_size": 6}
    shapes = {
        "bert.embeddings.word_embeddings.weight": (6, 4),
        "cls.predictions.transform.dense.weight": (4, 4),
        "cls.predictions.bias": (6,),
    }
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        arrays = {key: ("F32", shape, np.arange(np.prod(shape), dtype="<u4")) for key, shape in shapes.items()}
        write_safetensors(tmp_path / name / "model.safetensors", arrays)
    before, after = {f"t{n}": n for n in range(6)}, {f"t{5 - n}": n for n in range(6)}
    found = pair_models(open_model(tmp_path / "a"), open_model(tmp_path / "b"), (before, after))
    chosen = {pair.base.canonical: pair.tuned.values for pair in found.pairs if isinstance(pair.tuned, Formed)}
    aligned = {name for name, values in chosen.items() if isinstance(values, ChosenRows)}
    assert aligned == {"embeddings.word_embeddings.weight", "cls.predictions.bias"}
    assert len(found.pairs) == 3


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5)),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5)),
)
def test_no_row_meets_two(a: dict[str, int], b: dict[str, int]) -> None:
    rows, others = common_rows(a, b, 6, 6)
    assert np.unique(rows).size == rows.size
    assert np.unique(others).size == others.size


def pack(folder: Path, tensors: dict[str, tuple[str, tuple[int, ...], np.ndarray]], **config: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


QUERY = "model.layers.0.self_attn.q_proj"


def test_packed_codes_are_no_weights_and_both_sides_say_so(tmp_path: Path) -> None:
    plain = pack(tmp_path / "plain", {f"{QUERY}.weight": ("F16", (8, 8), np.zeros(64, np.uint16))})
    gptq = pack(
        tmp_path / "gptq",
        {
            f"{QUERY}.qweight": ("I32", (1, 8), np.zeros(8, np.uint32)),
            f"{QUERY}.qzeros": ("I32", (1, 1), np.zeros(1, np.uint32)),
            f"{QUERY}.scales": ("F16", (1, 8), np.zeros(8, np.uint16)),
        },
        quantization_config={"quant_method": "gptq"},
    )
    found = meeting_of(plain, gptq)
    assert found.pairs == ()
    why = {one.tensor.rpartition(".")[2]: one.why for one in found.unmatched}
    assert why["weight"].startswith("the other model holds it packed (layers.0.self_attn.q_proj.q")
    assert why["qweight"] == "I32: packed codes of GPTQ or AWQ (gptq), not weights"
    assert why["scales"] == "F16: scales of packed codes (gptq), not weights"
    again = meeting_of(gptq, gptq)
    assert {one.side for one in again.unmatched} == {"base", "tuned"}
    assert again.pairs == ()


def test_eight_bit_codes_are_compared_times_their_scales(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 0x7E, (200, 130)).astype(np.uint8)
    scales = random.uniform(0.5, 2, (2, 2)).astype(np.float32)
    values = (widen("F8_E4M3", codes) * np.kron(scales, np.ones((128, 128)))[:200, :130]).astype(np.float32)
    plain = pack(tmp_path / "plain", {f"{QUERY}.weight": ("F32", (200, 130), values.view("<u4"))})
    packed = pack(
        tmp_path / "packed",
        {
            f"{QUERY}.weight": ("F8_E4M3", (200, 130), codes),
            f"{QUERY}.weight_scale_inv": ("F32", (2, 2), scales.view("<u4")),
        },
        quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]},
    )
    found = meeting_of(plain, packed)
    (pair,) = found.pairs
    assert pair.layout == "tuned: F8_E4M3 codes multiplied by weight_scale_inv"
    read = [chunk.copy() for chunk in pair.tuned.chunks(np.empty(1000, np.uint8))]
    assert np.array_equal(np.concatenate(read).view("<f4"), values.reshape(-1))
    assert found.unmatched == ()  # the scale is a part of the weight
