"""The models, texts, tasks, recipes and samples that the examples of the commands name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from kaibo.testing import tiny_model

TASK = """
[task]
name = "mine"
[data]
path = "rows.jsonl"
map = { group = "text" }
[prompt]
template = "{{ question }}"
options = ["fox", "dog"]
target = "label"
[few_shot]
n = 1
"""
RECIPE = 'name = "mine"\nkind = "sft"\nbase = "my-llm"\ndata = "answers.jsonl"\n[training]\nmax_length = 64\n'
PROBLEM = {
    "task_id": "T/0",
    "prompt": "def f(x):\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(1) == 2\n",
    "canonical_solution": "    return x + 1\n",
}


def write_examples(folder: Path) -> None:
    """All of them, tiny; needs transformers."""
    from scoring_models import save_causal

    for place, name in enumerate(("my-model", "other-model", "third-model")):
        tiny_model(folder / name, seed=place)
    for step in (100, 200, 300, 400):
        tiny_model(folder / "my-run" / f"step{step}", seed=step, layers=1)
        save_causal(folder / "my-llm-run" / f"step{step}", seed=step)
    save_causal(folder / "my-llm")
    save_causal(folder / "other-llm", seed=1)
    write_task(folder)


def write_task(folder: Path) -> None:
    """A text, a task and its rows."""
    from scoring_models import TEXT

    (folder / "text.txt").write_text(TEXT * 30, encoding="utf-8")
    rows = [f'{{"text": "passage {k // 2}", "question": "{k}?", "label": {k % 2}}}' for k in range(8)]
    (folder / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "my-task.toml").write_text(TASK, encoding="utf-8")


def write_further(folder: Path) -> None:
    """What the examples name that make models or run code."""
    (folder / "my-recipe.toml").write_text(RECIPE, encoding="utf-8")
    answers = [{"messages": [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "2"}]}] * 4
    (folder / "answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers), encoding="utf-8")
    (folder / "HumanEval.jsonl.gz").write_bytes(gzip.compress(json.dumps(PROBLEM).encode()))
    sample = {"task_id": "T/0", "completion": PROBLEM["canonical_solution"]}
    (folder / "samples.jsonl").write_text(json.dumps(sample) + "\n", encoding="utf-8")
