"""Tasks along runs of one's own: a table like any other, thinned, and nothing measured twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.trajectories.ask_tasks import TrajectoryOptions, along_runs
from kaibo.cli import main_loop

STORY = "".join(f"On day {day} the {what} {does}. " for day, what, does in zip(
    range(40), ["fox", "dog", "cat", "bird"] * 10, ["jumps far", "sleeps a lot", "eats fish", "sings well", "runs"] * 8,
    strict=True,
))  # fmt: skip
STEPS = (10, 20, 40, 80)
QUESTIONS = """
[task]
name = "next"
[data]
format = "cloze"
options = 3
items = 12
before = 40
[prompt]
template = "{{ before }}"
options = "options"
target = "target"
joiner = ""
[metric]
names = ["acc", "ppl_right", "ppl_wrong"]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of four checkpoints, a text, and a task made of it."""
    from safetensors.numpy import load_file, save_file

    from scoring_models import save_causal

    folder = tmp_path_factory.mktemp("along")
    for seed, name in enumerate(("a", "b", "c")):
        first = save_causal(folder / f".{name}", seed=seed, context=128)
        weights = load_file(first / "model.safetensors")
        for step in STEPS:
            here = folder / name / f"step-{step}"
            here.mkdir(parents=True)
            for file in first.glob("*.json"):
                (here / file.name).write_bytes(file.read_bytes())
            scaled = {key: value * np.float32(step / 80) for key, value in weights.items()}
            save_file(scaled, here / "model.safetensors", metadata={"format": "pt"})
    (folder / "story.txt").write_text(STORY, encoding="utf-8")
    (folder / "next.toml").write_text(QUESTIONS, encoding="utf-8")
    return folder


def asked(place: Path, most: int | None = None) -> Any:
    return kaibo.options.TrajectoryOptions(
        kaibo.options.EvalOptions(data=place / "story.txt"), most=most, batch_tokens=[64]
    )


def table(place: Path, most: int | None = None) -> Any:
    runs = [place / name for name in "abc"]
    how = kaibo.Settings(store=place / "store")
    return along_runs(runs, place / "next.toml", place / "story.txt", options=asked(place, most), settings=how)


def test_scores_are_those_of_eval_and_score_and_flops_are_six_times_size_and_tokens(place: Path) -> None:
    found = table(place)
    assert found.models == tuple(f"{run}@{step}" for run in "abc" for step in STEPS)
    assert found.benchmarks == ("next.acc", "next.ppl_right", "next.ppl_wrong", "text.ppl")
    how = kaibo.Settings(store=place / "other")
    last = place / "b" / "step-80"
    scores = kaibo.evaluate(
        last, place / "next.toml", options=kaibo.options.EvalOptions(data=place / "story.txt"), settings=how
    )
    own = found.values[found.models.index("b@80")]
    assert [row.value for row in scores.scores.rows] == pytest.approx(own[:3].tolist(), rel=1e-5)
    (text,) = kaibo.score(last, place / "story.txt", settings=how).rows
    assert own[3] == pytest.approx(text.ppl, rel=1e-5)
    assert found.flops[0] == 6 * found.fact("parameters")[0] * 64 * 10


def test_a_run_is_thinned_evenly_and_keeps_its_end(place: Path) -> None:
    assert table(place, most=2).models == ("a@10", "a@80", "b@10", "b@80", "c@10", "c@80")
    assert [name.partition("@")[2] for name in table(place, most=3).models[:3]] == ["10", "40", "80"]
    with pytest.raises(kaibo.KaiboError, match="no trajectory"):
        TrajectoryOptions(most=1)


def test_what_is_known_is_not_measured_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = table(place)
    monkeypatch.setattr("kaibo.chapters.eval.ask.loaded_model", lambda *_: pytest.fail("a model was loaded"))
    monkeypatch.setattr("kaibo.collect.scorer.Scorer._loaded", lambda *_: pytest.fail("a model was loaded"))
    np.testing.assert_array_equal(table(place).values, first.values)


def test_the_command_says_what_it_says_of_tables(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["trajectories", *(str(place / name) for name in "abc"), "--task", str(place / "next.toml")]
    more = ["--data", str(place / "story.txt"), "--store", str(place / "store"), "--batch-tokens", "64", "--json"]
    assert main_loop([*given, "--text", str(place / "story.txt"), *more]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["benchmark"] for row in document["results"]] == [
        "next.acc",
        "next.ppl_right",
        "next.ppl_wrong",
        "text.ppl",
    ]
    assert {point["model"] for point in document["results"][0]["points"]} == {"a", "b", "c"}
    assert main_loop([*given, *more]) == 2
    assert "--text" in capsys.readouterr().out
