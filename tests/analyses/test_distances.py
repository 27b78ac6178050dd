"""Several models of one base: distances that are a metric, cosines of vectors, an order, and more than the seed."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kaibo.chapters.diff.distances import conflict, distances, order, pairs
from kaibo.chapters.diff.pair_rows import PairwiseRow
from kaibo.chapters.diff.seeds import Label, seeds
from kaibo.chapters.norms.consistency import consistent_norms
from kaibo.chapters.stats.statistics import norms_hold
from kaibo.counting import LaneWorkspace, Wanted, count_lane, count_pair, crossed_of
from kaibo.errors import UsageError
from kaibo.testing.arrays import array_tensor
from kaibo.testing.models import encode
from kaibo.vocabulary import CrossRow, PairRow, Row, SignRow

WORKSPACE = LaneWorkspace()
VALUES = hnp.arrays(np.float32, (4, 30), elements=st.floats(-8, 8, width=16))
ROW = {"by": "model", "key": None, "n": 9, "linf": 1.0, "cosine": 0.0, "sign_conflict": 0.0}


def rows(values: np.ndarray, dtype: str = "F32", counted: bool = True) -> tuple[list[CrossRow], list[SignRow]]:
    """The first row of `values` is the base's tensor, the others those of models made from it."""
    sides = [array_tensor(dtype, encode(dtype, line.astype(np.float32))) for line in values]
    couples = tuple(combinations(range(1, len(sides)), 2))
    wanted = Wanted(frozenset(), (), couples, tuple(range(1, len(sides))))
    part = count_lane(sides, 0, sides[0].size, wanted, WORKSPACE)
    found = []
    for a, b in couples:
        direct = count_pair(sides[a], sides[b], WORKSPACE)
        assert direct.base.census is not None
        delta = Row(f"m{b}", "", "w", 0, "mlp.up", "F32", sides[0].shape, f"{a}{b}", direct.difference)
        pair = PairRow(f"m{a}", "", delta, f"{a}", f"{b}", dtype, dtype, direct.base.census, direct.joint)
        crossed = crossed_of([part.crosses[a, b]])
        found.append(CrossRow("base", f"m{a}", f"m{b}", "w", 0, "mlp.up", crossed, pair if counted else None))
    assert part.signs is not None
    return found, [SignRow("base", tuple(f"m{side}" for side in range(1, len(sides))), "w", 0, "mlp.up", part.signs)]


@settings(max_examples=12, deadline=None)
@given(VALUES, st.sampled_from(["F32", "BF16", "F16"]))
def test_distances_obey_the_triangle_and_cosines_are_those_of_vectors(values: np.ndarray, dtype: str) -> None:
    found = pairs(rows(values, dtype)[0], "model", (20, 100)).rows
    for norm in ("l1", "l2", "linf"):
        ab, ac, bc = (getattr(row, norm) for row in found)
        assert ab <= (ac + bc) * (1 + 1e-6)
        assert ac <= (ab + bc) * (1 + 1e-6)
        assert bc <= (ab + ac) * (1 + 1e-6)
    cosines = np.eye(3)
    for row in found:
        a, b = int(row.a[1]) - 1, int(row.b[1]) - 1
        cosines[a, b] = cosines[b, a] = row.cosine
    if np.isfinite(cosines).all():
        assert np.linalg.eigvalsh(cosines).min() > -1e-9
    for row in found:
        assert norms_hold(row.l1, row.l2, row.linf or 0.0, row.n)
        for top in row.top[-4:]:
            assert (top.l1, top.l2) == (pytest.approx(row.l1, rel=1e-12), pytest.approx(row.l2, rel=1e-12))


@settings(max_examples=12, deadline=None)
@given(VALUES)
def test_without_censuses_the_norms_are_the_same_and_the_rest_says_why_not(values: np.ndarray) -> None:
    counted, summed = (pairs(rows(values, counted=counted)[0], "layer", (20,)).rows for counted in (True, False))
    for one, other in zip(counted, summed, strict=True):
        assert (other.l1, other.l2) == (pytest.approx(one.l1, rel=1e-12), pytest.approx(one.l2, rel=1e-12))
        assert (other.cosine, other.sign_conflict) == (pytest.approx(one.cosine, nan_ok=True), one.sign_conflict)
        assert (other.linf, other.mae, other.top, other.key) == (None, None, (), 0)
        assert other.why["mae"] == "more than ten pairs are not counted one by one"


@settings(max_examples=12, deadline=None)
@given(VALUES)
def test_a_position_is_in_conflict_where_both_signs_occur(values: np.ndarray) -> None:
    (row,) = conflict(rows(values)[1], "role").rows
    deltas = values[1:] - values[0]
    above, below = (deltas > 0).any(axis=0), (deltas < 0).any(axis=0)
    assert (row.n, row.moved_by_any, row.conflicting) == (30, (above | below).sum(), (above & below).sum())
    assert row.conflict == row.conflicting / 30
    assert (
        row.conflict_moved == row.conflicting / row.moved_by_any if row.moved_by_any else math.isnan(row.conflict_moved)
    )
    assert (row.tuned, row.key) == (3, "mlp.up")


def apart(matrix: np.ndarray) -> list[PairwiseRow]:
    return [
        PairwiseRow(
            **ROW, a=f"m{a}", b=f"m{b}", l1=matrix[a, b] * 2, l2=matrix[a, b],
            sign_conflict_moved=0.0, counts=(), mae=None, top=(),
        )
        for a, b in combinations(range(len(matrix)), 2)
    ]  # fmt: skip


