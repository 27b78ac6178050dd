from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from kaibo.errors import FormatError, StoppedError, StorageError, UsageError  # noqa: E402
from kaibo.llama import Llama, initialise, load_llama, save_llama  # noqa: E402
from kaibo.models import open_model  # noqa: E402
from kaibo.recipes.corpus import mixed  # noqa: E402
from kaibo.recipes.rows.reading import batch  # noqa: E402
from kaibo.recipes.runs.workshop import Workshop  # noqa: E402
from kaibo.recipes.settings.schema import Data, Pretraining, Recipe, Shape, Training  # noqa: E402
from kaibo.recipes.training.optimisers import learning_rate  # noqa: E402
from kaibo.recipes.training.pretraining import pretrain  # noqa: E402
from kaibo.recipes.training.steps import checkpoint_steps  # noqa: E402
from kaibo.recipes.vocabularies.tokenizers import load_tokenizer, train_tokenizer  # noqa: E402

STEPS = 6


class Recorded:
    """Keeps the losses it is told, and may break off at a step."""

    def __init__(self, break_at: int | None = None) -> None:
        self.losses: list[float] = []
        self.break_at = break_at

    def begin(self, run: str, steps: int) -> None:
        pass

    def step(self, step: int, tokens: int, loss: float) -> None:
        self.losses.append(loss)
        if step == self.break_at:
            raise RuntimeError("the power is gone")


def shop(out: Path, watcher: Any = None, asked: Callable[[], bool] = lambda: False) -> Workshop:
    return Workshop(out, content, watcher or Recorded(), asked)


