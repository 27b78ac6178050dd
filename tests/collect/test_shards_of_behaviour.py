"""Texts, questions, samples and programs dealt out to shards, brought together: the bytes of one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from dealt import Ask, dealt, merged, timeless
from kaibo.errors import PolicyError
from kaibo.sandbox import chosen
from scoring_models import TEXT, save_causal
from task_data import WORDY, write_task

WRITTEN = WORDY.replace('options = "options"\ntarget = "target"', 'target = "question"') + (
    '[metric]\nnames = ["exact_match"]\n[generate]\nstop = ["."]\nmax_tokens = 3\n'
)
PROBLEM = {"entry_point": "f", "prompt": "def f(x):\n", "test": "def check(f):\n    assert f(1) == 2\n"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, texts, a task whose options are scored and one whose answers are written, problems and samples."""
    made = tmp_path_factory.mktemp("made")
    for seed, name in enumerate(("one", "two")):
        save_causal(made / name, seed=seed, context=256)
    for number in range(4):
        (made / f"text-{number}.txt").write_text(TEXT * (number + 1) + str(number), encoding="utf-8")
    (made / "written").mkdir()
    write_task(made)
    write_task(made / "written", WRITTEN)
    problems = [{**PROBLEM, "task_id": f"T/{at}", "prompt": f"# {at}\n{PROBLEM['prompt']}"} for at in range(3)]
    (made / "problems.jsonl").write_text("".join(json.dumps(one) + "\n" for one in problems))
    samples = [{"task_id": f"T/{at % 3}", "completion": f"    return x + {at}\n"} for at in range(9)]
    (made / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in samples))
    return made


def same_as_serial(ask: Ask, asked: list[str], tmp_path: Path, shards: tuple[int, ...]) -> None:
    """Shards brought together have the answer of one process, and in the end its store."""
    ask(*asked, "--store", tmp_path / "serial")
    serial = timeless(ask(*asked, "--store", tmp_path / "serial"))
    whole = merged(tmp_path / "whole", tmp_path / "serial")
    for n in shards:
        store = dealt(ask, asked, n, tmp_path, seed=n)
        assert timeless(ask(*asked, "--store", store)) == serial
        assert merged(tmp_path / f"whole-{n}", store) == whole


def texts(folder: Path) -> list[str]:
    return [word for number in range(4) for word in ("--text", str(folder / f"text-{number}.txt"))]


def test_texts_are_scored_in_parts(ask: Ask, folder: Path, tmp_path: Path) -> None:
    asked = ["score", str(folder / "one"), str(folder / "two"), *texts(folder), "--window", "32", "--batch", "64"]
    same_as_serial(ask, [*asked, "--each"], tmp_path, (3,))


def test_a_shard_of_texts_scores_its_batches_and_no_other(ask: Ask, folder: Path, tmp_path: Path) -> None:
    asked = ["score", str(folder / "one"), *texts(folder), "--window", "32", "--batch", "64"]
    told = [ask(*asked, "--shard", f"{at}/3", "--store", tmp_path / str(at))["results"][0] for at in range(3)]
    assert sum(one["measured"] for one in told) == told[0]["units"] > 6
    assert all(0 < one["measured"] == one["taken"] for one in told)
    (again,) = ask(*asked, "--shard", "1/3", "--store", tmp_path / "1")["results"]
    assert (again["measured"], again["known"]) == (0, told[1]["taken"])


@pytest.mark.parametrize("task", ["task.toml", "written/task.toml"])
def test_questions_are_asked_in_parts(ask: Ask, folder: Path, tmp_path: Path, task: str) -> None:
    asked = ["eval", str(folder / "one"), str(folder / "two"), "--task", str(folder / task), "--batch", "64"]
    same_as_serial(ask, asked, tmp_path, (2,))


@pytest.fixture
def walls() -> None:
    """A sandbox stands here."""
    try:
        chosen()
    except PolicyError as error:
        pytest.skip(error.message)


@pytest.mark.usefixtures("walls")
def test_programs_are_judged_in_parts(ask: Ask, folder: Path, tmp_path: Path) -> None:
    asked = ["pass-at-k", str(folder / "samples.jsonl"), "--problems", str(folder / "problems.jsonl")]
    ask(*asked, "--store", tmp_path / "serial")
    store = dealt(ask, asked, 2, tmp_path)
    assert ask(*asked, "--store", store) == ask(*asked, "--store", tmp_path / "serial")


@pytest.mark.slow
@pytest.mark.usefixtures("walls")
def test_programs_are_written_in_parts(ask: Ask, folder: Path, tmp_path: Path) -> None:
    asked = ["eval", str(folder / "one"), "--code", str(folder / "problems.jsonl"), "--samples", "4"]
    asked += ["--temperature", "1", "--max-tokens", "4"]
    ask(*asked, "--store", tmp_path / "serial")
    store = dealt(ask, asked, 3, tmp_path)
    assert ask(*asked, "--store", store) == ask(*asked, "--store", tmp_path / "serial")


@pytest.mark.slow
def test_any_number_of_shards_gives_the_same_bytes(ask: Ask, folder: Path, tmp_path: Path) -> None:
    asked = ["score", str(folder / "one"), *texts(folder), "--window", "32", "--batch", "64"]
    same_as_serial(ask, asked, tmp_path / "score", (1, 2, 5, 7))
    asked = ["eval", str(folder / "one"), "--task", str(folder / "task.toml"), "--batch", "64"]
    same_as_serial(ask, asked, tmp_path / "eval", (1, 3, 7))
