"""Runs on the hub are audited by what it publishes of them: a request a revision, and no weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kaibo
from hub_server import Hub
from kaibo.errors import MissingError, UsageError
from kaibo.testing.models import tiny_model


def run(hub: Hub, name: str, steps: list[int]) -> None:
    for step in steps:
        tiny_model(hub.folder / f"org/{name}/step{step}", seed=step)


def same(hub: Hub, name: str, one: str, other: str) -> None:
    shutil.copytree(hub.folder / f"org/{name}" / one, hub.folder / f"org/{name}" / other)


def found(audit: kaibo.Finding) -> set[tuple[str, tuple[str, ...]]]:
    return {(row.kind, row.checkpoints) for row in audit.rows}


def test_64_revisions_cost_a_request_each_and_one_and_no_weights(hub: Hub) -> None:
    folder = tiny_model(hub.folder / "org/m/step0")
    for step in range(1, 64):
        shutil.copytree(folder, hub.folder / f"org/m/step{step}")
        with (hub.folder / f"org/m/step{step}/model.safetensors").open("ab") as file:
            file.write(bytes([step]))  # no file of safetensors any more: nobody reads it
    answer = kaibo.series("hf:org/m@step*")
    assert [row.step for row in answer.revisions.rows] == list(range(64))
    assert not answer.audit.rows
    assert len(hub.asked) <= 65
    assert not hub.blobs.requests


def test_equal_missing_and_repeated_revisions_are_told_by_their_hashes(hub: Hub) -> None:
    run(hub, "m", [100, 200, 300, 400, 600, 700])
    same(hub, "m", "step300", "step500")
    same(hub, "m", "step700", "main")
    shutil.rmtree(hub.folder / "org/m/step200")
    answer = kaibo.series(["hf:org/m@step*", "hf:org/m@main"])
    assert found(answer.audit) == {("same-content", ("step300", "step500")), ("missing-step", ("step100", "step300"))}
    assert {row.name: row.same_as for row in answer.revisions.rows if row.same_as} == {
        "step500": "step300",
        "main": "step700",
    }
    assert answer.revisions.notes


def test_sizes_of_a_family_are_set_beside_each_other(hub: Hub) -> None:
    for size in ("70m", "160m"):
        run(hub, f"m-{size}", [1, 2, 4] if size == "70m" else [1, 2])
    hub_step = hub.folder / "org/m-160m/step2"
    shutil.rmtree(hub_step)
    shutil.copytree(hub.folder / "org/m-70m/step4", hub_step)
    answer = kaibo.series("hf:org/m-{70m,160m}@step*")
    assert ("missing-step", ("org/m-160m",)) in found(answer.audit)
    assert ("same-content", ("m-70m@step4", "m-160m@step2")) in found(answer.audit)
    assert len(hub.asked) == 5 + 2
    with pytest.raises(UsageError, match="one run"):
        kaibo.series("hf:org/m-{70m,160m}@step*", weights=True)


@pytest.mark.slow
def test_weights_are_read_where_they_are_asked_for(hub: Hub, tmp_path: Path) -> None:
    run(hub, "m", [1, 2])
    same(hub, "m", "step2", "main")
    settings = kaibo.Settings(store=tmp_path / "store")
    there = kaibo.series(["hf:org/m@step*", "hf:org/m@main"], weights=True, settings=settings)
    here = kaibo.series(
        [hub.folder / "org/m/step1", hub.folder / "org/m/step2", hub.folder / "org/m/main"],
        settings=kaibo.Settings(store=tmp_path / "other"),
    )
    assert [row.norm for row in there.checkpoints.rows] == [row.norm for row in here.checkpoints.rows]


def test_what_matches_nothing_is_said(hub: Hub) -> None:
    run(hub, "m", [1, 2])
    with pytest.raises(MissingError, match=r"matches no revision; it has step1, step2"):
        kaibo.series("hf:org/m@ckpt*")
    with pytest.raises(UsageError, match="names no revisions"):
        kaibo.series(["hf:org/m@step*", "hf:org/m"])
