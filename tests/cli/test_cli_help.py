"""The help of every command: whole sentences in panels, and an example that runs."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from examples import write_examples
from kaibo.cli import main_loop
from kaibo.cli.application import PANELS

EXAMPLES = {name: example for members in PANELS.values() for name, _, example in members}
TRAINS = ("train", "nursery", "probe", "pass-at-k")
"""Commands whose example makes models, or wants one that answers or samples of its code: minutes, not seconds."""


def test_every_command_stands_in_one_panel_with_a_whole_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_loop(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [title for title in PANELS if f"{title}:" in shown] == list(PANELS)
    assert "..." not in shown.split("Take apart:")[1]
    assert len(EXAMPLES) == sum(len(members) for members in PANELS.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_of_a_command_shows_its_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_loop([name, "--help"]) == 0
    shown = "".join(capsys.readouterr().out.split())  # lines are cut at blanks and hyphens
    assert "".join(f"Example: kaibo {EXAMPLES[name]}".split()) in shown


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models and texts that the examples name."""
    pytest.importorskip("transformers", reason="the extra torch is not installed")
    folder = tmp_path_factory.mktemp("examples")
    write_examples(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in TRAINS])
def test_the_example_of_a_command_runs(
    name: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(models, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("KAIBO_STORE", raising=False)
    assert main_loop(["census", "my-model"]) == 0  # what the store is asked for is there
    assert main_loop(shlex.split(EXAMPLES[name])) == 0, capfd.readouterr().err
