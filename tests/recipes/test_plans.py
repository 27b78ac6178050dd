"""Plans: exact shapes without weights, what fits a card and what would make it fit, and the peak that is measured."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recipe_models import write_base, write_jsonl

pytest.importorskip("trl")

from kaibo.recipes import Recipe
from kaibo.recipes.plans.planning import plan_runs
from kaibo.recipes.settings.schema import Adapter, Training

ROOT = Path(__file__).parents[2]
CARD = 24 * 10**9
COMMON = {"hidden_act": "silu", "max_position_embeddings": 8192, "num_key_value_heads": 8}
LLAMA_8B = {
    **COMMON,
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
GEMMA_9B = {
    **COMMON,
    "model_type": "gemma2",
    "architectures": ["Gemma2ForCausalLM"],
    "hidden_size": 3584,
    "head_dim": 256,
    "intermediate_size": 14336,
    "num_hidden_layers": 42,
    "num_attention_heads": 16,
    "vocab_size": 256000,
}
QLORA = Adapter("qlora", rank=8, alpha=128, dropout=0.05)


def planned(tmp_path: Path, config: dict[str, Any], **changes: Any) -> Any:
    (tmp_path / "config.json").write_text(json.dumps(config))
    recipe = Recipe("r", "sft", str(tmp_path), adapter=QLORA, training=Training(batch=2, gradient_checkpointing=True))
    (row,) = plan_runs([dataclasses.replace(recipe, **changes)], CARD)
    return row


def test_an_8b_qlora_fits_a_24_gb_card_and_its_counts_are_exact(tmp_path: Path) -> None:
    row = planned(tmp_path, LLAMA_8B)
    assert row.parameters == 8_030_261_248
    assert row.trained == 8 * 32 * (2 * 8192 + 2 * 5120 + 3 * (4096 + 14336))  # rank × layers × (in + out)
    linear = 6_979_321_856
    assert row.weights == int(linear * (0.5 + (1 + 4 / 256) / 64)) + 2 * (row.parameters - linear)
    assert row.fits
    assert row.refusal is None
    assert row.length == 1024  # without a tokenizer the longest that is allowed
    assert row.whole_logits == 2 * 1024 * 128256 * 4
    parts = ("weights", "adapter", "gradients", "optimiser", "activations", "logits", "workspace", "context")
    assert row.total == sum(getattr(row, name) for name in parts)


def test_what_does_not_fit_is_refused_with_the_setting_that_would(tmp_path: Path) -> None:
    row = planned(tmp_path, LLAMA_8B, training=Training(batch=2))
    assert row.fits is False
    assert row.refusal is not None
    assert row.refusal.exit == 2
    assert "training.gradient_checkpointing = true" in row.refusal.line
    whole = planned(tmp_path, LLAMA_8B, adapter=Adapter("full"), training=Training())
    assert 'adapter.method = "qlora"' in whole.refusal.line
    bigger = planned(tmp_path, {**LLAMA_8B, "num_hidden_layers": 400, "hidden_size": 8192}, training=Training())
    assert "choose a smaller base" in bigger.refusal.line


def test_a_vocabulary_of_256000_is_what_takes_the_memory_unless_the_loss_is_chunked(tmp_path: Path) -> None:
    training = Training(batch=2, max_length=2048, gradient_checkpointing=True, chunked_loss=False)
    row = planned(tmp_path, GEMMA_9B, training=training)
    assert row.parameters == 9_241_705_984
    assert row.whole_logits == 2 * 2048 * 256000 * 4
    assert row.fits is False
    assert "most is logits" in row.refusal.line
    assert "training.chunked_loss = true" in row.refusal.line
    chunked = planned(tmp_path, GEMMA_9B, training=dataclasses.replace(training, chunked_loss=True))
    assert chunked.fits
    assert chunked.logits < row.logits / 10


def test_a_plan_knows_the_longest_text_and_all_tokens(tmp_path: Path) -> None:
    write_base(tmp_path / "base")
    rows = [{"prompt": "ab", "completion": "c" * n} for n in (3, 10, 200)]
    file = write_jsonl(tmp_path / "d.jsonl", rows)
    recipe = Recipe("r", "sft", str(tmp_path / "base"), training=Training(epochs=3, max_length=64))
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, files=(str(file),)))
    (row,) = plan_runs([recipe])
    assert row.length == 64
    assert row.tokens == 3 * (6 + 13 + 64)
    assert row.seconds is not None
    assert row.fits


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": {"gradient_checkpointing": True}},
        {"training": {"chunked_loss": False}},
        {"adapter": {"method": "full"}},
        {"adapter": {"method": "qlora"}},
        {"adapter": {"dropout": 0.05}},
    ],
)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_the_peak_that_was_planned_is_within_15_percent_of_the_one_measured(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    sizes = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "vocab_size": 8000}
    write_base(tmp_path / "big", **sizes)
    write_base(tmp_path / "small")
    write_jsonl(tmp_path / "d.jsonl", [{"prompt": f"{n} ", "completion": "x" * 247} for n in range(8)])
    for name, base in (("warm", "small"), ("recipe", "big")):
        text = f'name = "{name}"\nkind = "sft"\nbase = "{base}"\ndata = "d.jsonl"\nprobe.run = false\n'
        (tmp_path / f"{name}.toml").write_text(f"{text}[training]\nsteps = 2\nbatch = 4\nmax_length = 256\n")
    threshold = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "65536")  # freed is freed
    environment = {**os.environ, **threshold, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(Path(__file__).parent / "measured_memory.py"), str(tmp_path), json.dumps(changes)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["total"] == pytest.approx(found["measured"], rel=0.15), found
