from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.chapters.eval.accuracy import evaluation
from kaibo.chapters.eval.overlap import f1, rouge1, rouge_l, segments
from kaibo.chapters.eval.pairs import paired
from kaibo.uncertainty.exact import sign_test
from kaibo.uncertainty.intervals import wilson
from kaibo.vocabulary.evaluations import Answered, Sitting


def sitting(right: list[bool], groups: list[int] | None = None, model: str = "m", **more: object) -> Sitting:
    """Questions with four options, answered as told."""
    answers = tuple(
        Answered(
            k,
            str(groups[k] if groups else k),
            nats=(1.0, 2.0, 3.0, 4.0) if hit else (2.0, 1.0, 3.0, 4.0),
            tokens=(1, 2, 3, 4),
            options=("aa", "a", "bbb", "cccc"),
            right=0,
        )
        for k, hit in enumerate(right)
    )
    form = {"metrics": ("acc",), "chance": 0.25, "shots": 0, "variant": "0", **more}
    return Sitting(model, "id", "t", "en", answers=answers, grouped=groups is not None, **form)  # type: ignore[arg-type]


@given(st.lists(st.booleans(), min_size=2, max_size=40))
@settings(deadline=None)
def test_without_clusters_the_error_is_the_samples_standard_deviation_over_root_n(right: list[bool]) -> None:
    (row,) = evaluation([sitting(right)]).rows
    assert row.value == pytest.approx(np.mean(right))
    assert row.stderr == pytest.approx(np.std(right, ddof=1) / math.sqrt(len(right)), abs=1e-12)
    assert row.value_low is not None
    assert row.value_low <= row.value <= row.value_high  # type: ignore[operator]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=8, max_size=40))
@settings(deadline=None, max_examples=40)
def test_with_clusters_the_error_is_that_of_a_regression_with_clustered_errors(given: list[tuple[bool, int]]) -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    right, groups = [hit for hit, _ in given], [group for _, group in given]
    count, n = len(set(groups)), len(right)
    if count < 2:
        return
    (row,) = evaluation([sitting(right, groups)]).rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = statsmodels.OLS(np.array(right, float), np.ones(n)).fit(
            cov_type="cluster", cov_kwds={"groups": np.unique(groups, return_inverse=True)[1]}
        )
    assert row.stderr == pytest.approx(float(fit.bse[0]), abs=1e-9)


@given(st.integers(0, 60), st.integers(1, 60))
@settings(deadline=None)
def test_wilsons_interval_and_the_exact_tests_are_those_of_scipy(hits: int, more: int) -> None:
    from scipy.stats import binomtest

    n = hits + more
    low, high = wilson(hits / n, n)
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert sign_test(hits, more) == pytest.approx(binomtest(hits, n).pvalue, abs=1e-12)
    (row,) = evaluation([sitting([True] * hits + [False] * more)]).rows
    assert row.p == pytest.approx(binomtest(hits, n, 0.25, alternative="greater").pvalue, abs=1e-12)


def test_the_interval_covers_about_as_often_as_it_says_also_with_clusters() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        level = random.beta(6, 4, 40)
        right = (random.random((40, 5)) < level[:, None]).reshape(-1)
        (row,) = evaluation([sitting(right.tolist(), [k // 5 for k in range(200)])]).rows
        hits += row.value_low <= 0.6 <= row.value_high  # type: ignore[operator]
    assert 0.90 <= hits / 200 <= 0.99


def test_length_normalised_accuracy_divides_by_characters_and_takes_the_first_of_equals() -> None:
    one = Answered(0, "0", nats=(2.0, 1.0, 9.0), tokens=(1, 1, 1), options=("aaaa", "a", "b"), right=0)
    same = Answered(1, "1", nats=(1.0, 1.0), tokens=(1, 1), options=("a", "a"), right=1)
    both = Sitting("m", "id", "t", "en", "0", 0, ("acc", "acc_norm", "acc_bytes"), None, (one, same))
    assert [row.value for row in evaluation([both])] == [0.0, 0.5, 0.5]
    assert evaluation([both]).rows[0].chance == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_option_perplexities_add_nats_and_divide_once() -> None:
    rows = {row.metric: row.value for row in evaluation([sitting([True, False], metrics=("ppl_right", "ppl_wrong"))])}
    assert rows["ppl_right"] == pytest.approx(math.exp((1 + 2) / 2))
    assert rows["ppl_wrong"] == pytest.approx(math.exp((2 + 3 + 4 + 1 + 3 + 4) / 18))


def test_two_models_are_compared_on_the_questions_that_both_answered() -> None:
    a = sitting([True] * 30 + [False] * 10, model="a")
    b = sitting([True] * 20 + [False] * 20, model="b")
    (pair,) = paired([a, b]).rows
    assert (pair.difference, pair.only_a, pair.only_b, pair.n) == (0.25, 10, 0, 40)
    assert pair.mcnemar_p == pytest.approx(2 / 2**10)
    assert pair.q == pair.mcnemar_p
    assert pair.difference_low is not None
    assert 0 < pair.difference_low < 0.25 < pair.difference_high  # type: ignore[operator]
    assert paired([a, b]) == paired([a, b])


def test_under_no_difference_mcnemar_keeps_its_level() -> None:
    random = np.random.default_rng(1)
    called = sum(sign_test(only := int(random.binomial(30, 0.5)), 30 - only) < 0.05 for _ in range(500))
    assert called / 500 <= 0.06


@given(st.text(max_size=20), st.text(max_size=20))
def test_agreement_is_symmetric_between_nothing_and_one(one: str, other: str) -> None:
    for measure in (f1, rouge1, rouge_l):
        for language in ("ja", "en"):
            value = measure(one, [other], language)
            assert 0.0 <= value <= 1.0
            assert value == pytest.approx(measure(other, [one], language))
    assert "".join(segments(one, "ja")) == "".join(segments(one, "ja")).strip()


def test_japanese_is_segmented_by_script() -> None:
    assert segments("東京都の人口は1400万人", "ja") == ["東京都", "の", "人口", "は", "1400", "万人"]
    assert f1("東京", ["東京都", "大阪"], "ja") == pytest.approx(0.8)
