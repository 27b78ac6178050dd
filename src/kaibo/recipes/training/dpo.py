"""Direct preference optimisation: TRL's DPOTrainer, with a recipe's settings under its names.

The reference is the base with the adapter off; in full training it is the base loaded a second time.
"""

from __future__ import annotations

from typing import Any

from kaibo.errors import UsageError
from kaibo.recipes.training.arguments import Job, adapter_config, trainer_arguments


def dpo_trainer(job: Job) -> Any:
    """The trainer of a DPO run."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    recipe = job.recipe
    if not recipe.training.chunked_loss:
        raise UsageError("dpo computes its loss in chunks only", next="leave out training.chunked_loss = false")
    arguments = DPOConfig(
        beta=recipe.dpo.beta,
        loss_type=[recipe.dpo.loss],
        precompute_ref_log_probs=recipe.dpo.precompute_reference,
        **trainer_arguments(job),
    )
    return DPOTrainer(
        model=job.model,
        args=arguments,
        train_dataset=Dataset.from_list(list(job.rows.rows)),
        processing_class=job.tokenizer,
        peft_config=adapter_config(recipe),
        callbacks=list(job.callbacks),
    )
