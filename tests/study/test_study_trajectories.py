"""The study of trajectories on what it may be given: published evaluations, and scores that were made up."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace as Made

import pytest

import kaibo
from kaibo.study import declared, run

PYTHIA = Path(__file__).resolve().parents[3] / "shared" / "reference" / "pythia_zero_shot"


@pytest.fixture(scope="module")
def tasks():
    declared("trajectories")
    return sys.modules["kaibo_study_trajectories.tasks"]


def scores(gain, null, low, high, lead):
    ends = (Made(parameters=1, step=9, low=5.0, high=6.0), Made(parameters=2, step=9, low=low, high=high))
    adds = Made(gain=gain, gain_null=null)
    accuracy = Made(benchmark="t.acc", size_adds=adds, crossings=(Made(lead_errors=lead),), points=ends)
    return Made(rows=(accuracy, Made(benchmark="t.ppl_wrong", size_adds=None, crossings=(), points=ends)))


def judged(tasks, *made):
    return {one.name: one.value for one in tasks.outcomes(scores(*made), "nursery")}


def test_each_claim_is_answered_only_where_the_intervals_allow_it(tasks):
    clear = judged(tasks, 0.2, 0.1, 3.0, 4.0, 2.5)
    assert clear == {"perplexity-decides": False, "wrong-options-fall": True, "small-at-small-flops": True}
    unclear = judged(tasks, 0.2, 0.3, 4.0, 5.5, 1.9)
    assert unclear == {"perplexity-decides": True, "wrong-options-fall": None, "small-at-small-flops": None}
    assert judged(tasks, 0.2, None, 6.5, 7.0, 0.0)["wrong-options-fall"] is False
    assert tasks.outcomes(None, "nursery") == []


def test_without_anything_given_the_page_says_what_to_give():
    ran = run(declared("trajectories"), kaibo.Inputs())
    assert [key for key, _ in ran.results.sentences] == ["nothing"]
    assert {one.verdict for one in ran.judgements} == {"not measured"}


@pytest.mark.skipif(not PYTHIA.is_dir(), reason="the published evaluations are not here")
def test_published_evaluations_answer_by_their_own_name_and_reproduce_nothing_of_opt():
    ran = run(declared("trajectories"), kaibo.Inputs(tables=(str(PYTHIA),), small=True))
    assert list(ran.results.findings) == ["published", "published-shapes", "published-crossings"]
    (row,) = [row for row in ran.results.findings["published"].rows if row.benchmark == "piqa.acc"]
    assert len(row.points) == 8 * 26
    assert all(point.low < point.value < point.high for point in row.points)
    by_id = {one.id: one for one in ran.judgements}
    for name in ("perplexity-decides", "small-at-small-flops"):
        assert (by_id[name].ours, by_id[name].scale, by_id[name].verdict[:14]) == (True, "Pythia", "direction seen")
