"""Runs from end to end on a tiny base, with the real TRL, PEFT, transformers and bitsandbytes."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipe_bench import Bench
from recipe_models import write_base, write_styles
from safetensors.numpy import load_file

from kaibo.errors import FormatError, MissingError, StoppedError, StorageError, UsageError
from kaibo.recipes.runs.watching import LossError, last_checkpoint
from kaibo.recipes.settings.schema import Adapter, Saving, Training

pytest.importorskip("ml_dtypes")  # safetensors reads bf16 into numpy only after it

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("bench")
    write_base(folder / "base")
    write_styles(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Bench(folder)


def weights(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.glob("*.safetensors")))


def test_an_sft_run_learns_and_gives_a_full_account(bench: Bench) -> None:
    row = bench.run(bench.sft())
    assert row.how == "trained"
    assert row.steps == 4
    assert row.loss_last is not None
    assert row.loss_first is not None
    assert row.loss_last < row.loss_first < math.log(300)  # a random model over 262 tokens
    account = bench.account("sft")
    assert [point["step"] for point in account["curve"]] == [1, 2, 3, 4]
    assert account["data"]["rows"] == 8
    assert account["recipe"] == json.loads(json.dumps(bench.sft().record()))
    assert {"torch", "transformers", "trl", "peft", "kaibo"} <= set(account["versions"])
    assert not (bench.folder / "runs" / "sft" / "checkpoints").exists()
    assert not (bench.folder / "runs" / "sft" / "state.json").exists()


def product(adapter: Path, rank: int, alpha: float) -> dict[str, Any]:
    """s·BA of every adapted weight, formed by numpy in float64."""
    factors = load_file(adapter / "adapter_model.safetensors")
    names = [key.removesuffix(".lora_A.weight") for key in factors if key.endswith(".lora_A.weight")]
    return {
        name.removeprefix("base_model.model.") + ".weight": alpha
        / rank
        * factors[f"{name}.lora_B.weight"].astype(np.float64)
        @ factors[f"{name}.lora_A.weight"].astype(np.float64)
        for name in names
    }


def test_the_merged_model_is_base_plus_product_and_the_recorded_norms_are_those_of_the_product(bench: Bench) -> None:
    bench.run(bench.sft())
    folder = bench.folder / "runs" / "sft"
    base, merged = load_file(bench.base / "model.safetensors"), load_file(folder / "merged" / "model.safetensors")
    products = product(folder / "adapter", 4, 16)
    assert len(products) == 14  # seven linear layers in each of two blocks, not the head
    for name, before in base.items():
        after = before.astype(np.float64) + products.get(name, 0.0)
        np.testing.assert_allclose(merged[name], after, rtol=1e-6, atol=1e-8)
    (delta,) = bench.account("sft")["deltas"]
    assert delta["against"] == "base"
    assert delta["l2"] == pytest.approx(math.sqrt(sum(float((one**2).sum()) for one in products.values())), rel=1e-5)
    assert delta["l1"] == pytest.approx(sum(float(np.abs(one).sum()) for one in products.values()), rel=1e-5)


def test_the_same_recipe_and_seed_give_the_same_bytes_and_another_seed_does_not(bench: Bench, tmp_path: Path) -> None:
    bench.run(bench.sft())
    bench.run(bench.sft(), tmp_path)
    first = weights(bench.folder / "runs" / "sft" / "adapter")
    assert weights(tmp_path / "sft" / "adapter") == first
    other = dataclasses.replace(bench.sft(), name="other", seed=7, save=Saving())
    bench.run(other, tmp_path)
    assert weights(tmp_path / "other" / "adapter") != first


def test_a_run_that_is_there_is_not_repeated_and_other_inputs_are_not_written_over_it(bench: Bench) -> None:
    bench.run(bench.sft())
    out = bench.folder / "runs"
    before = (out / "sft" / "run.json").read_bytes()
    assert bench.run(bench.sft(), out).how == "known"
    renamed = dataclasses.replace(bench.sft(), probe=dataclasses.replace(bench.sft().probe, max_tokens=5))
    assert bench.run(renamed, out).how == "known"  # what is asked of it afterwards does not change its weights
    with pytest.raises(StorageError, match="other inputs"):
        bench.run(dataclasses.replace(bench.sft(), seed=1), out)
    assert (out / "sft" / "run.json").read_bytes() == before


def test_a_chain_trains_on_the_merged_parent_and_is_measured_against_both(bench: Bench) -> None:
    bench.run(bench.sft())
    row = bench.run(bench.dpo())
    assert row.loss_first == pytest.approx(math.log(2), abs=1e-6)  # the reference is the base with the adapter off
    assert row.loss_last is not None
    assert row.loss_last < math.log(2)
    account = bench.account("dpo")
    assert account["base"]["folder"].endswith("sft/merged")
    parent, base = account["deltas"]
    assert (parent["against"], base["against"], base["model"]) == ("parent", "base", str(bench.base))
    runs = bench.folder / "runs"
    own, below = product(runs / "dpo" / "adapter", 4, 16), product(runs / "sft" / "adapter", 4, 16)
    assert parent["l2"] == pytest.approx(math.sqrt(sum(float((one**2).sum()) for one in own.values())), rel=1e-5)
    both = math.sqrt(sum(float(((own[name] + below[name]) ** 2).sum()) for name in own))
    assert base["l2"] == pytest.approx(both, rel=1e-4)


def test_a_chain_without_its_parent_says_which_run_to_make(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="stands on run sft"):
        bench.run(bench.dpo(), tmp_path)


def test_qlora_trains_in_four_bit_and_merges_into_the_base_as_it_is_stored(bench: Bench) -> None:
    bench.run(bench.qlora())
    child = dataclasses.replace(
        bench.qlora(), name="child", base="run:qlora", training=Training(max_length=128, steps=1)
    )
    bench.run(child)
    runs = bench.folder / "runs"
    base, merged = (load_file(place / "model.safetensors") for place in (bench.base, runs / "qlora" / "merged"))
    products = product(runs / "qlora" / "adapter", 4, 128)
    for name, change in products.items():  # a base that had been through 4 bit would be off by a tenth of its σ
        np.testing.assert_allclose(merged[name], base[name].astype(np.float64) + change, rtol=1e-5, atol=1e-7)
    assert set(merged) == set(base)
    assert bench.account("child")["base"]["parent"] == "qlora"


def test_full_training_moves_every_matrix_and_leaves_a_model_that_loads(bench: Bench) -> None:
    row = bench.run(bench.recipe("full", adapter=Adapter("full")))
    assert row.out.endswith("full/model")
    base, tuned = load_file(bench.base / "model.safetensors"), load_file(Path(row.out) / "model.safetensors")
    assert {name: value.shape for name, value in tuned.items()} == {name: value.shape for name, value in base.items()}
    assert all((tuned[name] != base[name]).any() for name in base)
    change = sum(float(((tuned[name].astype(np.float64) - base[name]) ** 2).sum()) for name in base)
    assert bench.account("full")["deltas"][0]["l2"] == pytest.approx(math.sqrt(change), rel=1e-6)


class Break:
    """A watcher that ends the run by an exception of its own in the middle."""

    def begin(self, run: str, steps: int) -> None:
        self.first = -1

    def step(self, step: int, tokens: int, loss: float) -> None:
        self.first = step if self.first < 0 else self.first
        if step == 3:
            raise ZeroDivisionError("pulled the plug")


def test_a_run_that_was_cut_short_is_taken_up_and_ends_with_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    recipe = dataclasses.replace(bench.sft(), save=Saving())
    with pytest.raises(ZeroDivisionError):
        bench.run(recipe, tmp_path, watcher=Break())
    assert not (tmp_path / "sft" / "run.json").exists()
    newest = last_checkpoint(tmp_path / "sft" / "checkpoints")
    assert newest is not None
    assert newest.name == "checkpoint-2"
    broken = tmp_path / "sft" / "checkpoints" / "checkpoint-3"
    shutil.copytree(newest, broken)  # one that was cut while it was written
    (broken / "optimizer.pt").write_bytes(b"half")
    assert last_checkpoint(broken.parent) == newest
    row = bench.run(recipe, tmp_path)
    assert row.how == "resumed"
    bench.run(bench.sft())
    assert weights(tmp_path / "sft" / "adapter") == weights(bench.folder / "runs" / "sft" / "adapter")


def test_cut_short_after_its_last_checkpoint_a_run_does_no_step_too_many(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(max_length=128, steps=2, checkpoint_every=1, learning_rate=1e-3)
    recipe = bench.recipe("late", training=training)

    def pulled(*arguments: object) -> None:
        raise ZeroDivisionError("pulled the plug")

    with monkeypatch.context() as patched:
        patched.setattr("kaibo.recipes.runs.adapters.save_whole", pulled)
        with pytest.raises(ZeroDivisionError):
            bench.run(recipe, tmp_path)
    newest = last_checkpoint(tmp_path / "late" / "checkpoints")
    assert newest is not None
    assert newest.name == "checkpoint-2"
    row = bench.run(recipe, tmp_path)
    assert (row.how, row.steps) == ("resumed", 2)
    bench.run(recipe, tmp_path / "whole")
    assert weights(tmp_path / "late" / "adapter") == weights(tmp_path / "whole" / "late" / "adapter")


def test_asked_to_stop_a_run_saves_its_step_and_says_how_to_go_on(bench: Bench, tmp_path: Path) -> None:
    recipe = bench.recipe("stop", training=Training(max_length=128, checkpoint_every=100, learning_rate=1e-3))
    with pytest.raises(StoppedError, match="run it again"):
        bench.run(recipe, tmp_path, asked=lambda: True)
    newest = last_checkpoint(tmp_path / "stop" / "checkpoints")
    assert newest is not None
    assert newest.name == "checkpoint-1"


@pytest.mark.slow
def test_a_killed_process_leaves_a_run_that_is_taken_up(bench: Bench, tmp_path: Path) -> None:
    code = f"""
    import os, sys, signal
    sys.path.insert(0, {str(ROOT / "tests" / "recipes")!r})
    from pathlib import Path
    from recipe_bench import Bench
    class Kill:
        def begin(self, run, steps): pass
        def step(self, step, tokens, loss):
            if step == 3: os.kill(os.getpid(), signal.SIGKILL)
    bench = Bench(Path({str(bench.folder)!r}))
    bench.run(bench.sft(), Path({str(tmp_path)!r}), watcher=Kill())
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True)
    assert ran.returncode == -signal.SIGKILL
    assert bench.run(bench.sft(), tmp_path).how == "resumed"
    bench.run(bench.sft())
    assert weights(tmp_path / "sft" / "adapter") == weights(bench.folder / "runs" / "sft" / "adapter")


