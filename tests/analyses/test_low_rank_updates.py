from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from kaibo.chapters.diff.adapters import adapters, overlaps, storing
from kaibo.chapters.diff.subspaces import angle_cosines, frobenius_square, spaces
from kaibo.vocabulary.counts.rounding import LowRankRow, OverlapRow, Placed, Rounding, RoundingRow

sizes = st.integers(1, 12)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.integers(1, 6), st.floats(0.1, 10), st.integers(0, 2**32))
def test_factors_give_what_the_whole_product_gives(outputs: int, inputs: int, r: int, scale: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    outer, inner = random.normal(size=(outputs, r)), random.normal(size=(r, inputs))
    product = scale * outer @ inner
    found = spaces(outer, inner, scale)
    values = np.linalg.svd(product, compute_uv=False)
    assert found.rank == np.linalg.matrix_rank(product)
    np.testing.assert_allclose(found.spectrum, values[: found.rank], rtol=1e-9, atol=1e-12 * values[0])
    np.testing.assert_allclose(found.outputs @ (found.outputs.T @ product), product, atol=1e-10 * values[0])
    np.testing.assert_allclose((product @ found.inputs) @ found.inputs.T, product, atol=1e-10 * values[0])
    assert math.isclose(frobenius_square(outer, inner, scale), float((product**2).sum()), rel_tol=1e-9)


def test_a_rank_that_the_factors_promise_and_do_not_have_is_seen() -> None:
    outer = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]])
    assert spaces(outer, np.eye(2, 5), 1.0).rank == 1
    assert spaces(np.zeros((3, 2)), np.eye(2, 5), 1.0).rank == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 12), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32))
def test_principal_angles_are_scipys(n: int, one: int, other: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (spaces(random.normal(size=(n, r)), random.normal(size=(r, n)), 1.0).outputs for r in (one, other))
    expected = np.sort(np.cos(subspace_angles(a, b)))[::-1]
    np.testing.assert_allclose(angle_cosines(a, b), expected, atol=1e-9)


PLACE = Placed("base", "a", "w", 0, "mlp.up")


def row(cosines: tuple[float, ...], n: int = 100) -> OverlapRow:
    return OverlapRow(PLACE, Placed("base", "b", "w", 0, "mlp.up"), cosines, cosines, (n, n), (4, 4))


def test_an_update_overlaps_itself_wholly_and_random_ones_as_chance_says() -> None:
    assert overlaps([row((1.0,) * 4)]).rows[0].outputs == 1.0
    random, found = np.random.default_rng(0), []
    for _ in range(300):
        a, b = (spaces(random.normal(size=(64, 4)), random.normal(size=(4, 64)), 1.0).outputs for _ in range(2))
        found.append(row(angle_cosines(a, b), 64))
    mean = overlaps(found).rows[0]
    assert mean.outputs_by_chance == 4 / 64
    assert mean.outputs == pytest.approx(mean.outputs_by_chance, rel=0.05)


def test_levels_split_what_the_model_sums() -> None:
    places = [Placed("base", "a", f"w{layer}{role}", layer, role) for layer in (0, 1) for role in ("q", "v")]
    rows = [RoundingRow(place, Rounding("bf16", 10, 8, k, 1.0, 2.0, 0.5, 0.0, 0.0)) for k, place in enumerate(places)]
    whole = storing(rows).rows[0]
    assert (whole.n, whole.moved, whole.deleted, whole.relative_error) == (40, 32, 6 / 32, 0.5)
    assert [found.key for found in storing(rows, "layer").rows] == [0, 1]
    assert [found.deleted for found in storing(rows, "role").rows] == [2 / 16, 4 / 16]
    assert len(storing(rows, "tensor").rows) == 4


def test_a_norm_that_was_counted_otherwise_is_told() -> None:
    def rank_row(streamed: float) -> LowRankRow:
        return LowRankRow(PLACE, "LoRA", 4, 100, (1.0,), 1.0, streamed, True)

    assert adapters([rank_row(1.0 + 1e-7)]).notes == ()
    assert "not the one that was counted" in adapters([rank_row(1.001)]).notes[0]
