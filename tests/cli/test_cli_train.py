"""`kaibo train`, `kaibo runs` and the plan: the names of the design, one document, exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
from recipe_models import write_base, write_styles

pytest.importorskip("trl")

NAMES = {"run", "out", "kind", "base", "seed", "data", "steps", "loss_first", "loss_last", "seconds"}
RECIPE = """
name = "{data}"
kind = "sft"
base = "base"
probe.run = false
[training]
steps = 1
max_length = 64
[sets.plain]
files = "plain.jsonl"
[sets.polite]
files = "polite.jsonl"
[matrix]
data = ["plain", "polite"]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    write_base(tmp_path / "base")
    write_styles(tmp_path, 2)
    (tmp_path / "styles.toml").write_text(RECIPE)
    return "styles.toml"


def test_a_matrix_is_trained_once_listed_and_asked_in_sql(kaibo: Any, recipe: str, tmp_path: Path) -> None:
    ran = kaibo("train", recipe, "--out", "made", "--json")
    assert ran.code == 0, ran.err
    rows = ran.document["results"]
    assert [row["run"] for row in rows] == ["plain", "polite"]
    for row in rows:
        assert set(row) >= NAMES
        assert (row["how"], row["steps"]) == ("trained", 1)
        assert json.loads((tmp_path / "made" / row["run"] / "run.json").read_text())["fingerprint"]
    again = kaibo("train", recipe, "--out", "made", "--json").document["results"]
    assert [(row["how"], row["seconds"]) for row in again] == [("known", row["seconds"]) for row in rows]
    listed = kaibo("runs", "--json").document["results"]
    assert [(row["run"], row["there"]) for row in listed] == [("plain", True), ("polite", True)]
    asked = kaibo("sql", "SELECT run, loss_last FROM runs ORDER BY run", "--json").document["results"]
    assert [row["loss_last"] for row in asked] == [row["loss_last"] for row in rows]
    assert kaibo("runs", "made", "--json", "--store", "elsewhere").document["results"] == listed


def test_a_run_that_fails_does_not_stop_the_others(kaibo: Any, recipe: str, tmp_path: Path) -> None:
    (tmp_path / "plain.jsonl").write_text("{}\n")
    ran = kaibo("train", recipe, "--json")
    assert ran.code == 3
    assert [row["run"] for row in ran.document["results"]] == ["polite"]
    assert "line 1" in ran.lines[0]


def test_a_plan_prints_parts_and_loads_nothing(kaibo: Any, recipe: str, tmp_path: Path) -> None:
    rows = kaibo("train", recipe, "--plan", "--json").document["results"]
    assert [row["run"] for row in rows] == ["plain", "polite"]
    assert all(row["fits"] and row["total"] > row["weights"] > 0 for row in rows)
    refused = kaibo("train", recipe, "--plan", "--memory", "1MB", "--json")
    assert refused.code == 2
    assert len(refused.document["errors"]) == 2
    assert refused.document["results"][0]["fits"] is False
    assert not (tmp_path / "kaibo-runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "training.stepz=1"], "did you mean training.steps?"),
        (["--set", "training"], "is no NAME=VALUE"),
        (["--data", "plane=x"], "did you mean plain?"),
        (["--plan", "--memory", "much"], "is no size"),
        (["--set", "training.batch=0"], "at least 1"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(kaibo: Any, recipe: str, arguments: list[str], said: str) -> None:
    ran = kaibo("train", recipe, *arguments, "--json")
    assert ran.code == 2, ran.err
    assert said in ran.lines[0]
    assert ran.document["results"] == []