def test_a_loss_that_is_no_number_ends_the_run_at_its_step_and_keeps_the_good_checkpoint(
    bench: Bench, tmp_path: Path
) -> None:
    training = Training(max_length=128, learning_rate=1e36, warmup=0.75, clip=0.0, optimiser="sgd", schedule="constant")
    recipe = bench.recipe("nan", adapter=Adapter("full"), training=training)
    with pytest.raises(LossError, match=r"at step [23] of 4") as caught:
        bench.run(recipe, tmp_path)
    assert caught.value.exit == 3
    newest = last_checkpoint(tmp_path / "nan" / "checkpoints")
    step = int(caught.value.message.split("step ")[1].split()[0])
    for name, value in load_file(newest / "model.safetensors").items() if newest else ():
        assert np.isfinite(value).all(), name
    assert newest is None or int(newest.name.rpartition("-")[2]) < step - 1
    assert not (tmp_path / "nan" / "run.json").exists()


def test_a_disk_that_is_full_ends_with_exit_6(bench: Bench, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # what the system does is what a full disk does
    try:
        with pytest.raises(StorageError) as caught:
            bench.run(bench.recipe("full-disk"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.exit == 6
    assert "bytes free" in caught.value.line
    assert not (tmp_path / "full-disk" / "run.json").exists()


def test_conversations_for_a_base_without_a_template_are_refused_before_training(bench: Bench, tmp_path: Path) -> None:
    shutil.copytree(bench.base, tmp_path / "plain")
    (tmp_path / "plain" / "chat_template.jinja").unlink()
    with pytest.raises(FormatError, match="no chat template"):
        bench.run(bench.recipe("x", base=str(tmp_path / "plain")), tmp_path / "out")


def test_settings_that_do_not_go_together_are_usage_errors(bench: Bench, tmp_path: Path) -> None:
    wrong = Training(max_length=128, optimiser="adam", weight_decay=0.1)
    with pytest.raises(UsageError, match="adam has no weight decay"):
        bench.run(bench.recipe("x", training=wrong), tmp_path)
    with pytest.raises(UsageError, match="float16"):
        bench.run(bench.recipe("y", precision="float16", device="cpu"), tmp_path)


def test_rows_that_are_too_long_are_counted_not_dropped_in_silence(bench: Bench, tmp_path: Path) -> None:
    from recipe_models import write_jsonl

    rows = [{"prompt": "a" * n, "completion": "b" * 8} for n in (4, 30, 60)]
    data = dataclasses.replace(bench.recipe("x").data, files=(str(write_jsonl(tmp_path / "d.jsonl", rows)),))
    recipe = bench.recipe("long", data=data, training=Training(max_length=32, steps=1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bench.run(recipe, tmp_path)
    said = [str(one.message) for one in caught if str(one.message).startswith("long: ")]
    assert said == [
        "long: 1 rows are left out: their prompt alone fills 32 tokens",
        "long: 1 rows are cut at 32 tokens",
    ]
    short = dataclasses.replace(recipe, name="none", training=Training(max_length=8, steps=1))
    rows = [{"prompt": "a" * 40, "completion": "b"}]
    write_jsonl(tmp_path / "d.jsonl", rows)
    with pytest.raises(FormatError, match="no answer begins within 8 tokens"):
        bench.run(short, tmp_path)


def test_a_run_that_cannot_fit_is_refused_before_its_base_is_loaded(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kaibo.recipes import loading
    from kaibo.recipes.plans import planning

    monkeypatch.setattr(planning, "available", lambda device: 1_000_000)
    monkeypatch.setattr(loading, "load_base", lambda *_: pytest.fail("the base was loaded"))
    with pytest.raises(UsageError, match="takes 2 MiB and the cpu has 1 MiB") as caught:
        bench.run(bench.recipe("large"), tmp_path)
    assert caught.value.next is not None
    assert not (tmp_path / "large").exists()
