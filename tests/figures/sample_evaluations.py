"""Findings of evaluations with made-up answers."""

from __future__ import annotations

import numpy as np

from kaibo.chapters.eval.accuracy import evaluation
from kaibo.chapters.eval.rows import EvalRow
from kaibo.vocabulary import Finding
from kaibo.vocabulary.evaluations import Answered, Sitting


def scores(models: int, tasks: int, variants: int) -> Finding[EvalRow]:
    """So many models on so many tasks of 80 questions with five options, in several forms."""
    random = np.random.default_rng(0)
    sittings = []
    for model in range(models):
        for task in range(tasks):
            for variant in range(variants):
                nats = random.gamma(4.0, 2.0, (80, 5))
                nats[:, 0] -= 0.6 * model + 0.4 * variant
                answers = tuple(
                    Answered(k, str(k), tuple(row), (2,) * 5, ("a", "bb", "ccc", "dd", "e"), 0)
                    for k, row in enumerate(nats.tolist())
                )
                named = (f"/models/model-{model}", "id", f"task-{task}", "ja", f"form {variant}", 3)
                sittings.append(Sitting(*named, ("acc", "acc_norm", "ppl_right"), 0.2, answers))
    return evaluation(sittings)
