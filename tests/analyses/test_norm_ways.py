"""One difference, normed in different ways: each way is what numpy in that type gives, only the right one is right."""

from __future__ import annotations

import math
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import kaibo
from kaibo.chapters.norms.consistency import step_of_square, step_of_sum
from kaibo.chapters.norms.kernels import running
from kaibo.chapters.norms.ways import BY_TENSOR, FORMS, MEAN, RIGHT, Ways, norm_ways, one_stored, stored
from kaibo.errors import UsageError
from kaibo.testing import tiny_model

KINDS = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
SIZES = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 2.0**100, width=32))
SMALL = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 2.0**-10, width=32))


def in_type(values: np.ndarray, form: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(KINDS[form])


@pytest.mark.parametrize("form", FORMS)
@given(values=SIZES | SMALL)
def test_values_are_stored_as_numpy_stores_them(form: str, values: np.ndarray) -> None:
    expected = in_type(values, form).astype(np.float32)
    assert stored(values, form).tolist() == expected.tolist()
    assert [one_stored(float(value), form) for value in values] == expected.tolist()


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40)
@given(values=SMALL)
def test_a_running_sum_rounds_after_every_addition(form: str, values: np.ndarray) -> None:
    narrow = in_type(values, form)
    total = narrow.dtype.type(0)
    for value in narrow:
        total = total + value
    assert running(stored(values, form), 0.0, *FORMS[form]) == float(total)


def ways_of(tensors: list[np.ndarray], chunk: int = 1000) -> Ways:
    ways = Ways()
    for tensor in tensors:
        for begin in range(0, tensor.size, chunk):
            ways.add(tensor[begin : begin + chunk])
        ways.end_tensor()
    return ways


def gaussian(sigma: float, sizes: tuple[int, ...] = (3000, 500, 1500)) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [(sigma * random.standard_normal(size)).astype(np.float32) for size in sizes]


def test_each_way_is_what_a_script_in_numpy_gives() -> None:
    tensors = gaussian(1e-4)
    found = {row.way: row for row in norm_ways([("x", ways_of(tensors))]).rows}
    whole = np.concatenate(tensors).astype(np.float64)
    assert found[RIGHT].l1 == pytest.approx(np.abs(whole).sum(), rel=1e-12)
    assert found[RIGHT].l2 == pytest.approx(np.linalg.norm(whole), rel=1e-12)
    assert found[MEAN].l2 == pytest.approx(np.mean([np.linalg.norm(one.astype(np.float64)) for one in tensors]))
    halves = [np.abs(one).astype(np.float16) for one in tensors]
    squares = sum(float(np.float16((half * half).sum(dtype=np.float64))) for half in halves)
    row = found[BY_TENSOR["float16"]]
    assert row.l2 == math.sqrt(squares)
    assert row.l1 == sum(float(np.float16(half.sum(dtype=np.float64))) for half in halves)
    assert row.l2_error == pytest.approx(row.l2 / found[RIGHT].l2 - 1)


def test_chunks_change_no_way_of_counting() -> None:
    tensors = gaussian(1e-4)
    several, one = list(ways_of(tensors, 7).norms()), list(ways_of(tensors, 5000).norms())
    for (how, *norms), (same, *expected) in zip(several, one, strict=True):
        assert how == same
        assert norms == pytest.approx(expected, rel=1e-14)


def test_small_changes_break_the_bound_in_float16_and_a_mean_breaks_it_always() -> None:
    held: dict[tuple[float, str], bool | None] = {}
    for sigma in (1e-3, 5e-5):
        for row in norm_ways([("x", ways_of(gaussian(sigma)))]).rows:
            held[sigma, row.way] = row.holds
    half = BY_TENSOR["float16"]
    assert (held[1e-3, half], held[5e-5, half]) == (True, False)
    assert {held[sigma, RIGHT] for sigma in (1e-3, 5e-5)} == {True}
    assert {held[sigma, MEAN] for sigma in (1e-3, 5e-5)} == {False}


def test_squares_that_all_vanish_and_sums_out_of_range_are_no_numbers_and_say_why() -> None:
    for sigma, said in ((1e-6, "L2 is zero: every square vanished"), (1e3, "a sum left the range of the type")):
        (row,) = (row for row in norm_ways([("x", ways_of(gaussian(sigma)))]).rows if row.way == BY_TENSOR["float16"])
        assert row.holds is None
        assert row.why["holds"] == said
        assert math.isnan(row.times)


@given(hnp.arrays(np.float16, st.integers(1, 16), elements=st.floats(0, 1, width=16)))
def test_the_root_of_a_sum_of_halves_shows_its_step(values: np.ndarray) -> None:
    total = float(values.astype(np.float64).sum())
    if total:
        step = step_of_square(math.sqrt(total))
        assert step is not None
        assert step.size >= 2.0**-24
        assert total % step.size == 0
        assert step.chance < 1e-6


def test_numbers_of_full_precision_show_no_step() -> None:
    random = np.random.default_rng(0).uniform(0.5, 100, 2000)
    assert [value for value in random if step_of_square(float(value)) is not None] == []
    assert [value for value in random if step_of_sum(float(value)) is not None] == []
    assert step_of_sum(1073358.0) is not None
    assert step_of_square(0.0) is step_of_square(math.inf) is step_of_sum(0.0) is None


def test_the_norms_of_two_models_are_those_of_their_difference(tmp_path: Path) -> None:
    base, tuned = tiny_model(tmp_path / "a", dtype="F32"), tiny_model(tmp_path / "b", seed=1, dtype="F32")
    row = kaibo.questions.norm_ways({"b - a": (base, tuned)}).rows[0]
    known = kaibo.diff(base, tuned, settings=kaibo.Settings(store=tmp_path / "store")).norms.rows[0]
    assert (row.n, row.way) == (known.n, RIGHT)
    assert (row.l1, row.l2) == pytest.approx((known.l1, known.l2), rel=1e-12)
    assert row.tensors == known.tensors


def test_a_change_made_larger_keeps_the_right_quotient_and_a_reported_row_stands_at_its_size(tmp_path: Path) -> None:
    pair = {"x": (tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b", seed=1))}
    reported = kaibo.norms([(10, 2.0, 1.0)], ["theirs"])
    found = kaibo.questions.norm_sizes(pair, (0.25, 1.0, 4.0), reported=reported)
    right = [row for row in found.rows if row.way == RIGHT]
    assert [row.factor for row in right] == [0.25, 1.0, 4.0]
    assert {round(row.times, 12) for row in right} == {round(right[0].times, 12)}
    assert right[2].mean_absolute == pytest.approx(16 * right[0].mean_absolute)
    assert (found.rows[-1].pair, found.rows[-1].factor, found.rows[-1].mean_absolute) == ("theirs", None, 0.2)


def test_what_is_not_finite_is_left_out_of_every_way(tmp_path: Path) -> None:
    from kaibo.testing.models import encode, write_safetensors

    folders = []
    for name, values in (("a", [0.0, 0.0, 0.0]), ("b", [3.0, 4.0, math.inf])):
        (tmp_path / name).mkdir()
        content = {"model.layers.0.mlp.up_proj.weight": ("F32", (1, 3), encode("F32", np.array(values, np.float32)))}
        write_safetensors(tmp_path / name / "model.safetensors", content)
        folders.append(tmp_path / name)
    row = kaibo.questions.norm_ways({"x": (folders[0], folders[1])}).rows[0]
    assert (row.n, row.l1, row.l2) == (2, 7.0, 5.0)


def test_norms_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="is no norm"):
        kaibo.norms([(5, 1.0, math.nan)])
