"""Differences: formed exactly, counted once, resumed, whatever the layout, the order or the number of workers."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kaibo.collect import Options
from kaibo.collect.differences import Compared, take_difference
from kaibo.counting import (
    LaneWorkspace,
    Wanted,
    Workspace,
    count_lane,
    count_pair,
    count_span,
    crossed_of,
    identical_joint,
    joint_of,
    no_difference,
)
from kaibo.models import open_model
from kaibo.models.derived.difference import difference, difference_of, scaled
from kaibo.models.pairing import Pair, pair_models
from kaibo.store import Store
from kaibo.testing import tiny_model
from kaibo.testing.arrays import array_tensor
from kaibo.testing.models import encode
from kaibo.vocabulary import DTYPES, Signs, sums, total, widen

FLOATS = [name for name, dtype in DTYPES.items() if dtype.measurable]
WORKSPACE, PAIRS = Workspace(), LaneWorkspace()


def compared(base: Path, tuned: Path, store: Path, **options: object) -> Compared:
    models = open_model(base), open_model(tuned)
    return take_difference(*models, pair_models(*models), Store(store), Options(**options))  # type: ignore[arg-type]


def values(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for tensor in open_model(folder).tensors:
        chunks = [chunk.copy() for chunk in tensor.chunks(np.empty(1 << 16, np.uint8))]
        found[tensor.canonical] = widen(tensor.dtype.name, np.concatenate(chunks))
    return found


def anything(dtype: str, random: np.random.Generator) -> np.ndarray:
    if dtype == "F64":
        return random.normal(size=999).view("<u8")
    return random.integers(0, 2 ** DTYPES[dtype].bits, 999).astype(DTYPES[dtype].patterns)


@pytest.mark.parametrize(("before", "after"), itertools.product(["BF16", "F16", "F32", "F64", "F8_E4M3"], repeat=2))
def test_the_pass_gives_what_numpy_gives(before: str, after: str) -> None:
    random = np.random.default_rng(0)
    base, tuned = (array_tensor(name, anything(name, random)) for name in (before, after))
    tuned.patterns[:300] = base.patterns[:300] if before == after else tuned.patterns[:300]
    part = count_pair(base, tuned, PAIRS)
    b, t = widen(before, base.patterns), widen(after, tuned.patterns)
    good = np.isfinite(b) & np.isfinite(t)
    joint = part.joint
    assert (joint.n, joint.finite, joint.changed) == (999, good.sum(), (b[good] != t[good]).sum())
    assert joint.same_sign == (np.sign(b[good]) * np.sign(t[good]) > 0).sum()
    assert joint.flipped == (np.sign(b[good]) * np.sign(t[good]) < 0).sum()
    assert (joint.one_ulp is None) == (before != after)
    b, t = b[good], t[good]
    for found, expected in ((joint.base_square, b * b), (joint.tuned_square, t * t), (joint.dot, b * t)):
        assert found == pytest.approx(expected.sum(), rel=1e-12, abs=1e-12 * np.abs(expected).sum())
    derived = count_span(difference_of(Pair(base, tuned)), 0, 999, WORKSPACE)
    assert derived.census == part.difference
    assert part.base.census == count_span(base, 0, 999, WORKSPACE).census
    assert part.base.digests == count_span(base, 0, 999, WORKSPACE).digests


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_step_to_the_next_value_is_one_unit_in_the_last_place(dtype: str) -> None:
    kind = DTYPES[dtype].patterns
    half = 1 << (DTYPES[dtype].bits - 1)
    base = np.array([5, half + 5, 7, 9, 0, 1], dtype=kind)
    tuned = np.array([6, half + 4, 7, 11, 1, half + 1], dtype=kind)
    part = count_pair(array_tensor(dtype, base), array_tensor(dtype, tuned), PAIRS)
    assert part.joint.one_ulp == 3
    assert part.joint.changed == 5


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint16, st.integers(0, 60)), st.sampled_from(["BF16", "F16"]))
def test_a_tensor_differs_from_itself_nowhere(patterns: np.ndarray, dtype: str) -> None:
    tensor = array_tensor(dtype, patterns)
    part = count_pair(tensor, tensor, PAIRS)
    census = part.base.census
    assert census is not None
    assert part.difference == no_difference(census)
    joint = identical_joint(census)
    assert (joint.changed, joint.one_ulp, joint.flipped) == (0, 0, 0)
    for name in ("n", "finite", "same_sign", "changed", "flipped", "one_ulp"):
        assert getattr(joint, name) == getattr(part.joint, name)
    assert joint.dot == pytest.approx(part.joint.dot, rel=1e-12)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_neither_spans_nor_company_change_a_bit(dtype: str) -> None:
    random = np.random.default_rng(1)
    size = (1 << 22) + 77
    values = random.normal(size=size).astype("<f4")
    sides = [array_tensor(dtype, encode(dtype, values + np.float32(0.1 * place))) for place in range(3)]
    whole = count_pair(sides[0], sides[1], PAIRS)
    wanted = Wanted(frozenset({0, 1, 2}), ((0, 1), (0, 2), (1, 2)), ((1, 2),), (1, 2))
    cuts = [(0, 1 << 20), (1 << 20, 3 << 20), (3 << 20, size)]
    parts = [count_lane(sides, *cut, wanted, PAIRS) for cut in cuts]
    censuses = [total(part.sides[side].census for part in parts) for side in (0, 1)]  # type: ignore[misc]
    assert total(part.pairs[0, 1][0] for part in parts) == whole.difference
    assert joint_of([part.pairs[0, 1][1] for part in parts], (censuses[0], censuses[1])) == whole.joint
    one = count_lane(sides, 0, size, wanted, PAIRS)
    assert crossed_of([one.crosses[1, 2]]) == crossed_of([part.crosses[1, 2] for part in parts])
    assert one.signs == sum((part.signs for part in parts if part.signs is not None), Signs())


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_differences_of_models_equal_float64_numpy(dtype: str, tmp_path: Path) -> None:
    base, tuned = (tiny_model(tmp_path / name, seed=seed, dtype=dtype) for seed, name in enumerate("ab"))
    taken = compared(base, tuned, tmp_path / "s")
    b, t = values(base), values(tuned)
    assert len(taken.rows) == len(b) == taken.measured
    for row in taken.rows:
        name = row.difference.tensor
        delta = (t[name].astype(np.float32) - b[name].astype(np.float32)).astype(np.float64)
        assert row.difference.census is not None
        found = sums([row.difference.census])
        assert found.absolute == pytest.approx(np.abs(delta).sum(), rel=1e-12)
        assert found.square == pytest.approx((delta**2).sum(), rel=1e-12)
        assert row.joint.dot == pytest.approx(b[name] @ t[name], rel=1e-12, abs=1e-15)


def test_a_second_run_reads_nothing_and_says_the_same(tmp_path: Path) -> None:
    base, tuned = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b", seed=1, shards=3)
    first = compared(base, tuned, tmp_path / "s", workers=2)
    again = compared(base, tuned, tmp_path / "s")
    assert (first.measured, first.known) == (21, 0)
    assert (again.measured, again.known, again.bytes) == (0, 21, 0)
    assert again.rows == first.rows == compared(base, tuned, tmp_path / "t", workers=3).rows
    assert first.base.measured == first.tuned.measured == 0
    verified = compared(base, tuned, tmp_path / "s", verify=True)
    assert (verified.measured, verified.rows) == (21, first.rows)


def test_equal_weights_in_other_shards_are_found_without_a_second_read(tmp_path: Path) -> None:
    base, copy = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b", shards=4)
    first = compared(base, copy, tmp_path / "s")
    assert all(row.identical for row in first.rows)
    assert first.base.model_id == first.tuned.model_id
    again = compared(copy, base, tmp_path / "s")
    assert (again.measured, again.known) == (0, 21)
    assert [row.joint for row in again.rows] == [row.joint for row in first.rows]


def test_a_tensor_that_cannot_be_read_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    base, tuned = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b", seed=1, shards=3)
    models = open_model(base), open_model(tuned)
    shard = sorted(tuned.glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-1])
    taken = take_difference(*models, pair_models(*models), Store(tmp_path / "s"))
    assert 0 < len(taken.rows) < 21
    assert all("changed while reading" in failure.message for failure in taken.failures)


def test_a_difference_is_just_another_model(tmp_path: Path) -> None:
    base, tuned = (open_model(tiny_model(tmp_path / name, seed=seed)) for seed, name in enumerate("ab"))
    there, back = difference(tuned, base), difference(base, tuned)
    assert [tensor.canonical for tensor in there.tensors] == [tensor.canonical for tensor in base.tensors]
    for one, other, turned in zip(there.tensors, back.tensors, scaled(there, -1).tensors, strict=True):
        censuses = [count_span(tensor, 0, tensor.size, WORKSPACE).census for tensor in (one, other, turned)]
        found = [sums([census]) for census in censuses if census is not None]
        assert found[0].signed == -found[1].signed == -found[2].signed
        assert found[0].square == found[1].square == found[2].square
