"""Every outcome of the trajectories study in worlds where it must hold and where it must not; rates: docs/howto."""

from __future__ import annotations

import sys
from collections import Counter
from types import SimpleNamespace as Made

import numpy as np
import pytest

import score_worlds
import trend_worlds as worlds
from kaibo.chapters.trajectories.along_training import trajectories
from kaibo.chapters.trends.whole import TrendOptions, trends
from kaibo.study import declared

ASKED = TrendOptions(starts=(0.02, 0.3), passages=0)


@pytest.fixture(scope="module", autouse=True)
def parts():
    declared("trajectories")
    return {name: sys.modules[f"kaibo_study_trajectories.{name}"] for name in ("tokens", "tasks", "finals")}


def said(name, runs):
    """What an outcome says of runs."""
    tokens = sys.modules["kaibo_study_trajectories.tokens"]
    found = {one.name: one for one in tokens.of_trends(trends(runs, ASKED), "simulated")}
    assert found[name].value is not None or found[name].why
    return found[name].value


def one_run(nats, steps=worlds.STEPS):
    return [worlds.run_of(nats, steps)]


def scored(name, table):
    tasks = sys.modules["kaibo_study_trajectories.tasks"]
    found = {one.name: one for one in tasks.outcomes(trajectories(table, ["task.acc"]), "simulated")}
    assert found[name].value is not None or found[name].why
    return found[name].value


def world(make, *more, **how):
    return lambda seed: make(seed, *more, **how)


TRENDS = {
    ("moving-falls", True): {"tokens settle half-way": lambda seed: one_run(worlds.flattening(seed))},
    ("moving-falls", False): {
        "constant slopes": lambda seed: one_run(worlds.constant_slopes(seed, noise=0.05)),
        "constant slopes, noise of 0.5": lambda seed: one_run(worlds.constant_slopes(seed, noise=0.05, rho=0.5)),
        "constant slopes, noise doubles": lambda seed: one_run(worlds.constant_slopes(seed, noise=0.03, later=2.0)),
        "constant slopes, even steps": lambda seed: one_run(worlds.constant_slopes(seed, worlds.LINEAR, noise=0.03),
                                                            worlds.LINEAR),
        "learned late": lambda seed: one_run(worlds.rousing(seed)),
    },
    ("finished-grows", True): {"tokens settle half-way": lambda seed: one_run(worlds.flattening(seed))},
    ("finished-grows", False): {
        "constant slopes": lambda seed: one_run(worlds.constant_slopes(seed, noise=0.03)),
        "constant slopes, noise halves": lambda seed: one_run(worlds.constant_slopes(seed, noise=0.05, later=0.5)),
        "constant slopes, even steps": lambda seed: one_run(worlds.constant_slopes(seed, worlds.LINEAR, noise=0.03),
                                                            worlds.LINEAR),
    },
    ("larger-faster", True): {"the larger rests from half-way": world(worlds.larger_faster)},
    ("larger-faster", False): {"alike, the larger quieter": world(worlds.larger_faster, holds=False)},
    ("none-finished", True): {
        "half of the tokens fall": lambda seed: one_run(worlds.finishing(seed, worlds.in_blocks(seed, 0.5), 1.0))
    },
    ("none-finished", False): {
        "all rest": lambda seed: one_run(worlds.finishing(seed, np.zeros(1500), 0.0, noise=0.01)),
        "all rest, noise of 0.5": lambda seed: one_run(worlds.constant_slopes(seed, noise=0.0) * 0 + 5
                                 + 0.1 * worlds.noise_of(np.random.default_rng(seed), len(worlds.STEPS), 2000, 0.5)),
    },
    ("contained", True): {"nested sets": world(worlds.nested_sets)},
    ("contained", False): {
        "sets apart, the larger larger": world(worlds.nested_sets, "apart"),
        "one and the same set": world(worlds.nested_sets, "same"),
    },
    ("double-descent", True): {"rises and falls again": world(worlds.forgotten)},
    ("double-descent", False): {
        "flat, rare tokens six times as noisy": world(worlds.forgotten, falls_again=False),
        "the same, noise of 0.5": world(worlds.forgotten, falls_again=False, rho=0.5),
        "flat, all alike": world(worlds.forgotten, falls_again=False, times=1.0),
    },
}  # fmt: skip
SCORES = {
    ("perplexity-decides", True): {"no effect, 15,000 questions": world(score_worlds.given_perplexity, noise=0.003)},
    ("perplexity-decides", False): {
        "1 point a decade": world(score_worlds.given_perplexity, points=1.0, noise=0.004),
        "2 points a decade": world(score_worlds.given_perplexity, points=2.0, noise=0.004),
        "helps late, hurts early": world(score_worlds.given_perplexity, points=4.0, noise=0.004, turning=True),
        "no effect, 1,500 questions: cannot be told": world(score_worlds.given_perplexity),
    },
    ("small-at-small-flops", True): {"the smaller leads first": world(score_worlds.by_flops, lead=0.15)},
    ("small-at-small-flops", False): {
        "no size leads": world(score_worlds.by_flops),
        "no size leads, runs off as a whole": world(score_worlds.by_flops, shared=1.0),
        "the larger leads first": world(score_worlds.by_flops, lead=-0.1),
    },
}
EVERY = [
    pytest.param(name, holds, make, said if name_in is TRENDS else scored, id=f"{name}: {what}")
    for name_in in (TRENDS, SCORES)
    for (name, holds), several in name_in.items()
    for what, make in several.items()
]


