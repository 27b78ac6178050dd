from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kaibo
from kaibo.cli import main_loop
from kaibo.desk.checkpoints import checkpoints
from kaibo.errors import PolicyError, StoppedError
from kaibo.recipes.making import Workshop
from kaibo.recipes.nurseries.nursery import nursery
from kaibo.recipes.settings.presets import PRESETS
from kaibo.scoring.exams.exams import ExamSettings
from kaibo.scoring.planning import ScoreSettings
from kaibo.store import Store
from task_data import write_task

SHORT = """
[task]
name = "short"
[data]
path = "rows.jsonl"
[prompt]
template = "{{ question }}"
options = "options"
target = "target"
[[prompt.variants]]
template = "Q: {{ question }}"
"""


class Silent:
    def begin(self, run: str, steps: int) -> None:
        pass

    def step(self, step: int, tokens: int, loss: float) -> None:
        pass


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nursery as `kaibo nursery` makes it, of the family alone: two runs of five checkpoints."""
    folder = tmp_path_factory.mktemp("nursery") / "n"
    preset = replace(PRESETS["micro"], variants=(), continuation=None, children=None)
    assert len(list(nursery(preset, Workshop(folder, str, Silent())))) == 2
    return folder


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_task(tmp_path, SHORT)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("The quick brown fox jumps over the lazy dog. " * 20, encoding="utf-8")
    return path


def logged(store: Path) -> Any:
    return Store(store).sql("select * from token_log order by log, item, branch, position")


@pytest.mark.parametrize("within", ["", "family-large"])
def test_a_nursery_or_one_of_its_runs_stands_for_the_members_that_its_manifest_lists(grown: Path, within: str) -> None:
    members = json.loads((grown / "nursery.json").read_text())["members"]
    wanted = [one for one in members if one["path"].startswith(within)]
    found = checkpoints(grown / within)
    assert [os.path.relpath(one.address, grown) for one in found] == [one["path"] for one in wanted]
    assert [(one.name, one.step) for one in found] == [(one["name"], one["step"]) for one in wanted]
    assert len(found) == (5 if within else 10)


def test_a_manifest_that_points_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    said = {"version": 1, "members": [{"name": "run/step-1", "path": "../elsewhere", "step": 1}]}
    (tmp_path / "nursery.json").write_text(json.dumps(said))
    with pytest.raises(PolicyError, match="lies outside"):
        checkpoints(tmp_path)


def test_a_nursery_is_scored_by_one_command_and_evaluated_by_one(
    grown: Path, task: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store")
    assert main_loop(["score", str(grown), "--text", str(text), "--json", "--store", store]) == 0
    scored = json.loads(capsys.readouterr().out)["results"]
    assert main_loop(["eval", str(grown), "--task", str(task), "--json", "--store", store]) == 0
    answered = json.loads(capsys.readouterr().out)["results"]
    steps = [(one.address, one.step) for one in checkpoints(grown)]
    assert [(row["model"], row["step"]) for row in scored] == steps
    assert [(row["model"], row["step"]) for row in answered if row["metric"] == "acc"] == steps
    last = [row["nats"] for row in scored if row["step"] == max(step or 0 for _, step in steps)]
    assert max(last) < min(row["nats"] for row in scored if row["step"] == 1)


class Interrupt:
    """Sends a signal as soon as something of the so-many-th checkpoint is done."""

    def __init__(self, number: int, after: int) -> None:
        self.number, self.left, self.counted = number, after, False

    def begin(self, label: str, total: int, unit: str = "bytes") -> None:
        self.counted = unit in ("tokens", "questions")
        self.left -= self.counted

    def advance(self, done: int) -> None:
        if self.counted and self.left == 0:
            self.left = -1
            os.kill(os.getpid(), self.number)


def _scored(grown: Path, tmp_path: Path, settings: kaibo.Settings) -> Any:
    return kaibo.score(grown, tmp_path / "text.txt", how=ScoreSettings(batch=128), settings=settings).records()


def _evaluated(grown: Path, tmp_path: Path, settings: kaibo.Settings) -> Any:
    options = kaibo.options.EvalOptions(variants=2, how=ExamSettings(batch=16))
    return kaibo.evaluate(grown, tmp_path / "task.toml", options=options, settings=settings).scores.records()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [_scored, _evaluated])
def test_what_was_stopped_in_the_middle_of_a_nursery_goes_on_and_ends_with_the_same_bytes(
    grown: Path, task: Path, text: Path, tmp_path: Path, number: int, command: Callable[..., Any]
) -> None:
    def kept(name: str, **more: Any) -> kaibo.Settings:
        return kaibo.Settings(store=tmp_path / name, **more)

    whole = command(grown, tmp_path, kept("whole"))
    with pytest.raises(StoppedError) as stopped:
        command(grown, tmp_path, kept("parts", progress=Interrupt(number, 4)))
    assert stopped.value.exit == 128 + number
    assert 0 < logged(tmp_path / "parts").num_rows < logged(tmp_path / "whole").num_rows
    assert command(grown, tmp_path, kept("parts")) == whole
    assert logged(tmp_path / "parts").equals(logged(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
@pytest.mark.parametrize("verb", ["score", "eval"])
def test_a_command_stopped_by_a_signal_says_so_and_the_next_one_prints_the_same(
    grown: Path, task: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    verb: str, number: int, code: int,
) -> None:  # fmt: skip
    asked = ["--text", str(text)] if verb == "score" else ["--task", str(task), "--variants", "2"]
    command = [verb, str(grown), *asked, "--batch", "64", "--json", "--store"]
    assert main_loop([*command, str(tmp_path / "whole")]) == 0
    whole = capsys.readouterr().out
    started = subprocess.Popen(
        [sys.executable, "-m", "kaibo", *command, str(tmp_path / "parts")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(list((tmp_path / "parts").glob("parts/token_log-*.parquet"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)  # until the first is kept and the second under way
    started.send_signal(number)
    said = started.communicate(timeout=120)[1]
    assert started.returncode == code
    assert "Traceback" not in said
    assert code < 0 or "go on" in said
    before = logged(tmp_path / "parts").num_rows
    assert 0 < before < logged(tmp_path / "whole").num_rows
    assert main_loop([*command, str(tmp_path / "parts")]) == 0
    assert capsys.readouterr().out == whole
    assert logged(tmp_path / "parts").equals(logged(tmp_path / "whole"))
