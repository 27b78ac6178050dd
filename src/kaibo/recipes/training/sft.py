"""Supervised fine-tuning: TRL's SFTTrainer, with a recipe's settings under its names."""

from __future__ import annotations

from typing import Any

from kaibo.recipes.training.arguments import Job, adapter_config, trainer_arguments


def sft_trainer(job: Job) -> Any:
    """The trainer of an SFT run: the loss is that of the answers, or of the whole text where there is no prompt."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(**trainer_arguments(job))
    return SFTTrainer(
        model=job.model,
        args=arguments,
        train_dataset=Dataset.from_list(list(job.rows.rows)),
        processing_class=job.tokenizer,
        peft_config=adapter_config(job.recipe),
        compute_loss_func=None if job.recipe.training.chunked_loss else _whole_loss,
        callbacks=list(job.callbacks),
    )


def _whole_loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
    """The same loss from a batch × length × vocabulary tensor, for comparison: mean nats of the answers' tokens."""
    import torch

    logits = outputs.logits[:, :-1].float().flatten(0, 1)
    targets = labels[:, 1:].flatten()
    total = torch.nn.functional.cross_entropy(logits, targets, ignore_index=-100, reduction="sum")
    count = (targets != -100).sum() if num_items_in_batch is None else num_items_in_batch
    return total / count