@pytest.mark.parametrize(("name", "holds", "make", "ask"), EVERY)
def test_an_outcome_holds_where_it_must_and_never_where_it_must_not(name, holds, make, ask):
    answers = [ask(name, make(seed)) for seed in (1, 2)]
    if holds:
        assert True in answers
        assert False not in answers
    else:
        assert True not in answers


@pytest.mark.slow
def test_how_often_every_outcome_says_what(capsys):
    """The rates of docs/howto/trends.md: shares of 40 simulated worlds in which an outcome holds, fails, is open."""
    for case in EVERY:
        name, holds, make, ask = case.values
        counts = Counter(str(ask(name, make(seed))) for seed in range(40))
        with capsys.disabled():
            print(f"{case.id:75} holds {counts['True'] / 40:.2f} fails {counts['False'] / 40:.2f}", flush=True)
        assert counts["True"] >= 30 if holds else counts["True"] <= 5


def test_every_outcome_about_trends_and_scores_has_a_world_of_each_kind(parts):
    simulated = {name for name, _ in (*TRENDS, *SCORES)}
    for name in simulated:
        assert {holds for one, holds in (*TRENDS, *SCORES) if one == name} == {True, False}
    statements = {claim.of for claim in declared("trajectories").claims if claim.reported is True}
    assert statements - simulated == {"noise-falls", "wrong-options-fall"}  # below: two means with their intervals


def corrupted(seed, large_ppl, tokens=4000):
    """Rows of two sizes on random words: mean nats of so many tokens with their intervals."""
    random = np.random.default_rng(seed)
    rows = []
    for model, ppl in (("small", 10_000.0), ("large", large_ppl)):
        nats = np.log(ppl) + 2.0 * random.normal(size=tokens)
        reach = 1.96 * nats.std() / np.sqrt(tokens)
        ends = np.exp([nats.mean(), nats.mean() - reach, nats.mean() + reach])
        rows.append(Made(model=model, share=1.0, ppl=ends[0], ppl_low=ends[1], ppl_high=ends[2]))
    return Made(rows=tuple(rows))


@pytest.mark.parametrize(("large", "answers"), [(6500, {True}), (15_000, {False}), (10_000, {None})])
def test_noise_falls_only_where_the_intervals_part(parts, large, answers):
    sizes = {"small": 1, "large": 2}
    found = [parts["tokens"].of_noise(corrupted(seed, large), sizes, "simulated")[0].value for seed in range(20)]
    assert set(found) - {None} == answers - {None}
    assert sum(one in answers for one in found) >= 18
    options = [
        Made(rows=tuple(Made(model=row.model, metric="ppl_wrong", value=row.ppl, value_low=row.ppl_low,
                             value_high=row.ppl_high) for row in corrupted(seed, large).rows))
        for seed in range(20)
    ]  # fmt: skip
    known = parts["finals"].Given(sizes=sizes, families={"small": "opt", "large": "opt"})
    found = [parts["finals"].wrong_options(one, known)[0].value for one in options]
    assert sum(one in answers for one in found) >= 18
