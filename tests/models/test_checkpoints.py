"""Checkpoints: the step that a name says, and what counts as one in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.errors import MissingError, UsageError
from kaibo.models.runs.checkpoints import checkpoints_of, step_of
from kaibo.testing import tiny_model
from measured import linear


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("step1000", 1000), ("step-7", 7), ("step_0", 0), ("checkpoint-500", 500), ("global_step_12", 12),
        ("stage2-step300", 300), ("step1-checkpoint-20", 20), ("STEP5", 5), ("step0000143000", 143000),
        ("epoch=3-step=1000", 1000), ("iter_0000100", 100), ("ep1-ba20", 20), ("ckpt-7", 7), ("iteration-12", 12),
        ("demo-1.1B-intermediate-step-50k-105b", 50_000), ("step_1M", 1_000_000), ("step1.5k", 1500),
        ("checkpoint-epoch_00000001-step_00000020", 20), ("step50kb", 50), ("500.step", 500), ("writer100", None),
        ("stage1-step102500-tokens1025B", 102_500), ("checkpoint-3-iter-9", 3),
        ("main", None), ("final", None), ("v2", None), ("step", None), ("step--4", None), ("epoch3", None),
    ],
)  # fmt: skip
def test_the_step_is_the_last_integer_after_a_word_for_it(name: str, step: int | None) -> None:
    assert step_of(name) == step


@given(st.integers(0, 10**17), st.sampled_from(["step", "checkpoint", "global_step"]), st.sampled_from(["", "-", "_"]))
def test_every_spelling_gives_the_step_back(step: int, word: str, mark: str) -> None:
    assert step_of(f"run3-{word}{mark}{step}-bf16") == step


def test_a_folder_lists_its_checkpoints_by_step_and_its_own_weights_last(tmp_path: Path) -> None:
    tiny_model(tmp_path)
    for step in (1000, 20, 300):
        tiny_model(tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-300" / "trainer_state.json").write_text(json.dumps({"global_step": 299}))
    (tmp_path / "checkpoint-20" / "trainer_state.json").write_text("{")
    (tmp_path / "runs").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "step9").mkdir()  # empty, and yet a checkpoint by its name
    found = checkpoints_of([str(tmp_path)])
    assert [one.step for one in found] == [9, 20, 300, 1000, None]
    assert [one.saved_step for one in found] == [None, None, 299, None, None]
    assert found[-1].name == "the folder itself"


def test_addresses_are_sorted_by_step_and_main_is_last() -> None:
    found = checkpoints_of(["hf:a/b", "hf:a/b@step20", "hf:a/b@step3"])
    assert [(one.name, one.step) for one in found] == [("step3", 3), ("step20", 20), ("main", None)]


def test_single_files_and_the_snapshots_of_a_cache_are_checkpoints(tmp_path: Path) -> None:
    for step in (1, 2):
        tiny_model(tmp_path / "files" / f"s{step}")
        (tmp_path / "files" / f"s{step}" / "model.safetensors").rename(tmp_path / "files" / f"step{step}.safetensors")
    assert [one.step for one in checkpoints_of([str(tmp_path / "files")])] == [1, 2]
    cache = tmp_path / "models--a--b"
    (cache / "refs").mkdir(parents=True)
    for revision, branch in (("0a", "step10"), ("0b", "main"), ("0a", "step20")):
        (cache / "snapshots" / revision).mkdir(parents=True, exist_ok=True)
        (cache / "refs" / branch).write_text(revision)
    found = checkpoints_of([str(cache)])
    assert [(one.name, one.address[-2:]) for one in found] == [("step10", "0a"), ("step20", "0a"), ("main", "0b")]


def test_steps_given_by_hand_win_and_must_be_as_many() -> None:
    assert [one.step for one in checkpoints_of(["x", "y", "z"], [5, None, 1])] == [1, 5, None]
    with pytest.raises(UsageError, match="names 2 steps for 3"):
        checkpoints_of(["x", "y", "z"], [1, 2])


def folders(root: Path, names: list[str]) -> list[tuple[str, int | None, str]]:
    for name in names:
        tiny_model(root / name)
    return [(one.name, one.step, one.unit) for one in checkpoints_of([str(root)])]


def test_where_no_name_says_a_step_epochs_or_bare_numbers_order_a_series(tmp_path: Path) -> None:
    assert folders(tmp_path / "a", ["epoch_10", "epoch_9", "main"]) == [
        ("epoch_9", 9, "epoch"), ("epoch_10", 10, "epoch"), ("main", None, "step"),
    ]  # fmt: skip
    assert folders(tmp_path / "b", ["2000", "1000"]) == [("1000", 1000, "step"), ("2000", 2000, "step")]
    assert folders(tmp_path / "c", ["epoch_2", "best"]) == [("best", None, "step"), ("epoch_2", None, "step")]
    assert folders(tmp_path / "d", ["epoch1-step=500", "epoch2-step=900"])[1][1:] == (900, "step")


@pytest.mark.parametrize("name", ["step", "ep1-ba", "step-1.", "iter_", "1", "step1", "checkpoint-9k", "epoch"])
def test_a_long_name_costs_time_in_proportion_to_its_length(name: str) -> None:
    assert linear(lambda size: step_of((name * size)[:size]), 10_000)


@pytest.mark.parametrize("given", [["absent"], [], ["hf:a/b"]])
def test_fewer_than_two_are_no_series(given: list[str]) -> None:
    with pytest.raises(MissingError, match="at least two"):
        checkpoints_of(given)


@pytest.mark.parametrize("name", ["step1_000", "step1,000", "step1.5", "step1e4", "ckpt-2B", "checkpoint_10_000"])
def test_a_number_that_goes_on_is_not_cut_to_its_first_digits(name):
    assert step_of(name) is None


def test_half_an_epoch_is_not_epoch_zero(tmp_path):
    for name in ("epoch_0.5", "epoch_1", "epoch_1.5"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"")
    assert [one.step for one in checkpoints_of([str(tmp_path)])] == [None] * 3
