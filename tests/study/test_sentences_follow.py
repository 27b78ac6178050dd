"""Sentences of studies say what their numbers bear out, in worlds where it holds and in worlds where it does not."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.law.lawfit import FEWEST_FAMILIES, FitSettings
from kaibo.chapters.law.laws import LawSettings, fit_laws
from kaibo.chapters.law.splits import Split
from kaibo.study import declared
from kaibo.vocabulary.scores import ScoreTable


def part(study: str, name: str) -> Any:
    """A module of a study."""
    declared(study)
    return sys.modules[f"kaibo_study_{study}.{name}"]


def components(low: float, high: float) -> Any:
    """The first component of a table, as far as its interval."""
    return SimpleNamespace(explained_interval=((low, high),), explained_interval_models=((0.0, 1.0),))


@pytest.mark.parametrize(
    ("english", "japanese", "said"),
    [
        ((0.40, 0.98), (0.20, 0.83), "alike"),
        ((0.85, 0.98), (0.20, 0.83), "english_more"),
        ((0.20, 0.30), (0.40, 0.83), "japanese_more"),
        ((float("nan"), float("nan")), (0.40, 0.83), "alike"),
    ],
)
def test_one_language_repeats_itself_more_only_where_the_intervals_are_apart(
    english: tuple[float, float], japanese: tuple[float, float], said: str
) -> None:
    assert part("scaling", "study").apart(components(*english), components(*japanese)) == said


def ratios(p: float, least: float) -> list[Any]:
    return [SimpleNamespace(p=p, p_least=least)]


def tuned(seeds: int) -> list[Any]:
    return [
        kaibo.questions.FineTune("tuned", "base", "base", "sft", 1e-4, data, str(seed))
        for data in ("plain", "role-play")
        for seed in range(seeds)
    ]


def test_two_seeds_decide_nothing_about_data_and_five_say_how_far_p_can_fall() -> None:
    tested = part("task_vectors", "study").tested
    assert tested(ratios(0.5, 0.5), tuned(2)) == ("ratio_untested", {"seeds": 2, "least": 0.5})
    assert tested(ratios(0.01, 0.008), tuned(5)) == ("ratio_tested", {"p": 0.01, "least": 0.008, "cells": 1})


def held(benchmark: str, x: float, times: float | None, own: bool) -> Any:
    return SimpleNamespace(benchmark=benchmark, x=x, needed_times=times, own=own)


def test_where_the_smallest_of_the_others_was_enough_a_smaller_one_might_have_been() -> None:
    rows = [
        held("BoolQ", 7.0, 10.0, True),  # 70 of 70 and 200: the table has no smaller one to try
        held("BoolQ", 13.0, 200 / 13, True),
        held("BoolQ", 70.0, None, False),
        held("BoolQ", 200.0, None, False),
        held("PIQA", 7.0, None, True),
        held("PIQA", 70.0, None, False),
    ]
    found = SimpleNamespace(against={"common-parameters": rows})
    assert part("llama_family", "tables").by_the_smallest(found) == 1


def scores(families: int) -> ScoreTable:
    """Four models a family, a target that follows size with noise."""
    rng = np.random.default_rng(0)
    size = np.tile([1e9, 3e9, 1e10, 3e10], families)
    score = np.clip(0.1 * np.log(size) - 1.8 + 0.03 * rng.normal(size=len(size)), 0.01, 0.99)
    others = score[:, None] + 0.02 * rng.normal(size=(len(size), 3))
    return ScoreTable(
        name="made", models=tuple(f"m{place}" for place in range(len(size))), benchmarks=("target", "a", "b", "c"),
        values=np.column_stack([score, others]), units=("fraction",) * 4,
        facts={"parameters": size}, families=tuple(f"f{place // 4}" for place in range(len(size))),
    )  # fmt: skip


@pytest.mark.parametrize("families", [2, FEWEST_FAMILIES])
def test_laws_are_compared_with_an_interval_only_where_enough_families_were_tested(families: int) -> None:
    settings = LawSettings(("a", "b", "c"), 1, FitSettings(draws=50, starts=4), Split("family"))
    row = fit_laws(scores(families), "target", settings).row
    assert row.comparisons
    for one in row.comparisons:
        assert (one.low is None) == (one.share is None) == bool(one.why) == (families < FEWEST_FAMILIES)
    assert not any(one.train for one in row.residuals)  # each was predicted by the other families