def content(address: str) -> str:
    return hashlib.sha256((Path(address) / "model.safetensors").read_bytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("texts")
    texts = [document.text for document in mixed("japanese", 0, 30_000, 40)]
    lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    (folder / "texts.jsonl").write_text(lines, encoding="utf-8")
    train_tokenizer(texts, 320, folder / "tokenizer", context=64)
    return Recipe(
        name="run",
        kind="pretrain",
        seed=7,
        device="cpu",
        data=Data(files=(str(folder / "texts.jsonl"),)),
        training=Training(steps=STEPS, batch=2, learning_rate=1e-2, max_length=16, warmup=0.2, checkpoint_every=2),
        model=Shape(16, 32, 2, 2, 1, 320, 64, tie_word_embeddings=True),
        pretrain=Pretraining(log_checkpoints=3, linear_checkpoints=2, tokenizer=str(folder / "tokenizer"), threads=1),
    )


@pytest.fixture(scope="module")
def whole(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    pretrain(recipe, shop(out))
    return out / "run"


def weights(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*.safetensors"))}


def test_the_same_recipe_and_seed_give_the_same_bytes(recipe: Recipe, whole: Path, tmp_path: Path) -> None:
    pretrain(recipe, shop(tmp_path))
    assert weights(tmp_path / "run") == weights(whole)
    pretrain(replace(recipe, name="other", seed=8), shop(tmp_path))
    assert weights(tmp_path / "other") != weights(whole)


def test_a_run_that_is_there_is_not_repeated(recipe: Recipe, whole: Path) -> None:
    watcher = Recorded()
    found = pretrain(recipe, shop(whole.parent, watcher))
    assert (found.how, found.method) == ("known", "full")
    assert not watcher.losses
    with pytest.raises(StorageError, match="other inputs"):
        pretrain(replace(recipe, seed=8), shop(whole.parent))


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_run_that_was_stopped_ends_with_the_same_bytes(
    recipe: Recipe, whole: Path, tmp_path: Path, after: int
) -> None:
    watcher = Recorded()
    with pytest.raises(StoppedError, match=f"after step {after}"):
        pretrain(recipe, shop(tmp_path, watcher, lambda: len(watcher.losses) == after))
    assert pretrain(recipe, shop(tmp_path, watcher)).how == "resumed"
    assert weights(tmp_path / "run") == weights(whole)
    assert len(watcher.losses) == STEPS
    kept = [json.loads((run / "run.json").read_text())["curve"] for run in (tmp_path / "run", whole)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("at", [1, 5])
def test_a_run_that_was_killed_ends_with_the_same_bytes(recipe: Recipe, whole: Path, tmp_path: Path, at: int) -> None:
    with pytest.raises(RuntimeError, match="power"):
        pretrain(recipe, shop(tmp_path, Recorded(at)))
    assert not (tmp_path / "run" / "run.json").exists()
    again = Recorded()
    pretrain(recipe, shop(tmp_path, again))
    assert len(again.losses) == STEPS - (at - 1) // 2 * 2  # a state is kept every second step
    assert weights(tmp_path / "run") == weights(whole)


def test_the_loop_is_that_of_transformers_and_torch(recipe: Recipe, tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    training = replace(recipe.training, warmup=0.0, schedule="constant", weight_decay=0.0, optimiser="adam", clip=0.1)
    told = Recorded()
    pretrain(replace(recipe, training=training), shop(tmp_path, told))
    texts = [json.loads(line)["text"] for line in Path(recipe.data.files[0]).read_text(encoding="utf-8").splitlines()]
    tokenizer = load_tokenizer(Path(recipe.pretrain.tokenizer))
    stream = torch.tensor([one for text in texts for one in [*tokenizer.encode(text).ids, 1]])
    kept = load_llama(tmp_path / "run" / "float32" / "step-1").config
    save_llama(initialise(Llama(kept), recipe.seed), tmp_path / "start")
    model = LlamaForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float32)
    update = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.0)
    for step in range(3):
        ids = stream[32 * step : 32 * step + 33]
        logits = model(ids[:-1].view(2, 16)).logits.flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, ids[1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        update.step()
        update.zero_grad()
        assert loss.item() == pytest.approx(told.losses[step], rel=1e-5)
    ours = LlamaForCausalLM.from_pretrained(tmp_path / "run" / "float32" / "step-3", dtype=torch.float32)
    for one, other in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_checkpoints_are_models_in_both_types(whole: Path) -> None:
    account = json.loads((whole / "run.json").read_text())
    assert account["result"]["checkpoints"] == [1, 2, 3, 6]
    for step in account["result"]["checkpoints"]:
        full = load_llama(whole / "float32" / f"step-{step}")
        rounded = load_llama(whole / "bfloat16" / f"step-{step}")
        for one, other in zip(full.parameters(), rounded.parameters(), strict=True):
            assert torch.equal(one.to(torch.bfloat16), other)
    model = open_model(whole / "float32" / "step-6")
    assert sum(tensor.size for tensor in model.tensors) == account["result"]["parameters"]


def test_it_learns(recipe: Recipe, tmp_path: Path) -> None:
    longer = replace(recipe, training=replace(recipe.training, steps=200, checkpoint_every=100))
    row = pretrain(longer, shop(tmp_path))
    assert row.loss_first == pytest.approx(math.log(320), abs=0.05)  # uniform over the vocabulary
    assert row.loss_last is not None
    assert row.loss_last < row.loss_first - 1
    assert row.tokens == 200 * 2 * 16


@pytest.mark.parametrize("optimiser", ["adamw", "sgd", "adafactor"])
def test_every_optimiser_is_taken_up_where_it_was(recipe: Recipe, tmp_path: Path, optimiser: Any) -> None:
    training = replace(recipe.training, optimiser=optimiser, momentum=0.9, weight_decay=0.1)
    chosen = replace(recipe, training=training)
    pretrain(chosen, shop(tmp_path / "whole"))
    with pytest.raises(RuntimeError, match="power"):
        pretrain(chosen, shop(tmp_path / "cut", Recorded(4)))
    pretrain(chosen, shop(tmp_path / "cut"))
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_gradients_are_summed_over_an_accumulated_batch(recipe: Recipe, tmp_path: Path) -> None:
    told = [Recorded(), Recorded()]
    whole = replace(recipe, training=replace(recipe.training, batch=4))
    halves = replace(recipe, training=replace(recipe.training, batch=2, accumulation=2))
    for one, watcher, name in zip((whole, halves), told, "ab", strict=True):
        pretrain(one, shop(tmp_path / name, watcher))
    assert told[0].losses == pytest.approx(told[1].losses, rel=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_loss_that_is_no_number_ends_the_run_and_keeps_what_was_good(recipe: Recipe, tmp_path: Path) -> None:
    wild = replace(recipe.training, learning_rate=1e38, warmup=0.0, schedule="constant", clip=0.0, optimiser="sgd")
    with pytest.raises(FormatError, match=r"is (nan|inf) at step [2-6] of 6.*last good checkpoint") as found:
        pretrain(replace(recipe, training=wild), shop(tmp_path))
    assert found.value.exit == 3
    assert not (tmp_path / "run" / "run.json").exists()
    kept = load_llama(tmp_path / "run" / "float32" / "step-1")
    assert all(torch.isfinite(weight).all() for weight in kept.parameters())


def test_a_full_disk_is_told_and_the_run_goes_on_afterwards(
    recipe: Recipe, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace
    done = 0

    def full(source: Any, target: Any) -> None:
        nonlocal done
        done += 1
        if done == 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError) as found:
        pretrain(recipe, shop(tmp_path))
    assert found.value.exit == 6
    assert not list((tmp_path / "run").rglob("*.part"))
    pretrain(recipe, shop(tmp_path))
    assert weights(tmp_path / "run") == weights(whole)


def test_new_tokens_begin_as_the_mean_of_their_pieces(recipe: Recipe, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(whole)
    grown = replace(recipe.pretrain, tokenizer="", extend_vocabulary=12)
    still = replace(recipe.training, steps=1, learning_rate=0.0, warmup=0.0)
    onward = replace(recipe, name="onward", base="run:run", pretrain=grown, training=still)
    assert pretrain(onward, shop(tmp_path)).base.endswith(f"step-{STEPS}")
    before = load_llama(whole / "float32" / f"step-{STEPS}").embedding.weight
    after = load_llama(tmp_path / "onward" / "float32" / "step-1").embedding.weight
    old, new = load_tokenizer(whole / "float32" / "step-1"), load_tokenizer(tmp_path / "onward" / "float32" / "step-1")
    assert after.shape == (332, 16)
    assert torch.equal(after[:320], before)
    for number in range(320, 332):
        pieces = old.encode(new.decode([number]), add_special_tokens=False).ids
        if "�" not in new.decode([number]):
            torch.testing.assert_close(after[number], before[pieces].mean(0))


def test_what_pretraining_cannot_do_is_said(recipe: Recipe, tmp_path: Path) -> None:
    bits = replace(recipe, training=replace(recipe.training, optimiser="adamw-8bit"))
    with pytest.raises(UsageError, match="no optimiser adamw-8bit"):
        pretrain(bits, shop(tmp_path / "a"))
    talk = tmp_path / "talk.jsonl"
    talk.write_text('{"prompt": "a", "completion": "b"}\n')
    with pytest.raises(UsageError, match="reads texts"):
        pretrain(replace(recipe, data=Data(files=(str(talk),))), shop(tmp_path / "b"))
    short = tmp_path / "short.txt"
    short.write_text("a")
    with pytest.raises(FormatError, match="fewer than a row"):
        pretrain(replace(recipe, data=Data(files=(str(short),))), shop(tmp_path / "c"))
    with pytest.raises(UsageError, match=r"vocab_size is 300"):
        pretrain(replace(recipe, model=replace(recipe.model, vocab_size=300)), shop(tmp_path / "d"))


@given(st.integers(1, 10**6), st.integers(1, 30), st.integers(1, 30))
def test_checkpoints_are_in_order_and_end_with_the_last_step(steps: int, log: int, linear: int) -> None:
    found = checkpoint_steps(steps, log, linear)
    assert list(found) == sorted(set(found))
    assert found[0] >= 1
    assert found[-1] == steps


def test_batches_follow_each_other_through_the_data() -> None:
    stream = torch.arange(100)
    for number in range(12):
        ids, targets = batch(stream, number, 2, 4)
        assert torch.equal((ids + 1) % 100, targets)
        assert ids[0, 0] == number * 8 % 100


@given(st.integers(1, 500), st.floats(0, 0.5))
def test_the_learning_rate_rises_to_its_largest_and_never_again(steps: int, warmup: float) -> None:
    training = Training(learning_rate=1.0, warmup=warmup)
    rates = [learning_rate(step, steps, training) for step in range(1, steps + 1)]
    peak = max(range(steps), key=rates.__getitem__)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) <= 1.0


def test_products_in_bfloat16_learn_as_well(recipe: Recipe, tmp_path: Path) -> None:
    told = Recorded()
    longer = replace(recipe, precision="bfloat16", training=replace(recipe.training, steps=60, checkpoint_every=100))
    pretrain(longer, shop(tmp_path, told))
    assert told.losses[0] == pytest.approx(math.log(320), abs=0.05)
    assert sum(told.losses[-5:]) < sum(told.losses[:5]) - 2
    assert next(load_llama(tmp_path / "run" / "float32" / "step-60").parameters()).dtype == torch.float32
