"""The laws of differences: zero from itself, antisymmetric, a metric, and trimming that predicts what it keeps."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kaibo.chapters.diff.differences import change_map, differences, norm_curve, resolution
from kaibo.chapters.diff.largest import by_size, largest
from kaibo.counting import LaneWorkspace, Workspace, count_pair, count_span
from kaibo.testing.arrays import ArrayTensor, array_tensor
from kaibo.testing.models import encode
from kaibo.vocabulary import Census, PairRow, Row, widen

PAIRS, WORKSPACE = LaneWorkspace(), Workspace()
VALUES = hnp.arrays(np.float32, 40, elements=st.floats(-8, 8, width=16))


def row(base: ArrayTensor, tuned: ArrayTensor, *, name: str = "w", layer: int = 0) -> PairRow:
    part = count_pair(base, tuned, PAIRS)
    assert part.base.census is not None
    delta = Row("tuned", "0", name, layer, "mlp.up", "F32", base.shape, name, part.difference)
    contents = str(base.patterns.tobytes()), str(tuned.patterns.tobytes())
    return PairRow("base", "1", delta, *contents, base.dtype.name, tuned.dtype.name, part.base.census, part.joint)


def tensor(values: np.ndarray, dtype: str = "F32") -> ArrayTensor:
    return array_tensor(dtype, encode(dtype, values.astype(np.float32)))


def census_of(values: np.ndarray) -> Census:
    census = count_span(tensor(values), 0, values.size, WORKSPACE).census
    assert census is not None
    return census


@settings(max_examples=20, deadline=None)
@given(VALUES, st.sampled_from(["BF16", "F16", "F32"]))
def test_a_model_differs_from_itself_nowhere(values: np.ndarray, dtype: str) -> None:
    found = differences([row(tensor(values, dtype), tensor(values, dtype))]).rows[0]
    assert (found.l0, found.l1, found.l2, found.linf, found.changed, found.one_ulp) == (0, 0, 0, 0, 0, 0)
    assert found.identical == 1
    assert math.isnan(found.cosine) or found.cosine == pytest.approx(1)
    assert found.times_resolution in (0, None)


@settings(max_examples=20, deadline=None)
@given(VALUES, VALUES)
def test_there_and_back_is_as_far(a: np.ndarray, b: np.ndarray) -> None:
    there, back = (differences([row(*pair)]).rows[0] for pair in permutations((tensor(a), tensor(b))))
    for name in ("l0", "l1", "l2", "linf", "changed", "one_ulp", "flipped", "counts"):
        assert getattr(there, name) == getattr(back, name)
    assert there.cosine == back.cosine or math.isnan(there.cosine)


@settings(max_examples=20, deadline=None)
@given(VALUES, VALUES, VALUES)
def test_a_detour_is_never_shorter_and_cosines_are_those_of_vectors(
    a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> None:
    tensors = [tensor(values) for values in (a, b, c)]
    found = [[differences([row(one, other)]).rows[0] for other in tensors] for one in tensors]
    for name in ("l1", "l2", "linf"):
        distance = [[getattr(cell, name) for cell in line] for line in found]
        assert distance[0][2] <= (distance[0][1] + distance[1][2]) * (1 + 1e-6)
    cosines = np.array([[cell.cosine for cell in line] for line in found])
    if not np.isnan(cosines).any():
        assert np.linalg.eigvalsh((cosines + cosines.T) / 2).min() > -1e-9


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-8, 8, width=16)), st.floats(0.5, 100))
def test_what_trimming_keeps_is_predicted_from_the_census(values: np.ndarray, percent: float) -> None:
    sizes, d = by_size([census_of(values)]), values.size
    magnitude = np.sort(np.abs(values.astype(np.float64)))[::-1]
    wanted = int(d * (percent / 100))
    exact = largest(sizes, percent, "exact")
    kept = magnitude[:wanted][magnitude[:wanted] > 0]
    assert exact.kept == kept.size
    check(exact, kept)
    reference = largest(sizes, percent, "reference")
    threshold = np.sort(magnitude)[max(d - wanted, 1) - 1]
    kept = magnitude[magnitude >= threshold]
    assert reference.kept <= kept.size <= reference.kept_high
    check(reference, kept)


def check(found: object, kept: np.ndarray) -> None:
    for name, norm in (("l1", kept.sum()), ("l2", math.sqrt((kept**2).sum()))):
        assert abs(getattr(found, name) - norm) <= getattr(found, f"{name}_bound") + 1e-9 * (1 + norm)
    if kept.size:
        assert found.threshold <= kept.min() <= found.threshold_high  # type: ignore[attr-defined]


def test_the_reference_keeps_one_more_than_asked_and_everything_where_most_is_zero() -> None:
    values = np.arange(1, 1001, dtype=np.float32)
    top = largest(by_size([census_of(values)]), 20, "reference")
    assert top.kept <= 201 <= top.kept_high
    sparse = np.zeros(1000, np.float32)
    sparse[:100] = 1
    sizes = by_size([census_of(sparse)])
    assert largest(sizes, 20, "reference").kept == 1000
    assert largest(sizes, 20, "exact").kept == 100


@settings(max_examples=20, deadline=None)
@given(VALUES, VALUES)
def test_all_of_a_task_vector_has_its_norms(a: np.ndarray, b: np.ndarray) -> None:
    rows = [row(tensor(a), tensor(b)), row(tensor(b), tensor(a), name="v", layer=1)]
    found = differences(rows, "model", (100,)).rows[0]
    for top in found.top:
        assert top.l1 == pytest.approx(found.l1, rel=1e-12)
        assert top.l2 == pytest.approx(found.l2, rel=1e-12)
    for scope in ("global", "tensor"):
        curve = [point for point in norm_curve(rows).rows if point.scope == scope]
        assert [point.percent for point in curve[-1:]] == ([100] if found.l2 else [])
        assert all(one.l2 - one.l2_bound <= (other.l2 + other.l2_bound) * (1 + 1e-9) for one, other in pairwise(curve))
        assert all(point.l2_share == pytest.approx(1) for point in curve[-1:])
    assert len(change_map(rows)) == 2


@settings(max_examples=20, deadline=None)
@given(VALUES, VALUES)
def test_every_point_of_the_curve_holds_the_sorted_norm_within_its_bound(a: np.ndarray, b: np.ndarray) -> None:
    rows = [row(tensor(a), tensor(b)), row(tensor(b), tensor(a / 2), name="v", layer=1)]
    with np.errstate(over="ignore", invalid="ignore"):
        deltas = [b - a, (a / 2).astype(np.float32) - b]
    sizes = [np.sort(np.abs(one[np.isfinite(one)]).astype(np.float64))[::-1] for one in deltas]
    cut = {"global": [np.sort(np.concatenate(sizes))[::-1]], "tensor": sizes}
    for point in norm_curve(rows).rows:
        kept = [one[: int(one.size * (point.percent / 100))] for one in cut[point.scope]]
        assert point.kept == sum(np.count_nonzero(one) for one in kept)
        l1, l2 = sum(one.sum() for one in kept), math.sqrt(sum((one**2).sum() for one in kept))
        assert abs(point.l1 - l1) <= point.l1_bound + 1e-9 * l1
        assert abs(point.l2 - l2) <= point.l2_bound + 1e-9 * l2


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.uint16, st.integers(1, 60)), st.sampled_from(["BF16", "F16"]))
def test_the_resolution_is_that_of_the_spacing_between_neighbours(patterns: np.ndarray, dtype: str) -> None:
    exponent = {"BF16": 0x7F80, "F16": 0x7C00}[dtype]
    patterns = patterns[(patterns & exponent) != exponent]
    census = count_span(array_tensor(dtype, patterns), 0, patterns.size, WORKSPACE).census
    assert census is not None
    magnitude = (patterns & 0x7FFF).astype(np.uint16)
    start = magnitude & exponent  # the first value of the binade, and the one after it
    ulp = widen(dtype, (start | 1).astype(np.uint16)) - widen(dtype, start)
    found = resolution([census])
    assert found.l1 == pytest.approx(ulp.sum() / 4, rel=1e-12)
    assert found.l2 == pytest.approx(math.sqrt((ulp**2).sum() / 12), rel=1e-12)


def test_rows_of_different_types_say_why_they_have_no_resolution() -> None:
    values = np.linspace(-1, 1, 40, dtype=np.float32)
    found = differences([row(tensor(values), tensor(values, "BF16"))], "tensor").rows[0]
    assert found.resolution_l2 is None
    assert found.one_ulp is None
    assert found.why["one_ulp"] == found.why["times_resolution"] == "stored in different types"
    assert found.l2 > 0


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_a_model_that_was_only_rounded_differs_by_the_error_of_rounding_it_once(dtype: str) -> None:
    values = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    found = differences([row(tensor(values), tensor(values, dtype))]).rows[0]
    assert found.rounding_l1 == pytest.approx(found.l1, rel=1e-6)
    assert found.rounding_l2 == pytest.approx(found.l2, rel=1e-6)
    same = differences([row(tensor(values, dtype), tensor(values, dtype))]).rows[0]
    assert same.rounding_l2 is None
