"""What models answered: a question, all answers of one model to one form of a task."""

from __future__ import annotations

from dataclasses import dataclass, field

CHOICES = ("acc", "acc_norm", "acc_bytes", "balanced_acc", "ppl_right", "ppl_wrong")
"""Measures of questions with options."""

WRITTEN = ("exact_match", "exact_number", "f1", "rouge1", "rouge2", "rougeL")
"""Measures of what was written."""

CONTINUED = ("greedy", "ppl")
"""Measures of one given continuation: whether it is what the model would have written, and its perplexity."""

METRICS = (*CHOICES, *WRITTEN, *CONTINUED)
"""Every measure that a task may name."""


@dataclass(frozen=True)
class Answered:
    """One question under one model.

    `item` is its number in the data, `group` what it shares with others (a passage). For a question with options
    `nats` and `tokens` have an entry an option: −ln p of its tokens given the prompt, and how many they are;
    `options` are the texts, `right` the place of the right one. `text` is what was written, `wanted` the answers
    that count as right; `greedy` says whether the model would have written the one continuation itself.
    """

    item: int
    group: str
    nats: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    options: tuple[str, ...] = field(default=(), repr=False)
    right: int | None = None
    text: str | None = None
    wanted: tuple[str, ...] = ()
    greedy: bool | None = None


@dataclass(frozen=True)
class Sitting:
    """One model's answers to one form (prompt and worked examples) of a task.

    `variant` names the form, `metrics` what is asked of the answers, `chance` what guessing gives (None: it follows
    from the number of options); `grouped` says whether questions share passages, `failed` how many were not asked.
    `origin` names what decides the answers beside their number: what the model does, and the form with its data.
    """

    model: str
    model_id: str
    task: str
    language: str
    variant: str
    shots: int
    metrics: tuple[str, ...]
    chance: float | None
    answers: tuple[Answered, ...] = field(repr=False)
    grouped: bool = False
    failed: int = 0
    step: int | None = None
    origin: str = ""
