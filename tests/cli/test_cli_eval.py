from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring_models import save_causal
from task_data import WORDY, write_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models and a task."""
    made = tmp_path_factory.mktemp("eval")
    save_causal(made / "one", context=256)
    save_causal(made / "two", seed=1, context=256)
    write_task(made)
    return made


def test_results_hold_the_names_that_the_design_promises_and_pairs_stand_beside_them(kaibo: Any, folder: Path) -> None:
    ran = kaibo("eval", str(folder / "one"), str(folder / "two"), "--task", str(folder / "task.toml"), "--json")
    assert ran.code == 0, ran.err
    document = ran.document
    assert document["command"] == "eval"
    for row in document["results"]:
        assert {"model", "task", "metric", "value", "stderr", "n"} <= set(row)
        assert (row["task"], row["n"]) == ("wordy", 15)
    assert {row["metric"] for row in document["results"]} == {"acc", "acc_norm"}
    assert {(Path(pair["a"]).name, Path(pair["b"]).name) for pair in document["pairs"]} == {("one", "two")}


def test_a_table_a_figure_and_both_languages(kaibo: Any, folder: Path, tmp_path: Path) -> None:
    asked = ["eval", str(folder / "one"), str(folder / "two"), "--task", str(folder / "task.toml"), "--limit", "4"]
    ran = kaibo(*asked, "--variants", "2", "--lang", "ja", "--figure", "f.svg", "--table", "t.csv")
    assert ran.code == 0, ran.err
    assert "当て推量" in ran.out
    assert "McNemar" not in ran.out
    assert (tmp_path / "f.svg").stat().st_size > 1000
    assert (tmp_path / "t.csv").read_text().count("\n") == 5


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("options =", "option ="), 2, "did you mean prompt.options?"),
        (('target = "target"', 'target = "label"'), 3, 'has no column "label"'),
        (('path = "rows.jsonl"', 'path = "nowhere.jsonl"'), 4, "no such file"),
    ],
)
def test_a_wrong_task_is_one_line(
    kaibo: Any, folder: Path, tmp_path: Path, change: tuple[str, str], code: int, said: str
) -> None:
    task = write_task(tmp_path, WORDY.replace(*change))
    ran = kaibo("eval", str(folder / "one"), "--task", str(task))
    assert (ran.code, len(ran.lines)) == (code, 1)
    assert said in ran.lines[0]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--task", "mmlu", "--lm-eval", "mmlu"],
        ["--task", "mmlu", "--variants", "0"],
        ["--task", "mmlu", "--batch", "0"],
        ["--task", "mmlu"],
        ["--lm-eval", "mmlu", "--variants", "2"],
    ],
)
def test_a_wrong_call_of_eval_is_a_usage_error(kaibo: Any, folder: Path, arguments: list[str]) -> None:
    ran = kaibo("eval", str(folder / "one"), *arguments)
    assert (ran.code, len(ran.lines)) == (2, 1), ran.err
