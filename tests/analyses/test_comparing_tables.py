"""Scores against size, two rows apart, pass@k over k, printed shares: laws, and the same by another hand."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

import kaibo
from kaibo.chapters.published.against import against
from kaibo.chapters.published.paired import TestSize as Size
from kaibo.chapters.published.paired import paired
from kaibo.chapters.published.pass_curves import pass_curves
from kaibo.errors import UsageError
from kaibo.vocabulary.scores import ScoreTable

CELLS = st.one_of(st.just(math.nan), st.floats(0, 100))


@st.composite
def score_tables(draw: st.DrawFn) -> ScoreTable:
    """A few models of known or unknown size on two benchmarks, with holes."""
    count = draw(st.integers(2, 6))
    names = tuple(f"{draw(st.sampled_from('AB'))} {place}" for place in range(count))
    values = np.array([[draw(CELLS), draw(CELLS)] for _ in range(count)])
    sizes = np.array([draw(st.sampled_from([math.nan, 1e9, 2e9, 7e9])) for _ in range(count)])
    families = tuple(name[0] for name in names)
    return ScoreTable("t", names, ("x", "y"), values, ("percent", "percent"), families, {"parameters": sizes})


@given(score_tables())
@settings(max_examples=80, deadline=None)
def test_who_leads_and_how_much_more_the_others_needed_is_what_a_search_of_all_pairs_finds(table: ScoreTable) -> None:
    own = table.models[0][0] + "*"
    found = against(table, own=own)
    known = ~np.isnan(table.values) & ~np.isnan(table.fact("parameters"))[:, None]
    assert len(found) == known.sum()
    for row in found:
        others = [one for one in found if one.benchmark == row.benchmark]
        assert row.leads == (not any(one.x <= row.x and one.value > row.value for one in others))
        rivals = [one.x for one in others if fnmatchcase(one.model, own) != row.own and one.value >= row.value]
        assert row.needed_times == (min(rivals) / row.x if rivals else None)
        assert ("needed_times" in row.why) == (row.needed_times is None)


@given(score_tables())
@settings(max_examples=60, deadline=None)
def test_a_pair_turned_round_is_the_same_difference_with_the_other_sign(table: ScoreTable) -> None:
    sizes = {"x": Size(100), "y": Size(50, share=False)}
    here = paired(table, [(table.models[0], table.models[1])], sizes)
    there = paired(table, [(table.models[1], table.models[0])], sizes)
    for row, turned in zip(here.rows, there.rows, strict=True):
        assert row.difference == -turned.difference
        assert (row.p, row.q) == (turned.p, turned.q)
        if row.difference_low is not None and turned.difference_high is not None:
            assert row.difference_low == -turned.difference_high
        assert (row.questions is None) == (row.benchmark == "y")


@given(st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_an_interval_is_that_of_two_independent_shares_and_p_that_of_its_z(one: int, other: int) -> None:
    values = np.array([[100 * one / 400], [100 * other / 400]])
    table = ScoreTable("t", ("a", "b"), ("x",), values, ("percent",), ("a", "b"))
    (row,) = paired(table, [("a", "b")], {"x": Size(400)}).rows
    low, high = confint_proportions_2indep(one, 400, other, 400, compare="diff", method="wald")
    if max(-low, high) > 1:  # no difference of shares lies there
        low, high = confint_proportions_2indep(one, 400, other, 400, compare="diff", method="newcomb")
        assert (row.difference_low, row.difference_high) == pytest.approx((100 * low, 100 * high), abs=1e-9)
        return
    assert (row.difference_low, row.difference_high) == pytest.approx((100 * low, 100 * high), abs=1e-9)
    assert row.p is not None
    if high > low:
        z = 2 * stats.norm.ppf(0.975) * (one - other) / 400 / (high - low)
        assert row.p == pytest.approx(2 * stats.norm.sf(abs(z)), abs=1e-12)


def test_the_sum_over_benchmarks_is_a_t_interval_and_a_toss_for_each() -> None:
    pairs = [(f"Llama 2 {new}", f"Llama 1 {old}") for new, old in (("7B", "7B"), ("34B", "33B"))]
    found = kaibo.questions.paired("open-models", pairs)
    assert all(row.questions is None and row.why for row in found.rows)
    for (one, other), summed in zip(pairs, found.sums, strict=True):
        values = kaibo.score_table("open-models")
        rows = values.values[values.place(one)] - values.values[values.place(other)]
        interval = stats.ttest_1samp(rows, 0).confidence_interval()
        assert (summed.low, summed.high) == pytest.approx((interval.low, interval.high))
        assert summed.higher == (rows > 0).sum()
        assert summed.sign_p == pytest.approx(stats.binomtest(int((rows > 0).sum()), 8).pvalue)


def test_pass_at_k_has_wilsons_interval_and_what_alike_problems_would_give() -> None:
    found = kaibo.questions.pass_curves("code-generation")
    seen = {(row.model, row.benchmark, row.k): row for row in found}
    row = seen["Code Llama - Python 7B", "HE", 10]
    low, high = proportion_confint(0.703 * 164, 164, method="wilson")
    assert (row.value, row.low, row.high) == pytest.approx((0.703, low, high))
    draws = np.random.default_rng(0).random((200_000, 10)) < 0.384
    assert row.alike == pytest.approx(draws.any(axis=1).mean(), abs=0.005)
    assert row.value < (row.alike or 0.0)  # some problems stay unsolved: not all are alike
    assert ("GPT-4", "HE", 10) not in seen
    assert len(found) == 23 * 6 - 35
    with pytest.raises(UsageError, match="BENCHMARK@K"):
        pass_curves(kaibo.score_table("open-models"), {})


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8))
def test_a_share_printed_with_two_decimals_lies_between_its_bounds_before_it_was_rounded(parts: list[int]) -> None:
    whole = sum(parts) or 1
    values = np.array([[round(100 * part / whole, 2)] for part in parts])
    names = tuple(map(str, range(len(parts))))
    table = ScoreTable("t", names, ("share",), values, ("percent",), names)
    from kaibo.chapters.published.shares import shares

    for row in shares(table, "share", float(whole), step=0.01):
        part = parts[int(row.label)]
        assert row.share_low - 1e-12 <= part / whole <= row.share_high + 1e-12
        assert row.amount_low - 1e-6 <= part <= row.amount_high + 1e-6


def test_japanese_is_the_eleventh_and_its_tokens_are_two_billion_within_rounding() -> None:
    found = kaibo.questions.shares("llama2-languages", "share", 2e12, marked="ja")
    (japanese,) = [row for row in found if row.marked]
    assert (japanese.label, japanese.place) == ("ja", 11)
    assert (japanese.amount_low, japanese.amount, japanese.amount_high) == pytest.approx((1.9e9, 2.0e9, 2.1e9))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: kaibo.questions.against("open-models", "age"), "one of parameters, tokens, flops"),
        (lambda: kaibo.questions.against("open-models", own="GPT*"), "it has MPT 7B"),
        (lambda: kaibo.questions.paired("open-models", [("Llama 2 7B", "Llama 3 7B")]), "it has Llama"),
        (lambda: kaibo.questions.shares("open-models", "MMLUU", 1.0), "MMLU"),
    ],
)
def test_names_that_are_not_there_are_answered_with_those_that_are(asked, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError) as caught:
        asked()
    assert said in str(caught.value.next)
