"""`--group`: labels of tuned models as they are typed."""

from __future__ import annotations

import pytest

from kaibo.chapters.diff.labelling import labelled
from kaibo.chapters.diff.seeds import Label
from kaibo.errors import UsageError

MODELS = ["./a", "hf:org/b@main"]


def test_labels_follow_the_order_of_the_models_or_name_them() -> None:
    expected = {"./a": Label("D0", "1"), "hf:org/b@main": Label("D1", "x y")}
    assert labelled(["dataset=D0,seed=1", "seed = x y,dataset=D1"], MODELS) == expected
    named = ["hf:org/b@main:dataset=D1,seed=x y", "./a:dataset=D0,seed=1"]
    assert labelled(named, MODELS) == expected
    assert labelled(["./a:dataset=D0,seed=1"], MODELS) == {"./a": Label("D0", "1")}
    assert labelled([], MODELS) == {}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["dataset=D0,seed=1"], "1 of --group for 2 tuned models"),
        (["dataset=D0,seed=1", "./a:dataset=D0,seed=1"], "some of --group name their model"),
        (["./c:dataset=D0,seed=1"], "./c is none of the tuned models"),
        (["./a:dataset=D0,seed=1"] * 2, "twice"),
        (["datset=D0,seed=1"] * 2, "did you mean dataset?"),
        (["dataset=D0"] * 2, "has no seed"),
        (["dataset=D0,dataset=D1,seed=1"] * 2, "stands twice"),
        (["dataset=,seed=1"] * 2, "has no value"),
        (["D0"] * 2, "is no label"),
        ([""] * 2, "is no label"),
    ],
)
def test_a_wrong_label_is_a_usage_error_that_says_what_is_wrong(texts: list[str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        labelled(texts, MODELS)
    assert said in raised.value.line
    assert raised.value.exit == 2
