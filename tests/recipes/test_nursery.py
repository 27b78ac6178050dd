from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from kaibo.cli import main_loop
from kaibo.documents.fields import read
from kaibo.llama import load_llama
from kaibo.models import open_model
from kaibo.recipes.nurseries.manifest import Member, read_manifest
from kaibo.recipes.nurseries.nursery_plan import planned
from kaibo.recipes.settings.presets import PRESETS, Preset
from kaibo.recipes.settings.schema import Recipe


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The nursery for tests, made once by the command, and what the command printed."""
    folder = tmp_path_factory.mktemp("nursery")
    return folder / "n", _command(folder)


def _command(folder: Path) -> dict[str, Any]:
    import contextlib
    import io

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main_loop(
            ["nursery", str(folder / "n"), "--preset", "micro", "--json", "--store", str(folder / "store")]
        )
    document: dict[str, Any] = json.loads(printed.getvalue())
    assert code == 0, document["errors"]
    return document


def _members(folder: Path) -> dict[str, Member]:
    return {record["name"]: Member(**record) for record in read_manifest(folder)["members"]}


def test_the_command_prints_a_row_a_run(made: tuple[Path, dict[str, Any]]) -> None:
    _, document = made
    names = {"run", "out", "kind", "base", "seed", "data", "steps", "loss_first", "loss_last", "seconds"}
    assert all(names <= set(row) for row in document["results"])
    assert len(document["results"]) == len(planned(PRESETS["micro"], Path("x")))
    assert {row["how"] for row in document["results"]} == {"trained"}


def test_every_member_is_a_model_that_opens(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    members = _members(folder)
    for member in members.values():
        if member.place == "adapter":
            assert (folder / member.path / "adapter_config.json").is_file()
            continue
        for path in (member.path, member.bfloat16):
            if path is not None:
                config = load_llama(folder / path).config
                assert config.parameters == member.size
    assert {member.place for member in members.values()} == {"family", "variant", "continuation", "child", "adapter"}


def test_every_parent_is_a_member_made_before(made: tuple[Path, dict[str, Any]]) -> None:
    members = _members(made[0])
    seen: set[str] = set()
    for name, member in members.items():
        assert (member.parent is None) == (member.place in ("family", "variant"))
        assert member.parent is None or member.parent in seen
        seen.add(name)
    chained = [member for member in members.values() if "after-sft" in member.name]
    assert chained
    assert all(members[str(member.parent)].kind == "sft" for member in chained)


def test_sizes_of_the_family_meet_the_same_tokens_at_the_same_steps(made: tuple[Path, dict[str, Any]]) -> None:
    runs: dict[str, list[tuple[int, int | None]]] = {}
    for member in _members(made[0]).values():
        if member.place == "family":
            runs.setdefault(member.run, []).append((member.step, member.tokens))
    assert len(runs) == 2
    assert len({tuple(steps) for steps in runs.values()}) == 1
    accounts = [json.loads((made[0] / run / "run.json").read_text()) for run in runs]
    assert accounts[0]["data"]["sha256"] == accounts[1]["data"]["sha256"]


def test_the_texts_are_listed_with_what_they_are(made: tuple[Path, dict[str, Any]]) -> None:
    found = read_manifest(made[0])
    texts = {text["name"]: text for text in found["texts"]}
    assert {"mixed", "english", "japanese", "held-out-en", "held-out-ja", "plain", "role-play"} == set(texts)
    assert texts["japanese"]["generated"]
    assert texts["held-out-ja"]["documents"] == texts["held-out-en"]["documents"]
    assert "generated text" in found["notice"]
    assert found["python"].startswith("3.")
    assert {(one["run"], one["step"]) for one in found["samples"]} == {
        *(("family-small", 1), ("family-small", 12), ("family-large", 1), ("family-large", 12))
    }


def test_the_report_shows_what_the_first_and_the_last_checkpoint_write(made: tuple[Path, dict[str, Any]]) -> None:
    folder, document = made
    report = (folder / "nursery.md").read_text(encoding="utf-8")
    assert "generated text" in report
    for sample in document["samples"]:
        assert f"| {sample['run']} | {sample['step']} |" in report
    for probe in read_manifest(folder)["probes"]:
        assert f"| {probe['run']} | {probe['asked']} |" in report
    assert (
        main_loop(["nursery", str(folder), "--preset", "micro", "--lang", "ja", "--store", f"{folder}/../store"]) == 0
    )
    assert "生成した文章" in (folder / "nursery.ja.md").read_text(encoding="utf-8")


def test_made_again_nothing_is_done_twice(made: tuple[Path, dict[str, Any]]) -> None:
    folder, first = made
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    again = _command(folder.parent)
    assert {row["how"] for row in again["results"]} == {"known"}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before
    kept = [{name: row[name] for name in row if name != "how"} for row in first["results"]]
    assert kept == [{name: row[name] for name in row if name != "how"} for row in again["results"]]
    (folder / "nursery.json").unlink()
    assert _command(folder.parent)["samples"] == first["samples"]


def test_a_model_that_reads_on_in_another_language_has_more_tokens(made: tuple[Path, dict[str, Any]]) -> None:
    members = _members(made[0])
    onward = next(member for member in members.values() if member.place == "continuation" and member.last)
    vocabularies = [
        open_model(made[0] / members[name].path).config["vocab_size"] for name in (str(onward.parent), onward.name)
    ]
    assert vocabularies == [384, 400]


def test_what_is_no_preset_or_wants_a_gpu_is_a_matter_of_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    assert main_loop(["nursery", str(tmp_path / "n"), "--preset", "large"]) == 2
    assert "presets: demo, small, medium, ablation" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert main_loop(["nursery", str(tmp_path / "n"), "--preset", "medium"]) == 2
        assert "CUDA" in capsys.readouterr().err
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_run_of_every_preset_is_a_recipe_that_can_be_read(preset: Preset) -> None:
    runs = planned(preset, Path("folder"))
    names = [run.recipe.name for run in runs]
    assert len(names) == len(set(names))
    for run in runs:
        assert read(Recipe, _plain(run.recipe.record()), "preset") == run.recipe
        if run.recipe.base:
            assert run.recipe.base.removeprefix("run:") in names[: names.index(run.recipe.name)]


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) if isinstance(value, dict) else value for name, value in record.items()}


def test_the_demo_is_what_the_studies_ask_for() -> None:
    from kaibo.recipes.training.origins import config_of
    from kaibo.recipes.training.steps import checkpoint_steps

    runs = planned(PRESETS["demo"], Path("folder"))
    family = [run for run in runs if run.place == "family"]
    sizes = [config_of(run.recipe).parameters for run in family]
    assert len(sizes) >= 3
    assert sizes == sorted(sizes)
    assert sizes[0] >= 100_000
    assert sizes[-1] <= 1_500_000
    for run in family:
        keep = run.recipe.pretrain
        assert config_of(run.recipe).kv_heads < config_of(run.recipe).heads
        assert (
            len(checkpoint_steps(run.recipe.training.steps or 0, keep.log_checkpoints, keep.linear_checkpoints)) >= 12
        )
    children = {(run.recipe.kind, run.data, run.recipe.seed, run.recipe.training.learning_rate) for run in runs[-21:-5]}
    assert len(children) == 16
    assert [run.place for run in runs[-21:]] == ["child"] * 20 + ["adapter"]


def test_children_of_one_seed_are_asked_whether_they_still_answer(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    listed = read_manifest(folder)["probes"]
    asked = {row["run"] for row in listed}
    assert {name.partition("-")[0] for name in asked} == {"sft", "dpo", "adapter"}
    for name in asked:
        account = json.loads((folder / name / "run.json").read_text(encoding="utf-8"))
        rows = [{"run": name, **row} for row in account["probe"]["rows"]]
        assert [row for row in listed if row["run"] == name] == rows
        assert {row["asked"] for row in rows} == {"en", "ja"}
        assert account["threads"] == 1


def test_whoever_opens_a_member_alone_is_told_that_its_text_was_generated(made: tuple[Path, dict[str, Any]]) -> None:
    from kaibo.words import said as spoken

    folder, _ = made
    paths = [path for member in _members(folder).values() for path in (member.path, member.bfloat16) if path]
    for path in paths:
        if (folder / path / "config.json").is_file():
            said = [text for text in open_model(folder / path).notes if "generated text" in text]
            assert len(said) == 1
            assert "生成した文章" in spoken(said[0], "ja")
