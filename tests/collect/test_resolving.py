"""Thresholds of the largest n %: exact after the second pass, kept for the next time, the same for any workers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import kaibo
from kaibo.chapters.diff.largest import by_size, exactly, largest, needed
from kaibo.collect.resolving import resolved_bins
from kaibo.counting import Workspace, count_span, position_after, resolve
from kaibo.errors import UsageError
from kaibo.models import open_model
from kaibo.store import Store
from kaibo.testing import tiny_model
from kaibo.testing.arrays import ArrayTensor, array_tensor
from kaibo.testing.models import encode
from kaibo.vocabulary import Row, widen
from kaibo.vocabulary.counts.resolved import added

WORKSPACE = Workspace()
CLOSE = st.floats(0.75, 1.25, width=32) | st.sampled_from([0.0, 1.0, -1.0, 1e-40, -1e-40])
VALUES = hnp.arrays(np.float32, st.integers(1, 80), elements=CLOSE | CLOSE.map(lambda value: -value))


def tensor_of(values: np.ndarray) -> ArrayTensor:
    return array_tensor("F32", encode("F32", values))


def row_of(values: np.ndarray, content: str = "w") -> Row:
    census = count_span(tensor_of(values), 0, values.size, WORKSPACE).census
    return Row("m", "0", content, 0, "mlp.up", "F32", values.shape, content, census)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.floats(0.5, 100), st.sampled_from(["reference", "exact"]), st.sampled_from(["all", "changed"]))
def test_the_threshold_is_the_one_that_sorting_finds(values: np.ndarray, percent: float, ties: str, of: str) -> None:
    row = row_of(values)
    wanted = needed([row], (percent,), of)
    known = {("w", one.upper): one for one in resolve(tensor_of(values), sorted(wanted.get("w", ())))}
    sizes = by_size([row.census])  # type: ignore[list-item]
    magnitude = np.sort(np.abs(values.astype(np.float64)))
    if of == "changed":
        from kaibo.chapters.diff.largest import sizes_of

        sizes, magnitude = sizes_of([row], of), magnitude[magnitude > 0]
    top = largest(exactly([row], sizes, percent, ties, known), percent, ties)
    count = int(magnitude.size * (percent / 100))
    if ties == "exact":
        kept = magnitude[magnitude.size - count :]
        kept = kept[kept > 0]
    else:
        kept = magnitude[magnitude >= magnitude[max(magnitude.size - count, 1) - 1]] if magnitude.size else magnitude
    assert (top.kept, top.kept_high, top.d) == (kept.size, kept.size, magnitude.size)
    assert top.l1_bound == pytest.approx(0, abs=1e-12)
    assert (top.l1, top.l2) == (pytest.approx(kept.sum()), pytest.approx(math.sqrt((kept**2).sum())))
    assert top.threshold == top.threshold_high == (kept.min() if kept.size else None)


@settings(max_examples=30, deadline=None)
@given(VALUES, st.integers(0, 90))
def test_the_position_after_so_many_ties_is_where_they_lie(values: np.ndarray, quota: int) -> None:
    magnitude = float(abs(values[0]))
    places = np.flatnonzero(np.abs(values) == np.float32(magnitude))
    expected = 0 if quota == 0 else int(places[quota - 1]) + 1 if quota <= places.size else values.size
    assert position_after(tensor_of(values), magnitude, quota) == expected


def deltas(folder: Path, base: str, tuned: str) -> dict[str, np.ndarray]:
    def values(name: str) -> dict[str, np.ndarray]:
        return {
            tensor.canonical: np.concatenate(
                [widen(tensor.dtype.name, chunk) for chunk in tensor.chunks(np.empty(1 << 20, np.uint8))]
            ).astype(np.float32)
            for tensor in open_model(folder / name).tensors
        }

    before, after = values(base), values(tuned)
    return {name: after[name] - before[name] for name in before}


def test_norms_of_the_largest_are_those_of_numpy_in_every_scope(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        tiny_model(tmp_path / name, seed=seed, dtype="F32", shards=1 + seed)
    options = kaibo.Settings(store=tmp_path / "store", workers=2)
    delta = deltas(tmp_path, "a", "b")
    linear = {name: values for name, values in delta.items() if "proj" in name}
    for of, parts in (("all", delta), ("linear", linear)):
        found = kaibo.diff(
            tmp_path / "a", tmp_path / "b", options=kaibo.options.DiffOptions((5, 20), of), settings=options
        )
        for top in found.norms.rows[0].top:
            together = [np.concatenate(list(parts.values()))] if top.scope == "global" else list(parts.values())
            kept = np.concatenate([trimmed(values, top.percent, top.ties) for values in together]).astype(np.float64)
            assert top.kept == top.kept_high == kept.size
            assert top.l1_bound < 1e-12 * top.l1
            assert (top.l1, top.l2) == (pytest.approx(np.abs(kept).sum()), pytest.approx(math.sqrt((kept**2).sum())))
            assert top.threshold == np.abs(kept).min()
    assert [row.kept for row in found.trimmed.rows] == [top.kept for top in found.norms.rows[0].top]


def trimmed(values: np.ndarray, percent: float, ties: str) -> np.ndarray:
    count = int(values.size * (percent / 100))
    order = np.argsort(-np.abs(values), kind="stable")
    if ties == "exact":
        return values[order[:count]]
    return values[np.abs(values) >= np.abs(values)[order[count]]]


def test_what_was_resolved_is_not_read_again(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    wanted = needed([row_of(values)], (20,))
    store = Store(tmp_path)
    first = resolved_bins({"w": tensor_of(values)}, wanted, store)
    again = resolved_bins({}, wanted, Store(tmp_path))  # there is no tensor to read
    assert first.keys() == again.keys() == {("w", upper) for upper in wanted["w"]}
    for key, one in first.items():
        np.testing.assert_array_equal(one.lows, again[key].lows)
        np.testing.assert_array_equal(one.counts, again[key].counts)


def test_resolved_bins_add_and_others_do_not() -> None:
    one, other = (resolve(tensor_of(np.array(values, np.float32)), [0x3F80])[0] for values in ([1, -1], [1.0, 1.001]))
    together = added([one, other])
    assert together.magnitudes.tolist() == pytest.approx([1, 1.001], rel=1e-6)
    assert together.counts.tolist() == [3, 1]
    with pytest.raises(ValueError, match="one upper half"):
        added([])


def test_values_of_an_unknown_kind_are_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="most"):
        kaibo.diff(tmp_path, tmp_path, options=kaibo.options.DiffOptions(of="most"))
