"""The optimisers of pre-training, and how the learning rate rises and falls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from kaibo.errors import UsageError
from kaibo.recipes.settings.schema import Training

BETAS = (0.9, 0.95)
"""AdamW's, as LLaMA was trained (Touvron et al. 2023, section 2.3)."""

FLOOR = 0.1
"""What is left of the largest learning rate at the end of the cosine, as LLaMA was trained."""

Groups = list[dict[str, object]]


def optimiser(model: torch.nn.Module, training: Training) -> torch.optim.Optimizer:
    """The recipe's optimiser over the model's weights; gains of norms and biases are not decayed.

    Raises UsageError for those that only fine-tuning has.
    """
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    others = [weight for weight in model.parameters() if weight.dim() < 2]
    decay = 0.0 if training.optimiser == "adam" else training.weight_decay
    groups: Groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    makers: Mapping[str, Callable[[], torch.optim.Optimizer]] = {
        "adamw": lambda: torch.optim.AdamW(groups, lr=training.learning_rate, betas=BETAS, fused=True),
        "adam": lambda: torch.optim.AdamW(groups, lr=training.learning_rate, betas=BETAS, fused=True),
        "sgd": lambda: torch.optim.SGD(groups, lr=training.learning_rate, momentum=training.momentum),
        "adafactor": lambda: torch.optim.Adafactor(groups, lr=training.learning_rate),
    }
    if training.optimiser not in makers:
        message = f"pre-training has no optimiser {training.optimiser}"
        raise UsageError(message, next=f"choose one of {', '.join(makers)}")
    return makers[training.optimiser]()


def learning_rate(step: int, steps: int, training: Training) -> float:
    """The learning rate of a step (from 1): a straight line up, then the schedule down to `FLOOR` (linear: to 0).

    >>> round(learning_rate(100, 100, Training(learning_rate=1.0, schedule="cosine")), 6)
    0.1
    """
    warm = math.ceil(training.warmup * steps)
    if step <= warm:
        return training.learning_rate * step / warm
    done = (step - warm) / max(steps - warm, 1)
    shape = {
        "cosine": FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2,
        "linear": 1 - done,
        "constant": 1.0,
    }
    return training.learning_rate * shape[training.schedule]