def planted(labels: list[Label], effect: float, seed: int = 0, own: float = 0.0) -> np.ndarray:
    """Distances of points: noise of their own, `effect` times a direction of the data set, `own` times one a seed."""
    random = np.random.default_rng(seed)
    at: dict[str, np.ndarray] = {}
    points = [
        random.normal(size=40)
        + effect * at.setdefault("d" + label.dataset, random.normal(size=40))
        + own * at.setdefault("s" + label.seed, random.normal(size=40))
        for label in labels
    ]
    return np.array([[np.linalg.norm(one - other) for other in points] for one in points])


def crossed(datasets: int = 3, each: int = 3) -> list[Label]:
    return [Label(f"D{dataset}", str(seed)) for dataset in range(datasets) for seed in range(each)]


def test_the_order_puts_models_of_one_kind_together_and_knows_its_heights() -> None:
    labels = crossed()
    shuffled = [labels[place] for place in np.random.default_rng(1).permutation(len(labels))]
    matrix = planted(shuffled, 3.0)
    found = order(apart(matrix))
    kinds = [shuffled[int(row.model[1:])].dataset for row in found]
    assert len([place for place in range(1, 9) if kinds[place] != kinds[place - 1]]) == 2
    for row in found:
        mine = matrix[int(row.model[1:])].copy()
        mine[int(row.model[1:])] = np.inf
        assert row.nearest == f"m{mine.argmin()}"
        assert row.apart == mine.min()
    assert found.rows[0].joins is None
    assert {cell.a_place for cell in distances(apart(matrix), found.rows)} <= set(range(9))
    two = apart(np.array([[0, 2.0], [2.0, 0]]))
    assert [row.joins for row in order(two)] == [None, 2.0]


def labelled(labels: list[Label]) -> dict[str, Label]:
    return {f"m{place}": label for place, label in enumerate(labels)}


def test_a_planted_effect_of_data_is_found_and_its_ratio_is_that_of_numpy() -> None:
    labels = crossed()
    matrix = planted(labels, 2.0)
    _, row = seeds(apart(matrix), labelled(labels)).rows
    same, differ = (
        [
            matrix[a, b]
            for a, b in combinations(range(9), 2)
            if labels[a].seed != labels[b].seed and (labels[a].dataset == labels[b].dataset) == kind
        ]
        for kind in (True, False)
    )
    assert row.ratio == pytest.approx(np.mean(differ) / np.mean(same))
    assert (row.within_pairs, row.between_pairs) == (9, 18)
    assert row.ratio_low is not None
    assert row.ratio_high is not None
    assert 1 < row.ratio_low < row.ratio < row.ratio_high
    assert (row.p, row.relabellings, row.exact) == (6 / 216, 216, True)  # itself and its renamings
    assert seeds(apart(matrix), labelled(labels)).rows[1] == row


@pytest.mark.parametrize("own", [0.0, 3.0])
def test_the_null_holds_its_level_whatever_a_seed_does(own: float) -> None:
    labels = crossed()
    p = [seeds(apart(planted(labels, 0.0, seed, own)), labelled(labels)).rows[1].p or 0.0 for seed in range(80)]
    assert np.mean(np.array(p) <= 0.06) < 0.06 + 3 * math.sqrt(0.06 * 0.94 / 80)
    assert 0.3 < np.mean(p) < 0.75


@pytest.mark.parametrize(("seeds_of_each", "least"), [(3, 0.25), (4, 0.125), (5, 0.0625)])
def test_the_smallest_p_that_so_few_seeds_can_give_is_said(seeds_of_each: int, least: float) -> None:
    labels = crossed(2, seeds_of_each)
    row = seeds(apart(planted(labels, 50.0)), labelled(labels)).rows[1]
    assert row.p == row.p_least == least


def test_too_few_models_are_said_to_be_too_few() -> None:
    alone = [Label("D0", "1"), Label("D1", "1")]
    row = seeds(apart(planted(alone, 1.0)), labelled(alone)).rows[0]
    assert (row.ratio, row.p, row.why["ratio"]) == (None, None, "no two models of one data set have different seeds")
    four = crossed(2, 2)
    row = seeds(apart(planted(four, 1.0)), labelled(four)).rows[0]
    assert row.ratio is not None
    assert (row.ratio_low, row.why["ratio_low"]) == (None, "a bootstrap needs two data sets of three models")
    assert (row.relabellings, row.exact) == (4, True)
    one = [Label("D0", "1"), Label("D0", "2"), Label("D0", "3")]
    row = seeds(apart(planted(one, 0.0)), labelled(one)).rows[0]
    assert row.why["ratio"] == "no two data sets with different seeds"
    assert not seeds(apart(planted(one, 0.0)), {})


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e3, 1e3)))
def test_norms_of_a_vector_are_possible_and_more_than_the_greatest_l1_is_not(values: np.ndarray) -> None:
    norms = float(np.abs(values).sum()), math.sqrt(float((values**2).sum())), float(np.abs(values).max())
    if norms[1] > 1e-100:
        slack = 1 + 1e-9
        assert consistent_norms(values.size, norms[0], norms[1], norms[2]).holds
        found = consistent_norms(values.size, math.sqrt(values.size) * norms[1] * slack, norms[1])
        assert found.why == {"l1": "L1 is more than √n·L2"}


@pytest.mark.parametrize(("l1", "l2"), [(283154.5, 2.7612), (277361.125, 2.2003)])
def test_the_published_rows_are_recognised_as_impossible(l1: float, l2: float) -> None:
    found = consistent_norms(8_030_261_248, l1, l2)
    assert not found.holds
    assert found.l1_most == pytest.approx(89_612 * l2, rel=1e-5)
    assert found.needed == pytest.approx((l1 / l2) ** 2, rel=1e-9)
    for wrong in ((0, l1, l2), (5, -1.0, l2), (5, l1, math.nan)):
        with pytest.raises(UsageError):
            consistent_norms(*wrong)
