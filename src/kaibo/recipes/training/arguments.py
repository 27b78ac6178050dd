"""What SFT and DPO share: a recipe's settings under the names that transformers and PEFT know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaibo.errors import UsageError
from kaibo.recipes.loading import Precision
from kaibo.recipes.rows.data import Rows
from kaibo.recipes.settings.schema import Optimiser, Recipe


@dataclass(frozen=True)
class Job:
    """All that a trainer is made of: the recipe, its rows, the base and its tokenizer, and where checkpoints go."""

    recipe: Recipe
    rows: Rows
    model: Any
    tokenizer: Any
    precision: Precision
    checkpoints: Path
    callbacks: tuple[Any, ...] = ()


OPTIMISERS: Mapping[Optimiser, str] = {
    "adamw": "adamw_torch",
    "adam": "adamw_torch",
    "adamw-8bit": "adamw_bnb_8bit",
    "adamw-paged": "paged_adamw_32bit",
    "adamw-paged-8bit": "paged_adamw_8bit",
    "adafactor": "adafactor",
    "sgd": "sgd",
}


def total_steps(recipe: Recipe, rows: int) -> int:
    """Optimiser steps of a run over `rows` rows, as the trainer counts them."""
    training = recipe.training
    a_pass = max(1, math.ceil(math.ceil(rows / training.batch) / training.accumulation))
    return training.steps or max(1, math.ceil(a_pass * training.epochs))


def checkpoint_every(recipe: Recipe, rows: int) -> int:
    """Steps between checkpoints: as the recipe says, else ten a run."""
    return recipe.training.checkpoint_every or max(1, math.ceil(total_steps(recipe, rows) / 10))


def trainer_arguments(job: Job) -> dict[str, Any]:
    """The settings that `transformers.TrainingArguments` shares with SFTConfig and DPOConfig."""
    import torch

    recipe, training = job.recipe, job.recipe.training
    if training.weight_decay and training.optimiser == "adam":
        raise UsageError("adam has no weight decay", next='set training.optimiser = "adamw"')
    return {
        "output_dir": str(job.checkpoints),
        "num_train_epochs": training.epochs,
        "max_steps": training.steps or -1,
        "per_device_train_batch_size": training.batch,
        "gradient_accumulation_steps": training.accumulation,
        "optim": OPTIMISERS[training.optimiser],
        "optim_args": f"momentum={training.momentum}" if training.optimiser == "sgd" and training.momentum else None,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": math.ceil(training.warmup * total_steps(recipe, len(job.rows.rows))),
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.clip,
        "max_length": training.max_length,
        "gradient_checkpointing": training.gradient_checkpointing,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "bf16": job.precision.autocast is torch.bfloat16,
        "fp16": job.precision.autocast is torch.float16,
        "use_cpu": job.precision.device == "cpu",
        "save_strategy": "steps",
        "save_steps": checkpoint_every(recipe, len(job.rows.rows)),
        "save_total_limit": 2,
        "logging_steps": 1,  # so that a loss that is no number ends the run before a checkpoint of it is written
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": job.precision.device == "cuda",
    }


def adapter_config(recipe: Recipe) -> Any | None:
    """The adapter as PEFT takes it; None where all weights are trained."""
    from peft import LoraConfig

    adapter = recipe.adapter
    if adapter.method == "full":
        return None
    modules = list(adapter.target_modules)
    return LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha if adapter.alpha % 1 else int(adapter.alpha),
        lora_dropout=adapter.dropout,
        target_modules=modules[0] if modules == ["all-linear"] else modules,
        task_type="CAUSAL_LM",
    )
