"""Views: the same values seen another way, whatever the chunk, and never a copy of the whole."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.models import views
from kaibo.models.anatomy.catalogue import families, family
from kaibo.models.anatomy.parts import fused_layout, part_role, part_rows
from kaibo.models.rotary import to_half, to_interleaved
from kaibo.models.rows import chosen_rows
from kaibo.models.views import computed, renamed, shifted, transposed
from kaibo.testing.arrays import ArrayTensor, array_tensor
from kaibo.vocabulary import DTYPES, Tensor

LAYOUTS = ("q k v", "heads (q k v)", "groups (q… k v)", "gate up")


def read(tensor: Tensor, values: int = 7, begin: int = 0, end: int | None = None) -> np.ndarray:
    chunks = [chunk.copy() for chunk in tensor.chunks(np.empty(8 * values, np.uint8), begin, end)]
    return np.concatenate([np.zeros(0, tensor.dtype.patterns), *chunks])


def matrix(rows: int, columns: int, dtype: str = "BF16") -> ArrayTensor:
    return array_tensor(dtype, np.arange(rows * columns, dtype=DTYPES[dtype].patterns).reshape(rows, columns))


@st.composite
def spans(draw: st.DrawFn, size: int) -> tuple[int, int]:
    begin = draw(st.integers(0, size))
    return begin, draw(st.integers(begin, size))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(8, 200), st.data())
def test_a_transposed_matrix_is_the_same_for_any_chunk_band_and_span(
    rows: int, columns: int, values: int, band: int, data: st.DataObject
) -> None:
    tensor = matrix(rows, columns)
    seen = transposed(tensor)
    begin, end = data.draw(spans(tensor.size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "BAND", band)
        chunks = [chunk.copy() for chunk in seen.chunks(np.empty(2 * values, np.uint8), begin, end)]
    assert all(chunk.size == values for chunk in chunks[:-1])
    got = np.concatenate([np.zeros(0, np.uint16), *chunks])
    assert np.array_equal(got, tensor.patterns.T.reshape(-1)[begin:end])
    assert transposed(seen) is tensor


def test_every_view_keeps_what_is_written_on_its_tensor() -> None:
    tensor = ArrayTensor("w", DTYPES["BF16"], matrix(4, 6).patterns, layer=3, role="mlp.up", source_key="k")
    doubled = computed(tensor, lambda values: values * 2)
    for seen in (transposed(tensor), shifted(tensor, 1.0), chosen_rows(tensor, [2, 0]), renamed(tensor), doubled):
        assert (seen.name, seen.canonical, seen.layer, seen.role) == ("w", "w", 3, "mlp.up")
        assert seen.size == math.prod(seen.shape) == read(seen).size
        assert seen.source_key != tensor.source_key or read(seen).tolist() == read(tensor).tolist()


def test_a_transposed_matrix_holds_a_band_of_it_and_not_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "BAND", 1 << 14)
    tensor = matrix(64, 4096)
    room = np.empty(1 << 12, np.uint8)
    tracemalloc.start()
    total = sum(int(chunk.sum(dtype=np.int64)) for chunk in transposed(tensor).chunks(room))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == int(tensor.patterns.sum(dtype=np.int64))
    assert peak < 1 << 17
    assert tensor.patterns.nbytes == 1 << 19


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(LAYOUTS),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 20),
)
def test_the_parts_of_a_fused_tensor_are_all_of_it_once(
    layout: str, groups: int, queries: int, head_size: int, columns: int, values: int
) -> None:
    sizes = {"heads": groups * queries, "kv_heads": groups, "head_size": head_size}
    if layout == "heads (q k v)":
        sizes["kv_heads"] = sizes["heads"]
    rows = (sizes["heads"] + 2 * sizes["kv_heads"]) * head_size if layout != "gate up" else 2 * head_size
    tensor = matrix(rows, columns)
    parts = part_rows(layout, rows, sizes)
    assert parts is not None
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(rows))
    whole = np.zeros_like(tensor.patterns)
    for index in parts.values():
        whole[index] = read(chosen_rows(tensor, index), values).reshape(-1, columns)
    assert np.array_equal(whole, tensor.patterns)


def test_the_parts_of_the_layouts_in_use_are_what_the_modelling_code_takes() -> None:
    heads, groups, size = 4, 2, 3
    rows = np.arange(3 * heads * size)
    found = part_rows("heads (q k v)", rows.size, {"heads": heads, "kv_heads": heads, "head_size": size})
    assert found is not None
    neox = rows.reshape(heads, 3, size)  # transformers, models/gpt_neox: view(…, heads, 3 * size).chunk(3)
    assert [part.tolist() for part in found.values()] == [neox[:, n].reshape(-1).tolist() for n in range(3)]
    rows = np.arange((heads + 2 * groups) * size)
    found = part_rows("groups (q… k v)", rows.size, {"heads": heads, "kv_heads": groups, "head_size": size})
    assert found is not None
    falcon = rows.reshape(groups, heads // groups + 2, size)  # models/falcon: _split_heads, new architecture
    assert found["q…"].tolist() == falcon[:, :-2].reshape(-1).tolist()
    assert found["k"].tolist() == falcon[:, -2].reshape(-1).tolist()
    assert found["v"].tolist() == falcon[:, -1].reshape(-1).tolist()
    assert part_rows("q k v", 10, {}) is None
    assert part_rows("q k v", 11, {"heads": 1, "kv_heads": 1, "head_size": 4}) is None
    assert part_rows("gate up", 7, {}) is None


def test_every_fused_role_of_every_anatomy_has_a_layout_that_can_be_read() -> None:
    sizes = {"heads": 4, "kv_heads": 2, "head_size": 8}
    for name in families():
        for role in {kind.role for kind in family(name).kinds} & {"attention.qkv", "mlp.gate_up", "expert.gate_up"}:
            layout = fused_layout(role, family(name).layout)
            assert layout is not None, (name, role)
            square = sizes | ({"kv_heads": 4} if "heads (" in layout else {})
            rows = 8 * (4 + 2 * square["kv_heads"])
            parts = part_rows(layout, rows, square)
            assert parts is not None, (name, layout)
            assert all(part_role(role, part) for part in parts)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 3), st.integers(1, 3), st.integers(1, 20))
def test_an_order_of_rotary_rows_undone_is_the_identity(
    heads: int, half: int, rest: int, columns: int, values: int
) -> None:
    size, rotary = 2 * half + rest, 2 * half
    tensor = matrix(heads * size, columns)
    turned = chosen_rows(tensor, to_half(heads, size, rotary))
    back = chosen_rows(turned, to_interleaved(heads, size, rotary))
    assert np.array_equal(read(back, values), tensor.patterns.reshape(-1))
    # transformers, convert_llama_weights_to_hf.py: permute
    expected = tensor.patterns.reshape(heads, size, columns).copy()
    expected[:, :rotary] = (
        expected[:, :rotary].reshape(heads, half, 2, columns).transpose(0, 2, 1, 3).reshape(heads, rotary, columns)
    )
    assert np.array_equal(read(turned, values), expected.reshape(-1))


def test_one_is_added_in_float32() -> None:
    tensor = array_tensor("BF16", np.array([0x3F80, 0xBF80, 0x3300, 0x7F80], np.uint16))
    assert read(shifted(tensor, 1.0)).view("<f4").tolist() == [2.0, 0.0, 1.0, np.inf]


def test_a_view_has_a_key_of_its_own_where_its_content_is_another() -> None:
    tensor = ArrayTensor("w", DTYPES["BF16"], matrix(2, 3).patterns, source_key="key")
    square = ArrayTensor("w", DTYPES["BF16"], matrix(2, 3).patterns, source_key="other")
    seen = [
        transposed(tensor),
        transposed(square),
        shifted(tensor, 1.0),
        renamed(tensor, shape=(3, 2)),
        chosen_rows(tensor, [1, 0]),
        chosen_rows(transposed(tensor), [1, 0]),
    ]
    keys = [view.source_key for view in seen]
    assert len({"key", *keys}) == 7
    assert renamed(tensor, canonical="v", role="head").source_key == "key"
    assert transposed(matrix(2, 3)).source_key is None
    with pytest.raises(ValueError, match="6 values"):
        renamed(tensor, shape=(2, 2))
    with pytest.raises(ValueError, match="no matrix"):
        transposed(renamed(tensor, shape=(6,)))
